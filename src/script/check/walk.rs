//! The walk through the tree of a script: every call and every property, with what is known of variables at that place.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};

use rhai::Stmt;
use rhai::{
    ASTFlags, Array, BinaryExpr, Dynamic, Expr, FlowControl, FnCallExpr, FnPtr, Ident, ImmutableString, Map, Position,
};

use crate::model::suggest::nearest;
use crate::script::api::table;
use crate::script::api::trial;
use crate::script::check::files::{CheckedFile, Exports, Finding, FunctionBody, Imported, KnownScript};
use crate::script::check::gives::{self, Given};
use crate::script::check::lints::Habits;
use crate::script::check::natives::Natives;
use crate::script::error::{self, explain, parse_hint};
use crate::script::functions::ANONYMOUS;
use crate::script::habits;

/// A walk through one file.
pub(super) struct Walk<'a> {
    pub(super) known: &'a KnownScript<'a>,
    pub(super) file: &'a CheckedFile,
    /// The functions that can be called without a module's name.
    own: Exports,
    closures: HashMap<&'a str, &'a FunctionBody>,
    pub(super) habits: Habits,
    pub(super) scope: Vec<KnownVariable<'a>>,
    aliases: Vec<Alias<'a>>,
    /// The arguments with which closures will be called, by where they stand in the tree.
    pub(super) arguments: HashMap<*const Expr, Vec<Option<Given>>>,
    /// How many indices are around the present place.
    pub(super) within_index: usize,
    pub(super) found: Vec<Finding>,
}

/// A variable and what is known of its value.
pub(super) struct KnownVariable<'a> {
    pub(super) name: &'a str,
    pub(super) given: Option<Given>,
    /// True of a whole number that a loop counts.
    pub(super) is_counter: bool,
    /// What it was declared as.
    value: Option<&'a Expr>,
}

/// The name of a module, and what an import of that name leads to.
type Alias<'a> = (&'a str, Option<&'a Imported>);

impl<'a> Walk<'a> {
    /// Everything that is found in a file.
    pub(super) fn through(known: &'a KnownScript<'a>, place: usize) -> Vec<Finding> {
        let file = &known.files[place];
        let mut own = file.functions(true);
        // A module's functions find those of the script that calls them.
        for other in known.files.iter().filter(|_| place > 0) {
            for (name, counts) in other.functions(true) {
                own.entry(name).or_default().extend(counts);
            }
        }
        let closures = file.bodies.iter().map(|function| (function.name.as_str(), function)).collect();
        let mut walk = Self {
            known,
            file,
            own,
            closures,
            habits: Habits::of(&file.ast),
            scope: Vec::new(),
            aliases: Vec::new(),
            arguments: HashMap::new(),
            within_index: 0,
            found: Vec::new(),
        };
        file.ast.statements().iter().for_each(|statement| walk.statement(statement));
        // Functions see the script's imports, and none of its variables.
        walk.scope.clear();
        for function in file.bodies.iter().filter(|function| !function.name.starts_with(ANONYMOUS)) {
            walk.body(function, 0, &[]);
        }
        walk.found
    }

    pub(super) fn tell(&mut self, at: Position, message: impl Into<String>, hint: Option<String>) {
        self.found.push(Finding { at, is_habit: false, message: message.into(), hint });
    }

    /// Tells an error of combu's own.
    pub(super) fn tell_fault(&mut self, at: Position, error: rhai::EvalAltResult) {
        let (message, hint, _) = explain(error, &self.known.script.functions);
        self.tell(at, message, hint);
    }

    fn body(&mut self, function: &'a FunctionBody, caught: usize, given: &[Option<Given>]) {
        let depth = self.scope.len();
        for (place, name) in function.params.iter().skip(caught).enumerate() {
            let is_kept = !self.habits.assigned.contains(name.as_str());
            self.declare(name, given.get(place).copied().flatten().filter(|_| is_kept));
        }
        self.block(&function.statements);
        self.scope.truncate(depth);
    }

    fn declare(&mut self, name: &'a str, given: Option<Given>) {
        self.scope.push(KnownVariable { name, given, is_counter: false, value: None });
    }

    pub(super) fn variable(&self, name: &str) -> Option<&KnownVariable<'a>> {
        self.scope.iter().rev().find(|variable| variable.name == name)
    }

    fn block(&mut self, statements: &'a [Stmt]) {
        let (depth, aliases) = (self.scope.len(), self.aliases.len());
        statements.iter().for_each(|statement| self.statement(statement));
        self.scope.truncate(depth);
        self.aliases.truncate(aliases);
    }

    fn statement(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::If(flow, _) | Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                self.expression(&flow.expr);
                self.block(flow.body.statements());
                self.block(flow.branch.statements());
            }
            Stmt::TryCatch(flow, _) => {
                self.block(flow.body.statements());
                let depth = self.scope.len();
                if let Expr::Variable(variable, ..) = &flow.expr {
                    self.declare(&variable.1, None);
                }
                self.block(flow.branch.statements());
                self.scope.truncate(depth);
            }
            Stmt::Switch(switch, _) => {
                self.expression(&switch.0);
                for case in &switch.1.expressions {
                    self.expression(&case.lhs);
                    self.expression(&case.rhs);
                }
            }
            Stmt::For(parts, _) => self.each(parts),
            Stmt::Var(parts, ..) => {
                let (name, value, _) = &**parts;
                let given = self.expression(value);
                let is_assigned = self.habits.assigned.contains(name.name.as_str());
                let is_kept = !is_assigned && !self.habits.changed.contains(name.name.as_str());
                self.scope.push(KnownVariable {
                    name: &name.name,
                    given: given.filter(|_| !is_assigned),
                    is_counter: false,
                    value: Some(value).filter(|_| is_kept),
                });
            }
            Stmt::Assignment(assignment) => self.assignment(&assignment.1),
            Stmt::FnCall(call, position) => {
                self.function(call, *position);
            }
            Stmt::Block(block) => self.block(block.statements()),
            Stmt::Expr(expression) => {
                self.expression(expression);
            }
            Stmt::BreakLoop(Some(expression), ..) | Stmt::Return(Some(expression), ..) => {
                self.expression(expression);
            }
            Stmt::Import(import, _) => {
                self.expression(&import.0);
                let imported = match &import.0 {
                    Expr::StringConstant(name, _) => self.file.imports.get(name.as_str()),
                    _ => None,
                };
                self.aliases.push((&import.1.name, imported));
            }
            _ => {}
        }
    }

    fn each(&mut self, parts: &'a (Ident, Option<Ident>, FlowControl)) {
        let (name, counter, flow) = parts;
        let given = self.expression(&flow.expr).and_then(gives::element);
        let depth = self.scope.len();
        self.count(name, given, self.counts(&flow.expr));
        if let Some(counter) = counter {
            self.count(counter, None, true);
        }
        self.block(flow.body.statements());
        self.scope.truncate(depth);
    }

    fn count(&mut self, name: &'a Ident, given: Option<Given>, is_counter: bool) {
        let is_kept = !self.habits.assigned.contains(name.name.as_str());
        let (given, is_counter) = (given.filter(|_| is_kept), is_counter && is_kept);
        self.scope.push(KnownVariable { name: &name.name, given, is_counter, value: None });
    }

    /// Whether a loop over it counts whole numbers.
    fn counts(&self, over: &Expr) -> bool {
        match over {
            Expr::FnCall(call, _) => ["..", "..="].contains(&call.name.as_str()),
            Expr::Array(items, _) => items.iter().all(|item| matches!(item, Expr::IntegerConstant(..))),
            _ => false,
        }
    }

    fn assignment(&mut self, pair: &'a BinaryExpr) {
        // A variable that gets a value is not read.
        match &pair.lhs {
            Expr::Dot(chain, ..) => {
                let of = self.expression(&chain.lhs);
                self.chain(of, &chain.rhs, true);
            }
            lhs => {
                self.expression(lhs);
            }
        }
        self.expression(&pair.rhs);
    }

    /// Looks at an expression; what is known of its value.
    pub(super) fn expression(&mut self, expression: &'a Expr) -> Option<Given> {
        if let Some((function, caught)) = self.closure(expression) {
            let arguments = self.arguments.remove(&std::ptr::from_ref(expression)).unwrap_or_default();
            self.body(function, caught, &arguments);
            return Some(Given::One(TypeId::of::<FnPtr>()));
        }
        match expression {
            Expr::StringConstant(text, position) => self.quoted(text, *position),
            Expr::InterpolatedString(parts, _) => {
                for part in parts.iter().filter(|part| !matches!(part, Expr::StringConstant(..))) {
                    self.expression(part);
                }
            }
            Expr::Array(items, _) => items.iter().for_each(|item| {
                self.expression(item);
            }),
            Expr::Map(map, _) => map.0.iter().for_each(|(_, value)| {
                self.expression(value);
            }),
            Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
                parts.iter().for_each(|part| {
                    self.expression(part);
                });
            }
            Expr::Stmt(block) => self.block(block.statements()),
            Expr::Variable(variable, _, position) => return self.read(variable, *position),
            Expr::FnCall(call, position) => return self.function(call, *position),
            Expr::Dot(pair, ..) => {
                let of = self.expression(&pair.lhs);
                self.note_receiver(&pair.lhs, &pair.rhs);
                return self.chain(of, &pair.rhs, false);
            }
            Expr::Index(pair, flags, _) => {
                let of = self.expression(&pair.lhs);
                return self.index(of, &pair.rhs, *flags, false);
            }
            _ => {}
        }
        literal(expression)
    }

    /// The closure that an expression is, and how many variables it has caught.
    pub(super) fn closure(&self, expression: &Expr) -> Option<(&'a FunctionBody, usize)> {
        match expression {
            Expr::DynamicConstant(value, _) => {
                let closure = value.read_lock::<FnPtr>()?;
                self.closures.get(closure.fn_name()).map(|function| (*function, 0))
            }
            // Rhai makes a block of a closure that catches variables: it shares them, and gives them along.
            Expr::Stmt(block) => match block.statements() {
                [Stmt::Share(_), Stmt::Expr(caught)] => match &**caught {
                    Expr::FnCall(call, _) if call.name == "curry" => {
                        let (function, _) = self.closure(call.args.first()?)?;
                        Some((function, call.args.len() - 1))
                    }
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The literal that an expression is, or that its variable was declared as and still is.
    pub(super) fn literal(&self, expression: &'a Expr) -> &'a Expr {
        match expression {
            Expr::Variable(variable, ..) if variable.2.is_empty() => {
                self.variable(&variable.1).and_then(|variable| variable.value).unwrap_or(expression)
            }
            other => other,
        }
    }

    fn read(
        &mut self,
        variable: &(Option<std::num::NonZeroUsize>, ImmutableString, rhai::Namespace, u64),
        at: Position,
    ) -> Option<Given> {
        let (_, name, namespace, _) = variable;
        if !namespace.is_empty() {
            self.module(namespace.root(), namespace.position());
            return None;
        }
        if let Some(variable) = self.variable(name) {
            return variable.given;
        }
        if self.file.is_lenient && !self.own.contains_key(name.as_str()) {
            let problem = rhai::ParseErrorType::VariableUndefined(name.to_string());
            let hint = self.habit(at, true).or_else(|| parse_hint(&problem));
            self.tell(at, format!("undefined variable: {name}"), hint);
        }
        None
    }

    /// Tells a text in double quotes that has a variable of the script in it.
    fn quoted(&mut self, text: &str, at: Position) {
        let line = at.line().and_then(|line| self.file.text.lines().nth(line - 1)).unwrap_or_default();
        let is_quoted = line.chars().nth(at.position().unwrap_or(1) - 1) == Some('"');
        let lint = self.habits.text(text, |name| self.variable(name).is_some());
        if let Some((message, hint)) = lint.filter(|_| is_quoted) {
            self.found.push(Finding { at, is_habit: true, message, hint: Some(hint) });
        }
    }

    /// What to write instead of what stands there, if that is a habit from another language.
    fn habit(&self, at: Position, undefined: bool) -> Option<String> {
        habits::instead(&self.file.text, at.line()?, at.position().unwrap_or(1), undefined)
    }

    fn module(&mut self, alias: &str, at: Position) -> Option<&'a Imported> {
        let known = self.aliases.iter().rev().find(|(known, _)| *known == alias).copied();
        if known.is_none() && self.file.is_lenient && alias != "global" {
            let problem = rhai::ParseErrorType::ModuleUndefined(alias.to_owned());
            self.tell(at, format!("undefined module: {alias}"), parse_hint(&problem));
        }
        known?.1
    }

    /// What follows a dot: properties and methods, one after the other.
    fn chain(&mut self, of: Option<Given>, link: &'a Expr, set: bool) -> Option<Given> {
        match link {
            Expr::Property(property, position) => self.property(of, &property.2, *position, set),
            Expr::MethodCall(call, position) => self.method(of, call, *position),
            Expr::Dot(pair, ..) => {
                let of = self.chain(of, &pair.lhs, false);
                self.chain(of, &pair.rhs, set)
            }
            Expr::Index(pair, flags, _) => {
                let of = self.chain(of, &pair.lhs, false);
                self.index(of, &pair.rhs, *flags, set)
            }
            other => self.expression(other),
        }
    }

    /// What stands in brackets, and what follows them.
    fn index(&mut self, of: Option<Given>, inside: &'a Expr, flags: ASTFlags, set: bool) -> Option<Given> {
        let element = of.and_then(gives::element);
        let rest = match inside {
            Expr::Dot(pair, ..) | Expr::Index(pair, ..) if !flags.contains(ASTFlags::BREAK) => Some(pair),
            _ => None,
        };
        self.within_index += 1;
        let indexed = self.expression(rest.map_or(inside, |pair| &pair.lhs));
        self.within_index -= 1;
        // A trial's fields can be read in brackets too, and a range gives a part of a list.
        let is_place = indexed.is_none_or(|given| given == Given::One(TypeId::of::<i64>()));
        let element = element.filter(|_| is_place || matches!(of, Some(Given::One(_))));
        match (inside, rest) {
            (Expr::Dot(..), Some(pair)) => self.chain(element, &pair.rhs, set),
            (Expr::Index(_, flags, _), Some(pair)) => self.index(element, &pair.rhs, *flags, set),
            _ => element,
        }
    }

    fn property(&mut self, of: Option<Given>, name: &str, at: Position, set: bool) -> Option<Given> {
        let of = of?;
        if let Given::One(of) = of
            && let Some(called) = gives::with_known_properties(of)
        {
            let mut known = self.known.natives.properties(of, false);
            known.extend(self.known.natives.properties(of, set));
            let fields: Vec<&str> = trial::fields().filter(|_| gives::has_fields(of)).collect();
            if !fields.contains(&name) && !known.contains(name) {
                self.no_property(name, called, &known, &fields, at);
            }
        }
        gives::by_property(of, name)
    }

    /// Tells a property that a type does not have.
    fn no_property(&mut self, name: &str, of: &str, known: &BTreeSet<&str>, fields: &[&str], at: Position) {
        let fields = fields.iter().copied();
        let all = known.iter().copied().chain(fields);
        let hint = match nearest(name, all).or_else(|| known.iter().copied().find(|known| name.starts_with(known))) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
        };
        self.tell(at, format!("{of} has no `{name}`"), Some(hint));
    }

    fn method(&mut self, of: Option<Given>, call: &'a FnCallExpr, at: Position) -> Option<Given> {
        let name = call.name.as_str();
        if let Some(element) = of.and_then(gives::element) {
            for argument in &call.args {
                if self.closure(argument).is_some() {
                    self.arguments.insert(argument, vec![Some(element)]);
                }
            }
        }
        let given: Vec<Option<Given>> = call.args.iter().map(|argument| self.expression(argument)).collect();
        let count = call.args.len();
        if Natives::is_keyword(name) {
            return None;
        }
        // A method of a script's own has what stands before the dot as `this`.
        let own = self.own.get(name);
        let is_own = own.is_some_and(|counts| counts.contains(&count)) || self.known.keys.contains(name);
        if is_own {
            return None;
        }
        let mut counts = self.known.natives.counts(name);
        counts.remove(&0);
        if counts.is_empty() {
            let hint = self.habit(at, false).unwrap_or_else(|| self.nearest(name));
            self.tell(at, format!("nothing has a method `{name}`"), Some(hint));
        } else if !counts.contains(&(count + 1)) {
            let takes: BTreeSet<usize> = counts.iter().map(|count| count - 1).collect();
            self.miscounted(name, &takes, count, at);
        } else {
            let types: Vec<Option<TypeId>> = std::iter::once(of).chain(given).map(|given| given.map(type_of)).collect();
            if !self.known.natives.fits(name, &types) {
                self.misfit(name, &types, at);
            } else {
                self.method_literals(of, call);
                return of.and_then(|of| gives::by_method(of, name, count));
            }
        }
        None
    }

    /// Tells a call of a closure in a variable that does not fit it.
    fn note_receiver(&mut self, receiver: &'a Expr, link: &'a Expr) {
        let first = match link {
            Expr::Dot(pair, ..) | Expr::Index(pair, ..) => &pair.lhs,
            other => other,
        };
        let Expr::MethodCall(call, at) = first else { return };
        let closure = self.closure(self.literal(receiver));
        if let Some((function, caught)) = closure.filter(|_| call.name == "call") {
            let takes = function.params.len() - caught;
            if takes != call.args.len() {
                self.miscounted("the closure", &[takes].into(), call.args.len(), *at);
            }
        }
    }

    fn function(&mut self, call: &'a FnCallExpr, at: Position) -> Option<Given> {
        let name = call.name.as_str();
        if call.is_operator_call() || !rhai::is_valid_identifier(name) {
            let is_counter = |name: &str| self.variable(name).is_some_and(|variable| variable.is_counter);
            if let Some((at, message, hint)) = self.habits.division(call, self.within_index > 0, is_counter) {
                self.found.push(Finding { at, is_habit: true, message, hint: Some(hint) });
            }
            call.args.iter().for_each(|argument| {
                self.expression(argument);
            });
            return None;
        }
        let is_plain = call.namespace.is_empty();
        let count = call.args.len();
        let is_own = self.own.get(name).is_some_and(|counts| counts.contains(&count));
        if is_plain && !is_own {
            self.before_function(call);
        }
        let given: Vec<Option<Given>> = call.args.iter().map(|argument| self.expression(argument)).collect();
        if !is_plain {
            self.of_module(call, at);
            return None;
        }
        if is_own || Natives::is_keyword(name) {
            return None;
        }
        let mut counts = self.known.natives.counts(name);
        counts.extend(self.own.get(name).into_iter().flatten());
        if counts.is_empty() {
            let hint = self.habit(at, false).unwrap_or_else(|| match self.variable(name) {
                Some(_) => error::call_of_variable(name),
                None => self.nearest(name),
            });
            self.tell(at, format!("no function `{name}`"), Some(hint));
        } else if !counts.contains(&count) {
            self.miscounted(name, &counts, count, at);
        } else {
            let types: Vec<Option<TypeId>> = given.into_iter().map(|given| given.map(type_of)).collect();
            if !self.known.natives.fits(name, &types) {
                self.misfit(name, &types, at);
            } else {
                self.function_literals(call);
                return gives::by_function(name);
            }
        }
        None
    }

    fn of_module(&mut self, call: &'a FnCallExpr, at: Position) {
        let (name, count) = (call.name.as_str(), call.args.len());
        let Some(module) = self.module(call.namespace.root(), call.namespace.position()) else { return };
        // A module within a module is not followed.
        if call.namespace.path.len() > 1 {
            return;
        }
        let exports = match module {
            Imported::Native(exports) => exports.clone(),
            Imported::File(place) => self.known.files[*place].functions(false),
            Imported::Unknown => return,
        };
        let module = call.namespace.root();
        match exports.get(name) {
            Some(counts) if counts.contains(&count) => {
                if let Imported::Native(_) = self.module(module, at).unwrap_or(&Imported::Unknown) {
                    self.function_literals(call);
                }
            }
            Some(counts) => self.miscounted(&format!("{module}::{name}"), counts, count, at),
            None => {
                let near = nearest(name, exports.keys().map(String::as_str));
                let all = || exports.keys().map(|name| format!("`{module}::{name}`")).collect::<Vec<_>>().join(", ");
                let hint = match near {
                    Some(near) => format!("did you mean `{module}::{near}(..)`?"),
                    None if exports.is_empty() => "the module has no functions for others".to_owned(),
                    None => format!("there are {}", all()),
                };
                self.tell(at, format!("no function `{module}::{name}`"), Some(hint));
            }
        }
    }

    /// The hint for a name that nothing has.
    fn nearest(&self, name: &str) -> String {
        let mut known: Vec<&str> = table::names().collect();
        known.extend(self.own.keys().map(String::as_str).chain(self.known.natives.names()));
        match nearest(name, known) {
            Some(near) if table::signatures(near).next().is_none() => format!("did you mean `{near}`?"),
            Some(_) => error::function_hint(name),
            None => error::EVERY_FUNCTION.to_owned(),
        }
    }

    fn miscounted(&mut self, name: &str, takes: &BTreeSet<usize>, given: usize, at: Position) {
        let counts: Vec<String> = takes.iter().map(ToString::to_string).collect();
        let s = if counts == ["1"] { "" } else { "s" };
        let name = if name.contains(' ') { name.to_owned() } else { format!("`{name}`") };
        let message = format!("{name} takes {} argument{s}, and it is called with {given}", counts.join(" or "));
        let signatures: Vec<&str> = table::signatures(name.trim_matches('`')).collect();
        let hint = (!signatures.is_empty()).then(|| format!("there is {}", signatures.join(", ")));
        self.tell(at, message, hint);
    }

    /// Tells that a function takes other values.
    fn misfit(&mut self, name: &str, types: &[Option<TypeId>], at: Position) {
        let known: Vec<&str> = types.iter().map(|given| given.and_then(called).unwrap_or("..")).collect();
        let known = if let [one] = known[..] { one.to_owned() } else { format!("({})", known.join(", ")) };
        let signatures: Vec<&str> = table::signatures(name).collect();
        let hint = (!signatures.is_empty()).then(|| format!("there is {}", signatures.join(", ")));
        self.tell(at, format!("`{name}` does not take {known}"), hint);
    }
}

/// The type of a value.
fn type_of(given: Given) -> TypeId {
    match given {
        Given::One(of) => of,
        Given::Many(_) => TypeId::of::<Array>(),
    }
}

/// What a literal is.
fn literal(expression: &Expr) -> Option<Given> {
    let of = match expression {
        Expr::IntegerConstant(..) => TypeId::of::<i64>(),
        Expr::FloatConstant(..) => TypeId::of::<f64>(),
        Expr::BoolConstant(..) => TypeId::of::<bool>(),
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => TypeId::of::<ImmutableString>(),
        Expr::Array(..) => TypeId::of::<Array>(),
        Expr::Map(..) => TypeId::of::<Map>(),
        Expr::Unit(..) => TypeId::of::<()>(),
        _ => return None,
    };
    Some(Given::One(of))
}

/// What values of a type are called.
fn called(of: TypeId) -> Option<&'static str> {
    let own = [
        (TypeId::of::<i64>(), "a whole number"),
        (TypeId::of::<f64>(), "a fraction"),
        (TypeId::of::<bool>(), "a truth"),
        (TypeId::of::<ImmutableString>(), "a text"),
        (TypeId::of::<Array>(), "a list"),
        (TypeId::of::<Map>(), "a map"),
        (TypeId::of::<FnPtr>(), "a closure"),
        (TypeId::of::<()>(), "nothing, `()`"),
    ];
    own.into_iter().find(|(known, _)| *known == of).map(|(_, name)| name).or_else(|| gives::called(of))
}

/// The value of an expression that is a constant.
pub(super) fn constant(expression: &Expr) -> Option<Dynamic> {
    expression.get_literal_value(None)
}

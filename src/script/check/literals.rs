//! Maps that stand in the text of a script: fields of trials, options of runs and of other functions, hooks, spaces.

use std::sync::Arc;

use rhai::{Dynamic, Expr, FnCallExpr, Map, Position};
use serde_json::{Value, json};

use crate::model::experiment::Experiment;
use crate::model::options::Options;
use crate::model::suggest::did_you_mean;
use crate::model::trial::Trial;
use crate::plan::{self, Problem};
use crate::script::api::{compare, experiment, replicate, search, space, trial};
use crate::script::check::gives::{self, Given};
use crate::script::check::walk::{Walk, constant};
use crate::script::hooks::{self, HOOKS};
use crate::script::live;
use crate::script::selection::Where;
use crate::spec::{self, BUDGET, OPTIONS, Problems};

/// A reader of options.
type Reader<'r> = &'r dyn Fn(&serde_json::Map<String, Value>) -> Result<(), Problems>;

/// What a map of a trial's fields is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fields {
    /// A trial: it has a name.
    Trial,
    /// Some fields that are to be changed.
    Some,
    /// The base of trials, whose texts may have words such as `{lr}`.
    Base,
}

impl<'a> Walk<'a> {
    /// Notes, before they are looked at, with what the closures among the arguments will be called.
    pub(super) fn before_function(&mut self, call: &'a FnCallExpr) {
        let options = match (call.name.as_str(), &call.args[..]) {
            ("run" | "start", [_, options]) | ("search" | "replicate", [_, _, options]) => options,
            _ => return,
        };
        let Expr::Map(map, _) = options else { return };
        for (key, value) in &map.0 {
            let Some((function, caught)) = self.closure(value) else { continue };
            if key.name == "on_event" || !HOOKS.contains(&key.name.as_str()) {
                continue;
            }
            let most = hooks::arguments(&key.name).iter().max().copied().unwrap_or_default();
            let takes = function.params.len() - caught;
            let mut given = vec![None; takes];
            given.first_mut().into_iter().for_each(|first| *first = Some(Given::One(gives::view())));
            if takes == most {
                given[takes - 1] = Some(Given::One(gives::run()));
            }
            self.arguments.insert(value, given);
        }
    }

    /// Looks at the literals that a function of combu's is given.
    pub(super) fn function_literals(&mut self, call: &'a FnCallExpr) {
        let args: Vec<&'a Expr> = call.args.iter().map(|argument| self.literal(argument)).collect();
        match (call.name.as_str(), &args[..]) {
            ("trial", [fields]) => self.fields(fields, Fields::Trial),
            ("trials", [base, _]) | ("experiment", [_, base, _]) => self.fields(base, Fields::Base),
            ("experiment", [_, trials @ Expr::Array(..)]) => self.trials(trials),
            ("experiment", [_, options]) => self.keys(options, "loading a spec", &experiment::LOADING),
            ("run" | "start" | "plan", [trials]) => {
                self.trials(trials);
                self.circles(trials);
            }
            ("run" | "start" | "plan", [trials, options]) => {
                self.trials(trials);
                self.circles(trials);
                self.run_options(options, &[]);
            }
            ("search", [_, base, options]) => {
                self.fields(base, Fields::Base);
                self.run_options(options, &search::OWN);
            }
            ("replicate", [base, _, options]) => {
                self.fields(base, Fields::Base);
                self.run_options(options, &replicate::OWN);
                self.replicates(options);
            }
            ("compare", [_, options]) => self.keys(options, "`compare`", &compare::KNOWN),
            ("grid" | "zip", [space]) => self.space(space),
            ("sample", [space, _] | [space, _, _]) => self.space(space),
            ("tpe" | "cma" | "random_search" | "sobol", [space]) => self.space(space),
            ("tpe" | "cma" | "random_search" | "sobol", [space, options]) => {
                self.space(space);
                self.keys(options, "a search", &search::KNOWN);
            }
            _ => {}
        }
    }

    /// Looks at the literals that a method of combu's is given.
    pub(super) fn method_literals(&mut self, of: Option<Given>, call: &'a FnCallExpr) {
        let args: Vec<&'a Expr> = call.args.iter().map(|argument| self.literal(argument)).collect();
        match (call.name.as_str(), &args[..]) {
            ("submit", [fields]) => self.fields(fields, Fields::Trial),
            ("changed" | "retry", [fields]) => self.fields(fields, Fields::Some),
            ("set", [change]) => self.each_option(change, &|one| spec::budget(one).map(drop)),
            // Lists are filtered by functions of that name, too.
            ("filter", [Expr::StringConstant(text, at)] | [Expr::StringConstant(text, at), _])
                if of == Some(Given::One(gives::experiment())) || !rhai::is_valid_identifier(text) =>
            {
                self.expression_text(text, *at);
            }
            _ => {}
        }
    }

    fn expression_text(&mut self, text: &str, at: Position) {
        if let Err(error) = Where::parse(text) {
            let column = error.column.map(|column| format!(", column {column}")).unwrap_or_default();
            self.tell(at, format!("in the expression{column}: {}", error.message), error.hint);
        }
    }

    fn trials(&mut self, trials: &'a Expr) {
        if let Expr::Array(items, _) = trials {
            for item in items.iter() {
                let item = self.literal(item);
                self.fields(item, Fields::Trial);
            }
            self.same_names(items);
        }
    }

    /// Tells a list of trials that is to run and in which they wait for what is not there, or for each other.
    fn circles(&mut self, trials: &'a Expr) {
        let Expr::Array(items, position) = trials else { return };
        let folder = self.known.script.folder.clone();
        let made = |item: &Expr| {
            let fields = json_of(item, "")?;
            spec::trial(&fields, &folder).ok().map(Arc::new)
        };
        let made: Option<Vec<Arc<Trial>>> = items.iter().map(|item| made(self.literal(item))).collect();
        let Some(trials) = made else { return };
        let (name, spec) = (String::new(), self.known.script.path.clone());
        let experiment = Experiment { name: name.clone(), id: name, spec, options: Options::default(), trials };
        let problems =
            plan::build(experiment, Options::default(), &plan::Engines::new()).map_err(|error| error.problems);
        // Which engine they run on is said elsewhere too.
        let is_certain = |one: &Problem| matches!(one, Problem::UnknownDependency { .. } | Problem::Cycle { .. });
        for problem in problems.err().into_iter().flatten().filter(is_certain) {
            self.tell(*position, problem.to_string(), problem.hint());
        }
    }

    /// Tells a trial of a list whose name another has.
    fn same_names(&mut self, items: &'a [Expr]) {
        let mut names: Vec<String> = Vec::new();
        for item in items {
            let Expr::Map(map, _) = self.literal(item) else { continue };
            let named = map.0.iter().find(|(key, _)| key.name == "name");
            let Some((_, Expr::StringConstant(name, at))) = named else { continue };
            if names.iter().any(|known| known == name.as_str()) {
                self.tell(*at, format!("two trials of the list are called `{name}`"), None);
            }
            names.push(name.to_string());
        }
    }

    /// The fields of a trial.
    fn fields(&mut self, fields: &'a Expr, what: Fields) {
        let Expr::Map(map, position) = fields else { return };
        let folder = self.known.script.folder.clone();
        // A base's name only begins those of its trials.
        for (key, value) in map.0.iter().filter(|(key, _)| what != Fields::Base || key.name != "name") {
            let field = key.name.as_str();
            let given = json_of(value, field);
            let is_template =
                what == Fields::Base && given.as_ref().is_some_and(|given| given.to_string().contains("{"));
            let given = given.filter(|_| !is_template || field == "params").unwrap_or_default();
            let mut one = json!({ "name": "one" });
            if field != "name" || !given.is_null() {
                one[field] = given;
            }
            let read = spec::trial(&one, &folder);
            self.mistakes(key.pos, read.err());
        }
        if what == Fields::Trial && !map.0.iter().any(|(key, _)| key.name == "name") {
            self.tell(*position, "`name` is missing", Some("each trial has a name: `name: \"train-1\"`".to_owned()));
        }
    }

    fn run_options(&mut self, options: &'a Expr, own: &[&str]) {
        let Expr::Map(map, _) = options else { return };
        let is_own = |key: &str| own.contains(&key) || live::OWN.contains(&key);
        for (key, value) in map.0.iter().filter(|(key, _)| !is_own(&key.name)) {
            let is_known = || BUDGET.iter().chain(OPTIONS).any(|option| option.name == key.name);
            match did_you_mean(&key.name, own.iter().copied()) {
                _ if hooks::is_hook(&key.name) => self.hook(&key.name, key.pos, value),
                near @ Some(_) if !is_known() => self.tell(key.pos, format!("unknown key `{}`", key.name), near),
                _ => self.option(&key.name, key.pos, value, &|one| spec::options(one).map(drop)),
            }
        }
    }

    /// The options of `replicate` that are none of a run, where all are constants.
    fn replicates(&mut self, options: &'a Expr) {
        let Expr::Map(map, position) = options else { return };
        let own = map.0.iter().filter(|(key, _)| key.name == "goal" || replicate::OWN.contains(&&*key.name));
        let given = own.map(|(key, value)| match key.name.as_str() {
            // It is looked at as the option of a run that it is.
            "goal" => Some(("goal".into(), "min loss".into())),
            name => Some((name.into(), constant(value)?)),
        });
        if let Some(Err(error)) = given.collect::<Option<Map>>().map(replicate::check) {
            self.tell_fault(*position, *error);
        }
    }

    fn each_option(&mut self, options: &'a Expr, read: Reader<'_>) {
        let Expr::Map(map, _) = options else { return };
        for (key, value) in &map.0 {
            self.option(&key.name, key.pos, value, read);
        }
    }

    fn option(&mut self, name: &str, at: Position, value: &Expr, read: Reader<'_>) {
        let one = [(name.to_owned(), json_of(value, name).unwrap_or_default())].into_iter().collect();
        self.mistakes(at, read(&one).err());
    }

    /// Tells what is wrong with a key of a map.
    fn mistakes(&mut self, at: Position, problems: Option<Problems>) {
        if let Some(problem) = problems.and_then(|problems| problems.0.into_iter().next()) {
            let place = if problem.at.is_empty() { String::new() } else { format!("{}: ", problem.at) };
            self.tell(at, format!("{place}{}", problem.message), problem.hint);
        }
    }

    fn hook(&mut self, name: &str, at: Position, value: &'a Expr) {
        if !HOOKS.contains(&name) {
            let hint = did_you_mean(name, HOOKS).unwrap_or_else(|| format!("there are {}", HOOKS.join(", ")));
            self.tell(at, format!("there is no hook `{name}`"), Some(hint));
            return;
        }
        let Some((function, caught)) = self.closure(self.literal(value)) else { return };
        let takes = function.params.len() - caught;
        if !hooks::arguments(name).contains(&takes) {
            self.tell_fault(at, *hooks::uncallable(name, Some(takes)));
        }
    }

    /// The keys of the options of a function.
    fn keys(&mut self, options: &'a Expr, what: &str, known: &[&str]) {
        let Expr::Map(map, _) = options else { return };
        for (key, _) in map.0.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            let list = || format!("there are {}", known.join(", "));
            let hint = did_you_mean(&key.name, known.iter().copied()).unwrap_or_else(list);
            self.tell(key.pos, format!("{what} has no option `{}`", key.name), Some(hint));
        }
    }

    /// What is wrong with each param of a space.
    fn space(&mut self, space: &'a Expr) {
        let Expr::Map(map, _) = space else { return };
        for (key, value) in &map.0 {
            let Some(value) = constant(value) else { continue };
            let one: Map = [(key.name.as_str().into(), value)].into();
            if let Err(error) = space::read(&one) {
                self.tell_fault(key.pos, *error);
            }
        }
    }
}

/// The value of a field or an option, where it is a constant.
fn json_of(value: &Expr, field: &str) -> Option<Value> {
    let value: Dynamic = constant(value)?;
    trial::spec_value(field, &value).ok()
}

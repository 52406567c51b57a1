//! A script and its modules, read for a check: their trees, what they import, and what is found in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

use rhai::{AST, ASTNode, Engine, EvalAltResult, Expr, FnAccess, OptimizationLevel, ParseError, ParseErrorType};
use rhai::{Position, Stmt};

use crate::script::api::space;
use crate::script::check::natives::Natives;
use crate::script::error::{ScriptError, line_in};
use crate::script::execute::engine_of_arrays;
use crate::script::fault::{Answer, ScriptErrorKind};
use crate::script::functions::ANONYMOUS;
use crate::script::host::Script;
use crate::script::resolver::{FoundModule, circular, find};
use crate::script::source::readable;

/// What is known about the script while its parts are looked at.
pub(super) struct KnownScript<'a> {
    pub(super) natives: Natives,
    pub(super) files: &'a [CheckedFile],
    /// The keys of every map in the texts: what is under one may be a closure that is called like a method.
    pub(super) keys: BTreeSet<String>,
    pub(super) script: &'a Script,
}

/// Something wrong at a place of a file.
pub(super) struct Finding {
    pub(super) at: Position,
    /// True of what Rhai takes without a word.
    pub(super) is_habit: bool,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn within(self, file: &CheckedFile) -> ScriptError {
        ScriptError {
            file: PathBuf::from(&file.shown),
            line: self.at.line(),
            column: self.at.line().map(|_| self.at.position().unwrap_or(1)),
            source_line: self.at.line().and_then(|line| line_in(&file.text, line)),
            message: self.message,
            hint: self.hint,
            kind: ScriptErrorKind::Parse,
            trace: Vec::new(),
        }
    }
}

/// The functions of a module by name, with the numbers of arguments that each takes.
pub(super) type Exports = BTreeMap<String, BTreeSet<usize>>;

/// A script or a module as it was read for a check.
pub(super) struct CheckedFile {
    /// Its name as people write it.
    pub(super) shown: String,
    pub(super) text: String,
    pub(super) ast: AST,
    pub(super) bodies: Vec<FunctionBody>,
    /// What it imports, by the text of the import.
    pub(super) imports: HashMap<String, Imported>,
    /// True where Rhai lets variables pass that nobody declared: the check has to tell them.
    pub(super) is_lenient: bool,
    pub(super) is_embedded: bool,
}

/// A function of a file, or a closure.
pub(super) struct FunctionBody {
    pub(super) name: String,
    pub(super) params: Vec<String>,
    pub(super) statements: Vec<Stmt>,
}

impl FunctionBody {
    /// Those of a tree. Rhai shows the statements of a function only to who walks through a tree.
    fn all(ast: &AST) -> Vec<Self> {
        let of = |function: &rhai::ScriptFuncDef| {
            let mut only = ast.clone_functions_only();
            only.retain_functions(|_, _, name, count| name == function.name && count == function.params.len());
            let mut statements = Vec::new();
            only.walk(&mut |path: &[ASTNode]| {
                if let [ASTNode::Stmt(statement)] = path {
                    statements.push((*statement).clone());
                }
                true
            });
            let params = function.params.iter().map(ToString::to_string).collect();
            Self { name: function.name.to_string(), params, statements }
        };
        ast.iter_fn_def().map(|function| of(function)).collect()
    }
}

/// What an import leads to.
#[derive(Clone)]
pub(super) enum Imported {
    /// A file among those that were read.
    File(usize),
    /// A module that is not written in Rhai.
    Native(Exports),
    /// Nothing that is known.
    Unknown,
}

impl CheckedFile {
    /// The functions that it defines; `all`: also those that are private to it.
    pub(super) fn functions(&self, all: bool) -> Exports {
        let mut functions = Exports::new();
        for function in self.ast.iter_fn_def().filter(|function| all || function.access != FnAccess::Private) {
            if !function.name.starts_with(ANONYMOUS) {
                functions.entry(function.name.to_string()).or_default().insert(function.params.len());
            }
        }
        functions
    }
}

/// The keys of maps in a text, in literals and where one is set.
pub(super) fn keys(ast: &AST) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Expr(Expr::Map(map, _))) => keys.extend(map.0.iter().map(|(key, _)| key.name.to_string())),
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => keys.extend(last_key(&assignment.1.lhs)),
            _ => {}
        }
        true
    });
    keys
}

/// The key that is set: `x` in `a.b.x = ..` and in `a["x"] = ..`.
fn last_key(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => last_key(&pair.rhs),
        Expr::Property(property, _) => Some(property.2.to_string()),
        Expr::StringConstant(key, _) => Some(key.to_string()),
        _ => None,
    }
}

/// Reads the script and what it imports.
pub(super) struct Files<'a> {
    script: &'a Script,
    pub(super) engine: Engine,
    lenient: Engine,
    pub(super) list: Vec<CheckedFile>,
    places: HashMap<PathBuf, usize>,
    /// Files that are being read, outermost first.
    reading: Vec<PathBuf>,
    pub(super) problems: Vec<ScriptError>,
}

impl<'a> Files<'a> {
    pub(super) fn new(script: &'a Rc<Script>) -> Self {
        let made = || {
            let mut engine = engine_of_arrays(script);
            // What is folded to a constant has no places any more.
            engine.set_optimization_level(OptimizationLevel::None);
            engine
        };
        let (engine, mut lenient) = (made(), made());
        lenient.set_strict_variables(false);
        let (list, places, reading, problems) = Default::default();
        Self { script, engine, lenient, list, places, reading, problems }
    }

    /// Reads a file and then what it imports; its place in the list, if Rhai can read it.
    pub(super) fn read(&mut self, key: PathBuf, shown: String, text: &str) -> Option<usize> {
        let (ast, is_lenient) = self.compile(&shown, text)?;
        let is_embedded = key.is_relative();
        let mut imports = Vec::new();
        ast.walk(&mut |path: &[ASTNode]| {
            if let Some(ASTNode::Stmt(Stmt::Import(import, _))) = path.last()
                && let Expr::StringConstant(name, position) = &import.0
            {
                imports.push((name.to_string(), *position));
            }
            true
        });
        let place = self.list.len();
        self.list.push(CheckedFile {
            shown: shown.clone(),
            text: text.to_owned(),
            bodies: FunctionBody::all(&ast),
            ast,
            imports: HashMap::new(),
            is_lenient,
            is_embedded,
        });
        self.places.insert(key.clone(), place);
        self.reading.push(key);
        for (name, position) in imports {
            let imported = self.import(&shown, &name).unwrap_or_else(|mut error| {
                if error.position().is_none() {
                    error.set_position(position);
                }
                self.tell(&shown, *error);
                Imported::Unknown
            });
            self.list[place].imports.insert(name, imported);
        }
        self.reading.pop();
        Some(place)
    }

    fn import(&mut self, importer: &str, name: &str) -> Answer<Imported> {
        let (key, shown, text) = match find(self.script, Some(importer), name)? {
            FoundModule::Grid => {
                let of = |(name, count): (&str, usize)| (name.to_owned(), BTreeSet::from([count]));
                return Ok(Imported::Native(space::GRID.map(of).into()));
            }
            FoundModule::Text { key, shown, text } => (key, shown, text),
        };
        if self.reading.contains(&key) {
            return Err(circular(name));
        }
        if let Some(place) = self.places.get(&key) {
            return Ok(Imported::File(*place));
        }
        Ok(self.read(key, shown, &readable(&text)).map_or(Imported::Unknown, Imported::File))
    }

    /// The tree of a text, and whether it has variables that nobody declared.
    fn compile(&mut self, shown: &str, text: &str) -> Option<(AST, bool)> {
        let ParseError(problem, position) = match self.engine.compile(text) {
            Ok(ast) => return Some((ast, false)),
            Err(error) => error,
        };
        let is_name = matches!(*problem, ParseErrorType::VariableUndefined(_) | ParseErrorType::ModuleUndefined(_));
        self.tell(shown, EvalAltResult::ErrorParsing(*problem, position));
        // Of such names there may be more.
        match self.lenient.compile(text) {
            Ok(ast) => is_name.then_some((ast, true)),
            Err(ParseError(problem, position)) => {
                self.tell(shown, EvalAltResult::ErrorParsing(*problem, position));
                None
            }
        }
    }

    fn tell(&mut self, shown: &str, error: EvalAltResult) {
        let inside = EvalAltResult::ErrorInModule(shown.to_owned(), error.into(), Position::NONE);
        self.problems.push(ScriptError::of(inside, self.script));
    }
}

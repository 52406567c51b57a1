//! Modules: `import "combu/grid"` comes from the binary, everything else from files beside the importing one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rhai::{AST, Engine, EvalAltResult, FnNamespace, Module, ModuleResolver, Position, Scope, Shared};

use crate::model::suggest::did_you_mean;
use crate::script::api::space;
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::functions::ANONYMOUS;
use crate::script::host::Script;
use crate::script::source::readable;
use crate::script::stdlib::{EMBEDDED, embedded};

/// Beginning of the names of the binary's modules.
const PREFIX: &str = "combu/";

/// The module of the binary that is not written in Rhai.
const GRID: &str = "combu/grid";

/// Finds and keeps modules; each is evaluated once.
pub(super) struct Modules {
    script: Rc<Script>,
    known: RefCell<HashMap<PathBuf, Shared<Module>>>,
    /// Modules that are being evaluated, outermost first.
    loading: RefCell<Vec<PathBuf>>,
}

impl Modules {
    pub(super) fn new(script: Rc<Script>) -> Self {
        Self { script, known: RefCell::default(), loading: RefCell::default() }
    }

    fn evaluate(&self, engine: &Engine, shown: &str, text: &str) -> Answer<Module> {
        let inside = |error| Box::new(EvalAltResult::ErrorInModule(shown.to_owned(), error, Position::NONE));
        let mut ast: AST =
            engine.compile(text).map_err(|error| inside(Box::new(EvalAltResult::ErrorParsing(*error.0, error.1))))?;
        ast.set_source(shown);
        self.script.functions.note(&ast);
        self.script.appends.note(&ast, shown)?;
        let mut module = Module::eval_ast_as_new(Scope::new(), &ast, engine).map_err(inside)?;
        open_closures(&mut module, &ast);
        Ok(module)
    }
}

/// The file a module is in, as people would write it.
fn file(script: &Script, importer: Option<&str>, path: &str) -> PathBuf {
    let importer = importer.filter(|source| embedded(source).is_none()).map_or(&*script.shown, Path::new);
    let file = importer.parent().unwrap_or(Path::new("")).join(path);
    if file.extension().is_some_and(|ending| ending == "rhai") { file } else { with_ending(&file) }
}

/// What an import leads to.
pub(super) enum FoundModule {
    /// The module of the binary that is not written in Rhai.
    Grid,
    /// A text: the key by which it is known, its name as people write it, and what it says.
    Text { key: PathBuf, shown: String, text: String },
}

/// Finds what a file imports.
///
/// # Errors
/// When there is no such module, or it cannot be read.
pub(super) fn find(script: &Script, importer: Option<&str>, path: &str) -> Answer<FoundModule> {
    if path == GRID {
        return Ok(FoundModule::Grid);
    }
    if path.starts_with(PREFIX) {
        let text = embedded(path).ok_or_else(|| no_such(path))?.to_owned();
        return Ok(FoundModule::Text { key: PathBuf::from(path), shown: path.to_owned(), text });
    }
    let file = file(script, importer, path);
    let missing = |error: std::io::Error| fault(format!("cannot import `{path}`: {}: {error}", file.display()));
    let key = file.canonicalize().map_err(missing)?;
    let read = file.clone();
    let text = script.wait_for(move || std::fs::read_to_string(read))?.map_err(missing)?;
    Ok(FoundModule::Text { key, shown: file.display().to_string(), text })
}

/// The error of a module that imports itself.
pub(super) fn circular(path: &str) -> Box<EvalAltResult> {
    fault(format!("`{path}` imports itself, directly or through another module"))
}

/// Lets closures that a module made be called by whoever got them. Rhai looks for their functions by name, and finds only what
/// is in the global namespace outside of the module; nobody else can have those names.
fn open_closures(module: &mut Module, ast: &AST) {
    for function in ast.iter_fn_def().filter(|function| function.name.starts_with(ANONYMOUS)) {
        // The number by which a module knows a function depends on its name and parameters alone.
        let number = Module::new().set_script_fn(function.clone());
        #[expect(deprecated, reason = "Rhai has no other way to move a function of a script to another namespace")]
        module.update_fn_namespace(number, FnNamespace::Global);
    }
    module.build_index();
}

fn with_ending(file: &Path) -> PathBuf {
    let mut file = file.as_os_str().to_owned();
    file.push(".rhai");
    file.into()
}

impl ModuleResolver for Modules {
    fn resolve(&self, engine: &Engine, source: Option<&str>, path: &str, at: Position) -> Answer<Shared<Module>> {
        let placed = |mut error: Box<EvalAltResult>| {
            if error.position().is_none() {
                error.set_position(at);
            }
            error
        };
        let (key, shown, text) = match find(&self.script, source, path).map_err(placed)? {
            FoundModule::Grid => return Ok(space::module(&self.script).into()),
            FoundModule::Text { key, shown, text } => (key, shown, text),
        };
        if let Some(module) = self.known.borrow().get(&key) {
            return Ok(module.clone());
        }
        if self.loading.borrow().contains(&key) || key == self.script.path {
            return Err(placed(circular(path)));
        }
        self.loading.borrow_mut().push(key.clone());
        let evaluated = self.evaluate(engine, &shown, &readable(&text));
        self.loading.borrow_mut().pop();
        let module: Shared<Module> = evaluated.map_err(placed)?.into();
        self.known.borrow_mut().insert(key, module.clone());
        Ok(module)
    }
}

fn no_such(path: &str) -> Box<EvalAltResult> {
    let names: Vec<&str> = [GRID].into_iter().chain(EMBEDDED.map(|(name, _)| name)).collect();
    let hint = did_you_mean(path, names.iter().copied()).unwrap_or_else(|| format!("there are {}", names.join(", ")));
    fault_with(format!("combu has no module `{path}`"), hint)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::engine::fake::{Fake, Scene};
    use crate::model::outcome::Exit;
    use crate::script::harness::Lab;

    #[test]
    fn modules_are_found_beside_the_importing_file_and_evaluated_once() {
        let lab = Lab::new();
        lab.file("lib/a.rhai", "import \"../base\" as common; import \"deep/b\" as b; fn a() { b::b() + common::s() }");
        lab.file("lib/deep/b.rhai", "print(\"b is evaluated\"); fn b() { 1 }").file("base.rhai", "fn s() { 10 }");
        let script = "import \"lib/a\" as a; import \"lib/deep/b.rhai\" as b; print(a::a() + b::b());";
        assert_snapshot!(lab.output(script), @"
        b is evaluated
        12
        ");
    }

    #[test]
    fn closures_of_a_module_are_called_wherever_they_come_to() {
        let lab = Lab::on(Fake::default().scene("bad", [Scene { exit: Exit::Code(1), ..Scene::default() }]));
        lab.file("deep.rhai", "fn maker() { |x| inner(x) } fn inner(x) { x + 5000 }");
        lab.file(
            "lib.rhai",
            "import \"deep\" as deep;
             fn helper(x) { x * 100 }
             fn adder(n) { |x| x + n + helper(1) }
             fn nested(n) { |x| [1, 2].map(|y| y * n + helper(x)) }
             fn hooks() { #{ on_fail: |t| print(`hook ${t.name} ${helper(2)}`), deep: deep::maker() } }",
        );
        let script = "import \"lib\" as lib;
            let add = lib::adder(2); print(add.call(3)); print([1, 2].map(lib::adder(2))); print(lib::nested(3).call(1));
            let hooks = lib::hooks(); print(hooks.deep.call(1));
            fn apply(f) { f.call(1) } print(apply(lib::adder(2)));
            run([#{ name: \"bad\" }], #{ on_fail: hooks.on_fail }); exit(0);";
        assert_snapshot!(lab.output(script), @"
        105
        [103, 104]
        [103, 106]
        5001
        103
        hook bad 200
        closed script 0/1
        ");
        assert_snapshot!(lab.output("import \"lib\" as lib; lib::adder(2).call(1, 2);"), @r#"
        script.rhai:1:36: the closure takes 1 argument fewer than it is called with
          | import "lib" as lib; lib::adder(2).call(1, 2);
          = write as many names between its bars as it is called with: `|a, b| ..`
        "#);
        assert_snapshot!(lab.output("import \"lib\" as lib; lib::addre(2);"), @r#"
        script.rhai:1:27: no function `lib::addre (i64)`
          | import "lib" as lib; lib::addre(2);
          = did you mean `lib::adder(..)`?
        "#);
        assert_snapshot!(lab.output("import \"lib\" as lib; lib::adder(1, 2);").lines().last().unwrap(), @"  = the number of its arguments is 1, and it is called with 2");
        assert_snapshot!(lab.output("import \"combu/grid\" as grid; grid::gird(#{});"), @r#"
        script.rhai:1:36: no function `grid::gird (map)`
          | import "combu/grid" as grid; grid::gird(#{});
          = did you mean `grid::grid(..)`?
        "#);
    }

    #[test]
    fn grids_are_made_of_maps() {
        let script = "import \"combu/grid\" as grid;
            for point in grid::grid(#{ mode: [\"a\", \"b\"], id: [1, 2], fixed: 7 }) { print(to_json(point)); }
            print(grid::zip(#{ x: [1, 2], y: [3, 4] }));
            let points = grid::sample(#{ lr: #{ from: 0.001, to: 1, log: true }, n: #{ from: 1, to: 3 }, m: [\"a\"], k: 5 }, 2, 7);
            for point in points { print(point.lr >= 0.001 && point.lr <= 1.0 && point.n >= 1 && point.n <= 3 && point.m == \"a\"); }
            print(points == grid::sample(#{ lr: #{ from: 0.001, to: 1, log: true }, n: #{ from: 1, to: 3 }, m: [\"a\"], k: 5 }, 2, 7));
            let trials = grid::trials(#{ name: \"s\", cmd: \"true\", params: #{ base: 1 } }, [#{ lr: 0.1, mode: \"a b\" }]);
            print(trials[0].name); print(trials[0].params); print(grid::grid(#{}));";
        assert_snapshot!(Lab::new().output(script), @r#"
        {"fixed":7,"id":1,"mode":"a"}
        {"fixed":7,"id":1,"mode":"b"}
        {"fixed":7,"id":2,"mode":"a"}
        {"fixed":7,"id":2,"mode":"b"}
        [#{"x": 1, "y": 3}, #{"x": 2, "y": 4}]
        true
        true
        true
        s-0.1-a_b
        #{"base": 1, "lr": 0.1, "mode": "a b"}
        [#{}]
        "#);
    }

    #[test]
    fn what_failed_is_run_again_until_it_succeeds() {
        let lab = Lab::new();
        let script = "import \"combu/lab\" as lab;
            let r = run([#{ name: \"good\", cmd: \"echo loss=2\" }, #{ name: \"bad\", cmd: \"echo loss=1 ; exit 1\" }]);
            print(lab::best(r.trials, \"loss\").name);
            print(lab::rerun(r, 2, #{ parallel: 1 })); print(lab::rerun(r, 0).name);
            let rows = [#{ m: \"a\", x: 1 }, #{ m: \"b\", x: 5.0 }, #{ m: \"a\", x: 3 }, #{ m: \"a\", x: () }];
            for line in lab::summarize(rows, [\"m\"], \"x\") { print(line); }
            print(lab::best(rows, \"x\")); print(lab::best([], \"x\")); print(lab::describe([]));";
        assert_snapshot!(lab.output(script), @r#"
        closed script 1/2
        bad
        closed script 0/1
        closed script 0/1
        script: 0 of 1 succeeded, 1 failed
        script
        #{"m": "a", "max": 3.0, "mean": 2.0, "min": 1.0, "n": 2, "sd": 1.4142135623730951}
        #{"m": "b", "max": 5.0, "mean": 5.0, "min": 5.0, "n": 1, "sd": 0.0}
        #{"m": "a", "x": 1}

        #{"max": (), "mean": (), "min": (), "n": 0, "sd": ()}
        [exit 100]
        "#);
    }

    #[test]
    fn searches_find_what_is_best() {
        let lab = Lab::new();
        let halving = "import \"combu/search\" as search;
            let found = search::halving([4, 1, 3, 2, 5, 9], |x, budget| trial(#{ name: `x-${x}-${budget}`, cmd: `echo loss=${(x - 2) * (x - 2)}` }),
                |t| t.value(\"loss\"), #{ most: 9 });
            print(`${found.candidate} ${found.score} ${found.budget} ${found.history.len()}`);";
        assert_snapshot!(lab.output(halving), @"
        closed script 6/6
        closed script 2/2
        closed script 1/1
        2 0.0 9 9
        ");
        let ask = "import \"combu/search\" as search;
            let told = search::ask_tell(\"ask\", 2, |told| if told.len() < 4 { let x = told.len() * 10 + random(told.len()).int(0, 9);
                    trial(#{ name: `t-${hash(now())}`, params: #{ x: x }, cmd: `echo loss=${x}` }) }, |t| t.value(\"loss\"), #{});
            print(told[0].score <= told[1].score); print(told.len());";
        assert_snapshot!(lab.output(ask), @"
        closed ask 5/5
        true
        5
        ");
    }

    #[test]
    fn a_function_of_a_module_is_no_hook_unless_a_closure_calls_it() {
        let failed = Scene { exit: Exit::Code(1), ..Scene::default() };
        let lab = Lab::on(Fake::default().scene("bad", [failed]));
        let module = "fn named(t) { print(`named ${t.name}`); } fn by_name() { #{ on_fail: Fn(\"named\") } }";
        lab.file("lib.rhai", &format!("{module} fn closure() {{ #{{ on_fail: |t| named(t) }} }}"));
        let run =
            |options: &str| lab.output(&format!("import \"lib\" as lib;\nrun([#{{ name: \"bad\" }}], {options});"));
        let all = ["lib::by_name()", "#{ on_fail: lib::named }", "#{ on_fail: |t| lib::named(t) }", "lib::closure()"];
        assert_snapshot!(all.map(run).join("\n--\n"), @r#"
        closed script 0/1
        script.rhai:2:1: `on_fail` cannot be called: this script has no function `named` for it
          | run([#{ name: "bad" }], lib::by_name());
          = give one of a module as a closure: `|t| named(t)` in the module, `|t| module::named(t)` outside
        --
        script.rhai:2:37: no variable `lib::named`
          | run([#{ name: "bad" }], #{ on_fail: lib::named });
          = to pass on a function of a module, write a closure: `|x| lib::named(x)`
        --
        named bad
        closed script 0/1
        [exit 100]
        --
        named bad
        closed script 0/1
        [exit 100]
        "#);
    }

    #[test]
    fn a_bisection_narrows_down() {
        let failed = Scene { exit: Exit::Code(1), ..Scene::default() };
        let engine = [6, 7].iter().fold(Fake::default(), |engine, x| engine.scene(&format!("x-{x}"), [failed.clone()]));
        let script = "import \"combu/search\" as search;
            print(search::bisect(4, 8, 1.0, |x| trial(#{ name: `x-${x.to_int()}` }), #{})); exit(0);";
        assert_snapshot!(Lab::on(engine).output(script), @r#"
        closed script 0/1
        closed script 1/1
        #{"bad": 6.0, "good": 5.0}
        "#);
    }
}

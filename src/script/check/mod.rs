//! The check of a script: what is wrong with it, as far as its text tells. Nothing runs, no engine is asked, and no file is
//! read but the script and its modules.

mod files;
mod gives;
mod lints;
mod literals;
mod natives;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::model::name::{Name, RunId};
use crate::model::options::Options;
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::run::session::{Prepared, Session};
use crate::script::check::files::{CheckedFile, Files, KnownScript, keys};
use crate::script::check::natives::Natives;
use crate::script::check::walk::Walk;
use crate::script::error::ScriptError;
use crate::script::host::{Script, ScriptHost};
use crate::script::source::readable;
use crate::script::stage::{Opened, ScriptStage};
use crate::spec::LoadOptions;

/// Checks a script and the modules that it imports; everything that is wrong with them, in the order of their texts.
///
/// # Errors
/// When the script cannot be read.
pub fn check(path: &Path, session: Session) -> Result<Vec<ScriptError>, Box<ScriptError>> {
    found(path, session, false)
}

/// What Rhai takes without a word in a script and its modules, and hardly anybody means.
///
/// # Errors
/// As for [`check`].
pub fn unmeant(path: &Path, session: Session) -> Result<Vec<ScriptError>, Box<ScriptError>> {
    found(path, session, true)
}

fn found(path: &Path, session: Session, habits_only: bool) -> Result<Vec<ScriptError>, Box<ScriptError>> {
    let unreadable = |error| Box::new(ScriptError::unreadable(path.to_owned(), &error));
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let host = ScriptHost {
        session,
        args: Vec::new(),
        options: Options::default(),
        below: Options::default(),
        load: LoadOptions::default(),
        memory: ScriptHost::memory_limit(),
        past: Vec::new(),
        reuse: false,
        stage: Rc::new(NoStage),
    };
    let script = Rc::new(Script::new(path, host).map_err(unreadable)?);
    let mut files = Files::new(&script);
    files.read(script.path.clone(), path.display().to_string(), &readable(&text));
    let natives = Natives::of(&files.engine);
    let keys = files.list.iter().flat_map(|file| keys(&file.ast)).collect();
    let known = KnownScript { natives, files: &files.list, keys, script: &script };
    let mut problems = if habits_only { Vec::new() } else { files.problems };
    for (place, file) in files.list.iter().enumerate().filter(|(_, file)| !file.is_embedded) {
        let findings = Walk::through(&known, place).into_iter().filter(|finding| finding.is_habit || !habits_only);
        problems.extend(findings.map(|finding| finding.within(file)));
    }
    problems.sort_by_key(|problem| (order(&files.list, &problem.file), problem.line, problem.column));
    problems.dedup_by(|one, other| (&one.file, one.line, one.column) == (&other.file, other.line, other.column));
    Ok(problems)
}

/// The place of a file among those that were read; one that could not be read comes last.
fn order(files: &[CheckedFile], file: &Path) -> usize {
    files.iter().position(|known| Path::new(&known.shown) == file).unwrap_or(files.len())
}

/// The stage of a script that is not run.
struct NoStage;

/// What a check does not do.
const NOT_RUN: &str = "a check runs nothing";

impl ScriptStage for NoStage {
    fn open(&self, _: &Prepared, _: &RunId, _: &BTreeMap<Name, RunId>) -> Result<Opened, String> {
        Err(NOT_RUN.to_owned())
    }

    fn print(&self, _text: &str) {}

    fn debug(&self, _place: &str, _text: &str) {}

    fn closed(&self, _summary: &Summary) {}

    fn last_ends(&self, _: (&Path, &str, &str), _: &[Arc<Trial>]) -> Result<HashMap<Name, Outcome>, String> {
        Err(NOT_RUN.to_owned())
    }

    fn live_kill(&self, _spec: &Path) -> Result<Vec<String>, String> {
        Err(NOT_RUN.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use insta::assert_snapshot;

    use super::{Natives, check, gives};
    use crate::script::execute::engine_of_arrays;
    use crate::script::harness::Lab;

    /// What a check tells of a text.
    fn told_in(lab: &Lab, text: &str) -> String {
        lab.file("script.rhai", text);
        let problems = check(&lab.folder.path().join("script.rhai"), lab.session.clone()).unwrap();
        problems.iter().map(|problem| lab.told(problem)).collect::<Vec<_>>().join("\n")
    }

    fn told(text: &str) -> String {
        told_in(&Lab::new(), text)
    }

    #[test]
    fn every_problem_of_a_script_and_its_modules_is_told_at_once() {
        let lab = Lab::new();
        lab.file("lib.rhai", "fn adder(n) { |x| x + n }\nprivate fn own() { cpu() }\nfn of_script() { mine(1) }");
        lab.file("bad.rhai", "fn f( {");
        let script = "import \"lib\" as lib; import \"bad\" as bad; import \"none\" as none;
            fn mine(x) { x.frobnicate() }
            print(lib::addre(1)); print(lib::adder()); lib::own(); bad::anything(); none::anything();
            mine(1, 2); run_all(3); let f = |a| a; f(1); f.call(1, 2); print([1].sume());";
        assert_snapshot!(told_in(&lab, script), @r#"
        script.rhai:1:50: cannot import `none`: FOLDER/none.rhai: No such file or directory (os error 2)
          | import "lib" as lib; import "bad" as bad; import "none" as none;
        script.rhai:2:28: nothing has a method `frobnicate`
          | fn mine(x) { x.frobnicate() }
          = `combu help script` lists every function
        script.rhai:3:24: no function `lib::addre`
          | print(lib::addre(1)); print(lib::adder()); lib::own(); bad::anything(); none::anything();
          = did you mean `lib::adder(..)`?
        script.rhai:3:46: `lib::adder` takes 1 argument, and it is called with 0
          | print(lib::addre(1)); print(lib::adder()); lib::own(); bad::anything(); none::anything();
        script.rhai:3:61: no function `lib::own`
          | print(lib::addre(1)); print(lib::adder()); lib::own(); bad::anything(); none::anything();
          = there are `lib::adder`, `lib::of_script`
        script.rhai:4:13: `mine` takes 1 argument, and it is called with 2
          | mine(1, 2); run_all(3); let f = |a| a; f(1); f.call(1, 2); print([1].sume());
        script.rhai:4:25: no function `run_all`
          | mine(1, 2); run_all(3); let f = |a| a; f(1); f.call(1, 2); print([1].sume());
          = `combu help script` lists every function
        script.rhai:4:52: no function `f`
          | mine(1, 2); run_all(3); let f = |a| a; f(1); f.call(1, 2); print([1].sume());
          = a closure in a variable is called `f.call(..)`
        script.rhai:4:60: the closure takes 1 argument, and it is called with 2
          | mine(1, 2); run_all(3); let f = |a| a; f(1); f.call(1, 2); print([1].sume());
        script.rhai:4:82: nothing has a method `sume`
          | mine(1, 2); run_all(3); let f = |a| a; f(1); f.call(1, 2); print([1].sume());
          = did you mean list.sum()?
        lib.rhai:2:20: no function `cpu`
          | private fn own() { cpu() }
          = did you mean cpus()?
        bad.rhai:1:7: expecting ')' to close the parameters list of function 'f'
          | fn f( {
        "#);
    }

    #[test]
    fn literals_are_read_as_they_will_be() {
        let script = "let t = trial(#{ name: \"one\", imgae: \"x\", timeout: \"soon\", cmd: `echo ${1}` });
            let e = experiment(\"e\", [#{ name: \"aa\", cpus: 1 }, #{ cpus: -1 }, #{ name: \"aa\" }]);
            run([#{ name: \"aa\", depends: [\"bb\"] }, #{ name: \"bb\", depends: [\"aa\"] }]);
            let options = #{ paralel: 2, on_complete: |t, run, x| 1 };
            run(e, options); run(e, #{ on_compleet: |t| 1, halt: \"never\" }); experiment(\"x.jsonnet\", #{ exts: 1 });
            let base = #{ name: \"b\", cmd: \"go {lr}\", timeuot: 3, volumes: [\"{lr}:/x\"] };
            trials(base, grid(#{ lr: #{ from: 0, to: 1, log: true } }));
            search(tpe(#{ x: uniform(0, 1) }, #{ seeed: 1 }), base, #{ goal: \"loss\", trials: 3, enough: \"x\", parallel: 0 });
            e.filter(\"params.lr >\"); t.changed(#{ cpu: 2 });";
        assert_snapshot!(told(script), @r#"
        script.rhai:1:31: unknown key `imgae`
          | let t = trial(#{ name: "one", imgae: "x", timeout: "soon", cmd: `echo ${1}` });
          = did you mean `image`?
        script.rhai:1:43: timeout: `soon` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds
          | let t = trial(#{ name: "one", imgae: "x", timeout: "soon", cmd: `echo ${1}` });
        script.rhai:2:64: `name` is missing
          | let e = experiment("e", [#{ name: "aa", cpus: 1 }, #{ cpus: -1 }, #{ name: "aa" }]);
          = each trial has a name: `name: "train-1"`
        script.rhai:2:67: cpus: -1 is not a number of CPUs
          | let e = experiment("e", [#{ name: "aa", cpus: 1 }, #{ cpus: -1 }, #{ name: "aa" }]);
          = write a number above zero, such as 2 or 0.5
        script.rhai:2:88: two trials of the list are called `aa`
          | let e = experiment("e", [#{ name: "aa", cpus: 1 }, #{ cpus: -1 }, #{ name: "aa" }]);
        script.rhai:3:17: trials depend on each other in a circle: `aa` -> `bb` -> `aa`
          | run([#{ name: "aa", depends: ["bb"] }, #{ name: "bb", depends: ["aa"] }]);
          = remove one of these from `depends`
        script.rhai:4:30: unknown key `paralel`
          | let options = #{ paralel: 2, on_complete: |t, run, x| 1 };
          = did you mean `parallel`?
        script.rhai:4:42: `on_complete` cannot be called: this closure takes 3 arguments
          | let options = #{ paralel: 2, on_complete: |t, run, x| 1 };
          = write `|t|`, `|t, run|` or `||`
        script.rhai:5:40: there is no hook `on_compleet`
          | run(e, options); run(e, #{ on_compleet: |t| 1, halt: "never" }); experiment("x.jsonnet", #{ exts: 1 });
          = did you mean `on_complete`?
        script.rhai:5:60: halt: `never` is not a halt policy: write `now` or `soon`, a comma, and `fail`, `success` or `done` with `=N` or `=N%`, such as `soon,fail=10%`
          | run(e, options); run(e, #{ on_compleet: |t| 1, halt: "never" }); experiment("x.jsonnet", #{ exts: 1 });
        script.rhai:5:105: loading a spec has no option `exts`
          | run(e, options); run(e, #{ on_compleet: |t| 1, halt: "never" }); experiment("x.jsonnet", #{ exts: 1 });
          = did you mean `ext`?
        script.rhai:6:54: unknown key `timeuot`
          | let base = #{ name: "b", cmd: "go {lr}", timeuot: 3, volumes: ["{lr}:/x"] };
          = did you mean `timeout`?
        script.rhai:7:34: the range of `lr` is on a scale of powers, which has no 0
          | trials(base, grid(#{ lr: #{ from: 0, to: 1, log: true } }));
          = begin above 0: `1e-6`
        script.rhai:8:50: a search has no option `seeed`
          | search(tpe(#{ x: uniform(0, 1) }, #{ seeed: 1 }), base, #{ goal: "loss", trials: 3, enough: "x", parallel: 0 });
          = did you mean `seed`?
        script.rhai:8:72: goal: `loss` is no goal: write `min loss`, `max acc`, or `min best(loss)` for the best of all steps
          | search(tpe(#{ x: uniform(0, 1) }, #{ seeed: 1 }), base, #{ goal: "loss", trials: 3, enough: "x", parallel: 0 });
        script.rhai:8:110: parallel: `0` is not a number of trials: write `4`, `50%` (of the host's CPUs) or `-1` (all but one)
          | search(tpe(#{ x: uniform(0, 1) }, #{ seeed: 1 }), base, #{ goal: "loss", trials: 3, enough: "x", parallel: 0 });
        script.rhai:9:22: in the expression, column 12: the expression has no end
          | e.filter("params.lr >"); t.changed(#{ cpu: 2 });
        script.rhai:9:51: unknown key `cpu`
          | e.filter("params.lr >"); t.changed(#{ cpu: 2 });
          = did you mean `cpus`?
        "#);
    }

    #[test]
    fn replicates_and_comparisons_are_read_as_they_will_be() {
        let script = "let base = #{ name: \"fit-{x}\", cmd: \"go {x}\", timeuot: 3 }; let points = grid(#{ x: [1, 2] });
            let r = replicate(base, points, #{ goal: \"loss\", wihtin: 0.1, margin: 0.1, on_complete: |t| t.nothing });
            let more = #{ goal: \"min loss\", within: 0.1, most: 3 }; replicate(base, points, more); replicate(base, points);
            print(compare(r, #{ by: \"x\", piared: \"seed\" }).winner); print(r.anything(1)); r.table(2);
            replicate(base, points, #{ goal: \"min loss\", within: param(\"within\", 0.1), most: 3 });";
        assert_snapshot!(told(script), @r#"
        script.rhai:1:47: unknown key `timeuot`
          | let base = #{ name: "fit-{x}", cmd: "go {x}", timeuot: 3 }; let points = grid(#{ x: [1, 2] });
          = did you mean `timeout`?
        script.rhai:2:48: goal: `loss` is no goal: write `min loss`, `max acc`, or `min best(loss)` for the best of all steps
          | let r = replicate(base, points, #{ goal: "loss", wihtin: 0.1, margin: 0.1, on_complete: |t| t.nothing });
        script.rhai:2:62: unknown key `wihtin`
          | let r = replicate(base, points, #{ goal: "loss", wihtin: 0.1, margin: 0.1, on_complete: |t| t.nothing });
          = did you mean `within`?
        script.rhai:2:107: a trial's result has no `nothing`
          | let r = replicate(base, points, #{ goal: "loss", wihtin: 0.1, margin: 0.1, on_complete: |t| t.nothing });
          = there are artifacts, attempts, cpu_seconds, elapsed, exit, flaky, is_service, message, metrics, name, ok, oom, outputs, outputs_folder, outputs_url, params, peak_memory, reused, status, stderr, stdout, tags, timed_out, trial
        script.rhai:3:24: most: 3 is less than least: 5
          | let more = #{ goal: "min loss", within: 0.1, most: 3 }; replicate(base, points, more); replicate(base, points);
          = say both: `least: 3, most: 4`
        script.rhai:3:100: `replicate` takes 3 arguments, and it is called with 2
          | let more = #{ goal: "min loss", within: 0.1, most: 3 }; replicate(base, points, more); replicate(base, points);
          = there is replicate(base, points, options)
        script.rhai:4:42: `compare` has no option `piared`
          | print(compare(r, #{ by: "x", piared: "seed" }).winner); print(r.anything(1)); r.table(2);
          = did you mean `paired`?
        script.rhai:4:77: nothing has a method `anything`
          | print(compare(r, #{ by: "x", piared: "seed" }).winner); print(r.anything(1)); r.table(2);
          = `combu help script` lists every function
        script.rhai:4:93: `table` does not take (a run's result, a whole number)
          | print(compare(r, #{ by: "x", piared: "seed" }).winner); print(r.anything(1)); r.table(2);
          = there is result.table(), result.table(columns)
        "#);
    }

    #[test]
    fn what_results_and_trials_do_not_have_is_told_where_their_type_is_known() {
        let script = "let e = experiment(\"e\", [#{ name: \"aa\" }]);
            for t in e { print(t.timout); t.memroy = 3; t.memory = 3; t.params.anything = 1; }
            let r = run(e, #{ on_complete: |t, run| { if t.statsu == \"x\" { run.kill(1); print(run.cuonts); } } });
            print(r.get(\"aa\").exit_code); print(r[0].attempt); print(r.aa.ok); print(r.trials.map(|t| t.elapsd));
            let other = run(e); other = 3; print(other.anything); experiment(42); kill(#{}); r.table(1);";
        assert_snapshot!(told(script), @r#"
        script.rhai:2:34: a trial has no `timout`
          | for t in e { print(t.timout); t.memroy = 3; t.memory = 3; t.params.anything = 1; }
          = did you mean `timeout`?
        script.rhai:2:45: a trial has no `memroy`
          | for t in e { print(t.timout); t.memroy = 3; t.memory = 3; t.params.anything = 1; }
          = did you mean `memory`?
        script.rhai:3:60: a trial's result has no `statsu`
          | let r = run(e, #{ on_complete: |t, run| { if t.statsu == "x" { run.kill(1); print(run.cuonts); } } });
          = did you mean `status`?
        script.rhai:3:99: a run has no `cuonts`
          | let r = run(e, #{ on_complete: |t, run| { if t.statsu == "x" { run.kill(1); print(run.cuonts); } } });
          = did you mean `counts`?
        script.rhai:4:31: a trial's result has no `exit_code`
          | print(r.get("aa").exit_code); print(r[0].attempt); print(r.aa.ok); print(r.trials.map(|t| t.elapsd));
          = did you mean `exit`?
        script.rhai:4:54: a trial's result has no `attempt`
          | print(r.get("aa").exit_code); print(r[0].attempt); print(r.aa.ok); print(r.trials.map(|t| t.elapsd));
          = did you mean `attempts`?
        script.rhai:4:105: a trial's result has no `elapsd`
          | print(r.get("aa").exit_code); print(r[0].attempt); print(r.aa.ok); print(r.trials.map(|t| t.elapsd));
          = did you mean `elapsed`?
        script.rhai:5:67: `experiment` does not take a whole number
          | let other = run(e); other = 3; print(other.anything); experiment(42); kill(#{}); r.table(1);
          = there is experiment(path), experiment(path, options), experiment(name, trials), experiment(name, base, points)
        script.rhai:5:83: `kill` does not take a map
          | let other = run(e); other = 3; print(other.anything); experiment(42); kill(#{}); r.table(1);
          = there is run.kill(what), run.kill(), kill(experiment), kill(name), kill(path), t.kill()
        script.rhai:5:96: `table` does not take (a run's result, a whole number)
          | let other = run(e); other = 3; print(other.anything); experiment(42); kill(#{}); r.table(1);
          = there is result.table(), result.table(columns)
        "#);
    }

    #[test]
    fn habits_that_rhai_lets_pass_are_told() {
        let script = "let n = 1; print(\"solver-${n}\"); print(`solver-${n}`); print(\"${HOME}\");
            trial(#{ name: \"sh\", cmd: \"for n in 1 2; do echo ${n}; done\" });
            let x = 1 / 3; let y = 4 / 2; let z = 1.0 / 3;
            for i in 0..10 { print(i / 10); print(i / 10.0); }
            for i in 0..10 { let list = [1]; print(list[i / 10]); }
            for j in 0..10 { print(`${j / 3} ${j % 3}`); }
            for k in [0.5] { print(k / 2); }";
        assert_snapshot!(told(script), @r#"
        script.rhai:1:18: `${n}` stands for nothing in double quotes
          | let n = 1; print("solver-${n}"); print(`solver-${n}`); print("${HOME}");
          = a text with values in it stands in backticks: `n = ${n}`
        script.rhai:3:21: `1 / 3` is 0: of whole numbers, the fraction is dropped
          | let x = 1 / 3; let y = 4 / 2; let z = 1.0 / 3;
          = write `1.0 / 3`
        script.rhai:4:36: `i / 10` is a whole number, as `i` is: the fraction is dropped
          | for i in 0..10 { print(i / 10); print(i / 10.0); }
          = write `i / 10.0`
        "#);
    }

    #[test]
    fn undeclared_names_are_told_together() {
        let script = "print(lenght); import \"combu/lab\" as lab; print(lba::best([])); let f = |t| t + offset;
            fn g(a) { try { a } catch (e) { e + b } }";
        assert_snapshot!(told(script), @r#"
        script.rhai:1:7: undefined variable: lenght
          | print(lenght); import "combu/lab" as lab; print(lba::best([])); let f = |t| t + offset;
          = declare it first: `let lenght = ..;`
        script.rhai:1:49: undefined module: lba
          | print(lenght); import "combu/lab" as lab; print(lba::best([])); let f = |t| t + offset;
          = import it first: `import "combu/lba" as lba;` or `import "lba" as lba;`
        script.rhai:1:81: undefined variable: offset
          | print(lenght); import "combu/lab" as lab; print(lba::best([])); let f = |t| t + offset;
          = declare it first: `let offset = ..;`
        script.rhai:2:49: undefined variable: b
          | fn g(a) { try { a } catch (e) { e + b } }
          = declare it first: `let b = ..;`
        "#);
        assert_snapshot!(told("let x = [1, 2;\nlet y = None;"), @"
        script.rhai:1:14: expecting ',' to separate the items of this array literal
          | let x = [1, 2;
        ");
    }

    #[test]
    fn what_is_right_is_let_pass() {
        let lab = Lab::new();
        lab.file("lib.rhai", "export const N = 3; fn hooks() { #{ act: |t| t.name } } fn this_way() { this + 1 }");
        for text in [
            "import \"lib\" as lib; let h = lib::hooks(); print(h.act(trial(#{ name: \"aa\" }))); print(lib::N);",
            "fn shown() { `${this}` } let x = 1; print(x.shown());",
            "let m = #{ f: |x| x }; print(m.f(1)); m.g = |a, b| a; m.g(1, 2); let h = Fn(\"print\"); h.call(1);",
            "let e = experiment(\"e\", [#{ name: \"aa\" }]); print(e.aa.name); let r = run(e); print(r.aa.value(\"x\"));",
            "let f = |x| x; f = |x, y| y; f.call(1, 2); switch 3 { 1 => print(1), 2..5 => { print(2) } _ => () }",
            "let c = 0; let add = |x| c += x; add.call(2); [1, 2].for_each(|x| c += x); while c < 3 { c += 1; }",
            "let t = trial(#{ name: \"aa\" }); t[\"cpus\"] = 2; print(t.params.len()); print(t?.cpus ?? 1);",
            "run([#{ name: \"aa\" }], #{ on_event: |e| print(e.what), on_metric: |t, name, value, step, run| run.counts });",
            "import \"combu/grid\" as grid; for p in grid::grid(#{ lr: [1] }) { print(p.lr / 2); }",
            "let s = \"a b\"; s.trim(); print(s.len); print([1, 2].reduce(|sum, x| (sum ?? 0) + x)); print(\"a\" in #{ a: 1 });",
            "let base = #{ name: \"b\" }; base.cpus = 3; base += #{ more: 1 }; base.remove(\"more\"); trials(base, []);",
        ] {
            assert_eq!(told_in(&lab, text), "", "{text}");
        }
    }

    #[test]
    fn the_librarys_and_the_labs_scripts_have_no_problems() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for folder in ["scripts", "stdlib"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|ending| ending == "rhai") {
                    let problems = check(&path, Lab::new().session).unwrap();
                    assert!(problems.is_empty(), "{}: {problems:?}", path.display());
                    count += 1;
                }
            }
        }
        assert!(count > 6, "{count}");
    }

    /// What is said of the functions' values is what they are registered with.
    #[test]
    fn functions_give_what_the_check_takes_them_to_give() {
        let lab = Lab::new();
        let engine = engine_of_arrays(&lab.script());
        let natives = Natives::of(&engine);
        let gives = |name: &str, first: Option<&str>| -> Vec<String> {
            let of = |info: rhai::FuncInfo<'_>| {
                let own = info.metadata.params_info.first().map(ToString::to_string).unwrap_or_default();
                let is_of = first.is_none_or(|first| own.contains(first));
                (info.metadata.name == name && is_of).then(|| info.metadata.return_type.to_string())
            };
            engine.collect_fn_metadata(None, of, false)
        };
        for (name, of) in [
            ("trial", "Trial"),
            ("experiment", "ScriptExperiment"),
            ("run", "RunResult"),
            ("replicate", "RunResult"),
            ("start", "Run"),
        ] {
            let given = gives(name, None);
            assert!(gives::by_function(name).is_some() && !given.is_empty());
            assert!(given.iter().all(|one| one.contains(of)), "{name}: {given:?}");
        }
        assert!(natives.properties(gives::view(), false).contains("exit"));
        assert!(natives.properties(gives::run(), true).contains("parallel"));
    }
}

//! Execution of a script on the calling thread, with combu's functions.

use std::path::Path;
use std::rc::Rc;

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Scope};

use crate::script::api;
use crate::script::caller::Caller;
use crate::script::error::ScriptError;
use crate::script::fault::{Answer, interrupted, out_of_memory};
use crate::script::host::{DEPTH, EXPRESSION, Finish, Script, ScriptHost, wait_for};
use crate::script::memory::MemoryWatch;
use crate::script::parameters::Parameters;
use crate::script::resolver;
use crate::script::source::readable;

/// Stack of the thread that calls [`execute`]: `DEPTH` nested calls of a debug build fit with room to spare.
pub const STACK: usize = 64 << 20;

/// Calls `what` on a thread whose stack is large enough for [`execute`], and waits for it.
///
/// # Errors
/// When the system gives no thread.
pub fn on_large_stack<T: Send>(what: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("script".to_owned()).stack_size(STACK);
        let ended = thread.spawn_scoped(scope, what)?.join();
        Ok(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Executes a script.
///
/// The script runs on the calling thread, because the stage (a terminal) belongs to that thread and Rhai's values stay on one;
/// that thread has a stack of [`STACK`] bytes, as [`on_large_stack`] gives it.
///
/// # Errors
/// Why the script did not reach its end; the trials of its runs have ended then.
#[expect(clippy::result_large_err, reason = "it is made once, when all is over")]
pub fn execute(path: &Path, host: ScriptHost) -> Result<Finish, ScriptError> {
    execute_with(path, host, None)
}

/// Executes a script and then one of its functions, which takes no arguments.
///
/// # Errors
/// As for [`execute`].
#[expect(clippy::result_large_err, reason = "it is made once, when all is over")]
pub fn execute_function(path: &Path, host: ScriptHost, function: &str) -> Result<Finish, ScriptError> {
    execute_with(path, host, Some(function))
}

#[expect(clippy::result_large_err, reason = "it is made once, when all is over")]
fn execute_with(path: &Path, host: ScriptHost, function: Option<&str>) -> Result<Finish, ScriptError> {
    let unreadable = |error| ScriptError::unreadable(path.to_owned(), &error);
    let file = path.to_owned();
    let read = wait_for(host.session.interrupt(), move || std::fs::read_to_string(file));
    let text = read.map_err(|_| ScriptError::unread(path.to_owned(), host.session.interrupt()))?.map_err(unreadable)?;
    host.load.sources.note(&std::path::absolute(path).map_err(unreadable)?, &text);
    let memory = MemoryWatch::start(host.memory).map_err(unreadable)?;
    let script = Rc::new(Script::new(path, host).map_err(unreadable)?);
    let mut engine = engine(&script);
    let (interrupt, limit) = (script.session.interrupt().clone(), script.memory);
    engine.on_progress(move |operations| {
        // Reading this flag each time would be felt in loops.
        if operations & 0x3f == 0 && interrupt.count() > 0 {
            return Some(interrupt.by().unwrap_or_default().into());
        }
        memory.is_over().then(|| out_of_memory(limit))
    });
    let text = readable(&text);
    let mut ast = engine
        .compile(&text)
        .map_err(|error| ScriptError::of(EvalAltResult::ErrorParsing(*error.0, error.1), &script))?;
    ast.set_source(path.display().to_string());
    script.functions.note(&ast);
    let known = Parameters::of(&ast, &text);
    let noted = script.appends.note(&ast, &path.display().to_string());
    let ended = noted.and_then(|()| script.args.expect(known)).and_then(|()| run(&script, &engine, &ast, function));
    ended.map_err(|error| ScriptError::of(*error, &script))?;
    let ends = script.ends.borrow();
    Ok(Finish {
        failed: ends.values().any(|(ok, _)| !ok),
        halted: ends.values().any(|(_, halted)| *halted),
        exit: script.exit.get(),
    })
}

/// The functions of a script that are tests, in the order of its text: `fn test_name() { .. }`; none where it is no script.
pub fn tests(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let Ok(ast) = Engine::new().compile(readable(&text)) else { return Vec::new() };
    let is_test = |function: &&rhai::Shared<rhai::ScriptFuncDef>| {
        function.name.starts_with("test_") && function.params.is_empty()
    };
    let mut found: Vec<_> = ast.iter_fn_def().filter(is_test).collect();
    found.sort_by_key(|function| function.body.start_position());
    found.iter().map(|function| function.name.to_string()).collect()
}

/// A Rhai engine that knows combu's functions.
pub(super) fn engine(script: &Rc<Script>) -> Engine {
    let mut engine = engine_of_arrays(script);
    api::series::register(&mut engine);
    engine
}

/// The same, whose functions of arrays do not take what stands for one.
pub(super) fn engine_of_arrays(script: &Rc<Script>) -> Engine {
    let mut engine = Engine::new();
    engine.disable_symbol("eval");
    engine.set_strict_variables(true).set_fail_on_invalid_map_property(true);
    // Deep enough for people, and flat enough for the stack.
    engine.set_max_call_levels(DEPTH).set_max_expr_depths(EXPRESSION.0, EXPRESSION.1);
    // A sweep makes thousands of names, each once: to choose which to forget takes longer than to make them.
    engine.set_max_strings_interned(0);
    engine.set_module_resolver(resolver::Modules::new(script.clone()));
    let stage = script.stage.clone();
    engine.on_print(move |text| stage.print(text));
    let (stage, shown) = (script.stage.clone(), script.shown.display().to_string());
    engine.on_debug(move |text, source, position| {
        let file = source.unwrap_or(&shown);
        let place = format!("{file}:{}:{}", position.line().unwrap_or(0), position.position().unwrap_or(0));
        stage.debug(&place, text);
    });
    api::register(&mut engine, script);
    engine
}

/// Runs the script, then its open runs to their end: stopped after an error, else as they are.
fn run(script: &Script, engine: &Engine, ast: &AST, function: Option<&str>) -> Answer<()> {
    let mut ended = match function {
        None => engine.run_ast(ast),
        Some(name) => {
            let options = CallFnOptions::new().eval_ast(true);
            engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), ast, name, ()).map(drop)
        }
    };
    if ended.is_err() {
        script.transcript.close();
        script.open.borrow().iter().for_each(|open| open.cancel("an error in the script"));
    }
    loop {
        let Some(open) = script.open.borrow().last().cloned() else { break };
        let closed = open.close(script, &Caller::Outside(engine, ast));
        ended = ended.and(closed);
    }
    match ended {
        // A run that was interrupted returns like any other; the script may have had nothing left to do.
        Ok(()) if script.session.interrupt().count() > 0 => Err(interrupted(script.session.interrupt().by())),
        Ok(()) if script.exit.get().is_none() => script.args.check(true),
        ended => ended,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use crate::engine::fake::{Fake, Scene};
    use crate::script::harness::Lab;
    use crate::script::{Finish, ScriptErrorKind};

    /// Interrupts the script once it has written the file `ready`.
    #[expect(clippy::result_large_err, reason = "it is the caller's to look at")]
    fn interrupted(lab: &Lab, text: &str) -> Result<Finish, crate::script::ScriptError> {
        let ready = lab.folder.path().join("ready");
        let interrupt = lab.session.interrupt().clone();
        let watch = std::thread::spawn(move || {
            while !ready.exists() {
                std::thread::yield_now();
            }
            interrupt.fire("SIGINT");
        });
        let ended = lab.execute(text);
        watch.join().unwrap();
        ended
    }

    #[test]
    fn an_interrupt_ends_a_loop_a_sleep_a_shell_and_a_catch() {
        for body in [
            "loop { }",
            "sleep(600);",
            "sh(\"sleep 600\");",
            "try { sleep(600) } catch { print(\"no\") } print(\"no\");",
            "loop { try { let x = 1; x.nothing() } catch { } }",
            "sh(\"sleep 600 & true\");",
            "read_file(\"pipe\");",
            "read_json(\"pipe\");",
            "read_csv(\"pipe\");",
            "append_file(\"pipe\", \"x\");",
            "import \"pipe\" as pipe;",
            "try { read_file(\"pipe\") } catch { print(\"no\") }",
            "run([#{ name: \"slow\" }]);",
            "start(experiment(\"x\", [#{ name: \"slow\" }])).wait();",
            "let r = start(experiment(\"x\", [#{ name: \"slow\" }])); loop { r.next(); }",
        ] {
            let slow = Scene { run_for: Duration::from_secs(600), ..Scene::default() };
            let lab = Lab::on(Fake::default().scene("slow", [slow]));
            for pipe in ["pipe", "pipe.rhai"] {
                let made = std::process::Command::new("mkfifo").arg(lab.folder.path().join(pipe)).status().unwrap();
                assert!(made.success());
            }
            let error = interrupted(&lab, &format!("write_file(\"ready\", \"\");\n{body}")).unwrap_err();
            assert_eq!(error.kind, ScriptErrorKind::Interrupted("SIGINT".to_owned()), "{body}");
            // The first line, where the interrupt comes in the moment between the file and the end of its call.
            assert!(matches!(error.line, Some(1 | 2)), "{body}: {:?} {error}", error.line);
        }
    }

    #[test]
    fn a_script_that_takes_too_much_memory_ends_and_stops_its_runs() {
        for body in [
            "let s = \"x\"; loop { s += s; }",
            "let a = []; loop { a.push(blob(1_000_000)); }",
            "fn f(s) { loop { s += s; } } try { f(\"x\"); } catch { loop { } }",
        ] {
            let slow = Scene { run_for: Duration::from_secs(600), ..Scene::default() };
            let mut lab = Lab::on(Fake::default().scene("slow", [slow]));
            lab.memory = super::super::memory::taken() + (200 << 20);
            let script = format!("let live = start(experiment(\"bg\", [#{{ name: \"slow\" }}]));\n{body}");
            let output = lab.output(&script);
            assert!(output.starts_with("closed bg 0/1\nscript.rhai:2:"), "{output}");
            assert!(output.contains(" MiB of memory\n") || output.contains(" GiB of memory\n"), "{output}");
            assert!(output.contains("= look for a text, a list or a map that grows without an end"), "{output}");
        }
    }

    #[test]
    fn nesting_has_limits_that_are_told() {
        super::on_large_stack(nesting).unwrap();
    }

    fn nesting() {
        let lab = Lab::new();
        let deep = |open: &str, close: &str| format!("let x = {}1{};", open.repeat(200), close.repeat(200));
        assert_snapshot!(lab.output("fn f(n) { f(n + 1) } f(0);").lines().next().unwrap(), @"script.rhai:1:22: functions call each other too deeply: more than 100 calls within each other");
        for (open, close) in [("(", ")"), ("[", "]"), ("#{a:", "}"), ("!", "")] {
            let output = lab.output(&deep(open, close));
            assert!(
                output.contains("an expression may have 128 parts within each other, 64 in a function"),
                "{output}"
            );
        }
        assert_snapshot!(lab.output("let a = 1; for n in 0..101 { a = [a]; } to_json(a);"), @"
        script.rhai:1:41: more than 100 lists and maps within each other have no JSON form
          | let a = 1; for n in 0..101 { a = [a]; } to_json(a);
        ");
        assert_snapshot!(lab.output("let a = 1; for n in 0..100 { a = [a]; } print(from_json(to_json(a)) == a);"), @"true");
        assert_snapshot!(lab.output("let a = 1; for n in 0..100 { a = [a]; } trial(#{ name: \"deep\", params: #{ a: a } });"), @r#"
        script.rhai:1:41: more than 100 lists and maps within each other have no JSON form
          | let a = 1; for n in 0..100 { a = [a]; } trial(#{ name: "deep", params: #{ a: a } });
        "#);
    }

    #[test]
    fn an_interrupt_stops_a_run_calls_no_hook_and_ends_the_script() {
        let slow = Scene { run_for: Duration::from_secs(600), ..Scene::default() };
        let lab = Lab::on(Fake::default().scene("slow", [slow]));
        let script = "run([#{ name: \"slow\" }], #{
              on_start: |t| write_file(\"ready\", \"\"),
              on_complete: |t| write_file(\"hooked\", \"\"),
            });
            write_file(\"after\", \"\");";
        let error = interrupted(&lab, script).unwrap_err();
        assert_eq!(error.kind, ScriptErrorKind::Interrupted("SIGINT".to_owned()));
        assert!(!lab.folder.path().join("hooked").exists() && !lab.folder.path().join("after").exists());
        let again = lab.execute("run([#{ name: \"slow\" }]);").unwrap_err();
        assert_eq!(again.kind, ScriptErrorKind::Interrupted("SIGINT".to_owned()));
    }

    #[test]
    fn the_exit_code_follows_the_last_run_of_each_experiment() {
        let code = |text: &str| Lab::new().execute(text).unwrap().code();
        let bad = "run([#{ name: \"bad\", cmd: \"exit 1\" }]);";
        assert_eq!(code("1 + 1"), 0);
        assert_eq!(code(bad), 100);
        assert_eq!(code(&format!("{bad} run([#{{ name: \"good\" }}]);")), 0);
        assert_eq!(code(&format!("{bad} run(experiment(\"other\", [#{{ name: \"good\" }}]));")), 100);
        assert_eq!(code(&format!("{bad} exit();")), 0);
        assert_eq!(code(&format!("fn f() {{ exit(9) }} {bad} f(); exit(1);")), 9);
    }

    #[test]
    fn a_first_line_for_the_shell_and_a_mark_of_the_byte_order_are_passed_over() {
        assert_eq!(Lab::new().output("#!/usr/bin/env -S combu script\nprint(1);"), "1");
        assert_eq!(Lab::new().output("\u{feff}print(1);"), "1");
        assert_eq!(Lab::new().output("\u{feff}#!/usr/bin/env -S combu script\nprint(1);"), "1");
        assert_eq!(
            Lab::new().file("mark.rhai", "\u{feff}fn f() { 2 }").output("import \"mark\" as mark; print(mark::f());"),
            "2"
        );
        assert_eq!(Lab::new().file("mark.json", "\u{feff}[3]").output("print(read_json(\"mark.json\"));"), "[3]");
    }

    #[test]
    fn every_lab_script_compiles() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        let lab = Lab::new();
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            lab.compile(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(text.starts_with("// "), "{}: the first comment says what it shows", path.display());
            count += 1;
        }
        assert!(count >= 3);
    }

    #[test]
    fn eval_is_not_there_and_variables_are_strict() {
        let lab = Lab::new();
        assert_snapshot!(lab.output("eval(\"1\");"), @r#"
        script.rhai:1:1: reserved keyword 'eval' is disabled
          | eval("1");
        "#);
        assert_snapshot!(lab.output("fn f() { x } f();"), @"
        script.rhai:1:10: undefined variable: x
          | fn f() { x } f();
          = declare it first: `let x = ..;`
        ");
        assert_snapshot!(lab.output("exit(300);"), @"
        script.rhai:1:1: an exit code is a number from 0 to 255
          | exit(300);
        ");
    }
}

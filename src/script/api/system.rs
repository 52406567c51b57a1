//! The machine and the process: CPUs, arguments, variables, shell commands, time, the end of the script.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rhai::{Array, Dynamic, Engine, EvalAltResult, Map, NativeCallContext, Position};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::engine;
use crate::engine::EngineError;
use crate::model::capability::Gpu;
use crate::model::name::EngineName;
use crate::model::script::ScriptQuestion;
use crate::script::arguments::Arguments;
use crate::script::caller::Caller;
use crate::script::fault::{Answer, engine_fault, fault, fault_with};
use crate::script::host::{LOOK, Script};
use crate::script::live;

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_fn("cpus", move || host(&made).map(|(cpus, _)| (cpus as i64).max(1)));
    let made = script.clone();
    engine.register_fn("memory", move || host(&made).map(|(_, memory)| memory as i64));
    let made = script.clone();
    engine.register_fn("gpus", move || gpus(&made));
    let made = script.clone();
    engine.register_fn("args", move || made.args.all().iter().map(|text| text.as_str().into()).collect::<Array>());
    let made = script.clone();
    engine.register_fn("param", move |name: &str, default: Dynamic| param(&made.args, name, &default));
    let made = script.clone();
    engine.register_fn("env", move |name: &str| {
        variable(&made, name)?.ok_or_else(|| {
            fault_with(format!("the environment has no `{name}`"), format!("write `env(\"{name}\", default)`"))
        })
    });
    let made = script.clone();
    engine.register_fn("env", move |name: &str, default: Dynamic| {
        variable(&made, name).map(|value| value.unwrap_or(default))
    });
    let made = script.clone();
    engine.register_fn("sh", move |context: NativeCallContext, line: &str| sh(&made, &context, line));
    let made = script.clone();
    engine.register_fn("now", move || {
        made.transcript.answer(ScriptQuestion::Now, || {
            Ok(match made.session.virtual_time() {
                Some((_, now)) => now as f64 / 1000.0,
                None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            })
        })
    });
    let made = script.clone();
    engine.register_fn("sleep", move |context: NativeCallContext, seconds: i64| sleep(&made, &context, seconds as f64));
    let made = script.clone();
    engine.register_fn("sleep", move |context: NativeCallContext, seconds: f64| sleep(&made, &context, seconds));
    let made = script.clone();
    engine.register_fn("exit", move || exit(&made, 0));
    let made = script.clone();
    engine.register_fn("exit", move |code: i64| exit(&made, code));
}

/// The default engine; this machine's own where that does not answer.
fn default_engine(script: &Script) -> Answer<Arc<dyn engine::Engine>> {
    let name = script.options.defaults.engine.or(script.below.defaults.engine).unwrap_or_default();
    let session = script.session.clone();
    let find = move || match session.engine(name) {
        Err(EngineError::Unreachable { .. }) => session.engine(EngineName::Local),
        answer => answer,
    };
    script.wait_for(find)?.map_err(|error| engine_fault(&error))
}

/// CPUs and memory of the default engine's host.
pub(super) fn host(script: &Script) -> Answer<(f64, u64)> {
    let engine = default_engine(script)?;
    Ok((engine.capabilities().cpus, engine.capabilities().memory))
}

/// The GPUs of the default engine's host, as they are at this moment.
fn gpus(script: &Script) -> Answer<Array> {
    let engine = default_engine(script)?;
    let session = script.session.clone();
    let gpus = script.wait_for(move || session.wait_for(engine.gpus()))?.map_err(|error| engine_fault(&error))?;
    Ok(gpus.into_iter().map(|gpu| Dynamic::from_map(gpu_map(gpu))).collect())
}

fn gpu_map(gpu: Gpu) -> Map {
    Map::from([
        ("id".into(), gpu.id.into()),
        ("name".into(), gpu.name.into()),
        ("memory".into(), (gpu.memory as i64).into()),
        ("busy".into(), gpu.busy.map_or(Dynamic::UNIT, Dynamic::from)),
    ])
}

/// The value of a parameter among the arguments, typed like the default.
pub(crate) fn param(args: &Arguments, name: &str, default: &Dynamic) -> Answer<Dynamic> {
    let given = args.take(name, default.is_bool())?;
    given.map_or_else(|| Ok(default.clone()), |text| typed(name, &text, default))
}

fn typed(name: &str, text: &str, default: &Dynamic) -> Answer<Dynamic> {
    let wrong = |what: &str| fault(format!("the argument `{name}` is {what}, not `{text}`"));
    if default.is_int() {
        text.parse::<i64>().map(Dynamic::from).map_err(|_| wrong("a whole number"))
    } else if default.is_float() {
        text.parse::<f64>().map(Dynamic::from).map_err(|_| wrong("a number"))
    } else if default.is_bool() {
        match text {
            "true" | "yes" | "1" => Ok(true.into()),
            "false" | "no" | "0" => Ok(false.into()),
            _ => Err(wrong("true or false")),
        }
    } else if default.is_array() {
        Ok(text.split(',').map(|part| super::files::guessed(part.trim())).collect::<Array>().into())
    } else {
        Ok(text.into())
    }
}

fn variable(script: &Script, name: &str) -> Answer<Option<Dynamic>> {
    let value = script.transcript.answer(ScriptQuestion::Variable, || match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(fault(format!("the variable `{name}` is not UTF-8 text"))),
    })?;
    Ok(value.map(Dynamic::from))
}

/// Runs a line of shell in the script's folder and waits for it; an interrupt ends it with all it started.
fn sh(script: &Script, context: &NativeCallContext, line: &str) -> Answer<Map> {
    script.check_interrupt()?;
    let caller = Caller::Inside(context);
    let was_served = live::replay(script, &caller);
    let failed = |error: std::io::Error| fault(format!("cannot run `{line}`: {error}"));
    let mut child = Command::new("sh")
        .args(["-c", line])
        .current_dir(&script.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let status = loop {
        // What it left in the background may hold its streams.
        if let Some(status) = child.try_wait().map_err(failed)?
            && stdout.is_finished()
            && stderr.is_finished()
        {
            break status;
        }
        if let Err(interrupted) = script.check_interrupt() {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It may have ended in this moment; then there is no one to kill.
                let _gone = kill_process_group(group, Signal::KILL);
            }
            child.wait().map_err(failed)?;
            return Err(interrupted);
        }
        match was_served {
            true => std::thread::sleep(LOOK),
            false => live::look_again(script, &caller),
        }
    };
    if !was_served {
        script.transcript.keep_wait_over();
    }
    let text = |reader: std::thread::JoinHandle<std::io::Result<Vec<u8>>>| {
        let bytes = reader.join().expect("reading bytes does not panic").map_err(failed)?;
        Ok::<_, Box<EvalAltResult>>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    let mut answer = Map::new();
    answer.insert("stdout".into(), text(stdout)?.into());
    answer.insert("stderr".into(), text(stderr)?.into());
    answer.insert("code".into(), i64::from(code).into());
    answer.insert("ok".into(), status.success().into());
    Ok(answer)
}

/// Reads a stream to its end beside the other one: a full pipe would stop the command.
fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<std::io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.map_or(Ok(0), |mut stream| stream.read_to_end(&mut bytes))?;
        Ok(bytes)
    })
}

fn sleep(script: &Script, context: &NativeCallContext, seconds: f64) -> Answer<()> {
    let span = Duration::try_from_secs_f64(seconds).map_err(|_| fault(format!("cannot sleep {seconds} seconds")))?;
    live::pass(script, &Caller::Inside(context), span)
}

/// Ends the script; runs that are open are waited for.
fn exit(script: &Script, code: i64) -> Answer<()> {
    let code = i32::try_from(code).ok().filter(|code| (0..=255).contains(code));
    script.exit.set(Some(code.ok_or_else(|| fault("an exit code is a number from 0 to 255"))?));
    Err(EvalAltResult::Exit(Dynamic::UNIT, Position::NONE).into())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::gpu_map;
    use crate::engine::fake::Fake;
    use crate::model::capability::Gpu;
    use crate::script::harness::Lab;

    #[test]
    fn the_host_is_that_of_the_default_engine() {
        let lab = Lab::on(Fake::new(7.0));
        assert_snapshot!(lab.output("print(cpus() - 1); print(memory()); print(gpus());"), @"
        6
        68719476736
        []
        ");
    }

    #[test]
    fn arguments_are_typed_like_their_default() {
        let mut lab = Lab::new();
        let args = ["--count", "3", "rate=0.5", "--modes=a,2", "--quick", "--out-file", "x.csv", "rest", "--slow=no"];
        lab.args = args.map(str::to_owned).into();
        let script = "print(param(\"count\", 1) + 1); print(param(\"rate\", 1.0)); print(param(\"modes\", [])); print(param(\"quick\", false));
            print(param(\"out_file\", \"y\")); print(param(\"none\", 7)); print(param(\"slow\", true)); print(args().len());
            param(\"out_file\", 1);";
        assert_snapshot!(lab.output(script), @r#"
        4
        0.5
        ["a", 2]
        true
        x.csv
        7
        false
        9
        script.rhai:3:13: the argument `out_file` is a whole number, not `x.csv`
          | param("out_file", 1);
        "#);
    }

    #[test]
    fn the_hosts_gpus_are_maps() {
        let gpu = |id: &str, busy: Option<&str>| Gpu {
            id: id.to_owned(),
            uuid: None,
            name: "A100".to_owned(),
            memory: 80 << 30,
            busy: busy.map(str::to_owned),
        };
        let maps: rhai::Array =
            [gpu("0", None), gpu("1", Some("python (pid 7)"))].map(|gpu| gpu_map(gpu).into()).into();
        assert_snapshot!(rhai::Dynamic::from_array(maps), @r#"[#{"busy": (), "id": "0", "memory": 85899345920, "name": "A100"}, #{"busy": "python (pid 7)", "id": "1", "memory": 85899345920, "name": "A100"}]"#);
        assert_snapshot!(Lab::new().output("print(gpus());"), @"[]");
    }

    #[test]
    fn a_shell_line_runs_in_the_scripts_folder() {
        let lab = Lab::new();
        lab.file("here.txt", "");
        let script = "let r = sh(\"ls here.txt; echo no >&2; exit 3\"); print(r); print(sh(\"kill -9 $$\").code); print(sh(\"true\").ok);";
        assert_snapshot!(lab.output(script), @r#"
        #{"code": 3, "ok": false, "stderr": "no\n", "stdout": "here.txt\n"}
        137
        true
        "#);
    }

    #[test]
    fn variables_and_time() {
        let lab = Lab::new();
        let script =
            "print(env(\"COMBU_NO_SUCH\", 5)); print(env(\"PATH\") != \"\"); let t = now(); sleep(0.01); sleep(0);
            print(now() - t >= 0.01); print(t > 1.6e9); env(\"COMBU_NO_SUCH\");";
        assert_snapshot!(lab.output(script), @r#"
        5
        true
        true
        true
        script.rhai:2:57: the environment has no `COMBU_NO_SUCH`
          | print(now() - t >= 0.01); print(t > 1.6e9); env("COMBU_NO_SUCH");
          = write `env("COMBU_NO_SUCH", default)`
        "#);
    }
}

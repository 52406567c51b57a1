//! The evaluator as a process of its own: a spec that nests too deeply, or takes too much memory or time, ends that process
//! and not combu, and what it took goes back to the system at once.
//!
//! combu writes one request to it and reads lines: `v` and a value (the document with an empty list of trials, then each
//! trial), `s` and the text of a file that was read, and last `.`, or `e` and what is wrong.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::error::Frame;
use crate::spec::manifest::{self, MAKES, Unevaluated, problem, shown};
use crate::spec::sources::{LoadOptions, Sources};
use crate::spec::{keys, load};

/// The hidden verb of combu that serves.
pub const VERB: &str = "__evaluate";

/// Most seconds of CPU time that an evaluation may take: 200,000 composed trials take half a minute.
const MOST_SECONDS: u64 = 600;
/// Most bytes of memory: a quarter of the machine's, but between these. 200,000 composed trials take less than 1 GiB.
const MEMORY: (u64, u64) = (4 << 30, 16 << 30);
/// Bytes of the process's last words that are looked at.
const LAST_WORDS: usize = 1 << 16;

/// What is asked for.
#[derive(Serialize, Deserialize)]
pub(super) struct EvaluationRequest<'a> {
    pub(super) path: Cow<'a, Path>,
    pub(super) text: Cow<'a, str>,
    pub(super) options: Cow<'a, LoadOptions>,
    /// The process that waits for the answer.
    pub(super) parent: i32,
    /// Whether it says on standard error which value it makes: one that runs out of stack has no other way to say where.
    pub(super) traced: bool,
}

/// A file that was read.
#[derive(Serialize, Deserialize)]
struct SourceText {
    path: PathBuf,
    text: String,
}

/// Evaluates `text`, the content of the file at `path` (absolute), to JSON, and reads that with `read`: the document with an
/// empty list of trials in it, and its trials, of which only a few exist as JSON at any time.
///
/// In a process of its own, where the options name its program.
pub(super) fn evaluate<T>(
    path: &Path,
    text: &str,
    options: &LoadOptions,
    read: impl FnOnce(Value, &mut dyn Iterator<Item = Value>) -> T,
) -> Result<T, Unevaluated> {
    if let Some(program) = &options.evaluator {
        let parent = rustix::process::getpid().as_raw_pid();
        let (path, text, options) = (path.into(), text.into(), Cow::Borrowed(options));
        let request = EvaluationRequest { path, text, options, parent, traced: false };
        // A path that is no text cannot be told to another process in JSON.
        if let Ok(written) = serde_json::to_vec(&request) {
            return elsewhere(program, &request, &written, read);
        }
    }
    load::evaluate(path, text, options, read)
}

fn elsewhere<T>(
    program: &Path,
    request: &EvaluationRequest<'_>,
    written: &[u8],
    read: impl FnOnce(Value, &mut dyn Iterator<Item = Value>) -> T,
) -> Result<T, Unevaluated> {
    let failed = |error: io::Error| problem(format!("the jsonnet evaluator could not start: {error}"), None, "");
    let mut child = start(program).map_err(failed)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(mut stderr)) = (stdin, stdout, stderr) else {
        unreachable!("all three were asked for");
    };
    thread::scope(|scope| {
        let last_words = scope.spawn(move || {
            let (mut words, mut part) = (Vec::new(), [0; LAST_WORDS]);
            // What is not read would stop it from ending.
            while let Ok(read @ 1..) = stderr.read(&mut part) {
                words.extend_from_slice(&part[..read]);
                words.drain(..words.len().saturating_sub(LAST_WORDS));
            }
            String::from_utf8_lossy(&words).into_owned()
        });
        // One that died early says why by its end.
        let _gone = stdin.write_all(written);
        drop(stdin);
        let mut answers =
            Answers { lines: BufReader::with_capacity(1 << 16, stdout), sources: &request.options.sources, end: None };
        let done = answers.next().map(|document| read(document, &mut answers));
        answers.by_ref().for_each(drop);
        let status = child.wait().map_err(failed)?;
        match (answers.end, done) {
            (Some(Ok(())), Some(done)) => Ok(done),
            (Some(Err(problem)), _) => Err(problem),
            _ => {
                let last_words = last_words.join().unwrap_or_default();
                let at = || if request.traced { traced(&last_words) } else { place(program, request) };
                let mut died = died(status, &last_words, at);
                died.frames.extend(frame(request, &died.at));
                Err(died)
            }
        }
    })
}

/// The place in the document that the evaluator does not survive, as far as another one can tell.
fn place(program: &Path, request: &EvaluationRequest<'_>) -> String {
    let (path, text, options) = (request.path.clone(), request.text.clone(), request.options.clone());
    let request = EvaluationRequest { path, text, options, parent: request.parent, traced: true };
    let written = serde_json::to_vec(&request).unwrap_or_default();
    elsewhere(program, &request, &written, |_, _| ()).err().map(|problem| problem.at).unwrap_or_default()
}

/// The place in the text of a value at that place in the document, where its key stands there once.
fn frame(request: &EvaluationRequest<'_>, at: &str) -> Option<Frame> {
    let key = at.rsplit_once(['.', ']']).map_or(at, |(_, key)| key);
    let (line, column) = keys::only_place(&request.text, key)?;
    let text = request.text.lines().nth(line - 1).unwrap_or_default().to_owned();
    Some(Frame { file: shown(&request.path), line, column, text, description: String::new() })
}

/// The last value that it said it makes.
fn traced(last_words: &str) -> String {
    last_words.lines().rev().find_map(|line| line.strip_prefix(MAKES)).unwrap_or_default().to_owned()
}

fn start(program: &Path) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg(VERB).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// The values as they come; the end is known once there are no more.
pub(super) struct Answers<'a, R> {
    pub(super) lines: R,
    pub(super) sources: &'a Sources,
    pub(super) end: Option<Result<(), Unevaluated>>,
}

impl<R: BufRead> Iterator for Answers<'_, R> {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        while self.end.is_none() {
            let mut line = Vec::new();
            self.lines.read_until(b'\n', &mut line).ok()?;
            match line.split_first()? {
                (b'v', value) => return parsed(value),
                (b's', text) => {
                    let SourceText { path, text } = parsed(text)?;
                    self.sources.note(&path, &text);
                }
                (b'e', problem) => self.end = Some(Err(parsed(problem)?)),
                (b'.', _) => self.end = Some(Ok(())),
                _ => return None,
            }
        }
        None
    }
}

/// The depth is that of the evaluator, which has its own limit.
pub(super) fn parsed<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let mut json = serde_json::Deserializer::from_slice(json);
    json.disable_recursion_limit();
    T::deserialize(&mut json).ok()
}

/// The error where it ended without a word of its own.
fn died(status: ExitStatus, last_words: &str, at: impl FnOnce() -> String) -> Unevaluated {
    let signal = status.signal();
    let is = |one: Signal| signal == Some(one.as_raw());
    let hint = |text: &str| Some(text.to_owned());
    if last_words.contains("overflowed its stack") || is(Signal::SEGV) {
        let hint = hint("look for a field that needs itself again and again, or a value inside thousands of others");
        return problem("it nests too deeply: the jsonnet evaluator ran out of stack".to_owned(), hint, &at());
    }
    if last_words.contains("memory allocation of") {
        let limit = memory() >> 30;
        let hint = hint("look for a text or a list that doubles again and again");
        return problem(format!("evaluating it takes more than {limit} GiB of memory"), hint, &at());
    }
    if is(Signal::XCPU) {
        let minutes = MOST_SECONDS / 60;
        let hint = hint("look for a loop or a recursion without an end");
        return problem(format!("evaluating it takes more than {minutes} minutes"), hint, "");
    }
    let said = last_words.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
    problem(format!("the jsonnet evaluator ended early ({status}){said}"), None, "")
}

/// The process: reads a request from standard input and answers on `out`; `trace` is its standard error. To be called for the hidden verb [`VERB`], before
/// anything else is set up.
pub fn serve(out: impl Write, trace: impl Write + Send + 'static) -> ExitCode {
    bound();
    let mut request = Vec::new();
    let request = io::stdin().lock().read_to_end(&mut request).ok().and_then(|_| parsed::<EvaluationRequest>(&request));
    let Some(EvaluationRequest { path, text, options, parent, traced }) = request else { return ExitCode::FAILURE };
    if traced {
        manifest::trace(trace);
    }
    if is_orphan(parent) {
        return ExitCode::FAILURE;
    }
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let written = load::evaluate(&path, &text, &options, |document, values| {
        std::iter::once(document).chain(values).try_for_each(|value| answer(&mut out, b'v', &value))
    });
    let ended = options
        .sources
        .all()
        .into_iter()
        .try_for_each(|(path, text)| answer(&mut out, b's', &SourceText { path, text }));
    let ended = ended.and_then(|()| match &written {
        Ok(Ok(())) => answer(&mut out, b'.', &()),
        Ok(Err(_)) => Ok(()),
        Err(problem) => answer(&mut out, b'e', problem),
    });
    // A combu that is gone needs no answer.
    if ended.and_then(|()| out.flush()).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub(super) fn answer(out: &mut impl Write, kind: u8, what: &impl Serialize) -> io::Result<()> {
    out.write_all(&[kind])?;
    serde_json::to_writer(&mut *out, what)?;
    out.write_all(b"\n")
}

/// Bounds what this process may take, and lets it end with the thread of combu that waits for it.
fn bound() {
    let limit = |resource, most| {
        // Where the system allows less, that is the bound.
        let _less = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    };
    limit(Resource::As, memory());
    limit(Resource::Cpu, MOST_SECONDS);
    limit(Resource::Core, 0);
    let _old_kernel = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

/// Whether the process that asked is gone: it may have died before this one was to die with it.
fn is_orphan(parent: i32) -> bool {
    rustix::process::getppid().is_none_or(|found| found.as_raw_pid() != parent)
}

fn memory() -> u64 {
    quarter_of_memory(MEMORY)
}

/// A quarter of the machine's memory in bytes, but no less and no more than these.
pub fn quarter_of_memory((least, most): (u64, u64)) -> u64 {
    let system = rustix::system::sysinfo();
    let total = (system.totalram as u64).saturating_mul(u64::from(system.mem_unit));
    (total / 4).clamp(least, most)
}

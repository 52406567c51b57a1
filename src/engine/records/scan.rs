//! Bytes to lines, and the lines that tell something to their recorder. Costs little where there are none.
//!
//! A line that is redrawn with carriage returns, as progress bars are, is one line: a pattern finds the last value that it
//! showed. A marked line may follow a carriage return.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memchr2, memchr2_iter, memmem, memrchr, memrchr2};

use crate::engine::records::parse::{MARK, json, marked};
use crate::engine::records::pattern::Pattern;
use crate::engine::records::recorder::{Recorder, Records};
use crate::model::event::Record;

/// Longest line that is looked at, in bytes.
const LONGEST: usize = 64 << 10;

/// Finds what the lines of one stream tell, however they are cut into chunks.
#[derive(Debug)]
pub(crate) struct Scanner {
    recorder: Recorder,
    form: LineForm,
    /// The beginning of a line whose end is still to come.
    line: Vec<u8>,
    /// True while the line that goes on is of no interest.
    passed: bool,
    /// Lines that have ended.
    lines: u64,
    /// Lines to come that were seen before.
    again: u64,
}

#[derive(Debug)]
enum LineForm {
    /// A standard output: marked lines, and what patterns find in the others.
    Output(Arc<[Pattern]>),
    /// Lines of JSON.
    Json,
}

impl Scanner {
    /// A scanner for a standard output.
    pub(crate) fn of_output(recorder: &Recorder) -> Self {
        Self::new(recorder, LineForm::Output(recorder.patterns()))
    }

    /// A scanner for a file with lines of JSON.
    pub(super) fn of_json(recorder: &Recorder) -> Self {
        Self::new(recorder, LineForm::Json)
    }

    fn new(recorder: &Recorder, form: LineForm) -> Self {
        Self { recorder: recorder.clone(), form, line: Vec::new(), passed: false, lines: 0, again: 0 }
    }

    /// Takes what is told beside the stream.
    pub(crate) fn tell(&self, record: Record) {
        let mut records = self.recorder.lock();
        records.hear(Ok(vec![record]));
        records.pass_on();
    }

    /// The stream is about to be said again from its start: what was taken is not taken twice. Counted in lines, because
    /// an engine's log may keep a byte that is no text as another.
    pub(crate) fn restart(&mut self) {
        self.again = self.lines;
        self.line.clear();
        self.passed = false;
    }

    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while self.again > 0 {
            let Some(end) = self.first_end(bytes) else { return };
            bytes = &bytes[end + 1..];
            self.again -= 1;
        }
        self.lines += self.ends(bytes);
        if self.passed || !self.line.is_empty() {
            let Some(end) = self.first_end(bytes) else { return self.hold(bytes) };
            self.hold(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        let last = if self.takes_marked_only() { memrchr2(b'\n', b'\r', bytes) } else { memrchr(b'\n', bytes) };
        let Some(last) = last else { return self.hold(bytes) };
        let (whole, rest) = bytes.split_at(last + 1);
        self.whole(whole);
        self.hold(rest);
    }

    /// The first end of a line. Where marked lines alone matter, a carriage return is one, too.
    fn first_end(&self, bytes: &[u8]) -> Option<usize> {
        if self.takes_marked_only() { memchr2(b'\n', b'\r', bytes) } else { memchr(b'\n', bytes) }
    }

    /// How many lines end in the bytes.
    fn ends(&self, bytes: &[u8]) -> u64 {
        let marked_only = self.takes_marked_only();
        let count =
            if marked_only { memchr2_iter(b'\n', b'\r', bytes).count() } else { memchr_iter(b'\n', bytes).count() };
        count as u64
    }

    /// The stream has ended, perhaps in the middle of a line.
    pub(crate) fn end(&mut self) {
        self.end_line();
    }

    /// Lines that lie in one piece, each with its end.
    fn whole(&self, lines: &[u8]) {
        if self.takes_marked_only() {
            // Locked only where there is something to take.
            let mut inner = None;
            for at in memmem::find_iter(lines, MARK).filter(|at| *at == 0 || matches!(lines[at - 1], b'\n' | b'\r')) {
                let end = memchr2(b'\n', b'\r', &lines[at..]).map_or(lines.len(), |end| at + end);
                self.read(&lines[at..end], inner.get_or_insert_with(|| self.recorder.lock()));
            }
            if let Some(mut inner) = inner {
                inner.pass_on();
            }
            return;
        }
        let mut inner = self.recorder.lock();
        let mut start = 0;
        for end in memchr_iter(b'\n', lines) {
            self.read(&lines[start..end], &mut inner);
            start = end + 1;
        }
        inner.pass_on();
    }

    /// Keeps the beginning of a line, unless it can be of no interest.
    fn hold(&mut self, part: &[u8]) {
        if self.passed || part.is_empty() {
            return;
        }
        self.append(part);
        let common = self.line.len().min(MARK.len());
        let may_be_marked = self.line[..common] == MARK[..common];
        if self.takes_marked_only() && !may_be_marked {
            self.passed = true;
        }
        if self.line.len() > LONGEST {
            self.read(&self.line, &mut self.recorder.lock());
            self.passed = true;
        }
        if self.passed {
            self.line = Vec::new();
        }
    }

    /// Adds to the line that is held. Of one that is redrawn again and again, what was drawn last is enough.
    fn append(&mut self, part: &[u8]) {
        let redrawn = matches!(self.form, LineForm::Output(_)) && self.line.len() + part.len() > LONGEST;
        if !redrawn {
            return self.line.extend_from_slice(&part[..part.len().min(LONGEST + 1)]);
        }
        self.line.extend_from_slice(part);
        let from = self.line.len().saturating_sub(LONGEST / 2);
        if let Some(return_at) = memchr(b'\r', &self.line[from..]) {
            let drawn_over: Vec<u8> = self.line.drain(..=from + return_at).collect();
            let mut inner = self.recorder.lock();
            read_output(&drawn_over, &[], &mut inner);
            inner.pass_on();
        }
        self.line.truncate(LONGEST + 1);
    }

    fn end_line(&mut self) {
        if !self.passed && !self.line.is_empty() {
            let mut inner = self.recorder.lock();
            self.read(&self.line, &mut inner);
            inner.pass_on();
        }
        self.line.clear();
        self.passed = false;
    }

    fn takes_marked_only(&self) -> bool {
        matches!(&self.form, LineForm::Output(patterns) if patterns.is_empty())
    }

    /// Takes one line, without its end.
    fn read(&self, line: &[u8], inner: &mut Records) {
        match &self.form {
            LineForm::Output(patterns) => read_output(line, patterns, inner),
            LineForm::Json if line.len() > LONGEST => inner.refuse(too_long()),
            LineForm::Json if line.iter().all(u8::is_ascii_whitespace) => {}
            LineForm::Json => inner.hear(json(line)),
        }
    }
}

/// Takes one line of an output: what is marked in it, and the last that each pattern finds.
fn read_output(line: &[u8], patterns: &[Pattern], inner: &mut Records) {
    let drawn = || line.split(|byte| *byte == b'\r').filter(|drawn| !drawn.is_empty());
    for rest in drawn().filter_map(|drawn| drawn.strip_prefix(MARK)) {
        let is_too_long = rest.len() + MARK.len() > LONGEST;
        inner.hear(if is_too_long { Err(too_long()) } else { marked(rest) });
    }
    // Of a program's own lines that are longer than anything meant for us nobody speaks.
    let own = |drawn: &&[u8]| !drawn.starts_with(MARK) && drawn.len() <= LONGEST;
    for pattern in patterns {
        if let Some(found) = drawn().rev().filter(own).find_map(|drawn| pattern.find(drawn)) {
            inner.hear(found);
        }
    }
}

fn too_long() -> String {
    format!("it is longer than {} KiB", LONGEST >> 10)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Scanner};
    use crate::engine::records::recorder::tests::{lines, recorder};

    const TEXT: &str = "starts\n::combu metric loss=1 step=1\r\nnoise ::combu metric no=1\n ::combu metric no=2\n\
                        epoch 2: loss 0.5, acc 90 %\n::combu tag phase=a\n\n::combu artifact /out/x\n::combu metric last=3";

    /// What is told of a text that comes in chunks of that size.
    fn told(text: &[u8], patterns: &[(&str, &str)], size: usize) -> String {
        let (recorder, told) = recorder(patterns);
        let mut scanner = Scanner::of_output(&recorder);
        text.chunks(size).for_each(|chunk| scanner.take(chunk));
        scanner.end();
        let told = told.lock().unwrap();
        let unread = recorder.finish();
        format!("{}{}", lines(&told), unread.join("\n"))
    }

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let whole = told(TEXT.as_bytes(), &[], TEXT.len());
        insta::assert_snapshot!(whole, @r#"
        loss=1 at 1
        tag phase="a"
        artifact /out/x
        last=3
        "#);
        let patterns = [("loss", "loss ([0-9.]+)"), ("acc", r"acc\s+(\S+)\s*%")];
        let found = told(TEXT.as_bytes(), &patterns, TEXT.len());
        insta::assert_snapshot!(found, @r#"
        loss=1 at 1
        acc=90
        loss=0.5
        tag phase="a"
        artifact /out/x
        last=3
        "#);
        for size in 1..TEXT.len() {
            assert_eq!(told(TEXT.as_bytes(), &[], size), whole, "{size}");
            assert_eq!(told(TEXT.as_bytes(), &patterns, size), found, "{size}");
        }
    }

    #[test]
    fn a_line_that_is_redrawn_is_one_line_of_which_the_last_counts() {
        let bar: String = (0..5000).map(|i| format!("\r{i}/5000 loss={}", 5000 - i)).collect();
        let text = format!("{bar}\r        \rdone\n20% loss=3\r\n{bar}\r::combu tag phase=end\n");
        let whole = told(text.as_bytes(), &[("loss", "loss=([0-9.]+)")], text.len());
        insta::assert_snapshot!(whole, @r#"
        loss=1
        loss=3
        tag phase="end"
        loss=1
        "#);
        for size in [1, 7, 4096, 70_000] {
            assert_eq!(told(text.as_bytes(), &[("loss", "loss=([0-9.]+)")], size), whole, "{size}");
            assert_eq!(told(text.as_bytes(), &[], size), "tag phase=\"end\"", "{size}");
        }
    }

    #[test]
    fn what_is_said_again_is_not_taken_twice() {
        for cut in 0..TEXT.len() {
            let (recorder, taken) = recorder(&[]);
            let mut scanner = Scanner::of_output(&recorder);
            scanner.take(&TEXT.as_bytes()[..cut]);
            scanner.restart();
            scanner.take(&TEXT.as_bytes()[..cut / 2]);
            scanner.restart();
            TEXT.as_bytes().chunks(7).for_each(|chunk| scanner.take(chunk));
            scanner.end();
            assert_eq!(lines(&taken.lock().unwrap()), told(TEXT.as_bytes(), &[], 64), "{cut}");
        }
    }

    #[test]
    fn long_lines_and_bytes_that_are_no_text_are_passed_over() {
        let long = "x".repeat(1 << 20);
        let mark = format!("::combu tag long={long}");
        let text = [
            b"\xff\xfe\n".as_slice(),
            long.as_bytes(),
            b"\n::combu metric a=1\n",
            mark.as_bytes(),
            b"\n\xff::combu metric no=1\n::combu metric b=\xff\n::combu metric c=2",
        ]
        .concat();
        let whole = told(&text, &[], text.len());
        insta::assert_snapshot!(whole, @"
        a=1
        c=2told something that cannot be read, 2 times; the first: it is longer than 64 KiB
        ");
        let patterns = [("no", "(x)x*$")];
        for size in [1, 4096, LONGEST, LONGEST + 1, 1 << 19] {
            assert_eq!(told(&text, &[], size), whole, "{size}");
            assert_eq!(told(&text, &patterns, size), whole, "{size}");
        }
    }

    #[test]
    fn a_pattern_finds_numbers_only() {
        let text = "loss: nan\nloss: 1e-3 \nloss:\n";
        insta::assert_snapshot!(told(text.as_bytes(), &[("loss", "loss:(.*)")], 5), @"loss=0.001told something that cannot be read, 2 times; the first: `loss` found ` nan`, which is no finite number");
    }
}

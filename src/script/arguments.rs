//! The arguments of a script: the words behind its file, and which of them the script took.

use std::cell::{Cell, RefCell};

use crate::script::fault::{Answer, fault, fault_with};
use crate::script::parameters::{Parameters, flag};

/// The words behind a script's file.
pub(crate) struct Arguments {
    words: Vec<String>,
    taken: RefCell<Vec<bool>>,
    /// What the text of the script says that it takes.
    known: RefCell<Parameters>,
    is_checked: Cell<bool>,
}

impl Arguments {
    pub(super) fn new(words: Vec<String>) -> Self {
        let taken = RefCell::new(vec![false; words.len()]);
        Self { words, taken, known: RefCell::default(), is_checked: Cell::new(false) }
    }

    /// Takes all of them.
    pub(super) fn all(&self) -> &[String] {
        self.taken.borrow_mut().fill(true);
        &self.words
    }

    /// Takes the value of `--name value`, `--name=value` or `name=value`, the last where there are several. A parameter
    /// that `is_switch` has the value `true` where it is given as `--name` alone.
    ///
    /// # Errors
    /// When the value is missing.
    pub(super) fn take(&self, name: &str, is_switch: bool) -> Answer<Option<String>> {
        let mut given = None;
        let mut words = self.words.iter().enumerate();
        while let Some((place, word)) = words.next() {
            let (key, value) = word.split_once('=').map_or((word.as_str(), None), |(key, value)| (key, Some(value)));
            let option = key == flag(name) || key.strip_prefix("--") == Some(name);
            let assigned = value.is_some() && key == name;
            if !option && !assigned {
                // The value of another parameter is no option.
                if self.known.borrow().is_followed(word) {
                    words.next();
                }
                continue;
            }
            self.taken.borrow_mut()[place] = true;
            given = Some(match value {
                Some(value) => value.to_owned(),
                None if is_switch => "true".to_owned(),
                None => {
                    let (place, value) = words.next().ok_or_else(|| fault(format!("`{key}` needs a value")))?;
                    self.taken.borrow_mut()[place] = true;
                    value.clone()
                }
            });
        }
        Ok(given)
    }

    /// Notes what the text says, and refuses words that this script can never take.
    ///
    /// # Errors
    /// When there are such words.
    pub(super) fn expect(&self, known: Parameters) -> Answer<()> {
        *self.known.borrow_mut() = known;
        let known = self.known.borrow();
        if known.is_open {
            return Ok(());
        }
        self.is_checked.set(true);
        let mut words = self.words.iter();
        while let Some(word) = words.next() {
            match known.given(word) {
                Some(_) if known.is_followed(word) => drop(words.next()),
                Some(_) => {}
                None => return Err(unknown(word, &known)),
            }
        }
        Ok(())
    }

    /// Refuses words that the script has not taken by now; `at_end`: it will take no more.
    ///
    /// # Errors
    /// When there are such words.
    pub(super) fn check(&self, at_end: bool) -> Answer<()> {
        let known = self.known.borrow();
        if self.is_checked.get() || (known.takes_all && !at_end) {
            return Ok(());
        }
        self.is_checked.set(true);
        let taken = self.taken.borrow();
        let mut words = self.words.iter().zip(taken.iter());
        while let Some((word, taken)) = words.next() {
            match known.given(word) {
                _ if *taken => {}
                Some(_) if known.is_followed(word) => drop(words.next()),
                Some(_) => {}
                None => return Err(unknown(word, &known)),
            }
        }
        Ok(())
    }
}

fn unknown(word: &str, known: &Parameters) -> Box<rhai::EvalAltResult> {
    let message = format!("the script takes no argument `{word}`");
    match known.nearest(word) {
        Some(near) => fault_with(message, format!("did you mean `{near}`?")),
        None if known.is_open => fault_with(message, "nothing has read it: look how the script names its parameters"),
        None if known.list.is_empty() => {
            fault_with(message, "it has no parameters: `param(\"name\", default)` reads one, `args()` all words")
        }
        None => {
            let names: Vec<_> = known.list.iter().map(|one| format!("`{}`", one.flag())).collect();
            fault_with(message, format!("its parameters are {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    fn output(args: &[&str], script: &str) -> String {
        let mut lab = Lab::new();
        lab.args = args.iter().map(|&word| word.to_owned()).collect();
        lab.output(script)
    }

    #[test]
    fn an_argument_that_the_script_never_takes_is_refused_before_it_runs() {
        let script =
            "print(\"ran\"); let days = param(\"days\", 1); param(\"out_file\", \"\"); param(\"quick\", false);";
        assert_snapshot!(output(&["--day", "3"], script), @"
        script.rhai: the script takes no argument `--day`
          = did you mean `--days`?
        ");
        assert_snapshot!(output(&["--days", "3", "--quick", "rest"], script), @"
        script.rhai: the script takes no argument `rest`
          = its parameters are `--days`, `--out-file`, `--quick`
        ");
        assert_snapshot!(output(&["dyas=3"], script), @"
        script.rhai: the script takes no argument `dyas=3`
          = did you mean `--days`?
        ");
        assert_snapshot!(output(&["x"], "print(1);"), @r#"
        script.rhai: the script takes no argument `x`
          = it has no parameters: `param("name", default)` reads one, `args()` all words
        "#);
        assert_eq!(output(&["--days", "3", "out_file=x", "--quick", "--out_file", "--days"], script), "ran");
    }

    #[test]
    fn what_only_the_running_script_knows_is_refused_at_its_first_run_or_its_end() {
        let names = "let name = \"days\"; param(name, 1);";
        let run = "print(\"before\"); run([#{ name: \"one\" }]);";
        assert_snapshot!(output(&["--day", "3"], &format!("{names} {run}")), @r#"
        before
        script.rhai:1:53: the script takes no argument `--day`
          | let name = "days"; param(name, 1); print("before"); run([#{ name: "one" }]);
          = nothing has read it: look how the script names its parameters
        "#);
        assert_snapshot!(output(&["--days", "3"], &format!("{names} {run}")), @"
        before
        closed script 1/1
        ");
        assert_snapshot!(output(&["--day", "3"], &format!("{names} print(\"end\");")), @"
        end
        script.rhai: the script takes no argument `--day`
          = nothing has read it: look how the script names its parameters
        ");
        assert_snapshot!(output(&["--day", "3"], &format!("{run} print(args().len());")), @"
        before
        closed script 1/1
        2
        ");
        assert_snapshot!(output(&["--day", "3"], &format!("{run} let never = false; if never {{ args(); }}")), @"
        before
        closed script 1/1
        script.rhai: the script takes no argument `--day`
          = nothing has read it: look how the script names its parameters
        ");
    }
}

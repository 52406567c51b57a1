//! A real browser: Debian's Chromium with its driver, through Python's selenium. Where one of them is missing, the test is
//! skipped aloud, or fails if `COMBU_TEST_BROWSER=required`.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::harness::{Lab, Live};

/// What is done in the browser.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/page/browse.py");

/// A browser to look at pages with.
pub(crate) struct Browser {
    python: PathBuf,
}

impl Browser {
    /// The browser of this machine; `None`: there is none, and the test is skipped.
    pub(crate) fn find() -> Option<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/moto/bin/python");
        let has_selenium = |python: &Path| {
            let asked = std::process::Command::new(python).args(["-c", "import selenium"]).output();
            asked.is_ok_and(|asked| asked.status.success())
        };
        let python = [own, PathBuf::from("python3")].into_iter().find(|python| has_selenium(python));
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |program| std::env::split_paths(&paths).any(|folder| folder.join(program).exists());
        let problem = match &python {
            None => "no selenium: target/moto/bin/pip install selenium",
            Some(_) if !is_there("chromedriver") || !is_there("chromium") => "apt install chromium chromium-driver",
            Some(_) => return python.map(|python| Self { python }),
        };
        let is_required = std::env::var("COMBU_TEST_BROWSER").is_ok_and(|wish| wish == "required");
        assert!(!is_required, "COMBU_TEST_BROWSER=required, but there is none: {problem}");
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED (no browser): {test}: {problem}").expect("stderr can be written");
        None
    }

    /// Does in the browser what `tests/it/page/browse.py` says under that name, and returns what it printed.
    #[track_caller]
    pub(crate) fn does(&self, lab: &Lab, scenario: &str, args: &[&str]) -> String {
        let mut command = lab.command(self.python.to_str().unwrap());
        let said = Live::new(command.arg(SCRIPT).arg(scenario).args(args).spawn().unwrap()).end();
        assert_eq!(said.code, Some(0), "{scenario}:\n{}\n{}", said.stdout, said.stderr);
        said.stdout
    }
}

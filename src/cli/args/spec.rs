//! Arguments that name a spec, select trials of it, and bind its jsonnet variables.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::pattern::NamePattern;
use crate::spec::{LoadOptions, Sources};

#[derive(Debug, Args)]
pub(crate) struct SpecArgs {
    /// The spec, instead of `-f FILE`; `-` reads it from standard input.
    #[arg(value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,

    /// Only the trials of that name, a pattern with `*`, `?` and `[a-z]`, and what those depend on; repeatable.
    #[arg(short = 't', long = "trial", value_name = "NAME", value_parser = NamePattern::parse)]
    pub(crate) trials: Vec<NamePattern>,

    /// Only the trials that this expression is true of, such as 'params.mode == "a" && !done'; `run` and `plan` take what
    /// those depend on too.
    ///
    /// It is a Rhai expression, as in a script's `filter("..")`. It sees the trial's fields by their names in the spec,
    /// with `()` for what the trial does not say, and a param as `params.NAME`. Of the last time that the trial ended in a
    /// run of this spec it sees `done` (it succeeded), `failed`, and `status` (a word such as "oom"; "" where it never
    /// ended); one whose command, image, environment, mounts, limits or params were changed since never ended, and
    /// rehearsals on the fake engine do not count.
    #[arg(long = "where", value_name = "EXPR")]
    pub(crate) filter: Option<String>,
}

/// Imports and variables of jsonnet, named as in the jsonnet command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Jsonnet")]
pub(crate) struct JsonnetArgs {
    /// Look for imports in this folder too; repeatable, the last one wins.
    #[arg(short = 'J', long = "jpath", value_name = "FOLDER")]
    pub(crate) jpath: Vec<PathBuf>,

    /// A string for `std.extVar`; without a value it is taken from the environment.
    #[arg(short = 'V', long, value_name = "NAME[=TEXT]", value_parser = binding)]
    pub(crate) ext_str: Vec<(String, String)>,

    /// Jsonnet code for `std.extVar`.
    #[arg(long, value_name = "NAME[=CODE]", value_parser = binding)]
    pub(crate) ext_code: Vec<(String, String)>,

    /// A string for an argument of a spec that is a function.
    #[arg(short = 'A', long, value_name = "NAME[=TEXT]", value_parser = binding)]
    pub(crate) tla_str: Vec<(String, String)>,

    /// Jsonnet code for an argument of a spec that is a function.
    #[arg(long, value_name = "NAME[=CODE]", value_parser = binding)]
    pub(crate) tla_code: Vec<(String, String)>,
}

impl JsonnetArgs {
    /// Options of one load; "UUID" stands for `id`.
    pub(crate) fn load_options(&self, id: String) -> LoadOptions {
        self.load_noting(id, Sources::default())
    }

    /// Options of one load that notes each file it reads in `sources`.
    pub(crate) fn load_noting(&self, id: String, sources: Sources) -> LoadOptions {
        LoadOptions {
            // The loader takes the first that has the file.
            jpath: self.jpath.iter().rev().cloned().collect(),
            ext_str: self.ext_str.clone(),
            ext_code: self.ext_code.clone(),
            tla_str: self.tla_str.clone(),
            tla_code: self.tla_code.clone(),
            id,
            sources,
            evaluator: std::env::current_exe().ok(),
        }
    }
}

/// `NAME=VALUE`, or `NAME` with the value of the environment's variable, as the jsonnet command reads them.
fn binding(text: &str) -> Result<(String, String), String> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    match std::env::var(text) {
        Ok(value) => Ok((text.to_owned(), value)),
        Err(_) => Err(format!("`{text}` has no value, and the environment has no readable variable of that name")),
    }
}

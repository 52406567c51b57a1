//! The `combu` program: arguments in, exit code out. Everything else is in [`combu::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    combu::cli::main()
}

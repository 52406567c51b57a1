//! The `combu` program: arguments in, exit code out. Everything else is in [`combu::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A plan of many trials makes and frees millions of small values, many of them on another thread than their maker's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    combu::cli::main()
}

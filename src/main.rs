//! combu
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, token] = arguments.as_slice()
        && verb == "__watch"
    {
        return combu::engine::local::watch(token);
    }
    ExitCode::SUCCESS
}

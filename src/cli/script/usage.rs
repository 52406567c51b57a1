//! What a script is for and which parameters it takes, read from its text.

use std::path::Path;

use crate::model::shell::quoted;
use crate::report::Style;
use crate::script::Parameters;

/// The text of `combu script FILE --help`.
pub(super) fn usage(file: &Path, parameters: &Parameters, style: &Style) -> String {
    let mut text = String::new();
    if !parameters.about.is_empty() {
        text.push_str(&format!("{}\n\n", parameters.about));
    }
    let file = quoted(&file.display().to_string());
    let places = if parameters.list.is_empty() { "" } else { " [PARAMETERS]" };
    let words = if parameters.takes_all { " [ARGS]" } else { "" };
    text.push_str(&format!("{} combu script {file}{places}{words}\n", style.bold("Usage:")));
    if !parameters.list.is_empty() {
        text.push_str(&format!("\n{}\n", style.bold("Parameters:")));
    }
    for parameter in &parameters.list {
        let value = if parameter.is_switch { "" } else { " <VALUE>" };
        let about = match parameter.about.as_str() {
            "" => String::new(),
            about => format!("{about} "),
        };
        text.push_str(&format!("  {}{value}\n", style.bold(&parameter.flag())));
        for line in style.wrap("      ", &format!("{about}[default: {}]", parameter.default), 6) {
            text.push_str(&format!("{line}\n"));
        }
    }
    if parameters.is_open && !parameters.takes_all {
        text.push_str("\nIt may take other parameters, which its text does not name.\n");
    }
    text.push_str("\nCombu's own options stand on either side of the file: `combu script --help`.");
    text
}

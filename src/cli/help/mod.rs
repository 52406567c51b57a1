//! `combu help`: the manual pages, which are part of the program, and what they say of one word.

mod page;
mod topics;

use clap::{Args, Command};

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::help::page::laid_out;
use crate::cli::help::topics::{TOPICS, fields, key, words};
use crate::cli::ui::Ui;
use crate::model::suggest::did_you_mean;
use crate::script;
use crate::spec;

/// Topics and examples below the options.
pub(crate) fn after_help() -> String {
    let width = TOPICS.iter().map(|topic| topic.name.len()).max().unwrap_or_default();
    let topics = TOPICS.iter().map(|topic| format!("  {:width$}  {}", topic.name, topic.about));
    let examples = "Examples:
  combu help run          the options of a verb
  combu help spec         everything about specs
  combu help fields cpus  one field of a spec
  combu help param        one function of scripts";
    format!("Topics:\n{}\n\n{examples}", topics.collect::<Vec<_>>().join("\n"))
}

#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A verb, a topic, or a word of a spec or script.
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,

    /// The field, option or function that is meant.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(crate) fn main(args: &HelpArgs, mut combu: Command, ui: &Ui) -> Result<u8, CliError> {
    let text = match (args.topic.as_deref(), args.name.as_deref()) {
        (None, _) => combu.render_long_help().to_string(),
        (Some(topic), None) => page_of(topic, &mut combu, ui)?,
        (Some("fields" | "spec" | "options"), Some(name)) => word_of(name, key(name), &combu, ui)?,
        (Some("script" | "functions"), Some(name)) => word_of(name, script::section(name), &combu, ui)?,
        (Some(topic), Some(name)) => {
            let error =
                CliError::new(exit::USAGE, format!("`{topic}` has no single words to look up, such as `{name}`"));
            return Err(error.hint(format!("`combu help {topic}`, `combu help fields NAME`, `combu help script NAME`")));
        }
    };
    ui.result(&text)?;
    Ok(exit::OK)
}

/// The page of a verb or topic, or what is said of a word.
fn page_of(topic: &str, combu: &mut Command, ui: &Ui) -> Result<String, CliError> {
    combu.build();
    if let Some(verb) = combu.get_subcommands_mut().find(|verb| verb.get_name() == topic && !verb.is_hide_set()) {
        return Ok(verb.render_long_help().to_string());
    }
    if topic == "fields" {
        return Ok(fields(ui.out()));
    }
    if topic == "schema" {
        return Ok(format!("{:#}", spec::schema()));
    }
    if let Some(page) = TOPICS.iter().find(|page| page.name == topic) {
        return Ok(laid_out(&(page.text)(), ui.out()));
    }
    word_of(topic, key(topic).or_else(|| script::section(topic)), combu, ui)
}

/// What is said of a word.
///
/// # Errors
/// When nothing is, with the nearest that there is.
fn word_of(word: &str, said: Option<String>, combu: &Command, ui: &Ui) -> Result<String, CliError> {
    if let Some(text) = said {
        return Ok(laid_out(&text, ui.out()));
    }
    let verbs = combu.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name);
    let mut known: Vec<String> = verbs.map(str::to_owned).collect();
    known.extend(TOPICS.iter().map(|topic| topic.name).chain(words()).map(str::to_owned));
    let error = CliError::new(exit::USAGE, format!("there is no help on `{word}`"));
    Err(error.hint(
        did_you_mean(word, known.iter().map(String::as_str))
            .unwrap_or_else(|| "`combu help help` lists the topics".to_owned()),
    ))
}

#[cfg(test)]
mod tests {
    use super::page_of;
    use crate::cli::ui::Ui;
    use crate::cli::verbs::command;

    #[test]
    fn whatever_is_typed_there_is_a_page_or_an_advice() {
        let page_of = |topic: &str| page_of(topic, &mut command(), &Ui::new());
        let first = |topic: &str| page_of(topic).unwrap().lines().next().unwrap().to_owned();
        assert!(first("run").starts_with("Run the trials of a spec"), "{}", first("run"));
        assert_eq!(first("spec"), "# The spec");
        assert!(page_of("fields").unwrap().contains("\n  shm_size"));
        assert!(first("cpus").contains("**`cpus`**"), "{}", first("cpus"));
        assert!(page_of("param").unwrap().starts_with("### `param(name, default)`"));
        let error = page_of("fileds").unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.hints[0].as_str()),
            ("there is no help on `fileds`", "did you mean `fields`?")
        );
    }
}

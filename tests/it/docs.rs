//! The manual: generated pages are the program's own, links lead somewhere, and commands shown can be typed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::Lab;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and every page below docs/, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let (mut pages, mut folders) = (Vec::new(), vec![root().join("docs")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(ending) if ending == "md" => pages.push(path),
                _ => {}
            }
        }
    }
    pages.extend(Some(root().join("README.md")).filter(|path| path.exists()));
    pages.sort();
    pages.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines of fenced blocks, and the others.
fn blocks(text: &str) -> (Vec<&str>, Vec<&str>) {
    let mut inside = false;
    let (mut code, mut prose) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            code.push(line);
        } else {
            prose.push(line);
        }
    }
    assert!(!inside, "a fence is not closed");
    (code, prose)
}

/// As GitHub makes them of headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = blocks(text).1.into_iter().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn docs_cli_md_is_the_programs_own_help() {
    let path = root().join("docs/cli.md");
    let reference = combu::cli::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &reference).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == reference, "docs/cli.md is not up to date: run `UPDATE_DOCS=1 cargo test docs_cli_md`");
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    for (path, text) in pages() {
        for line in blocks(&text).1 {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
                let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
                let leads = to.exists()
                    && (anchor.is_empty()
                        || anchors(&fs::read_to_string(&to).unwrap()).iter().any(|one| one == anchor));
                if !leads {
                    faults.push(format!("{}: {target}", path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_line_of_a_page_is_wider_than_120_columns() {
    let mut faults = Vec::new();
    for (path, text) in pages() {
        // A heading cannot be wrapped.
        let wide = |line: &&&str| line.chars().count() > 120 && !line.starts_with('#');
        faults.extend(blocks(&text).1.iter().filter(wide).map(|line| format!("{}: {line}", path.display())));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The text of every source and test.
fn code(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => text.push_str(&code(&path)),
            Some(ending) if ending == "rs" => text.push_str(&fs::read_to_string(path).unwrap()),
            _ => {}
        }
    }
    text
}

#[test]
fn paths_and_tests_that_pages_name_exist() {
    let code = ["src", "tests"].map(|folder| code(&root().join(folder))).concat();
    let is_test = |span: &str| {
        span.matches('_').count() > 2 && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let mut faults = Vec::new();
    for page in ["docs/architecture.md", "docs/extending.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let prose = blocks(&text).1.join("\n");
        // What stands between backticks is every second part.
        for span in prose.split('`').skip(1).step_by(2) {
            let is_path = ["src/", "tests/", "docs/", "scripts/", "stdlib/"].iter().any(|top| span.starts_with(top));
            let is_there = match span {
                path if is_path => root().join(path).exists(),
                name if is_test(name) => code.contains(&format!("fn {name}(")),
                _ => true,
            };
            if !is_there {
                faults.push(format!("{page}: {span}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_command_in_a_block_can_be_typed() {
    let mut lab = Lab::new();
    lab.set("MODE", "hard");
    let (mut faults, mut count) = (Vec::new(), 0);
    for (path, text) in pages() {
        for line in blocks(&text).0 {
            let line = line.trim_start().trim_start_matches("$ ");
            // Two blanks end the command in lists of examples; the synopsis of help pages is no command.
            let command = line.split(" #").next().unwrap().split("  ").next().unwrap();
            let Some(args) = command.strip_prefix("combu ").filter(|args| !args.contains(['[', '<', '…'])) else {
                continue;
            };
            let Some(mut words) = shlex::split(args) else {
                faults.push(format!("{}: {line}\n  a quote is not closed", path.display()));
                continue;
            };
            // What stands in quotes is one word, whatever signs of the shell's are in it.
            let ends = |word: &String| ["|", ">", ">>", "&", "&&", ";"].contains(&word.as_str());
            words.truncate(words.iter().position(ends).unwrap_or(words.len()));
            // Help is given only where all that stands before it was understood; a script takes the rest for itself.
            let at = words.iter().position(|word| word == "script").map_or(words.len(), |place| place + 1);
            words.insert(at, "--help".to_owned());
            let said = lab.combu(&words);
            count += 1;
            if said.code != Some(0) {
                faults.push(format!("{}: {line}\n  {}", path.display(), said.stderr));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(count > 0, "no command was found");
}

/// The code blocks of a language in a page.
fn listings(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let rest = page.split(&opening).skip(1);
    rest.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_readmes_spec_and_script_run_as_they_stand() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let lab = Lab::new();
    let (specs, scripts) = (listings(&readme, "jsonnet"), listings(&readme, "rust"));
    assert_eq!((specs.len(), scripts.len()), (1, 1));
    lab.write("experiment.jsonnet", &specs[0]);
    lab.write("sweep.rhai", &scripts[0]);
    let plan = lab.combu(&["plan", "experiment.jsonnet"]).code(0);
    assert!(plan.stdout.starts_with("experiment: 11 trials in 2 groups"), "{}", plan.stdout);
    let said = lab.combu(&["script", "--engine", "fake", "sweep.rhai"]).code(0);
    assert_eq!(said.stdout.lines().count(), 6, "a table of five trials: {}", said.stdout);
}

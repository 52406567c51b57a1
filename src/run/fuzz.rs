//! Fuzz target: whatever stands in a file of variables, reading it ends with variables or an error that does not show them.

use std::fs;

use crate::fuzz::check;
use crate::model::name::Name;
use crate::model::trial::Trial;
use crate::run::passed::Passed;

#[test]
fn files_of_variables() {
    thread_local!(static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap());
    let seeds = [
        "A=1\n# note\nB=b=c\n\nEMPTY=\n",
        "\u{feff}TOKEN=a b\r\n PATH\n",
        "=x",
        "A B=1",
        "NO_SUCH_VARIABLE",
        "A=\0",
        "\u{b}\u{feff}TOKEN=a b\r\n ",
    ];
    check(seeds, |input| {
        let path = FOLDER.with(|folder| folder.path().join("some.env"));
        fs::write(&path, input).unwrap();
        let mut trial = Trial::new(Name::parse("solver-1").unwrap());
        trial.env_file = vec![path.to_str().unwrap().to_owned()];
        match Passed::default().of(&trial) {
            Ok(variables) => {
                let names: Vec<_> = variables.iter().map(|(name, _)| name.as_str()).collect();
                assert!(names.is_sorted() && names.iter().all(|name| !name.is_empty() && !name.contains(['=', '\0'])));
                // Written as a file again, they are the same, but for a CR at the end of a line.
                if variables.iter().any(|(_, value)| value.expose().ends_with('\r')) {
                    return;
                }
                let line = |(name, value): &(String, crate::engine::Secret)| format!("{name}={}\n", value.expose());
                fs::write(&path, variables.iter().map(line).collect::<String>()).unwrap();
                let again = Passed::default().of(&trial).unwrap();
                let values = |all: &[(String, crate::engine::Secret)]| all.iter().map(line).collect::<Vec<_>>();
                assert_eq!(values(&again), values(&variables));
            }
            Err(missing) => assert!(missing.to_string().contains("solver-1")),
        }
    });
}

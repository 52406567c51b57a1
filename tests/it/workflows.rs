//! Workflows of labs in at most ten lines each, `workflows/*.rhai`, with the programs that their trials run beside them.

use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use crate::harness::Lab;

/// The scripts, and the programs of their trials.
const FILES: [&str; 11] = [
    "asha.rhai",
    "fit.awk",
    "fold.awk",
    "grid.rhai",
    "kfold.rhai",
    "median.rhai",
    "random.rhai",
    "replicate.rhai",
    "score.awk",
    "tpe.rhai",
    "train.awk",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/workflows")
}

/// A lab with all of them.
fn lab() -> Lab {
    let lab = Lab::new();
    for name in FILES {
        fs::copy(folder().join(name), lab.path(name)).unwrap();
    }
    lab
}

/// What a script prints.
fn printed(lab: &Lab, words: &[&str]) -> String {
    lab.combu(&[&["script", "--progress", "none"], words].concat()).code(0).stdout
}

/// The number behind a word of a text.
fn number(text: &str, behind: &str) -> f64 {
    let (_, rest) = text.split_once(behind).unwrap_or_else(|| panic!("`{behind}` is not in {text}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn each_takes_ten_lines_at_most() {
    let mut names: Vec<String> =
        fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, FILES);
    for name in FILES.iter().filter(|name| name.ends_with(".rhai")) {
        let text = fs::read_to_string(folder().join(name)).unwrap();
        let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        assert!((3..=10).contains(&code.clone().count()), "{name} has {} lines", code.count());
    }
}

#[test]
fn a_grid_has_a_table_and_its_best_three() {
    assert_snapshot!(printed(&lab(), &["grid.rhai"]), @r#"
       lr    wd     loss  status
      0.1  0.01  0.38634  succeeded
      0.1     0  0.39552  succeeded
      0.1   0.1  1.12986  succeeded
     0.01  0.01  1.55982  succeeded
     0.01     0  1.56203  succeeded
     0.01   0.1  1.73899  succeeded
    0.001  0.01  1.95079  succeeded
    0.001     0  1.95104  succeeded
    0.001   0.1  1.97079  succeeded
    train-0.1-0.01: 0.38634
    train-0.1-0: 0.39552
    train-0.1-0.1: 1.12986
    best: #{"lr": 0.1, "wd": 0.01} loss 0.38634
    "#);
}

#[test]
fn a_random_search_has_its_best_five_and_a_table_of_all() {
    let lab = lab();
    let best = printed(&lab, &["random.rhai"]);
    let table = lab.read("random.csv");
    let mut rows = Vec::new();
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split(',').collect();
        let [name, lr, wd, layers, act, loss] = words[..] else { panic!("{line}") };
        let number = |text: &str| text.parse::<f64>().unwrap();
        let (x, y) = (number(lr).log10() + 2.0, number(wd).log10() + 3.0);
        let kind = if act == "relu" { 0.0 } else { 0.3 };
        let wanted = x * x + 0.5 * y * y + 0.1 * (number(layers) - 4.0).powi(2) + kind;
        assert!((number(loss) - wanted).abs() < 1e-5, "{line}");
        rows.push((number(loss), format!("{name} {loss}\n")));
    }
    rows.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert_eq!(rows.len(), 200);
    assert_eq!(best, rows[..5].iter().map(|(_, line)| line.as_str()).collect::<String>());
}

#[test]
fn asha_finds_the_same_winner_with_less_than_half_of_the_epochs() {
    let lab = lab();
    let all = printed(&lab, &["asha.rhai", "--full", "--pause", "0"]);
    let halved = printed(&lab, &["asha.rhai"]);
    let (_, winner) = all.split_once("729 of 729 epochs, best ").unwrap();
    assert!(halved.ends_with(&format!(" of 729 epochs, best {winner}")), "{halved}, and of all {winner}");
    let epochs = number(&halved, "");
    assert!((27.0..364.0).contains(&epochs), "{epochs} epochs");
}

#[test]
fn the_median_rule_ends_the_rate_that_is_far_too_high() {
    let said = printed(&lab(), &["median.rhai"]);
    let rows: Vec<Vec<&str>> = said.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let pruned: Vec<&str> = rows.iter().filter(|row| row.last() == Some(&"pruned")).map(|row| row[0]).collect();
    assert_eq!((rows[0][0], &pruned[..]), ("0.03", &["1", "1", "2"][..]), "{said}");
}

#[test]
fn tpe_comes_nearer_to_the_minimum_than_chance() {
    let lab = lab();
    let middle = |words: &[&str]| {
        let mut above: Vec<f64> = ["1", "2", "3", "4", "5"]
            .iter()
            .map(|seed| {
                let said = printed(&lab, &[&["tpe.rhai", "--width", "1", "--seed", seed], words].concat());
                assert!(said.starts_with("60 told, best "), "{said}");
                number(&said, "best ") - 0.397_887
            })
            .collect();
        above.sort_by(f64::total_cmp);
        above[2]
    };
    let (tpe, random) = (middle(&[]), middle(&["--random"]));
    assert!(tpe < 0.1 && tpe < random, "TPE is {tpe} above the minimum, random points {random}");
    assert!(printed(&lab, &["tpe.rhai", "--n", "8"]).starts_with("8 told, best "));
}

#[test]
fn settings_are_repeated_until_their_means_are_known() {
    assert_snapshot!(printed(&lab(), &["replicate.rhai"]), @"
    a=2.0: 2.0001205000000004 ± 0.1325822121300981 (n=20)
    a=1.0: 0.9570783333333335 ± 0.13996772034509458 (n=30)
    ");
}

#[test]
fn settings_far_behind_get_fewer_folds() {
    assert_snapshot!(printed(&lab(), &["kfold.rhai", "--parallel", "1"]), @"
    C=0.7196856730012: 5 folds, mean 0.8931000000000001
    C=3.727593720315: 5 folds, mean 0.88392
    C=0.1389495494373: 5 folds, mean 0.8716799999999999
    C=19.30697728883: 1 folds, mean 0.8416
    C=0.0268269579528: 2 folds, mean 0.8178000000000001
    C=100.0: 1 folds, mean 0.7712
    C=0.005179474679231: 2 folds, mean 0.7351000000000001
    C=0.001: 2 folds, mean 0.62185
    23 of 40 folds run
    ");
}

//! "Did you mean": the known word that a mistyped one stands for.

/// The candidate nearest to a mistyped word, if one is near enough to be meant; upper and lower case count as one, and
/// of equally near candidates the first is taken. Failing that, a word that is the beginning of a candidate stands for it.
///
/// The measure is the Damerau-Levenshtein distance, of which a slip of the keyboard (a letter wrong, missing, doubled, or two
/// swapped) is one step, whatever the word's length. Jaro-Winkler was not taken: it favours a common beginning, so that of
/// `solver-1` and `solver-20` each would be offered for any other `solver-N`.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let mut beginning = None;
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let known = candidate.to_lowercase();
        let (letters, others) = (lower.chars().count(), known.chars().count());
        let longest = (letters.max(others) / 3).max(1);
        // Of words whose lengths differ by more, the distance is greater.
        if letters.abs_diff(others) <= longest {
            let distance = strsim::damerau_levenshtein(&lower, &known);
            if distance <= longest && best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, candidate));
            }
        }
        if beginning.is_none() && lower.chars().count() > 2 && known.starts_with(&lower) {
            beginning = Some(candidate);
        }
    }
    best.map(|(_, candidate)| candidate).or(beginning)
}

/// The hint `did you mean ..?`, where a candidate is near enough.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// For tests: words that slips of the keyboard make of a known one (two neighbours swapped, a letter left out, a letter
/// doubled), but those that are as near to another known word.
#[cfg(test)]
pub(crate) fn misspelt(word: &str, known: &[&str]) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    let mut slips = Vec::new();
    for at in 0..letters.len() {
        let mut doubled = letters.clone();
        doubled.insert(at, letters[at]);
        slips.push(doubled);
        if letters.len() > 3 {
            let mut shorter = letters.clone();
            shorter.remove(at);
            slips.push(shorter);
        }
        if at + 1 < letters.len() {
            let mut swapped = letters.clone();
            swapped.swap(at, at + 1);
            slips.push(swapped);
        }
    }
    let mut slips: Vec<String> = slips.into_iter().map(String::from_iter).collect();
    let near = |slip: &str, other: &str| strsim::damerau_levenshtein(slip, other);
    slips.retain(|slip| {
        slip != word && known.iter().all(|other| *other == word || near(slip, other) > near(slip, word))
    });
    slips.sort();
    slips.dedup();
    slips
}

#[cfg(test)]
mod tests {
    use super::{misspelt, nearest};

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["image", "memory", "name", "env"];
        assert_eq!(nearest("imgae", known), Some("image"));
        assert_eq!(nearest("Image", known), Some("image"));
        assert_eq!(nearest("mem", known), Some("memory"));
        assert_eq!(nearest("me", known), None);
        assert_eq!(nearest("volumes", known), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("mod", ["データ", "lr", "b"]), None);
        assert_eq!(nearest("デタ", ["lr", "データ"]), Some("データ"));
    }

    #[test]
    fn slips_of_the_keyboard_are_near_to_the_word_alone() {
        assert_eq!(misspelt("ls", &["ls", "ps", "rm"]), ["lls", "lss", "sl"]);
        assert!(misspelt("show", &["show", "how"]).iter().all(|slip| slip != "how"));
    }
}

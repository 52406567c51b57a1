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
        let longest = (lower.len().max(known.len()) / 3).max(1);
        // Of words whose lengths differ by more, the distance is greater.
        if lower.len().abs_diff(known.len()) <= longest {
            let distance = strsim::damerau_levenshtein(&lower, &known);
            if distance <= longest && best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, candidate));
            }
        }
        if beginning.is_none() && lower.len() > 2 && known.starts_with(&lower) {
            beginning = Some(candidate);
        }
    }
    best.map(|(_, candidate)| candidate).or(beginning)
}

/// The hint `did you mean ..?`, where a candidate is near enough.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["image", "memory", "name", "env"];
        assert_eq!(nearest("imgae", known), Some("image"));
        assert_eq!(nearest("Image", known), Some("image"));
        assert_eq!(nearest("mem", known), Some("memory"));
        assert_eq!(nearest("me", known), None);
        assert_eq!(nearest("volumes", known), None);
        assert_eq!(nearest("x", []), None);
    }
}

//! Habits from other languages: what stands in a script as Python or JavaScript would have it, and how Rhai has it.

/// Words of other languages, and how what they say is written here.
const WORDS: [(&str, &str); 20] = [
    ("def", "a function is written `fn name(x) { .. }`"),
    ("function", "a function is written `fn name(x) { .. }`"),
    ("lambda", "a function without a name is written `|x| x + 1`"),
    ("and", "Rhai writes `a && b`"),
    ("or", "Rhai writes `a || b`"),
    ("not", "Rhai writes `!a`"),
    ("is", "Rhai writes `a == b`"),
    ("elif", "Rhai writes `else if`"),
    ("None", "nothing is written `()`"),
    ("null", "nothing is written `()`"),
    ("nil", "nothing is written `()`"),
    ("undefined", "nothing is written `()`"),
    ("True", "Rhai writes `true`"),
    ("False", "Rhai writes `false`"),
    ("var", "a variable is declared with `let x = ..;`"),
    ("local", "a variable is declared with `let x = ..;`"),
    ("str", "a value becomes a text with `x.to_string()`"),
    ("int", "a text becomes a number with `parse_int(text)`"),
    ("float", "a text becomes a number with `parse_float(text)`"),
    ("from", "a module is imported with `import \"combu/grid\" as grid;`"),
];

/// What to write instead of what stands at a place of a text (line and column from 1), if it is a habit from elsewhere.
/// `undefined`: the word there is a variable that is not declared.
pub(super) fn instead(text: &str, line: usize, column: usize, undefined: bool) -> Option<String> {
    let source = text.lines().nth(line.checked_sub(1)?)?;
    let letters: Vec<char> = source.chars().collect();
    let at = column.saturating_sub(1).min(letters.len());
    let (before, after) = letters.split_at(at);
    let word: String = after.iter().take_while(|c| is_of_word(**c)).collect();
    let behind: String = after.iter().skip(word.chars().count()).collect();
    let last =
        before.iter().rev().skip_while(|c| c.is_whitespace()).take_while(|c| is_of_word(**c)).collect::<Vec<_>>();
    let last: String = last.into_iter().rev().collect();
    if let Some(hint) = [&word, &last].into_iter().find_map(|word| of_word(word)) {
        return Some(hint.to_owned());
    }
    if !undefined {
        return None;
    }
    let next = behind.trim_start();
    if ["f", "r", "b"].contains(&word.as_str()) && behind.starts_with(['"', '\'']) {
        return Some("a text with values in it stands in backticks: `n = ${n}`".to_owned());
    }
    let arrow = next.trim_start_matches([')', ' ']);
    if arrow.starts_with("=>") && before.iter().rfind(|c| !c.is_whitespace()) == Some(&'(') {
        return Some(format!("a function without a name is written `|{word}| ..`"));
    }
    if next.starts_with(':') && !next.starts_with("::") && !before.contains(&'?') {
        return Some(format!("a map is written with `#` before its bracket: `#{{ {word}: .. }}`"));
    }
    let above: Vec<&str> = text.lines().take(line - 1).collect();
    if is_in_function(&above, before) && is_declared(&word, &above) {
        return Some(format!(
            "a `fn` does not see the variables of the script: give it `{word}` as an argument, or write a closure, \
             `let f = |x| ..;`, which is called `f.call(x)`"
        ));
    }
    None
}

/// Whether a variable or an argument of that name stands in a text: declared with `let`, or without a call behind it.
pub(super) fn is_named(name: &str, text: &str) -> bool {
    let starts = text.match_indices(name).map(|(at, _)| at);
    let mut words = starts.filter(|at| !text[..*at].ends_with(|c| is_of_word(c) || c == '.' || c == '"'));
    words.any(|at| {
        let behind = &text[at + name.len()..];
        !behind.starts_with(|c| is_of_word(c) || c == '"') && !behind.trim_start().starts_with(['(', ':'])
    })
}

/// What to write for a text in single quotes.
pub(super) const QUOTES: &str = "texts stand in double quotes or backticks; single quotes are for one character";

fn of_word(word: &str) -> Option<&'static str> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, hint)| *hint)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Says whether the lines leave a `fn` open.
fn is_in_function(above: &[&str], before: &[char]) -> bool {
    let before: String = before.iter().collect();
    let mut lines: Vec<&str> = above.to_vec();
    lines.push(&before);
    let Some(start) = lines.iter().rposition(|line| line.trim_start().starts_with("fn ") || line.contains(" fn "))
    else {
        return false;
    };
    let body = lines[start..].join("\n");
    body.matches('{').count() > body.matches('}').count()
}

fn is_declared(word: &str, above: &[&str]) -> bool {
    above.iter().any(|line| {
        ["let ", "const "].iter().any(|declares| {
            let name = line.split(declares).nth(1).unwrap_or_default();
            name.trim_start().strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_of_word))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::WORDS;
    use crate::script::harness::Lab;

    /// The error and its hint.
    fn told(script: &str) -> String {
        let output = Lab::new().output(script);
        let lines: Vec<&str> = output.lines().filter(|line| !line.starts_with("  |")).collect();
        lines.join("\n")
    }

    #[test]
    fn what_other_languages_write_is_told_in_rhai() {
        let cases = [
            "let e = 1; run(e, { parallel: 2 });",
            "print('hello');",
            "let n = 1;\nprint(f\"n = {n}\");",
            "def pick(t):\n    return t",
            "let a = true; let b = false;\nif a and b { }",
            "let a = true;\nif not a { }",
            "let x = None;",
            "let x = if true { 1 } elif false { 2 };",
            "let pick = lambda t: t;",
            "let sweep = [1];\nfn pick(t) {\n  sweep.len()\n}",
            "var x = 1;",
            "from x import y",
            "let x = str(1);",
            "let f = (t) => t.name;",
        ];
        insta::assert_snapshot!(cases.map(told).join("\n"), @r#"
        script.rhai:1:21: undefined variable: parallel
          = a map is written with `#` before its bracket: `#{ parallel: .. }`
        script.rhai:1:7: invalid character: 'hello'
          = texts stand in double quotes or backticks; single quotes are for one character
        script.rhai:2:7: undefined variable: f
          = a text with values in it stands in backticks: `n = ${n}`
        script.rhai:1:1: undefined variable: def
          = a function is written `fn name(x) { .. }`
        script.rhai:2:6: expecting '{' to start a statement block
          = Rhai writes `a && b`
        script.rhai:2:4: undefined variable: not
          = Rhai writes `!a`
        script.rhai:1:9: undefined variable: None
          = nothing is written `()`
        script.rhai:1:23: expecting ';' to terminate this statement
          = Rhai writes `else if`
        script.rhai:1:12: undefined variable: lambda
          = a function without a name is written `|x| x + 1`
        script.rhai:3:3: undefined variable: sweep
          = a `fn` does not see the variables of the script: give it `sweep` as an argument, or write a closure, `let f = |x| ..;`, which is called `f.call(x)`
        script.rhai:1:1: 'var' is a reserved keyword
          = a variable is declared with `let x = ..;`
        script.rhai:1:1: undefined variable: from
          = a module is imported with `import "combu/grid" as grid;`
        script.rhai:1:9: no function `str (i64)`
          = a value becomes a text with `x.to_string()`
        script.rhai:1:10: undefined variable: t
          = a function without a name is written `|t| ..`
        "#);
    }

    #[test]
    fn every_word_has_its_hint_where_it_is_not_known() {
        for (word, hint) in WORDS {
            let output = Lab::new().output(&format!("let x = {word} (1);"));
            assert!(output.ends_with(&format!("= {hint}")), "{output}");
        }
    }
}

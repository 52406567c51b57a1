//! The UUID of a spec: `local NAME = "UUID"` gets the experiment's id. Works on text, so that line numbers stay.

/// The text with the id in place of each `"UUID"` that is the value of a `local`.
///
/// The first combu replaced every such literal in the file; a value elsewhere is left alone here, and so is what
/// stands in comments, other strings and text blocks.
pub(super) fn replace(text: &str, id: &str) -> String {
    if !text.contains("UUID") {
        return text.to_owned();
    }
    let mut replaced = String::with_capacity(text.len());
    let mut done = 0;
    let mut locals = Locals::default();
    let tokens = Tokens { text, at: 0 };
    for token in tokens {
        if locals.takes(&token) && matches!(token.text, "'UUID'" | "\"UUID\"") {
            replaced.push_str(&text[done..=token.start]);
            replaced.push_str(id);
            done = token.start + token.text.len() - 1;
        }
    }
    replaced.push_str(&text[done..]);
    replaced
}

/// Follows `local` statements through the tokens.
#[derive(Default)]
struct Locals {
    /// Brackets that are open.
    depth: usize,
    /// The depths at which a `local` is open.
    open: Vec<usize>,
    seen: Seen,
}

/// How much of `local NAME =` has been seen.
#[derive(Default, Clone, Copy, PartialEq)]
enum Seen {
    #[default]
    Nothing,
    /// `local`, or a comma between two binds.
    Start,
    Name,
    Equals,
}

impl Locals {
    /// Whether this token begins the value of a bind.
    fn takes(&mut self, token: &Token<'_>) -> bool {
        let seen = std::mem::take(&mut self.seen);
        match token.text {
            "local" => {
                self.open.push(self.depth);
                self.seen = Seen::Start;
            }
            "(" | "[" | "{" => self.depth += 1,
            ")" | "]" | "}" => {
                self.depth = self.depth.saturating_sub(1);
                while self.open.last().is_some_and(|depth| *depth > self.depth) {
                    self.open.pop();
                }
            }
            ";" if self.open.last() == Some(&self.depth) => {
                self.open.pop();
            }
            "," if self.open.last() == Some(&self.depth) => self.seen = Seen::Start,
            "=" if seen == Seen::Name => self.seen = Seen::Equals,
            _ if seen == Seen::Start && token.is_name() => self.seen = Seen::Name,
            _ => {}
        }
        seen == Seen::Equals
    }
}

/// A piece of jsonnet; blanks and comments are none.
struct Token<'a> {
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = &self.text[self.at..];
            let first = rest.chars().next()?;
            let length = length(rest, first);
            let start = self.at;
            self.at += length;
            let comment = first == '#' || rest.starts_with("//") || rest.starts_with("/*");
            if !comment && !first.is_whitespace() {
                return Some(Token { text: &rest[..length], start });
            }
        }
    }
}

/// Bytes of the token, comment or blank that `rest` begins with.
fn length(rest: &str, first: char) -> usize {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |found| from + found + end.len());
    match first {
        '#' => until("\n", 0),
        '/' if rest.starts_with("//") => until("\n", 0),
        '/' if rest.starts_with("/*") => until("*/", 2),
        '|' if rest.starts_with("|||") => block(rest),
        '@' if rest[1..].starts_with(['\'', '"']) => verbatim(rest),
        '\'' | '"' => quoted(rest, first),
        _ if first.is_ascii_alphanumeric() || first == '_' => {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
        }
        _ => first.len_utf8(),
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return index + 1;
        }
    }
    rest.len()
}

/// `@'..'`, where a doubled quote is a quote.
fn verbatim(rest: &str) -> usize {
    let quote = &rest[1..2];
    let mut at = 2;
    while let Some(found) = rest[at..].find(quote) {
        at += found + 1;
        if !rest[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    rest.len()
}

/// A text block ends at a `|||` that is the first thing on its line.
fn block(rest: &str) -> usize {
    let mut at = rest.find('\n').map_or(rest.len(), |end| end + 1);
    while at < rest.len() {
        let line = &rest[at..];
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        if line[blanks..].starts_with("|||") {
            return at + blanks + 3;
        }
        at += line.find('\n').map_or(line.len(), |end| end + 1);
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn the_value_of_a_local_is_replaced() {
        for (text, expected) in [
            ("local uuid = \"UUID\"; []", "local uuid = \"abc\"; []"),
            ("local uuid ='UUID';", "local uuid ='abc';"),
            ("local _x1=\"UUID\"; 1", "local _x1=\"abc\"; 1"),
            ("local a = 1, b = 'UUID'; b", "local a = 1, b = 'abc'; b"),
            ("local a = {b: [1, 2], c: 3}, d = 'UUID';", "local a = {b: [1, 2], c: 3}, d = 'abc';"),
            ("local a = 'UUID', b = \"UUID\";", "local a = 'abc', b = \"abc\";"),
            ("local a\n  // why\n  = /* here */ 'UUID' # x\n;", "local a\n  // why\n  = /* here */ 'abc' # x\n;"),
            ("{ local id = 'UUID', name: id }", "{ local id = 'abc', name: id }"),
            ("local f(x) = 1, 実 = 2, u = 'UUID';", "local f(x) = 1, 実 = 2, u = 'abc';"),
            ("local a = 'UUID' + '-x';", "local a = 'abc' + '-x';"),
            ("[local i = 'UUID'; i, 2]", "[local i = 'abc'; i, 2]"),
        ] {
            assert_eq!(replace(text, "abc"), expected);
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "['UUID']",
            "{ a: 'UUID', b: \"UUID\" }",
            "// local a = 'UUID';\n# local a = 'UUID';\n/* local a = 'UUID'; */ 1",
            "\"local a = 'UUID';\"",
            "'it\\'s local a = \"UUID\";'",
            "@'it''s local a = \"UUID\";'",
            "|||\n  local a = 'UUID';\n|||",
            "local y = f(x='UUID'); y",
            "local y = f(1, x='UUID'); y",
            "local f(x='UUID') = x; f()",
            "local a = 1; f(2, x='UUID')",
            "local a == 'UUID'",
            "local a = ['UUID'];",
            "local a = 'UUIDs', b = 'uuid', c = @'UUID';",
            "local a = 'UUID",
            "@",
            "'",
            "\"\\",
            "|||",
            "/*",
            "local",
            "局",
        ] {
            assert_eq!(replace(text, "abc"), text);
        }
    }
}

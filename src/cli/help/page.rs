//! Pages of the manual, laid out for a terminal: paragraphs and lists as wide as it is, code as it stands.

use crate::report::Style;

/// Widest line of a page; longer ones are hard to read.
const WIDEST: usize = 100;

/// A page, written in Markdown, with lines that fit.
pub(super) fn laid_out(markdown: &str, style: &Style) -> String {
    let narrow = Style { width: style.width.min(WIDEST), ..*style };
    let mut page = String::new();
    let mut block = String::new();
    let mut in_code = false;
    for line in markdown.lines() {
        let is_fence = line.trim_start().starts_with("```");
        let begins = line.trim().is_empty() || line.trim_start().starts_with(['#', '|', '-', '*', '<']) || is_fence;
        if in_code || begins {
            flush(&mut page, &mut block, &narrow);
        }
        if is_fence {
            in_code = !in_code;
        } else if in_code {
            page.push_str(&format!("    {line}\n"));
        } else if line.starts_with("<!--") {
            // A word for whoever edits the page.
        } else if line.starts_with('#') {
            page.push_str(&format!("{}\n", style.bold(line)));
        } else if line.trim().is_empty() {
            page.push('\n');
        } else if block.is_empty() {
            block = line.to_owned();
        } else {
            block.push(' ');
            block.push_str(line.trim());
        }
    }
    flush(&mut page, &mut block, &narrow);
    page.trim_end().replace("\n\n\n", "\n\n")
}

/// Writes a paragraph or an item of a list, continued under its text.
fn flush(page: &mut String, block: &mut String, style: &Style) {
    let text = block.trim_start();
    if !text.is_empty() {
        let blank = block.len() - text.len();
        let mark = usize::from(text.starts_with("- ") || text.starts_with("* ")) * 2;
        let (head, text) = block.split_at(blank + mark);
        for line in style.wrap(head, text, head.len()) {
            page.push_str(&format!("{line}\n"));
        }
    }
    block.clear();
}

#[cfg(test)]
mod tests {
    use super::laid_out;
    use crate::report::Style;

    #[test]
    fn paragraphs_and_lists_are_as_wide_as_the_place_and_code_stays() {
        let page = "# Title\n\n<!-- for editors -->\n\nA paragraph of\nseveral words that wrap.\n\n- an item that\n  goes on for long\n- another\n\n\
                    ```jsonnet\n[{ name: 'a very long line of code that is not broken' }]\n```\n\nEnd.";
        insta::assert_snapshot!(laid_out(page, &Style { width: 24, ..Style::PLAIN }), @"
        # Title

        A paragraph of several
        words that wrap.

        - an item that goes on
          for long
        - another

            [{ name: 'a very long line of code that is not broken' }]

        End.
        ");
    }
}

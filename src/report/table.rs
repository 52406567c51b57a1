//! Tables: columns side by side, fitted to a width, numbers never broken.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};
use console::measure_text_width;

use crate::report::style::{Style, clean};

/// Columns between two columns.
const GAP: usize = 2;
/// A column of text may be broken, but not into pieces smaller than this.
const NARROWEST: usize = 8;

/// A table of results: headings, a rule, one row each, numbers to the right. Ends with a newline.
///
/// Columns for which there is no room are named below it.
pub fn results_table(columns: &[String], rows: &[Vec<String>], style: &Style) -> String {
    let rule = LineStyle::none().fill(if style.unicode { '─' } else { '-' });
    table(columns, rows, style, TableStyle::new().header_separator(rule))
}

/// A table without a rule, for a list. Ends with a newline.
pub(crate) fn list(columns: &[String], rows: &[Vec<String>], style: &Style) -> String {
    table(columns, rows, style, TableStyle::new())
}

/// How a column gives way where its lines are too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Not at all: ids, numbers, times.
    Never,
    /// Its texts are cut at their end.
    End,
    /// Their end is what stays: paths.
    Start,
    /// Beginning and end stay: names of trials.
    Middle,
}

/// What stands before the names of columns that were left out.
pub(crate) const NO_ROOM: &str = "no room for: ";

/// A table with one line for each row, for lists that are counted and searched. Ends with a newline.
///
/// Text that does not fit is cut, the widest first; columns for which there is no room at all are named below. `paint`
/// colours a cell of a row and column once it is cut.
pub(crate) fn lines(
    columns: &[(&str, Cut)],
    rows: &[Vec<String>],
    style: &Style,
    paint: impl Fn(usize, usize, &str) -> String,
) -> String {
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let (mut widths, mut are_numbers) = (Vec::new(), Vec::new());
    for (column, (head, cut)) in columns.iter().enumerate() {
        let cells = || cells.iter().filter_map(|row| row.get(column));
        let widest = cells().map(|cell| measure_text_width(cell)).max().unwrap_or_default();
        widths.push((widest.max(measure_text_width(head)), *cut == Cut::Never));
        are_numbers.push(widest > 0 && cells().all(|cell| is_number(cell)));
    }
    let shown = fitting(&widths, style.width);
    let widths = narrowed(&widths[..shown], style.width);
    let mut text = String::new();
    let mut say = |row: &[String]| {
        let mut line = String::new();
        // Blanks are written when something follows them.
        let mut blanks = 0;
        for ((cell, width), is_number) in row.iter().zip(&widths).zip(&are_numbers) {
            let lack = width.saturating_sub(measure_text_width(cell));
            let (before, after) = if *is_number { (lack, 0) } else { (0, lack) };
            blanks += before;
            if !cell.is_empty() {
                line.push_str(&" ".repeat(blanks));
                line.push_str(cell);
                blanks = 0;
            }
            blanks += after + GAP;
        }
        text.push_str(&line);
        text.push('\n');
    };
    say(&columns
        .iter()
        .zip(&widths)
        .map(|((head, _), width)| style.fit(head, *width).into_owned())
        .collect::<Vec<_>>());
    for (index, row) in cells.iter().enumerate() {
        let row = row.iter().zip(&widths).zip(columns).enumerate().map(|(column, ((cell, width), (_, cut)))| {
            let fits = match cut {
                Cut::Start => style.fit_end(cell, *width),
                Cut::Middle => style.fit_middle(cell, *width),
                Cut::Never | Cut::End => style.fit(cell, *width),
            };
            paint(index, column, &fits)
        });
        say(&row.collect::<Vec<_>>());
    }
    if shown < columns.len() {
        let names: Vec<&str> = columns[shown..].iter().map(|(head, _)| *head).collect();
        text.push_str(&format!("{NO_ROOM}{}\n", names.join(", ")));
    }
    text
}

/// The widths of columns that together have `room`, where each says whether it never gives way; the widest gives way first.
fn narrowed(widths: &[(usize, bool)], room: usize) -> Vec<usize> {
    let mut widths = widths.to_vec();
    let gaps = GAP * widths.len().saturating_sub(1);
    let mut over = (widths.iter().map(|(width, _)| width).sum::<usize>() + gaps).saturating_sub(room);
    while over > 0 {
        let wide = widths.iter_mut().filter(|(width, never)| !never && *width > NARROWEST);
        let Some((width, _)) = wide.max_by_key(|(width, _)| *width) else { break };
        *width -= 1;
        over -= 1;
    }
    widths.into_iter().map(|(width, _)| width).collect()
}

fn table(columns: &[String], rows: &[Vec<String>], style: &Style, look: TableStyle) -> String {
    let cell = |row: &Vec<String>, column: usize| row.get(column).map(|cell| clean(cell)).unwrap_or_default();
    let widths: Vec<(usize, bool)> = (0..columns.len())
        .map(|column| {
            let widest = rows.iter().map(|row| measure_text_width(&cell(row, column))).max().unwrap_or_default();
            let is_number = widest > 0 && rows.iter().all(|row| is_number(&cell(row, column)));
            (widest.max(measure_text_width(&clean(&columns[column]))), is_number)
        })
        .collect();
    let shown = fitting(&widths, style.width);

    let mut table = Table::new();
    table.load_style(look).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(style.width).unwrap_or(u16::MAX));
    table.set_header(columns[..shown].iter().map(|column| Cell::new(clean(column))));
    for row in rows {
        table.add_row((0..shown).map(|column| Cell::new(cell(row, column))));
    }
    for (index, (column, (_, is_number))) in table.column_iter_mut().zip(&widths).enumerate() {
        column.set_padding((0, if index + 1 == shown { 0 } else { GAP as u16 }));
        if *is_number {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    if shown < columns.len() {
        let names: Vec<String> = columns[shown..].iter().map(|column| clean(column)).collect();
        for line in style.wrap("no room for: ", &names.join(", "), 2) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// How many columns fit when text is broken as far as it may be; at least one.
fn fitting(widths: &[(usize, bool)], width: usize) -> usize {
    let mut used = 0;
    let fitting = widths.iter().take_while(|(wide, is_number)| {
        used += if *is_number { *wide } else { (*wide).min(NARROWEST) } + GAP;
        used <= width + GAP
    });
    fitting.count().max(1).min(widths.len())
}

fn is_number(cell: &str) -> bool {
    matches!(cell, "" | "-") || cell.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use console::measure_text_width;

    use super::{Cut, lines};
    use crate::report::style::Style;

    fn shown(style: &Style, columns: &[(&str, Cut)], rows: &[&[&str]]) -> String {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        lines(columns, &rows, style, |_, column, cell| if column == 1 { style.green(cell) } else { cell.to_owned() })
    }

    #[test]
    fn each_row_is_one_line_that_fits() {
        let columns = [
            ("RUN", Cut::Never),
            ("STATE", Cut::Never),
            ("OK", Cut::Never),
            ("EXPERIMENT", Cut::End),
            ("SPEC", Cut::Start),
        ];
        let rows: [&[&str]; 2] = [
            &[
                "k3jd",
                "ended",
                "18",
                "粒子法による流体シミュレーションの実験",
                "/home/lab/とても長い名前の/sweep.jsonnet",
            ],
            &["aaaaaaaaaaaa", "cut off", "9", "two\nlines \u{1b}[31mred", "x.rhai"],
        ];
        let narrow = Style { width: 60, unicode: true, ..Style::PLAIN };
        insta::assert_snapshot!(shown(&narrow, &columns, &rows), @"
        RUN           STATE    OK  EXPERIMENT        SPEC
        k3jd          ended    18  粒子法による流…   …/sweep.jsonnet
        aaaaaaaaaaaa  cut off   9  two lines red     x.rhai
        ");
        assert!(shown(&narrow, &columns, &rows).lines().all(|line| measure_text_width(line) <= 60));
        let tiny = Style { width: 25, ..narrow };
        insta::assert_snapshot!(shown(&tiny, &columns, &rows), @"
        RUN           STATE    OK
        k3jd          ended    18
        aaaaaaaaaaaa  cut off   9
        no room for: EXPERIMENT, SPEC
        ");
        let wide = Style { width: 1000, color: true, ..narrow };
        let wide = shown(&wide, &columns, &rows);
        assert!(wide.contains("\u{1b}[32mended\u{1b}[0m    18  粒子法"), "{wide}");
        assert!(wide.contains("two lines red") && wide.ends_with("x.rhai\n"), "{wide}");
    }
}

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

/// A table without a rule, for a report. Ends with a newline.
pub(crate) fn list(columns: &[String], rows: &[Vec<String>], style: &Style) -> String {
    table(columns, rows, style, TableStyle::new())
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

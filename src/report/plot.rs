//! Curves and bars in letters, for a terminal at the end of a long line: dots of braille, or plain letters.

use console::measure_text_width;

use crate::report::style::{Style, clean, number};

/// The columns and rows of a plot; a narrow terminal has fewer columns.
const WIDEST: usize = 80;
const ROWS: usize = 15;

/// Most curves or bars in a plot: more cannot be told apart.
pub(crate) const MOST: usize = 20;

/// From this ratio of the largest value to the smallest on, equal distances are equal ratios.
const WIDE: f64 = 1000.0;

/// The values of a trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlottedCurve<'a> {
    /// The trial, and what it is among the others: `fit-3 (best)`.
    pub(crate) name: &'a str,
    /// Step and value, in order.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Where the dots of one curve or another are.
struct DotCanvas {
    columns: usize,
    /// For each cell its dots and the curve that was drawn there last.
    cells: Vec<(u8, usize)>,
    /// Letters that stand above the dots.
    letters: Vec<Option<char>>,
}

impl DotCanvas {
    fn new(columns: usize) -> Self {
        let cells = columns * ROWS;
        Self { columns, cells: vec![(0, 0); cells], letters: vec![None; cells] }
    }

    /// Sets a dot: two a column and four a row.
    fn dot(&mut self, (x, y): (usize, usize), curve: usize) {
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        if let Some(cell) = self.cells.get_mut(y / 4 * self.columns + x / 2) {
            *cell = (cell.0 | BITS[x % 2][y % 4], curve);
        }
    }

    fn line(&mut self, from: (usize, usize), to: (usize, usize), curve: usize) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |one: usize, other: usize, step: usize| {
            (one as f64 + (other as f64 - one as f64) * step as f64 / steps as f64).round() as usize
        };
        (0..=steps).for_each(|step| self.dot((between(from.0, to.0, step), between(from.1, to.1, step)), curve));
    }

    /// Marks the end of a curve, beside another mark where one is there.
    fn mark(&mut self, (x, y): (usize, usize), curve: usize) {
        let row = y / 4 * self.columns;
        let free = (0..=x / 2).rev().map(|column| row + column).find(|cell| self.letters[*cell].is_none());
        if let Some(cell) = free {
            (self.letters[cell], self.cells[cell].1) = (Some(letter(curve)), curve);
        }
    }

    fn row(&self, row: usize, style: &Style) -> String {
        let cell = |place: usize| {
            let (dots, curve) = self.cells[place];
            let shown = match (self.letters[place], dots) {
                (Some(letter), _) => letter,
                (None, 0) => return " ".to_owned(),
                (None, _) if !style.unicode => letter(curve),
                (None, dots) => char::from_u32(0x2800 + u32::from(dots)).unwrap_or('*'),
            };
            style.one_of_many(curve, &shown.to_string())
        };
        let text: String = (row * self.columns..(row + 1) * self.columns).map(cell).collect();
        text.trim_end().to_owned()
    }
}

/// The letter that stands for a curve.
fn letter(curve: usize) -> char {
    char::from(b'a' + u8::try_from(curve % 26).unwrap_or_default())
}

/// A plot of curves under a heading, with a line about each below. Ends with a newline.
pub(crate) fn plot(heading: &str, curves: &[PlottedCurve<'_>], style: &Style) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (first, last) = ends(&mut points().map(|point| point.0));
    let (low, high) = ends(&mut points().map(|point| point.1));
    let is_wide = low > 0.0 && high / low >= WIDE;
    let scaled = |value: f64| if is_wide { value.log10() } else { value };
    let middle = if is_wide { (low * high).sqrt() } else { low + (high - low) / 2.0 };
    let labels = [(0, high), (ROWS / 2, middle), (ROWS - 1, low)].map(|(row, value)| (row, number(value)));
    let left = labels.iter().map(|(_, label)| label.len()).max().unwrap_or_default();
    let columns = style.width.min(WIDEST).saturating_sub(left + 3).max(10);
    let part = |value: f64, from: f64, to: f64| if to > from { (value - from) / (to - from) } else { 0.5 };
    let place = |(x, y): (f64, f64)| {
        let across = part(x, first, last) * (columns * 2 - 1) as f64;
        let down = (1.0 - part(scaled(y), scaled(low), scaled(high))) * (ROWS * 4 - 1) as f64;
        (across.round() as usize, down.round() as usize)
    };
    let mut canvas = DotCanvas::new(columns);
    for (number, curve) in curves.iter().enumerate() {
        let dots: Vec<_> = curve.points.iter().map(|point| place(*point)).collect();
        dots.iter().for_each(|dot| canvas.dot(*dot, number));
        dots.windows(2).for_each(|ends| canvas.line(ends[0], ends[1], number));
    }
    for (number, curve) in curves.iter().enumerate() {
        curve.points.last().iter().for_each(|end| canvas.mark(place(**end), number));
    }
    let scale = if is_wide { ", on a scale of powers" } else { "" };
    let mut text = format!("{}\n", style.bold(&format!("{}{scale}", clean(heading))));
    let (bar, corner, dash) = if style.unicode { ("│", "└", "─") } else { ("|", "+", "-") };
    for row in 0..ROWS {
        let label = labels.iter().find(|(at, _)| *at == row).map(|(_, label)| label.as_str()).unwrap_or_default();
        text.push_str(format!("{label:>left$} {bar}{}", canvas.row(row, style)).trim_end());
        text.push('\n');
    }
    text.push_str(&format!("{:left$} {corner}{}\n", "", dash.repeat(columns)));
    let (first, last) = (number(first), number(last));
    let gap = columns.saturating_sub(first.len() + last.len()).max(1);
    text.push_str(&format!("{:left$}  {first}{}{last}\n", "", " ".repeat(gap)));
    let wide = curves.iter().map(|curve| measure_text_width(curve.name)).max().unwrap_or_default();
    for (place, curve) in curves.iter().enumerate() {
        let value = curve.points.last().map(|(_, value)| number(*value)).unwrap_or_default();
        let pad = " ".repeat(wide - measure_text_width(curve.name));
        let mark = style.one_of_many(place, &letter(place).to_string());
        text.push_str(&format!("{mark}  {}{pad}  {value}\n", curve.name));
    }
    text
}

/// A bar for each value under a heading. Ends with a newline.
pub(crate) fn bars(heading: &str, values: &[(&str, f64)], style: &Style) -> String {
    let low = values.iter().map(|(_, value)| *value).fold(0.0, f64::min);
    let high = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let shown: Vec<String> = values.iter().map(|(_, value)| number(*value)).collect();
    let right = shown.iter().map(String::len).max().unwrap_or_default();
    let width = style.width.min(WIDEST);
    let left = values.iter().map(|(name, _)| measure_text_width(name)).max().unwrap_or_default().min(width / 2);
    let room = width.saturating_sub(left + right + 4).max(10);
    let from = if low < 0.0 { format!(", bars begin at {}", number(low)) } else { String::new() };
    let mut text = format!("{}\n", style.bold(&format!("{}{from}", clean(heading))));
    for ((name, value), shown) in values.iter().zip(&shown) {
        let length = if high > low { (value - low) / (high - low) * room as f64 } else { 0.0 };
        let name = style.fit_middle(name, left);
        let pad = " ".repeat(left - measure_text_width(&name));
        let bar = bar(length, style);
        text.push_str(format!("{name}{pad}  {shown:>right$}  {bar}").trim_end());
        text.push('\n');
    }
    text
}

/// A bar of so many columns, to an eighth of one where there are letters for that.
fn bar(length: f64, style: &Style) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if !style.unicode {
        return "#".repeat(length.round() as usize);
    }
    let eighths = (length * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{PlottedCurve, bars, plot};
    use crate::report::style::Style;

    const UNICODE: Style = Style { unicode: true, ..Style::PLAIN };

    #[test]
    fn curves_are_dots_with_a_letter_at_their_end() {
        let falls = PlottedCurve {
            name: "falls",
            points: (1..=20).map(|step| (f64::from(step), 2.0 / f64::from(step))).collect(),
        };
        let rises = PlottedCurve { name: "rises-fast", points: vec![(1.0, 0.0), (20.0, 2.0)] };
        assert_snapshot!(plot("loss by step", &[falls.clone(), rises.clone()], &UNICODE), @"
        loss by step
        2 │⢣                                                                      ⢀⡠⠤⠒b
          │⠘⡄                                                                ⣀⡠⠔⠒⠉⠁
          │ ⢣                                                           ⣀⡠⠔⠒⠉
          │ ⠘⡄                                                     ⣀⠤⠔⠒⠉
          │  ⢱                                                ⣀⠤⠔⠊⠉
          │  ⠈⡆                                         ⢀⣀⠤⠒⠊⠉
          │   ⢱                                    ⢀⣀⠤⠒⠊⠁
        1 │   ⠈⢆                              ⢀⡠⠤⠒⠊⠁
          │     ⠑⡄                       ⢀⡠⠤⠒⠉⠁
          │      ⠈⠢⡀                ⣀⡠⠤⠒⠉⠁
          │        ⠈⠑⠤⣀        ⣀⡠⠔⠒⠉
          │            ⠉⠒⠤⣄⣤⠔⠒⠉
          │          ⣀⠤⠔⠊⠉  ⠉⠉⠒⠒⠤⠤⣀⣀⣀
          │    ⢀⣀⠤⠔⠊⠉                ⠉⠉⠉⠉⠉⠉⠉⠉⠒⠒⠒⠒⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⢄⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⡀
        0 │⣀⠤⠒⠊⠁                                                        ⠈⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉a
          └────────────────────────────────────────────────────────────────────────────
           1                                                                         20
        a  falls       0.1
        b  rises-fast  2
        ");
        let narrow = Style { width: 40, ..Style::PLAIN };
        assert_snapshot!(plot("loss by step", &[falls, rises], &narrow), @"
        loss by step
        2 |a                                bbb
          |a                              bbb
          |a                            bb
          | a                        bbb
          | a                      bbb
          | a                   bbb
          | aa                bbb
        1 |  a              bb
          |  aa          bbb
          |   a        bbb
          |    aa   bbb
          |     aabbb
          |     bb aaaa
          |  bbb       aaaaaaaaaaaaaaaaa
        0 |bbb                          aaaaaaa
          +------------------------------------
           1                                 20
        a  falls       0.1
        b  rises-fast  2
        ");
        let one = PlottedCurve { name: "one", points: vec![(3.0, 5.0)] };
        assert_eq!(plot("one", &[one], &UNICODE).lines().count(), 19);
    }

    #[test]
    fn values_of_many_sizes_stand_on_a_scale_of_powers() {
        let points = (0..5).map(|step| (f64::from(step), 10f64.powi(-step))).collect();
        let text = plot("loss by step", &[PlottedCurve { name: "one", points }], &UNICODE);
        assert!(text.starts_with("loss by step, on a scale of powers\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_value_is_a_bar() {
        let values = [("good", 0.25), ("bad", 1.0), ("none", 0.0)];
        assert_snapshot!(bars("loss", &values, &UNICODE), @"
        loss
        good  0.25  █████████████████
        bad      1  ████████████████████████████████████████████████████████████████████
        none     0
        ");
        assert_snapshot!(bars("gain", &[("up", 2.0), ("down", -2.0)], &Style { width: 40, ..Style::PLAIN }), @"
        gain, bars begin at -2
        up     2  ##############################
        down  -2
        ");
    }
}

//! How text looks: colour, width, and the forms of times and sizes. Decides nothing about what is said.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use console::{measure_text_width, strip_ansi_codes, truncate_str};

/// What a place can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether colours are understood and wanted.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Whether more than ASCII is understood.
    pub unicode: bool,
}

impl Style {
    /// ASCII without colours, 80 columns by 24 rows: what any place can show.
    pub const PLAIN: Self = Self { color: false, width: 80, height: 24, unicode: false };

    /// The text in green: success.
    pub fn green(&self, text: &str) -> String {
        self.paint(console::Style::new().green(), text)
    }

    /// The text in bold red: failure.
    pub fn red(&self, text: &str) -> String {
        self.paint(console::Style::new().red().bold(), text)
    }

    /// The text in yellow: worth a look.
    pub fn yellow(&self, text: &str) -> String {
        self.paint(console::Style::new().yellow(), text)
    }

    /// The text dimmed: beside the point.
    pub fn dim(&self, text: &str) -> String {
        self.paint(console::Style::new().dim(), text)
    }

    /// The text in bold: headings.
    pub fn bold(&self, text: &str) -> String {
        self.paint(console::Style::new().bold(), text)
    }

    /// The text cut to `width` columns, with a mark where something is missing. Wide characters count as two.
    pub fn fit<'a>(&self, text: &'a str, width: usize) -> Cow<'a, str> {
        let mark = if self.unicode { "…" } else { "..." };
        truncate_str(text, width, if mark.len() < width { mark } else { "" })
    }

    /// The same, for a text whose end says more than its beginning.
    pub fn fit_end<'a>(&self, text: &'a str, width: usize) -> Cow<'a, str> {
        if measure_text_width(text) <= width {
            return text.into();
        }
        let mark = if self.unicode { "…" } else { "..." };
        let mark = if mark.len() < width { mark } else { "" };
        let room = width.saturating_sub(measure_text_width(mark));
        let fits = text.char_indices().map(|(at, _)| &text[at..]).find(|end| measure_text_width(end) <= room);
        format!("{mark}{}", fits.unwrap_or_default()).into()
    }

    /// The same, for a text whose beginning and end both say something: names of a sweep differ at their end.
    pub fn fit_middle<'a>(&self, text: &'a str, width: usize) -> Cow<'a, str> {
        if measure_text_width(text) <= width {
            return text.into();
        }
        let mark = if self.unicode { "…" } else { ".." };
        let mark = if measure_text_width(mark) + 2 <= width { mark } else { "" };
        let room = width.saturating_sub(measure_text_width(mark));
        let end = if mark.is_empty() { 0 } else { room.div_ceil(2) };
        let end = text.char_indices().map(|(at, _)| &text[at..]).find(|end_of| measure_text_width(end_of) <= end);
        let end = end.unwrap_or_default();
        let begin = truncate_str(text, room - measure_text_width(end), "");
        format!("{begin}{mark}{end}").into()
    }

    /// `text` after `head`, broken at spaces (or inside words that are wider than a line), continued under `indent`
    /// spaces.
    pub fn wrap(&self, head: &str, text: &str, indent: usize) -> Vec<String> {
        let room = self.width.saturating_sub(indent).max(1);
        let mut lines = Vec::new();
        let mut line = head.to_owned();
        let mut used = measure_text_width(head);
        let mut is_empty = true;
        for word in text.split(' ') {
            for piece in pieces(word, room) {
                let wide = measure_text_width(piece);
                if !is_empty && used + 1 + wide > self.width || is_empty && used + wide > self.width && used > indent {
                    lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
                    (used, is_empty) = (indent, true);
                }
                if !is_empty {
                    line.push(' ');
                    used += 1;
                }
                line.push_str(piece);
                used += wide;
                is_empty = false;
            }
        }
        lines.push(line);
        lines
    }

    /// The text in a colour that tells it from others, of which this is that one.
    pub(crate) fn one_of_many(&self, number: usize, text: &str) -> String {
        let style = console::Style::new();
        let style = match number % 6 {
            0 => style.cyan(),
            1 => style.yellow(),
            2 => style.magenta(),
            3 => style.green(),
            4 => style.blue(),
            _ => style.red(),
        };
        self.paint(style, text)
    }

    fn paint(&self, style: console::Style, text: &str) -> String {
        style.force_styling(self.color).apply_to(text).to_string()
    }
}

/// The word in pieces of at most `room` columns.
fn pieces(word: &str, room: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while measure_text_width(rest) > room {
        let mut wide = 0;
        let fits = rest.char_indices().find(|(_, c)| {
            wide += measure_text_width(c.encode_utf8(&mut [0; 4]));
            wide > room
        });
        // A character that is wider than the room stands alone: a piece is never empty.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let (piece, after) = rest.split_at(fits.map_or(rest.len(), |(at, _)| at).max(first));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// The text without escape sequences, and with a space for every other control character: text of others may be anything.
pub fn clean(text: &str) -> String {
    strip_ansi_codes(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// The path as it is shown: relative to the current folder where it lies below it.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok().filter(|here| here != Path::new("/"));
    let below = here.and_then(|here| path.strip_prefix(here).ok());
    below.filter(|below| !below.as_os_str().is_empty()).unwrap_or(path).display().to_string()
}

/// A time that still grows: `4s`, `3m 05s`, `2h 03m`, `1d 02h`.
pub fn elapsed(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// A time that is over: as [`elapsed`], with tenths of a second below a minute.
pub fn took(span: Duration) -> String {
    let tenths = (span.as_millis() + 50) / 100;
    if tenths < 600 { format!("{}.{}s", tenths / 10, tenths % 10) } else { elapsed(span) }
}

/// A size: `512 B`, `1.5 GiB`.
pub fn bytes(size: u64) -> String {
    let mut rest = size as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if rest < 1024.0 {
            return if unit == "B" { format!("{size} B") } else { format!("{rest:.1} {unit}") };
        }
        rest /= 1024.0;
    }
    format!("{rest:.1} TiB")
}

/// An amount of memory: `512 MiB`.
pub fn size(bytes: u64) -> String {
    if bytes < 1 << 20 {
        counted(usize::try_from(bytes).unwrap_or(usize::MAX), "byte")
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

/// A number of a measurement, with the six digits that count: `0.405941`, `1.5e-9`.
pub fn number(number: f64) -> String {
    let digits = if number == 0.0 { 0 } else { 5 - number.abs().log10().floor() as i32 };
    if !(-3..=11).contains(&digits) {
        return format!("{number:e}");
    }
    let text = format!("{number:.*}", digits.max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A number with its noun: `1 trial`, `2 trials`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use console::measure_text_width;

    use super::{Style, bytes, clean, counted, elapsed, shown, took};

    #[test]
    fn times_and_sizes_have_one_form() {
        let forms = [0, 4, 59, 60, 185, 3599, 7380, 93_600].map(|seconds| elapsed(Duration::from_secs(seconds)));
        assert_eq!(forms, ["0s", "4s", "59s", "1m 00s", "3m 05s", "59m 59s", "2h 03m", "1d 02h"]);
        let forms = [0, 49, 3_249, 59_949, 59_950, 61_000].map(|millis| took(Duration::from_millis(millis)));
        assert_eq!(forms, ["0.0s", "0.0s", "3.2s", "59.9s", "59s", "1m 01s"]);
        let forms = [0, 1023, 1536, 3 << 30, 5 << 40, 5 << 50].map(bytes);
        assert_eq!(forms, ["0 B", "1023 B", "1.5 KiB", "3.0 GiB", "5.0 TiB", "5120.0 TiB"]);
        assert_eq!([counted(1, "trial"), counted(2, "trial")], ["1 trial", "2 trials"]);
    }

    #[test]
    fn text_is_cut_by_columns_and_wide_characters_count_two() {
        let ascii = Style::PLAIN;
        let unicode = Style { unicode: true, ..ascii };
        assert_eq!(unicode.fit("実験の名前", 10), "実験の名前");
        assert_eq!(unicode.fit("実験の名前", 9), "実験の名…");
        assert_eq!(ascii.fit("実験の名前", 9), "実験の...");
        assert_eq!(ascii.fit("abcdef", 3), "abc");
        assert_eq!(unicode.fit_middle("train-0.001-sgd-1", 11), "train…sgd-1");
        assert_eq!(ascii.fit_middle("train-0.001-sgd-1", 11), "trai..sgd-1");
        assert_eq!(unicode.fit_middle("実験の名前と条件", 10), "実験…条件");
        assert_eq!(unicode.fit_middle("abcdef", 2), "ab");
        assert_eq!(unicode.fit_middle("abcdef", 6), "abcdef");
        assert_eq!(ascii.fit("abcdef", 0), "");
        let red = Style { color: true, ..unicode }.red("abcdef");
        assert_eq!(measure_text_width(&Style { color: true, ..unicode }.fit(&red, 4)), 4);
    }

    #[test]
    fn long_text_goes_on_under_an_indent_and_wide_words_are_broken() {
        let narrow = Style { width: 16, ..Style::PLAIN };
        assert_eq!(narrow.wrap("warning ", "one two three", 4), ["warning one two", "    three"]);
        assert_eq!(narrow.wrap("warning ", "", 4), ["warning "]);
        let lines = narrow.wrap("warning ", "画像が見つかりませんでした x", 4);
        assert_eq!(lines, ["warning ", "    画像が見つか", "    りませんでし", "    た x"]);
        let lines = Style { width: 1, ..narrow }.wrap("", "画a", 0);
        assert_eq!(lines, ["画", "a"]);
    }

    #[test]
    fn text_of_others_cannot_move_the_cursor() {
        assert_eq!(clean("\u{1b}[2J\u{1b}[31mred\u{1b}[0m\r\nnext\u{7}\u{9b}x "), "red  next  x");
    }

    #[test]
    fn colours_are_forced_on_or_off() {
        assert_eq!(Style::PLAIN.green("x"), "x");
        assert_eq!(Style { color: true, ..Style::PLAIN }.green("x"), "\u{1b}[32mx\u{1b}[0m");
    }

    #[test]
    fn paths_are_shown_from_here() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(shown(&here.join("a/b.log")), "a/b.log");
        assert_eq!(shown(&here), here.display().to_string());
        assert_eq!(shown(Path::new("/elsewhere/b.log")), "/elsewhere/b.log");
    }
}

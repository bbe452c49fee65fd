//! Aligned tables. Every cell is cleaned on its way in, so nothing a peer sent reaches the terminal raw.
use crate::model::text;

/// The longest text of a cell, in characters.
const LONGEST: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    /// Numbers.
    Right,
}

/// How a cell is coloured on a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tint {
    #[default]
    Plain,
    Good,
    Warn,
    Bad,
    Dim,
}

impl Tint {
    /// The tint of a state, by its word.
    #[must_use]
    pub fn of_state(state: &str) -> Self {
        match state {
            "hashing" | "connected" => Self::Good,
            "degraded" | "starting" | "stopping" | "backoff" | "awaiting-approval"
            | "pairing-request" => Self::Warn,
            "not-hashing" | "crash-loop" | "failed" | "unreachable" => Self::Bad,
            _ => Self::Plain,
        }
    }

    /// `text` in this colour.
    #[must_use]
    pub fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Good => 32,
            Self::Warn => 33,
            Self::Bad => 31,
            Self::Dim => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cell {
    text: String,
    tint: Tint,
}

impl Cell {
    #[must_use]
    pub fn tinted(text: &str, tint: Tint) -> Self {
        Self { text: text::clean(text, LONGEST), tint }
    }

    /// A state's word in its colour.
    #[must_use]
    pub fn state(word: &str) -> Self {
        Self::tinted(word, Tint::of_state(word))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::tinted(text, Tint::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    #[must_use]
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }

    /// One line a row under a line of headings; two spaces between columns, none at the end of a line.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let widths: Vec<usize> = (self.columns.iter().enumerate())
            .map(|(i, (head, _))| {
                self.rows.iter().map(|row| width(&row[i].text)).max().unwrap_or(0).max(width(head))
            })
            .collect();
        let heads = self.columns.iter().map(|(head, _)| Cell::tinted(head, Tint::Dim)).collect();
        let mut out = String::new();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, (_, align)), wide) in row.iter().zip(&self.columns).zip(&widths) {
                let pad = " ".repeat(wide.saturating_sub(width(&cell.text)));
                let text = if colour { cell.tint.paint(&cell.text) } else { cell.text.clone() };
                match align {
                    Align::Left => line.push_str(&format!("{text}{pad}  ")),
                    Align::Right => line.push_str(&format!("{pad}{text}  ")),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Columns of a terminal that `text` takes: none for combining marks, two for East Asian wide characters and emoji.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f => 0,
        0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f => {
            0
        }
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0x33ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff => {
            2
        }
        0xa000..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => {
            2
        }
        0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f680..=0x1f6ff | 0x1f900..=0x1faff => 2,
        0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Align, Cell, Table, Tint, width};

    fn table() -> Table {
        let mut table =
            Table::new(&[("NAME", Align::Left), ("RATE", Align::Right), ("STATE", Align::Left)]);
        table.row(["rig-α".into(), "12.50 kH/s".into(), Cell::state("hashing")]);
        table.row(["鉱山".into(), "-".into(), Cell::state("unreachable")]);
        table
    }

    #[test]
    fn columns_line_up_by_width_and_numbers_to_the_right() {
        let wanted = "NAME         RATE  STATE\n\
                      rig-α  12.50 kH/s  hashing\n\
                      鉱山            -  unreachable\n";
        assert_eq!(table().render(false), wanted);
        assert_eq!((width("e\u{301}"), width("鉱山"), width("⛏ rig")), (1, 4, 5));
    }

    #[test]
    fn colour_changes_no_column() {
        let colours = table().render(true);
        assert!(
            colours.contains("\x1b[32mhashing\x1b[0m")
                && colours.contains("\x1b[31munreachable\x1b[0m")
        );
        let mut plain = colours;
        for code in ["\x1b[0m", "\x1b[2m", "\x1b[31m", "\x1b[32m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, table().render(false));
    }

    #[test]
    fn a_cell_holds_no_control_character() {
        let mut table = Table::new(&[("NAME", Align::Left)]);
        table.row([Cell::tinted("a\x1b[2J\nb\u{202e}", Tint::Plain)]);
        assert_eq!(table.render(false), "NAME\na[2Jb\n");
    }
}

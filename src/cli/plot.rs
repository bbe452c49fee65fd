//! A curve in the terminal, of braille dots, or of plain characters where those cannot be shown. It starts at 0, so that
//! a loss looks as large as it is, and where nothing is known there is nothing: no line leads over a gap.
use super::units;
use crate::sys::local::Local;

/// Lines of text that the curve takes.
const ROWS: usize = 8;
/// The least room for it, in columns.
const NARROWEST: usize = 16;
/// Columns for the labels at its left: `999.99 kH/s`.
const LABELS: usize = 11;

/// How a curve is drawn.
pub struct Plot<'a> {
    /// Of the whole line.
    pub columns: usize,
    pub utf8: bool,
    /// The local time of a second.
    pub zone: &'a dyn Fn(i64) -> Option<Local>,
}

/// What is drawn: from `since` on, one value in every `step` seconds.
pub struct Curve {
    pub since: i64,
    pub step: i64,
    pub values: Vec<Option<f64>>,
}

impl Plot<'_> {
    /// Columns of the curve itself.
    fn room(&self) -> usize {
        self.columns.saturating_sub(LABELS + 2).max(NARROWEST)
    }

    /// Values that can be told apart side by side.
    #[must_use]
    pub fn points(&self) -> usize {
        if self.utf8 { self.room() * 2 } else { self.room() }
    }

    #[must_use]
    pub fn draw(&self, curve: &Curve) -> Vec<String> {
        let top = ceiling(curve.values.iter().flatten().fold(0.0, |a, b| f64::max(a, *b)));
        let (wide, high) =
            if self.utf8 { (self.room() * 2, ROWS * 4) } else { (self.room(), ROWS) };
        let fold = if self.utf8 { braille } else { plain };
        let dots = dots(&curve.values, top, wide, high);
        let (tick, line, corner) = if self.utf8 { ('┤', '│', '└') } else { ('+', '|', '+') };
        let mut lines = Vec::new();
        for row in 0..ROWS {
            let label = match row {
                0 => units::hashrate(Some(top)),
                row if row == ROWS / 2 => units::hashrate(Some(top / 2.0)),
                _ => String::new(),
            };
            let axis = if label.is_empty() { line } else { tick };
            let cells: String = (0..self.room()).map(|column| fold(&dots, column, row)).collect();
            lines.push(format!("{label:>LABELS$} {axis}{}", cells.trim_end()));
        }
        let floor = if self.utf8 { "─" } else { "-" }.repeat(self.room());
        lines.push(format!("{:>LABELS$} {corner}{floor}", units::hashrate(Some(0.0))));
        lines.push(format!("{:LABELS$}  {}", "", self.times(curve)));
        lines
    }

    /// The labels under the curve: where it begins, where it ends, and some between.
    fn times(&self, curve: &Curve) -> String {
        let span = curve.step * curve.values.len() as i64;
        let label = |second: i64| {
            let Some(Local { month, day, hour, minute, .. }) = (self.zone)(second) else {
                return "?".to_owned();
            };
            if span <= 36 * 3600 {
                format!("{hour:02}:{minute:02}")
            } else if span <= 8 * 86_400 {
                format!("{month:02}-{day:02} {hour:02}:{minute:02}")
            } else {
                format!("{month:02}-{day:02}")
            }
        };
        let wide = label(curve.since).len();
        let count = (self.room() / (wide + 8)).max(2);
        let mut out = vec![' '; self.room()];
        for i in 0..count {
            let second = curve.since + span * i as i64 / (count as i64 - 1);
            let place = (self.room() - wide) * i / (count - 1);
            for (at, c) in label(second).chars().enumerate() {
                out[place + at] = c;
            }
        }
        out.iter().collect::<String>().trim_end().to_owned()
    }
}

/// The least of 1, 1.5, 2, 3, 4, 5, 6, 8 and 10, times a power of ten, that is not below `value`.
fn ceiling(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|top| *top >= value).unwrap_or(value)
}

/// Which dots are set; `[x][y]`, y from the top.
type Dots = Vec<Vec<bool>>;

fn dots(values: &[Option<f64>], top: f64, wide: usize, high: usize) -> Dots {
    let mut dots = vec![vec![false; high]; wide];
    let level = |value: f64| {
        let up = (value / top * (high - 1) as f64).round() as usize;
        high - 1 - up.min(high - 1)
    };
    let mut before: Option<usize> = None;
    for (x, column) in dots.iter_mut().enumerate() {
        let value = values.get(x * values.len() / wide).copied().flatten();
        let here = value.map(level);
        if let Some(y) = here {
            // What lies between two heights belongs to the line.
            let (from, to) = match before {
                Some(was) if was < y => (was + 1, y),
                Some(was) if was > y => (y, was - 1),
                _ => (y, y),
            };
            column[from..=to].fill(true);
        }
        before = here;
    }
    dots
}

/// Two dots by four in a character.
fn braille(dots: &Dots, column: usize, row: usize) -> char {
    const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    let bit = |x: usize, y: usize| if dots[column * 2 + x][row * 4 + y] { BITS[x][y] } else { 0 };
    let bits = (0..2).flat_map(|x| (0..4).map(move |y| bit(x, y))).sum::<u32>();
    if bits == 0 { ' ' } else { char::from_u32(0x2800 + bits).unwrap_or('?') }
}

fn plain(dots: &Dots, column: usize, row: usize) -> char {
    if dots[column][row] { '*' } else { ' ' }
}

#[cfg(test)]
mod tests {
    use super::{Curve, Plot, ceiling};
    use crate::sys::local::Local;

    fn utc(second: i64) -> Option<Local> {
        let (minutes, day) = (second / 60 % 1440, u32::try_from(second / 86_400).ok()? + 1);
        let part = |n: i64| u32::try_from(n).unwrap();
        Some(Local {
            year: 1970,
            month: 1,
            day,
            hour: part(minutes / 60),
            minute: part(minutes % 60),
            offset: 0,
        })
    }

    fn draw(utf8: bool, columns: usize, step: i64, values: Vec<Option<f64>>) -> Vec<String> {
        Plot { columns, utf8, zone: &utc }.draw(&Curve { since: 0, step, values })
    }

    #[test]
    fn a_gap_is_empty_and_no_line_leads_over_it() {
        let mut values = vec![Some(800.0); 20];
        values[8..12].fill(None);
        let lines = draw(false, 33, 60, values);
        assert_eq!(lines[0], " 800.00 H/s +********    ********", "{lines:#?}");
        assert!(lines[1..8].iter().all(|l| !l.contains('*')), "{lines:#?}");
        assert_eq!(lines[4], " 400.00 H/s +");
        assert_eq!(lines[8], format!("   0.00 H/s +{}", "-".repeat(20)));
        assert_eq!(lines[9], format!("{:13}00:00          00:20", ""));
    }

    #[test]
    fn zero_is_a_line_on_the_floor_and_not_a_gap() {
        let lines = draw(false, 33, 60, [Some(10.0), Some(0.0), None, Some(0.0)].into());
        assert_eq!(lines[0], "  10.00 H/s +*****");
        assert_eq!(&lines[7][13..], "     *****     *****", "{lines:#?}");
        assert!(lines[1..7].iter().all(|l| l.matches('*').count() == 1), "it falls in one step");
    }

    #[test]
    fn braille_has_two_dots_a_column_and_four_a_line() {
        let lines = draw(true, 29, 60, (0..32).map(|n| Some(f64::from(n))).collect());
        let curve: Vec<String> = lines.iter().map(|l| l.chars().skip(13).collect()).collect();
        assert!(lines[0].starts_with("  40.00 H/s ┤"), "{lines:#?}");
        let rising = [curve[7].as_str(), curve[2].trim_start(), curve[1].trim_start()];
        assert_eq!(rising, ["⡠⠒⠁", "⡠⠒⠁", "⢀"], "{lines:#?}");
        assert!(lines.iter().all(|l| l.chars().count() <= 29), "{lines:#?}");
        let flat = draw(true, 29, 60, vec![Some(1.0), None]);
        assert_eq!(flat[0], "   1.00 H/s ┤⠉⠉⠉⠉⠉⠉⠉⠉");
    }

    #[test]
    fn the_scale_is_round_and_the_days_are_named_where_there_are_some() {
        for (value, top) in [(0.0, 1.0), (24_900.0, 30_000.0), (1e12, 1e12), (0.07, 0.08)] {
            assert!((ceiling(value) - top).abs() <= top * 1e-9, "{value}: {}", ceiling(value));
        }
        let week = draw(false, 80, 3600, vec![None; 168]);
        assert!(week[9].contains("01-01 00:00") && week[9].ends_with("01-08 00:00"), "{week:#?}");
        let month = draw(false, 80, 86_400, vec![None; 30]);
        assert!(month[9].trim_start().starts_with("01-01 "), "{month:#?}");
    }
}

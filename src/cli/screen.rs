//! What the person sees. Nothing that came from outside reaches the terminal without passing one of these functions.
use std::io::{self, IsTerminal as _, Write};

use super::exit::Failure;
use super::table::{Table, Tint};
use crate::model::fault::Fault;
use crate::model::text;

/// The longest line that is printed, in characters.
const LONGEST: usize = 16_384;

pub struct Screen {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// Colours may be used.
    colour: bool,
}

impl Screen {
    /// The process's own output; coloured on a terminal unless the person does not want it.
    #[must_use]
    pub fn standard(no_colour: bool) -> Self {
        let colour = !no_colour && io::stdout().is_terminal();
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), colour)
    }

    #[must_use]
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>, colour: bool) -> Self {
        Self { out, err, colour }
    }

    /// One line of text; whatever could move a cursor in it is dropped.
    ///
    /// # Errors
    /// The reader of the output has gone.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        let line = text::clean(&line.replace('\t', "    "), LONGEST);
        self.write(&format!("{line}\n"))
    }

    /// A line that begins with a coloured word.
    ///
    /// # Errors
    /// The reader of the output has gone.
    pub fn tinted(&mut self, tint: Tint, word: &str, rest: &str) -> Result<(), Failure> {
        let rest = text::clean(rest, LONGEST);
        let word = if self.colour { tint.paint(word) } else { word.to_owned() };
        self.write(&format!("{word} {rest}\n"))
    }

    /// # Errors
    /// The reader of the output has gone.
    pub fn table(&mut self, table: &Table) -> Result<(), Failure> {
        let text = table.render(self.colour);
        self.write(&text)
    }

    /// JSON, or another text in which line ends mean something. Unsafe characters become `\u001b` and the like, which
    /// in JSON is the same value.
    ///
    /// # Errors
    /// The reader of the output has gone.
    pub fn body(&mut self, body: &str) -> Result<(), Failure> {
        let mut out = escaped(body);
        if !out.ends_with('\n') {
            out.push('\n');
        }
        self.write(&out)
    }

    /// A value as JSON, for people and programs.
    ///
    /// # Errors
    /// The reader of the output has gone.
    pub fn json<T: serde::Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| Failure::own(format!("the answer cannot be written as JSON: {e}")))?;
        self.body(&text)
    }

    /// A remark that is not part of the output, on stderr.
    pub fn note(&mut self, line: &str) {
        let line = text::clean(line, LONGEST);
        let _ = writeln!(self.err, "{line}");
    }

    /// `error: …` and `hint: …` on stderr, a line each.
    pub fn fault(&mut self, message: &str, hint: Option<&str>) {
        for (i, line) in message.lines().enumerate() {
            self.note(&if i == 0 { format!("error: {line}") } else { format!("  {line}") });
        }
        if let Some(hint) = hint {
            self.note(&format!("hint: {hint}"));
        }
    }

    /// Tells why a command ended early.
    pub fn failure(&mut self, failure: &Failure) {
        match failure {
            Failure::Fault(Fault { message, hint, .. }) => self.fault(message, hint.as_deref()),
            Failure::Usage(message) => self.fault(message, Some("miner-cli --help")),
            Failure::NoDaemon { message, hint } => self.fault(message, Some(hint)),
            Failure::OutputClosed => {}
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::own(format!("the output cannot be written: {e}")),
        })
    }
}

/// `text` with every unsafe character but line ends and tabs as `\uXXXX`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if text::is_unsafe(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
pub(super) mod testing {
    use super::Screen;
    use std::cell::RefCell;
    use std::io::Write;
    use std::rc::Rc;

    /// Output kept in memory.
    #[derive(Clone, Default)]
    pub struct Kept(Rc<RefCell<Vec<u8>>>);

    impl Kept {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(buf)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A screen, its output and its errors.
    pub fn screen() -> (Screen, Kept, Kept) {
        let (out, err) = (Kept::default(), Kept::default());
        (Screen::new(Box::new(out.clone()), Box::new(err.clone()), false), out, err)
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Screen, testing};
    use std::io::{self, Write};

    #[test]
    fn nothing_unsafe_is_printed() {
        let (mut screen, out, err) = testing::screen();
        screen.line("a\x1b]0;title\x07b\tc\r\u{9b}31m").unwrap();
        screen.note("n\x1b[1m");
        screen.fault("first\nconfig.pool: \x1b[2Jwrong", Some("do \u{202e}this"));
        assert_eq!(out.text(), "a]0;titleb    c31m\n");
        assert_eq!(err.text(), "n[1m\nerror: first\n  config.pool: [2Jwrong\nhint: do this\n");
    }

    #[test]
    fn json_keeps_its_values() {
        let (mut screen, out, _) = testing::screen();
        let name = "a\u{9b}b\u{202e}\x1b\nc";
        screen.json(&[name]).unwrap();
        assert!(!out.text().contains(['\u{9b}', '\u{202e}', '\x1b']));
        assert_eq!(serde_json::from_str::<Vec<String>>(&out.text()).unwrap(), [name]);
    }

    #[test]
    fn a_reader_that_went_away_is_told_apart() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut screen = Screen::new(Box::new(Gone), Box::new(Gone), false);
        assert_eq!(screen.line("x"), Err(Failure::OutputClosed));
        screen.note("this must not panic");
    }
}

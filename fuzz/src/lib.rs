//! What several targets ask of what they are given.
use std::io::{self, Read, Write};

use miner_cli::model::text::is_unsafe;

/// The fuzzer's bytes as the other end of a connection sends them: in pieces of one size, then its end.
pub struct Pieces<'a> {
    left: &'a [u8],
    size: usize,
}

impl<'a> Pieces<'a> {
    pub fn new(bytes: &'a [u8], size: usize) -> Self {
        Self { left: bytes, size: size.max(1) }
    }

    /// How many bytes nobody read.
    pub fn left(&self) -> usize {
        self.left.len()
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.size.min(into.len()).min(self.left.len());
        let (piece, left) = self.left.split_at(n);
        into[..n].copy_from_slice(piece);
        self.left = left;
        Ok(n)
    }
}

/// What is answered goes nowhere.
impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text that people are shown: at most so many characters, and none that a terminal obeys or that hides others.
#[track_caller]
pub fn shown(text: &str, most: usize) {
    assert!(!text.contains(is_unsafe), "not cleaned: {text:?}");
    let long = text.chars().count();
    // One more for the sign that it was cut.
    assert!(long <= most + 1, "{long} characters, where {most} are bound: {text:?}");
}

/// A figure is unknown, or one that can be.
#[track_caller]
pub fn figure(figure: Option<f64>) {
    assert!(figure.is_none_or(|n| n.is_finite() && n >= 0.0), "{figure:?}");
}

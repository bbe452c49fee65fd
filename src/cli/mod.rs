//! (being written)
use std::process::ExitCode;

#[must_use]
pub fn run(_argv: Vec<String>) -> ExitCode {
    ExitCode::FAILURE
}

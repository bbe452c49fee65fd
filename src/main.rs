//! argv -> cli::run -> exit code.
use std::process::ExitCode;

fn main() -> ExitCode {
    miner_cli::cli::run(std::env::args().collect())
}

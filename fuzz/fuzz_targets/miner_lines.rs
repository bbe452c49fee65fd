//! What a miner prints: cut into lines the same way however it comes, without anything that a terminal obeys; and what
//! every adapter says of such a line, or of an end after such lines, can be shown.
#![no_main]
use libfuzzer_sys::fuzz_target;
use miner_cli::bus::Note;
use miner_cli::logs::LINE_BYTES;
use miner_cli::miner::parsers::{self, DIALECTS};
use miner_cli_fuzz::shown;

fuzz_target!(|data: &[u8]| {
    let Some((size, printed)) = data.split_first() else { return };
    let lines = parsers::lines([printed]);
    let pieces = parsers::lines(printed.chunks(usize::from(*size).max(1)));
    assert_eq!(lines, pieces, "it depends on how the bytes come");
    assert!(lines.len() <= printed.iter().filter(|b| **b == b'\n').count() + 1);
    let text = |line: Vec<u8>| String::from_utf8(line).expect("a line is text");
    let lines: Vec<String> = lines.into_iter().map(text).collect();
    lines.iter().for_each(|line| shown(line, LINE_BYTES));
    for dialect in DIALECTS {
        for line in &lines {
            if let Some(Note::PoolTrouble(said)) = dialect.adapter.note(line) {
                shown(&said, 450);
            }
        }
        let (code, signal) =
            if size & 1 == 0 { (Some(2), None) } else { (None, Some(i32::from(*size))) };
        let (reason, _) = dialect.adapter.exit_reason(code, signal, &lines);
        shown(&reason, 300);
    }
});

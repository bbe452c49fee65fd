//! A peer's JSON as an envelope: never a panic.
#![no_main]
use libfuzzer_sys::fuzz_target;
use miner_cli::smsg::envelope::Envelope;

fuzz_target!(|data: &[u8]| {
    let _ = serde_json::from_slice::<Envelope>(data);
});

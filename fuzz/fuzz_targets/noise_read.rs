//! A stranger's bytes as each handshake message and as a transport message: never a panic, never authentic.
#![no_main]
use libfuzzer_sys::fuzz_target;
use miner_cli::noise::Handshake;

fuzz_target!(|data: &[u8]| {
    let mut initiator = Handshake::initiator(&[1; 32], b"fuzz");
    let mut responder = Handshake::responder(&[2; 32], b"fuzz");
    if responder.read_message(data).is_ok() && responder.write_message(b"").is_ok() {
        assert!(responder.read_message(data).is_err());
    }
    initiator.write_message(b"").expect("the initiator begins");
    assert!(initiator.read_message(data).is_err());

    let mut initiator = Handshake::initiator(&[1; 32], b"fuzz");
    let mut responder = Handshake::responder(&[2; 32], b"fuzz");
    let first = initiator.write_message(b"").expect("the initiator begins");
    responder.read_message(&first).expect("the first message is good");
    let second = responder.write_message(b"").expect("the responder answers");
    initiator.read_message(&second).expect("the second message is good");
    let third = initiator.write_message(b"").expect("the initiator ends");
    responder.read_message(&third).expect("the third message is good");
    let mut receive = responder.finish().expect("finished").receive;
    let mut out = Vec::new();
    assert!(receive.open(data, &mut out).is_err());
    assert!(out.is_empty());
});

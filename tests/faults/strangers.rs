//! Nodes that nobody invited.
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use miner_cli::model::key::PublicKey;
use miner_cli::model::node::Role;
use miner_cli::noise::Handshake;
use miner_cli::smsg::hello::Hello;
use miner_cli::smsg::limits;
use miner_cli::sys::{clock, random};
use tungstenite::{Message, WebSocket};

use crate::node::{Node, until};
use crate::{connected, join};

const ATTEMPTS: u32 = 1000;

/// One stranger asks to be paired, from an address of its own; whether it was heard to the end.
fn ask(to: SocketAddr, number: u32) -> Result<(), Box<dyn std::error::Error>> {
    let [_, _, high, low] = number.to_be_bytes();
    let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 9, high, low)), 0);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&source.into())?;
    socket.connect(&to.into())?;
    let tcp = TcpStream::from(socket);
    tcp.set_read_timeout(Some(limits::GREETING))?;
    let (mut socket, _) = tungstenite::client(format!("ws://{to}/ws"), tcp)?;
    let secret: [u8; 32] = random::bytes();
    let public = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret));
    let mut noise = Handshake::initiator(&secret, limits::PROLOGUE);
    socket.send(Message::binary(noise.write_message(&[])?))?;
    noise.read_message(&binary(&mut socket)?)?;
    let signing = SigningKey::from_bytes(&random::bytes());
    let claim = [limits::IDENTITY_CONTEXT, public.as_bytes()].concat();
    let hello = Hello {
        name: format!("stranger-{number}"),
        role: Role::Controller,
        version: "9".to_owned(),
        protocols: limits::PROTOCOLS.to_vec(),
        signing_key: PublicKey(signing.verifying_key().to_bytes()),
        signature: BASE64.encode(&signing.sign(&claim).to_bytes()),
        invite: None,
        asking: Some(random::hex::<8>()),
        time: clock::wall(),
    };
    socket.send(Message::binary(noise.write_message(&serde_json::to_vec(&hello)?)?))?;
    binary(&mut socket).map(drop)
}

fn binary(socket: &mut WebSocket<TcpStream>) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    match socket.read()? {
        Message::Binary(bytes) => Ok(bytes.to_vec()),
        other => Err(format!("{other}").into()),
    }
}

#[test]
fn a_thousand_pairing_attempts_leave_a_bounded_list_a_link_and_few_lines_of_log() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    join(&controller, &rig, &controller.p2p());
    let to: SocketAddr = controller.p2p().parse().unwrap();
    let heard = (0..ATTEMPTS).filter(|number| ask(to, *number).is_ok()).count();
    assert!(heard > 500, "{heard} were heard to the end");
    let peers = controller.json(&["peer", "list"]);
    let states: Vec<_> = peers.as_array().unwrap().iter().map(|p| p["state"].clone()).collect();
    let asking = states.iter().filter(|s| *s == "pairing-request").count();
    assert!((1..=100).contains(&asking), "{asking} pairing requests");
    assert_eq!(states.len(), asking + 1, "nobody got in");
    assert!(connected(&controller, &rig), "the link stands");
    controller.cli(&["peer", "ping", "rig-alpha", "--count", "1"]).ok();
    let lines = controller.log().lines().count();
    assert!(lines < 300, "{lines} lines of log");
    until("it answers", || controller.cli(&["node", "info"]).code == 0);
}

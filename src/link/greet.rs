//! WebSocket, Noise XX, hello and answer: what happens before a connection is a link. One deadline spans it all.
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use zeroize::Zeroizing;

use super::Shared;
use super::frames::{self, Role, Socket};
use super::slots::Slot;
use crate::bus::{self, DialOutcome, DialRequest, Event, Expect, LinkEvent, Verdict};
use crate::identity::check_hello;
use crate::model::key::PublicKey;
use crate::model::text;
use crate::noise::{Handshake, NoiseError, Transport};
use crate::smsg::hello::{Answer, Hello};
use crate::smsg::limits;
use crate::sys::clock;
use crate::tls::Stream;

/// A connection whose ends know each other.
pub struct Greeted {
    pub socket: Socket,
    pub role: Role,
    pub transport: Transport,
    pub key: PublicKey,
    pub hello: Hello,
}

/// Answers a caller. It learns nothing of this node before it has proved a key, and then only the registry's answer.
/// `None`: the registry, which notes that itself, sent it away.
///
/// # Errors
/// Why it did not become a link, for the log alone.
pub fn respond(
    stream: Arc<Stream>,
    source: IpAddr,
    slot: &Slot,
    shared: &Shared,
) -> Result<Option<Greeted>, String> {
    let deadline = Instant::now() + shared.times.greeting;
    stream.open(deadline)?;
    let mut socket = frames::accept(stream, deadline)?;
    let mut noise = Handshake::responder(shared.identity.secret(), limits::PROLOGUE);
    noise.read_message(&frames::receive(&mut socket)?).map_err(said)?;
    slot.begun(Instant::now());
    frames::send(&mut socket, noise.write_message(&[]).map_err(said)?)?;
    let payload = noise.read_message(&frames::receive(&mut socket)?).map_err(said)?;
    let key = remote(&noise)?;
    let mut transport = noise.finish().map_err(said)?;
    let hello: Hello = parse(&payload)?;
    check_hello(&key, &hello)?;
    let answer = match ask(shared, source, key, &hello)? {
        Verdict::Welcome => {
            Answer::Welcome { hello: shared.identity.hello(None, None, clock::wall()) }
        }
        Verdict::NotRegistered { request, reason } => Answer::NotRegistered { request, reason },
    };
    let json = serde_json::to_vec(&answer).expect("an answer has a JSON form");
    let mut sealed = Vec::new();
    transport.send.seal(&json, &mut sealed).map_err(said)?;
    frames::send(&mut socket, sealed)?;
    match answer {
        Answer::Welcome { .. } => {
            Ok(Some(Greeted { socket, role: Role::Server, transport, key, hello }))
        }
        Answer::NotRegistered { .. } => Ok(None),
    }
}

/// The registry's word on a caller.
fn ask(shared: &Shared, source: IpAddr, key: PublicKey, hello: &Hello) -> Result<Verdict, String> {
    let (reply, answer) = bus::reply_channel();
    let greeting = LinkEvent::Greeting { source, key, hello: Box::new(hello.clone()), reply };
    shared
        .events
        .send_timeout(Event::Link(greeting), shared.times.answer)
        .map_err(|_| "the registry takes no callers".to_owned())?;
    answer.recv_timeout(shared.times.answer).map_err(|_| "the registry gave no answer".to_owned())
}

/// Calls the node at the other end of `stream`. It is told nothing, not even who calls, unless its key is the one
/// expected; an invite is shown to its issuer alone.
///
/// # Errors
/// The outcome that the registry is to hear.
pub fn call(
    stream: Arc<Stream>,
    request: &DialRequest,
    deadline: Instant,
    shared: &Shared,
) -> Result<Greeted, DialOutcome> {
    stream.open(deadline).map_err(no_link)?;
    let mut socket = frames::connect(stream, &request.address, deadline).map_err(no_link)?;
    let mut noise = Handshake::initiator(shared.identity.secret(), limits::PROLOGUE);
    let key = first_contact(&mut socket, &mut noise).map_err(no_link)?;
    let invite = match &request.expect {
        Expect::Key(expected) if *expected != key => {
            return Err(DialOutcome::WrongKey { got: key });
        }
        Expect::Issuer(invite) if !invite.is_from(&key) => {
            return Err(DialOutcome::WrongKey { got: key });
        }
        Expect::Issuer(invite) => Some(invite),
        Expect::Key(_) | Expect::Anyone => None,
    };
    if key == shared.identity.card.public_key {
        return Err(no_link("this node itself answers at that address".to_owned()));
    }
    let hello = shared.identity.hello(invite, request.asking.clone(), clock::wall());
    let (transport, answer) = introduce(&mut socket, noise, &hello).map_err(no_link)?;
    match answer {
        Answer::Welcome { hello } => {
            check_hello(&key, &hello).map_err(no_link)?;
            Ok(Greeted { socket, role: Role::Client, transport, key, hello })
        }
        Answer::NotRegistered { request, reason } => {
            let reason = reason.map(|reason| text::clean(&reason, 200));
            Err(DialOutcome::NotRegistered { key, request, reason })
        }
    }
}

/// Messages 1 and 2: the key of whoever answers.
fn first_contact(socket: &mut Socket, noise: &mut Handshake) -> Result<PublicKey, String> {
    frames::send(socket, noise.write_message(&[]).map_err(said)?)?;
    noise.read_message(&frames::receive(socket)?).map_err(said)?;
    remote(noise)
}

/// Message 3 and the answer to it.
fn introduce(
    socket: &mut Socket,
    mut noise: Handshake,
    hello: &Hello,
) -> Result<(Transport, Answer), String> {
    let json = Zeroizing::new(serde_json::to_vec(hello).expect("a hello has a JSON form"));
    frames::send(socket, noise.write_message(&json).map_err(said)?)?;
    let mut transport = noise.finish().map_err(said)?;
    let mut plain = Vec::new();
    transport.receive.open(&frames::receive(socket)?, &mut plain).map_err(said)?;
    Ok((transport, parse(&plain)?))
}

fn remote(noise: &Handshake) -> Result<PublicKey, String> {
    noise.remote_static().map(PublicKey).ok_or_else(|| said(NoiseError::Unfinished))
}

fn parse<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json)
        .map_err(|e| format!("it cannot be read: {}", text::clean(&e.to_string(), 200)))
}

fn said(error: NoiseError) -> String {
    error.to_string()
}

fn no_link(reason: String) -> DialOutcome {
    DialOutcome::Failed { answered: true, reason }
}

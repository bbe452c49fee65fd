//! WebSocket frames over one socket that a reader and a writer share.
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
use tungstenite::protocol::{WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, HandshakeError, Message, WebSocket};

pub use tungstenite::protocol::Role;

use crate::bus::Outbound;
use crate::model::text;
use crate::model::trust::WSS;
use crate::smsg::limits;
use crate::sys::net::DeadlineStream;
use crate::tls::Stream;

/// The path that peers meet at.
const PATH: &str = "/ws";
/// All bytes a stranger may send: the head of the HTTP request, two or three messages, and what is read beyond.
const STRANGER_BYTES: usize = 16 * 1024;
/// Allocated for every connection, and wholly touched by each read. A report of a rig with one or two devices fits; what
/// is longer takes a second read, and with that the buffer doubles.
const READ_BUFFER: usize = 2 * 1024;

pub type Socket = WebSocket<Wire>;

/// What the reading WebSocket sees of the socket. It reads with a deadline. It writes to the socket only while the
/// greeting lasts; then what it has to say (pongs) goes to the writer thread.
pub struct Wire {
    stream: DeadlineStream<Arc<Stream>>,
    /// Bytes that may still be read before the greeting is over.
    budget: Option<usize>,
    writer: Option<Arc<Sender<Box<Outbound>>>>,
}

impl Wire {
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.stream.set_deadline(deadline);
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(budget) = &mut self.budget else { return self.stream.read(buf) };
        if *budget == 0 {
            return Err(io::Error::other("more bytes than a greeting has"));
        }
        let most = buf.len().min(*budget);
        let read = self.stream.read(&mut buf[..most])?;
        if *budget == STRANGER_BYTES && matches!(buf.first(), Some(0x15 | 0x16)) {
            return Err(io::Error::other("the other side speaks TLS here, and this one does not"));
        }
        *budget -= read;
        Ok(read)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &self.writer {
            None => self.stream.write(buf),
            // With a write buffer of 0 these are whole frames. A pong that finds no room is left out: whoever pings
            // faster than it reads needs none.
            Some(writer) => {
                let _ = writer.try_send(Box::new(Outbound::Raw(buf.to_vec())));
                Ok(buf.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn config(message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(256 * 1024)
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
}

fn wire(socket: Arc<Stream>, deadline: Instant) -> Wire {
    let stream = DeadlineStream::new(socket, deadline);
    Wire { stream, budget: Some(STRANGER_BYTES), writer: None }
}

/// The server's half of the WebSocket handshake. Another path gets 404.
pub fn accept(socket: Arc<Stream>, deadline: Instant) -> Result<Socket, String> {
    #[expect(clippy::result_large_err, reason = "the type of tungstenite's callback")]
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        if request.uri().path() == PATH {
            return Ok(response);
        }
        let mut not_found = ErrorResponse::new(None);
        *not_found.status_mut() = StatusCode::NOT_FOUND;
        Err(not_found)
    };
    let config = Some(config(limits::STRANGER_MESSAGE));
    tungstenite::accept_hdr_with_config(wire(socket, deadline), check, config)
        .map_err(|e| no_websocket(&e))
}

/// The client's half. `address`, for the Host header, is `host:port`; `wss://` may stand before it.
pub fn connect(socket: Arc<Stream>, address: &str, deadline: Instant) -> Result<Socket, String> {
    let uri = format!("ws://{}{PATH}", address.strip_prefix(WSS).unwrap_or(address));
    let config = Some(config(limits::STRANGER_MESSAGE));
    tungstenite::client::client_with_config(uri, wire(socket, deadline), config)
        .map(|(socket, _)| socket)
        .map_err(|e| no_websocket(&e))
}

fn no_websocket<R: tungstenite::handshake::HandshakeRole>(e: &HandshakeError<R>) -> String {
    match e {
        HandshakeError::Failure(e) => reason(e),
        // The stream reports no WouldBlock.
        HandshakeError::Interrupted(_) => "the WebSocket handshake was interrupted".to_owned(),
    }
}

/// One message of the greeting. Only binary ones are part of it.
pub fn receive(socket: &mut Socket) -> Result<Bytes, String> {
    match socket.read().map_err(|e| reason(&e))? {
        Message::Binary(bytes) => Ok(bytes),
        other => Err(unwanted(&other).to_owned()),
    }
}

/// Sends one message of the greeting.
pub fn send(socket: &mut Socket, bytes: Vec<u8>) -> Result<(), String> {
    socket.send(Message::binary(bytes)).map_err(|e| reason(&e))
}

/// The greeting is over: larger messages may come, and `writer` gets what this side has to say.
pub fn welcome(socket: &mut Socket, writer: Arc<Sender<Box<Outbound>>>) {
    socket.set_config(|config| {
        config.max_message_size = Some(limits::MESSAGE);
        config.max_frame_size = Some(limits::MESSAGE);
    });
    let wire = socket.get_mut();
    wire.budget = None;
    wire.writer = Some(writer);
}

/// The writer's half: it never reads.
pub fn writing(role: Role) -> WebSocketContext {
    WebSocketContext::new(role, Some(config(limits::MESSAGE).read_buffer_size(0)))
}

/// What kind of message has no place on a link.
pub fn unwanted(message: &Message) -> &'static str {
    match message {
        Message::Text(_) => "a text frame: this protocol is binary",
        Message::Close(_) => "the other side closed the WebSocket",
        _ => "a WebSocket ping before the greeting was over",
    }
}

/// An error as a sentence; what it quotes of the other side is cleaned.
pub fn reason(error: &tungstenite::Error) -> String {
    use tungstenite::error::{Error, ProtocolError};
    match error {
        Error::Io(e) if e.kind() == io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            "the connection ended".to_owned()
        }
        // Under TLS this is an end without a word.
        Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection ended".to_owned()
        }
        Error::Io(e) => text::clean(&e.to_string(), 200),
        Error::Capacity(_) => "a message larger than allowed".to_owned(),
        Error::Http(response) if response.status() == StatusCode::UPGRADE_REQUIRED => {
            "the other side's port is under TLS: its address begins with wss://".to_owned()
        }
        Error::Http(response) => {
            format!("HTTP status {} instead of a WebSocket", response.status())
        }
        other => format!("not this protocol: {}", text::clean(&other.to_string(), 200)),
    }
}

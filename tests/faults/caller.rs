//! A node of the tests' own making, which can do wrong what a daemon does right.
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use miner_cli::model::invite::InviteCode;
use miner_cli::model::key::PublicKey;
use miner_cli::model::node::Role;
use miner_cli::noise::{Handshake, Transport};
use miner_cli::smsg::envelope::{Envelope, seal};
use miner_cli::smsg::hello::{Answer, Hello};
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::Body;
use miner_cli::sys::{clock, random};
use tungstenite::{Message, WebSocket};

use crate::node::PATIENCE;

pub type Failed = Box<dyn std::error::Error>;

/// The keys of a node that is no daemon.
pub struct Me {
    name: String,
    role: Role,
    secret: [u8; 32],
    signing: SigningKey,
}

impl Me {
    pub fn new(name: &str, role: Role) -> Self {
        let signing = SigningKey::from_bytes(&random::bytes());
        Self { name: name.to_owned(), role, secret: random::bytes(), signing }
    }

    pub fn key(&self) -> PublicKey {
        let secret = x25519_dalek::StaticSecret::from(self.secret);
        PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes())
    }

    pub fn hello(&self) -> Hello {
        let claim = [limits::IDENTITY_CONTEXT, &self.key().0].concat();
        Hello {
            name: self.name.clone(),
            role: self.role,
            version: "9".to_owned(),
            protocols: limits::PROTOCOLS.to_vec(),
            signing_key: PublicKey(self.signing.verifying_key().to_bytes()),
            signature: BASE64.encode(&self.signing.sign(&claim).to_bytes()),
            invite: None,
            asking: None,
            time: clock::wall(),
        }
    }

    /// That asks to be paired.
    pub fn asking(&self) -> Hello {
        Hello { asking: Some(random::hex::<8>()), ..self.hello() }
    }

    pub fn invited(&self, code: &str) -> Hello {
        let code: InviteCode = code.parse().unwrap();
        Hello { invite: Some(BASE64.encode(&code.secret)), ..self.hello() }
    }
}

/// A connection from an address of its own, 127.9.x.y, with a small buffer for what it does not read.
///
/// # Errors
/// Those of the socket.
pub fn tcp(to: SocketAddr, number: u16) -> io::Result<TcpStream> {
    let [high, low] = number.to_be_bytes();
    let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 9, high, low)), 0);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_recv_buffer_size(8 * 1024)?;
    socket.bind(&source.into())?;
    socket.connect(&to.into())?;
    let tcp = TcpStream::from(socket);
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    Ok(tcp)
}

/// One end of a link.
pub struct Caller<'a> {
    pub ws: WebSocket<TcpStream>,
    me: &'a Me,
    peer: PublicKey,
    transport: Transport,
    seq: u64,
}

impl<'a> Caller<'a> {
    /// Says `hello`, and what was answered to it.
    ///
    /// # Errors
    /// It was not heard to the end.
    pub fn greet(tcp: TcpStream, me: &'a Me, hello: &Hello) -> Result<(Self, Answer), Failed> {
        let to = tcp.peer_addr()?;
        let (mut ws, _) = tungstenite::client(format!("ws://{to}/ws"), tcp)?;
        let mut noise = Handshake::initiator(&me.secret, limits::PROLOGUE);
        ws.send(Message::binary(noise.write_message(&[])?))?;
        noise.read_message(&binary(&mut ws)?)?;
        ws.send(Message::binary(noise.write_message(&serde_json::to_vec(hello)?)?))?;
        let peer = PublicKey(noise.remote_static().ok_or("no key")?);
        let mut transport = noise.finish()?;
        let mut plain = Vec::new();
        transport.receive.open(&binary(&mut ws)?, &mut plain)?;
        let answer = serde_json::from_slice(&plain)?;
        Ok((Self { ws, me, peer, transport, seq: 0 }, answer))
    }

    /// A link, or what was answered instead.
    ///
    /// # Errors
    /// As [`Caller::greet`]; or it is not welcome.
    pub fn link(tcp: TcpStream, me: &'a Me, hello: &Hello) -> Result<Self, Failed> {
        match Self::greet(tcp, me, hello)? {
            (link, Answer::Welcome { .. }) => Ok(link),
            (_, other) => Err(format!("{other:?}").into()),
        }
    }

    /// # Errors
    /// The other end is gone, or takes nothing any more.
    pub fn send(&mut self, body: Body) -> Result<(), Failed> {
        self.seq += 1;
        let envelope = Envelope {
            id: format!("c{}", self.seq),
            from: self.me.key().node_id(),
            to: self.peer.node_id(),
            ts: clock::wall(),
            seq: self.seq,
            reply_to: None,
            body,
        };
        let signed = seal(&envelope, |bytes| self.me.signing.sign(bytes).to_bytes())
            .map_err(|e| format!("{e:?}"))?;
        let mut sealed = Vec::new();
        self.transport.send.seal(&signed, &mut sealed)?;
        Ok(self.ws.send(Message::binary(sealed))?)
    }
}

fn binary(socket: &mut WebSocket<TcpStream>) -> Result<Vec<u8>, Failed> {
    match socket.read()? {
        Message::Binary(bytes) => Ok(bytes.to_vec()),
        other => Err(format!("{other}").into()),
    }
}

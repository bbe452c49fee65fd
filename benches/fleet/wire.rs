//! A rig's end of a link: WebSocket, Noise, hello, signed envelopes. What `src/link` does, in a small way.
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use miner_cli::identity::check_hello;
use miner_cli::model::invite::InviteCode;
use miner_cli::model::key::{NodeId, PublicKey};
use miner_cli::model::node::Role;
use miner_cli::noise::{Handshake, Transport};
use miner_cli::smsg::envelope::{self, Envelope};
use miner_cli::smsg::hello::{Answer, Hello};
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::Body;
use miner_cli::sys::net::DeadlineStream;
use miner_cli::sys::{clock, random};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Bytes, Error, Message, WebSocket};

type Socket = WebSocket<DeadlineStream<Arc<TcpStream>>>;

/// A rig's name and keys. They are new in every run, so that nobody can know the keys of a rig that some controller
/// took in.
pub struct Keys {
    pub name: String,
    pub id: NodeId,
    public: PublicKey,
    secret: [u8; 32],
    signing: SigningKey,
}

impl Keys {
    pub fn new(name: String) -> Self {
        let secret = random::bytes();
        let public = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret));
        let public = PublicKey(public.to_bytes());
        let signing = SigningKey::from_bytes(&random::bytes());
        Self { name, id: public.node_id(), public, secret, signing }
    }

    fn hello(&self, invite: &InviteCode) -> Hello {
        let bound = [limits::IDENTITY_CONTEXT, &self.public.0].concat();
        Hello {
            name: self.name.clone(),
            role: Role::Worker,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocols: limits::PROTOCOLS.to_vec(),
            signing_key: PublicKey(self.signing.verifying_key().to_bytes()),
            signature: BASE64.encode(&self.signing.sign(&bound).to_bytes()),
            invite: Some(BASE64.encode(&invite.secret)),
            asking: None,
            time: clock::wall(),
        }
    }
}

/// Why there is no link.
pub enum NoLink {
    /// No TCP connection.
    Unreached,
    /// TCP connected, and it came to nothing.
    Answered(String),
}

impl<E: std::fmt::Display> From<E> for NoLink {
    fn from(e: E) -> Self {
        Self::Answered(e.to_string())
    }
}

pub struct Link {
    socket: Socket,
    noise: Transport,
    controller: VerifyingKey,
    from: NodeId,
    to: NodeId,
    seq: u64,
    signing: SigningKey,
    plain: Vec<u8>,
}

/// Calls the controller, from `source` where that is given.
pub fn dial(
    keys: &Keys,
    invite: &InviteCode,
    controller: SocketAddr,
    source: Option<IpAddr>,
) -> Result<(Link, Arc<TcpStream>), NoLink> {
    let deadline = Instant::now() + limits::GREETING;
    let tcp = Arc::new(connect(controller, source).map_err(|_| NoLink::Unreached)?);
    let stream = DeadlineStream::new(tcp.clone(), deadline);
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let (mut socket, _) = tungstenite::client::client_with_config(
        format!("ws://{controller}/ws"),
        stream,
        Some(config),
    )?;

    let mut noise = Handshake::initiator(&keys.secret, limits::PROLOGUE);
    socket.send(Message::binary(noise.write_message(&[])?))?;
    noise.read_message(&binary(&mut socket)?)?;
    let key = PublicKey(noise.remote_static().ok_or("no key in the second message")?);
    if !invite.is_from(&key) {
        return Err("another node answers there".into());
    }
    let hello = serde_json::to_vec(&keys.hello(invite))?;
    socket.send(Message::binary(noise.write_message(&hello)?))?;
    let mut noise = noise.finish()?;
    let mut plain = Vec::new();
    noise.receive.open(&binary(&mut socket)?, &mut plain)?;
    let hello = match serde_json::from_slice(&plain)? {
        Answer::Welcome { hello } => hello,
        Answer::NotRegistered { reason, .. } => return Err(reason.unwrap_or_default().into()),
    };
    check_hello(&key, &hello)?;
    let link = Link {
        socket,
        noise,
        controller: VerifyingKey::from_bytes(&hello.signing_key.0)?,
        from: keys.id,
        to: key.node_id(),
        seq: u64::try_from(clock::wall().0 / 1000)? << 32,
        signing: keys.signing.clone(),
        plain,
    };
    Ok((link, tcp))
}

fn connect(controller: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(controller),
        socket2::Type::STREAM,
        None,
    )?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&controller.into(), limits::GREETING)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

fn binary(socket: &mut Socket) -> Result<Bytes, String> {
    match socket.read() {
        Ok(Message::Binary(bytes)) => Ok(bytes),
        Ok(other) => Err(format!("{other} instead of a message")),
        Err(e) => Err(e.to_string()),
    }
}

impl Link {
    /// Sends one message; its id, and its bytes as a WebSocket frame.
    pub fn say(&mut self, reply_to: Option<String>, body: Body) -> Result<(String, usize), String> {
        let id = random::hex::<8>();
        self.seq += 1;
        let envelope = Envelope {
            id: id.clone(),
            from: self.from,
            to: self.to,
            ts: clock::wall(),
            seq: self.seq,
            reply_to,
            body,
        };
        let signed = envelope::seal(&envelope, |bytes| self.signing.sign(bytes).to_bytes())
            .map_err(|e| format!("{} bytes are too many", e.0))?;
        let mut sealed = Vec::new();
        self.noise.send.seal(&signed, &mut sealed).map_err(|e| e.to_string())?;
        // Two bytes, a length of two where it does not fit seven bits, and the mask.
        let bytes = sealed.len() + if sealed.len() < 126 { 6 } else { 8 };
        self.socket.get_mut().set_deadline(Instant::now() + limits::WRITE);
        self.socket.send(Message::binary(sealed)).map_err(|e| e.to_string())?;
        Ok((id, bytes))
    }

    /// The next message of those that have come; `None` when there is none. The socket must not block.
    pub fn hear(&mut self) -> Result<Option<Box<Envelope>>, String> {
        loop {
            self.socket.get_mut().set_deadline(Instant::now() + limits::WRITE);
            let bytes = match self.socket.read() {
                Ok(Message::Binary(bytes)) => bytes,
                Ok(Message::Ping(_) | Message::Pong(_)) => continue,
                Ok(other) => return Err(format!("{other} instead of a message")),
                Err(Error::Io(e)) if e.kind() == io::ErrorKind::TimedOut => return Ok(None),
                Err(e) => return Err(e.to_string()),
            };
            self.noise.receive.open(&bytes, &mut self.plain).map_err(|e| e.to_string())?;
            let opened = envelope::open(&self.plain, &self.controller, self.to, self.from)
                .map_err(|e| e.to_string())?;
            if let Ok(envelope) = opened.content {
                return Ok(Some(Box::new(envelope)));
            }
        }
    }
}

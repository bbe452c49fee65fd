//! Reaching out: when a peer with an address is dialled, and the first contact of `peer add` and `node join`.
use std::time::Duration;

use super::calls::ReplyTo;
use super::peers::Peer;
use super::timers::Timer;
use super::{Cx, Out, Registry, links, pairing};
use crate::bus::{DialId, DialOutcome, DialRequest, Expect, LinkUp, Reply, StateOp};
use crate::model::address;
use crate::model::fault::{Code, Fault};
use crate::model::invite::InviteCode;
use crate::model::key::{NodeId, PublicKey};
use crate::model::name;
use crate::model::trust::{Trust, WSS};

pub const LONGEST: Duration = Duration::from_secs(60);
/// A machine that takes the connection and does not answer is up with a frozen daemon, or is busy: it is asked
/// again soon, so that a rig which thaws is back within seconds.
const ANSWERED: Duration = Duration::from_secs(4);
/// While we wait for approval: short, so that the link stands within 5 s of it.
const ASKING: Duration = Duration::from_secs(4);
/// The request over there lasts 24 h; nobody looked at it in that time, so there is no hurry any more.
const ASKED_LONG: Duration = Duration::from_secs(24 * 3600);
/// The other side removed or rejected us.
pub const NOT_WANTED: Duration = Duration::from_secs(3600);
/// With many peers the first dials of a daemon are spread over at most this time.
pub const SPREAD: Duration = Duration::from_secs(20);

/// A peer's place in the dialling scheme.
#[derive(Default)]
pub struct Dialling {
    pub in_flight: Option<DialId>,
    /// Attempts that failed in a row.
    pub failures: u32,
}

/// An attempt in flight.
pub enum Dial {
    Peer(PublicKey),
    First(Box<FirstContact>),
    Join(NodeId),
}

/// `peer add` or `node join`: the node is not registered until it has been reached.
pub struct FirstContact {
    pub address: String,
    pub trust: Trust,
    pub name: Option<String>,
    pub asking: Option<String>,
    pub invite: Option<InviteCode>,
    pub key: Option<PublicKey>,
    pub to: ReplyTo,
}

/// What `peer add` was given.
pub struct Add {
    pub address: String,
    pub trust: Trust,
    pub name: Option<String>,
    pub invite: Option<InviteCode>,
    pub key: Option<PublicKey>,
}

impl Registry {
    pub(super) fn add_peer(&mut self, add: Add, to: ReplyTo, cx: &mut Cx) {
        let address = match address(&add.address) {
            Ok(address) => address,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        if add.trust != Trust::System && !address.starts_with(WSS) {
            let why = "a certificate is shown only where the address begins with wss://";
            return cx.reply(to, Err(Fault::new(Code::Invalid, why)));
        }
        if let Err(fault) = self.check_new_peer(add.name.as_deref(), add.key.as_ref()) {
            return cx.reply(to, Err(fault));
        }
        if add.invite.is_some_and(|i| i.is_from(&self.setup.me.public_key)) {
            let fault = Fault::new(Code::Invalid, "this invite was made by this very node")
                .hint("use it on the other node: miner-cli node join ADDRESS INVITE");
            return cx.reply(to, Err(fault));
        }
        if let Some((invite, key)) = add.invite.zip(add.key)
            && !invite.is_from(&key)
        {
            return cx.reply(
                to,
                Err(Fault::new(Code::KeyMismatch, "the invite is not from the node with that key")),
            );
        }
        let expect = match (add.invite, add.key) {
            (Some(invite), _) => Expect::Issuer(invite),
            (None, Some(key)) => Expect::Key(key),
            (None, None) => Expect::Anyone,
        };
        let asking = add.invite.is_none().then(|| self.random.word());
        let dial = DialId(self.count());
        let first = FirstContact {
            address: address.clone(),
            trust: add.trust.clone(),
            name: add.name,
            asking: asking.clone(),
            invite: add.invite,
            key: add.key,
            to,
        };
        self.dials.insert(dial, Dial::First(Box::new(first)));
        cx.out.push(Out::Dial(DialRequest { dial, address, trust: add.trust, expect, asking }));
    }

    pub(super) fn dial_at_start(&mut self, key: &PublicKey, count: usize, cx: &Cx) {
        let widest =
            SPREAD.min(Duration::from_millis(20) * u32::try_from(count).unwrap_or(u32::MAX));
        let wait = widest.mul_f64(self.random.fraction());
        self.timers.set(cx.now.mono.plus(wait), Timer::Dial(*key));
    }

    /// Dials the peer again after about `wait`.
    pub(super) fn dial_in(&mut self, key: &PublicKey, wait: Duration, cx: &Cx) {
        let jitter = 0.75 + 0.5 * self.random.fraction();
        self.timers.set(cx.now.mono.plus(wait.mul_f64(jitter)), Timer::Dial(*key));
    }

    pub(super) fn dial_is_due(&mut self, key: &PublicKey, cx: &mut Cx) {
        let dial = DialId(self.count());
        let Some(peer) = self.peers.get_mut(key) else { return };
        if self.stopping || peer.link.is_some() || peer.dialling.in_flight.is_some() {
            return;
        }
        let Some(address) = peer.record.address.clone() else { return };
        peer.dialling.in_flight = Some(dial);
        let asking = peer.record.asking.clone();
        self.dials.insert(dial, Dial::Peer(*key));
        let (trust, expect) = (peer.record.trust.clone(), Expect::Key(*key));
        cx.out.push(Out::Dial(DialRequest { dial, address, trust, expect, asking }));
    }

    pub(super) fn not_dialled(&mut self, dial: DialId, outcome: DialOutcome, cx: &mut Cx) {
        match self.dials.remove(&dial) {
            Some(Dial::First(first)) => self.first_contact_failed(*first, outcome, cx),
            Some(Dial::Peer(key)) => self.redial(&key, outcome, cx),
            Some(Dial::Join(id)) => self.rejoin(id, outcome, cx),
            None => {}
        }
    }

    fn redial(&mut self, key: &PublicKey, outcome: DialOutcome, cx: &mut Cx) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.dialling.in_flight = None;
        if peer.link.is_some() {
            return;
        }
        let name = peer.record.name.clone();
        let mut changed = None;
        let (wait, reason) = match outcome {
            DialOutcome::NotRegistered { request, reason, .. } => {
                peer.dialling.failures = 0;
                let asked_long = cx.now.wall.since_ms(peer.record.added_at) > super::ms(ASKED_LONG);
                match (peer.record.asking.is_some(), request) {
                    (true, Some(_)) => {
                        peer.record.last_seen = Some(cx.now.wall);
                        (if asked_long { LONGEST } else { ASKING }, None)
                    }
                    // Sent away for now, not for good: it said why.
                    (true, None) if reason.is_some() => (ASKING, reason),
                    (true, None) => {
                        (NOT_WANTED, Some("the other side rejected the pairing request".to_owned()))
                    }
                    (false, _) => {
                        let why = reason.unwrap_or_else(|| {
                            "the other side does not know this node any more".to_owned()
                        });
                        (NOT_WANTED, Some(format!("not registered: {why}")))
                    }
                }
            }
            DialOutcome::WrongKey { got } => {
                let (expected, got) = (key.fingerprint(), got.fingerprint());
                let reason = format!("the key of {name} changed (expected {expected}, got {got})");
                changed = Some(reason.clone());
                (LONGEST, Some(reason))
            }
            DialOutcome::Failed { answered, reason } => {
                let doubled = Duration::from_secs(1) * 2_u32.pow(peer.dialling.failures.min(6));
                peer.dialling.failures += 1;
                let longest = if answered { ANSWERED } else { LONGEST };
                (doubled.min(longest), Some(reason))
            }
        };
        if changed.is_none() && reason.is_some() && peer.reason != reason {
            cx.warn(format!("{name}: {}", reason.as_deref().unwrap_or_default()));
        }
        peer.reason = reason;
        if let Some(changed) = changed {
            self.complain(key, changed, cx);
        }
        self.dial_in(key, wait, cx);
    }

    fn first_contact_failed(&mut self, first: FirstContact, outcome: DialOutcome, cx: &mut Cx) {
        let address = &first.address;
        let fault = match outcome {
            DialOutcome::NotRegistered { key, request: Some(_), .. } => {
                return self.keep_asking(key, first, None, cx);
            }
            DialOutcome::NotRegistered { reason, .. } if first.asking.is_some() => Fault::new(
                Code::Unavailable,
                reason.unwrap_or_else(|| format!("the node at {address} takes no pairing request")),
            )
            .hint("try again in a moment"),
            DialOutcome::NotRegistered { reason, .. } => {
                let why = reason.unwrap_or_else(|| "the node did not accept it".to_owned());
                Fault::new(Code::NotAllowed, format!("the invite was refused: {why}"))
                    .hint("make a new one over there: miner-cli node invite")
            }
            DialOutcome::WrongKey { got } => Fault::new(
                Code::KeyMismatch,
                format!(
                    "the node at {address} is not the one that made the invite or has the key given (its key is {})",
                    got.fingerprint()
                ),
            )
            .hint("check the address; nothing was sent to that node"),
            DialOutcome::Failed { reason, .. } if first.invite.is_some() => {
                return self.keep_joining(first, reason, cx);
            }
            DialOutcome::Failed { answered, reason } => {
                if let Some(key) = first.key {
                    return self.keep_asking(key, first, Some(reason), cx);
                }
                let code = if answered { Code::Timeout } else { Code::PeerUnreachable };
                Fault::new(code, format!("{address} could not be reached: {reason}; nothing was stored"))
                    .hint("is the daemon running there, and its P2P port open? `miner-cli node info` shows where it listens")
            }
        };
        cx.reply(first.to, Err(fault));
    }

    /// Keeps a node that does not know us yet: it was reached and waits for its owner's approval, or it did not answer
    /// and its key is known.
    fn keep_asking(
        &mut self,
        key: PublicKey,
        first: FirstContact,
        missed: Option<String>,
        cx: &mut Cx,
    ) {
        if let Err(fault) = self.check_new_peer(first.name.as_deref(), Some(&key)) {
            return cx.reply(first.to, Err(fault));
        }
        let name = first.name.unwrap_or_else(|| key.node_id().to_string());
        let mut record = self.new_record(key, name, Some(first.address), cx);
        record.trust = first.trust;
        record.asking = first.asking;
        record.last_seen = missed.is_none().then_some(cx.now.wall);
        self.save(vec![StateOp::PutPeer(record.clone())], cx, move |registry, result, cx| {
            if let Err(fault) = result {
                return cx.reply(first.to, Err(fault));
            }
            let mut peer = Peer::new(record, cx.now);
            peer.reason = missed;
            let view = peer.view(cx.now);
            if !registry.put_new(peer, cx) {
                return cx.reply(
                    first.to,
                    registry.check_new_peer(None, Some(&key)).map(|()| Reply::Done),
                );
            }
            registry.dial_in(&key, ASKING, cx);
            cx.reply(first.to, Ok(Reply::Peer(Box::new(view))));
        });
    }

    /// First contact became a link: the other side knows us, by invite or because it registered us before.
    pub(super) fn first_contact_linked(&mut self, first: FirstContact, up: LinkUp, cx: &mut Cx) {
        let key = up.key;
        if let Err(fault) = self.check_new_peer(first.name.as_deref(), Some(&key)) {
            cx.close(up.link, "it is registered here already");
            return cx.reply(first.to, Err(fault));
        }
        let name = first.name.unwrap_or_else(|| up.hello.name.clone());
        let name = if name::check(&name).is_ok() { name } else { key.node_id().to_string() };
        let mut record =
            self.new_record(key, self.free_name(&name, key.node_id()), Some(first.address), cx);
        record.trust = first.trust;
        pairing::introduce(&mut record, &up.hello);
        self.peers.insert(key, Peer::new(record.clone(), cx.now));
        self.registered(&key, "it was added here and took us in", cx);
        self.link_peer(up, cx);
        self.save(vec![StateOp::PutPeer(record)], cx, move |registry, result, cx| match result {
            Ok(()) => {
                let view = registry.peer(&key).map(|p| Reply::Peer(Box::new(p.view(cx.now))));
                cx.reply(first.to, view);
            }
            Err(fault) => {
                if let Some(link) = registry.peers.remove(&key).and_then(|p| p.link) {
                    cx.close(link.id, "the registration could not be saved");
                    registry.lose_link(link.id, "the registration could not be saved", cx);
                }
                cx.reply(first.to, Err(fault));
            }
        });
    }

    /// A link went down: look for the peer again, soon.
    pub(super) fn dial_after_loss(&mut self, key: &PublicKey, cx: &Cx) {
        self.dial_in(key, links::FIRST_REDIAL, cx);
    }
}

/// `text` if it is a `host:port` that can be dialled; `wss://` may stand before it.
pub(super) fn address(text: &str) -> Result<String, Fault> {
    let why = match address::split(text.trim().strip_prefix(WSS).unwrap_or(text.trim())) {
        Ok((host, port)) if !host.is_empty() && port != 0 => return Ok(text.trim().to_owned()),
        Ok(_) => "a host and a port from 1 to 65535 are wanted".to_owned(),
        Err(why) => why,
    };
    Err(Fault::new(Code::Invalid, format!("address: {why}")).hint(
        "for example 192.168.1.100:9091, rig-alpha.lan:9091, [fd00::7]:9091 or, under TLS, \
             wss://rig-alpha.example.org:9091",
    ))
}

#[cfg(test)]
mod address_tests {
    use super::address;

    #[test]
    fn an_address_is_host_and_port() {
        assert_eq!(address("rig:9191").unwrap(), "rig:9191");
        assert_eq!(address("[::1]:9091").unwrap(), "[::1]:9091");
        assert_eq!(address(" wss://rig:9191 ").unwrap(), "wss://rig:9191");
        for bad in [
            "",
            ":9091",
            "a:0",
            "a:70000",
            "::1",
            "::1:9091",
            "a b:1",
            "http://a:1",
            "wss://wss://a:1",
            "wss://:1",
            "wss://a",
            "[zz]:1",
            "a:",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}

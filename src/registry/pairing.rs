//! Who may link: the answer to a caller's hello, pairing requests and invites.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crossbeam_channel::Sender;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::calls::ReplyTo;
use super::events::About;
use super::peers::{Peer, pick};
use super::{Cx, Out, Registry, ms};
use crate::bus::{Reply, StateOp, Verdict};
use crate::model::event::{EventKind, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::invite::{InviteCode, InviteRecord, InviteView};
use crate::model::key::{NodeId, PublicKey};
use crate::model::peer::{PeerRecord, PeerState, PeerView};
use crate::model::time::{Mono, Now, Timestamp};
use crate::smsg::hello::Hello;
use crate::smsg::limits::{PAIRING_REQUESTS, PAIRING_WAITS};
use crate::sys::log::Seldom;

/// One new request a second from one address.
const PER_SOURCE: Duration = Duration::from_secs(1);
const REJECTIONS: usize = 200;
/// Events about requests: strangers shall not push the others out.
const RAISED: u32 = 60;
const RAISED_WITHIN: Duration = Duration::from_secs(3600);
/// Invites that can be open at once.
const INVITES: usize = 100;

/// What anyone who reaches the port can have written into the log, a line a second of each kind.
#[derive(Default)]
pub struct Refusals {
    invites: Seldom,
    requests: Seldom,
    strangers: Seldom,
    full: Seldom,
}

/// A stranger that asked to be paired.
pub struct Asked {
    pub key: PublicKey,
    pub hello: Hello,
    pub source: IpAddr,
    pub at: Now,
    pub last: Timestamp,
}

impl Asked {
    pub fn view(&self) -> PeerView {
        PeerView {
            id: self.key.node_id(),
            name: self.hello.name.clone(),
            public_key: Some(self.key),
            fingerprint: Some(self.key.fingerprint()),
            address: Some(self.source.to_string()),
            role: Some(self.hello.role),
            added_at: self.at.wall,
            last_seen: Some(self.last),
            ping_ms: None,
            score: None,
            connected: false,
            state: PeerState::PairingRequest,
            reason: None,
            labels: BTreeMap::new(),
            version: Some(self.hello.version.clone()),
        }
    }
}

fn stranger(reason: Option<&str>) -> Verdict {
    Verdict::NotRegistered { request: None, reason: reason.map(str::to_owned) }
}

impl Registry {
    /// A caller proved `key`: welcome it, note its request, or send it away. Where something has to be written
    /// first, the answer waits for the disk.
    pub(super) fn greet(
        &mut self,
        source: IpAddr,
        key: PublicKey,
        hello: Hello,
        to: Sender<Verdict>,
        cx: &mut Cx,
    ) {
        if self.stopping {
            return cx
                .out
                .push(Out::Verdict { to, verdict: stranger(Some("the node is shutting down")) });
        }
        if let Some(peer) = self.peers.get(&key) {
            let verdict = match pins(&peer.record, &hello) {
                Ok(()) => Verdict::Welcome,
                Err(reason) => {
                    let text = format!("refused a link with {}: {reason}", peer.record.name);
                    self.complain(&key, text, cx);
                    stranger(Some(&reason))
                }
            };
            return cx.out.push(Out::Verdict { to, verdict });
        }
        if let Some(secret) = hello.invite.clone() {
            return self.greet_invited(key, &hello, &secret, to, cx);
        }
        let verdict = self.note_request(source, key, hello, cx);
        cx.out.push(Out::Verdict { to, verdict });
    }

    fn greet_invited(
        &mut self,
        key: PublicKey,
        hello: &Hello,
        secret: &str,
        to: Sender<Verdict>,
        cx: &mut Cx,
    ) {
        if self.registering.contains(&key) {
            // The disk is slow, and it calls again: without an answer it comes back once more, and then it is registered.
            // Another use of the invite would be lost.
            return;
        }
        let Some(invite) = self.open_invite(secret, cx.now.wall) else {
            let text = format!(
                "{} ({}) came with an invite that is not valid here",
                hello.name,
                key.node_id()
            );
            cx.warn_seldom(&mut self.refusals.invites, text);
            let verdict =
                stranger(Some("the invite is used up, expired, revoked or of another node"));
            return cx.out.push(Out::Verdict { to, verdict });
        };
        let mut record = self.new_record(key, self.free_name(&hello.name, key.node_id()), None, cx);
        introduce(&mut record, hello);
        let ops = vec![StateOp::UseInvite { id: invite.clone() }, StateOp::PutPeer(record.clone())];
        self.registering.insert(key);
        self.save(ops, cx, move |registry, result, cx| {
            registry.registering.remove(&key);
            let verdict = match result {
                Ok(()) => {
                    registry.count_use(&invite);
                    registry.asked.retain(|a| a.key != key);
                    if registry.put_new(Peer::new(record, cx.now), cx) {
                        registry.registered(&key, &format!("it came with invite {invite}"), cx);
                    }
                    Verdict::Welcome
                }
                Err(fault) => stranger(Some(&fault.message)),
            };
            cx.out.push(Out::Verdict { to, verdict });
        });
    }

    fn note_request(
        &mut self,
        source: IpAddr,
        key: PublicKey,
        hello: Hello,
        cx: &mut Cx,
    ) -> Verdict {
        let id = key.node_id();
        let Some(asking) = hello.asking.clone() else {
            return self.send_away(&hello, id, source, "it is not registered here", None, cx);
        };
        if self.rejected.contains(&(key, asking)) {
            return self.send_away(&hello, id, source, "it was rejected", None, cx);
        }
        if let Some(asked) = self.asked.iter_mut().find(|a| a.key == key) {
            asked.hello = hello;
            asked.last = cx.now.wall;
            return Verdict::NotRegistered { request: Some(id), reason: None };
        }
        let just_now = |at: Mono| cx.now.mono.since(at) < PER_SOURCE;
        if self.asked.iter().any(|a| a.source == source && just_now(a.at.mono)) {
            let why = "too many pairing requests from this address; ask again in a second";
            return self.send_away(&hello, id, source, why, Some(why), cx);
        }
        let text = format!(
            "{} ({id}) at {source} asks to pair; `miner-cli peer approve {id}` lets it in",
            hello.name
        );
        if let Some(text) = self.refusals.requests.take(cx.now.mono, text) {
            if self.pairing_events.has_room(cx.now.mono, RAISED, RAISED_WITHIN) {
                let about = About::peer(&hello.name);
                self.raise(EventKind::PairingRequest, Severity::Info, about, text, cx);
            } else {
                cx.info(text);
            }
        }
        if self.asked.len() == PAIRING_REQUESTS
            && let Some(oldest) = self.asked.pop_front()
        {
            let (name, id) = (oldest.hello.name, oldest.key.node_id());
            let text =
                format!("{PAIRING_REQUESTS} ask to pair: {name} ({id}), the first, gives way");
            cx.info_seldom(&mut self.refusals.full, text);
        }
        self.asked.push_back(Asked { key, hello, source, at: cx.now, last: cx.now.wall });
        Verdict::NotRegistered { request: Some(id), reason: None }
    }

    /// Says so in the log, where the caller learns only `told`.
    fn send_away(
        &mut self,
        hello: &Hello,
        id: NodeId,
        source: IpAddr,
        why: &str,
        told: Option<&str>,
        cx: &mut Cx,
    ) -> Verdict {
        let text = format!("sent {} ({id}) at {source} away: {why}", hello.name);
        cx.info_seldom(&mut self.refusals.strangers, text);
        stranger(told)
    }

    pub(super) fn forget_old_requests(&mut self, cx: &Cx) {
        self.asked.retain(|a| cx.now.mono.since(a.at.mono) < PAIRING_WAITS);
    }

    /// The index of the pairing request that `text` names.
    pub(super) fn find_asked(&self, text: &str) -> Result<usize, Fault> {
        let rows =
            self.asked.iter().enumerate().map(|(i, a)| (i, a.key.node_id(), a.hello.name.as_str()));
        pick(rows, text)?.ok_or_else(|| {
            Fault::new(Code::RequestNotFound, format!("no pairing request is called {text:?}"))
                .hint("`miner-cli peer list` shows those that wait; a request waits 24 h")
        })
    }

    pub(super) fn approve(&mut self, text: &str, to: ReplyTo, cx: &mut Cx) {
        let asked = match self.find_asked(text) {
            Ok(i) => &self.asked[i],
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        let key = asked.key;
        let hello = asked.hello.clone();
        let mut record = self.new_record(key, self.free_name(&hello.name, key.node_id()), None, cx);
        introduce(&mut record, &hello);
        self.save(vec![StateOp::PutPeer(record.clone())], cx, move |registry, result, cx| {
            if let Err(fault) = result {
                return cx.reply(to, Err(fault));
            }
            registry.asked.retain(|a| a.key != key);
            let peer = Peer::new(record, cx.now);
            let view = peer.view(cx.now);
            if registry.put_new(peer, cx) {
                registry.registered(&key, "it was approved", cx);
            }
            cx.reply(to, Ok(Reply::Peer(Box::new(view))));
        });
    }

    pub(super) fn reject(&mut self, text: &str, to: ReplyTo, cx: &mut Cx) {
        let found = self.find_asked(text);
        let asked = match found.map(|i| self.asked.remove(i)) {
            Ok(Some(asked)) => asked,
            Ok(None) => return,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        if let Some(asking) = asked.hello.asking {
            self.rejected.push_back((asked.key, asking));
            if self.rejected.len() > REJECTIONS {
                self.rejected.pop_front();
            }
        }
        cx.info(format!("rejected {} ({})", asked.hello.name, asked.key.node_id()));
        cx.reply(to, Ok(Reply::Done));
    }

    // ---- invites ----

    pub(super) fn create_invite(&mut self, uses: u32, expires: Duration, to: ReplyTo, cx: &mut Cx) {
        let wrong = |what: &str| Err(Fault::new(Code::Invalid, what.to_owned()));
        if !(1..=10_000).contains(&uses) {
            return cx.reply(to, wrong("uses: 1 to 10000"));
        }
        if !(1..=365 * 86_400).contains(&expires.as_secs()) {
            return cx.reply(to, wrong("expires: one second to 365 days"));
        }
        let now = cx.now.wall;
        self.invites.retain(|_, i| i.expires_at > now && i.uses_left > 0);
        if self.invites.len() >= INVITES {
            let fault = Fault::new(Code::Conflict, format!("{INVITES} invites are open already"))
                .hint("revoke some: DELETE /node/invites/{id}");
            return cx.reply(to, Err(fault));
        }
        let code = InviteCode::new(self.random.bytes16(), &self.setup.me.public_key);
        let hash = hash(&code.secret);
        let record = InviteRecord {
            id: data_encoding::HEXLOWER.encode(&hash[..4]),
            hash,
            uses_left: uses,
            expires_at: now.plus_ms(ms(expires)),
            created_at: now,
        };
        self.save(vec![StateOp::PutInvite(record.clone())], cx, move |registry, result, cx| {
            if let Err(fault) = result {
                return cx.reply(to, Err(fault));
            }
            let view = InviteView { code: Some(code.to_string()), ..view(&record) };
            registry.invites.insert(record.id.clone(), record);
            cx.reply(to, Ok(Reply::Invite(view)));
        });
    }

    pub(super) fn invite_views(&self, now: Timestamp) -> Vec<InviteView> {
        self.invites.values().filter(|i| i.expires_at > now && i.uses_left > 0).map(view).collect()
    }

    pub(super) fn delete_invite(&mut self, id: String, to: ReplyTo, cx: &mut Cx) {
        if !self.invites.contains_key(&id) {
            return cx.reply(
                to,
                Err(Fault::new(Code::InviteNotFound, format!("no invite has the id {id:?}"))),
            );
        }
        self.save(
            vec![StateOp::DeleteInvite { id: id.clone() }],
            cx,
            move |registry, result, cx| {
                if result.is_ok() {
                    registry.invites.remove(&id);
                }
                cx.reply(to, result.map(|()| Reply::Done));
            },
        );
    }

    /// The id of the invite with this secret, if it may still be used.
    fn open_invite(&self, secret: &str, now: Timestamp) -> Option<String> {
        let hash = hash(&data_encoding::BASE64.decode(secret.as_bytes()).ok()?);
        let fits = |i: &&InviteRecord| {
            bool::from(i.hash.ct_eq(&hash)) && i.uses_left > 0 && i.expires_at > now
        };
        self.invites.values().find(fits).map(|i| i.id.clone())
    }

    fn count_use(&mut self, id: &str) {
        if let Some(invite) = self.invites.get_mut(id) {
            invite.uses_left = invite.uses_left.saturating_sub(1);
            if invite.uses_left == 0 {
                self.invites.remove(id);
            }
        }
    }
}

fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn view(invite: &InviteRecord) -> InviteView {
    InviteView {
        id: invite.id.clone(),
        code: None,
        uses: invite.uses_left,
        expires_at: invite.expires_at,
        created_at: invite.created_at,
    }
}

/// Role and signing key are pinned with the first hello: a later hello that differs is refused.
pub(super) fn pins(record: &PeerRecord, hello: &Hello) -> Result<(), String> {
    if record.signing_key.is_some_and(|k| k != hello.signing_key) {
        return Err("its signing key is not the one it was registered with".to_owned());
    }
    match record.role {
        Some(role) if role != hello.role => {
            Err(format!("it was registered as {role} and now says that it is {}", hello.role))
        }
        _ => Ok(()),
    }
}

/// Takes over what a hello says of a peer.
pub(super) fn introduce(record: &mut PeerRecord, hello: &Hello) {
    record.role = Some(hello.role);
    record.signing_key = Some(hello.signing_key);
    record.version = Some(crate::model::text::clean(&hello.version, 64));
}

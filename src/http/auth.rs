//! Who may ask: the holder of the node's token, or of a session that was begun with it.
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use serde::Serialize;
use subtle::ConstantTimeEq as _;

use crate::bus;
use crate::model::fault::{Code, Fault};
use crate::model::time::{Mono, Now, Timestamp};
use crate::sys::random;

/// Wrong tokens from one address within a [`WINDOW`] that are answered 401; further ones are answered 429.
///
/// The right token passes whatever came before it: a stranger behind the same address must not be able to lock the
/// owner out. Guessing is hopeless at any rate (the token has 256 bits); the limit tells a misconfigured script to
/// stop, and keeps its noise out of the log.
pub const WRONG_TOKENS: u32 = 10;
pub const WINDOW: Duration = Duration::from_secs(60);
const ADDRESSES: usize = 1024;

const SESSIONS: usize = 64;
/// A session that was not used for this long has ended.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 24 * 3600);

/// 256 random bits.
#[derive(Clone)]
pub struct SessionId(String);

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionId")
    }
}

impl SessionId {
    /// 64 hex digits.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

pub struct Auth {
    token: String,
    sessions: Mutex<Vec<Session>>,
    wrong: Mutex<HashMap<IpAddr, Wrong>>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

struct Session {
    id: SessionId,
    /// Names it for people; it opens nothing.
    name: String,
    from: IpAddr,
    created: Timestamp,
    used: Now,
    /// What was begun with it ends with it: nothing is ever sent.
    life: (Sender<()>, Receiver<()>),
}

/// A row of `GET /sessions`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    pub id: String,
    pub created_at: Timestamp,
    pub last_used: Timestamp,
    pub from: IpAddr,
    /// The one that asks.
    pub current: bool,
}

struct Wrong {
    since: Mono,
    count: u32,
}

/// What a request says of its sender.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    pub authorization: Option<&'a str>,
    pub cookie: Option<&'a str>,
    /// The port in the Host header; tells the cookies of several nodes on one machine apart.
    pub port: u16,
    pub from: IpAddr,
}

impl Auth {
    #[must_use]
    pub fn new(token: String) -> Self {
        Self { token, sessions: Mutex::default(), wrong: Mutex::default() }
    }

    /// `local:token` or `local:session`.
    ///
    /// # Errors
    /// UNAUTHORIZED; TOO_MANY for the eleventh wrong token in a minute.
    pub fn who(&self, claim: &Claim<'_>, now: Now) -> Result<&'static str, Fault> {
        if let Some(value) = claim.authorization {
            let given =
                value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return self
                .check(given.map_or("", |(_, token)| token.trim()), claim.from, now)
                .map(|()| "local:token");
        }
        if self.session(claim, now).is_some() {
            return Ok("local:session");
        }
        let from = claim.from;
        crate::seldom!(Info, "{from} asks the API without the token or a session");
        Err(Fault::new(Code::Unauthorized, "this needs the node's API token or a session").hint(
            "`miner-cli node token` prints the token: send it as `Authorization: Bearer TOKEN`",
        ))
    }

    /// Compares in constant time.
    fn check(&self, token: &str, from: IpAddr, now: Now) -> Result<(), Fault> {
        if bool::from(self.token.as_bytes().ct_eq(token.as_bytes())) && !token.is_empty() {
            return Ok(());
        }
        crate::seldom!(Warn, "refused a wrong API token from {from}");
        if self.note_wrong(from, now) > WRONG_TOKENS {
            return Err(Fault::new(
                Code::TooMany,
                "too many wrong tokens from this address; wait a minute",
            ));
        }
        Err(Fault::new(Code::Unauthorized, "this is not the node's API token")
            .hint("`miner-cli node token` prints it"))
    }

    /// How many wrong tokens came from this address within the window. The table is bounded; when it is full the
    /// oldest entry makes room.
    fn note_wrong(&self, from: IpAddr, now: Now) -> u32 {
        let mut wrong = lock(&self.wrong);
        if wrong.len() >= ADDRESSES && !wrong.contains_key(&network(from)) {
            let oldest = wrong.iter().min_by_key(|(_, w)| w.since).map(|(ip, _)| *ip);
            oldest.map(|ip| wrong.remove(&ip));
        }
        let entry = wrong.entry(network(from)).or_insert(Wrong { since: now.mono, count: 0 });
        if now.mono.since(entry.since) >= WINDOW {
            *entry = Wrong { since: now.mono, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
        entry.count
    }

    /// Begins a session; when there are too many, the one unused for longest ends.
    ///
    /// # Errors
    /// As [`Auth::who`].
    pub fn begin(&self, token: &str, from: IpAddr, now: Now) -> Result<SessionId, Fault> {
        self.check(token, from, now)?;
        let id = SessionId(random::hex::<32>());
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= SESSIONS {
            let oldest =
                sessions.iter().enumerate().min_by_key(|(_, s)| s.used.mono).map(|(i, _)| i);
            oldest.map(|i| sessions.swap_remove(i));
        }
        sessions.push(Session {
            id: id.clone(),
            name: random::hex::<4>(),
            from,
            created: now.wall,
            used: now,
            life: bus::reply_channel(),
        });
        Ok(id)
    }

    /// Does the cookie hold a living session? Using it keeps it alive. The answer lives as long as the session.
    pub fn session(&self, claim: &Claim<'_>, now: Now) -> Option<Receiver<()>> {
        let given = cookie(claim)?;
        let mut sessions = self.living(now);
        let found = sessions.iter_mut().find(|s| same(&s.id, given))?;
        found.used = now;
        Some(found.life.1.clone())
    }

    /// Disconnects when the session of this request ends; never for one that came with the token.
    pub fn life(&self, claim: &Claim<'_>, now: Now) -> Receiver<()> {
        let session = claim.authorization.is_none().then(|| self.session(claim, now)).flatten();
        session.unwrap_or_else(crossbeam_channel::never)
    }

    pub fn end(&self, claim: &Claim<'_>) {
        if let Some(given) = cookie(claim) {
            lock(&self.sessions).retain(|s| !same(&s.id, given));
        }
    }

    /// Newest first.
    pub fn sessions(&self, claim: &Claim<'_>, now: Now) -> Vec<SessionView> {
        let given = cookie(claim);
        let view = |s: &Session| SessionView {
            id: s.name.clone(),
            created_at: s.created,
            last_used: s.used.wall,
            from: s.from,
            current: given.is_some_and(|given| same(&s.id, given)),
        };
        let mut all: Vec<_> = self.living(now).iter().map(view).collect();
        all.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        all
    }

    /// Ends the session that people call `name`.
    ///
    /// # Errors
    /// SESSION_NOT_FOUND.
    pub fn end_one(&self, name: &str) -> Result<(), Fault> {
        let mut sessions = lock(&self.sessions);
        let before = sessions.len();
        sessions.retain(|s| s.name != name);
        if sessions.len() < before {
            return Ok(());
        }
        Err(Fault::new(Code::SessionNotFound, "no session has this id; it may have ended already"))
    }

    /// Ends all but the one that asks; how many.
    pub fn end_others(&self, claim: &Claim<'_>) -> usize {
        let given = cookie(claim);
        let mut sessions = lock(&self.sessions);
        let before = sessions.len();
        sessions.retain(|s| given.is_some_and(|given| same(&s.id, given)));
        before - sessions.len()
    }

    fn living(&self, now: Now) -> MutexGuard<'_, Vec<Session>> {
        let mut sessions = lock(&self.sessions);
        sessions.retain(|s| now.mono.since(s.used.mono) < SESSION_IDLE);
        sessions
    }
}

fn same(id: &SessionId, given: &str) -> bool {
    bool::from(id.0.as_bytes().ct_eq(given.as_bytes()))
}

fn cookie<'a>(claim: &Claim<'a>) -> Option<&'a str> {
    let name = format!("miner-{}", claim.port);
    let pairs = claim.cookie?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(n, _)| *n == name).map(|(_, value)| value)
}

/// One subscriber of IPv6 has a whole /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        v4 => v4,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;

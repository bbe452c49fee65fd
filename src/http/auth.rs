//! Who may ask: the holder of the node's token, or of a session that was begun with it.
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq as _;

use crate::model::fault::{Code, Fault};
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
    used: Instant,
}

struct Wrong {
    since: Instant,
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
    pub fn who(&self, claim: &Claim<'_>, now: Instant) -> Result<&'static str, Fault> {
        if let Some(value) = claim.authorization {
            let given =
                value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return self
                .check(given.map_or("", |(_, token)| token.trim()), claim.from, now)
                .map(|()| "local:token");
        }
        if self.session(claim, now) {
            return Ok("local:session");
        }
        Err(Fault::new(Code::Unauthorized, "this needs the node's API token or a session").hint(
            "`miner-cli node token` prints the token: send it as `Authorization: Bearer TOKEN`",
        ))
    }

    /// Compares in constant time.
    fn check(&self, token: &str, from: IpAddr, now: Instant) -> Result<(), Fault> {
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
    fn note_wrong(&self, from: IpAddr, now: Instant) -> u32 {
        let mut wrong = lock(&self.wrong);
        if wrong.len() >= ADDRESSES && !wrong.contains_key(&network(from)) {
            let oldest = wrong.iter().min_by_key(|(_, w)| w.since).map(|(ip, _)| *ip);
            oldest.map(|ip| wrong.remove(&ip));
        }
        let entry = wrong.entry(network(from)).or_insert(Wrong { since: now, count: 0 });
        if now.saturating_duration_since(entry.since) >= WINDOW {
            *entry = Wrong { since: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
        entry.count
    }

    /// Begins a session; when there are too many, the one unused for longest ends.
    ///
    /// # Errors
    /// As [`Auth::who`].
    pub fn begin(&self, token: &str, from: IpAddr, now: Instant) -> Result<SessionId, Fault> {
        self.check(token, from, now)?;
        let id = SessionId(random::hex::<32>());
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= SESSIONS {
            let oldest = sessions.iter().enumerate().min_by_key(|(_, s)| s.used).map(|(i, _)| i);
            oldest.map(|i| sessions.swap_remove(i));
        }
        sessions.push(Session { id: id.clone(), used: now });
        Ok(id)
    }

    /// Does the cookie hold a living session? Using it keeps it alive.
    pub fn session(&self, claim: &Claim<'_>, now: Instant) -> bool {
        let Some(given) = cookie(claim) else { return false };
        let mut sessions = lock(&self.sessions);
        sessions.retain(|s| now.saturating_duration_since(s.used) < SESSION_IDLE);
        let found = sessions.iter_mut().find(|s| same(&s.id, given));
        found.map(|session| session.used = now).is_some()
    }

    pub fn end(&self, claim: &Claim<'_>) {
        if let Some(given) = cookie(claim) {
            lock(&self.sessions).retain(|s| !same(&s.id, given));
        }
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

//! What can be asked, in one table: the path, who may, what runs, and what openapi.json says of it. What is not in the
//! table is not there, and what is not marked public needs the token.
use super::answer::{Answer, Extra};
use super::api::{
    alerts, audit, events, history, live, miners, node, peers, profiles, remote, sessions, system,
};
use super::asked::{self, Asked};
use super::auth::Claim;
use super::hosts::Host;
use super::meter::Target;
use super::parse::{Head, Verb};
use super::server::{Incoming, Outcome};
use super::{BASE, Shared, metrics, openapi, pages};
use crate::model::fault::{Code, Fault};
use crate::sys::clock;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Public,
    Token,
}

type Handler = fn(&Asked<'_>) -> Result<Answer, Fault>;

#[derive(Clone, Copy)]
pub enum Run {
    /// Waits for nothing.
    Quick(Handler),
    /// Asks the registry.
    Call(Handler),
    /// Answers with events.
    Stream(fn(&Asked<'_>) -> Result<Outcome, Fault>),
    /// Answers with events who accepts `text/event-stream`, others with JSON.
    Either(Handler, fn(&Asked<'_>) -> Result<Outcome, Fault>),
}

/// Which of the gate's places a request needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    Quick,
    Call,
    Stream,
}

pub struct Route {
    pub verb: Verb,
    /// Under [`BASE`]; `{name}` stands for one segment.
    pub path: &'static str,
    pub access: Access,
    pub run: Run,
    pub summary: &'static str,
    /// Query parameters.
    pub query: &'static [&'static str],
    /// The schema of the body.
    pub takes: Option<&'static str>,
    /// Status and schema of the answer.
    pub gives: (u16, &'static str),
    /// Faults of its own, beside those that every route of its kind has.
    pub fails: &'static [Code],
    /// The Content-Types of the answer.
    pub kinds: &'static [&'static str],
    /// Served at the root as well.
    pub at_root: bool,
}

impl Route {
    const fn new(
        verb: Verb,
        path: &'static str,
        access: Access,
        run: Run,
        summary: &'static str,
    ) -> Self {
        let (query, fails, kinds): (&[&str], &[Code], &[&str]) = (&[], &[], &["application/json"]);
        Self {
            verb,
            path,
            access,
            run,
            summary,
            query,
            takes: None,
            gives: (200, "Status"),
            fails,
            kinds,
            at_root: false,
        }
    }

    const fn query(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }

    const fn takes(mut self, schema: &'static str) -> Self {
        self.takes = Some(schema);
        self
    }

    const fn gives(mut self, status: u16, schema: &'static str) -> Self {
        self.gives = (status, schema);
        self
    }

    const fn fails(mut self, codes: &'static [Code]) -> Self {
        self.fails = codes;
        self
    }

    const fn kinds(mut self, kinds: &'static [&'static str]) -> Self {
        self.kinds = kinds;
        self
    }

    const fn at_root(mut self) -> Self {
        self.at_root = true;
        self
    }

    /// The values of the parameters when `path` fits, not yet decoded.
    fn fits<'p>(&self, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
        let rest = match path.strip_prefix(BASE) {
            Some(rest) => rest,
            None if self.at_root => path,
            None => return None,
        };
        let (mut pattern, mut given) = (self.path.split('/'), rest.split('/'));
        let mut params = Vec::new();
        loop {
            match (pattern.next(), given.next()) {
                (None, None) => return Some(params),
                (Some(wanted), Some(got)) => match parameter(wanted) {
                    Some(name) if !got.is_empty() => params.push((name, got)),
                    None if wanted == got => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    fn lane(&self, wants_events: bool) -> Lane {
        match self.run {
            Run::Quick(_) => Lane::Quick,
            Run::Either(..) if wants_events => Lane::Stream,
            Run::Call(_) | Run::Either(..) => Lane::Call,
            Run::Stream(_) => Lane::Stream,
        }
    }

    /// HEAD is GET without the body, where there is an end to it.
    fn answers(&self, verb: Verb) -> bool {
        self.verb == verb
            || (verb == Verb::Head && self.verb == Verb::Get && self.lane(false) != Lane::Stream)
    }
}

/// The name inside `{name}`.
pub fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

use Access::{Public, Token};
use Code::{
    Ambiguous, ChannelNotFound, Conflict, Exists, InviteNotFound, KeyMismatch, MinerNotFound,
    NotAllowed, PeerNotFound, PeerUnreachable, Policy, ProfileNotFound, RequestNotFound, RigFailed,
    SessionNotFound, StartFailed, TooMany, Unauthorized,
};
use Run::{Call, Either, Quick, Stream};
use Verb::{Delete, Get, Post, Put};

const ON_A_PEER: &[Code] = &[PeerNotFound, Ambiguous, PeerUnreachable];
const ON_A_RIG: &[Code] = &[
    PeerNotFound,
    Ambiguous,
    PeerUnreachable,
    RigFailed,
    NotAllowed,
    Policy,
    MinerNotFound,
    Conflict,
];
const A_START: &[Code] = &[
    PeerNotFound,
    ProfileNotFound,
    Ambiguous,
    PeerUnreachable,
    RigFailed,
    NotAllowed,
    Policy,
    Conflict,
];

const METRICS: &[&str] = &["application/openmetrics-text", "text/plain"];

#[rustfmt::skip]
pub static TABLE: &[Route] = &[
    Route::new(Get, "/health", Public, Quick(system::health), "Is the daemon alive?").gives(200, "Health").at_root(),
    Route::new(Get, "/openapi.json", Token, Quick(system::openapi), "This description").gives(200, "Anything").at_root(),
    Route::new(Get, "/info", Token, Quick(system::info), "Version, features and base path").gives(200, "Info"),
    Route::new(Post, "/doctor", Token, Call(system::doctor), "Checks what the daemon can see of itself").gives(200, "Checks"),
    Route::new(Get, "/metrics", Token, Call(metrics::answer), "The farm and the daemon itself as OpenMetrics, or in the older format of Prometheus").query(&["detail"]).gives(200, "Metrics").kinds(METRICS).at_root(),
    Route::new(Get, "/session", Public, Quick(sessions::current), "Is there a session of the dashboard?").gives(200, "Session"),
    Route::new(Post, "/session", Public, Quick(sessions::login), "Begins a session, as a cookie").takes("Login").gives(204, "").fails(&[Unauthorized, TooMany]),
    Route::new(Delete, "/session", Public, Quick(sessions::logout), "Ends the session").gives(204, ""),

    Route::new(Get, "/sessions", Token, Quick(sessions::list), "Every session of the dashboard").gives(200, "Sessions"),
    Route::new(Delete, "/sessions/{id}", Token, Quick(sessions::end), "Ends a session, whoever has it").fails(&[SessionNotFound]),
    Route::new(Delete, "/sessions", Token, Quick(sessions::end_others), "Ends every session but the one that asks").gives(200, "SessionsEnded"),
    Route::new(Get, "/live", Token, Stream(live::follow), "Everything at once, then every 2 s what changed, as events").query(&["rig"]).gives(200, "Live").fails(&[PeerNotFound, Ambiguous]),

    Route::new(Get, "/node/info", Token, Call(node::info), "This node").gives(200, "NodeInfo"),
    Route::new(Post, "/node/init", Token, Call(node::init), "Gives this node its identity").takes("NodeInit").gives(200, "Identity").fails(&[Exists]),
    Route::new(Get, "/node/invites", Token, Call(node::invites), "Invites that can still be used").gives(200, "Invites"),
    Route::new(Post, "/node/invites", Token, Call(node::create_invite), "Makes an invite; its code is shown only now").takes("InviteRequest?").gives(201, "Invite").fails(&[Conflict]),
    Route::new(Delete, "/node/invites/{id}", Token, Call(node::delete_invite), "Takes an invite back").fails(&[InviteNotFound]),
    Route::new(Post, "/node/join", Token, Call(node::join), "Registers with the node that made the invite").takes("Join").gives(201, "Peer").fails(&[Conflict, Exists, PeerUnreachable, KeyMismatch]),

    Route::new(Get, "/peers", Token, Call(peers::list), "Registered peers and pairing requests").gives(200, "Peers"),
    Route::new(Post, "/peers", Token, Call(peers::add), "Registers a node").takes("AddPeer").gives(201, "Peer").fails(&[Conflict, Exists, PeerUnreachable, KeyMismatch]),
    Route::new(Get, "/peers/{peer}", Token, Call(peers::one), "One peer").gives(200, "Peer").fails(&[PeerNotFound, Ambiguous]),
    Route::new(Delete, "/peers/{peer}", Token, Call(peers::remove), "Forgets a peer").fails(&[PeerNotFound, Ambiguous]),
    Route::new(Put, "/peers/{peer}/labels", Token, Call(peers::labels), "Replaces the labels of a peer, the whole set").takes("Labels").gives(200, "Peer").fails(ON_A_PEER),
    Route::new(Post, "/peers/{peer}/ping", Token, Call(peers::ping), "How long a message there and back takes").gives(200, "Ping").fails(ON_A_PEER),
    Route::new(Post, "/peers/{peer}/approve", Token, Call(peers::approve), "Lets a node in that asked to pair").gives(200, "Peer").fails(&[RequestNotFound, Ambiguous, Exists]),
    Route::new(Post, "/peers/{peer}/reject", Token, Call(peers::reject), "Turns a pairing request down").fails(&[RequestNotFound, Ambiguous]),

    Route::new(Get, "/remote/stats", Token, Call(remote::stats_all), "The last report of every registered peer").gives(200, "AllStats"),
    Route::new(Get, "/remote/totals", Token, Call(remote::totals), "Hashrates by algorithm, rigs by state").gives(200, "Totals"),
    Route::new(Get, "/remote/{peer}/stats", Token, Call(remote::stats), "Fresh figures from a rig").gives(200, "Stats").fails(ON_A_PEER),
    Route::new(Post, "/remote/{peer}/start", Token, Call(remote::start), "Starts a profile on a rig").takes("StartRequest").gives(200, "Started").fails(A_START),
    Route::new(Post, "/remote/{peer}/stop", Token, Call(remote::stop), "Stops one miner of a rig, or all").takes("MinerRequest?").gives(200, "Affected").fails(ON_A_RIG),
    Route::new(Post, "/remote/{peer}/restart", Token, Call(remote::restart), "Restarts one miner of a rig, or all").takes("MinerRequest?").gives(200, "Affected").fails(ON_A_RIG),
    Route::new(Get, "/remote/{peer}/logs/{miner}", Token, Call(remote::logs), "The last lines that a rig's miner printed").query(&["lines", "previous"]).gives(200, "Lines").fails(ON_A_RIG),
    Route::new(Get, "/remote/{peer}/logs/{miner}/stream", Token, Stream(remote::follow), "The same, and each new line as an event").query(&["lines"]).gives(200, "Events").fails(ON_A_RIG),
    Route::new(Get, "/remote/{peer}/profiles", Token, Call(remote::profiles), "The profiles that a rig has, and whether they are the same as ours").gives(200, "RigProfiles").fails(ON_A_RIG),
    Route::new(Post, "/remote/{peer}/deploy", Token, Call(remote::deploy), "Copies a profile to a rig; with dryRun it only says what would change").takes("DeployRequest").gives(200, "Deployed").fails(A_START),

    Route::new(Get, "/events", Token, Either(events::list, events::follow), "What happened here and on the rigs; for clients that accept text/event-stream, each new event too").query(&["lines", "since"]).gives(200, "EventRecords"),

    Route::new(Get, "/profiles", Token, Call(profiles::list), "Every profile").gives(200, "Profiles"),
    Route::new(Post, "/profiles", Token, Call(profiles::add), "Adds a profile").takes("Profile").gives(201, "Profile").fails(&[Exists]),
    Route::new(Get, "/profiles/{id}", Token, Call(profiles::one), "One profile").gives(200, "Profile").fails(&[ProfileNotFound]),
    Route::new(Put, "/profiles/{id}", Token, Call(profiles::edit), "Replaces a profile").takes("Profile").gives(200, "Profile").fails(&[ProfileNotFound]),
    Route::new(Delete, "/profiles/{id}", Token, Call(profiles::remove), "Removes a profile").fails(&[ProfileNotFound]),
    Route::new(Post, "/profiles/{id}/start", Token, Call(profiles::start), "Starts a profile on this node").gives(200, "Name").fails(&[ProfileNotFound, Policy, Conflict, StartFailed]),

    Route::new(Get, "/miners", Token, Call(miners::list), "This node's own miners").gives(200, "Miners"),
    Route::new(Get, "/miners/available", Token, Call(miners::available), "Miner programs that this node knows").gives(200, "AvailableMiners"),
    Route::new(Get, "/miners/{name}/stats", Token, Call(miners::stats), "One of this node's miners").gives(200, "Miner").fails(&[MinerNotFound]),
    Route::new(Get, "/miners/{name}/logs", Token, Quick(miners::logs), "The last lines that it printed").query(&["lines", "previous"]).gives(200, "Lines").fails(&[MinerNotFound]),
    Route::new(Get, "/miners/{name}/hashrate-history", Token, Call(miners::history), "Its hashrate in the last hour").gives(200, "HashrateHistory").fails(&[MinerNotFound]),
    Route::new(Delete, "/miners/{name}", Token, Call(miners::stop), "Stops it").gives(200, "Affected").fails(&[MinerNotFound]),

    Route::new(Get, "/alerts", Token, Call(alerts::list), "What is wrong now, the rules and the channels").gives(200, "Alerts"),
    Route::new(Post, "/alerts/test", Token, Call(alerts::test), "Sends a test message to one channel or all").takes("AlertTest?").gives(200, "AlertTestResults").fails(&[ChannelNotFound, Conflict]),

    Route::new(Get, "/history/status", Token, Call(history::status), "How much history there is").gives(200, "HistoryStatus"),
    Route::new(Get, "/history/totals", Token, Call(history::totals), "The chart of the farm, or of one rig, by algorithm").query(&["algorithm", "since", "until", "points", "peer"]).gives(200, "TotalsChart").fails(&[PeerNotFound, Ambiguous, PeerUnreachable, Conflict]),
    Route::new(Get, "/history/miners", Token, Call(history::miners), "Every miner that ran in that time, by rig and algorithm").query(&["since", "until", "peer"]).gives(200, "MinerSummaries").fails(&[PeerNotFound, Ambiguous, PeerUnreachable, Conflict]),
    Route::new(Get, "/history/miners/{name}", Token, Call(history::miner), "One miner of this node, or of `peer`, with the algorithm that it ran last").query(&["since", "until", "peer"]).gives(200, "MinerSummary").fails(&[MinerNotFound, PeerNotFound, Ambiguous, PeerUnreachable, Conflict]),
    Route::new(Get, "/history/miners/{name}/hashrate", Token, Call(history::hashrate), "Its chart; the header Resolution tells the seconds between points").query(&["since", "until", "points", "peer"]).gives(200, "MinerPoints").fails(&[MinerNotFound, PeerNotFound, Ambiguous, PeerUnreachable, Conflict]),

    Route::new(Get, "/policy", Token, Call(audit::policy), "What [policy] of this node's config.toml allows; nothing here changes it").gives(200, "Policy"),
    Route::new(Get, "/audit", Token, Call(audit::list), "What was asked of this node, and what came of it; newest last").query(&["peer", "lines"]).gives(200, "AuditEntries").fails(&[PeerNotFound, Ambiguous]),
    Route::new(Post, "/audit/verify", Token, Call(audit::verify), "Checks the signature of every command that was kept").gives(200, "AuditReport"),
];

/// Where a request goes. The path has no query.
enum Found<'p> {
    Route(&'static Route, Vec<(&'static str, &'p str)>),
    /// The path is there, for these methods.
    OtherMethods(Vec<&'static str>),
    Nothing,
}

fn find(verb: Verb, path: &str) -> Found<'_> {
    let mut methods = Vec::new();
    for route in TABLE {
        let Some(params) = route.fits(path) else { continue };
        if route.answers(verb) {
            return Found::Route(route, params);
        }
        methods.push(route.verb.text());
        if route.answers(Verb::Head) {
            methods.push(Verb::Head.text());
        }
    }
    if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods) }
}

/// The gate asks before it passes a request on: which place it needs, and what to count it as.
pub fn lane(head: &Head) -> (Lane, Target) {
    match find(head.verb, split(&head.target).0) {
        Found::Route(route, _) => {
            let at = TABLE.iter().position(|r| std::ptr::eq(r, route));
            (
                route.lane(head.wants_events && head.verb != Verb::Head),
                at.map_or(Target::Page, Target::Route),
            )
        }
        _ => (Lane::Quick, Target::Page),
    }
}

fn split(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// Answers one request: finds the route, checks who asks, runs it.
pub fn answer(shared: &Shared, request: &Incoming) -> Outcome {
    run(shared, request).unwrap_or_else(|fault| Outcome::Answer(Answer::fault(&fault)))
}

fn run(shared: &Shared, request: &Incoming) -> Result<Outcome, Fault> {
    let (path, query) = split(&request.target);
    let claim = Claim {
        authorization: request.authorization.as_deref(),
        cookie: request.cookie.as_deref(),
        port: Host::parse(&request.host).and_then(|host| host.port).unwrap_or(80),
        from: request.from,
    };
    let found = find(request.verb, path);
    let public = match &found {
        Found::Route(route, _) => route.access == Public,
        _ => !path.starts_with(BASE),
    };
    let who = if public { "local:anyone" } else { shared.auth.who(&claim, clock::now())? };
    let (route, params) = match found {
        Found::Route(route, params) => (route, params),
        Found::OtherMethods(methods) => return Ok(Outcome::Answer(wrong_method(methods))),
        Found::Nothing => return Ok(Outcome::Answer(pages::answer(request.verb, path))),
    };
    let params = params.into_iter().map(|(name, value)| Ok((name, asked::decode(value)?)));
    let asked = Asked {
        shared,
        params: params.collect::<Result<_, Fault>>()?,
        query: asked::query(query, route.query)?,
        body: &request.body,
        content_type: request.content_type.as_deref(),
        accept: request.accept.as_deref(),
        claim,
        who,
        stream: request.stream,
        last_event: request.last_event.as_deref(),
        origin: request.origin.as_deref(),
    };
    match route.run {
        Quick(handler) | Call(handler) => handler(&asked).map(Outcome::Answer),
        Stream(handler) => handler(&asked),
        // The gate gave it a place for a stream, or did not.
        Either(handler, _) if request.stream.is_none() => handler(&asked).map(Outcome::Answer),
        Either(_, handler) => handler(&asked),
    }
}

pub fn wrong_method(methods: Vec<&'static str>) -> Answer {
    let why = format!("this path answers {} only", methods.join(", "));
    Answer::fault(&Fault::new(Code::MethodNotAllowed, why)).with(Extra::Allow(methods))
}

/// openapi.json.
pub fn description(version: &str) -> Answer {
    Answer::json(200, &openapi::document(TABLE, version))
}

#[cfg(test)]
mod tests {
    use super::{Found, Lane, Verb, find};
    use crate::http::BASE;

    #[test]
    fn literal_segments_come_before_parameters_and_paths_match_whole() {
        let at = |path: &str| match find(Verb::Get, &format!("{BASE}{path}")) {
            Found::Route(route, params) => (route.path, params.len()),
            _ => ("", 0),
        };
        assert_eq!(at("/remote/stats"), ("/remote/stats", 0));
        assert_eq!(at("/miners/available"), ("/miners/available", 0));
        assert_eq!(at("/remote/a/logs/b/stream"), ("/remote/{peer}/logs/{miner}/stream", 2));
        for nothing in [
            "",
            "/",
            "/peers/",
            "/peers//",
            "//peers",
            "/peers/a/b",
            "/Peers",
            "s",
            "/remote//stats",
        ] {
            assert_eq!(at(nothing), ("", 0), "{nothing}");
        }
        assert!(matches!(find(Verb::Get, "/peers"), Found::Nothing));
        assert!(matches!(find(Verb::Get, "/health"), Found::Route(..)));
    }

    #[test]
    fn a_request_takes_the_place_of_its_kind() {
        let lane = |verb: Verb, path: &str, accept: &str| {
            let head = format!("{} {path} HTTP/1.1\r\nHost: a\r\n{accept}\r\n", verb.text());
            super::lane(&crate::http::parse::head(head.as_bytes()).unwrap()).0
        };
        let events = "Accept: text/html, Text/Event-Stream;q=0.9\r\n";
        assert_eq!(lane(Verb::Get, "/health?x", events), Lane::Quick);
        assert_eq!(lane(Verb::Get, &format!("{BASE}/peers"), events), Lane::Call);
        assert_eq!(
            lane(Verb::Get, &format!("{BASE}/remote/a/logs/b/stream?lines=3"), ""),
            Lane::Stream
        );
        assert_eq!(lane(Verb::Head, &format!("{BASE}/remote/a/logs/b/stream"), ""), Lane::Quick);
        let path = format!("{BASE}/events?since=3");
        assert_eq!(lane(Verb::Get, &path, "Accept: */*\r\n"), Lane::Call);
        assert_eq!(lane(Verb::Get, &path, events), Lane::Stream);
        assert_eq!(lane(Verb::Head, &path, events), Lane::Call);
        match find(Verb::Post, &format!("{BASE}/peers/a")) {
            Found::OtherMethods(methods) => assert_eq!(methods, ["GET", "HEAD", "DELETE"]),
            _ => panic!("405"),
        }
    }
}

//! `node …`: this node itself. `init` and `info` work with and without a daemon.
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{NodeInit, NodeInvite, NodeJoin, NodeServe, NodeVerb};
use super::client::{self, Client};
use super::exit::{Exit, Failure};
use super::{Ended, Session, peer, units};
use crate::config::{Flags, Paths, RunFile, TlsFlags};
use crate::daemon::{self, ServeOptions};
use crate::identity::Identity;
use crate::model::invite::InviteView;
use crate::model::node::{NodeCard, NodeInfo};
use crate::model::peer::PeerView;
use crate::model::trust::WSS;
use crate::sys::{clock, heap};

pub fn run(verb: NodeVerb, session: &mut Session) -> Ended {
    match verb {
        NodeVerb::Init(init) => self::init(&init, session),
        NodeVerb::Info(_) => info(session),
        NodeVerb::Serve(serve) => self::serve(serve, session),
        NodeVerb::Invite(invite) => self::invite(&invite, session),
        NodeVerb::Join(join) => self::join(&join, session),
        NodeVerb::Token(_) => token(session),
    }
}

fn init(init: &NodeInit, session: &mut Session) -> Ended {
    let card = match Client::find_running(session)? {
        Some(client) => {
            let wanted = json!({"name": init.name, "role": init.role});
            client.ask("POST", "/node/init", Some(&wanted))?.read::<NodeCard>()?
        }
        None => {
            let Paths { node_json, private_key, .. } = session.paths()?;
            if session.has_service() && !node_json.exists() {
                // An identity in the person's own folders is not what was meant.
                let message = "the miner-cli service of this machine does not run".to_owned();
                let hint = client::start_hint(session);
                return Err(Failure::NoDaemon { message, hint });
            }
            let now = clock::wall();
            Identity::create(&node_json, &private_key, &init.name, init.role, now)?.card
        }
    };
    if session.globals.json {
        session.screen.json(&card)?;
        return Ok(Exit::Done);
    }
    session.screen.line("This node now has an identity.")?;
    card_lines(&card, session)?;
    Ok(Exit::Done)
}

fn card_lines(card: &NodeCard, session: &mut Session) -> Result<(), Failure> {
    for (what, value) in [
        ("name", card.name.clone()),
        ("role", card.role.to_string()),
        ("id", card.id.to_string()),
        ("public key", card.public_key.to_string()),
        ("fingerprint", card.fingerprint.clone()),
        ("created", card.created_at.to_string()),
    ] {
        session.screen.line(&format!("{what:<12} {value}"))?;
    }
    Ok(())
}

fn info(session: &mut Session) -> Ended {
    let Some(client) = Client::find_running(session)? else { return info_without_daemon(session) };
    let reply = client.get("/node/info")?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let info: NodeInfo = reply.read()?;
    identity_lines(info.identity.as_ref(), session)?;
    for (what, value) in [
        (
            "peers",
            format!("{} registered, {} connected", info.registered_peers, info.connected_peers),
        ),
        ("version", info.version),
        ("uptime", units::duration(Some(info.uptime))),
        ("listens", info.listen.unwrap_or_else(|| units::NONE.to_owned())),
        ("API", info.api),
    ] {
        session.screen.line(&format!("{what:<12} {value}"))?;
    }
    Ok(Exit::Done)
}

/// The same shape as the daemon's answer; what only a daemon knows is null.
fn info_without_daemon(session: &mut Session) -> Ended {
    let Paths { node_json, private_key, .. } = session.paths()?;
    let card = Identity::load(&node_json, &private_key)?.map(|identity| identity.card);
    if session.globals.json {
        session.screen.json(&json!({
            "hasIdentity": card.is_some(),
            "identity": card,
            "registeredPeers": Value::Null,
            "connectedPeers": Value::Null,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime": Value::Null,
            "listen": Value::Null,
            "api": Value::Null,
        }))?;
        return Ok(Exit::Done);
    }
    identity_lines(card.as_ref(), session)?;
    let hint = client::start_hint(session);
    session.screen.line(&format!("{:<12} does not run ({hint})", "daemon"))?;
    Ok(Exit::Done)
}

fn identity_lines(card: Option<&NodeCard>, session: &mut Session) -> Result<(), Failure> {
    match card {
        Some(card) => card_lines(card, session),
        None => {
            session.screen.line("This node has no identity yet: miner-cli node init --name NAME")
        }
    }
}

fn serve(serve: NodeServe, session: &mut Session) -> Ended {
    heap::share_freed_memory();
    daemon::serve(ServeOptions {
        paths: Paths::of_daemon(session.home())?,
        flags: Flags {
            listen: serve.listen,
            api: session.globals.api.clone(),
            tls: TlsFlags { cert: serve.tls_cert, key: serve.tls_key },
            api_tls: TlsFlags { cert: serve.api_tls_cert, key: serve.api_tls_key },
        },
        log_level: serve.log_level,
        log_format: serve.log_format,
    })?;
    Ok(Exit::Done)
}

fn invite(invite: &NodeInvite, session: &mut Session) -> Ended {
    if invite.expires < Duration::from_secs(1) {
        return Err(Failure::Usage("--expires is at least one second".to_owned()));
    }
    let client = session.client()?;
    let wanted = json!({"uses": invite.uses, "expiresSeconds": invite.expires.as_secs()});
    let reply = client.ask("POST", "/node/invites", Some(&wanted))?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let made: InviteView = reply.read()?;
    let code = made.code.ok_or_else(|| Failure::own("the daemon's answer holds no code"))?;
    let info: NodeInfo = client.get("/node/info")?.read()?;
    let uses = if made.uses == 1 { "once".to_owned() } else { format!("{} times", made.uses) };
    session.screen.line(&code)?;
    session
        .screen
        .line(&format!("Good {uses}, until {}. On the other node type:", made.expires_at))?;
    let address = reachable(info.listen.as_deref());
    let pin = pin_of(info.listen.as_deref(), session)?;
    session.screen.line(&format!("  miner-cli node join {address} {code}{pin}"))?;
    if info.listen.as_ref() != Some(&address) {
        let remark = "or whichever address of this machine the other node can reach";
        session.screen.note(&format!("({address}: {remark})"));
    }
    Ok(Exit::Done)
}

/// Where another node might reach one that listens on `listen`: the host's name where it listens everywhere.
fn reachable(listen: Option<&str>) -> String {
    let scheme = if listen.is_some_and(|l| l.starts_with(WSS)) { WSS } else { "" };
    let bare = listen.map(|l| l.strip_prefix(WSS).unwrap_or(l));
    let (host, port) = bare.and_then(|l| l.rsplit_once(':')).unwrap_or(("", "9091"));
    match host {
        "" | "0.0.0.0" | "[::]" => {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let name = name.trim();
            format!("{scheme}{}:{port}", if name.is_empty() { "HOST" } else { name })
        }
        host => format!("{scheme}{host}:{port}"),
    }
}

/// The option that makes the other node believe this node's certificate, where the port is under TLS and this is the
/// daemon's own home.
fn pin_of(listen: Option<&str>, session: &Session) -> Result<String, Failure> {
    let run = RunFile::read(&session.paths()?.run_file())?;
    let run = run.filter(|run| run.listen.as_deref() == listen);
    let pin = run.and_then(|run| run.listen_pin);
    Ok(pin.map_or_else(String::new, |pin| format!(" --tls-pin {pin}")))
}

fn join(join: &NodeJoin, session: &mut Session) -> Ended {
    let mut wanted = json!({"address": join.address, "invite": join.invite});
    peer::trust(&mut wanted, join.tls_ca.as_deref(), join.tls_pin.as_deref())?;
    if let Some(name) = &join.name {
        wanted["name"] = json!(name);
    }
    let reply = session.client()?.ask("POST", "/node/join", Some(&wanted))?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let joined: PeerView = reply.read()?;
    session.screen.line(&format!("Registered with {}.", joined.name))?;
    peer::card_lines(&joined, session)?;
    Ok(Exit::Done)
}

fn token(session: &mut Session) -> Ended {
    let token = session.client()?.token().to_owned();
    if session.globals.json {
        session.screen.json(&json!({"token": token}))?;
    } else {
        session.screen.line(&token)?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn the_address_to_join_is_one_that_means_something_elsewhere() {
        assert_eq!(reachable(Some("192.168.1.5:9091")), "192.168.1.5:9091");
        assert_eq!(reachable(Some("wss://192.168.1.5:9091")), "wss://192.168.1.5:9091");
        assert!(reachable(Some("wss://[::]:9091")).starts_with("wss://"));
        for everywhere in [":7000", "0.0.0.0:7000", "[::]:7000"] {
            let address = reachable(Some(everywhere));
            assert!(
                address.ends_with(":7000") && !address.starts_with([':', '0', '[']),
                "{address}"
            );
        }
    }
}

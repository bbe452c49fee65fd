//! `audit`: what was asked of this node and what came of it; `audit verify`: is the log as it was written?
use argh::FromArgs;

use super::client::segment;
use super::exit::{Exit, Failure};
use super::table::{Align, Cell, Table, Tint};
use super::{Ended, Session};
use crate::model::audit::{AuditEntry, AuditReport};

/// what was asked of this node and what came of it, newest last; `audit verify` checks the log
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "audit")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Audit {
    /// a peer (id, unique prefix or name) or who asked, like local:token; or the word verify: check every kept
    /// signature, exit 1 if one is bad
    #[argh(positional)]
    pub peer: Option<String>,
    /// how many rows (50)
    #[argh(option, default = "50")]
    pub lines: usize,
}

/// The word in the place of a peer that asks for the check.
const VERIFY: &str = "verify";

pub fn run(audit: &Audit, session: &mut Session) -> Ended {
    if audit.peer.as_deref() == Some(VERIFY) {
        return verify(session);
    }
    if !(1..=10_000).contains(&audit.lines) {
        return Err(Failure::Usage("--lines is 1 to 10000".to_owned()));
    }
    let peer = audit.peer.as_ref().map(|p| format!("&peer={}", segment(p))).unwrap_or_default();
    let reply = session.client()?.get(&format!("/audit?lines={}{peer}", audit.lines))?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let entries: Vec<AuditEntry> = reply.read()?;
    if entries.is_empty() {
        session.screen.line("Nothing has been asked yet.")?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("TIME", Align::Left),
        ("WHO", Align::Left),
        ("ID", Align::Left),
        ("WHAT", Align::Left),
        ("RESULT", Align::Left),
    ]);
    for entry in &entries {
        let good = entry.result == "accepted" || entry.result.starts_with("done");
        table.row([
            entry.at.to_string().into(),
            entry.who.as_str().into(),
            entry.peer_id.map(|id| id.to_string()).unwrap_or_default().into(),
            entry.what.as_str().into(),
            Cell::tinted(&entry.result, if good { Tint::Plain } else { Tint::Bad }),
        ]);
    }
    session.screen.table(&table)?;
    Ok(Exit::Done)
}

fn verify(session: &mut Session) -> Ended {
    let reply = session.client()?.ask("POST", "/audit/verify", None)?;
    let report: AuditReport = reply.read()?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
    } else {
        for finding in &report.findings {
            session.screen.line(&format!("row {}: {}", finding.id, finding.reason))?;
        }
        let AuditReport { rows, good, bad, .. } = report;
        session.screen.line(&format!("{rows} rows: {good} signatures are good, {bad} are bad"))?;
    }
    Ok(if report.bad == 0 { Exit::Done } else { Exit::Failed })
}

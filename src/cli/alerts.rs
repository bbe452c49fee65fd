//! `alerts`: what is wrong now, and whether messages about it arrive.
use argh::FromArgs;
use serde::Deserialize;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::table::{Align, Cell, Table, Tint};
use super::{Ended, Session};
use crate::model::alert::{AlertOverview, TestResult};
use crate::model::event::Severity;

/// what is wrong now; `alerts test` sends a test message
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "alerts")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Alerts {
    /// list (what is wrong, and the channels; the default), or test, with a channel or for all: exit 1 when a message
    /// does not arrive
    #[argh(positional)]
    pub words: Vec<String>,
}

pub fn run(alerts: &Alerts, session: &mut Session) -> Ended {
    let words: Vec<&str> = alerts.words.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["list"] => list(session),
        ["test"] => test(None, session),
        ["test", channel] => test(Some(channel), session),
        _ => Err(Failure::Usage("alerts takes list, test or test CHANNEL".to_owned())),
    }
}

fn list(session: &mut Session) -> Ended {
    let reply = session.client()?.get("/alerts")?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let AlertOverview { enabled, alerts, channels, .. } = reply.read()?;
    if !enabled {
        session.screen.line("Alerts are switched off in config.toml.")?;
    } else if alerts.is_empty() {
        session.screen.line("Nothing is wrong.")?;
    }
    for alert in &alerts {
        let tint = match alert.severity {
            Severity::Critical => Tint::Bad,
            _ => Tint::Warn,
        };
        let word = format!("{} {:8}", alert.since, alert.severity.text());
        session.screen.tinted(tint, &word, &alert.text)?;
    }
    if channels.is_empty() {
        session
            .screen
            .note("No channel: nobody is told. See [[alerts.channels]] in docs/alerts.md.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("CHANNEL", Align::Left),
        ("TYPE", Align::Left),
        ("TO", Align::Left),
        ("LAST DELIVERY", Align::Left),
        ("WAITING", Align::Right),
        ("DROPPED", Align::Right),
        ("LAST ERROR", Align::Left),
    ]);
    for channel in channels {
        let last = channel.last_delivery.map_or("-".to_owned(), |at| at.to_string());
        table.row([
            channel.name.into(),
            channel.format.unwrap_or(channel.kind).into(),
            channel.target.into(),
            last.into(),
            channel.waiting.to_string().into(),
            channel.dropped.to_string().into(),
            Cell::tinted(channel.last_error.as_deref().unwrap_or("-"), Tint::Plain),
        ]);
    }
    session.screen.table(&table)?;
    Ok(Exit::Done)
}

#[derive(Deserialize)]
struct Results {
    results: Vec<TestResult>,
}

fn test(channel: Option<&str>, session: &mut Session) -> Ended {
    let body = json!({ "channel": channel });
    let reply = session.client()?.ask("POST", "/alerts/test", Some(&body))?;
    let Results { results } = reply.read()?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
    } else {
        for result in &results {
            let (tint, word) = match result.delivered {
                true => (Tint::Good, "delivered"),
                false => (Tint::Bad, "failed   "),
            };
            let why = result.error.as_ref().map(|e| format!(": {e}")).unwrap_or_default();
            session.screen.tinted(tint, word, &format!("{}{why}", result.channel))?;
        }
    }
    Ok(if results.iter().all(|r| r.delivered) { Exit::Done } else { Exit::Failed })
}

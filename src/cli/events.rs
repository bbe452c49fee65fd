//! `events`: what happened on this node and on its rigs.
use std::io::BufReader;

use argh::FromArgs;

use super::exit::{Exit, Failure};
use super::screen::Screen;
use super::table::Tint;
use super::{Ended, Session, follow};
use crate::model::event::{EventRecord, Severity};
use crate::model::fault::{Code, Fault};

/// what happened here and on the rigs
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "events")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Events {
    /// how many of the past (50)
    #[argh(option, default = "50")]
    pub lines: usize,
    /// go on with new ones until Ctrl-C
    #[argh(switch)]
    pub follow: bool,
}

/// Prints the last events; with `--follow` also each new one, until Ctrl-C comes (exit 0) or the daemon ends.
pub fn run(events: &Events, session: &mut Session) -> Ended {
    follow::check(events.lines)?;
    let path = format!("/events?lines={}", events.lines);
    if !events.follow {
        return list(&path, session);
    }
    let client = session.client()?;
    follow::end_on_interrupt()?;
    let stream = client.stream(&path)?;
    let (json, screen) = (session.globals.json, &mut session.screen);
    let reason: String =
        follow::read(BufReader::new(stream), |event, data| take(event, data, json, screen))?;
    Err(Fault::new(Code::Unavailable, format!("the stream of events ended: {reason}")).into())
}

fn list(path: &str, session: &mut Session) -> Ended {
    let reply = session.client()?.get(path)?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    for event in reply.read::<Vec<EventRecord>>()? {
        print(&event, &mut session.screen)?;
    }
    Ok(Exit::Done)
}

/// One event of the stream; the reason when it was the last.
fn take(
    event: &str,
    data: &str,
    json: bool,
    screen: &mut Screen,
) -> Result<Option<String>, Failure> {
    match event {
        "event" if json => screen.body(data)?,
        "event" => match serde_json::from_str::<EventRecord>(data) {
            Ok(event) => print(&event, screen)?,
            Err(e) => return Err(Failure::own(format!("an event is not understood: {e}"))),
        },
        "skipped" => screen.note(&format!("({data} events were skipped: this reader is too slow)")),
        "end" => return Ok(Some(serde_json::from_str(data).unwrap_or_else(|_| data.to_owned()))),
        _ => {}
    }
    Ok(None)
}

/// A line; under a crash loop what the miner printed last.
fn print(event: &EventRecord, screen: &mut Screen) -> Result<(), Failure> {
    let tint = match event.severity {
        Severity::Info => Tint::Dim,
        Severity::Warning => Tint::Warn,
        Severity::Critical => Tint::Bad,
    };
    let time = event.at.to_string();
    let time = time.split('.').next().unwrap_or_default().replace('T', " ");
    let word = format!("{time}Z {:8}", event.severity.text());
    screen.tinted(tint, &word, &format!("{}: {}", event.node_name, event.text))?;
    for line in &event.log {
        screen.line(&format!("    | {line}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::take;
    use crate::cli::screen::testing;

    #[test]
    fn an_event_is_a_line_and_its_log_stands_below() {
        let (mut screen, out, err) = testing::screen();
        let event = r#"{"number":7,"at":"2026-11-22T14:02:07.123Z","node":"0101010101010101","nodeName":"rig","kind":"crash-loop","severity":"critical","peer":null,"miner":"xmrig-1","text":"xmrig-1 \u001b[2Jloops","log":["last \u001b[31mwords"]}"#;
        assert_eq!(take("event", event, false, &mut screen), Ok(None));
        assert_eq!(take("skipped", "3", false, &mut screen), Ok(None));
        assert_eq!(take("event", event, true, &mut screen), Ok(None));
        assert_eq!(take("end", "\"over\"", false, &mut screen), Ok(Some("over".to_owned())));
        let lines = "2026-11-22 14:02:07Z critical rig: xmrig-1 [2Jloops\n    | last [31mwords\n";
        assert_eq!(out.text(), format!("{lines}{event}\n"));
        assert!(err.text().contains("3 events were skipped"));
    }

    #[test]
    fn what_a_newer_daemon_calls_an_event_is_shown_too() {
        let (mut screen, out, _) = testing::screen();
        let event = r#"{"number":7,"at":"2026-11-22T14:02:07.123Z","node":"0101010101010101","nodeName":"rig","kind":"rig-on-fire","severity":"info","text":"hot"}"#;
        assert_eq!(take("event", event, false, &mut screen), Ok(None));
        assert!(out.text().ends_with("rig: hot\n"));
    }
}

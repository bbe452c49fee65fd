//! `remote logs`: the last lines, or new ones as they come.
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::RemoteLogs;
use super::client::segment;
use super::exit::{Exit, Failure};
use super::screen::Screen;
use super::{Ended, Session};
use crate::model::fault::{Code, Fault};
use crate::model::log_end::{LogEnd, LogEndCode};

/// The longest line of an event stream, in bytes: a line of a log as JSON fits many times.
const MOST: u64 = 1 << 20;

pub fn check(lines: usize) -> Result<(), Failure> {
    match lines {
        1..=10_000 => Ok(()),
        _ => Err(Failure::Usage("--lines is 1 to 10000".to_owned())),
    }
}

pub fn tail(logs: &RemoteLogs, session: &mut Session) -> Ended {
    check(logs.lines)?;
    let (peer, miner) = (segment(&logs.peer), segment(&logs.miner));
    lines(
        &format!("/remote/{peer}/logs/{miner}?lines={}&previous={}", logs.lines, logs.previous),
        session,
    )
}

/// Prints the lines that `path` answers with.
pub fn lines(path: &str, session: &mut Session) -> Ended {
    let reply = session.client()?.get(path)?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    for line in reply.read::<Vec<String>>()? {
        session.screen.line(&line)?;
    }
    Ok(Exit::Done)
}

/// Prints lines until the miner ends (exit 0), the link to it is lost (5) or Ctrl-C comes (0). With `--json` each line
/// is a JSON string.
pub fn run(logs: &RemoteLogs, session: &mut Session) -> Ended {
    check(logs.lines)?;
    if logs.previous {
        return Err(Failure::Usage(
            "--follow goes with the present run, not with --previous".to_owned(),
        ));
    }
    let client = session.client()?;
    end_on_interrupt()?;
    let (peer, miner) = (segment(&logs.peer), segment(&logs.miner));
    let stream =
        client.stream(&format!("/remote/{peer}/logs/{miner}/stream?lines={}", logs.lines))?;
    let (json, screen) = (session.globals.json, &mut session.screen);
    let end = read(BufReader::new(stream), |event, data| handle(event, data, json, screen))?;
    // Only the miner's own end is a good one; a link or a daemon that went away cut the log off.
    if end.code != LogEndCode::Stopped {
        return Err(lost(&end.reason));
    }
    session.screen.note(&format!("({})", end.reason));
    Ok(Exit::Done)
}

/// Ctrl-C ends this process with exit code 0. Nothing has to be undone then: the daemon ends the stream when this process
/// is gone.
pub fn end_on_interrupt() -> Result<(), Failure> {
    signal_hook::flag::register_conditional_shutdown(
        signal_hook::consts::SIGINT,
        i32::from(Exit::Done as u8),
        Arc::new(AtomicBool::new(true)),
    )
    .map(drop)
    .map_err(|e| Failure::own(format!("Ctrl-C cannot be handled: {e}")))
}

/// Reads server-sent events and hands each to `take`, until that returns a reason to end.
pub fn read<T>(
    mut stream: impl BufRead,
    mut take: impl FnMut(&str, &str) -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let (mut event, mut data) = (String::new(), String::new());
    while let Some(line) = read_line(&mut stream)? {
        if let Some(value) = line.strip_prefix("data:") {
            if !data.is_empty() {
                data.push('\n');
            }
            data.push_str(value.strip_prefix(' ').unwrap_or(value));
        } else if let Some(value) = line.strip_prefix("event:") {
            value.trim().clone_into(&mut event);
        } else if line.is_empty() && !data.is_empty() {
            let (event, data) = (std::mem::take(&mut event), std::mem::take(&mut data));
            if let Some(reason) = take(&event, &data)? {
                return Ok(reason);
            }
        }
    }
    Err(lost("the daemon ended the stream"))
}

fn read_line(stream: &mut impl BufRead) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    let n = stream
        .by_ref()
        .take(MOST)
        .read_until(b'\n', &mut line)
        .map_err(|e| lost(&format!("the connection to the daemon broke: {e}")))?;
    if n as u64 == MOST {
        return Err(Failure::own("the daemon sent a line that is too long"));
    }
    let line = String::from_utf8_lossy(&line);
    Ok((n > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
}

/// One event: `data:` is a line as a JSON string; of event `skipped` a number; of event `end` the end, which is what this
/// returns.
fn handle(
    event: &str,
    data: &str,
    json: bool,
    screen: &mut Screen,
) -> Result<Option<LogEnd>, Failure> {
    let text = serde_json::from_str::<String>(data).unwrap_or_else(|_| data.to_owned());
    match event {
        "" | "message" if json => screen.body(data)?,
        "" | "message" => screen.line(&text)?,
        "skipped" => screen.note(&format!("({text} lines were skipped: this reader is too slow)")),
        "end" => {
            let end = serde_json::from_str(data);
            return Ok(Some(end.unwrap_or(LogEnd { reason: text, code: LogEndCode::Other })));
        }
        _ => {}
    }
    Ok(None)
}

fn lost(reason: &str) -> Failure {
    Fault::new(Code::PeerUnreachable, format!("the log is cut off, the miner may run on: {reason}"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::{LogEnd, LogEndCode, handle, read};
    use crate::cli::exit::{Exit, Failure};
    use crate::cli::screen::testing;

    fn follow(stream: &str, json: bool) -> (Result<LogEnd, Failure>, String, String) {
        let (mut screen, out, err) = testing::screen();
        let ended = read(stream.as_bytes(), |event, data| handle(event, data, json, &mut screen));
        (ended, out.text(), err.text())
    }

    #[test]
    fn lines_come_until_the_end() {
        let stream = ": hello\n\ndata: \"one \\u001b[31mred\"\n\nevent: skipped\ndata: 7\n\n\
                      data: \"two\"\r\n\r\nevent: end\ndata: {\"reason\":\"xmrig-1 ended\",\"code\":\"STOPPED\"}\n\ndata: \"never\"\n\n";
        let (ended, out, err) = follow(stream, false);
        let wanted = LogEnd { reason: "xmrig-1 ended".to_owned(), code: LogEndCode::Stopped };
        assert_eq!(ended, Ok(wanted));
        assert_eq!(out, "one [31mred\ntwo\n");
        assert!(err.contains("7 lines were skipped"), "{err}");
        assert_eq!(follow(stream, true).1, "\"one \\u001b[31mred\"\n\"two\"\n");
    }

    #[test]
    fn only_the_code_of_an_end_counts() {
        for (data, code) in [
            (r#"{"reason":"x","code":"LINK_LOST"}"#, LogEndCode::LinkLost),
            (r#"{"reason":"the miner stopped","code":"SHUTDOWN"}"#, LogEndCode::Shutdown),
            (r#"{"reason":"x","code":"OF_TOMORROW"}"#, LogEndCode::Other),
            (r#""the miner was stopped""#, LogEndCode::Other),
            ("stopped", LogEndCode::Other),
        ] {
            let ended = follow(&format!("event: end\ndata: {data}\n\n"), false).0;
            assert_eq!(ended.unwrap().code, code, "{data}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_exit_5() {
        for stream in ["data: \"one\"\n\n", "event: end\n", ""] {
            assert_eq!(follow(stream, false).0.unwrap_err().exit(), Exit::Unreachable, "{stream}");
        }
    }
}

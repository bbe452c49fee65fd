//! What XMRig's lines of output say.
use super::super::plain_exit;
use crate::bus::Note;
use crate::model::text;

/// The longest text of a pool that is passed on, in characters.
const LONGEST_TEXT: usize = 200;

/// Reads a line such as `[2026-11-22 10:33:43.154]  cpu      accepted (1/0) diff 3000 (25 ms)`.
pub fn note(line: &str) -> Option<Note> {
    if let Some(banner) = line.strip_prefix(" * HTTP API") {
        return banner.ends_with("address already in use").then_some(Note::ApiPortTaken);
    }
    let (_, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (tag, said) = rest.trim_start().split_once(' ')?;
    let said = said.trim_start();
    match tag {
        "net" => net(said),
        "cpu" | "opencl" | "nvidia" if said.starts_with("accepted (") => Some(Note::ShareAccepted),
        _ => None,
    }
}

fn net(said: &str) -> Option<Note> {
    if said.starts_with("new job from ") {
        return Some(Note::PoolFine);
    }
    if said == "HTTP API server failed to start." {
        return Some(Note::ApiPortTaken);
    }
    let (pool, problem) = said.split_once(' ')?;
    let pool = text::clean(pool, LONGEST_TEXT);
    if let Some((what, message)) = problem.split_once("error: \"") {
        let message = text::clean(message.split('"').next().unwrap_or_default(), LONGEST_TEXT);
        // What stands before `connect error` is the address that the name of the pool was found to have.
        let what = what.trim_end().rsplit(' ').next().unwrap_or_default();
        return Some(Note::PoolTrouble(match what {
            "" => format!("the pool {pool} says: {message}"),
            "connect" => format!("cannot connect to the pool {pool}: {message}"),
            "DNS" => format!("the pool {pool} is not found by name: {message}"),
            _ => format!("the connection to the pool {pool} broke: {message}"),
        }));
    }
    let own_words = [
        "unknown algorithm",
        "unsupported algorithm",
        "incompatible/disabled algorithm",
        "login error code",
    ];
    own_words.iter().any(|words| problem.starts_with(words)).then(|| {
        Note::PoolTrouble(format!("the pool {pool}: {}", text::clean(problem, LONGEST_TEXT)))
    })
}

/// XMRig ends with code 2 when it finds no configuration that it can use.
pub fn exit_reason(code: Option<i32>, signal: Option<i32>, last: &[String]) -> (String, bool) {
    if code != Some(2) {
        return (plain_exit(code, signal), false);
    }
    // The parser's message stands between the text it stumbled over and the files it tried next.
    let said =
        last.iter().rev().map(|line| line.split_once("] ").map_or(line.as_str(), |(_, said)| said));
    let said: Vec<&str> = said.collect();
    let cause = said.iter().find(|line| line.contains("<line:")).or_else(|| said.first());
    let cause = cause.map(|line| text::clean(line.trim(), LONGEST_TEXT)).unwrap_or_default();
    (format!("it does not accept its configuration: {cause}"), true)
}

#[cfg(test)]
mod tests {
    use super::{exit_reason, note};
    use crate::bus::Note;

    fn notes(log: &str) -> Vec<Note> {
        log.lines().filter_map(note).collect()
    }

    fn trouble(text: &str) -> Note {
        Note::PoolTrouble(text.to_owned())
    }

    #[test]
    fn shares_jobs_and_a_lost_pool() {
        let notes = notes(include_str!(
            "../../../../tests/fixtures/xmrig/stdout-with-shares-rejects-pool-loss.log"
        ));
        assert_eq!(notes.iter().filter(|n| **n == Note::ShareAccepted).count(), 15);
        assert_eq!(notes.iter().filter(|n| **n == Note::PoolFine).count(), 5);
        let said: Vec<&Note> = notes.iter().filter(|n| matches!(n, Note::PoolTrouble(_))).collect();
        let refused = trouble("cannot connect to the pool 127.0.0.1:13333: connection refused");
        assert_eq!(
            said,
            [
                &trouble("the connection to the pool 127.0.0.1:13333 broke: end of file"),
                &refused,
                &refused
            ]
        );
    }

    #[test]
    fn troubles_that_never_end_the_process() {
        assert_eq!(
            notes(include_str!("../../../../tests/fixtures/xmrig/stdout-login-error.log")),
            [trouble("the pool 127.0.0.1:13351 says: Invalid address used for login")]
        );
        assert_eq!(
            notes(include_str!("../../../../tests/fixtures/xmrig/stdout-pool-refused.log"))[0],
            trouble("cannot connect to the pool 127.0.0.1:1: connection refused")
        );
        assert_eq!(
            note(
                "[2026-11-22 10:41:41.418]  net      pool.example:3333 DNS error: \"temporary failure\""
            ),
            Some(trouble("the pool pool.example:3333 is not found by name: temporary failure"))
        );
        assert_eq!(
            note(
                "[2026-11-22 10:41:41.418]  net      a:1 unsupported algorithm \"x\" detected, reconnect"
            ),
            Some(trouble("the pool a:1: unsupported algorithm \"x\" detected, reconnect"))
        );
    }

    #[test]
    fn an_api_port_in_use_is_noted() {
        let notes =
            notes(include_str!("../../../../tests/fixtures/xmrig/stdout-api-port-in-use.log"));
        assert_eq!(notes[..2], [Note::ApiPortTaken, Note::ApiPortTaken]);
        let good = notes.iter().filter(|n| **n == Note::ShareAccepted).count();
        assert_eq!(good, 3);
        assert_eq!(note(" * HTTP API     127.0.0.1:18111 "), None);
    }

    #[test]
    fn a_pools_text_is_hostile() {
        let line = format!("[t]  net      a:1 error: \"\u{202e}{}\", code: -1", "x".repeat(5000));
        let Some(Note::PoolTrouble(said)) = note(&line) else { panic!("{line}") };
        assert!(said.chars().count() < 300 && !said.contains('\u{202e}'));
    }

    #[test]
    fn a_refused_configuration_is_permanent_and_says_where() {
        let log = include_str!("../../../../tests/fixtures/xmrig/stdout-config-bad-json.log");
        let last: Vec<String> = log.lines().map(str::to_owned).collect();
        let (reason, permanent) = exit_reason(Some(2), None, &last);
        assert!(permanent);
        assert!(
            reason.ends_with("/opt/xmrig/bad.json<line:1, position:15>: \"Invalid value.\""),
            "{reason}"
        );
        let (reason, _) = exit_reason(Some(2), None, &last[6..]);
        assert!(reason.contains("no valid configuration found"), "{reason}");
        assert!(exit_reason(Some(2), None, &[]).1);
        assert_eq!(
            exit_reason(Some(0), None, &last),
            ("it ended by itself (exit code 0)".to_owned(), false)
        );
        assert!(!exit_reason(None, Some(11), &last).1);
    }
}

//! docs/rest.md shows each route of the API with curl, and each of those lines is one that the daemon understands.
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::node::{Folder, Node, pair};

/// What a daemon answers to a line that is wrong in itself, rather than about something that is not there.
const WRONG: [&str; 5] =
    ["INVALID", "NOT_FOUND", "METHOD_NOT_ALLOWED", "UNAUTHORIZED", "UNSUPPORTED"];

/// The lines with curl, without what a here-document or prose holds.
fn lines() -> Vec<&'static str> {
    let page = include_str!("../../docs/rest.md");
    let lines: Vec<_> = page.lines().filter(|l| l.starts_with("curl ")).collect();
    assert!(lines.len() > 20, "docs/rest.md shows few lines of curl");
    lines
}

/// Method and path of a line of curl.
fn asked(line: &str) -> (String, String) {
    let words: Vec<_> = line.split(['"', ' ']).collect();
    let after = |flag: &str| words.iter().position(|w| *w == flag).map(|i| words[i + 1]);
    let method = match after("-X") {
        Some(method) => method,
        None if line.contains(" -d ") => "POST",
        None => "GET",
    };
    let path = words.iter().find_map(|w| w.strip_prefix("$API")).unwrap_or_default();
    (method.to_lowercase(), path.split('?').next().unwrap_or_default().to_owned())
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(p, given)| p.starts_with('{') || *p == given)
}

#[test]
fn every_route_is_shown_with_curl() {
    let node = Node::serve("routes", "controller");
    let document: Value = node.json(&["api", "GET", "/openapi.json"]);
    let shown: Vec<_> = lines().into_iter().map(asked).collect();
    let mut missing = Vec::new();
    for (pattern, methods) in document["paths"].as_object().unwrap() {
        let below = pattern.strip_prefix("/api/v1/mining").unwrap_or(pattern);
        for method in methods.as_object().unwrap().keys().filter(|m| *m != "parameters") {
            // A literal segment is not shown by a path that fits a parameter, nor the other way round.
            if !shown.iter().any(|(m, path)| m == method && fits(below, path)) {
                missing.push(format!("{method} {below}"));
            }
        }
    }
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "docs/rest.md does not show: {missing:#?}");
}

#[test]
fn every_line_of_curl_is_understood() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        return eprintln!("skipped: there is no curl");
    }
    let (controller, rig) = pair();
    let folder = Folder::new("curl");
    let api = controller.api();
    for line in lines() {
        let invite = rig.json(&["node", "invite"]);
        let line = line
            .replace("\"invite\":\"…\"", &format!("\"invite\":{}", invite["code"]))
            .replace("192.168.1.100:9091", &rig.p2p())
            .replace("192.168.1.2:9091", &rig.p2p())
            .replace("\"token\":\"…\"", &format!("\"token\":\"{}\"", controller.token()));
        let script = format!(
            "API={api}/api/v1/mining\nAUTH='Authorization: Bearer {}'\nJSON='Content-Type: application/json'
             curl() {{ command curl -sS --max-time 5 -w '\\n%{{http_code}}' \"$@\"; }}\n{line}\n",
            controller.token()
        );
        let said =
            Command::new("bash").arg("-c").arg(&script).current_dir(&folder.0).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let (body, status) = said.rsplit_once('\n').unwrap_or(("", &said));
        let code = serde_json::from_str::<Value>(body).unwrap_or_default()["code"].clone();
        assert!(status.len() == 3 && status != "000", "{line}: {said}");
        assert!(!WRONG.iter().any(|wrong| code == *wrong), "{line}: {said}");
    }
}

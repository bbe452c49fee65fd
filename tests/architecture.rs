//! The invariants held against the sources: who may import whom, what only `sys` may do, how long a file may be.
//! Test code (`#[cfg(test)] mod …`, files named `…tests.rs`) may import and use what it likes.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic, too")]
use std::fs;
use std::path::Path;

/// Top-level modules and all that they may name of ours besides themselves. The log macros are everybody's.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("noise", &[]),
    ("smsg", &["model"]),
    ("bus", &["model", "noise", "smsg"]),
    ("registry", &["model", "noise", "smsg", "bus", "logs", "sys::random", "sys::log"]),
    (
        "cli",
        &[
            "config",
            "identity",
            "model",
            "sys",
            "httpc",
            "tls",
            "daemon",
            "miner::simulated",
            "bus::wire_channel",
        ],
    ),
];

/// These never import one another, nor those who put them together …
const EDGES: &[&str] = &["link", "miner", "store", "http", "alerts"];
const ABOVE_EDGES: &[&str] = &["registry", "daemon", "cli"];
/// … except that HTTP threads read history.
const EDGE_EXCEPTIONS: &[(&str, &str)] = &[("http", "store::query")];

/// The registry is `(state, event, now) -> messages`: it is told everything else.
const NOT_IN_REGISTRY: &[&str] = &[
    "std::fs",
    "std::process",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os",
    "std::env",
    "std::thread",
    "SystemTime",
    "Instant",
    "rusqlite",
    "tungstenite",
    "tiny_http",
    "libc",
];

/// Words, where alone they may stand (a folder ends in `/`), and why.
const ONLY_IN: &[(&[&str], &[&str], &str)] = &[
    (&["unsafe"], &["sys/"], "unsafe code is looked for in one place"),
    (&["Command::new"], &["sys/"], "children get a process group and die with the daemon"),
    (
        &["std::thread::spawn", "std::thread::Builder", "std::thread;"],
        &["sys/"],
        "threads are named and joined: sys::thread::spawn",
    ),
    (&["thread::sleep"], &[], "wait for an event or a deadline"),
    (&["bounded", "mpsc"], &["bus/mod.rs", "daemon.rs"], "channels are made in one place"),
    (&["unbounded"], &[], "every channel is bounded"),
];

const LONGEST: usize = 500;
/// A list of shapes, and the world that the registry's tests play in, are easier to read in one piece.
const LONGER: &[(&str, usize)] = &[("registry/tests/world.rs", 600)];

/// Path below src/, and the text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut out = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                out.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(out.len() > 20, "the sources are not where they should be");
    out.sort();
    out
}

/// `model/key.rs` -> `["model", "key"]`; `model/mod.rs` -> `["model"]`.
fn module(file: &str) -> Vec<&str> {
    let mut parts: Vec<_> = file.trim_end_matches(".rs").split('/').collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    parts
}

/// The code without comments, literals and what is compiled for tests alone.
fn code(file: &str, text: &str) -> String {
    if file.ends_with("tests.rs") {
        return String::new();
    }
    let tests =
        text.match_indices("#[cfg(test)]\n").map(|(at, head)| (at, &text[at + head.len()..]));
    let tests = tests.filter(|(_, rest)| rest.starts_with("mod ") || rest.starts_with("#[path"));
    let end = tests.map(|(at, _)| at).next().unwrap_or(text.len());
    let chars: Vec<char> = text[..end].chars().collect();
    let mut out = String::with_capacity(end);
    let mut rest = chars.as_slice();
    while let [first, ..] = rest {
        let skipped = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => {
                rest.windows(2).position(|w| w == ['*', '/']).map_or(rest.len(), |at| at + 2)
            }
            ['"', ..] => string(rest),
            ['r', '"' | '#', ..] if !out.ends_with(in_word) => raw_string(rest),
            ['\'', '\\', ..] => rest.iter().skip(3).position(|c| *c == '\'').unwrap_or(0) + 4,
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if skipped == 0 {
            out.push(*first);
        } else {
            out.push(' ');
        }
        rest = &rest[skipped.clamp(1, rest.len())..];
    }
    out
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of `"…"` at the beginning of `rest`.
fn string(rest: &[char]) -> usize {
    let mut escaped = false;
    let end = rest.iter().skip(1).position(|c| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    end.map_or(rest.len(), |at| at + 2)
}

/// The length of `r"…"` or `r#"…"#` at the beginning of `rest`; 0 when it is a raw name.
fn raw_string(rest: &[char]) -> usize {
    let hashes = rest.iter().skip(1).take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut close = vec!['"'];
    close.resize(1 + hashes, '#');
    let body = &rest[2 + hashes..];
    let end = body.windows(close.len()).position(|w| w == close);
    end.map_or(rest.len(), |at| 2 + hashes + at + close.len())
}

/// Words, `::`, and single other characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = code.trim_start();
    while let Some(c) = rest.chars().next() {
        let len = match c {
            _ if in_word(c) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => c.len_utf8(),
        };
        out.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    out
}

/// Every path into our own crate that the code names, from the crate's root: `model::key`.
fn imports(file: &str, text: &str) -> Vec<String> {
    let code = code(file, text);
    let tokens = tokens(&code);
    let mut out = Vec::new();
    for (i, pair) in tokens.windows(2).enumerate() {
        if pair[1] != "::" || i > 0 && tokens[i - 1] == "::" {
            continue;
        }
        match pair[0] {
            "crate" | "miner_cli" => drop(tree(&tokens[i + 2..], &[], &mut out)),
            "super" => drop(tree(&tokens[i..], &module(file), &mut out)),
            _ => {}
        }
    }
    out
}

/// Adds the path, or the paths of the group, that `tokens` begin with. Returns how many tokens that took.
fn tree(tokens: &[&str], above: &[&str], out: &mut Vec<String>) -> usize {
    let mut path = above.to_vec();
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        i += 1;
        match *token {
            "{" => {
                while !matches!(tokens.get(i), None | Some(&"}")) {
                    i += tree(&tokens[i..], &path, out);
                    // The comma, `as name` or `*`.
                    i += tokens[i..].iter().take_while(|t| !matches!(**t, "," | "}")).count();
                    i += usize::from(tokens.get(i) == Some(&","));
                }
                return i + 1;
            }
            "super" => drop(path.pop()),
            "self" => {}
            word if word.starts_with(in_word) => path.push(word),
            _ => break,
        }
        if tokens.get(i) != Some(&"::") {
            break;
        }
        i += 1;
    }
    if tokens.get(i) != Some(&"!") {
        out.push(path.join("::"));
    }
    i
}

/// Whether `path` is `allowed` or lies below it.
fn below(path: &str, allowed: &str) -> bool {
    path == allowed || path.strip_prefix(allowed).is_some_and(|rest| rest.starts_with("::"))
}

/// Every import that an invariant forbids, as a sentence.
fn forbidden_imports(file: &str, text: &str, modules: &[String]) -> Vec<String> {
    let own = module(file)[0];
    let may = |path: &str| {
        let top = path.split("::").next().unwrap_or_default();
        if top == own || !modules.iter().any(|m| m == top) {
            return true;
        }
        if let Some((_, list)) = MAY_IMPORT.iter().find(|(name, _)| *name == own) {
            return list.iter().any(|allowed| below(path, allowed));
        }
        let excepted = EDGE_EXCEPTIONS.iter().any(|(who, what)| *who == own && below(path, what));
        !EDGES.contains(&own) || excepted || !(EDGES.contains(&top) || ABOVE_EDGES.contains(&top))
    };
    let all = imports(file, text).into_iter().filter(|path| !may(path));
    all.map(|path| format!("src/{file} names crate::{path}, which `{own}` may not")).collect()
}

fn forbidden_words(file: &str, text: &str) -> Vec<String> {
    let code = code(file, text);
    let tokens = tokens(&code);
    let holds = |word: &str| {
        let wanted = self::tokens(word);
        tokens.windows(wanted.len()).any(|w| w == wanted)
    };
    let mut out = Vec::new();
    for (words, places, why) in ONLY_IN {
        let allowed =
            places.iter().any(|p| file == *p || (p.ends_with('/') && file.starts_with(p)));
        for word in words.iter().filter(|word| !allowed && holds(word)) {
            out.push(format!("src/{file} holds `{word}`: {why}"));
        }
    }
    if module(file)[0] == "registry" {
        for word in NOT_IN_REGISTRY.iter().filter(|word| code.contains(**word)) {
            out.push(format!("src/{file} holds `{word}`: the registry is told, it does not look"));
        }
    }
    out
}

fn too_long(file: &str, text: &str) -> Option<String> {
    let most = LONGER.iter().find(|(name, _)| *name == file).map_or(LONGEST, |(_, most)| *most);
    let lines = text.lines().count();
    (lines > most).then(|| format!("src/{file} has {lines} lines, more than {most}"))
}

#[test]
fn modules_import_only_what_they_may() {
    let sources = sources();
    let mut modules: Vec<_> = sources.iter().map(|(f, _)| module(f)[0].to_owned()).collect();
    modules.dedup();
    let all = sources.iter().flat_map(|(f, text)| forbidden_imports(f, text, &modules));
    let all: Vec<_> = all.collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn what_belongs_to_one_place_stays_there() {
    let all: Vec<_> = sources().iter().flat_map(|(f, text)| forbidden_words(f, text)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let all: Vec<_> = sources().iter().filter_map(|(f, text)| too_long(f, text)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

// ---- the checks themselves ------------------------------------------------------------------------------------

#[test]
fn a_forbidden_import_is_found_however_it_is_written() {
    let modules = "model noise smsg bus sys registry store link http miner cli config";
    let modules: Vec<String> = modules.split(' ').map(str::to_owned).collect();
    for (file, text, count) in [
        ("model/key.rs", "use crate::sys::clock;", 1),
        ("model/key.rs", "fn f() { crate::sys::clock::wall(); }", 1),
        ("model/key.rs", "use super::super::sys::clock;", 1),
        ("model/mod.rs", "use super::sys;", 1),
        ("model/key.rs", "use crate::{model::name, smsg::{limits, hello as h}, bus::*};", 3),
        ("model/key.rs", "use super::name; use crate::model::text; crate::info!(\"x\");", 0),
        ("model/key.rs", "// crate::sys\n/* crate::sys */ const A: &str = \"\\\"crate::sys\";", 0),
        ("model/key.rs", "const Q: [char; 2] = ['\"', '\\'']; use crate::sys::log;", 1),
        ("model/key.rs", "const R: &str = r#\"crate::bus\"#; use crate::sys::log;", 1),
        ("model/key.rs", "#[cfg(test)]\nmod tests { use crate::sys::log; }", 0),
        ("model/key_tests.rs", "use crate::sys::log;", 0),
        ("noise/mod.rs", "use crate::model::key;", 1),
        ("smsg/mod.rs", "use crate::bus;", 1),
        ("bus/links.rs", "use crate::{model, noise, smsg};", 0),
        ("bus/links.rs", "use crate::sys::thread;", 1),
        ("store/mod.rs", "use crate::{bus, sys}; use crate::link::tls;", 1),
        ("link/mod.rs", "use crate::registry::Registry;", 1),
        ("http/api.rs", "use crate::store::query::hashrate;", 0),
        ("http/api.rs", "use crate::store::queryx;", 1),
        ("link/api.rs", "use crate::store::query;", 1),
        ("cli/peer.rs", "use crate::{config, miner::simulated, model};", 0),
        ("cli/peer.rs", "use crate::{bus, miner::xmrig};", 2),
        ("registry/mod.rs", "use crate::sys::{random, clock};", 1),
        ("main.rs", "miner_cli::cli::run()", 0),
    ] {
        let found = forbidden_imports(file, text, &modules);
        assert_eq!(found.len(), count, "{file}: {text}: {found:?}");
    }
}

#[test]
fn a_forbidden_word_is_found() {
    for (file, text, count) in [
        ("link/mod.rs", "unsafe { f() }", 1),
        ("sys/mod.rs", "unsafe { f() } Command::new(x)", 0),
        ("link/mod.rs", "fn unsafe_name() {} // unsafe", 0),
        ("link/mod.rs", "std::process::Command::new(\"x\")", 1),
        ("link/mod.rs", "std::thread::spawn(f); thread::sleep(d)", 2),
        ("link/mod.rs", "use std::thread; thread::spawn(f)", 1),
        ("link/mod.rs", "use crate::sys::thread; thread::spawn(f)", 0),
        ("sys/mod.rs", "thread::sleep(d)", 1),
        ("link/mod.rs", "use crossbeam_channel::bounded;", 1),
        ("bus/mod.rs", "crossbeam_channel::bounded(1)", 0),
        ("bus/mod.rs", "crossbeam_channel::unbounded()", 1),
        ("link/mod.rs", "std::sync::mpsc::channel()", 1),
        ("registry/mod.rs", "let t = std::time::Instant::now();", 1),
        ("registry/mod.rs", "use std::net::IpAddr;", 0),
    ] {
        let found = forbidden_words(file, text);
        assert_eq!(found.len(), count, "{file}: {text}: {found:?}");
    }
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(too_long("a.rs", &"x\n".repeat(LONGEST)), None);
    assert!(too_long("a.rs", &"x\n".repeat(LONGEST + 1)).is_some());
}

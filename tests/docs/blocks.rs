//! The `sh` blocks of a document, their marks, and the commands in them.
use crate::On;

#[derive(Debug)]
pub struct Block {
    /// Where it begins, from 1.
    pub line: usize,
    pub mark: Mark,
    pub text: String,
}

#[derive(Debug, PartialEq)]
pub enum Mark {
    On(On),
    Shown,
}

/// One command, with its continuation lines and here-documents.
#[derive(Debug, PartialEq)]
pub struct Command {
    pub text: String,
    pub exit: i32,
}

/// # Errors
/// A block without a mark, or with one that means nothing.
pub fn read(document: &str) -> Result<Vec<Block>, String> {
    let lines: Vec<&str> = document.lines().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].trim() != "```sh" {
            at += 1;
            continue;
        }
        let line = at + 1;
        let above = lines[..at].iter().rev().find(|l| !l.trim().is_empty());
        let mark = above
            .and_then(|l| mark(l.trim()))
            .ok_or_else(|| format!("line {line}: the block has no mark like <!-- on: rig -->"))?;
        let end = lines[at + 1..]
            .iter()
            .position(|l| l.trim() == "```")
            .ok_or_else(|| format!("line {line}: the block does not end"))?;
        blocks.push(Block { line, mark, text: lines[at + 1..][..end].join("\n") });
        at += end + 2;
    }
    Ok(blocks)
}

fn mark(line: &str) -> Option<Mark> {
    let inside = line.strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    match inside.split_once(':')? {
        ("on", machine) => match machine.trim() {
            "controller" => Some(Mark::On(On::Controller)),
            "rig" => Some(Mark::On(On::Rig)),
            _ => None,
        },
        ("shown", why) if !why.trim().is_empty() => Some(Mark::Shown),
        _ => None,
    }
}

/// The commands of a block, each with the exit code that it promises.
pub fn commands(block: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut lines = block.lines().peekable();
    while let Some(first) = lines.next() {
        if first.trim().is_empty() || first.trim_start().starts_with('#') {
            continue;
        }
        let mut text = first.to_owned();
        while text.ends_with('\\') {
            let Some(next) = lines.next() else { break };
            text = format!("{text}\n{next}");
        }
        if let Some(end) = first.split_once("<<'").and_then(|(_, rest)| rest.split('\'').next()) {
            for next in lines.by_ref() {
                text = format!("{text}\n{next}");
                if next == end {
                    break;
                }
            }
        }
        let exit = first.split_once("# exit ").and_then(|(_, code)| code.trim().parse().ok());
        commands.push(Command { text, exit: exit.unwrap_or(0) });
    }
    commands
}

#[test]
fn a_block_without_a_mark_is_an_error() {
    assert!(read("text\n```sh\nls\n```\n").unwrap_err().contains("line 2"));
    assert!(read("<!-- on: elsewhere -->\n```sh\nls\n```\n").is_err());
    assert!(read("<!-- shown: -->\n```sh\nls\n```\n").is_err());
    let blocks = read("<!-- on: rig -->\n\n```sh\nls\n```\n```toml\nx\n```\n").unwrap();
    assert_eq!((blocks.len(), &blocks[0].mark), (1, &Mark::On(On::Rig)));
}

#[test]
fn commands_keep_their_further_lines() {
    let all = commands("a \\\n  b\n\n# why\ncat > f <<'END'\n{\n}\nEND\nc   # exit 6");
    let texts: Vec<_> = all.iter().map(|c| (c.text.as_str(), c.exit)).collect();
    assert_eq!(texts, [("a \\\n  b", 0), ("cat > f <<'END'\n{\n}\nEND", 0), ("c   # exit 6", 6)]);
}

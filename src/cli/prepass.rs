//! Runs before argh, which knows no options before and after a verb, no `--name=value` and no `--version`.
use std::path::PathBuf;

use crate::config::Paths;

/// Switches: they take no value.
const SWITCHES: [&str; 9] = [
    "--json",
    "--version",
    "--help",
    "--follow",
    "--previous",
    "-V",
    "--all",
    "--dry-run",
    "--user",
];

/// What the environment says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Environment {
    pub home: Option<PathBuf>,
    pub api: Option<String>,
    /// The token itself.
    pub token: Option<String>,
    pub no_colour: bool,
    /// The terminal shows more than ASCII.
    pub utf8: bool,
    /// Its width; `None` where standard output is no terminal.
    pub columns: Option<usize>,
    /// Where this machine's service keeps its files, whether or not there is one.
    pub service: Option<Paths>,
}

impl Environment {
    /// An empty variable counts as none.
    #[must_use]
    pub fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            home: std::env::var_os("MINER_CLI_HOME").filter(|h| !h.is_empty()).map(PathBuf::from),
            api: text("MINER_CLI_API"),
            token: text("MINER_CLI_TOKEN"),
            no_colour: text("NO_COLOR").is_some(),
            columns: crate::sys::local::columns(),
            utf8: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text).is_some_and(|locale| {
                let locale = locale.to_ascii_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            }),
            service: Some(Paths::of_service()),
        }
    }
}

/// The options that every verb has, as they stood on the command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Globals {
    pub home: Option<PathBuf>,
    pub api: Option<String>,
    /// By whose word the API's certificate is believed.
    pub api_ca: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub json: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Prepass {
    Version,
    /// The rest is for argh.
    Verb(Globals, Vec<String>),
}

/// Takes the global options out of `args` (without the program's name) and splits `--name=value`. Nothing behind `--`
/// is touched.
///
/// # Errors
/// A sentence about a value that is missing or too many.
pub fn prepass(args: impl IntoIterator<Item = String>) -> Result<Prepass, String> {
    let mut globals = Globals::default();
    let mut rest = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            rest.push(arg);
            rest.extend(args);
            break;
        }
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                (name.to_owned(), Some(value.to_owned()))
            }
            _ => (arg, None),
        };
        if inline.is_some() && SWITCHES.contains(&name.as_str()) {
            return Err(format!("{name} takes no value"));
        }
        match name.as_str() {
            "--version" | "-V" => return Ok(Prepass::Version),
            "--json" => globals.json = true,
            "--home" | "--api" | "--api-ca" | "--token-file" => {
                let value = inline.or_else(|| args.next()).filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| format!("{name} wants a value"))?;
                match name.as_str() {
                    "--home" => globals.home = Some(value.into()),
                    "--api" => globals.api = Some(value),
                    "--api-ca" => globals.api_ca = Some(value.into()),
                    _ => globals.token_file = Some(value.into()),
                }
            }
            // Standard input as an argument, which argh would take for an option.
            "-" => rest.extend(["--".to_owned(), name]),
            _ => {
                rest.push(name);
                rest.extend(inline);
            }
        }
    }
    Ok(Prepass::Verb(globals, rest))
}

#[cfg(test)]
mod tests {
    use super::{Globals, Prepass, prepass};

    fn run(line: &str) -> Result<Prepass, String> {
        prepass(line.split_whitespace().map(str::to_owned))
    }

    fn verb(line: &str) -> (Globals, String) {
        match run(line) {
            Ok(Prepass::Verb(globals, rest)) => (globals, rest.join(" ")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn global_options_stand_before_or_after_the_verb() {
        let wanted = Globals {
            home: Some("/h".into()),
            api: Some("127.0.0.1:1".to_owned()),
            api_ca: Some("/ca".into()),
            token_file: Some("t".into()),
            json: true,
        };
        for line in [
            "--home /h --api 127.0.0.1:1 --api-ca /ca --token-file t --json peer list",
            "peer list --json --home=/h --token-file=t --api=127.0.0.1:1 --api-ca=/ca",
            "--json peer --home /h list --api-ca /ca --api 127.0.0.1:1 --token-file t",
        ] {
            assert_eq!(verb(line), (wanted.clone(), "peer list".to_owned()), "{line}");
        }
    }

    #[test]
    fn values_are_split_off_but_not_behind_two_dashes() {
        assert_eq!(verb("peer add --name=a=b x=y").1, "peer add --name a=b x=y");
        let (globals, rest) = verb("api POST /x -- --json --name=v --version");
        assert_eq!(
            (globals, rest.as_str()),
            (Globals::default(), "api POST /x -- --json --name=v --version")
        );
        assert_eq!(verb("api POST /x -").1, "api POST /x -- -");
    }

    #[test]
    fn version_and_mistakes() {
        assert_eq!(run("-V"), Ok(Prepass::Version));
        assert_eq!(run("peer list --version"), Ok(Prepass::Version));
        for bad in ["--home", "--home=", "--json=yes", "remote logs a b --follow=1"] {
            assert!(run(bad).is_err(), "{bad}");
        }
    }
}

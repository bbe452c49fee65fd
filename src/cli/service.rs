//! `service …`: a unit of systemd for this program, where no package brought one. It writes and removes one file and
//! runs nothing: what to type next is printed.
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::ServiceVerb;
use super::exit::{Exit, Failure};
use super::{Ended, Session};
use crate::model::fault::{Code, Fault};
use crate::sys::files;

const UNIT: &str = "miner-cli.service";
/// The first line of the units that `install` writes; others are not touched.
const MARK: &str =
    "# Written by miner-cli service install; miner-cli service uninstall removes it.";
const SYSTEM: &str = include_str!("../../packaging/systemd/miner-cli.service");
const USER: &str = include_str!("../../packaging/systemd/miner-cli.user.service");
/// What a system's service does not see: `ProtectHome=` and `PrivateTmp=`.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// The machine, as far as a unit needs to know it.
struct Host {
    systemd: bool,
    /// Where the owner of the machine puts units, and where packages do.
    units: PathBuf,
    packaged: Vec<PathBuf>,
    user_units: Option<PathBuf>,
    program: PathBuf,
    groups: String,
}

impl Host {
    fn this() -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|e| Failure::own(format!("the path of this program is not known: {e}")))?;
        let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        Ok(Self {
            systemd: Path::new("/run/systemd/system").is_dir(),
            units: "/etc/systemd/system".into(),
            packaged: vec!["/usr/lib/systemd/system".into(), "/lib/systemd/system".into()],
            user_units: config.map(|config| config.join("systemd/user")),
            program,
            groups: std::fs::read_to_string("/etc/group").unwrap_or_default(),
        })
    }

    /// The unit's file, and the link that is there while it is enabled.
    fn places(&self, user: bool) -> Result<(PathBuf, PathBuf), Failure> {
        let (folder, target) = if user {
            let none = || Failure::own("there is no home folder: HOME is not set");
            (self.user_units.as_ref().ok_or_else(none)?, "default.target.wants")
        } else {
            (&self.units, "multi-user.target.wants")
        };
        Ok((folder.join(UNIT), folder.join(target).join(UNIT)))
    }
}

pub fn run(verb: &ServiceVerb, session: &mut Session) -> Ended {
    let host = Host::this()?;
    let (unit, done, next) = match verb {
        ServiceVerb::Install(install) => {
            let unit = self::install(&host, install.user, session.home())?;
            (unit, "written", next_steps(install.user))
        }
        ServiceVerb::Uninstall(uninstall) => {
            let unit = self::uninstall(&host, uninstall.user)?;
            (unit, "removed", after_all(uninstall.user))
        }
    };
    if session.globals.json {
        session.screen.json(&json!({"unit": unit, "status": done, "next": next}))?;
        return Ok(Exit::Done);
    }
    session.screen.line(&format!("{} is {done}. Next:", unit.display()))?;
    for line in next {
        session.screen.line(&format!("  {line}"))?;
    }
    Ok(Exit::Done)
}

fn next_steps(user: bool) -> &'static [&'static str] {
    if user {
        &[
            "systemctl --user daemon-reload",
            "systemctl --user enable --now miner-cli",
            "loginctl enable-linger                    # without it, it ends when you log out",
            "miner-cli node init --name NAME",
        ]
    } else {
        &[
            "sudo systemctl daemon-reload",
            "sudo systemctl enable --now miner-cli",
            "sudo miner-cli node init --name NAME",
        ]
    }
}

fn after_all(user: bool) -> &'static [&'static str] {
    if user {
        &[
            "systemctl --user daemon-reload",
            "(the node's files stay: ~/.config/lethean-desktop, ~/.local/share/lethean-desktop)",
        ]
    } else {
        &[
            "sudo systemctl daemon-reload",
            "(the node's files stay: /etc/miner-cli, /var/lib/miner-cli, /var/lib/private/miner-cli)",
        ]
    }
}

fn refused(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Fault::new(code, message).hint(hint).into()
}

fn install(host: &Host, user: bool, home: Option<&Path>) -> Result<PathBuf, Failure> {
    if !host.systemd {
        let hint = "start `miner-cli node serve` from this machine's own start scripts";
        return Err(refused(Code::Unsupported, "this machine does not run systemd", hint));
    }
    let (unit, _) = host.places(user)?;
    if !user && let Some(theirs) = host.packaged.iter().find(|folder| folder.join(UNIT).exists()) {
        let message = format!("a package brought {} already", theirs.join(UNIT).display());
        return Err(refused(Code::Exists, message, "sudo systemctl enable --now miner-cli"));
    }
    if unit.exists() && !is_ours(&unit) {
        let message = format!("{} is there, and was written by somebody else", unit.display());
        return Err(refused(Code::Exists, message, "move it away first"));
    }
    let program = &host.program;
    let text = if user {
        USER.replace("/usr/bin/miner-cli", &command(program, home)?)
    } else {
        if home.is_some() {
            let message = "--home goes with --user: the system's service has /var/lib/miner-cli";
            return Err(Failure::Usage(message.to_owned()));
        }
        if HIDDEN.iter().any(|hidden| program.starts_with(hidden)) {
            let message = format!(
                "the system's service cannot see {}: home and temporary folders are hidden from it",
                program.display()
            );
            let hint = format!(
                "sudo install -m 755 '{}' /usr/local/bin/miner-cli, then use that one",
                program.display()
            );
            return Err(refused(Code::Invalid, message, hint));
        }
        system_unit(&command(program, None)?, &host.groups)
    };
    if let Some(folder) = unit.parent().filter(|_| user) {
        files::private_folder(folder)?;
    }
    files::write_atomic(&unit, format!("{MARK}\n{text}").as_bytes(), 0o644).map_err(|fault| {
        let hint = "sudo miner-cli service install, or miner-cli service install --user";
        if user { fault } else { fault.hint(hint) }
    })?;
    Ok(unit)
}

fn uninstall(host: &Host, user: bool) -> Result<PathBuf, Failure> {
    let (unit, enabled) = host.places(user)?;
    if !unit.exists() {
        let message = format!("there is no {}", unit.display());
        return Err(refused(Code::Conflict, message, "nothing has to be removed"));
    }
    if !is_ours(&unit) {
        let message = format!("{} was not written by miner-cli service install", unit.display());
        return Err(refused(Code::Conflict, message, "remove it in the way it came"));
    }
    if enabled.symlink_metadata().is_ok() {
        let stop = if user { "systemctl --user" } else { "sudo systemctl" };
        let hint = format!("{stop} disable --now miner-cli");
        return Err(refused(Code::Conflict, "the service is still enabled", hint));
    }
    std::fs::remove_file(&unit).map_err(|e| files::not_saved(&unit, &e))?;
    // The folders that install made for it, unless there is something else in them.
    if user {
        for folder in unit.ancestors().skip(1).take(2) {
            let _ = std::fs::remove_dir(folder);
        }
    }
    Ok(unit)
}

fn is_ours(unit: &Path) -> bool {
    std::fs::read_to_string(unit).is_ok_and(|text| text.lines().next() == Some(MARK))
}

/// The packaged unit for another place, with a user that exists while the service runs.
fn system_unit(command: &str, groups: &str) -> String {
    let there = |group: &&str| groups.lines().any(|line| line.split(':').next() == Some(*group));
    let cards: Vec<&str> = ["video", "render"].into_iter().filter(there).collect();
    let mut user = "DynamicUser=yes\nUser=miner-cli".to_owned();
    if !cards.is_empty() {
        user += &format!("\nSupplementaryGroups={}", cards.join(" "));
    }
    SYSTEM
        .replace("Documentation=man:miner-cli(1)\n", "")
        .replace("/usr/bin/miner-cli", command)
        .replace("User=miner-cli", &user)
}

/// The beginning of a command line as units have it.
fn command(program: &Path, home: Option<&Path>) -> Result<String, Failure> {
    let mut command = quoted(program)?;
    if let Some(home) = home {
        let home = std::path::absolute(home).map_err(|e| files::not_read(home, &e))?;
        command += &format!(" --home {}", quoted(&home)?);
    }
    Ok(command)
}

fn quoted(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    let text = text.ok_or_else(|| {
        Failure::own(format!("{} cannot be written into a unit: rename it", path.display()))
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    if text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("\"{}\"", escaped.replace('%', "%%").replace('$', "$$")))
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;

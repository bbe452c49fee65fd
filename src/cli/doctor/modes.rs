//! What `doctor` says of files that others on this machine may read or change and should not.
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Check;
use crate::config::{ChannelConfig, Config, Paths, Target};

/// Bits that a secret of this user's alone must not have, and one that a group may read.
const PRIVATE: u32 = 0o077;
const GROUP: u32 = 0o027;

/// One problem for each file.
pub fn checks(paths: &Paths, config: &Config) -> Vec<Check> {
    let mut secrets = vec![
        ("the private key", paths.private_key.clone(), PRIVATE),
        ("the token file", paths.token_file(), GROUP),
    ];
    let mut keys: Vec<PathBuf> = [&config.tls, &config.api.tls]
        .into_iter()
        .filter_map(|tls| Some(tls.as_ref()?.key.clone()))
        .collect();
    keys.dedup();
    secrets.extend(keys.into_iter().map(|key| ("the TLS key", key, GROUP)));
    let tokens = config.channels.iter().filter_map(token_file);
    secrets.extend(tokens.map(|file| ("the token of an alert channel", file.clone(), GROUP)));
    if config.channels.iter().any(is_secret) {
        // The service reads its file by the group.
        let others = if paths.service { 0o007 } else { PRIVATE };
        let what = "config.toml, which holds secrets of alert channels";
        secrets.push((what, paths.config_file.clone(), others));
    }
    let mut found: Vec<Check> = secrets
        .into_iter()
        .filter_map(|(what, file, others)| open(&format!("read {what}"), &file, others))
        .collect();
    // Who can write to it chooses wallets, and commands that the daemon runs.
    let others = if paths.service { 0o022 } else { 0o002 };
    found.extend(open("change config.toml", &paths.config_file, others));
    found
}

/// The address itself is what lets one post to most of them.
fn is_secret(channel: &ChannelConfig) -> bool {
    match &channel.target {
        Target::Webhook(webhook) => webhook.token.is_some() || webhook.path.0.len() > 1,
        Target::Command { arguments, .. } => !arguments.is_empty(),
    }
}

fn token_file(channel: &ChannelConfig) -> Option<&PathBuf> {
    match &channel.target {
        Target::Webhook(webhook) => webhook.token_file.as_ref(),
        Target::Command { .. } => None,
    }
}

fn open(what: &str, file: &Path, others: u32) -> Option<Check> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    if mode & others == 0 {
        return None;
    }
    let message = format!("others may {what} (mode {mode:03o})");
    let remedy = format!("chmod {:03o} {}", mode & !others, file.display());
    Some(Check::problem("modes", message, remedy))
}

#[cfg(test)]
mod tests {
    use super::checks;
    use crate::config::{Config, Paths};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn put(file: &Path, mode: u32, text: &str) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What is said of a node with this config.toml, for a person's own node and for the service.
    fn said(mode: u32, text: &str) -> [String; 2] {
        let name = format!("miner-cli-modes-{}", crate::sys::random::hex::<8>());
        let home = std::env::temp_dir().join(name);
        let own = Paths::resolve(Some(&home)).unwrap();
        put(&own.config_file, mode, &text.replace("HOME", home.to_str().unwrap()));
        for (file, mode) in [("key", 0o644), ("bot", 0o604)] {
            put(&home.join(file), mode, "");
        }
        let config = Config::load(&own.config_file).unwrap();
        let all = [own.clone(), Paths { service: true, ..own }].map(|paths| {
            let rows = checks(&paths, &config).into_iter();
            let rows = rows.map(|row| format!("{} -> {}", row.message, row.remedy.unwrap()));
            rows.collect::<Vec<_>>().join("\n").replace(home.to_str().unwrap(), "HOME")
        });
        std::fs::remove_dir_all(&home).unwrap();
        all
    }

    const WEBHOOK: &str = "[[alerts.channels]]\nname = \"a\"\ntype = \"webhook\"\nurl = ";

    #[test]
    fn a_file_with_secrets_is_for_its_owner_or_the_services_group() {
        let secret = format!("{WEBHOOK}\"https://ntfy.sh/topic\"");
        let read = "others may read config.toml, which holds secrets of alert channels";
        let chmod = "-> chmod 600 HOME/config.toml";
        assert_eq!(said(0o600, &secret), ["", ""]);
        assert_eq!(said(0o640, &secret), [format!("{read} (mode 640) {chmod}"), String::new()]);
        let [own, service] = said(0o644, &secret);
        assert_eq!(own, format!("{read} (mode 644) {chmod}"));
        assert_eq!(service, format!("{read} (mode 644) -> chmod 640 HOME/config.toml"));
        let token = format!("{WEBHOOK}\"http://10.0.0.7/\"\ntoken = \"t\"");
        assert!(said(0o644, &token)[0].starts_with(read));
        let command = "[[alerts.channels]]\nname = \"a\"\ntype = \"command\"\npath = \"/bin/curl\"";
        assert!(
            said(0o644, &format!("{command}\narguments = [\"-u\", \"me:x\"]"))[0].contains(read)
        );
        for open in [command, &format!("{WEBHOOK}\"http://10.0.0.7/\""), "log_level = \"info\""] {
            assert_eq!(said(0o644, open), ["", ""], "{open}");
        }
    }

    #[test]
    fn who_may_change_the_file_is_looked_at_too() {
        let [own, service] = said(0o664, "");
        assert_eq!(own, "", "the group of one's own files is often one's own");
        assert_eq!(
            service,
            "others may change config.toml (mode 664) -> chmod 644 HOME/config.toml"
        );
        assert!(said(0o606, "")[0].contains("chmod 604"));
    }

    #[test]
    fn keys_and_tokens_that_the_file_names() {
        let text = "[tls]\ncert = \"/c\"\nkey = \"HOME/key\"\n[api.tls]\ncert = \"/c\"\nkey = \"HOME/key\"\n\
                    [[alerts.channels]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"http://h/\"\ntoken_file = \"HOME/bot\"";
        let [own, service] = said(0o600, text);
        let expected = "others may read the TLS key (mode 644) -> chmod 640 HOME/key\n\
                        others may read the token of an alert channel (mode 604) -> chmod 600 HOME/bot";
        assert_eq!((own.as_str(), service.as_str()), (expected, expected));
    }
}

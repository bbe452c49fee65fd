use super::{Secret, Target, Webhook, WebhookFormat};
use crate::config::file::parse;
use crate::config::{ChannelConfig, Config};
use crate::model::alert::{AlertRules, Rule};
use crate::model::event::Severity;
use std::path::Path;
use std::time::Duration;

fn hook(text: &str) -> Result<Webhook, String> {
    let head = "[[alerts.channels]]\nname = \"a\"\ntype = \"webhook\"\n";
    let mut channels = parse(&format!("{head}{text}"))?.channels;
    match channels.remove(0).target {
        Target::Webhook(hook) => Ok(*hook),
        Target::Command { .. } => panic!("a webhook"),
    }
}

#[test]
fn what_is_left_out_has_its_default_and_every_rule_can_be_switched_off() {
    assert_eq!(parse("[alerts]").unwrap().alerts, AlertRules::default());
    assert_eq!(Config::default().alerts.described().len(), Rule::ALL.len());
    let off = "[alerts]\nunreachable = false\ncrash_loop = false\nhashrate = false\nrejects = false\n\
               temperature = false\nkey_changed = false\npolicy = false\ndisk = false";
    let rules = parse(off).unwrap().alerts;
    assert!(Rule::ALL.iter().all(|rule| !rules.has(*rule)));
    let rules = parse("[alerts]\nenabled = false").unwrap().alerts;
    assert!(Rule::ALL.iter().all(|rule| !rules.has(*rule)));
    let set = "[alerts]\nunreachable = \"90s\"\nhashrate = 12.5\nhashrate_for = \"1h\"\nrejects = 3\n\
               temperature = 75\ndisk = 10\ndisk_free_mb = 1000\nrecovery = \"0s\"\ngroup = \"1m\"";
    let rules = parse(set).unwrap().alerts;
    assert_eq!(rules.unreachable, Some(Duration::from_secs(90)));
    assert_eq!(
        (rules.hashrate, rules.rejects, rules.temperature),
        (Some(12.5), Some(3.0), Some(75.0))
    );
    assert_eq!((rules.disk, rules.disk_free), (Some(10.0), 1_000_000_000));
    assert_eq!((rules.recovery, rules.group), (Duration::ZERO, Duration::from_secs(60)));
}

#[test]
fn channels_are_read() {
    let hooked =
        hook("url = \"https://Ntfy.Example/topic?auth=x\"\nformat = \"ntfy\"\ntoken = \"t\"")
            .unwrap();
    let wanted = Webhook {
        format: WebhookFormat::Ntfy,
        tls: true,
        host: "ntfy.example".to_owned(),
        port: 443,
        path: Secret("/topic?auth=x".to_owned()),
        token: Some(Secret("t".to_owned())),
        token_file: None,
        chat_id: None,
        ca_file: None,
    };
    assert_eq!(hooked, wanted);
    assert_eq!(hooked.shown(), "https://ntfy.example");
    let bare = hook("url = \"http://[::1]:8080\"\nca_file = \"/etc/ca.pem\"").unwrap();
    assert_eq!((bare.tls, bare.host.as_str(), bare.port), (false, "[::1]", 8080));
    assert_eq!((bare.path.0.as_str(), bare.format), ("/", WebhookFormat::Generic));
    let telegram = hook("format = \"telegram\"\ntoken_file = \"/t\"\nchat_id = \"-1\"").unwrap();
    assert_eq!(telegram.shown(), "https://api.telegram.org");
    let text = "[[alerts.channels]]\nname = \"script\"\ntype = \"command\"\nseverity = \"critical\"\n\
                path = \"/opt/told\"\narguments = [\"-x\"]";
    let wanted = ChannelConfig {
        name: "script".to_owned(),
        severity: Severity::Critical,
        target: Target::Command {
            path: Path::new("/opt/told").to_owned(),
            arguments: vec!["-x".to_owned()],
        },
    };
    assert_eq!(parse(text).unwrap().channels, [wanted]);
}

#[test]
fn mistakes_are_said_and_secrets_are_not() {
    for (text, words) in [
        ("url = \"ftp://s3cret/x\"", "url: expected https://HOST"),
        ("url = \"https://user:s3cret@host/x\"", "url: expected"),
        ("url = \"https://host/s3cret x\"", "url: expected"),
        ("url = \"https://host/x#s3cret\"", "url: expected"),
        ("url = \"https://host:0/s3cret\"", "url: expected"),
        ("url = \"https:///s3cret\"", "url: expected"),
        ("url = \"s3cret\"", "url: expected"),
        ("", "needs url"),
        ("url = \"https://h/s3cret\"\ntoken = \"s3cret\"\ntoken_file = \"/x\"", "not both"),
        ("url = \"https://h/s3cret\"\ntoken = \"s3 cret\"", "token: only visible"),
        ("url = \"https://h/s3cret\"\ntoken_file = \"s3cret\"", "token_file: a whole path"),
        ("url = \"https://h/s3cret\"\nca_file = \"x\"", "ca_file: a whole path"),
        ("url = \"https://h/s3cret\"\nchat_id = \"1\"", "chat_id"),
        ("format = \"telegram\"\ntoken = \"s3cret\"", "chat_id"),
        ("format = \"telegram\"\nchat_id = \"1\"", "token of a bot"),
        ("url = \"https://h/s3cret\"\npath = \"/x\"", "belong to a command"),
        ("url = \"https://h/s3cret\"\nurls = 1", "unknown field `urls`"),
    ] {
        let error = hook(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
        assert!(error.starts_with("line "), "{error}");
        assert!(!error.contains("s3cret") && !error.contains("s3 cret"), "{text}: {error}");
    }
    for (text, words) in [
        (
            "[alerts]\nunreachable = \"https://s3cret\"",
            "a time up to 7d, like \"90s\" or \"5m\", or false",
        ),
        ("[alerts]\nunreachable = true", "or false"),
        ("[alerts]\nhashrate = 100", "a percentage"),
        ("[alerts]\ntemperature = 900", "degrees Celsius"),
        ("[alerts]\nrecovery = false", "a time up to 7d"),
        ("[alerts]\nno_such = 1", "unknown field `no_such`"),
        ("[[alerts.channels]]\nname = \"A b\"\ntype = \"webhook\"", "made of a to z"),
        ("[[alerts.channels]]\nname = \"a\"\ntype = \"command\"", "needs path"),
        ("[[alerts.channels]]\nname = \"a\"\ntype = \"command\"\npath = \"x\"", "a whole path"),
        (
            "[[alerts.channels]]\nname = \"a\"\ntype = \"command\"\npath = \"/x\"\nurl = \"https://s3cret\"",
            "alone",
        ),
        ("[[alerts.channels]]\nname = \"a\"\ntype = \"mail\"", "unknown variant `mail`"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains("s3cret"), "{text}: {error}");
    }
    let twice = "[[alerts.channels]]\nname = \"a\"\ntype = \"command\"\npath = \"/x\"\n".repeat(2);
    assert!(parse(&twice).unwrap_err().contains("two channels are called \"a\""));
    let shown = format!("{:?}", hook("url = \"https://h/s3cret\"\ntoken = \"s3cret\"").unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}

//! Channels against a receiver over real sockets that answers, refuses, hangs, breaks off, redirects and never ends.
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use serde_json::Value;

use super::{Pace, command, start, webhook};
use crate::bus::{self, AlertCommand, Event, Reply};
use crate::config::{ChannelConfig, Secret, Target, Webhook, WebhookFormat};
use crate::model::alert::{AlertOverview, ChannelView, Notice, NoticeKind, Rule, TestResult};
use crate::model::event::Severity;
use crate::model::fault::{Code, Fault};
use crate::model::time::Timestamp;
use crate::sys::thread;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the receiver does with one request.
#[derive(Clone, Copy)]
pub enum Does {
    Answers(u16),
    /// Reads and says nothing, until its caller has gone.
    Hangs,
    /// Closes without an answer.
    Drops,
    Redirects,
    /// A head without an end.
    Endless,
    /// A body without an end.
    LongBody,
}

/// One request as the receiver saw it.
pub struct Request {
    pub head: String,
    pub body: String,
}

/// Serves one connection after the other, each as the script says, and the last word of it for all that follow.
fn receiver(script: Vec<Does>) -> (u16, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, requests) = bus::wire_channel(1000);
    thread::spawn("test-receiver", move || {
        let mut script = script.into_iter();
        let mut last = Does::Answers(200);
        for stream in listener.incoming() {
            last = script.next().unwrap_or(last);
            let (does, seen) = (last, seen.clone());
            thread::spawn("test-answer", move || serve(&stream.unwrap(), does, &seen)).unwrap();
        }
    })
    .unwrap();
    (port, requests)
}

fn serve(stream: &TcpStream, does: Does, seen: &Sender<Request>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    seen.send(Request { head, body: String::from_utf8(body).unwrap() }).unwrap();
    let mut writer = stream;
    match does {
        Does::Answers(status) => {
            drop(write!(writer, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        }
        Does::Hangs => drop(reader.read(&mut [0])),
        Does::Drops => {}
        Does::Redirects => {
            let head = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
            drop(writer.write_all(head.as_bytes()));
        }
        Does::Endless => {
            drop(writer.write_all(b"HTTP/1.1 200 OK\r\n"));
            while writer.write_all(b"X-More: and more of it\r\n").is_ok() {}
        }
        Does::LongBody => {
            drop(writer.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
            while writer.write_all(&[b'x'; 4096]).is_ok() {}
        }
    }
}

pub fn hook(format: WebhookFormat, port: u16) -> Webhook {
    Webhook {
        format,
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
        path: Secret("/hooks/s3cret-path?key=s3cret-key".to_owned()),
        token: None,
        token_file: None,
        chat_id: None,
        ca_file: None,
    }
}

fn channel(name: &str, hook: Webhook) -> ChannelConfig {
    let target = Target::Webhook(Box::new(hook));
    ChannelConfig { name: name.to_owned(), severity: Severity::Info, target }
}

pub fn notice(number: u64) -> Notice {
    Notice {
        number,
        kind: NoticeKind::Alert,
        ids: vec!["unreachable-1".to_owned()],
        rule: Some(Rule::Unreachable),
        severity: Severity::Critical,
        node: "center".to_owned(),
        rigs: vec!["rig <!channel> & @everyone".to_owned()],
        count: 1,
        miner: None,
        text: "rig <!channel> & @everyone is unreachable".to_owned(),
        since: Timestamp(1_700_000_000_000),
        at: Timestamp(1_700_000_300_000),
    }
}

struct Running {
    commands: Sender<AlertCommand>,
    events: Receiver<Event>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn quick() -> Pace {
    let (first, longest) = (Duration::from_millis(5), Duration::from_millis(20));
    Pace { first, longest, ..Pace::default() }
}

fn run(channels: Vec<ChannelConfig>, pace: Pace) -> Running {
    let (commands, inbox) = bus::wire_channel(1000);
    let (outbox, events) = bus::wire_channel(1000);
    let thread = Some(start(channels, inbox, &outbox, pace).unwrap());
    Running { commands, events, thread }
}

impl Running {
    fn tell(&self, notice: Notice) {
        self.commands.send(AlertCommand::Notice(Box::new(notice))).unwrap();
    }

    /// The number of the next message that arrived somewhere.
    fn delivered(&self) -> u64 {
        match self.events.recv_timeout(PATIENCE).unwrap() {
            Event::AlertDelivered { notice } => notice,
            other => panic!("{other:?}"),
        }
    }

    fn channels(&self) -> Vec<ChannelView> {
        let (reply, answer) = bus::reply_channel();
        let overview = Box::new(AlertOverview {
            enabled: true,
            alerts: Vec::new(),
            rules: Vec::new(),
            channels: Vec::new(),
        });
        self.commands.send(AlertCommand::Overview { overview, reply }).unwrap();
        match answer.recv_timeout(PATIENCE).unwrap() {
            Ok(Reply::Alerts(overview)) => overview.channels,
            other => panic!("{other:?}"),
        }
    }

    /// The channel, as soon as it fits.
    fn when(&self, fits: impl Fn(&ChannelView) -> bool) -> ChannelView {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.channels().into_iter().find(|c| fits(c)) {
                return found;
            }
            assert!(Instant::now() < end, "{:?}", self.channels());
            std::thread::yield_now();
        }
    }

    fn test(&self, channel: Option<&str>) -> Result<Vec<TestResult>, Fault> {
        let (reply, answer) = bus::reply_channel();
        let notice = Box::new(Notice { kind: NoticeKind::Test, ..notice(0) });
        let channel = channel.map(str::to_owned);
        self.commands.send(AlertCommand::Test { channel, notice, reply }).unwrap();
        match answer.recv_timeout(PATIENCE).unwrap() {
            Ok(Reply::AlertTests(results)) => Ok(results),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => Err(fault),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        (self.commands, _) = bus::wire_channel(1);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn each_receiver_gets_its_own_words() {
    let (port, requests) = receiver(vec![Does::Answers(200)]);
    let deliver = |hook: &Webhook| {
        assert!(webhook::deliver(hook, &notice(1)).is_ok());
        requests.recv_timeout(PATIENCE).unwrap()
    };
    let line =
        "[critical] center: rig <!channel> & @everyone is unreachable (since 2023-11-14 22:13 UTC)";

    let generic = deliver(&Webhook {
        token: Some(Secret("t0ken".to_owned())),
        ..hook(WebhookFormat::Generic, port)
    });
    assert!(generic.head.starts_with("POST /hooks/s3cret-path?key=s3cret-key HTTP/1.1\r\n"));
    assert!(generic.head.contains("\r\nAuthorization: Bearer t0ken\r\n"), "{}", generic.head);
    assert!(generic.head.contains(&format!("\r\nHost: 127.0.0.1:{port}\r\n")));
    let json: Value = serde_json::from_str(&generic.body).unwrap();
    assert_eq!((&json["kind"], &json["rule"]), (&"alert".into(), &"unreachable".into()));
    assert_eq!(json["since"], "2023-11-14T22:13:20.000Z");
    assert!(json.get("number").is_none(), "that is ours alone");

    let discord: Value =
        serde_json::from_str(&deliver(&hook(WebhookFormat::Discord, port)).body).unwrap();
    assert_eq!(discord["content"], line);
    assert_eq!(discord["allowed_mentions"]["parse"], Value::Array(Vec::new()));

    let slack: Value =
        serde_json::from_str(&deliver(&hook(WebhookFormat::Slack, port)).body).unwrap();
    assert!(slack["text"].as_str().unwrap().contains("rig &lt;!channel&gt; &amp; @everyone"));

    let ntfy = deliver(&hook(WebhookFormat::Ntfy, port));
    assert_eq!(ntfy.body, line);
    assert!(ntfy.head.contains("Title: Mining: alert\r\n") && ntfy.head.contains("Priority: high"));

    let telegram = Webhook {
        path: Secret("/".to_owned()),
        token: Some(Secret("123:abc".to_owned())),
        chat_id: Some("-42".to_owned()),
        ..hook(WebhookFormat::Telegram, port)
    };
    let telegram = deliver(&telegram);
    assert!(telegram.head.starts_with("POST /bot123:abc/sendMessage HTTP/1.1\r\n"));
    assert!(!telegram.head.contains("Authorization"));
    let json: Value = serde_json::from_str(&telegram.body).unwrap();
    assert_eq!((&json["chat_id"], &json["text"]), (&"-42".into(), &line.into()));
}

#[test]
fn a_receiver_that_fails_in_every_way_gets_the_message_in_the_end_and_in_order() {
    let script = vec![
        Does::Answers(500),
        Does::Drops,
        Does::Answers(429),
        Does::Redirects,
        Does::Endless,
        Does::Answers(404),
        Does::Answers(200),
        Does::LongBody,
        Does::Answers(204),
    ];
    let (port, requests) = receiver(script);
    let running = run(vec![channel("a", hook(WebhookFormat::Generic, port))], quick());
    (1..=3).for_each(|number| running.tell(notice(number)));
    for number in 1..=3 {
        assert_eq!(running.delivered(), number);
    }
    assert_eq!(requests.try_iter().count(), 9);
    let view = running.when(|c| c.waiting == 0);
    assert!(view.last_delivery.is_some() && view.last_error.is_none() && view.dropped == 0);
    assert_eq!(
        (view.target.as_str(), view.format.as_deref()),
        ("http://127.0.0.1", Some("generic"))
    );
}

#[test]
fn a_receiver_that_hangs_delays_nobody_and_drops_are_counted() {
    let (slow, asked) = receiver(vec![Does::Hangs]);
    let (good, requests) = receiver(vec![Does::Answers(200)]);
    let channels = vec![
        channel("slow", hook(WebhookFormat::Ntfy, slow)),
        channel("good", hook(WebhookFormat::Ntfy, good)),
    ];
    let running = run(channels, quick());
    let begun = Instant::now();
    running.tell(notice(1));
    asked.recv_timeout(PATIENCE).unwrap();
    for number in 2..=80 {
        running.tell(notice(number));
        requests.recv_timeout(PATIENCE).unwrap();
    }
    let delivered: Vec<u64> = (1..=80).map(|_| running.delivered()).collect();
    assert_eq!(delivered, (1..=80).collect::<Vec<_>>());
    // It holds one, 64 wait.
    let view = running.when(|c| c.name == "slow" && c.dropped == 15);
    assert_eq!(view.waiting, 65);
    // The deadline of one request, which no test can wait for without waiting.
    let view = running.when(|c| c.name == "slow" && c.last_error.is_some());
    assert!(begun.elapsed() >= Duration::from_secs(10) && begun.elapsed() < PATIENCE);
    assert_eq!(view.last_error.as_deref(), Some("http://127.0.0.1: no answer in time"));
}

#[test]
fn a_message_is_given_up_after_enough_tries_or_at_an_age() {
    let gives_up = |does, pace| {
        let (port, requests) = receiver(vec![does]);
        let running = run(vec![channel("a", hook(WebhookFormat::Slack, port))], pace);
        running.tell(notice(1));
        let view = running.when(|c| c.dropped == 1);
        assert_eq!(view.waiting, 0);
        assert!(running.events.is_empty(), "it did not arrive");
        requests.try_iter().count()
    };
    assert_eq!(gives_up(Does::Answers(503), Pace { tries: 5, ..quick() }), 5);
    assert_eq!(
        gives_up(Does::Answers(400), quick()),
        8,
        "what is turned down is not tried for ever"
    );
    assert_eq!(gives_up(Does::Redirects, Pace { refusals: 2, ..quick() }), 2);
    let old = Pace { age: Duration::from_millis(100), ..quick() };
    // On a loaded machine one try may take that long.
    assert!((1..50).contains(&gives_up(Does::Drops, old)));
}

#[test]
fn the_waits_double_up_to_the_longest() {
    let pace = Pace::default();
    let ms = Duration::from_millis;
    assert_eq!((pace.first, pace.longest), (Duration::from_secs(1), Duration::from_secs(300)));
    let (port, requests) = receiver(vec![Does::Answers(500)]);
    let pace = Pace { first: ms(20), longest: ms(80), tries: 6, ..Pace::default() };
    let running = run(vec![channel("a", hook(WebhookFormat::Slack, port))], pace);
    running.tell(notice(1));
    let at: Vec<Instant> =
        (0..6).map(|_| requests.recv_timeout(PATIENCE).map(|_| Instant::now()).unwrap()).collect();
    // Never sooner; on a loaded machine later.
    assert!(at[5] - at[0] >= ms(20 + 40 + 80 + 80 + 80 - 10));
    running.when(|c| c.dropped == 1);
}

#[test]
fn a_channel_takes_what_matters_enough() {
    let (port, requests) = receiver(vec![Does::Answers(200)]);
    let critical = ChannelConfig {
        severity: Severity::Critical,
        ..channel("critical", hook(WebhookFormat::Generic, port))
    };
    let running = run(vec![critical], quick());
    running.tell(Notice { severity: Severity::Warning, ..notice(1) });
    running.tell(notice(2));
    assert_eq!(running.delivered(), 2);
    assert_eq!(requests.try_iter().count(), 1);
}

#[test]
fn a_test_goes_past_what_waits_and_says_what_came_of_it() {
    let (slow, asked) = receiver(vec![Does::Hangs, Does::Answers(200)]);
    let (bad, _requests) = receiver(vec![Does::Answers(401)]);
    let channels = vec![
        channel("slow", hook(WebhookFormat::Ntfy, slow)),
        channel("bad", hook(WebhookFormat::Ntfy, bad)),
    ];
    let running = run(channels, Pace { first: PATIENCE, ..quick() });
    running.tell(notice(1));
    asked.recv_timeout(PATIENCE).unwrap();
    let results = running.test(None).unwrap();
    assert_eq!((results[0].channel.as_str(), results[0].delivered), ("slow", true));
    assert_eq!(results[1].error.as_deref(), Some("http://127.0.0.1: it answered 401"));
    assert_eq!(running.test(Some("bad")).unwrap().len(), 1);
    let fault = running.test(Some("none")).unwrap_err();
    assert_eq!(fault.code, Code::ChannelNotFound);
    assert_eq!(fault.hint.as_deref(), Some("there are: slow, bad"));
    let fault = run(Vec::new(), quick()).test(None).unwrap_err();
    assert_eq!(fault.code, Code::ChannelNotFound);
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let folder = std::env::temp_dir().join(format!("mc-alerts-{}", crate::sys::random::hex::<6>()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("token");
    let (port, requests) = receiver(vec![Does::Answers(200), Does::Answers(418), Does::Drops]);
    let secret = Webhook { token_file: Some(file.clone()), ..hook(WebhookFormat::Generic, port) };
    let absent = webhook::deliver(&secret, &notice(1)).unwrap_err();
    assert!(absent.text.contains("there is no "), "{}", absent.text);
    std::fs::write(&file, "t0ken with spaces\n").unwrap();
    assert!(
        webhook::deliver(&secret, &notice(1)).is_err_and(|f| f.text.ends_with("holds no token"))
    );
    std::fs::write(&file, "t0ken\n").unwrap();
    assert!(webhook::deliver(&secret, &notice(1)).is_ok());
    assert!(requests.recv_timeout(PATIENCE).unwrap().head.contains("Bearer t0ken\r\n"));
    let refused = Webhook { port: 1, ..secret.clone() };
    let odd = Webhook { path: Secret("/s3cret\r\nX: y".to_owned()), ..secret.clone() };
    for hook in [&secret, &secret, &refused, &odd] {
        let failure = webhook::deliver(hook, &notice(1)).unwrap_err();
        assert!(failure.text.starts_with("http://127.0.0.1: "), "{}", failure.text);
        for word in ["s3cret", "t0ken"] {
            assert!(!failure.text.contains(word), "{}", failure.text);
            assert!(!format!("{:?}", channel("a", hook.clone())).contains(word));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

fn script(folder: &std::path::Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("hook.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_command_gets_the_message_on_stdin_without_a_shell_and_is_killed_when_it_hangs() {
    let folder = std::env::temp_dir().join(format!("mc-alerts-{}", crate::sys::random::hex::<6>()));
    std::fs::create_dir(&folder).unwrap();
    let out = folder.join("out");
    let run = |text: &str, arguments: &[String], deadline: Duration| {
        let sh = ["/bin/sh".to_owned(), script(&folder, text).display().to_string()];
        let all: Vec<String> = sh[1..].iter().chain(arguments).cloned().collect();
        command::deliver_by(
            Instant::now() + deadline,
            std::path::Path::new(&sh[0]),
            &all,
            &notice(1),
        )
    };
    let odd = "$(touch /tmp/x); `id`".to_owned();
    let text = format!("cat > {0}; printf '%s' \"$1\" > {0}.argument", out.display());
    run(&text, std::slice::from_ref(&odd), PATIENCE).unwrap();
    let json: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(json, serde_json::to_value(notice(1)).unwrap());
    assert_eq!(std::fs::read_to_string(folder.join("out.argument")).unwrap(), odd);
    assert_eq!(run("exit 3", &[], PATIENCE).unwrap_err(), "the command exited with code 3");
    assert_eq!(run("kill -9 $$", &[], PATIENCE).unwrap_err(), "the command was ended by signal 9");
    let begun = Instant::now();
    let hanging = format!("sleep 600 & echo $! > {}; wait", folder.join("pid").display());
    let error = run(&hanging, &[], Duration::from_secs(1)).unwrap_err();
    assert_eq!(error, "the command did not end in time");
    assert!(begun.elapsed() < PATIENCE);
    let pid = std::fs::read_to_string(folder.join("pid")).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    let gone =
        || std::fs::read_to_string(&stat).map_or(true, |s| s.contains(") Z") || s.contains(") X"));
    let end = Instant::now() + PATIENCE;
    while !gone() {
        assert!(Instant::now() < end, "its child lives");
        std::thread::yield_now();
    }
    let absent = command::deliver(std::path::Path::new("/does/not/exist"), &[], &notice(1));
    assert!(absent.unwrap_err().starts_with("the command cannot be run"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_end_waits_for_no_receiver() {
    let (slow, asked) = receiver(vec![Does::Hangs]);
    let running = run(vec![channel("slow", hook(WebhookFormat::Ntfy, slow))], quick());
    running.tell(notice(1));
    asked.recv_timeout(PATIENCE).unwrap();
    let begun = Instant::now();
    drop(running);
    assert!(begun.elapsed() < Duration::from_secs(8), "it waited for the receiver's ten seconds");
}

//! The message in the words of each receiver.
use serde_json::{Value, json};

use crate::config::WebhookFormat;
use crate::model::alert::{Notice, NoticeKind};
use crate::model::event::Severity;

/// The longest text that Discord takes, in characters.
const DISCORD: usize = 2000;

/// What is sent: its type, its bytes, and headers of its own.
pub struct Message {
    pub kind: &'static str,
    pub body: Vec<u8>,
    pub headers: Vec<(&'static str, &'static str)>,
}

pub fn message(format: WebhookFormat, notice: &Notice, chat_id: Option<&str>) -> Message {
    let text = text(notice);
    match format {
        WebhookFormat::Generic => in_json(&json!(notice)),
        WebhookFormat::Discord => in_json(&json!({
            "content": text.chars().take(DISCORD).collect::<String>(),
            // A miner's words shall not wake everybody.
            "allowed_mentions": { "parse": [] },
        })),
        WebhookFormat::Slack => in_json(&json!({ "text": for_slack(&text) })),
        WebhookFormat::Telegram => in_json(&json!({
            "chat_id": chat_id, "text": text, "disable_web_page_preview": true,
        })),
        WebhookFormat::Ntfy => Message {
            kind: "text/plain; charset=utf-8",
            body: text.into_bytes(),
            headers: for_ntfy(notice).into(),
        },
    }
}

fn in_json(value: &Value) -> Message {
    Message { kind: "application/json", body: value.to_string().into_bytes(), headers: Vec::new() }
}

/// The whole notice, as a generic webhook and a command get it.
pub fn json(notice: &Notice) -> String {
    json!(notice).to_string()
}

/// A line for people.
fn text(notice: &Notice) -> String {
    let word = match notice.kind {
        NoticeKind::Alert => notice.severity.text(),
        NoticeKind::Recovery => "recovered",
        NoticeKind::Test => "test",
    };
    let since = match notice.kind {
        NoticeKind::Test => String::new(),
        _ => format!(" (since {})", minute(notice)),
    };
    format!("[{word}] {}: {}{since}", notice.node, notice.text)
}

/// `2026-11-22 14:02 UTC`.
fn minute(notice: &Notice) -> String {
    let since = notice.since.to_string();
    format!("{} UTC", since.chars().take(16).collect::<String>().replace('T', " "))
}

/// These three are its markup; with them it could be told to notify a whole channel.
fn for_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn for_ntfy(notice: &Notice) -> [(&'static str, &'static str); 3] {
    let (title, tag) = match notice.kind {
        NoticeKind::Alert => ("Mining: alert", "warning"),
        NoticeKind::Recovery => ("Mining: recovered", "white_check_mark"),
        NoticeKind::Test => ("Mining: test", "bell"),
    };
    let priority = match (notice.kind, notice.severity) {
        (NoticeKind::Alert, Severity::Critical) => "high",
        _ => "default",
    };
    [("Title", title), ("Priority", priority), ("Tags", tag)]
}

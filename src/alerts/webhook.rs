//! A message to a receiver on the network. Its answer's status is all that is read of it; no redirect is followed; of
//! its address scheme and host are all that is ever shown.
use std::time::{Duration, Instant};

use super::channel::Failure;
use super::format;
use crate::config::{Webhook, WebhookFormat};
use crate::httpc::{self, HttpError, HttpRequest, HttpStream};
use crate::model::alert::Notice;
use crate::sys::files;
use crate::sys::net::{self, DeadlineStream};
use crate::tls::{Client, Stream};

/// From the connect to the head of the answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of a token.
const LONGEST_TOKEN: usize = 4096;

pub fn deliver(hook: &Webhook, notice: &Notice) -> Result<(), Failure> {
    let token = token(hook)?;
    let message = format::message(hook.format, notice, hook.chat_id.as_deref());
    let bearer = token.as_ref().map(|token| format!("Bearer {token}"));
    let path = match (hook.format, &token) {
        // A bot's token is part of the address.
        (WebhookFormat::Telegram, Some(token)) => {
            format!("{}/bot{token}/sendMessage", hook.path.0.trim_end_matches('/'))
        }
        _ => hook.path.0.clone(),
    };
    let agent = concat!("miner-cli/", env!("CARGO_PKG_VERSION"));
    let mut headers = vec![("Content-Type", message.kind), ("User-Agent", agent)];
    headers.extend(&message.headers);
    if let Some(bearer) = bearer.as_ref().filter(|_| hook.format != WebhookFormat::Telegram) {
        headers.push(("Authorization", bearer));
    }
    let usual = if hook.tls { 443 } else { 80 };
    let address = format!("{}:{}", hook.host, hook.port);
    let request = HttpRequest {
        method: "POST",
        address: if hook.port == usual { &hook.host } else { &address },
        path: &path,
        headers: &headers,
        body: Some(&message.body),
        deadline: DEADLINE,
        most: 0,
    };
    let (status, wait) = ask(hook, &address, &request).map_err(|why| at(hook, &why))?;
    judge(status, wait).map_err(|failure| Failure { text: at(hook, &failure.text), ..failure })
}

fn at(hook: &Webhook, why: &str) -> String {
    format!("{}: {why}", hook.shown())
}

fn token(hook: &Webhook) -> Result<Option<String>, Failure> {
    let Some(file) = &hook.token_file else {
        return Ok(hook.token.as_ref().map(|token| token.0.clone()));
    };
    let bytes = files::read_small(file, LONGEST_TOKEN).map_err(|fault| fault.message)?;
    let bytes = bytes.ok_or_else(|| format!("there is no {}", file.display()))?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("{} holds no token", file.display()).into());
    }
    Ok(Some(text))
}

type Answer = (u16, Option<Duration>);

fn ask(hook: &Webhook, address: &str, request: &HttpRequest<'_>) -> Result<Answer, String> {
    let deadline = Instant::now() + request.deadline;
    let connected = net::connect(address, deadline).map_err(|e| match e.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => HttpError::TimedOut,
        _ => HttpError::Refused(e.to_string()),
    });
    let tcp = connected.map_err(|e| e.to_string())?;
    let stream = if hook.tls {
        let host = hook.host.trim_start_matches('[').trim_end_matches(']');
        Client::from_file(hook.ca_file.as_deref())?.over(tcp, host)?
    } else {
        Stream::Plain(tcp)
    };
    stream.open(deadline)?;
    let said = httpc::ask_over(request, DeadlineStream::new(stream, deadline));
    let HttpStream { status, headers, .. } = said.map_err(|e| e.to_string())?;
    let asked = headers.iter().find(|(name, _)| name == "retry-after");
    let seconds = asked.and_then(|(_, value)| value.trim().parse::<u16>().ok());
    Ok((status, seconds.map(|s| Duration::from_secs(s.into()))))
}

fn judge(status: u16, wait: Option<Duration>) -> Result<(), Failure> {
    match status {
        200..=299 => Ok(()),
        300..=399 => {
            let text = format!("it answered {status}: redirects are not followed");
            Err(Failure { text, refused: true, wait: None })
        }
        408 | 425 | 429 | 500.. => {
            Err(Failure { text: format!("it answered {status}"), refused: false, wait })
        }
        _ => Err(Failure { text: format!("it answered {status}"), refused: true, wait: None }),
    }
}

//! The signed envelope: `signature (64 bytes, Ed25519) || JSON`.
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::limits;
use super::messages::Body;
use crate::model::fault::{Code, Fault};
use crate::model::key::{NodeId, PublicKey};
use crate::model::text;
use crate::model::time::Timestamp;

/// Bytes of the signature in front of the JSON.
const SIGNATURE: usize = 64;
/// The longest id of an envelope.
const ID: usize = 64;

/// One message with its addressing. JSON `{"id","type","from","to","ts","seq","payload","replyTo"?}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub id: String,
    pub from: NodeId,
    pub to: NodeId,
    pub ts: Timestamp,
    /// Strictly rising per sender, over restarts too.
    pub seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    #[serde(flatten)]
    pub body: Body,
}

/// Signature and JSON together are longer than [`limits::ENVELOPE`]: this many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge(pub usize);

/// Why an envelope was not taken. Each of these ends the link: the sender is broken or not who it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    TooShort,
    Signature,
    /// Not JSON, or without the fields that every envelope has.
    Json(String),
    /// `from` is another node than the one this link leads to.
    From(NodeId),
    /// `to` is another node than this one.
    To(NodeId),
    /// An id that is empty, longer than 64 bytes or not printable ASCII.
    Id,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooShort => write!(f, "an envelope too short to be one"),
            Self::Signature => write!(f, "an envelope with a wrong signature"),
            Self::Json(why) => write!(f, "an envelope that cannot be read: {why}"),
            Self::From(id) => write!(f, "an envelope that claims to come from {id}"),
            Self::To(id) => write!(f, "an envelope meant for {id}"),
            Self::Id => write!(f, "an envelope with a bad id"),
        }
    }
}

/// An envelope whose signature and addressing are good.
#[derive(Clone, PartialEq, Debug)]
pub struct Opened {
    pub id: String,
    pub seq: u64,
    /// `Err` where the type is unknown here (UNSUPPORTED) or its payload is not as expected (INVALID), as from
    /// another version: to be answered with this `error`, not with the end of the link.
    pub content: Result<Envelope, Fault>,
}

/// Signs and encodes.
///
/// # Errors
/// The result would not fit one Noise message.
pub fn seal(
    envelope: &Envelope,
    sign: impl Fn(&[u8]) -> [u8; SIGNATURE],
) -> Result<Vec<u8>, TooLarge> {
    let mut out = vec![0; SIGNATURE];
    serde_json::to_writer(&mut out, envelope).expect("an envelope has a JSON form");
    if out.len() > limits::ENVELOPE {
        return Err(TooLarge(out.len()));
    }
    let signature = sign(&out[SIGNATURE..]);
    out[..SIGNATURE].copy_from_slice(&signature);
    Ok(out)
}

/// Checks and decodes what `from` sent to us, `to`. Nothing is parsed before the signature is found good.
///
/// # Errors
/// See [`Refusal`].
pub fn open(
    bytes: &[u8],
    signing_key: &VerifyingKey,
    from: NodeId,
    to: NodeId,
) -> Result<Opened, Refusal> {
    let (head, json) = head(bytes, signing_key)?;
    if head.from != from {
        return Err(Refusal::From(head.from));
    }
    if head.to != to {
        return Err(Refusal::To(head.to));
    }
    let ids = [Some(&head.id), head.reply_to.as_ref()];
    if ids.into_iter().flatten().any(|id| !is_id(id)) {
        return Err(Refusal::Id);
    }
    let content = if Body::TYPES.contains(&head.kind.as_str()) {
        body(json, &head)
    } else {
        let kind = text::clean(&head.kind, 40);
        Err(Fault::new(Code::Unsupported, format!("messages of type {kind:?} are not known here"))
            .hint("update miner-cli on the older node"))
    };
    Ok(Opened { id: head.id, seq: head.seq, content })
}

/// Straight from the text: through the derive of [`Envelope`], whose flattened body has to be kept in a tree until its
/// type is known, a report costs twice the time.
fn body(json: &str, head: &Head) -> Result<Envelope, Fault> {
    let wrong = |e: serde_json::Error| {
        let kind = &head.kind;
        Fault::new(Code::Invalid, format!("the payload of {kind} cannot be read: {}", said(&e)))
    };
    Ok(Envelope {
        id: head.id.clone(),
        from: head.from,
        to: head.to,
        ts: head.ts.ok_or_else(|| wrong(serde::de::Error::missing_field("ts")))?,
        seq: head.seq,
        reply_to: head.reply_to.clone(),
        body: serde_json::from_str(json).map_err(wrong)?,
    })
}

/// What a kept envelope proves: that the holder of the key said this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    pub id: String,
    /// The type.
    pub kind: String,
    pub from: NodeId,
}

/// Checks an envelope that was kept, by the key that its sender had then.
///
/// # Errors
/// The signature does not fit, the key is none, or it is no envelope.
pub fn prove(bytes: &[u8], signing_key: &PublicKey) -> Result<Proof, Refusal> {
    let key = VerifyingKey::from_bytes(&signing_key.0).map_err(|_| Refusal::Signature)?;
    let (head, _) = head(bytes, &key)?;
    Ok(Proof { id: head.id, kind: head.kind, from: head.from })
}

/// The addressing, once the signature is found good, and the JSON.
fn head<'a>(bytes: &'a [u8], key: &VerifyingKey) -> Result<(Head, &'a str), Refusal> {
    let (signature, json) = bytes.split_first_chunk::<SIGNATURE>().ok_or(Refusal::TooShort)?;
    key.verify_strict(json, &Signature::from_bytes(signature)).map_err(|_| Refusal::Signature)?;
    // At once: the parser would look at each of a hundred short strings.
    let json = std::str::from_utf8(json).map_err(|e| Refusal::Json(e.to_string()))?;
    let head = serde_json::from_str(json).map_err(|e| Refusal::Json(said(&e)))?;
    Ok((head, json))
}

/// The addressing alone, whatever the type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    from: NodeId,
    to: NodeId,
    #[serde(default)]
    ts: Option<Timestamp>,
    seq: u64,
    #[serde(default)]
    reply_to: Option<String>,
}

/// A parser's error names what it found: text of the other side, so cleaned and cut.
fn said(error: &serde_json::Error) -> String {
    text::clean(&error.to_string(), 200)
}

fn is_id(id: &str) -> bool {
    (1..=ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// Lets each `seq` of one link through only if it is higher than all before it.
#[derive(Debug, Default)]
pub struct Sequence(Option<u64>);

impl Sequence {
    #[must_use]
    pub fn rises(&mut self, seq: u64) -> bool {
        let rises = self.0.is_none_or(|last| seq > last);
        if rises {
            self.0 = Some(seq);
        }
        rises
    }
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;

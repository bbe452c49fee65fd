//! Invites: a code that lets a node register without someone approving it by hand.
use serde::{Deserialize, Serialize};

use super::crockford;
use super::key::{NodeId, PublicKey};
use super::time::Timestamp;

/// First symbol of every code of this form.
const VERSION: u8 = 1;
/// Bytes of the issuing node's key digest that stand in the code: 128 bits, so that code and secret fit 64 characters.
const PIN: usize = 16;

/// What an invite code says: a secret, and whom to show it to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InviteCode {
    pub secret: [u8; 16],
    /// The first 128 bits of SHA-256 of the issuing node's X25519 key.
    pub pin: [u8; PIN],
}

impl InviteCode {
    #[must_use]
    pub fn new(secret: [u8; 16], issuer: &PublicKey) -> Self {
        let mut pin = [0; PIN];
        pin.copy_from_slice(&issuer.digest()[..PIN]);
        Self { secret, pin }
    }

    /// The id of the node that made this invite.
    #[must_use]
    pub fn issuer(&self) -> NodeId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.pin[..8]);
        NodeId(id)
    }

    /// Whether `key` is the key of the node that made this invite. The secret must not be shown to any other.
    #[must_use]
    pub fn is_from(&self, key: &PublicKey) -> bool {
        key.digest()[..PIN] == self.pin
    }
}

/// Nine groups of six characters: version, secret and pin, check digit; 62 characters.
impl std::fmt::Display for InviteCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut all = vec![VERSION];
        all.extend(crockford::symbols(&[self.secret, self.pin].concat()));
        all.push(crockford::check(&all));
        f.write_str(&crockford::grouped(&all, 6))
    }
}

impl std::str::FromStr for InviteCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let symbols = crockford::parse(text).map_err(|e| format!("this is no invite code: {e}"))?;
        let wrong =
            || "this is no invite code: nine groups of six characters are wanted".to_owned();
        let (last, body) = symbols.split_last().ok_or_else(wrong)?;
        if symbols.len() != 54 {
            return Err(wrong());
        }
        if crockford::check(body) != *last {
            return Err(
                "this invite code has a typing error: its check digit does not fit".to_owned()
            );
        }
        if body[0] != VERSION {
            return Err("this invite code was made by a newer version of miner-cli".to_owned());
        }
        let bytes = crockford::bytes(&body[1..], 32).ok_or_else(wrong)?;
        let (mut secret, mut pin) = ([0; 16], [0; PIN]);
        secret.copy_from_slice(&bytes[..16]);
        pin.copy_from_slice(&bytes[16..]);
        Ok(Self { secret, pin })
    }
}

/// Without the secret: this ends up in logs.
impl std::fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InviteCode(of {})", self.issuer())
    }
}

/// What is kept of an invite: never the secret, only its hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InviteRecord {
    /// First 8 hex digits of the hash.
    pub id: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    pub uses_left: u32,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

/// A row of `GET /node/invites`, and with `code` the answer to `POST /node/invites`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteView {
    pub id: String,
    /// Shown once, when the invite is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Uses left.
    pub uses: u32,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::InviteCode;
    use crate::model::key::PublicKey;

    #[test]
    fn a_code_fits_64_characters_and_reads_back() {
        let issuer = PublicKey([7; 32]);
        let code = InviteCode::new([0xA5; 16], &issuer);
        let text = code.to_string();
        assert_eq!(text.len(), 62);
        assert_eq!(text.to_lowercase().parse(), Ok(code));
        assert!(code.is_from(&issuer));
        assert_eq!(code.issuer(), issuer.node_id());
        assert!(!format!("{code:?}").contains("A5") && !format!("{code:?}").contains("165"));
        assert!(!code.is_from(&PublicKey([8; 32])));
    }

    #[test]
    fn every_single_typing_error_is_named_as_one() {
        let text = InviteCode::new([3; 16], &PublicKey([9; 32])).to_string();
        for (i, c) in text.char_indices().filter(|(_, c)| *c != '-') {
            let other = if c == 'A' { 'B' } else { 'A' };
            let mut wrong = text.clone();
            wrong.replace_range(i..=i, &other.to_string());
            assert!(wrong.parse::<InviteCode>().is_err(), "{wrong}");
        }
    }
}

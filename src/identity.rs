//! Who this node is: its keys on disk, and the hello that proves them.
//!
//! `private.key` holds 64 bytes: the X25519 secret of the link key, then the Ed25519 seed of the signing key.
//! `node.json` holds the public half, for people and other programs; it is checked against the keys.
use std::path::Path;

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::model::fault::{Code, Fault};
use crate::model::invite::InviteCode;
use crate::model::key::PublicKey;
use crate::model::name;
use crate::model::node::{NodeCard, Role};
use crate::model::text;
use crate::model::time::Timestamp;
use crate::smsg::hello::Hello;
use crate::smsg::limits;
use crate::sys::{files, random};

/// Bytes of `private.key`.
const KEY_FILE: usize = 64;
/// More than any `node.json` has.
const CARD_FILE: usize = 16 * 1024;
/// The longest version, protocol list and `asking` word of a hello.
const VERSION: usize = 64;
const PROTOCOLS: usize = 16;
const ASKING: usize = 64;

/// This node's keys. The secrets are wiped when it is dropped.
pub struct Identity {
    pub card: NodeCard,
    secret: Zeroizing<[u8; 32]>,
    signing: SigningKey,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.card.id)
    }
}

impl Identity {
    /// Makes new keys and both files, in folders that only this user may enter. `node.json` is written last: where
    /// it is, the key is on disk.
    ///
    /// # Errors
    /// `INVALID` for a bad name; `EXISTS` when either file is there; `NOT_SAVED`.
    pub fn create(
        node_json: &Path,
        private_key: &Path,
        name: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        name::check(name).map_err(|e| Fault::new(Code::Invalid, e))?;
        for path in [node_json, private_key] {
            if path.symlink_metadata().is_ok() {
                let text = format!("this node has an identity: {} is there", path.display());
                return Err(Fault::new(Code::Exists, text).hint(
                    "see it with: miner-cli node info; for another one choose another --home",
                ));
            }
        }
        let keys = Zeroizing::new(random::bytes::<KEY_FILE>());
        let identity = Self::from_keys(&keys, |key, signing_key| NodeCard {
            id: key.node_id(),
            name: name.to_owned(),
            role,
            public_key: key,
            fingerprint: key.fingerprint(),
            signing_key,
            created_at: now,
        });
        for path in [private_key, node_json] {
            if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
                files::private_folder(folder)?;
            }
        }
        files::write_atomic(private_key, &*keys, files::PRIVATE)?;
        let mut json =
            serde_json::to_vec_pretty(&identity.card).expect("a node card has a JSON form");
        json.push(b'\n');
        files::write_atomic(node_json, &json, files::PRIVATE)?;
        Ok(identity)
    }

    /// Reads both files; `None` when neither is there. Nothing is ever repaired or overwritten.
    ///
    /// # Errors
    /// Names the file that is missing, open to others, broken or not of these keys, and what to do about it.
    pub fn load(node_json: &Path, private_key: &Path) -> Result<Option<Self>, Fault> {
        let (card_there, key_there) =
            (node_json.symlink_metadata().is_ok(), private_key.symlink_metadata().is_ok());
        if !card_there && !key_there {
            return Ok(None);
        }
        let half = |there: &Path, missing: &Path| {
            let text = format!("{} is there but {} is not", there.display(), missing.display());
            conflict(text).hint(format!(
                "put the missing file back from a copy, or move {} away for a new identity (every peer must then register this node anew)",
                there.display()
            ))
        };
        if !key_there {
            return Err(half(node_json, private_key));
        }
        let keys = Zeroizing::new(files::read_private(private_key, KEY_FILE, files::PRIVATE)?);
        let keys: &[u8; KEY_FILE] = keys.as_slice().try_into().map_err(|_| {
            let text = format!(
                "{} has {} bytes instead of {KEY_FILE}: it is damaged",
                private_key.display(),
                keys.len()
            );
            conflict(text).hint("put it back from a copy")
        })?;
        let json =
            files::read_small(node_json, CARD_FILE)?.ok_or_else(|| half(private_key, node_json))?;
        let card: NodeCard = serde_json::from_slice(&json).map_err(|e| {
            let text = format!("{} cannot be read: {e}", node_json.display());
            conflict(text).hint("mend it, or put it back from a copy")
        })?;
        let identity = Self::from_keys(keys, |_, _| card);
        identity.check(node_json, private_key)?;
        Ok(Some(identity))
    }

    fn from_keys(
        keys: &[u8; KEY_FILE],
        card: impl FnOnce(PublicKey, PublicKey) -> NodeCard,
    ) -> Self {
        let (mut secret, mut seed) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        secret.copy_from_slice(&keys[..32]);
        seed.copy_from_slice(&keys[32..]);
        let signing = SigningKey::from_bytes(&seed);
        let signing_key = PublicKey(signing.verifying_key().to_bytes());
        Self { card: card(link_key(&secret), signing_key), secret, signing }
    }

    /// Whether the card is that of the keys.
    fn check(&self, node_json: &Path, private_key: &Path) -> Result<(), Fault> {
        let (card, key) = (&self.card, link_key(&self.secret));
        let wrong = if card.public_key != key {
            Some("publicKey")
        } else if card.id != key.node_id() {
            Some("id")
        } else if card.fingerprint != key.fingerprint() {
            Some("fingerprint")
        } else if card.signing_key.0 != self.signing.verifying_key().to_bytes() {
            Some("signingKey")
        } else {
            None
        };
        if let Some(field) = wrong {
            let text = format!(
                "{field} in {} does not belong to {}",
                node_json.display(),
                private_key.display()
            );
            return Err(conflict(text).hint("put both files back from the same copy"));
        }
        name::check(&card.name).map_err(|e| {
            conflict(format!("name in {} is not allowed: {e}", node_json.display()))
                .hint("change the name in that file")
        })
    }

    /// The X25519 secret of the link key.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.signing.sign(bytes).to_bytes()
    }

    /// How this node introduces itself. `invite` only towards the node that made it.
    #[must_use]
    pub fn hello(
        &self,
        invite: Option<&InviteCode>,
        asking: Option<String>,
        now: Timestamp,
    ) -> Hello {
        Hello {
            name: self.card.name.clone(),
            role: self.card.role,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocols: limits::PROTOCOLS.to_vec(),
            signing_key: self.card.signing_key,
            signature: BASE64.encode(&self.sign(&bound(&self.card.public_key))),
            invite: invite.map(|invite| BASE64.encode(&invite.secret)),
            asking,
            time: now,
        }
    }
}

fn conflict(text: String) -> Fault {
    Fault::new(Code::Conflict, text)
}

fn link_key(secret: &[u8; 32]) -> PublicKey {
    PublicKey(x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*secret)).to_bytes())
}

/// What a hello's signature is over.
fn bound(key: &PublicKey) -> Vec<u8> {
    [limits::IDENTITY_CONTEXT, &key.0].concat()
}

/// Whether the owner of the X25519 key `key` (proved by the handshake) may introduce itself so: the signing key is
/// bound to `key`, the name and all other text are fit to be shown and stored, a protocol is shared.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn check_hello(key: &PublicKey, hello: &Hello) -> Result<(), String> {
    let signing = VerifyingKey::from_bytes(&hello.signing_key.0)
        .map_err(|_| "its signing key is no Ed25519 key".to_owned())?;
    let signature = BASE64
        .decode(hello.signature.as_bytes())
        .ok()
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .ok_or("its signature is not 64 bytes of base64")?;
    signing
        .verify_strict(&bound(key), &signature)
        .map_err(|_| "its signature does not bind its signing key to its link key".to_owned())?;
    name::check(&hello.name).map_err(|e| format!("its name is not allowed: {e}"))?;
    if !is_short(&hello.version, VERSION) {
        return Err("its version is empty, too long or not printable".to_owned());
    }
    if hello.protocols.len() > PROTOCOLS
        || !hello.protocols.iter().any(|p| limits::PROTOCOLS.contains(p))
    {
        return Err(format!(
            "it ({}) speaks none of the protocol versions {:?}",
            hello.version,
            limits::PROTOCOLS
        ));
    }
    if hello.asking.as_ref().is_some_and(|word| !is_short(word, ASKING)) {
        return Err("its asking word is empty, too long or not printable".to_owned());
    }
    let invite = hello.invite.as_ref().map(|text| BASE64.decode(text.as_bytes()));
    if invite.is_some_and(|bytes| !bytes.is_ok_and(|bytes| bytes.len() == 16)) {
        return Err("its invite is not 16 bytes of base64".to_owned());
    }
    Ok(())
}

fn is_short(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.contains(text::is_unsafe)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;

//! Public keys, node ids and fingerprints.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::crockford;

/// A 32-byte public key: X25519 where it names a node, Ed25519 where it signs. JSON: standard base64.
/// Trust is always this whole key, never the id derived from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// First 8 bytes of SHA-256 of the key: a label for people.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.digest()[..8]);
        NodeId(id)
    }

    /// The whole SHA-256 of the key in Crockford base32, groups of 4, closed by a check digit.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        crockford::with_check_grouped(&self.digest(), 4)
    }

    /// SHA-256 of the key.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::BASE64.encode(&self.0))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl std::str::FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = data_encoding::BASE64
            .decode(text.trim().as_bytes())
            .map_err(|_| "a public key is 44 characters of standard base64".to_owned())?;
        let bytes = bytes
            .try_into()
            .map_err(|_| "a public key has 32 bytes (44 characters of base64)".to_owned())?;
        Ok(Self(bytes))
    }
}

/// The short label of a node: 16 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 8]);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::fmt::Debug for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl std::str::FromStr for NodeId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = data_encoding::HEXLOWER
            .decode(text.as_bytes())
            .map_err(|_| "a node id is 16 lower-case hex digits".to_owned())?;
        let bytes =
            bytes.try_into().map_err(|_| "a node id is 16 lower-case hex digits".to_owned())?;
        Ok(Self(bytes))
    }
}

macro_rules! serde_as_text {
    ($name:ty) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                super::text::parsed(deserializer)
            }
        }
    };
}
serde_as_text!(PublicKey);
serde_as_text!(NodeId);

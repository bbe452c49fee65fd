//! By what the certificate of a TLS server is judged.
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Begins the address of a peer whose port is under TLS.
pub const WSS: &str = "wss://";

/// Whom to believe that a certificate is the right one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trust {
    /// The authorities that this machine trusts.
    #[default]
    System,
    /// The authorities, or the very certificate, in this PEM text.
    Ca(String),
    /// The one certificate with this digest, whatever its name and dates.
    Pin(Pin),
}

/// SHA-256 of a certificate (its DER form). Text: 64 hex digits; read with colons too, as openssl prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin(pub [u8; 32]);

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pin({self})")
    }
}

impl std::str::FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.trim().chars().filter(|c| *c != ':').take(65).collect();
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            "the SHA-256 of a certificate is 64 hex digits, with or without colons".to_owned()
        })
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pin, Trust};

    #[test]
    fn a_pin_is_read_as_openssl_prints_it() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        let pin = Pin([0xab; 32]);
        assert_eq!((plain.parse(), colons.parse()), (Ok(pin), Ok(pin)));
        assert_eq!(pin.to_string(), plain);
        for bad in ["", "ab", &plain[1..], &format!("{plain}00"), &"xy".repeat(32)] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
        let json = serde_json::to_string(&Trust::Pin(pin)).unwrap();
        assert_eq!(json, format!("{{\"pin\":\"{plain}\"}}"));
        assert_eq!(serde_json::from_str::<Trust>(&json).unwrap(), Trust::Pin(pin));
    }
}

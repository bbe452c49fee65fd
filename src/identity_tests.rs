use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Identity, check_hello};
use crate::model::fault::{Code, Fault};
use crate::model::invite::InviteCode;
use crate::model::key::PublicKey;
use crate::model::node::Role;
use crate::model::time::Timestamp;
use crate::smsg::hello::Hello;
use crate::sys::random;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("identity-{}", random::hex::<8>()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn card(&self) -> PathBuf {
        self.0.join("config/node.json")
    }

    fn key(&self) -> PathBuf {
        self.0.join("data/node/private.key")
    }

    fn create(&self) -> Result<Identity, Fault> {
        Identity::create(&self.card(), &self.key(), "rig-alpha", Role::Worker, Timestamp(1_000))
    }

    fn load(&self) -> Result<Option<Identity>, Fault> {
        Identity::load(&self.card(), &self.key())
    }

    /// The sentence with which both files, unchanged, are refused; it names `file` and a remedy.
    fn refused(&self, file: &Path) -> String {
        let before = (std::fs::read(self.card()).ok(), std::fs::read(self.key()).ok());
        let fault = self.load().unwrap_err();
        assert!(fault.message.contains(&file.display().to_string()), "{fault}");
        assert!(fault.hint.is_some(), "{fault}");
        assert_eq!(self.create().unwrap_err().code, Code::Exists);
        assert_eq!(before, (std::fs::read(self.card()).ok(), std::fs::read(self.key()).ok()));
        fault.message
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_identity_is_made_once_private_and_read_back() {
    let folder = Folder::new();
    assert!(folder.load().unwrap().is_none());
    let made = folder.create().unwrap();
    for path in [folder.card(), folder.key()] {
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }
    assert_eq!(std::fs::read(folder.key()).unwrap().len(), 64);
    let read = folder.load().unwrap().unwrap();
    assert_eq!(read.card, made.card);
    assert_eq!((read.secret(), read.sign(b"x")), (made.secret(), made.sign(b"x")));
    assert_eq!(folder.create().unwrap_err().code, Code::Exists);
    assert_eq!(format!("{read:?}"), format!("Identity({})", made.card.id));
    assert_ne!(Folder::new().create().unwrap().card.public_key, made.card.public_key);
}

#[test]
fn either_file_alone_is_refused_and_kept() {
    let folder = Folder::new();
    folder.create().unwrap();
    std::fs::remove_file(folder.key()).unwrap();
    folder.refused(&folder.key());
    let folder = Folder::new();
    folder.create().unwrap();
    std::fs::remove_file(folder.card()).unwrap();
    folder.refused(&folder.card());
}

#[test]
fn a_key_file_that_others_may_read_or_of_the_wrong_length_is_refused() {
    let folder = Folder::new();
    folder.create().unwrap();
    for mode in [0o640, 0o604, 0o660, 0o700] {
        std::fs::set_permissions(folder.key(), std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(folder.refused(&folder.key()).contains("0600"));
    }
    std::fs::set_permissions(folder.key(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let whole = std::fs::read(folder.key()).unwrap();
    std::fs::write(folder.key(), &whole[..63]).unwrap();
    assert!(folder.refused(&folder.key()).contains("63 bytes"));
    std::fs::write(folder.key(), b"").unwrap();
    folder.refused(&folder.key());
    std::fs::write(folder.key(), [whole.as_slice(), b"\n"].concat()).unwrap();
    assert!(folder.load().unwrap_err().message.contains("longer than 64"));
}

#[test]
fn a_card_that_is_broken_or_not_of_these_keys_is_refused() {
    let folder = Folder::new();
    let other = Folder::new().create().unwrap().card;
    let card = folder.create().unwrap().card;
    let write = |card: &crate::model::node::NodeCard| {
        std::fs::write(folder.card(), serde_json::to_vec(card).unwrap()).unwrap();
    };
    let mut wrong = card.clone();
    wrong.public_key = other.public_key;
    write(&wrong);
    assert!(folder.refused(&folder.card()).contains("publicKey"));
    wrong = card.clone();
    wrong.id = other.id;
    write(&wrong);
    assert!(folder.refused(&folder.card()).contains("id in"));
    wrong = card.clone();
    wrong.signing_key = other.signing_key;
    write(&wrong);
    assert!(folder.refused(&folder.card()).contains("signingKey"));
    wrong = card.clone();
    wrong.fingerprint = other.fingerprint;
    write(&wrong);
    assert!(folder.refused(&folder.card()).contains("fingerprint"));
    wrong = card.clone();
    wrong.name = "a\u{202e}b".to_owned();
    write(&wrong);
    assert!(folder.refused(&folder.card()).contains("name"));
    std::fs::write(folder.card(), b"{\"id\": ").unwrap();
    folder.refused(&folder.card());
    write(&card);
    assert_eq!(folder.load().unwrap().unwrap().card, card);
}

#[test]
fn a_bad_name_makes_no_file() {
    let folder = Folder::new();
    let made = Identity::create(&folder.card(), &folder.key(), "a/b", Role::Dual, Timestamp(0));
    assert_eq!(made.unwrap_err().code, Code::Invalid);
    assert!(!folder.card().exists() && !folder.key().exists());
}

#[test]
fn a_hello_proves_the_signing_key_and_carries_fit_text_only() {
    let folder = Folder::new();
    let me = folder.create().unwrap();
    let key = me.card.public_key;
    let invite = InviteCode::new([5; 16], &key);
    let good = me.hello(Some(&invite), Some("word".to_owned()), Timestamp(7));
    assert_eq!(check_hello(&key, &good), Ok(()));
    assert_eq!(good.invite.as_deref(), Some("BQUFBQUFBQUFBQUFBQUFBQ=="));

    let refused = |change: &dyn Fn(&mut Hello)| {
        let mut bad = good.clone();
        change(&mut bad);
        check_hello(&key, &bad).unwrap_err()
    };
    let thief = Folder::new().create().unwrap();
    assert!(check_hello(&thief.card.public_key, &good).unwrap_err().contains("bind"));
    assert!(refused(&|h| h.signing_key = thief.card.signing_key).contains("bind"));
    // A weak key with a signature that the lax check takes for good whatever is signed.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let forged = [neutral, [0; 32]].concat();
    assert!(
        refused(&|h| {
            h.signing_key = PublicKey(neutral);
            h.signature = data_encoding::BASE64.encode(&forged);
        })
        .contains("bind")
    );
    assert!(refused(&|h| h.signature.truncate(20)).contains("64 bytes"));
    for name in ["", " x", "a\u{1b}[2J", "a\u{202e}b", &"x".repeat(65)] {
        assert!(refused(&|h| h.name = name.to_owned()).contains("name"), "{name:?}");
    }
    for version in ["", "1\n2", &"9".repeat(65)] {
        assert!(refused(&|h| h.version = version.to_owned()).contains("version"));
    }
    for protocols in [vec![], vec![0, 2], vec![1; 17]] {
        assert!(refused(&|h| h.protocols.clone_from(&protocols)).contains("protocol"));
    }
    assert!(refused(&|h| h.asking = Some("x".repeat(65))).contains("asking"));
    assert!(refused(&|h| h.invite = Some("BQUF".to_owned())).contains("invite"));
    let mut newer = good.clone();
    newer.protocols = vec![2, 1];
    assert_eq!(check_hello(&key, &newer), Ok(()));
}

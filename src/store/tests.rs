use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::{Store, open};
use crate::bus::{SavedState, StateOp, StoreCommand};
use crate::model::audit::{AuditRow, Signed};
use crate::model::event::{EventKind, EventRecord, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::invite::{InviteCode, InviteRecord};
use crate::model::key::{NodeId, PublicKey};
use crate::model::miner::DesiredMiner;
use crate::model::node::Role;
use crate::model::peer::{JoinRecord, PeerRecord};
use crate::model::profile::Profile;
use crate::model::time::Timestamp;
use crate::model::trust::{Pin, Trust};
use crate::sys::clock;

/// A folder that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let name = format!("miner-cli-store-{}", crate::sys::random::hex::<8>());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub fn db(&self) -> PathBuf {
        self.0.join("node.db")
    }

    /// What a daemon that starts now would read.
    pub fn reopen(&self) -> SavedState {
        open(&self.db()).unwrap().1
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Does all of `ops` as the store thread does them.
fn apply(store: &mut Store, ops: Vec<StateOp>) -> Result<(), Fault> {
    store.write(&[StoreCommand { ops, ticket: None }]).remove(0)
}

pub fn peer(number: u8, name: &str) -> PeerRecord {
    PeerRecord {
        key: PublicKey([number; 32]),
        name: name.to_owned(),
        address: None,
        trust: Trust::System,
        role: None,
        signing_key: None,
        version: None,
        added_at: Timestamp(1000 + i64::from(number)),
        last_seen: None,
        labels: BTreeMap::new(),
        asking: None,
        last_command: 0,
    }
}

fn full_peer() -> PeerRecord {
    PeerRecord {
        address: Some("wss://192.168.1.100:9091".to_owned()),
        trust: Trust::Pin(Pin([7; 32])),
        role: Some(Role::Worker),
        signing_key: Some(PublicKey([9; 32])),
        version: Some("0.1.0".to_owned()),
        last_seen: Some(Timestamp(5000)),
        labels: [("site".to_owned(), "\"cellar\"".to_owned())].into(),
        asking: Some("word".to_owned()),
        last_command: u64::MAX - 1,
        ..peer(1, "rig-alpha")
    }
}

fn join(number: u8) -> JoinRecord {
    JoinRecord {
        invite: InviteCode::new([number; 16], &PublicKey([number; 32])),
        address: "wss://10.0.0.7:9091".to_owned(),
        trust: Trust::Ca("-----BEGIN".to_owned()),
        name: Some(format!("node-{number}")),
        added_at: Timestamp(5),
    }
}

fn invite(id: &str, uses_left: u32, expires_in_ms: i64) -> InviteRecord {
    InviteRecord {
        id: id.to_owned(),
        hash: [0xEE; 32],
        uses_left,
        expires_at: clock::wall().plus_ms(expires_in_ms),
        created_at: Timestamp(1),
    }
}

pub fn profile(id: &str) -> Profile {
    serde_json::from_value(serde_json::json!({
        "id": id, "name": "Ein Profil", "minerType": "simulated",
        "config": {"wallet": "w", "password": "p", "hashrate": 12.5, "simulate": {"exitCode": 3}}
    }))
    .unwrap()
}

fn miner(name: &str) -> DesiredMiner {
    DesiredMiner { name: name.to_owned(), profile: profile("p") }
}

fn audit(what: &str) -> AuditRow {
    AuditRow {
        at: Timestamp(7),
        who: "rig-alpha".to_owned(),
        key: Some(PublicKey([1; 32])),
        what: what.to_owned(),
        result: "accepted".to_owned(),
        command: "1".to_owned(),
        signed: Some(Signed { envelope: vec![0, 255], signer: PublicKey([2; 32]) }),
    }
}

fn event(number: u64) -> EventRecord {
    EventRecord {
        number,
        at: Timestamp(3),
        node: NodeId([1; 8]),
        node_name: "rig".to_owned(),
        kind: EventKind::CrashLoop,
        severity: Severity::Critical,
        peer: None,
        miner: Some("xmrig-1".to_owned()),
        text: "a sentence".to_owned(),
        log: vec!["a line".to_owned()],
    }
}

fn audited(path: &Path) -> Vec<String> {
    let db = Connection::open(path).unwrap();
    let mut rows = db.prepare("SELECT what FROM audit ORDER BY id").unwrap();
    rows.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn everything_survives_a_restart() {
    let folder = Folder::new();
    let (mut store, empty) = open(&folder.db()).unwrap();
    assert_eq!(empty, SavedState { epoch: empty.epoch, ..SavedState::default() });
    let invite = invite("0011aabb", 3, 60_000);
    apply(
        &mut store,
        vec![
            StateOp::PutPeer(full_peer()),
            StateOp::PutPeer(peer(2, "Kellerrig Nº 7")),
            StateOp::PutJoin(join(7)),
            StateOp::PutInvite(invite.clone()),
            StateOp::PutProfile(profile("p")),
            StateOp::PutMiner(miner("tt-miner-2")),
            StateOp::PutMiner(miner("xmrig-1")),
            StateOp::Audit(audit("start_miner")),
            StateOp::Event(event(7).into()),
            StateOp::Event(event(8).into()),
            StateOp::EventsHeard { key: PublicKey([1; 32]), number: 1 << 63 },
        ],
    )
    .unwrap();
    drop(store);
    let state = folder.reopen();
    let wanted = SavedState {
        peers: vec![full_peer(), peer(2, "Kellerrig Nº 7")],
        joins: vec![join(7)],
        invites: vec![invite],
        profiles: vec![profile("p")],
        miners: vec![miner("tt-miner-2"), miner("xmrig-1")],
        miner_numbers: vec![("tt-miner".to_owned(), 2), ("xmrig".to_owned(), 1)],
        epoch: state.epoch,
        events: vec![event(7), event(8)],
        events_heard: vec![(PublicKey([1; 32]), 1 << 63)],
        ..SavedState::default()
    };
    assert_eq!(state, wanted);
    assert_eq!(audited(&folder.db()), ["start_miner"]);
}

#[test]
fn changes_and_removals_survive_too() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    let key = PublicKey([1; 32]);
    for ops in [
        vec![StateOp::PutPeer(full_peer()), StateOp::PutPeer(peer(2, "b"))],
        vec![StateOp::PutPeer(peer(1, "renamed"))],
        vec![StateOp::Seen { key, at: Timestamp(9) }, StateOp::LastCommand { key, seq: 1 << 63 }],
        vec![StateOp::Seen { key, at: Timestamp(8) }],
        vec![StateOp::DeletePeer(PublicKey([2; 32]))],
        vec![StateOp::PutInvite(invite("a", 1, 60_000)), StateOp::DeleteInvite { id: "a".into() }],
        vec![StateOp::PutJoin(join(8)), StateOp::DeleteJoin(join(8).invite.issuer())],
        vec![StateOp::PutProfile(profile("p")), StateOp::DeleteProfile { id: "p".into() }],
        vec![StateOp::PutMiner(miner("xmrig-7")), StateOp::PutMiner(miner("xmrig-3"))],
        vec![StateOp::DeleteMiner { name: "xmrig-7".into() }],
        (1..=5).map(|number| StateOp::Event(event(number).into())).collect(),
        vec![StateOp::ForgetEvents(3)],
        vec![StateOp::EventsHeard { key, number: 4 }, StateOp::EventsHeard { key, number: 5 }],
        vec![StateOp::PutPeer(peer(3, "c"))],
        vec![StateOp::EventsHeard { key: PublicKey([3; 32]), number: 4 }],
        vec![StateOp::DeletePeer(PublicKey([3; 32]))],
    ] {
        apply(&mut store, ops).unwrap();
    }
    drop(store);
    let state = folder.reopen();
    let left = PeerRecord {
        last_seen: Some(Timestamp(9)),
        last_command: 1 << 63,
        labels: full_peer().labels,
        ..peer(1, "renamed")
    };
    assert_eq!(state.peers, [left]);
    assert_eq!(state.events, [event(4), event(5)]);
    assert_eq!(state.events_heard, [(key, 5)], "not of the peer that was removed");
    assert!(state.joins.is_empty() && state.invites.is_empty() && state.profiles.is_empty());
    assert_eq!(state.miners, [miner("xmrig-3")]);
    assert_eq!(state.miner_numbers, [("xmrig".to_owned(), 7)], "numbers are never used again");
}

#[test]
fn labels_change_by_themselves_alone() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    let key = PublicKey([1; 32]);
    let labels: crate::model::labels::Labels = [("gpu".to_owned(), "none".to_owned())].into();
    let one = |key| vec![StateOp::Labels { key, labels: labels.clone() }];
    apply(&mut store, vec![StateOp::PutPeer(full_peer())]).unwrap();
    apply(&mut store, one(key)).unwrap();
    // What a hello writes was made before the labels changed.
    apply(&mut store, vec![StateOp::PutPeer(full_peer())]).unwrap();
    let gone = PublicKey([2; 32]);
    assert_eq!(apply(&mut store, one(gone)).unwrap_err().code, Code::PeerNotFound);
    drop(store);
    assert_eq!(folder.reopen().peers, [PeerRecord { labels, ..full_peer() }]);
}

#[test]
fn a_name_that_another_peer_has_is_a_conflict() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    apply(&mut store, vec![StateOp::PutPeer(peer(1, "a"))]).unwrap();
    let fault = apply(
        &mut store,
        vec![
            StateOp::PutProfile(profile("undone")),
            StateOp::PutPeer(peer(2, "a")),
            StateOp::Audit(audit("undone")),
        ],
    )
    .unwrap_err();
    assert_eq!(fault.code, Code::Exists);
    assert_eq!(fault.message, "another peer is called \"a\" already");
    drop(store);
    let state = folder.reopen();
    assert_eq!(state.peers, [peer(1, "a")]);
    assert!(state.profiles.is_empty(), "its siblings are undone");
    assert!(audited(&folder.db()).is_empty());
}

#[test]
fn an_invite_registers_as_often_as_it_says_and_no_longer() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    let ops = vec![
        StateOp::PutInvite(invite("twice", 2, 60_000)),
        StateOp::PutInvite(invite("old", 9, -1)),
    ];
    apply(&mut store, ops).unwrap();
    let mut register = |number: u8, id: &str| {
        let peer = StateOp::PutPeer(peer(number, &format!("rig-{number}")));
        apply(&mut store, vec![peer, StateOp::UseInvite { id: id.to_owned() }])
    };
    register(1, "twice").unwrap();
    register(2, "twice").unwrap();
    for (id, why) in [("twice", "used up"), ("old", "expired"), ("none", "does not exist")] {
        let fault = register(3, id).unwrap_err();
        assert_eq!(fault.code, Code::Invalid);
        assert!(fault.message.contains(why), "{fault}");
    }
    drop(store);
    let state = folder.reopen();
    assert_eq!(state.peers.len(), 2);
    assert_eq!(state.invites.iter().find(|i| i.id == "twice").unwrap().uses_left, 0);
}

#[test]
fn a_command_of_nobody_is_not_taken_as_recorded() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    let nobody = StateOp::LastCommand { key: PublicKey([5; 32]), seq: 1 };
    assert_eq!(apply(&mut store, vec![nobody]).unwrap_err().code, Code::PeerNotFound);
    let nameless = apply(&mut store, vec![StateOp::PutMiner(miner("xmrig"))]);
    assert_eq!(nameless.unwrap_err().code, Code::Invalid);
}

#[test]
fn commands_that_share_a_transaction_fail_alone() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    let one = |op| StoreCommand { ops: vec![op], ticket: None };
    let results = store.write(&[
        one(StateOp::PutPeer(peer(1, "a"))),
        one(StateOp::PutPeer(peer(2, "a"))),
        one(StateOp::UseInvite { id: "none".to_owned() }),
        one(StateOp::PutPeer(peer(3, "c"))),
    ]);
    let fine: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(fine, [true, false, false, true]);
    drop(store);
    assert_eq!(folder.reopen().peers, [peer(1, "a"), peer(3, "c")]);
}

#[test]
fn the_epoch_rises_with_every_start_whatever_the_clock_says() {
    let folder = Folder::new();
    let first = folder.reopen().epoch;
    assert!(first >= 1_700_000_000);
    let second = folder.reopen().epoch;
    assert!(second > first);
    // The clock was far ahead once.
    let (store, _) = open(&folder.db()).unwrap();
    store.db.execute("UPDATE meta SET value = 9000000000 WHERE key = 'epoch'", []).unwrap();
    drop(store);
    assert_eq!(folder.reopen().epoch, 9_000_000_001);
}

#[test]
fn the_audit_log_only_grows() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    apply(&mut store, vec![StateOp::Audit(audit("first"))]).unwrap();
    for sql in ["UPDATE audit SET what = 'x'", "DELETE FROM audit"] {
        let error = store.db.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    drop(store);
    assert_eq!(audited(&folder.db()), ["first"]);
}

/// What FULL promises, no test without a power switch can show; that it is asked for, this one can.
#[test]
fn every_commit_is_flushed_and_the_schema_is_the_newest() {
    let folder = Folder::new();
    fs::write(folder.db(), "").unwrap();
    for _ in 0..2 {
        let (store, _) = open(&folder.db()).unwrap();
        let text = |name| store.db.pragma_query_value(None, name, |r| r.get::<_, String>(0));
        let number = |name| store.db.pragma_query_value(None, name, |r| r.get::<_, i64>(0));
        assert_eq!(text("journal_mode").unwrap(), "wal");
        assert_eq!(number("synchronous").unwrap(), 2, "FULL");
        assert_eq!(number("user_version").unwrap(), 1);
    }
}

#[test]
fn only_its_owner_may_read_it() {
    let folder = Folder::new();
    let mode = |name: &str| fs::metadata(folder.0.join(name)).unwrap().permissions().mode() & 0o777;
    let (store, _) = open(&folder.db()).unwrap();
    assert_eq!((mode("node.db"), mode("node.db-wal"), mode("node.db-shm")), (0o600, 0o600, 0o600));
    drop(store);
    fs::set_permissions(folder.db(), fs::Permissions::from_mode(0o644)).unwrap();
    folder.reopen();
    assert_eq!(mode("node.db"), 0o600);
}

#[test]
fn a_newer_or_foreign_database_is_refused_and_left_alone() {
    for (sql, words) in [
        ("PRAGMA user_version = 2", "newer miner-cli"),
        ("CREATE TABLE theirs (x)", "another program's"),
        ("PRAGMA user_version = -1", "another program's"),
    ] {
        let folder = Folder::new();
        Connection::open(folder.db()).unwrap().execute_batch(sql).unwrap();
        refused(&folder.db(), words);
    }
}

/// Opening `path` fails with these words and changes nothing.
fn refused(path: &Path, words: &str) {
    let before = fs::read(path).unwrap();
    let fault = open(path).unwrap_err();
    assert!(fault.message.contains(words), "{fault}");
    assert!(fault.message.contains(path.to_str().unwrap()) && fault.hint.is_some(), "{fault}");
    assert_eq!(fs::read(path).unwrap(), before);
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let folder = Folder::new();
    fs::write(folder.db(), vec![0x5A; 20_000]).unwrap();
    refused(&folder.db(), "no SQLite database");

    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    let peers = (0..200).map(|n| StateOp::PutPeer(peer(n, &format!("rig-{n}")))).collect();
    apply(&mut store, peers).unwrap();
    drop(store);
    // The header stays, the pages behind it do not.
    let mut bytes = fs::read(folder.db()).unwrap();
    let (from, to) = (bytes.len() / 2, bytes.len() - 100);
    bytes[from..to].fill(0x5A);
    fs::write(folder.db(), &bytes).unwrap();
    refused(&folder.db(), "is damaged");
}

#[test]
fn a_log_without_its_database_is_kept() {
    for put in [|path: &Path| fs::write(path, ""), |path: &Path| fs::remove_file(path)] {
        let folder = Folder::new();
        let (store, _) = open(&folder.db()).unwrap();
        let log = folder.0.join("node.db-wal");
        let bytes = fs::read(&log).unwrap();
        drop(store);
        fs::write(&log, &bytes).unwrap();
        put(&folder.db()).unwrap();
        let fault = open(&folder.db()).unwrap_err();
        assert!(fault.message.contains("missing or empty"), "{fault}");
        assert_eq!(fs::read(&log).unwrap(), bytes);
        assert!(!folder.db().exists() || fs::read(folder.db()).unwrap().is_empty());
    }
}

#[test]
fn another_program_that_holds_the_file_is_named_as_the_cause() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    store.db.busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(folder.db()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let one = |n| StoreCommand { ops: vec![StateOp::PutPeer(peer(n, "a"))], ticket: None };
    for result in store.write(&[one(1), one(2)]) {
        let fault = result.unwrap_err();
        assert_eq!(fault.code, Code::NotSaved);
        assert!(fault.message.contains("another program is using it"), "{fault}");
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.write(&[one(1)]), [Ok(())]);
}

#[test]
fn a_row_that_cannot_be_understood_is_not_passed_over() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    apply(&mut store, vec![StateOp::PutProfile(profile("p"))]).unwrap();
    store.db.execute("UPDATE profiles SET json = '{}'", []).unwrap();
    drop(store);
    let fault = open(&folder.db()).unwrap_err();
    assert!(fault.message.contains("minerType"), "{fault}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let fault = open(Path::new("/proc/self/node.db")).unwrap_err();
    assert_eq!(fault.code, Code::NotSaved);
    assert!(fault.message.starts_with("/proc/self/node.db cannot be written"), "{fault}");
}

#[test]
fn a_full_disk_changes_nothing_and_the_store_goes_on() {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    let pages: i64 = store.db.pragma_query_value(None, "page_count", |r| r.get(0)).unwrap();
    store.db.pragma_update(None, "max_page_count", pages).unwrap();
    let big = |number| {
        let name = format!("{number}{}", "x".repeat(20_000));
        StoreCommand { ops: vec![StateOp::PutPeer(peer(number, &name))], ticket: None }
    };
    let small = StoreCommand { ops: vec![StateOp::PutPeer(peer(3, "small"))], ticket: None };
    // In one transaction with others, it must not take them with it.
    let results = store.write(&[big(1), small, big(2)]);
    for result in [&results[0], &results[2]] {
        let fault = result.as_ref().unwrap_err();
        assert_eq!(fault.code, Code::NotSaved);
        assert!(fault.message.contains("node.db") && fault.message.contains("the disk is full"));
    }
    assert_eq!(results[1], Ok(()));

    store.db.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    assert_eq!(store.write(&[big(1)]), [Ok(())]);
    drop(store);
    assert_eq!(folder.reopen().peers.len(), 2);
}

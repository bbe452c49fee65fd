use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};
use rusqlite::Connection;

use super::{Whose, audit, verify_audit};
use crate::bus::{StateOp, StoreCommand};
use crate::model::audit::{AuditReport, AuditRow, Signed};
use crate::model::key::{NodeId, PublicKey};
use crate::model::time::Timestamp;
use crate::smsg::envelope::{self, Envelope};
use crate::smsg::messages::{Body, MinerCommand};
use crate::store::tests::Folder;
use crate::store::{Store, open};

const KEY: PublicKey = PublicKey([1; 32]);

fn row(number: u8, signed: bool) -> AuditRow {
    let signing = SigningKey::from_bytes(&[9; 32]);
    let command = format!("id-{number}");
    let body = Body::StopMiner(MinerCommand { deadline: Timestamp(1), miner: None });
    let envelope = Envelope {
        id: command.clone(),
        from: KEY.node_id(),
        to: NodeId([2; 8]),
        ts: Timestamp(5),
        seq: u64::from(number),
        reply_to: None,
        body,
    };
    let signed = signed.then(|| Signed {
        envelope: envelope::seal(&envelope, |json| signing.sign(json).to_bytes()).unwrap(),
        signer: PublicKey(signing.verifying_key().to_bytes()),
    });
    AuditRow {
        at: Timestamp(i64::from(number)),
        who: if signed.is_some() { "control" } else { "local:token" }.to_owned(),
        key: signed.is_some().then_some(KEY),
        what: "stop_miner".to_owned(),
        result: "accepted".to_owned(),
        command,
        signed,
    }
}

fn write(store: &mut Store, ops: Vec<StateOp>) {
    let _ = store.write(&[StoreCommand { ops, ticket: None }]);
}

/// Three signed rows and one of a local change.
fn log() -> (Folder, Store) {
    let folder = Folder::new();
    let (mut store, _) = open(&folder.db()).unwrap();
    for number in 1..=4 {
        write(&mut store, vec![StateOp::Audit(row(number, number != 2))]);
    }
    (folder, store)
}

fn what(path: &Path, whose: Whose<'_>, lines: usize) -> Vec<i64> {
    audit(path, whose, lines).unwrap().iter().map(|e| e.id).collect()
}

#[test]
fn the_newest_rows_come_last_for_everybody_a_peer_or_a_name() {
    let (folder, _store) = log();
    let db = folder.db();
    assert_eq!(what(&db, Whose::All, 50), [1, 2, 3, 4]);
    assert_eq!(what(&db, Whose::All, 2), [3, 4]);
    assert_eq!(what(&db, Whose::Peer(KEY), 2), [3, 4]);
    assert_eq!(what(&db, Whose::Peer(PublicKey([5; 32])), 50), [0_i64; 0]);
    assert_eq!(what(&db, Whose::Name("local:token"), 50), [2]);
    let entries = audit(&db, Whose::All, 50).unwrap();
    let (first, local) = (&entries[0], &entries[1]);
    assert_eq!((first.peer_id, first.signed), (Some(KEY.node_id()), true));
    assert_eq!((local.peer_id, local.signed), (None, false));
}

#[test]
fn a_reader_cannot_write() {
    let (folder, _store) = log();
    let db = super::open(&folder.db()).unwrap();
    assert!(db.execute("DELETE FROM profiles", []).is_err());
    assert!(audit(&folder.db().with_file_name("none.db"), Whose::All, 1).is_err());
    assert!(!folder.db().with_file_name("none.db").exists());
}

#[test]
fn an_untouched_log_is_good_also_after_transactions_that_were_undone() {
    let (folder, mut store) = log();
    let refused = StateOp::UseInvite { id: "none".to_owned() };
    write(&mut store, vec![StateOp::Audit(row(5, true)), refused]);
    write(&mut store, vec![StateOp::Audit(row(6, true))]);
    let report = verify_audit(&folder.db()).unwrap();
    assert_eq!(report, AuditReport { rows: 5, good: 4, bad: 0, findings: vec![] });
}

/// Each of these on a fresh log is found, and names its row.
#[test]
fn whoever_changes_the_log_is_found_out() {
    let signature = "substr(envelope, 1, 20) || x'00' || substr(envelope, 22)";
    let end = "substr(envelope, 1, length(envelope) - 1) || x'20'";
    for (sql, bad, words) in [
        (format!("UPDATE audit SET envelope = CAST({end} AS BLOB) WHERE id = 3"), 3, "signature"),
        (format!("UPDATE audit SET envelope = CAST({signature} AS BLOB) WHERE id = 3"), 3, "sign"),
        ("UPDATE audit SET signer = zeroblob(32) WHERE id = 1".to_owned(), 1, "signature"),
        ("UPDATE audit SET signer = NULL WHERE id = 1".to_owned(), 1, "not what was written"),
        ("UPDATE audit SET envelope = NULL WHERE id = 1".to_owned(), 1, "not what was written"),
        ("UPDATE audit SET what = 'ping' WHERE id = 4".to_owned(), 4, "another one"),
        ("UPDATE audit SET command = 'x' WHERE id = 4".to_owned(), 4, "another one"),
        ("UPDATE audit SET key = zeroblob(32) WHERE id = 4".to_owned(), 4, "another sender"),
        ("UPDATE audit SET key = NULL WHERE id = 4".to_owned(), 4, "another sender"),
        (
            "UPDATE audit SET envelope = (SELECT envelope FROM audit WHERE id = 1) WHERE id = 3"
                .to_owned(),
            3,
            "another one",
        ),
        ("UPDATE audit SET result = 'done' WHERE id = 4".to_owned(), 4, "not what was written"),
        ("UPDATE audit SET who = 'x' WHERE id = 2".to_owned(), 2, "not what was written"),
        ("UPDATE audit SET at = 0 WHERE id = 2".to_owned(), 2, "not what was written"),
        (
            "UPDATE audit SET envelope = NULL, signer = NULL WHERE id = 1".to_owned(),
            1,
            "not what was written",
        ),
        ("DELETE FROM audit WHERE id = 2".to_owned(), 3, "1 rows before it are missing"),
        ("DELETE FROM audit WHERE id > 2".to_owned(), 4, "last 2 rows are missing"),
    ] {
        let (folder, store) = log();
        drop(store);
        let db = Connection::open(folder.db()).unwrap();
        db.execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted")
            .unwrap();
        assert!(db.execute(&sql, []).unwrap() > 0);
        drop(db);
        let report = verify_audit(&folder.db()).unwrap();
        assert_eq!((report.bad, report.findings.len()), (1, 1), "{sql}: {report:?}");
        assert_eq!(report.findings[0].id, bad, "{sql}");
        assert!(report.findings[0].reason.contains(words), "{sql}: {report:?}");
    }
}

//! Who gets in: pairing requests, invites, and that nobody else does.
use std::time::Duration;

use super::world::{World, address};
use crate::bus::{Reply, Request, StateOp, Verdict};
use crate::model::fault::Code;
use crate::model::invite::InviteCode;
use crate::model::key::PublicKey;
use crate::model::node::Role;
use crate::model::peer::PeerState;
use crate::model::stats::RigState;
use crate::model::trust::Trust;
use crate::smsg::hello::Hello;

fn invite(world: &mut World, node: usize, uses: u32) -> InviteCode {
    let request = Request::CreateInvite { uses, expires: Duration::from_secs(3600) };
    match world.call(node, request) {
        Ok(Reply::Invite(view)) => view.code.unwrap().parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn join(target: usize, code: InviteCode) -> Request {
    Request::Join { address: address(target), trust: Trust::System, invite: code, name: None }
}

fn stranger(name: &str, asking: Option<&str>) -> Hello {
    Hello {
        name: name.to_owned(),
        role: Role::Dual,
        version: "1".to_owned(),
        protocols: vec![1],
        signing_key: PublicKey([9; 32]),
        signature: String::new(),
        invite: None,
        asking: asking.map(str::to_owned),
        time: crate::model::time::Timestamp(0),
    }
}

#[test]
fn a_peer_is_linked_within_five_seconds_of_its_approval() {
    let mut world = World::new(&[Role::Controller, Role::Worker]);
    let added = world.call(0, World::add_request(1, "rig")).unwrap();
    let Reply::Peer(row) = added else { panic!("{added:?}") };
    assert_eq!((row.state, row.connected), (PeerState::AwaitingApproval, false));
    assert_eq!(row.public_key, Some(world.nodes[1].card.public_key));
    assert!(
        world.nodes[0].written.iter().any(|op| matches!(op, StateOp::PutPeer(_))),
        "kept before it was answered"
    );

    world.pass(Duration::from_secs(7200));
    let waiting = world.peers(1);
    assert_eq!(waiting.len(), 1, "asking again leaves one request");
    assert_eq!(waiting[0].state, PeerState::PairingRequest);
    assert_eq!(waiting[0].id.to_string(), world.id(0));

    let id = world.id(0);
    world.call(1, Request::Approve { peer: id }).unwrap();
    world.pass(Duration::from_secs(5));
    let rows = [world.peers(0), world.peers(1)];
    assert!(rows.iter().all(|r| r.len() == 1 && r[0].connected), "{rows:?}");
    assert_eq!(rows[0][0].state, PeerState::Rig(RigState::Idle));
    assert_eq!(rows[1][0].state, PeerState::Connected);
    assert_eq!(rows[0][0].role, Some(Role::Worker));
}

#[test]
fn a_rejected_asking_leaves_no_new_request_but_a_new_asking_does() {
    let mut world = World::new(&[Role::Controller, Role::Worker]);
    world.call(0, World::add_request(1, "rig")).unwrap();
    let id = world.id(0);
    world.call(1, Request::Reject { peer: id }).unwrap();
    world.pass(Duration::from_secs(120));
    assert!(world.peers(1).is_empty());
    assert!(world.peers(0)[0].reason.as_ref().unwrap().contains("rejected"));
    let dials = world.nodes[0].dialled.len();
    world.pass(Duration::from_secs(1000));
    assert_eq!(world.nodes[0].dialled.len(), dials, "it does not insist");

    world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap();
    world.call(0, World::add_request(1, "rig")).unwrap();
    assert_eq!(world.peers(1).len(), 1);
}

#[test]
fn an_invite_registers_both_sides_once() {
    let mut world = World::new(&[Role::Controller, Role::Worker, Role::Worker]);
    let code = invite(&mut world, 0, 1);
    let joined = world.call(1, join(0, code)).unwrap();
    assert!(matches!(joined, Reply::Peer(row) if row.connected));
    assert_eq!(world.peers(0)[0].name, "node-1");
    assert!(world.nodes[0].written.iter().any(|op| matches!(op, StateOp::UseInvite { .. })));

    let fault = world.call(2, join(0, code)).unwrap_err();
    assert_eq!(fault.code, Code::NotAllowed, "{fault}");
    assert!(fault.message.contains("used up"), "{fault}");
    assert!(
        world.peers(2).is_empty() && world.peers(0).len() == 1,
        "nothing was stored on either side"
    );
}

#[test]
fn an_expired_a_revoked_and_a_foreign_invite_let_nobody_in() {
    let mut world = World::new(&[Role::Controller, Role::Worker, Role::Controller]);
    let expired = invite(&mut world, 0, 5);
    world.pass(Duration::from_secs(3601));
    assert_eq!(world.call(1, join(0, expired)).unwrap_err().code, Code::NotAllowed);

    let revoked = invite(&mut world, 0, 5);
    let Ok(Reply::Invites(open)) = world.call(0, Request::Invites) else { panic!() };
    assert_eq!(open.len(), 1, "the expired one is not listed");
    world.call(0, Request::DeleteInvite { id: open[0].id.clone() }).unwrap();
    assert_eq!(world.call(1, join(0, revoked)).unwrap_err().code, Code::NotAllowed);

    // Shown to another node than the one that made it: the dialler stops before it says anything.
    let foreign = invite(&mut world, 2, 5);
    assert_eq!(world.call(1, join(0, foreign)).unwrap_err().code, Code::KeyMismatch);
    assert!(world.peers(0).is_empty() && world.peers(1).is_empty());
}

#[test]
fn an_invite_is_not_used_up_when_the_registration_cannot_be_written() {
    let mut world = World::new(&[Role::Controller, Role::Worker]);
    let code = invite(&mut world, 0, 1);
    world.nodes[0].disk_full = true;
    assert_eq!(world.call(1, join(0, code)).unwrap_err().code, Code::NotAllowed);
    world.nodes[0].disk_full = false;
    world.call(1, join(0, code)).unwrap();
}

#[test]
fn strangers_leave_at_most_a_hundred_requests_one_a_second_and_for_a_day() {
    let mut world = World::new(&[Role::Worker]);
    for i in 1..=120 {
        world.add(Role::Dual, Default::default());
        let answer = world.greet(0, i, stranger(&format!("s{i}"), Some("word")));
        assert!(matches!(answer, Some(Verdict::NotRegistered { request: Some(_), .. })));
    }
    let names: Vec<_> = world.peers(0).into_iter().map(|p| p.name).collect();
    assert_eq!(names.len(), 100);
    assert!(
        !names.contains(&"s20".to_owned()) && names.contains(&"s21".to_owned()),
        "the oldest gave way"
    );
    world.pass(Duration::from_secs(24 * 3600 + 11));
    assert!(world.peers(0).is_empty());
}

#[test]
fn one_address_leaves_one_new_request_a_second() {
    let mut world = World::new(&[Role::Worker, Role::Dual, Role::Dual]);
    let ask = |world: &mut World, node: usize| {
        world.greet_from(0, node, 7, stranger(&format!("s{node}"), Some("word")))
    };
    assert!(matches!(ask(&mut world, 1), Some(Verdict::NotRegistered { request: Some(_), .. })));
    let second = ask(&mut world, 2);
    assert!(
        matches!(&second, Some(Verdict::NotRegistered { request: None, reason: Some(_) })),
        "{second:?}"
    );
    world.pass(Duration::from_secs(1));
    assert!(matches!(ask(&mut world, 2), Some(Verdict::NotRegistered { request: Some(_), .. })));
}

#[test]
fn a_stranger_that_does_not_ask_leaves_nothing_behind() {
    let mut world = World::new(&[Role::Worker, Role::Dual]);
    let answer = world.greet(0, 1, stranger("s", None));
    assert_eq!(answer, Some(Verdict::NotRegistered { request: None, reason: None }));
    assert!(world.peers(0).is_empty());
}

#[test]
fn a_registered_peer_cannot_come_back_with_another_role_or_signing_key() {
    let mut world = World::linked();
    // The rig, registered as a worker, says that it is a controller.
    world.nodes[1].card.role = Role::Controller;
    world.nodes[1].cut_off = true;
    world.cut_all(1);
    let mut hello = stranger("node-1", None);
    hello.signing_key = world.nodes[1].card.signing_key;
    hello.role = Role::Controller;
    let answer = world.greet(0, 1, hello.clone());
    assert!(
        matches!(&answer, Some(Verdict::NotRegistered { reason: Some(r), .. }) if r.contains("registered as worker"))
    );
    hello.role = Role::Worker;
    hello.signing_key = PublicKey([77; 32]);
    let answer = world.greet(0, 1, hello);
    assert!(
        matches!(&answer, Some(Verdict::NotRegistered { reason: Some(r), .. }) if r.contains("signing key"))
    );
}

#[test]
fn a_node_that_cannot_be_reached_is_not_stored_unless_its_key_is_known() {
    let mut world = World::new(&[Role::Controller, Role::Worker]);
    world.nodes[1].cut_off = true;
    let fault = world.call(0, World::add_request(1, "rig")).unwrap_err();
    assert_eq!(fault.code, Code::PeerUnreachable);
    assert!(world.peers(0).is_empty());

    let key = world.nodes[1].card.public_key;
    let mut request = World::add_request(1, "rig");
    if let Request::AddPeer { public_key, .. } = &mut request {
        *public_key = Some(key);
    }
    let wrong = |request: &Request| match request.clone() {
        Request::AddPeer { address, trust, name, invite, .. } => {
            let public_key = Some(PublicKey([99; 32]));
            Request::AddPeer { address, trust, name, invite, public_key }
        }
        other => other,
    };
    let other_key = wrong(&request);
    world.call(0, request).unwrap();
    let row = world.peers(0).remove(0);
    assert_eq!((row.public_key, row.state), (Some(key), PeerState::Rig(RigState::Unreachable)));
    world.nodes[1].cut_off = false;
    world.pass(Duration::from_secs(90));
    assert_eq!(world.peers(1).len(), 1, "it was tried until it answered");
    assert_eq!(world.peers(0)[0].state, PeerState::AwaitingApproval);
    world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap();
    assert_eq!(world.call(0, other_key).unwrap_err().code, Code::KeyMismatch);
    assert!(world.peers(0).is_empty());
}

#[test]
fn names_keys_and_addresses_are_checked_before_anything_is_dialled() {
    let mut world = World::linked();
    let dials = world.nodes[0].dialled.len();
    let mut add = |address: &str, name: &str| {
        let request = Request::AddPeer {
            address: address.to_owned(),
            trust: Trust::System,
            name: Some(name.to_owned()),
            invite: None,
            public_key: None,
        };
        world.call(0, request).unwrap_err().code
    };
    assert_eq!(add("nonsense:port", "x"), Code::Invalid);
    assert_eq!(add("10.0.0.9:9091", "rig"), Code::Exists);
    assert_eq!(add("10.0.0.9:9091", "a\u{202e}b"), Code::Invalid);
    assert_eq!(world.nodes[0].dialled.len(), dials);
    // The same node again, under another name.
    assert_eq!(world.call(0, World::add_request(1, "other")).unwrap_err().code, Code::Exists);
}

#[test]
fn what_was_answered_as_removed_is_gone_on_disk_and_the_link_with_it() {
    let mut world = World::linked();
    world.nodes[0].disk_full = true;
    let fault = world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap_err();
    assert_eq!(fault.code, Code::NotSaved);
    assert_eq!(world.links_of(0), 1, "nothing changed");
    world.nodes[0].disk_full = false;
    world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap();
    assert_eq!((world.links_of(0), world.peers(0).len()), (0, 0));
    assert!(world.nodes[0].written.iter().any(|op| matches!(op, StateOp::DeletePeer(_))));
}

#[test]
fn a_prefix_of_four_finds_a_peer_and_a_shorter_one_does_not() {
    let mut world = World::linked();
    let id = world.id(1);
    let mut find = |text: &str| {
        world.call(0, Request::Peer { peer: text.to_owned() }).map(|_| ()).map_err(|f| f.code)
    };
    assert_eq!(find(&id), Ok(()));
    assert_eq!(find(&id[..4]), Ok(()));
    assert_eq!(find("rig"), Ok(()));
    assert_eq!(find(&id[..3]), Err(Code::PeerNotFound));
    assert_eq!(find("ri"), Err(Code::PeerNotFound));
}

#[test]
fn an_invite_of_a_node_that_is_away_is_kept_and_tried_until_it_answers() {
    let mut world = World::new(&[Role::Controller, Role::Worker]);
    let code = invite(&mut world, 0, 1);
    world.nodes[0].cut_off = true;
    let Ok(Reply::Peer(row)) = world.call(1, join(0, code)) else { panic!() };
    assert_eq!(
        (row.state, row.connected, row.public_key),
        (PeerState::Rig(RigState::Unreachable), false, None)
    );
    assert_eq!(row.id, world.nodes[0].card.id, "the id is the real one");
    assert!(world.nodes[1].written.iter().any(|op| matches!(op, StateOp::PutJoin(_))));
    let ping = Request::PingPeer { peer: row.id.to_string() };
    assert_eq!(world.call(1, ping).unwrap_err().code, Code::PeerUnreachable);
    world.pass(Duration::from_secs(300));
    world.nodes[0].cut_off = false;
    world.pass(Duration::from_secs(80));
    let rows = world.peers(1);
    assert!(rows.len() == 1 && rows[0].connected && rows[0].name == "node-0", "{rows:?}");
    assert!(world.nodes[1].written.iter().any(|op| matches!(op, StateOp::DeleteJoin(_))));

    // Removed before it answered: it is not tried any more.
    let mut world = World::new(&[Role::Controller, Role::Worker]);
    let code = invite(&mut world, 0, 1);
    world.nodes[0].cut_off = true;
    world.call(1, join(0, code)).unwrap();
    let id = world.id(0);
    world.call(1, Request::RemovePeer { peer: id }).unwrap();
    world.nodes[0].cut_off = false;
    world.pass(Duration::from_secs(200));
    assert!(world.peers(1).is_empty() && world.peers(0).is_empty());
}

#[test]
fn who_calls_again_while_its_registration_is_being_written_uses_the_invite_once() {
    let mut world = World::new(&[Role::Controller, Role::Worker]);
    let code = invite(&mut world, 0, 2);
    let hello = world.hello(1, None, Some(data_encoding::BASE64.encode(&code.secret)));
    let (key, now) = (world.nodes[1].card.public_key, world.now);
    let mut out = Vec::new();
    for _ in 0..2 {
        let (reply, _) = crate::bus::reply_channel();
        let (source, hello) = ([10, 0, 0, 1].into(), Box::new(hello.clone()));
        let greeting = crate::bus::LinkEvent::Greeting { source, key, hello, reply };
        out.extend(world.nodes[0].registry.handle(crate::bus::Event::Link(greeting), now));
    }
    world.carry_out(0, out);
    world.settle();
    let Reply::Invites(left) = world.call(0, Request::Invites).unwrap() else { panic!() };
    assert_eq!(left[0].uses, 1);
    assert_eq!(world.peers(0).len(), 1);
}

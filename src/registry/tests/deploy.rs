//! What deploying would change on a rig, asked before it is done; and what profiles the rig has.
use super::world::{World, profile};
use crate::bus::{Reply, Request, StateOp};
use crate::model::event::EventKind;
use crate::model::fault::{Code, Fault};
use crate::model::policy::{Policy, Remote};
use crate::model::profile::{DeployStatus, Profile};
use crate::smsg::messages::Body;

fn demo(pool: &str, password: &str) -> Profile {
    let mut demo = profile("demo");
    demo.id = "demo".to_owned();
    demo.config.pool = Some(pool.to_owned());
    demo.config.password = Some(password.to_owned());
    demo
}

fn add(world: &mut World, node: usize, profile: Profile) {
    world.call(node, Request::AddProfile { profile: Box::new(profile) }).unwrap();
}

fn request() -> Request {
    Request::RemoteDeployCheck { peer: "rig".to_owned(), profile_id: "demo".to_owned() }
}

fn check(world: &mut World) -> (DeployStatus, Vec<String>) {
    match world.call(0, request()) {
        Ok(Reply::DeployCheck(check)) => (check.status, check.changes),
        other => panic!("{other:?}"),
    }
}

fn deploy(world: &mut World) {
    let request = Request::RemoteDeploy { peer: "rig".to_owned(), profile_id: "demo".to_owned() };
    assert_eq!(world.call_later(0, request), Ok(Reply::Deployed));
}

fn theirs(world: &mut World) -> Vec<(String, Option<bool>, Option<String>)> {
    match world.call(0, Request::RemoteProfiles { peer: "rig".to_owned() }) {
        Ok(Reply::RigProfiles(all)) => {
            all.into_iter().map(|(p, same)| (p.id, same, p.config.password)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dry_run_says_what_would_change_and_stores_nothing() {
    let mut world = World::linked();
    add(&mut world, 0, demo("a.example:1", "one"));
    world.nodes[1].written.clear();
    assert_eq!(check(&mut world), (DeployStatus::New, vec![]));
    assert!(world.nodes[1].written.is_empty(), "{:?}", world.nodes[1].written);
    assert!(theirs(&mut world).is_empty());

    deploy(&mut world);
    assert_eq!(check(&mut world), (DeployStatus::Same, vec![]));
    let profile = Box::new(demo("b.example:1", "two"));
    world.call(0, Request::EditProfile { id: "demo".to_owned(), profile }).unwrap();
    let changes = ["pool: a.example:1 → b.example:1", "password: another one"];
    world.nodes[1].written.clear();
    assert_eq!(check(&mut world), (DeployStatus::Changed, changes.map(str::to_owned).to_vec()));
    assert!(world.nodes[1].written.is_empty());
    assert_eq!(theirs(&mut world), [("demo".to_owned(), Some(false), Some("***".to_owned()))]);
    deploy(&mut world);
    assert_eq!(theirs(&mut world)[0].1, Some(true));
    world.call(0, Request::RemoveProfile { id: "demo".to_owned() }).unwrap();
    assert_eq!(theirs(&mut world)[0].1, None, "we have none of that id");
}

#[test]
fn a_dry_run_gets_the_refusal_of_the_real_one_and_leaves_no_trace() {
    for (policy, words) in [
        (Policy { wallets: Some(vec![]), ..Policy::default() }, "wallet"),
        (Policy { remote: Remote::StartStop, ..Policy::default() }, "deploy nothing"),
        (Policy { remote: Remote::ReadOnly, ..Policy::default() }, "read-only"),
    ] {
        let mut world = World::linked_with(policy);
        let mut wanted = demo("a.example:1", "x");
        wanted.config.wallet = Some("thief".to_owned());
        add(&mut world, 0, wanted);
        world.nodes[1].written.clear();
        let dry = world.call(0, request()).unwrap_err();
        assert_eq!(dry.code, Code::Policy);
        assert!(dry.message.contains(words), "{dry}");
        assert!(world.nodes[1].written.is_empty(), "no audit row: it was a question");
        assert!(!world.kinds(0).contains(&EventKind::PolicyRefused));
        assert!(!world.kinds(1).contains(&EventKind::PolicyRefused));
        let real = Request::RemoteDeploy { peer: "rig".to_owned(), profile_id: "demo".to_owned() };
        assert_eq!(world.call_later(0, real).unwrap_err().message, dry.message);
        assert!(world.kinds(1).contains(&EventKind::PolicyRefused));
    }
}

#[test]
fn an_older_rig_says_that_it_does_not_know_the_question() {
    let mut world = World::linked();
    add(&mut world, 0, demo("a.example:1", "x"));
    world.nodes[1].frozen = true;
    let answer = world.ask(0, request());
    world.nodes[1].frozen = false;
    let id = world.nodes[0].registry.waiting.keys().next().unwrap().clone();
    world.answer(1, &id, Body::Error(Fault::new(Code::Unsupported, "not known here")));
    assert_eq!(answer.try_recv().unwrap().unwrap_err().code, Code::Unsupported);
}

#[test]
fn what_a_hostile_rig_says_of_its_profiles_is_bounded_and_cleaned() {
    let mut world = World::linked();
    add(&mut world, 0, demo("a.example:1", "x"));
    let mut ask = |request: Request, body: Body| {
        world.nodes[1].frozen = true;
        let answer = world.ask(0, request);
        world.nodes[1].frozen = false;
        let id = world.nodes[0].registry.waiting.keys().next().unwrap().clone();
        world.answer(1, &id, body);
        answer.try_recv().unwrap()
    };
    let mut evil = demo("a.example:1", "shown");
    evil.name = "\u{202e}<b>".to_owned();
    let mut long = demo("a.example:1", "x");
    long.config.wallet = Some("w".repeat(100_000));
    let mut good = demo("a.example:1", "not to be shown");
    good.id = "good".to_owned();
    let profiles = vec![evil, long, good.clone(), good];
    let request_them = Request::RemoteProfiles { peer: "rig".to_owned() };
    let Ok(Reply::RigProfiles(kept)) = ask(request_them, Body::Profiles { profiles }) else {
        panic!()
    };
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].0.config.password.as_deref(), Some("***"));

    let check = crate::model::profile::DeployCheck {
        status: DeployStatus::Changed,
        changes: vec!["\u{1b}[2J".repeat(1000); 1000],
    };
    let Ok(Reply::DeployCheck(kept)) = ask(request(), Body::ProfileChecked(check)) else {
        panic!()
    };
    assert_eq!(kept.changes.len(), 64);
    assert!(kept.changes[0].chars().count() <= 601 && !kept.changes[0].contains('\u{1b}'));
    let wrong = ask(request(), Body::DeployAck { profile: "demo".to_owned() });
    assert_eq!(wrong.unwrap_err().code, Code::RigFailed);
}

#[test]
fn only_a_controller_may_ask() {
    let mut world = World::linked();
    let written = |world: &World| {
        world.nodes[0].written.iter().filter(|op| matches!(op, StateOp::PutProfile(_))).count()
    };
    world.say(1, Body::CheckProfile(Box::new(demo("a.example:1", "x"))));
    assert_eq!(written(&world), 0);
    assert!(world.kinds(0).contains(&EventKind::CommandRefused));
}

//! Profiles: checked, kept before they are answered, secrets never shown.
use super::world::{World, profile};
use crate::bus::{Reply, Request, StateOp};
use crate::model::fault::Code;
use crate::model::node::Role;
use crate::model::profile::Profile;

fn world() -> World {
    World::new(&[Role::Controller])
}

fn secret() -> Profile {
    let mut profile = profile("My Profile");
    profile.miner_type = "xmrig".to_owned();
    profile.config.hashrate = None;
    profile.config.pool = Some("pool.example:3333".to_owned());
    profile.config.wallet = Some("48wallet".to_owned());
    profile.config.password = Some("hunter2".to_owned());
    profile
}

fn stored_password(world: &World) -> Option<String> {
    world.nodes[0].written.iter().rev().find_map(|op| match op {
        StateOp::PutProfile(p) => p.config.password.clone(),
        _ => None,
    })
}

#[test]
fn a_password_is_kept_and_never_shown() {
    let mut world = world();
    let added = world.call(0, Request::AddProfile { profile: Box::new(secret()) }).unwrap();
    let Reply::Profile(shown) = added else { panic!() };
    assert_eq!((shown.id.as_str(), shown.config.password.as_deref()), ("my-profile", Some("***")));
    assert_eq!(stored_password(&world).as_deref(), Some("hunter2"));

    let mut edited = *shown;
    edited.config.threads = Some(2);
    let request = Request::EditProfile { id: "my-profile".to_owned(), profile: Box::new(edited) };
    world.call(0, request).unwrap();
    assert_eq!(stored_password(&world).as_deref(), Some("hunter2"), "*** keeps what is stored");
}

#[test]
fn a_wrong_profile_names_its_field_and_changes_nothing() {
    let mut world = world();
    let mut wrong = secret();
    wrong.config.pool = Some("no port".to_owned());
    let fault = world.call(0, Request::AddProfile { profile: Box::new(wrong) }).unwrap_err();
    assert_eq!(fault.code, Code::Invalid);
    assert!(fault.message.contains("config.pool"), "{fault}");
    let audit_alone = |op: &StateOp| matches!(op, StateOp::Audit(_));
    assert!(world.nodes[0].written.iter().all(audit_alone), "{:?}", world.nodes[0].written);
}

#[test]
fn ids_and_names_are_unique_and_an_id_stays() {
    let mut world = world();
    world.call(0, Request::AddProfile { profile: Box::new(profile("one")) }).unwrap();
    assert_eq!(
        world.call(0, Request::AddProfile { profile: Box::new(profile("one")) }).unwrap_err().code,
        Code::Exists
    );
    world.call(0, Request::AddProfile { profile: Box::new(profile("two")) }).unwrap();
    let rename = Request::EditProfile { id: "two".to_owned(), profile: Box::new(profile("one")) };
    assert_eq!(world.call(0, rename).unwrap_err().code, Code::Exists);
    let mut other_id = profile("two");
    other_id.id = "three".to_owned();
    let request = Request::EditProfile { id: "two".to_owned(), profile: Box::new(other_id) };
    assert_eq!(world.call(0, request).unwrap_err().code, Code::Invalid);
}

#[test]
fn a_change_that_is_not_on_disk_did_not_happen() {
    let mut world = world();
    world.call(0, Request::AddProfile { profile: Box::new(profile("one")) }).unwrap();
    world.nodes[0].disk_full = true;
    let remove = Request::RemoveProfile { id: "one".to_owned() };
    assert_eq!(world.call(0, remove.clone()).unwrap_err().code, Code::NotSaved);
    assert!(world.call(0, Request::Profile { id: "one".to_owned() }).is_ok());
    let add = Request::AddProfile { profile: Box::new(profile("two")) };
    assert_eq!(world.call(0, add).unwrap_err().code, Code::NotSaved);
    assert_eq!(
        world.call(0, Request::Profile { id: "two".to_owned() }).unwrap_err().code,
        Code::ProfileNotFound
    );
    world.nodes[0].disk_full = false;
    assert_eq!(world.call(0, remove), Ok(Reply::Done));
}

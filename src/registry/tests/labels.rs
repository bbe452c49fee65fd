//! Labels: checked, kept before they are answered, and left alone by everything a peer says.
use std::time::Duration;

use super::world::World;
use crate::bus::{Reply, Request, StateOp};
use crate::model::fault::Code;
use crate::model::labels::Labels;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn set(peer: &str, pairs: &[(&str, &str)]) -> Request {
    Request::SetLabels { peer: peer.to_owned(), labels: labels(pairs) }
}

/// What the disk was given, in order.
fn kept(world: &World) -> Vec<Labels> {
    let sets = world.nodes[0].written.iter().filter_map(|op| match op {
        StateOp::Labels { labels, .. } => Some(labels.clone()),
        _ => None,
    });
    sets.collect()
}

#[test]
fn the_whole_set_is_replaced_and_kept_before_it_is_answered() {
    let mut world = World::linked();
    let site = [("site", "garage"), ("gpu", "none")];
    let Reply::Peer(view) = world.call(0, set("rig", &site)).unwrap() else { panic!() };
    assert_eq!(view.labels, labels(&site));
    assert_eq!(kept(&world), [labels(&site)]);

    world.nodes[0].disk_full = true;
    let fault = world.call(0, set("rig", &[("site", "attic")])).unwrap_err();
    assert_eq!(fault.code, Code::NotSaved);
    assert_eq!(world.peers(0)[0].labels, labels(&site), "what is not on disk did not happen");
    world.nodes[0].disk_full = false;
    world.call(0, set("rig", &[])).unwrap();
    assert!(world.peers(0)[0].labels.is_empty());
}

#[test]
fn wrong_labels_and_unknown_peers_change_nothing() {
    let mut world = World::linked();
    let code = |world: &mut World, request| world.call(0, request).unwrap_err().code;
    assert_eq!(code(&mut world, set("rig", &[("Site", "x")])), Code::Invalid);
    assert_eq!(code(&mut world, set("rig", &[("site", "")])), Code::Invalid);
    assert_eq!(code(&mut world, set("gir", &[("site", "x")])), Code::PeerNotFound);
    assert!(kept(&world).is_empty());
}

#[test]
fn a_new_link_leaves_the_labels_alone() {
    let mut world = World::linked();
    world.call(0, set("rig", &[("site", "garage")])).unwrap();
    world.nodes[1].version = "2.0".to_owned();
    world.cut_all(0);
    world.pass(Duration::from_secs(5));
    let row = world.peers(0).remove(0);
    assert_eq!(row.version.as_deref(), Some("2.0"), "it introduced itself anew");
    assert_eq!(row.labels, labels(&[("site", "garage")]));
}

#[test]
fn a_peer_that_was_removed_meanwhile_has_no_labels_to_change() {
    let mut world = World::linked();
    world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap();
    assert_eq!(world.call(0, set("rig", &[("a", "b")])).unwrap_err().code, Code::PeerNotFound);
}

//! What strangers cause is written down, and does not flood the log.
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::world::World;
use crate::bus::{Event, LinkEvent, reply_channel};
use crate::model::key::PublicKey;
use crate::model::node::Role;
use crate::model::time::Timestamp;
use crate::registry::Out;
use crate::smsg::hello::Hello;

/// The lines that `count` strangers cause at one moment, each from an address of its own.
fn strangers(world: &mut World, count: u8, hello: &Hello) -> Vec<String> {
    let mut lines = Vec::new();
    for i in 1..=count {
        let (reply, _answer) = reply_channel();
        let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, i));
        // Other keys at each moment.
        let mut key = [i; 32];
        key[..8].copy_from_slice(&world.now.mono.0.to_le_bytes());
        let (key, hello) = (PublicKey(key), Box::new(hello.clone()));
        let event = Event::Link(LinkEvent::Greeting { source, key, hello, reply });
        let out = world.nodes[0].registry.handle(event, world.now);
        lines.extend(out.into_iter().filter_map(|out| match out {
            Out::Log(_, text) => Some(text),
            _ => None,
        }));
    }
    lines
}

#[test]
fn strangers_with_and_without_invites_are_a_line_a_second_each() {
    let mut world = World::new(&[Role::Worker]);
    let hello = Hello {
        name: "stranger".to_owned(),
        role: Role::Dual,
        version: "1".to_owned(),
        protocols: vec![1],
        signing_key: PublicKey([9; 32]),
        signature: String::new(),
        invite: None,
        asking: Some("please".to_owned()),
        time: Timestamp(0),
    };
    let invited = Hello { invite: Some("AAAA".to_owned()), ..hello.clone() };
    let unknown = Hello { asking: None, ..hello.clone() };
    for (hello, what) in [
        (hello, "asks to pair"),
        (invited, "an invite that is not valid"),
        (unknown, "away: it is not registered here"),
    ] {
        let first = strangers(&mut world, 100, &hello);
        assert!(first.len() == 1 && first[0].contains(what), "{first:?}");
        world.pass(Duration::from_secs(1));
        let mut second = strangers(&mut world, 100, &hello);
        assert!(second.remove(0).contains("99 more"), "{second:?}");
        // Those who ask now push out those who asked before, which is a line of its own.
        let full = second.iter().filter(|line| line.contains("gives way")).count();
        assert!(full == second.len() && full == usize::from(what == "asks to pair"), "{second:?}");
    }
}

//! Invites and requests over the real binary: what is used, expired, mistyped or foreign lets nobody in.
use serde_json::json;

use super::node::{Node, pair, until};

#[test]
fn an_invite_works_once_and_a_mistyped_one_is_named() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    let late = Node::serve("rig-beta", "worker");
    let code = controller.json(&["node", "invite"])["code"].as_str().unwrap().to_owned();
    let mistyped =
        format!("{}{}", &code[..code.len() - 1], if code.ends_with('0') { '1' } else { '0' });
    let said = rig.cli(&["node", "join", &controller.p2p(), &mistyped]);
    assert!(said.code != 0 && said.err.contains("typing error"), "{said:?}");
    rig.cli(&["node", "join", &controller.p2p(), &code]).ok();
    let said = late.cli(&["node", "join", &controller.p2p(), &code]);
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.err.contains("used up"), "{said:?}");
    assert_eq!(late.json(&["peer", "list"]), json!([]));
    assert_eq!(controller.json(&["peer", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn an_invite_is_never_shown_to_another_node_than_its_maker() {
    let controller = Node::serve("control-center", "controller");
    let impostor = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    let code = controller.json(&["node", "invite"])["code"].as_str().unwrap().to_owned();
    let said = rig.cli(&["node", "join", &impostor.p2p(), &code]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("not the one that made the invite"), "{said:?}");
    rig.cli(&["node", "join", &controller.p2p(), &code]).ok();
}

#[test]
fn a_rejected_request_stays_away() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    controller.cli(&["peer", "add", "--address", &rig.p2p(), "--name", "rig-alpha"]).ok();
    rig.cli(&["peer", "reject", &controller.id()]).ok();
    assert_eq!(rig.cli(&["peer", "approve", &controller.id()]).code, 4);
    until("the asker learns it", || {
        controller.peer("rig-alpha")["reason"].as_str().is_some_and(|r| r.contains("rejected"))
    });
    assert_eq!(rig.json(&["peer", "list"]), json!([]));
}

#[test]
fn a_rig_that_comes_back_with_another_key_is_refused_and_named() {
    let (controller, mut rig) = pair();
    let address = rig.p2p();
    rig.kill();
    // The same address, another identity.
    let mut other = Node::bare("rig-alpha");
    other.cli(&["node", "init", "--name", "rig-alpha", "--role", "worker"]).ok();
    other.start_with(&["--listen", &address, "--api", "127.0.0.1:0"]);
    until("the changed key is named", || {
        controller.peer("rig-alpha")["reason"]
            .as_str()
            .is_some_and(|r| r.contains("the key of rig-alpha changed"))
    });
    assert_eq!(controller.state("rig-alpha"), "unreachable");
    assert_eq!(other.json(&["peer", "list"]), json!([]));
    drop(rig);
}

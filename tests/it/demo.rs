//! The newcomer's one command, as it prints itself: its link opens, its commands work, Ctrl-C leaves nothing behind.
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use super::node::{BINARY, PATIENCE, Running, alive, children, pair, signal_pid, until};

#[test]
fn the_demo_mines_shows_itself_and_cleans_up() {
    let mut demo = Running::new({
        let mut command = Command::new(BINARY);
        command.args(["demo", "--rigs", "2"]);
        command
    });
    let folder = demo.line_with("Starting a controller").expect("it starts");
    let folder = PathBuf::from(folder.trim().rsplit(' ').next().unwrap());
    let link = demo.line_with("Dashboard: ").expect("it prints a link");
    let address = link.split("//").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert!(link.contains("/#token="), "the token stays in the browser: {link}");

    let mut page = TcpStream::connect(&address).unwrap();
    page.set_read_timeout(Some(PATIENCE)).unwrap();
    page.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    page.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("Content-Security-Policy"), "{text}");

    let mut commands = Vec::new();
    while let Some(line) = demo.line_with("") {
        if line.contains("Ctrl-C") {
            break;
        }
        if line.contains("--home") {
            commands.push(line.trim().to_owned());
        }
    }
    assert_eq!(commands.len(), 5, "{commands:?}");
    for command in &commands {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let daemons = children(demo.child.id());
    assert_eq!(daemons.len(), 3);
    let miners: Vec<u32> = daemons.iter().flat_map(|pid| children(*pid)).collect();
    signal_pid(demo.child.id(), 2);
    until("it ends", || demo.child.try_wait().unwrap().is_some());
    assert!(demo.child.wait().unwrap().success());
    assert!(!folder.exists(), "{} is still there", folder.display());
    until("nothing runs any more", || daemons.iter().chain(&miners).all(|pid| !alive(*pid)));
}

#[test]
fn ctrl_c_ends_a_followed_log_quietly() {
    let (controller, _rig) = pair();
    super::node::start_simulated(&controller, "demo", &serde_json::json!({"shareEvery": 0.5})).ok();
    let command = controller.command(&["remote", "logs", "rig-alpha", "simulated-1", "--follow"]);
    let mut follow = Running::new(command);
    follow.line_with("accepted").expect("lines come");
    signal_pid(follow.child.id(), 2);
    until("it ends", || follow.child.try_wait().unwrap().is_some());
    assert_eq!(follow.child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    follow.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    use std::os::unix::fs::PermissionsExt as _;
    let (controller, _rig) = pair();
    let healthy = controller.cli(&["doctor"]);
    assert!(healthy.code == 0 && healthy.out.contains("identity"), "{healthy:?}");
    let key = controller.home().join("node/private.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ill = controller.cli(&["doctor"]);
    assert!(ill.code == 1 && ill.out.contains("chmod"), "{ill:?}");
}

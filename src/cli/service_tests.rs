use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Failure};
use super::{Host, MARK, install, quoted, uninstall};

/// A machine in a temporary folder.
struct Machine(Host, PathBuf);

impl Machine {
    fn new() -> Self {
        let name = format!("mc-units-{}", crate::sys::random::hex::<6>());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::create_dir_all(root.join("config")).unwrap();
        let host = Host {
            systemd: true,
            units: root.join("etc"),
            packaged: vec![root.join("lib")],
            user_units: Some(root.join("config/systemd/user")),
            program: "/opt/my miner/miner-cli".into(),
            groups: "root:x:0:\nvideo:x:44:ann\n".to_owned(),
        };
        Self(host, root)
    }

    /// Every file and folder.
    fn all(&self) -> Vec<String> {
        let (mut folders, mut all) = (vec![self.1.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                all.push(path.strip_prefix(&self.1).unwrap().display().to_string());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        all.sort();
        all
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

#[track_caller]
fn hint<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result.unwrap_err() {
        Failure::Fault(fault) => fault.hint.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_systems_unit_is_the_packaged_one_for_this_program() {
    let machine = Machine::new();
    let unit = install(&machine.0, false, None).unwrap();
    let text = std::fs::read_to_string(&unit).unwrap();
    assert_eq!(unit, machine.1.join("etc/miner-cli.service"));
    assert!(text.starts_with(MARK));
    assert!(text.contains("\nExecStart=\"/opt/my miner/miner-cli\" node serve\n"), "{text}");
    assert!(text.contains("\nDynamicUser=yes\nUser=miner-cli\nSupplementaryGroups=video\n"));
    assert!(text.contains("\nProtectSystem=strict\n") && !text.contains("man:"));
    install(&machine.0, false, None).unwrap();

    let link = machine.1.join("etc/multi-user.target.wants");
    std::fs::create_dir(&link).unwrap();
    std::os::unix::fs::symlink(&unit, link.join("miner-cli.service")).unwrap();
    let told = hint(uninstall(&machine.0, false));
    assert_eq!(told, "sudo systemctl disable --now miner-cli");
    std::fs::remove_dir_all(&link).unwrap();
    uninstall(&machine.0, false).unwrap();
    assert_eq!(machine.all(), ["config", "etc"]);
    assert!(uninstall(&machine.0, false).is_err());
}

#[test]
fn a_users_unit_knows_its_home_and_goes_without_a_trace() {
    let machine = Machine::new();
    let unit = install(&machine.0, true, Some(Path::new("/srv/rig"))).unwrap();
    let text = std::fs::read_to_string(&unit).unwrap();
    let line = "\nExecStart=\"/opt/my miner/miner-cli\" --home /srv/rig node serve\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("\nType=notify\n") && text.contains("\nWantedBy=default.target\n"));
    uninstall(&machine.0, true).unwrap();
    assert_eq!(machine.all(), ["config", "etc"]);
}

#[test]
fn what_would_not_work_is_refused_and_nothing_written() {
    let mut machine = Machine::new();
    let before = machine.all();
    assert_eq!(
        install(&machine.0, false, Some(Path::new("/h"))).unwrap_err().exit(),
        Exit::Usage,
        "the system's service has its own folders"
    );
    machine.0.program = "/home/ann/miner-cli".into();
    assert!(
        hint(install(&machine.0, false, None)).contains("install -m 755 '/home/ann/miner-cli'")
    );
    machine.0.program = "/opt/miner-cli".into();
    machine.0.systemd = false;
    assert!(hint(install(&machine.0, true, None)).contains("start scripts"));
    machine.0.systemd = true;
    machine.0.units = "/proc/self".into();
    assert!(hint(install(&machine.0, false, None)).contains("--user"));
    assert_eq!(machine.all(), before);

    machine.0.units = machine.1.join("etc");
    let other = machine.1.join("etc/miner-cli.service");
    std::fs::write(&other, "[Unit]\n").unwrap();
    assert!(install(&machine.0, false, None).is_err() && uninstall(&machine.0, false).is_err());
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "[Unit]\n");
    std::fs::remove_file(&other).unwrap();

    std::fs::create_dir(machine.1.join("lib")).unwrap();
    std::fs::write(machine.1.join("lib/miner-cli.service"), "").unwrap();
    assert!(hint(install(&machine.0, false, None)).contains("systemctl enable"));
}

#[test]
fn paths_are_written_so_that_systemd_reads_the_same() {
    let written = |path: &str| quoted(Path::new(path)).unwrap();
    assert_eq!(written("/usr/local/bin/miner-cli"), "/usr/local/bin/miner-cli");
    assert_eq!(written("/a b/%c$d\"e\\f"), "\"/a b/%%c$$d\\\"e\\\\f\"");
    assert!(quoted(Path::new("/a\nb")).is_err());
}

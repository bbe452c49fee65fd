//! Two machines: network namespaces with a cable between them, a home folder and a shell each.
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Pair {
    pub controller: Machine,
    pub rig: Machine,
}

pub struct Machine {
    namespace: String,
    home: PathBuf,
    shell: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

/// What a command printed, both streams, and its exit code.
pub struct Said {
    pub code: i32,
    pub text: String,
}

fn ip(args: &[&str]) -> Result<(), String> {
    let said = Command::new("ip").args(args).output().map_err(|e| format!("ip: {e}"))?;
    if said.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&said.stderr).trim()))
}

impl Pair {
    /// # Errors
    /// Why there can be no network namespaces here.
    pub fn new() -> Result<Self, String> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let this = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let names = ["c", "r"].map(|end| format!("mcdocs{}-{}{end}", this.0, this.1));
        let [controller, rig] = &names;
        for name in &names {
            drop(ip(&["netns", "del", name]));
            ip(&["netns", "add", name])?;
        }
        let cable = ["link", "add", "eth0", "netns", controller, "type", "veth"];
        let machines = ip(&[&cable[..], &["peer", "name", "eth0", "netns", rig]].concat());
        machines.and_then(|()| {
            Ok(Self {
                controller: Machine::new(controller, "10.99.0.1/24")?,
                rig: Machine::new(rig, "10.99.0.2/24")?,
            })
        })
    }

    /// The code of the last invite that the controller made.
    pub fn newest_invite(&self) -> String {
        std::fs::read_to_string(self.controller.home.join("invite")).unwrap_or_default()
    }

    /// The id of the node that asks the rig to be paired.
    pub fn pairing_request(&self) -> String {
        let listed = self.rig.miner_cli(&["peer", "list", "--json"]);
        let peers: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        let asking = peers.as_array().and_then(|all| {
            all.iter().find(|p| p["state"] == "pairing-request").map(|p| p["id"].clone())
        });
        asking.and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl Machine {
    fn new(namespace: &str, address: &str) -> Result<Self, String> {
        ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        ip(&["-n", namespace, "addr", "add", address, "dev", "eth0"])?;
        ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
        let home = std::env::temp_dir().join(namespace);
        drop(std::fs::remove_dir_all(&home));
        std::fs::create_dir_all(&home).map_err(|e| e.to_string())?;
        let mut shell = Self::command(namespace, &home, &["bash", "--norc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let (lines, output) = channel();
        let printed = BufReader::new(shell.stdout.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in printed.split(b'\n').map_while(Result::ok) {
                if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let input = shell.stdin.take().expect("it is piped");
        Ok(Self { namespace: namespace.to_owned(), home, shell, input, output })
    }

    fn command(namespace: &str, home: &PathBuf, args: &[&str]) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_miner-cli"));
        let folder = program.parent().expect("it lies in a folder").display().to_string();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).args(args).current_dir(home);
        command.env("HOME", home).env("PATH", path);
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "MINER_CLI_HOME"] {
            command.env_remove(name);
        }
        command
    }

    pub fn miner_cli(&self, args: &[&str]) -> String {
        let args = [&["miner-cli"], args].concat();
        let said = Self::command(&self.namespace, &self.home, &args).output().unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// Types `command` and waits for its end. A daemon in the background is waited for until it answers.
    pub fn run(&mut self, command: &str) -> Said {
        let serves = command.contains("node serve") && command.contains('&');
        let command = match serves {
            true => {
                format!("{} >>daemon.log 2>&1 &", command.split('&').next().unwrap_or_default())
            }
            false if command.starts_with("miner-cli node invite") => {
                // The code is on the first line.
                format!("{{ {}\n}} | tee printed; head -n 1 printed | tr -d '\\n' >invite", command)
            }
            false => command.to_owned(),
        };
        writeln!(self.input, "exec 2>&1; set -o pipefail; {{ {command}\n}}; echo \"@end $?\"")
            .unwrap();
        let said = self.answer();
        if serves {
            let asks = "for i in $(seq 300); do miner-cli node token >/dev/null 2>&1 && break; sleep 0.1; done";
            writeln!(self.input, "{asks}; echo \"@end $?\"").unwrap();
            return self.answer();
        }
        said
    }

    fn answer(&mut self) -> Said {
        let mut text = String::new();
        loop {
            let line = self.output.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{e}: {text}"));
            if let Some((before, code)) = line.split_once("@end ") {
                text.push_str(before);
                return Said { code: code.trim().parse().unwrap_or(-1), text };
            }
            text.push_str(&line);
            text.push('\n');
        }
    }

    pub fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.home.join("daemon.log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Whatever was started in the namespace ends with it: daemons first, so that they stop their miners.
        let pids = Command::new("ip").args(["netns", "pids", &self.namespace]).output();
        let pids =
            pids.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
        for signal in ["-TERM", "-KILL"] {
            let _ = Command::new("kill").arg(signal).args(pids.split_whitespace()).output();
        }
        let _ = self.shell.wait();
        drop(ip(&["netns", "del", &self.namespace]));
        drop(std::fs::remove_dir_all(&self.home));
    }
}

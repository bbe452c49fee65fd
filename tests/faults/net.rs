//! Machines in network namespaces, with cables to one switch. Needs root; [`Net::new`] says why not otherwise.
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::node::Node;

pub struct Net {
    switch: String,
    machines: Vec<String>,
}

/// # Errors
/// What the program said.
pub fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let said = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&said.stderr);
    Err(format!("{program} {}: {}", args.join(" "), why.trim()))
}

fn ip(args: &[&str]) -> Result<String, String> {
    run("ip", args)
}

impl Net {
    /// So many machines, 10.98.0.1 and on, with nothing between them.
    ///
    /// # Errors
    /// There can be no network namespaces here.
    pub fn new(count: u8) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mcf{}-{number}", std::process::id());
        let mut net = Self { switch: format!("{name}s"), machines: Vec::new() };
        ip(&["netns", "add", &net.switch])?;
        ip(&["-n", &net.switch, "link", "add", "br0", "up", "type", "bridge"])?;
        for machine in 1..=count {
            let name = format!("{name}m{machine}");
            ip(&["netns", "add", &name])?;
            net.machines.push(name.clone());
            net.plug(&name, machine)?;
        }
        Ok(net)
    }

    fn plug(&self, name: &str, machine: u8) -> Result<(), String> {
        let port = format!("port{machine}");
        let here = ["link", "add", "eth0", "netns", name, "type", "veth", "peer", "name"];
        ip(&[&here[..], &[&port, "netns", &self.switch]].concat())?;
        ip(&["-n", &self.switch, "link", "set", &port, "master", "br0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "addr", "add", &format!("10.98.0.{machine}/24"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        Ok(())
    }

    pub fn address(machine: u8) -> String {
        format!("10.98.0.{machine}:9091")
    }

    pub fn namespace(&self, machine: u8) -> &str {
        &self.machines[usize::from(machine) - 1]
    }

    /// A further namespace, which is removed with the others.
    pub fn ends_with_it(&mut self, name: &str) {
        self.machines.push(name.to_owned());
    }

    /// A node with an identity and a daemon on that machine.
    pub fn serve(&self, machine: u8, name: &str, role: &str) -> Node {
        let around = ["ip", "netns", "exec", self.namespace(machine)];
        let mut node = Node::bare_around(name, &around);
        node.cli(&["node", "init", "--name", name, "--role", role]).ok();
        self.start(&mut node);
        node
    }

    pub fn start(&self, node: &mut Node) {
        node.start_with(&["--listen", ":9091", "--api", "127.0.0.1:9090"]);
    }

    /// Pulls the cable of a machine, or plugs it in again.
    pub fn cable(&self, machine: u8, plugged: bool) {
        let port = format!("port{machine}");
        let state = if plugged { "up" } else { "down" };
        ip(&["-n", &self.switch, "link", "set", &port, state]).unwrap();
    }

    /// Whether what machine `from` sends to machine `to` is lost: it goes to a network card that nobody has. What
    /// comes the other way still arrives.
    pub fn lose(&self, from: u8, to: u8, lost: bool) {
        let (ns, address) = (self.namespace(from), format!("10.98.0.{to}"));
        if lost {
            let card = ["lladdr", "02:00:00:00:00:ff", "nud", "permanent", "dev", "eth0"];
            ip(&[&["-n", ns, "neigh", "replace", &address][..], &card].concat()).unwrap();
        } else {
            ip(&["-n", ns, "neigh", "del", &address, "dev", "eth0"]).unwrap();
        }
    }

    /// A rule of nftables on a machine, in a chain at this hook.
    ///
    /// # Errors
    /// The kernel or the machine has no nftables.
    pub fn rule(&self, machine: u8, hook: &str, rule: &str) -> Result<(), String> {
        let kind = if hook == "postrouting" { "nat" } else { "filter" };
        // A block ends with its line.
        let script = format!(
            "table inet faults {{\nchain {hook} {{\ntype {kind} hook {hook} priority 0; {rule}\n}}\n}}"
        );
        let namespace = self.namespace(machine);
        ip(&["netns", "exec", namespace, "nft", &script]).map(drop)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in self.machines.iter().chain([&self.switch]) {
            drop(ip(&["netns", "del", name]));
        }
    }
}

/// The network, or a line that says why there is none and an early return.
#[macro_export]
macro_rules! net_or_skip {
    ($count:expr) => {
        match $crate::net::Net::new($count) {
            Ok(net) => net,
            Err(why) => return eprintln!("skipped: {why}"),
        }
    };
}

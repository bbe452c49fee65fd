//! What an idle worker costs: CPU, memory and wake-ups of a daemon with one simulated miner and one controller, over a
//! minute, from /proc. `cargo bench --bench idle`
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "a bench")]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_miner-cli");
const MEASURED: Duration = Duration::from_secs(60);
/// Past the quick first polls of a new miner.
const SETTLING: Duration = Duration::from_secs(30);

struct Node(PathBuf, Child);

impl Node {
    fn serve(folder: &Path, name: &str, role: &str) -> Self {
        let home = folder.join(name);
        run(&home, &["node", "init", "--name", name, "--role", role]);
        let args = ["node", "serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"];
        let child = Command::new(BINARY)
            .arg("--home")
            .arg(&home)
            .args(args)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while !home.join("run/daemon.json").exists() {
            assert!(Instant::now() < end, "{name} does not serve");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self(home, child)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(self.1.id().to_string()).status());
        drop(self.1.wait());
    }
}

fn run(home: &Path, args: &[&str]) -> String {
    let out = Command::new(BINARY).arg("--home").arg(home).args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Of one thread: CPU ticks (10 ms) and voluntary context switches, that is wake-ups.
fn thread(task: &Path) -> Option<(String, u64, u64)> {
    let stat = std::fs::read_to_string(task.join("stat")).ok()?;
    let name = stat.split(['(', ')']).nth(1)?.to_owned();
    let fields: Vec<u64> = stat
        .rsplit(") ")
        .next()?
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|f| f.parse().ok())
        .collect();
    let status = std::fs::read_to_string(task.join("status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("voluntary_ctxt_switches"))?;
    Some((name, fields.iter().sum(), line.split_whitespace().last()?.parse().ok()?))
}

fn threads(pid: u32) -> BTreeMap<PathBuf, (String, u64, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().map(|e| e.path());
    tasks.filter_map(|task| Some((task.clone(), thread(&task)?))).collect()
}

fn main() {
    let folder = std::env::temp_dir().join(format!("miner-cli-idle-{}", std::process::id()));
    let controller = Node::serve(&folder, "controller", "controller");
    let rig = Node::serve(&folder, "rig", "worker");
    let info: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(controller.0.join("run/daemon.json")).unwrap(),
    )
    .unwrap();
    let invite: serde_json::Value =
        serde_json::from_str(&run(&controller.0, &["node", "invite", "--json"])).unwrap();
    run(
        &rig.0,
        &["node", "join", info["listen"].as_str().unwrap(), invite["code"].as_str().unwrap()],
    );
    let profile = folder.join("demo.json");
    std::fs::write(
        &profile,
        r#"{"name":"demo","minerType":"simulated","config":{"algo":"rx/0","hashrate":12500}}"#,
    )
    .unwrap();
    run(&controller.0, &["profile", "add", profile.to_str().unwrap()]);
    run(&controller.0, &["remote", "start", "rig", "--profile", "demo"]);
    std::thread::sleep(SETTLING);

    for (what, pid) in [
        ("worker with one simulated miner", rig.1.id()),
        ("controller of one rig", controller.1.id()),
    ] {
        let before = threads(pid);
        std::thread::sleep(MEASURED);
        let after = threads(pid);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let rss = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or("VmRSS: ?");
        let seconds = MEASURED.as_secs_f64();
        let (mut ticks, mut wakes) = (0, Vec::new());
        for (task, (name, cpu, switches)) in &after {
            let (_, old_cpu, old_switches) = before.get(task).cloned().unwrap_or_default();
            ticks += cpu - old_cpu;
            wakes.push(((switches - old_switches) as f64 / seconds, name.clone()));
        }
        wakes.sort_by(|a, b| b.0.total_cmp(&a.0));
        let percent = ticks as f64 / 100.0 / seconds * 100.0;
        println!(
            "{what}: {percent:.2} % of a core over {seconds} s, {rss}, {} threads",
            after.len()
        );
        println!(
            "  wake-ups a second, the busiest: {}",
            wakes.iter().take(4).map(|(n, t)| format!("{t} {n:.2}")).collect::<Vec<_>>().join(", ")
        );
    }
    drop((controller, rig));
    drop(std::fs::remove_dir_all(&folder));
}

//! What `doctor` asks the operating system.
use std::path::Path;

use super::doctor::Check;
use super::units;
use crate::model::time::Timestamp;
use crate::sys::{clock, disk};

/// 2 MiB pages that RandomX's data set takes, for one NUMA node; each thread takes one more.
const RANDOMX_PAGES: u64 = 1168;
/// A rig is fine with few open files, a controller of a big farm is not.
const FILES: u64 = 4096;
/// The databases stop being written well before the disk is full to the last byte.
const ROOM_BAD: u64 = 50 << 20;
const ROOM_LOW: u64 = 500 << 20;
/// 2025-01-01: no clock that runs well is earlier.
const PAST: Timestamp = Timestamp(1_735_689_600_000);

/// miner-cli-tune.service, which sets huge pages and registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tuning {
    Started,
    /// A package brought it.
    Installed,
    Missing,
}

impl Tuning {
    fn here() -> Self {
        let units = ["/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"];
        let there = |folder| Path::new(folder).join("miner-cli-tune.service").exists();
        if Path::new("/run/miner-cli-tune").exists() {
            Self::Started
        } else if units.into_iter().any(there) {
            Self::Installed
        } else {
            Self::Missing
        }
    }

    /// What to do about what it would set; `otherwise` without it.
    fn remedy(self, otherwise: &str) -> String {
        match self {
            Self::Started => "journalctl -u miner-cli-tune says why it could not be set".to_owned(),
            Self::Installed => "sudo systemctl enable --now miner-cli-tune".to_owned(),
            Self::Missing => otherwise.to_owned(),
        }
    }
}

/// Huge pages, MSR and locked memory: what makes RandomX slow when it is missing, and stops nothing.
/// `pid` is the daemon's, whose limits its miners inherit; without one this process stands for it.
pub fn for_miners(pid: Option<u32>) -> Vec<Check> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let tuning = Tuning::here();
    vec![
        huge_pages(&read("/proc/meminfo"), tuning),
        registers(Path::new("/dev/cpu/0/msr").exists(), tuning),
        locked_memory(&limits_of(pid)),
    ]
}

fn limits_of(pid: Option<u32>) -> String {
    let read = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/limits"));
    pid.and_then(|pid| read(&pid.to_string()).ok())
        .or_else(|| read("self").ok())
        .unwrap_or_default()
}

/// Open files, clock and room on the disk.
pub fn for_all(pid: Option<u32>, folder: Option<&Path>, created: Option<Timestamp>) -> Vec<Check> {
    let limits = limits_of(pid);
    let room =
        folder.and_then(|folder| folder.ancestors().find_map(|one| disk::free_bytes(one).ok()));
    vec![open_files(&limits), clock_check(clock::wall(), created), disk_check(room)]
}

fn registers(msr: bool, tuning: Tuning) -> Check {
    if msr {
        return Check::ok("MSR", "/dev/cpu/0/msr exists");
    }
    let remedy = "sudo modprobe msr allow_writes=on (some virtual machines have none)";
    let message = "the msr module is not loaded: RandomX is slower";
    Check::warning("MSR", message, tuning.remedy(remedy))
}

fn huge_pages(meminfo: &str, tuning: Tuning) -> Check {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let Some(total) = field("HugePages_Total:") else {
        return Check::warning(
            "huge pages",
            "this kernel has none",
            "RandomX runs without, slower",
        );
    };
    let size = field("Hugepagesize:").unwrap_or(2048).max(1);
    let free = field("HugePages_Free:").unwrap_or(0);
    let message = format!("{total} of {}, {free} free", units::bytes(size * 1024));
    if total * size >= RANDOMX_PAGES * 2048 {
        return Check::ok("huge pages", message);
    }
    let message =
        format!("{message}: RandomX is 20 to 50 % slower without {RANDOMX_PAGES} of 2 MiB");
    let remedy = "sudo sysctl -w vm.nr_hugepages=1280 (until the next start of this machine)";
    Check::warning("huge pages", message, tuning.remedy(remedy))
}

/// The soft limit in a row of /proc/PID/limits; `u64::MAX` is unlimited.
fn limit(limits: &str, name: &str) -> Option<u64> {
    let soft =
        limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

fn locked_memory(limits: &str) -> Check {
    match limit(limits, "Max locked memory") {
        Some(u64::MAX) => Check::ok("memlock", "unlimited"),
        soft => {
            let message = soft.map_or_else(|| "unknown".to_owned(), units::bytes);
            let remedy = "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited";
            Check::warning("memlock", message, remedy)
        }
    }
}

fn open_files(limits: &str) -> Check {
    match limit(limits, "Max open files") {
        Some(u64::MAX) => Check::ok("open files", "unlimited"),
        Some(soft) if soft >= FILES => Check::ok("open files", soft.to_string()),
        soft => {
            let remedy = "for more than a few hundred rigs: LimitNOFILE=65536 in the unit, or ulimit -n 65536";
            Check::warning("open files", units::count(soft), remedy)
        }
    }
}

/// Commands carry deadlines and samples carry times: a wrong clock refuses the ones and misplaces the others.
fn clock_check(now: Timestamp, created: Option<Timestamp>) -> Check {
    let remedy = "set it: timedatectl set-ntp true";
    if now < PAST {
        return Check::problem("clock", format!("it says {now}, which is long past"), remedy);
    }
    match created.filter(|created| *created > now) {
        Some(created) => {
            let message = format!("it says {now}, before this node was made ({created})");
            Check::problem("clock", message, remedy)
        }
        None => Check::ok("clock", now.to_string()),
    }
}

fn disk_check(room: Option<u64>) -> Check {
    let Some(room) = room else {
        return Check::warning("disk", "its room is unknown", "check the node's folder");
    };
    let message = format!("{} free", units::bytes(room));
    match room {
        0..ROOM_BAD => Check::problem("disk", message, "make room: nothing can be saved soon"),
        ROOM_BAD..ROOM_LOW => Check::warning("disk", message, "make room"),
        _ => Check::ok("disk", message),
    }
}

#[cfg(test)]
mod tests {
    use super::{PAST, Tuning, clock_check, disk_check, huge_pages, limit};
    use super::{locked_memory, open_files, registers};
    use crate::cli::doctor::Status::{Ok, Problem, Warning};

    #[test]
    fn huge_pages_suffice_by_their_bytes() {
        let meminfo = |total, size| {
            format!(
                "MemTotal: 1 kB\nHugePages_Total:    {total}\nHugePages_Free: 7\nHugepagesize:  {size} kB\n"
            )
        };
        let status = |text: &str| huge_pages(text, Tuning::Missing).status;
        assert_eq!(status(&meminfo(1280, 2048)), Ok);
        assert_eq!(status(&meminfo(3, 1_048_576)), Ok);
        assert_eq!(status(&meminfo(100, 2048)), Warning);
        assert_eq!(status(""), Warning);
    }

    #[test]
    fn the_packaged_tuning_is_what_to_do_where_there_is_one() {
        for (tuning, words) in [
            (Tuning::Missing, ["sysctl -w vm.nr_hugepages", "modprobe msr"]),
            (Tuning::Installed, ["systemctl enable --now miner-cli-tune"; 2]),
            (Tuning::Started, ["journalctl -u miner-cli-tune"; 2]),
        ] {
            let meminfo = "HugePages_Total: 0\nHugepagesize: 2048 kB\n";
            let checks = [huge_pages(meminfo, tuning), registers(false, tuning)];
            for (check, words) in checks.into_iter().zip(words) {
                let remedy = check.remedy.unwrap();
                assert!(check.status == Warning && remedy.contains(words), "{tuning:?}: {remedy}");
            }
        }
    }

    #[test]
    fn limits_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 1048576              files     \n\
                    Max locked memory         unlimited            unlimited            bytes     \n";
        assert_eq!(
            (limit(text, "Max open files"), limit(text, "Max nonsense")),
            (Some(1024), None)
        );
        assert_eq!((open_files(text).status, locked_memory(text).status), (Warning, Ok));
        assert_eq!(open_files("Max open files 65536 65536 files").status, Ok);
        assert_eq!(locked_memory("Max locked memory 65536 65536 bytes").status, Warning);
    }

    #[test]
    fn clocks_and_disks() {
        let now = PAST.plus_ms(1000);
        assert_eq!(clock_check(now, Some(PAST)).status, Ok);
        assert_eq!(clock_check(now, Some(now.plus_ms(1))).status, Problem);
        assert_eq!(clock_check(PAST.plus_ms(-1), None).status, Problem);
        let status = |room| disk_check(room).status;
        assert_eq!(
            (status(Some(1 << 20)), status(Some(100 << 20)), status(Some(1 << 40))),
            (Problem, Warning, Ok)
        );
        assert_eq!(status(None), Warning);
    }
}

//! Miners that outlived a daemon. They normally die with it; one whose program has setuid or file capabilities does
//! not. `run/miners.json` says which processes we had, and the next daemon ends those that are certainly the same:
//! adopting them is useless, their output is lost and a miner restarts cheaply.
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::sys::files;
use crate::sys::process::{self, Identity, Stranger};
use crate::{info, warning};

/// How long a killed leftover may take to go.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// Process numbers and start times mean nothing after a reboot.
    boot_id: String,
    miners: Vec<Identity>,
}

/// Writes down the running miners, replacing the file as a whole.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, miners: Vec<Identity>) -> Result<(), String> {
    let boot_id = process::boot_id().map_err(|e| format!("the boot id cannot be read: {e}"))?;
    let record = serde_json::to_vec(&Record { boot_id, miners }).map_err(|e| e.to_string())?;
    files::write_atomic(path, &record, files::PRIVATE).map_err(|fault| fault.message)
}

/// Kills the groups of those recorded miners that still run, then forgets the record. Returns how many were killed.
pub fn clear(path: &Path) -> usize {
    let Ok(text) = std::fs::read(path) else { return 0 };
    let record = serde_json::from_slice::<Record>(&text).ok();
    let this_boot = process::boot_id().ok();
    let miners = match record {
        Some(record) if Some(&record.boot_id) == this_boot.as_ref() => record.miners,
        _ => Vec::new(),
    };
    let killed = miners.iter().filter(|miner| end(miner)).count();
    if let Err(e) = std::fs::remove_file(path) {
        warning!("{} cannot be removed: {e}", path.display());
    }
    killed
}

fn end(miner: &Identity) -> bool {
    // First the handle, then the check: a number that passes on in between shows in the check.
    let Ok(process) = Stranger::open(miner.pid) else { return false };
    if process::identity(miner.pid).ok().as_ref() != Some(miner) {
        return false;
    }
    match process.kill_group(Instant::now() + PATIENCE) {
        Ok(()) => {
            info!("killed process {}, a miner that outlived the last daemon", miner.pid);
            true
        }
        Err(e) => {
            warning!("process {}, a miner of the last daemon, cannot be ended: {e}", miner.pid);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{clear, write};
    use crate::sys::process::{Group, Identity, Program, identity, spawn};
    use std::path::{Path, PathBuf};

    fn sleeper() -> (Group, std::io::PipeReader) {
        let args = ["60".to_owned()];
        let program = Program {
            path: Path::new("/bin/sleep"),
            args: &args,
            env: &[],
            folder: Path::new("/"),
        };
        spawn(&program).unwrap()
    }

    fn file() -> PathBuf {
        std::env::temp_dir().join(format!("mc-left-{}.json", crate::sys::random::hex::<6>()))
    }

    #[test]
    fn a_miner_that_still_runs_is_killed() {
        let (path, (group, _pipe)) = (file(), sleeper());
        write(&path, vec![identity(group.pid()).unwrap()]).unwrap();
        assert_eq!(clear(&path), 1);
        assert_eq!(group.reap().unwrap().signal, Some(9));
        assert!(!path.exists());
        assert_eq!(clear(&path), 0);
    }

    #[test]
    fn anything_that_differs_spares_the_process() {
        let (path, (group, _pipe)) = (file(), sleeper());
        let true_one = identity(group.pid()).unwrap();
        let others = [
            Identity { start_time: true_one.start_time + 1, ..true_one.clone() },
            Identity { exe: (true_one.exe.0, true_one.exe.1 + 1), ..true_one.clone() },
            Identity { exe: (true_one.exe.0 + 1, true_one.exe.1), ..true_one.clone() },
        ];
        for other in others {
            write(&path, vec![other.clone()]).unwrap();
            assert_eq!(clear(&path), 0, "{other:?}");
        }
        write(&path, vec![true_one]).unwrap();
        let other_boot =
            std::fs::read_to_string(&path).unwrap().replacen("\"bootId\":\"", "\"bootId\":\"x", 1);
        std::fs::write(&path, other_boot).unwrap();
        assert_eq!(clear(&path), 0);
        std::fs::write(&path, "{\"bootId\":").unwrap();
        assert_eq!(clear(&path), 0);
        assert!(!group.has_ended().unwrap());
        group.reap().unwrap();
    }
}

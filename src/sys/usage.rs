//! What the kernel says of this process, from `/proc/self`. What is not there is `None`.
use std::fs;

#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Usage {
    /// Seconds of CPU since the start, user and system.
    pub cpu: Option<f64>,
    /// Bytes.
    pub resident: Option<f64>,
    pub threads: Option<f64>,
    pub open_files: Option<f64>,
    pub most_files: Option<f64>,
}

#[must_use]
pub fn read() -> Usage {
    let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let status = text("status");
    Usage {
        cpu: cpu(&text("stat")),
        resident: field(&status, "VmRSS:").map(|kib| kib * 1024.0),
        threads: field(&status, "Threads:"),
        open_files: fs::read_dir("/proc/self/fd").ok().map(|all| all.count() as f64),
        // `Max open files  1024  4096  files`: the limit in force comes first.
        most_files: text("limits").lines().find_map(|line| {
            line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok()
        }),
    }
}

fn field(status: &str, name: &str) -> Option<f64> {
    status.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// Fields 14 and 15, in hundredths of a second; the name of the process before them may hold anything.
fn cpu(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::{Usage, cpu, read};

    #[test]
    fn this_process_is_known() {
        let Usage { cpu, resident, threads, open_files, most_files } = read();
        assert!(cpu.is_some_and(|s| s >= 0.0) && threads.is_some_and(|n| n >= 1.0));
        assert!(resident.is_some_and(|bytes| bytes > 100_000.0));
        assert!(open_files.is_some_and(|n| n >= 3.0) && most_files > open_files);
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(cpu(&format!("7 (a) b) {rest}")), Some(3.0));
        assert_eq!(cpu("7 (a) S 1"), None);
    }
}

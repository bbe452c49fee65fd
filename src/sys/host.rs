//! What the kernel says of the machine, from `/proc` and `/sys`. What is not there is `None`.
use std::fs;
use std::path::Path;

use super::disk;
use crate::model::stats::{Host, Memory};

/// `data` is the folder whose disk matters.
#[must_use]
pub fn read(data: &Path) -> Host {
    Host { disk: disk::space(data).ok(), ..read_from(Path::new("/proc"), Path::new("/sys")) }
}

fn read_from(proc: &Path, sys: &Path) -> Host {
    let text = |name: &str| fs::read_to_string(proc.join(name)).unwrap_or_default();
    Host {
        load: first_number(&text("loadavg")),
        memory: memory(&text("meminfo")),
        temperature: temperature(sys),
        uptime: first_number(&text("uptime")).map(|seconds| seconds as u64),
        disk: None,
    }
}

fn first_number(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)
}

fn memory(meminfo: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Memory { total: bytes("MemTotal")?, available: bytes("MemAvailable")? })
}

/// Sensors of the CPU, by the names that the kernel's drivers give them: Intel, AMD, ARM boards.
const CPU_SENSORS: &[&str] = &[
    "coretemp",
    "k10temp",
    "zenpower",
    "cpu_thermal",
    "soc_thermal",
    "x86_pkg_temp",
    "cpu-thermal",
    "soc-thermal",
];

/// The hottest reading of the first kind of sensor that is there.
fn temperature(sys: &Path) -> Option<f64> {
    hottest(&sys.join("class/hwmon"), "name", "_input")
        .or_else(|| hottest(&sys.join("class/thermal"), "type", "temp"))
}

/// The highest value of the files `temp…{ending}` in the folders whose file `label` names a sensor of the CPU.
fn hottest(folder: &Path, label: &str, ending: &str) -> Option<f64> {
    let sensors = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| {
        let name = fs::read_to_string(path.join(label)).unwrap_or_default();
        CPU_SENSORS.contains(&name.trim())
    });
    let readings = sensors.flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
    readings
        .filter(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.starts_with("temp") && name.ends_with(ending)
        })
        .filter_map(|file| fs::read_to_string(file.path()).ok()?.trim().parse::<i64>().ok())
        // Broken sensors say 0, or numbers from before the ice age.
        .filter(|milli| (1..200_000).contains(milli))
        .max()
        .map(|milli| milli as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::{read, read_from};
    use crate::model::stats::{Host, Memory};
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_kernels_files_are_read() {
        let root = std::env::temp_dir().join(format!("mc-host-{}", crate::sys::random::hex::<6>()));
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/loadavg", "1.25 0.97 0.86 2/345 6789\n");
        put("proc/uptime", "35012.77 120000.10\n");
        put(
            "proc/meminfo",
            "MemTotal:       24682416 kB\nMemFree: 1 kB\nMemAvailable:   20000000 kB\n",
        );
        put("sys/class/hwmon/hwmon0/name", "nvme\n");
        put("sys/class/hwmon/hwmon0/temp1_input", "90000\n");
        put("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        put("sys/class/thermal/thermal_zone0/temp", "48312\n");
        let host = read_from(&root.join("proc"), &root.join("sys"));
        assert_eq!((host.load, host.uptime), (Some(1.25), Some(35_012)));
        assert_eq!(
            host.memory,
            Some(Memory { total: 24_682_416 << 10, available: 20_000_000 << 10 })
        );
        assert_eq!(host.temperature, Some(48.312), "the disk's sensor is not the CPU's");
        put("sys/class/hwmon/hwmon1/name", "k10temp\n");
        put("sys/class/hwmon/hwmon1/temp1_input", "61500\n");
        put("sys/class/hwmon/hwmon1/temp3_input", "65250\n");
        put("sys/class/hwmon/hwmon1/temp1_crit", "95000\n");
        let host = read_from(&root.join("proc"), &root.join("sys"));
        assert_eq!(host.temperature, Some(65.25));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_is_absent_or_broken_is_unknown() {
        let nowhere = Path::new("/does/not/exist");
        assert_eq!(read_from(nowhere, nowhere), Host::default());
        assert!(read(nowhere).memory.is_some_and(|m| m.total >= m.available));
        assert!(read(nowhere).disk.is_none() && read(Path::new("/")).disk.is_some());
    }
}

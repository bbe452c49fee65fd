//! What the packages are made of: pages and completions that say what the program says, and the tuning that undoes
//! itself. tests/packages installs the packages themselves.
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use super::node::{BINARY, Folder, Said};

fn run(program: &str, args: &[&str]) -> Said {
    Command::new(program).args(args).output().unwrap().into()
}

fn script(name: &str) -> String {
    format!("{}/packaging/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Every verb with its options, read from the help in another way than the script reads it.
fn verbs(verb: &[&str], found: &mut Vec<(Vec<String>, Vec<String>)>) {
    let help = run(BINARY, &[verb, &["--help"]].concat()).ok();
    let usage = help.lines().next().unwrap();
    let options =
        usage.split(['[', ']', ' ']).filter(|word| word.len() > 2 && word.starts_with("--"));
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    found.push((words(verb), options.map(str::to_owned).collect()));
    let Some((_, commands)) = help.split_once("\nCommands:\n") else { return };
    let names = commands.lines().take_while(|line| !line.is_empty());
    for name in names.filter(|line| !line.starts_with("   ")) {
        verbs(&[verb, &[name.split_whitespace().next().unwrap()]].concat(), found);
    }
}

#[test]
fn pages_and_completions_know_every_verb_and_option() {
    let folder = Folder::new("describe");
    let out = folder.0.to_str().unwrap();
    run(&script("describe"), &[BINARY, out]).ok();
    let text = |file: &str| {
        std::fs::read_to_string(folder.0.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
    };
    let (bash, zsh, fish) =
        (text("completions/bash"), text("completions/zsh"), text("completions/fish"));
    let mut all = Vec::new();
    verbs(&[], &mut all);
    assert!(all.len() > 30, "{all:?}");
    for (verb, options) in all {
        let (name, last) = (verb.join(" "), verb.last().cloned().unwrap_or_default());
        let page = match verb.first() {
            Some(top) => text(&format!("man/miner-cli-{top}.1")),
            None => text("man/miner-cli.1"),
        };
        let page = page.replace("\\-", "-");
        assert!(page.contains(&format!("miner-cli {name}")) || name.is_empty(), "{name}: no page");
        let all_of = |opening: &str| {
            let at = bash.find(opening).unwrap_or_else(|| panic!("bash lacks {name:?}"));
            bash[at..].lines().next().unwrap().to_owned()
        };
        let completed = all_of(&format!("    \"{name}\") words="));
        if !name.is_empty() {
            let parent = verb[..verb.len() - 1].join(" ");
            let at = format!("'__miner_cli_at \\'{parent}\\'' -f -a '{last}' ");
            assert!(fish.contains(&at), "fish lacks {name}");
            assert!(zsh.contains(&format!("'{last}:")), "zsh lacks {name}");
        }
        for option in options {
            assert!(page.contains(&format!(".B {option}")), "{name} {option}: not in the page");
            assert!(completed.contains(&option), "bash lacks {name} {option}");
            assert!(zsh.contains(&format!("'{option}:")), "zsh lacks {name} {option}");
            let long = option.trim_start_matches('-');
            assert!(fish.contains(&format!("-l {long} ")), "fish lacks {name} {option}");
        }
    }
    let config = text("man/miner-cli-config.toml.5").replace("\\-", "-").replace("\\(dq", "\"");
    for line in include_str!("../../packaging/config.toml").lines() {
        let key = line.strip_prefix('#').filter(|key| key.starts_with(|c: char| c.is_alphabetic()));
        assert!(key.is_none_or(|key| config.contains(key)), "{line}: not in the manual");
    }
}

/// The shells themselves are asked, where they are installed.
#[test]
fn shells_complete_verbs_and_options() {
    let folder = Folder::new("complete");
    let out = folder.0.to_str().unwrap();
    run(&script("describe"), &[BINARY, out]).ok();
    let bash = format!(
        "source {out}/completions/bash; COMP_WORDS=(miner-cli --json remote sta); COMP_CWORD=3; _miner_cli; \
         echo \"${{COMPREPLY[@]}}\"; COMP_WORDS=(miner-cli remote start --dr); _miner_cli; echo \"${{COMPREPLY[@]}}\"; \
         COMP_WORDS=(miner-cli node init --role ''); COMP_CWORD=4; COMPREPLY=(); _miner_cli; echo \"[${{COMPREPLY[@]}}]\""
    );
    assert_eq!(run("bash", &["-c", &bash]).ok(), "status start\n--dry-run\n[]\n");
    if Path::new("/usr/bin/fish").exists() {
        let fish = format!("source {out}/completions/fish; complete -C 'miner-cli remote sta'");
        let said = run("/usr/bin/fish", &["-c", &fish]).ok();
        let words: Vec<&str> = said.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(words, ["start", "status"]);
    }
    if Path::new("/usr/bin/zsh").exists() {
        run("/usr/bin/zsh", &["-n", &format!("{out}/completions/zsh")]).ok();
    }
}

// ---- the tuning, in a root of files

const SYS_PAGES: &str = "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
const ALLOW: &str = "sys/module/msr/parameters/allow_writes";

struct Machine(Folder);

impl Machine {
    fn new(cpuinfo: &str, memory_kb: u64) -> Self {
        let machine = Self(Folder::new("tune"));
        machine.put("proc/cpuinfo", cpuinfo);
        machine.put("proc/meminfo", &format!("MemTotal:       {memory_kb} kB\n"));
        machine.put(SYS_PAGES, "3\n");
        machine.put(ALLOW, "default\n");
        for cpu in 0..2 {
            machine.put(&format!("sys/devices/system/cpu/cpu{cpu}/online"), "1");
            machine.put(&format!("dev/cpu/{cpu}/msr"), "");
        }
        machine
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.0.join(path)).unwrap().trim().to_owned()
    }

    fn register(&self, cpu: u32, number: u64) -> u64 {
        let mut bytes = [0; 8];
        self.msr(cpu).read_exact_at(&mut bytes, 8 * number).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn set_register(&self, cpu: u32, number: u64, value: u64) {
        self.msr(cpu).write_all_at(&value.to_le_bytes(), 8 * number).unwrap();
    }

    /// A sparse file with 8 bytes for each number of a register.
    fn msr(&self, cpu: u32) -> std::fs::File {
        let path = self.0.0.join(format!("dev/cpu/{cpu}/msr"));
        std::fs::File::options().read(true).write(true).open(path).unwrap()
    }

    fn tune(&self, what: &str, environment: &[(&str, &str)]) -> String {
        let said: Said = Command::new(script("systemd/tune"))
            .arg(what)
            .env("ROOT", &self.0.0)
            .envs(environment.iter().copied())
            .output()
            .unwrap()
            .into();
        assert_eq!(said.err, "", "{said:?}");
        said.ok()
    }
}

#[test]
fn tuning_sets_what_randomx_likes_and_puts_all_of_it_back() {
    let zen3 =
        "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 33\nmodel name\t: AMD Ryzen\n";
    let machine = Machine::new(zen3, 16 << 20);
    let old = [
        (0xc001_1020, 0x1234_5678_9abc_def0),
        (0xc001_1021, 0x61),
        (0xc001_1022, u64::MAX),
        (0xc001_102b, 0x2000_cc10),
    ];
    for cpu in 0..2 {
        for (number, value) in old {
            machine.set_register(cpu, number, value);
        }
    }
    let said = machine.tune("start", &[]);
    assert!(said.contains("3 before, 1170 now"), "{said}");
    assert!(said.contains("MSR: 6 registers written"), "{said}");
    assert_eq!((machine.read(SYS_PAGES), machine.read(ALLOW)), ("1170".into(), "on".into()));
    for cpu in 0..2 {
        assert_eq!(machine.register(cpu, 0xc001_1020), 0x0004_4800_0000_0000);
        assert_eq!(machine.register(cpu, 0xc001_1021), 0x001c_0002_0000_0060, "bit 5 is kept");
        assert_eq!(machine.register(cpu, 0xc001_1022), 0xc000_0004_0157_0000);
    }
    machine.tune("stop", &[]);
    assert_eq!((machine.read(SYS_PAGES), machine.read(ALLOW)), ("3".into(), "default".into()));
    for cpu in 0..2 {
        for (number, value) in old {
            assert_eq!(machine.register(cpu, number), value, "{number:x}");
        }
    }
    let left = std::fs::read_dir(machine.0.0.join("run/miner-cli-tune")).unwrap().count();
    assert_eq!(left, 0);
    machine.tune("stop", &[]);
    assert_eq!(machine.read(SYS_PAGES), "3", "a second stop changes nothing");
}

#[test]
fn tuning_leaves_alone_what_it_is_told_to_and_what_is_not_there() {
    let other = Machine::new("vendor_id\t: Other\n", 16 << 20);
    let said = other.tune("start", &[("HUGEPAGES", "0")]);
    assert!(said.contains("nothing is known to help") && !said.contains("huge"), "{said}");
    let intel = Machine::new("vendor_id : GenuineIntel\ncpu family : 6\nmodel : 60\n", 16 << 20);
    intel.set_register(0, 0x1a4, 0);
    intel.set_register(1, 0x1a4, 0);
    assert_eq!(intel.tune("start", &[("HUGEPAGES", "2"), ("MSR", "no")]).lines().count(), 1);
    assert_eq!((intel.read(SYS_PAGES), intel.register(0, 0x1a4)), ("3".into(), 0));
    intel.tune("start", &[("HUGEPAGES", "0")]);
    assert_eq!((intel.register(0, 0x1a4), intel.register(1, 0x1a4)), (0xf, 0xf));

    let small = Machine::new("vendor_id\t: Other\n", 2 << 20);
    let said = small.tune("start", &[]);
    assert!(said.contains("three quarters of the memory"), "{said}");
    assert_eq!(small.read(SYS_PAGES), "3");
    std::fs::remove_file(small.0.0.join(SYS_PAGES)).unwrap();
    assert!(small.tune("start", &[]).contains("this kernel has none"));
}

//! The extra arguments that a profile may give to a miner: tuning alone. Whatever names a pool, a wallet, a file,
//! a port or a log is missing here on purpose, and so is what the adapter itself sets.

/// Arguments of one profile.
pub const MOST: usize = 32;

/// What may follow the `=` of an argument.
enum Value {
    /// Nothing: there is no `=`.
    None,
    Whole(i64, i64),
    OneOf(&'static [&'static str]),
    /// CPU numbers as bits: decimal, or hex after `0x`.
    Mask,
}

impl Value {
    fn fits(&self, value: Option<&str>) -> bool {
        let digits = |text: &str| {
            let text = text.strip_prefix('-').unwrap_or(text);
            (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        match (self, value) {
            (Self::None, None) => true,
            (Self::Whole(least, most), Some(v)) => {
                digits(v) && v.parse().is_ok_and(|n: i64| (*least..=*most).contains(&n))
            }
            (Self::OneOf(words), Some(v)) => words.contains(&v),
            (Self::Mask, Some(v)) => match v.strip_prefix("0x") {
                Some(hex) => {
                    (1..=16).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit())
                }
                None => !v.starts_with('-') && digits(v),
            },
            _ => false,
        }
    }

    /// How the argument is written, after its name.
    fn form(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Whole(least, most) => format!("={least}..{most}"),
            Self::OneOf(words) => format!("={}", words.join("|")),
            Self::Mask => "=0xMASK".to_owned(),
        }
    }
}

/// From `xmrig --help` of 6.26. Not here: `--stress`, which mines for XMRig's own pool, and `--randomx-wrmsr` with
/// registers written out.
const XMRIG: &[(&str, Value)] = &[
    ("--argon2-impl", Value::OneOf(&["x86_64", "SSE2", "SSSE3", "XOP", "AVX2", "AVX-512F"])),
    ("--asm", Value::OneOf(&["auto", "none", "intel", "ryzen", "bulldozer"])),
    (
        "--bench",
        Value::OneOf(&[
            "250K", "500K", "1M", "2M", "3M", "4M", "5M", "6M", "7M", "8M", "9M", "10M",
        ]),
    ),
    ("--cpu-affinity", Value::Mask),
    ("--cpu-max-threads-hint", Value::Whole(1, 100)),
    ("--cpu-memory-pool", Value::Whole(-1, 65_536)),
    ("--cpu-no-yield", Value::None),
    ("--cpu-priority", Value::Whole(0, 5)),
    ("--dns-ttl", Value::Whole(1, 86_400)),
    // Higher levels would be a way to take the hashrate away from its owner.
    ("--donate-level", Value::Whole(0, 10)),
    ("--huge-pages-jit", Value::None),
    ("--hugepage-size", Value::Whole(4, 1_048_576)),
    ("--ipv4", Value::None),
    ("--ipv6", Value::None),
    ("--keepalive", Value::None),
    ("--nicehash", Value::None),
    ("--no-dmi", Value::None),
    ("--pause-on-active", Value::Whole(1, 86_400)),
    ("--pause-on-battery", Value::None),
    ("--randomx-1gb-pages", Value::None),
    ("--randomx-cache-qos", Value::None),
    ("--randomx-init", Value::Whole(-1, 4096)),
    ("--randomx-mode", Value::OneOf(&["auto", "fast", "light"])),
    ("--randomx-no-numa", Value::None),
    ("--randomx-no-rdmsr", Value::None),
    ("--randomx-wrmsr", Value::Whole(-1, 15)),
    ("--retries", Value::Whole(1, 1000)),
    ("--retry-pause", Value::Whole(1, 3600)),
    ("--verbose", Value::None),
];

/// TT-Miner takes name and value as two arguments; a profile writes them as one, with `=`, like all others.
/// Clocks and power limits are missing: they can damage a card, here and below.
const TT_MINER: &[(&str, Value)] = &[
    ("-cuda-order", Value::None),
    ("-dag-2mem", Value::None),
    ("-tstart", Value::Whole(20, 110)),
    ("-tstop", Value::Whole(40, 110)),
];

/// From lolMiner's own list of options, 1.62.
const LOLMINER: &[(&str, Value)] = &[
    ("--compactaccept", ON_OFF),
    ("--dagdelay", Value::Whole(-1, 60)),
    ("--digits", Value::Whole(0, 6)),
    ("--disable-dag-verify", Value::Whole(0, 1)),
    ("--ergo-prebuild", Value::Whole(-1, 1)),
    ("--ethstratum", Value::OneOf(&["ETHV1", "ETHPROXY"])),
    ("--keepfree", Value::Whole(0, 4096)),
    ("--longstats", Value::Whole(5, 3600)),
    ("--max-latency", Value::Whole(0, 10_000)),
    ("--mode", Value::OneOf(&["a", "b", "s"])),
    ("--shortstats", Value::Whole(5, 3600)),
    ("--timeprint", ON_OFF),
    ("--tmode", Value::OneOf(&["edge", "junction", "memory"])),
    ("--tstart", Value::Whole(20, 110)),
    ("--tstop", Value::Whole(40, 110)),
];

/// From SRBMiner-Multi's own list of parameters. What runs a script, turns the machine off, writes registers or keeps
/// files is missing.
const SRBMINER: &[(&str, Value)] = &[
    ("--cpu-affinity", Value::Mask),
    ("--cpu-threads-intensity", Value::OneOf(&["1", "2", "4"])),
    ("--cpu-threads-priority", Value::Whole(1, 5)),
    ("--disable-auto-affinity", Value::None),
    ("--disable-cpu", Value::None),
    ("--disable-extranonce-subscribe", Value::None),
    ("--disable-gpu", Value::None),
    ("--disable-gpu-amd", Value::None),
    ("--disable-gpu-intel", Value::None),
    ("--disable-gpu-nvidia", Value::None),
    ("--disable-msr-tweaks", Value::None),
    ("--disable-numa-binding", Value::None),
    ("--enable-workers-ramp-up", Value::None),
    ("--esm", Value::Whole(0, 2)),
    ("--extended-log", Value::None),
    ("--give-up-limit", Value::Whole(1, 1000)),
    ("--gpu-off-temperature", Value::Whole(40, 110)),
    ("--gpu-progpow-safe", Value::None),
    ("--gpu-table-slow-build", Value::None),
    ("--keepalive", TRUE_FALSE),
    ("--max-no-share-sent", Value::Whole(0, 86_400)),
    ("--miner-priority", Value::Whole(1, 5)),
    ("--nicehash", TRUE_FALSE),
    ("--randomx-use-1gb-pages", Value::None),
    ("--retry-time", Value::Whole(1, 3600)),
    ("--send-stales", TRUE_FALSE),
];

const ON_OFF: Value = Value::OneOf(&["on", "off"]);
const TRUE_FALSE: Value = Value::OneOf(&["true", "false"]);

fn allowed(miner_type: &str) -> &'static [(&'static str, Value)] {
    match miner_type {
        "xmrig" => XMRIG,
        "tt-miner" => TT_MINER,
        "lolminer" => LOLMINER,
        "srbminer" => SRBMINER,
        _ => &[],
    }
}

/// Whether a miner of this type may be given `argument` after those `before` it.
///
/// # Errors
/// Names the argument, and what is allowed.
pub fn check(miner_type: &str, argument: &str, before: &[String]) -> Result<(), String> {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (argument, None),
    };
    let shown = super::text::clean(argument, 64);
    let allowed = allowed(miner_type);
    let Some((_, form)) = allowed.iter().find(|(n, _)| *n == name) else {
        return Err(if allowed.is_empty() {
            format!("{shown:?} is refused: a miner of this type takes no arguments")
        } else {
            let list: Vec<_> = allowed.iter().map(|(n, v)| format!("{n}{}", v.form())).collect();
            format!("{shown:?} is not allowed; allowed are {}", list.join(" "))
        });
    };
    if !form.fits(value) {
        return Err(format!("{shown:?} is not understood; {name}{} is expected", form.form()));
    }
    if before.iter().any(|b| b.split('=').next() == Some(name)) {
        return Err(format!("{name} is given twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    fn fine(miner_type: &str, argument: &str) -> bool {
        check(miner_type, argument, &[]).is_ok()
    }

    #[test]
    fn tuning_is_taken() {
        for argument in [
            "--cpu-priority=5",
            "--cpu-affinity=0xFF",
            "--cpu-affinity=255",
            "--asm=ryzen",
            "--randomx-1gb-pages",
            "--randomx-wrmsr=-1",
            "--bench=1M",
            "--donate-level=1",
            "--verbose",
        ] {
            assert!(fine("xmrig", argument), "{argument}");
        }
        assert!(fine("tt-miner", "-tstop=85") && fine("tt-miner", "-dag-2mem"));
        assert!(fine("lolminer", "--dagdelay=-1") && fine("lolminer", "--timeprint=on"));
        assert!(fine("srbminer", "--disable-gpu") && fine("srbminer", "--keepalive=true"));
    }

    #[test]
    fn wrong_values_and_forms_are_refused() {
        for argument in [
            "--cpu-priority",
            "--cpu-priority=6",
            "--cpu-priority=+1",
            "--cpu-priority= 1",
            "--cpu-priority 1",
            "--cpu-priority=1 --url=x:1",
            "--cpu-affinity=0x",
            "--cpu-affinity=-1",
            "--verbose=1",
            "--verbose=",
            "--asm=",
            "--bench=99M",
            "--donate-level=99",
            "--randomx-wrmsr=0x1a4:6",
            "--VERBOSE",
            "",
        ] {
            assert!(!fine("xmrig", argument), "{argument:?}");
        }
    }

    /// Every option of `xmrig --help`, so that a new entry of the list is looked at twice.
    #[test]
    fn nothing_that_changes_pool_wallet_files_or_the_api_is_allowed() {
        for name in [
            "url",
            "user",
            "pass",
            "userpass",
            "proxy",
            "rig-id",
            "tls",
            "tls-fingerprint",
            "coin",
            "algo",
            "daemon",
            "daemon-zmq-port",
            "daemon-poll-interval",
            "daemon-job-timeout",
            "self-select",
            "submit-to-origin",
            "user-agent",
            "donate-over-proxy",
            "threads",
            "api-worker-id",
            "api-id",
            "http-host",
            "http-port",
            "http-access-token",
            "http-no-restricted",
            "tls-gen",
            "tls-cert",
            "tls-cert-key",
            "tls-dhparam",
            "tls-protocols",
            "tls-ciphers",
            "tls-ciphersuites",
            "syslog",
            "log-file",
            "print-time",
            "no-color",
            "config",
            "background",
            "version",
            "help",
            "dry-run",
            "export-topology",
            "stress",
            "submit",
            "verify",
            "no-cpu",
        ] {
            for argument in [format!("--{name}"), format!("--{name}=1"), format!("--{name}=x:1")] {
                assert!(!fine("xmrig", &argument), "{argument}");
            }
        }
        for short in ["-o", "-u", "-p", "-O", "-x", "-c", "-l", "-S", "-B", "-t", "-a", "-k"] {
            assert!(!fine("xmrig", short) && !fine("xmrig", &format!("{short}=1")), "{short}");
        }
    }

    /// Pools, wallets, files, the API, scripts, clocks, and what the adapter sets.
    #[test]
    fn neither_is_it_for_the_miners_of_gpus() {
        for argument in "-o=h:1 -P=w@h:1 -u=w -b=0.0.0.0 -log -oc-core=200 -i=9".split(' ') {
            assert!(!fine("tt-miner", argument), "{argument}");
        }
        let lolminer = "algo a pool p user u pass tls worker coin c config json profile dualmode dualpool dualuser \
                        dualpass dualtls log logfile apiport apihost watchdog watchdogscript cclk mclk pl fan \
                        devices dns-over-https benchmark";
        for name in lolminer.split(' ') {
            for argument in [format!("--{name}"), format!("--{name}=1"), format!("-{name}=on")] {
                assert!(!fine("lolminer", &argument), "{argument}");
            }
        }
        let srbminer = "algorithm pool wallet worker password tls proxy dns-over-https config-file pools-file \
                        log-file log-file-mode api-enable api-port api-rig-name api-rig-restart-url \
                        api-rig-shutdown-url api-miner-restart-url startup-script reboot-script-gpu-watchdog \
                        a0-oc-script a1-oc-script shutdown-temperature background setup gpu-plimit0 gpu-cclock0 \
                        gpu-fan0 msr-use-tweaks msr-use-preset force-msr-tweaks verthash-dat-path gpu-id \
                        gpu-intensity cpu-threads";
        for name in srbminer.split(' ') {
            for argument in [format!("--{name}"), format!("--{name}=1"), format!("--{name}=x:1")] {
                assert!(!fine("srbminer", &argument), "{argument}");
            }
        }
    }

    #[test]
    fn the_error_names_the_argument_and_what_is_allowed() {
        let error = check("xmrig", "--config=/x\u{1b}", &[]).unwrap_err();
        assert!(error.contains("\"--config=/x\"") && error.contains("--cpu-priority=0..5"));
        let error = check("xmrig", "--asm=6502", &[]).unwrap_err();
        assert!(error.contains("--asm=auto|none|intel|ryzen|bulldozer"), "{error}");
        let error = check("simulated", "--verbose", &[]).unwrap_err();
        assert!(error.contains("takes no arguments"), "{error}");
        let before = ["--asm=none".to_owned()];
        assert!(check("xmrig", "--asm=auto", &before).unwrap_err().contains("twice"));
    }
}

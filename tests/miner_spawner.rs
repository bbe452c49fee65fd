//! The spawner against real processes: the simulated miner and small scripts.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod miner_support;

use std::time::{Duration, Instant};

use miner_cli::bus::{self, Note, SpawnCommand};
use miner_cli::logs::{BYTES, LINES};
use miner_support::{FAR, Spawner, eventually, runs, script, temp};
use serde_json::json;

#[test]
fn a_miner_starts_hashes_and_stops() {
    let spawner = Spawner::new();
    let pid = spawner.simulate(&json!({"warmup": 2.5, "shareEvery": 0.5}));
    let young = spawner.sample(|_| true);
    assert_eq!((young.hashrate.now, young.hashrate.highest), (None, None), "not 0: unknown");
    let warm = spawner.sample(|sample| sample.hashrate.now.is_some());
    assert!((900.0..1100.0).contains(&warm.hashrate.now.unwrap()));
    assert_eq!((warm.hashrate.minute, warm.algorithm.as_deref()), (None, Some("rx/0")));
    assert!(warm.accepted > Some(0) && warm.rejected == Some(0));
    assert_eq!((warm.devices.len(), warm.threads, warm.pool.connected), (2, Some(2), Some(true)));
    let file = spawner.root.join("miners/simulated-1/config.json");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&file.metadata().unwrap()) & 0o7777, 0o600);
    spawner.stop("simulated-1", FAR);
    let ended = spawner.ended();
    assert_eq!(
        (ended.code, ended.permanent, ended.reason.as_str()),
        (Some(0), false, "it was stopped")
    );
    assert!(!runs(pid) && !file.exists());
    assert!(spawner.log("simulated-1").iter().any(|line| line.contains("SIGTERM received")));
}

#[test]
fn notes_come_from_the_output() {
    let spawner = Spawner::new();
    spawner.simulate(&json!({"shareEvery": 0.5, "poolLossAfter": 4.0, "poolLossFor": 6.0}));
    spawner.note(|note| *note == Note::ShareAccepted);
    let trouble = spawner.note(|note| matches!(note, Note::PoolTrouble(_)));
    let said = "the connection to the pool simulated:3333 broke: end of file";
    assert_eq!(trouble, Note::PoolTrouble(said.to_owned()));
    spawner.note(|note| *note == Note::PoolFine);
}

#[test]
fn sigterm_ignored_is_sigkill_after_the_grace() {
    let spawner = Spawner::new();
    let pid = spawner.simulate(&json!({"ignoreTerm": true}));
    spawner.printed("simulated-1", "new job");
    spawner.stop("simulated-1", Duration::from_millis(300));
    let ended = spawner.ended();
    assert_eq!((ended.signal, ended.permanent), (Some(9), false));
    assert!(ended.reason.contains("SIGTERM did not end it within 0.3 s"), "{}", ended.reason);
    assert!(!runs(pid));
}

#[test]
fn a_slow_end_is_waited_for() {
    let spawner = Spawner::new();
    spawner.simulate(&json!({"slowTerm": 1.0}));
    spawner.printed("simulated-1", "new job");
    let told = Instant::now();
    spawner.stop("simulated-1", FAR);
    assert_eq!(spawner.ended().code, Some(0));
    assert!(told.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_grandchild_that_holds_the_pipe_goes_with_the_miner() {
    let spawner = Spawner::new();
    spawner.simulate(&json!({"grandchild": true, "exitAfter": 0.3, "exitCode": 7}));
    let ended = spawner.ended();
    assert_eq!((ended.code, ended.reason.as_str()), (Some(7), "it ended with exit code 7"));
    let spawner = Spawner::with_script("sleep 100 & echo grandchild $!; exit 3");
    spawner.run_script();
    assert_eq!(spawner.ended().code, Some(3));
    let pid = spawner.log("xmrig-1")[0].split(' ').next_back().unwrap().parse().unwrap();
    eventually("the grandchild is gone", || !runs(pid));
}

#[test]
fn one_that_left_the_group_cannot_hold_up_the_exit() {
    let spawner = Spawner::with_script("setsid sleep 20 & sleep 0.3; echo $!; exit 4");
    spawner.run_script();
    let told = Instant::now();
    assert_eq!(spawner.ended().code, Some(4));
    assert!(told.elapsed() < Duration::from_secs(15), "its pipe was not given up");
    // It is not ours to kill by any rule; the test made it, so the test ends it.
    let pid: u32 = spawner.log("xmrig-1")[0].parse().unwrap();
    let stranger = miner_cli::sys::process::Stranger::open(pid).unwrap();
    stranger.kill_group(Instant::now() + FAR).unwrap();
}

#[test]
fn a_hung_api_gives_no_sample_and_never_a_zero() {
    let spawner = Spawner::new();
    spawner.simulate(&json!({"warmup": 100.0, "hangAfter": 1.5}));
    assert_eq!(spawner.no_sample(), "the miner's API: no answer in time");
}

#[test]
fn an_api_port_in_use_is_told() {
    let spawner = Spawner::new();
    spawner.simulate(&json!({"apiPortTaken": true}));
    spawner.note(|note| *note == Note::ApiPortTaken);
    assert!(spawner.no_sample().contains("no answer in time"));
}

#[test]
fn a_crash_is_told_with_its_signal_and_a_bad_configuration_is_permanent() {
    let spawner = Spawner::with_script("kill -SEGV $$");
    spawner.run_script();
    let ended = spawner.ended();
    assert_eq!((ended.signal, ended.reason.as_str()), (Some(11), "it crashed: SIGSEGV"));
    let spawner =
        Spawner::with_script("echo '[t] no valid configuration found, try a wizard'; exit 2");
    spawner.run_script();
    let ended = spawner.ended();
    assert!(ended.permanent, "{ended:?}");
    assert_eq!(
        ended.reason,
        "it does not accept its configuration: no valid configuration found, try a wizard"
    );
}

#[test]
fn the_program_gets_its_own_home_and_nothing_of_ours() {
    let spawner = Spawner::with_script(
        "echo \"home=$HOME pwd=$(pwd)\"; env | cut -d= -f1 | sort | xargs; cat $PWD/config.json; echo; ls",
    );
    spawner.run_script();
    spawner.ended();
    let log = spawner.log("xmrig-1");
    let folder = spawner.root.join("miners/xmrig-1");
    assert_eq!(log[0], format!("home={0} pwd={0}", folder.display()));
    let known =
        |name| matches!(name, "HOME" | "LANG" | "PATH" | "TZ" | "PWD" | "OLDPWD" | "SHLVL" | "_");
    assert!(log[1].split(' ').all(known), "{}", log[1]);
    assert!(log.iter().any(|line| line.contains("\"user\": \"W.rig-7\"")));
    assert_eq!(log.last().map(String::as_str), Some("config.json"), "nothing else lies there");
}

#[test]
fn what_cannot_be_run_is_refused_with_the_reason() {
    let refused = |spawner: &Spawner, miner_type: &str, config| {
        spawner.start("x-1", miner_type, &config);
        spawner.refused()
    };
    let pool = || json!({"pool": "127.0.0.1:1", "wallet": "W"});
    let spawner = Spawner::with_xmrig(temp(), Some("/does/not/exist".into()), None);
    let (reason, permanent) = refused(&spawner, "xmrig", pool());
    assert!(permanent && reason.contains("/does/not/exist"), "{reason}");
    let (reason, permanent) = refused(&spawner, "tt-miner", pool());
    assert!(permanent && reason.contains("coin or algo"), "{reason}");
    let (reason, permanent) = refused(&spawner, "xmrig", json!({"wallet": "W"}));
    assert!(permanent && reason.contains("config.pool"), "{reason}");
    spawner.start("../x", "simulated", &json!({}));
    assert!(spawner.refused().1);
    let root = temp();
    let path = script(&root, "exit 0");
    let spawner = Spawner::with_xmrig(root, Some(path), Some("00".repeat(32)));
    let (reason, permanent) = refused(&spawner, "xmrig", pool());
    assert!(permanent && reason.contains("SHA-256"), "{reason}");
}

#[test]
fn a_name_that_still_runs_is_not_started_twice() {
    let spawner = Spawner::new();
    spawner.simulate(&json!({}));
    spawner.start("simulated-1", "simulated", &json!({}));
    assert_eq!(spawner.refused(), ("its last process has not ended yet".to_owned(), false));
    // A stop for another run of it stops nothing.
    spawner.tell(SpawnCommand::Stop {
        name: "simulated-1".to_owned(),
        run: 2,
        grace: Duration::ZERO,
        for_good: true,
    });
    spawner.sample(|_| true);
}

#[test]
fn stopping_all_tells_when_nothing_is_left() {
    let spawner = Spawner::new();
    let pids = [1, 2, 3].map(|n| {
        let simulate = if n == 2 { json!({"ignoreTerm": true}) } else { json!({}) };
        spawner.start(&format!("simulated-{n}"), "simulated", &json!({"simulate": simulate}));
        let pid = spawner.started();
        spawner.printed(&format!("simulated-{n}"), "new job");
        pid
    });
    let (done, heard) = bus::reply_channel();
    spawner.tell(SpawnCommand::StopAll { grace: Duration::from_millis(500), done });
    heard.recv_timeout(FAR).unwrap();
    assert!(pids.iter().all(|pid| !runs(*pid)));
}

#[test]
fn a_burst_of_output_is_read_at_once_and_kept_within_bounds() {
    let spawner = Spawner::new();
    spawner.simulate(&json!({"logBurst": 200_000, "exitAfter": 0.0}));
    assert_eq!(spawner.ended().code, Some(0));
    let log = spawner.log("simulated-1");
    assert!(log.len() <= LINES && log.iter().map(String::len).sum::<usize>() <= BYTES);
    assert!(log.last().unwrap().contains("line 200000 of 200000"));
}

#[test]
fn endless_lines_take_no_memory() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let spawner = Spawner::with_script("head -c 134217728 /dev/zero | tr '\\0' x; echo; echo end");
    let before = resident();
    spawner.run_script();
    assert_eq!(spawner.ended().code, Some(0));
    assert!(resident() - before < 32 * 1024, "it took {} KiB", resident() - before);
    assert_eq!(spawner.log("xmrig-1").last().map(String::as_str), Some("end"));
}

#[test]
fn a_survey_names_what_is_installed() {
    let root = temp();
    let path = script(&root, "echo XMRig 6.26.0; echo ' built on'");
    let spawner = Spawner::with_xmrig(root, Some(path.clone()), None);
    let rows = spawner.survey();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["xmrig", "tt-miner", "lolminer", "srbminer", "simulated"]);
    assert_eq!((rows[0].installed, rows[0].version.as_deref()), (true, Some("6.26.0")));
    assert_eq!(rows[0].path.as_deref(), path.to_str());
    assert!(rows[4].installed && rows[4].version.is_some());
}

#[test]
fn a_program_that_hangs_holds_up_its_survey_alone() {
    let spawner = Spawner::with_script("case \"$1\" in --version) sleep 100;; esac");
    let (reply, answer) = bus::reply_channel();
    spawner.tell(SpawnCommand::Survey { reply });
    spawner.simulate(&json!({}));
    assert!(answer.try_recv().is_err(), "the survey still waits for the program");
    assert!(answer.recv_timeout(FAR).unwrap().is_ok());
}

/// Not a test of its own: the daemon that the next test kills.
#[test]
#[ignore = "run by the_miners_die_with_the_daemon"]
fn helper_daemon() {
    let Some(report) = std::env::var_os("MINER_CLI_TEST_REPORT") else { return };
    let spawner = Spawner::new();
    let pid = spawner.simulate(&json!({"ignoreTerm": true}));
    std::fs::write(report, format!("{pid} {}", spawner.root.display())).unwrap();
    spawner.wait("nothing", |_| None::<()>);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the daemon to be killed has to be another process")]
fn the_miners_die_with_the_daemon() {
    let report = temp().join("report");
    let mut daemon = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "helper_daemon"])
        .env("MINER_CLI_TEST_REPORT", &report)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(&report).unwrap_or_default();
    eventually("the report", || said().split(' ').count() == 2);
    let said = said();
    let (pid, root) = said.split_once(' ').unwrap();
    let pid = pid.parse().unwrap();
    assert!(runs(pid));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    eventually("the miner is gone", || !runs(pid));
    std::fs::remove_dir_all(root).unwrap();
    std::fs::remove_dir_all(report.parent().unwrap()).unwrap();
}

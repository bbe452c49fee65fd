use super::{EVERY, KEPT, PART, Writer, end_of, owner};
use crate::bus::{reply_channel, wire_channel};
use crate::logs::{LINES, Logs};
use crate::sys::{random, thread};
use crossbeam_channel::Receiver;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("mc-logs-{}", random::hex::<6>()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// What a daemon has that begins here: nothing is known but the files.
    fn daemon(&self) -> (Arc<Logs>, Writer, Receiver<()>) {
        let (wake, news) = wire_channel(1);
        let logs = Arc::new(Logs::on_disk(self.0.clone(), wake));
        let writer = Writer::new(&logs);
        (logs, writer, news)
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap_or_default()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_next_daemon_finds_the_run_before_its_own() {
    let folder = Folder::new();
    for (run, before) in [("one", None), ("two", Some("one")), ("three", Some("two"))] {
        let (logs, mut writer, _news) = folder.daemon();
        let ring = logs.open("xmrig-1");
        let found: Vec<String> =
            before.iter().flat_map(|b| [format!("{b} a"), format!("{b} b")]).collect();
        assert_eq!(ring.tail(10, false), found, "before anything is started");
        ring.begin_run();
        ring.push(format!("{run} a").as_bytes());
        writer.round();
        ring.push(format!("{run} b").as_bytes());
        writer.round();
        writer.round();
        assert_eq!(ring.tail(10, true), found);
        assert_eq!(folder.text("xmrig-1.log"), format!("{run} a\n{run} b\n"));
    }
    assert_eq!(folder.text("xmrig-1.previous.log"), "two a\ntwo b\n");
    assert_eq!(folder.files(), ["xmrig-1.log", "xmrig-1.previous.log"]);
    let mode = std::fs::metadata(folder.0.join("xmrig-1.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn lines_of_two_runs_that_come_in_one_round_keep_their_places() {
    let folder = Folder::new();
    let (logs, mut writer, _news) = folder.daemon();
    let ring = logs.open("xmrig-1");
    ring.begin_run();
    ring.push(b"first");
    writer.round();
    ring.push(b"last words");
    ring.begin_run();
    ring.push(b"second");
    writer.round();
    assert_eq!(folder.text("xmrig-1.previous.log"), "first\nlast words\n");
    assert_eq!(folder.text("xmrig-1.log"), "second\n");
    // Two runs since the last round: the first of them is the previous one now.
    ring.begin_run();
    ring.push(b"third");
    ring.begin_run();
    writer.round();
    assert_eq!(folder.text("xmrig-1.previous.log"), "third\n");
    assert_eq!(folder.text("xmrig-1.log"), "");
}

#[test]
fn the_files_of_a_run_are_bounded_and_keep_the_newest_lines() {
    let folder = Folder::new();
    let (logs, mut writer, _news) = folder.daemon();
    let ring = logs.open("xmrig-1");
    ring.begin_run();
    let mut rounds = 0;
    for i in 0..40_000 {
        ring.push(format!("line {i:06} {}", "x".repeat(80)).as_bytes());
        if i % 1_000 == 999 {
            writer.round();
            rounds += 1;
            // After each, the next daemon finds as much as a ring holds, without a gap.
            let found = folder.daemon().0.open("xmrig-1").tail(usize::MAX, false);
            let numbers: Vec<u32> = found.iter().map(|l| l[5..11].parse().unwrap()).collect();
            assert!(numbers.windows(2).all(|w| w[0] + 1 == w[1]), "round {rounds}");
            assert_eq!(numbers.last(), Some(&i));
            assert!(numbers.len() > 1_900.min(i as usize), "{} after {i}", numbers.len());
        }
    }
    for file in ["xmrig-1.log", "xmrig-1.log.1"] {
        let length = std::fs::metadata(folder.0.join(file)).unwrap().len();
        assert!(length > 0 && length <= PART, "{file}: {length}");
    }
    assert_eq!(folder.files().len(), 2);
    ring.begin_run();
    writer.round();
    assert_eq!(folder.files(), ["xmrig-1.log", "xmrig-1.previous.log", "xmrig-1.previous.log.1"]);
}

#[test]
fn what_the_ring_lost_before_it_was_written_is_counted() {
    let folder = Folder::new();
    let (logs, mut writer, _news) = folder.daemon();
    let ring = logs.open("xmrig-1");
    ring.begin_run();
    (0..LINES + 7).for_each(|i| ring.push(format!("{i}").as_bytes()));
    writer.round();
    let text = folder.text("xmrig-1.log");
    assert!(text.starts_with("[miner-cli: 7 lines are missing here]\n7\n8\n"), "{}", &text[..60]);
}

#[test]
fn a_disk_that_takes_nothing_costs_lines_and_nothing_else() {
    let folder = Folder::new();
    let (logs, mut writer, _news) = folder.daemon();
    let ring = logs.open("xmrig-1");
    ring.begin_run();
    ring.push(b"a");
    writer.round();
    ring.begin_run();
    let (log, elsewhere) = (folder.0.join("xmrig-1.log"), folder.0.join("elsewhere"));
    writer.round();
    std::fs::remove_file(&log).unwrap();
    for obstacle in 0..2 {
        if obstacle == 0 { std::fs::create_dir(&log) } else { symlink(&elsewhere, &log) }.unwrap();
        ring.push(b"lost");
        writer.round();
        ring.push(b"lost too");
        writer.round();
        if obstacle == 0 { std::fs::remove_dir(&log) } else { std::fs::remove_file(&log) }.unwrap();
        ring.push(b"b");
        writer.round();
        assert_eq!(folder.text("xmrig-1.log"), "[miner-cli: 2 lines are missing here]\nb\n");
        std::fs::remove_file(&log).unwrap();
    }
    assert_eq!(folder.text("xmrig-1.previous.log"), "a\n");
    assert!(!elsewhere.exists(), "a link must not be followed");
    assert_eq!(ring.tail(10, false).len(), 6);
}

#[test]
fn a_run_that_began_while_the_disk_was_away_still_moves_the_one_before() {
    let folder = Folder::new();
    let (logs, mut writer, _news) = folder.daemon();
    let ring = logs.open("xmrig-1");
    ring.begin_run();
    ring.push(b"a");
    writer.round();
    let blocked = folder.0.join("xmrig-1.previous.log");
    std::fs::create_dir(&blocked).unwrap();
    ring.begin_run();
    ring.push(b"b");
    writer.round();
    assert_eq!(folder.text("xmrig-1.log"), "a\n", "nothing of another run may get in here");
    std::fs::remove_dir(&blocked).unwrap();
    ring.push(b"c");
    writer.round();
    assert_eq!(folder.text("xmrig-1.previous.log"), "a\n");
    assert_eq!(folder.text("xmrig-1.log"), "[miner-cli: 1 lines are missing here]\nc\n");
}

#[test]
fn a_forgotten_miner_leaves_no_file() {
    let folder = Folder::new();
    let (logs, mut writer, _news) = folder.daemon();
    for miner in ["xmrig-1", "xmrig-10"] {
        let ring = logs.open(miner);
        for run in 0..2 {
            ring.begin_run();
            ring.push(format!("{run}").as_bytes());
            writer.round();
        }
    }
    logs.remove("xmrig-1");
    writer.round();
    assert_eq!(folder.files(), ["xmrig-10.log", "xmrig-10.previous.log"]);
}

#[test]
fn files_of_miners_that_are_long_gone_are_bounded() {
    let folder = Folder::new();
    let (logs, mut writer, _news) = folder.daemon();
    let write = |name: String, age: u64| {
        let file = std::fs::File::create(folder.0.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    };
    for i in 0..KEPT as u64 + 8 {
        write(format!("old-{i}.log"), 1000 + i);
        write(format!("old-{i}.previous.log.1"), 5000 + i);
    }
    write("alive-1.log".to_owned(), 9000);
    write("notes.txt".to_owned(), 9000);
    write("Not Ours.log".to_owned(), 9000);
    logs.open("alive-1");
    logs.open("new-1").begin_run();
    writer.round();
    let files = folder.files();
    let old = files.iter().filter(|f| f.starts_with("old-")).count();
    assert_eq!(old, 2 * KEPT, "{files:?}");
    assert!(files.contains(&"old-0.log".to_owned()) && !files.contains(&"old-39.log".to_owned()));
    for kept in ["alive-1.log", "notes.txt", "Not Ours.log", "new-1.log"] {
        assert!(files.contains(&kept.to_owned()), "{kept} of {files:?}");
    }
}

#[test]
fn a_file_belongs_to_its_miner_or_is_not_ours() {
    for ending in [".log", ".log.1", ".previous.log", ".previous.log.1"] {
        assert_eq!(owner(&format!("xmrig-1{ending}")), Some("xmrig-1"), "{ending}");
    }
    for other in ["xmrig-1", "xmrig-1.log.2", ".log", "..log", "Xmrig 1.log", "xmrig-1.log.1.log"] {
        assert_eq!(owner(other), None, "{other}");
    }
}

#[test]
fn lines_that_are_not_neighbours_are_not_read_as_such() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("xmrig-1.log.1"), "old\n").unwrap();
    let long: String = (0..100).map(|i| format!("{i:04000}\n")).collect();
    std::fs::write(folder.0.join("xmrig-1.log"), long).unwrap();
    let found = folder.daemon().0.open("xmrig-1").tail(usize::MAX, false);
    assert_eq!(found.first(), Some(&format!("{:04000}", 100 - found.len())));
    std::fs::write(folder.0.join("xmrig-1.log"), "new\n").unwrap();
    let found = folder.daemon().0.open("xmrig-1").tail(usize::MAX, false);
    assert_eq!(found, ["old", "new"]);
}

#[test]
fn what_a_power_cut_left_is_read_as_text() {
    let folder = Folder::new();
    let bytes = b"fine\n\x1b[2Jbad\x00\x00\xff\n\xe2\x80\xaehalf a li".to_vec();
    std::fs::write(folder.0.join("xmrig-1.log"), bytes).unwrap();
    let found = folder.daemon().0.open("xmrig-1").tail(10, false);
    assert_eq!(found, ["fine", "[2Jbad\u{fffd}", "half a li"]);
}

#[test]
fn the_end_of_a_file_is_read_in_whole_lines() {
    let folder = Folder::new();
    let path = folder.0.join("x");
    std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
    let read = |most| {
        let (bytes, whole) = end_of(Path::new(&path), most).unwrap();
        (String::from_utf8(bytes).unwrap(), whole)
    };
    assert_eq!(read(100), ("one\ntwo\nthree\n".to_owned(), true));
    assert_eq!(read(8), ("three\n".to_owned(), false));
    assert_eq!(read(3), (String::new(), false));
}

#[test]
fn the_thread_writes_what_comes_and_the_last_lines_at_its_end() {
    let folder = Folder::new();
    let (logs, writer, news) = folder.daemon();
    let (over, ended) = wire_channel(1);
    let (done, finished) = reply_channel();
    let started = std::time::Instant::now();
    let running = thread::spawn("miner-logs", move || {
        writer.run(&news, &ended);
        let _ = done.send(());
    });
    let ring = logs.open("xmrig-1");
    ring.begin_run();
    ring.push(b"a");
    let far = std::time::Instant::now() + Duration::from_secs(60);
    let seen = |text: &str| folder.text("xmrig-1.log").ends_with(text);
    assert!(crate::sys::service::look_until(far, || seen("a\n").then_some(())).is_some());
    ring.push(b"b");
    assert!(crate::sys::service::look_until(far, || seen("b\n").then_some(())).is_some());
    assert!(started.elapsed() >= EVERY, "two rounds of writing within {EVERY:?}");
    ring.push(b"c");
    drop(over);
    finished.recv_timeout(Duration::from_secs(60)).unwrap();
    running.unwrap().join().unwrap();
    assert_eq!(folder.text("xmrig-1.log"), "a\nb\nc\n");
}

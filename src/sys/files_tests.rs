use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{
    GROUP, PRIVATE, check_private, lock, not_saved, private_folder, read_private, read_small,
    write_atomic,
};
use crate::model::fault::Code;

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("miner-cli-files-{}", crate::sys::random::hex::<8>());
        let folder = std::env::temp_dir().join(name);
        private_folder(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_file_is_replaced_with_the_mode_asked_for_and_nothing_is_left_over() {
    let folder = Folder::new();
    let path = folder.file("node.json", 0o644);
    write_atomic(&path, b"new", 0o600).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(mode(&path), 0o600);
    write_atomic(&path, b"again", 0o640).unwrap();
    assert_eq!(mode(&path), 0o640);
    assert_eq!(folder.names(), ["node.json"]);
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_no_new_one() {
    let folder = Folder::new();
    // A folder that is not empty cannot be renamed over, whoever runs this.
    let path = folder.0.join("taken");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("kept"), b"kept").unwrap();
    let fault = write_atomic(&path, b"new", 0o600).unwrap_err();
    assert_eq!(fault.code, Code::NotSaved);
    assert!(fault.message.contains(path.to_str().unwrap()), "{fault}");
    assert_eq!(fs::read(path.join("kept")).unwrap(), b"kept");
    assert_eq!(folder.names(), ["taken"]);
}

#[test]
fn a_symbolic_link_is_replaced_and_what_it_leads_to_is_untouched() {
    let folder = Folder::new();
    let other = folder.file("other", 0o600);
    let path = folder.0.join("link");
    symlink(&other, &path).unwrap();
    write_atomic(&path, b"new", 0o600).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"old");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
}

#[test]
fn the_usual_causes_are_told_in_words_with_what_to_do() {
    for (kind, words) in [
        (ErrorKind::StorageFull, "the disk is full"),
        (ErrorKind::ReadOnlyFilesystem, "the file system is read-only"),
        (ErrorKind::PermissionDenied, "this user may not"),
    ] {
        let fault = not_saved(Path::new("/x/node.json"), &io::Error::from(kind));
        assert_eq!(fault.message, format!("/x/node.json cannot be written: {words}"));
        assert!(fault.hint.is_some());
    }
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let folder = Folder::new();
    for (bits, fine) in [
        (0o600, true),
        (0o400, true),
        (0o640, false),
        (0o604, false),
        (0o620, false),
        (0o601, false),
        (0o700, false),
    ] {
        let path = folder.file(&format!("key-{bits:o}"), bits);
        let read = read_private(&path, 100, PRIVATE);
        assert_eq!(read.is_ok(), fine, "{bits:o}");
        if let Err(fault) = read {
            assert_eq!(fault.code, Code::Conflict);
            assert!(fault.message.contains(&format!("{bits:04o}")), "{fault}");
            assert!(fault.hint.unwrap().starts_with("chmod 600 "));
        }
    }
}

#[test]
fn a_link_to_a_secret_is_judged_by_the_secret() {
    let folder = Folder::new();
    for (bits, fine) in [(0o600, true), (0o644, false)] {
        let path = folder.0.join(format!("link-{bits:o}"));
        symlink(folder.file(&format!("key-{bits:o}"), bits), &path).unwrap();
        assert_eq!(read_private(&path, 100, PRIVATE).is_ok(), fine, "{bits:o}");
    }
}

#[test]
fn what_a_group_shares_may_be_read_by_it_and_no_further() {
    let folder = Folder::new();
    for (bits, fine) in [(0o600, true), (0o640, true), (0o660, false), (0o644, false)] {
        let path = folder.file(&format!("token-{bits:o}"), bits);
        assert_eq!(read_private(&path, 100, GROUP).is_ok(), fine, "{bits:o}");
    }
}

#[test]
fn a_secret_of_another_user_is_refused() {
    let path = Path::new("/proc/1/comm");
    let folder = Folder::new();
    let other = folder.file("key", 0o600);
    let path = if std::os::unix::fs::chown(&other, Some(12345), None).is_ok() {
        other.as_path()
    } else {
        path // Not root: process 1 is another user's.
    };
    let fault = check_private(&File::open(path).unwrap(), path, PRIVATE).unwrap_err();
    assert!(fault.message.contains("belongs to user"), "{fault}");
}

#[test]
fn what_is_too_long_or_no_regular_file_is_refused() {
    let folder = Folder::new();
    let path = folder.file("small", 0o600);
    assert_eq!(read_small(&path, 3).unwrap(), Some(b"old".to_vec()));
    assert!(read_small(&path, 2).unwrap_err().message.contains("longer than 2 bytes"));
    assert!(read_small(&folder.0, 10).unwrap_err().message.contains("no regular file"));
    assert_eq!(read_small(&folder.0.join("none"), 10).unwrap(), None);
    assert!(read_private(&folder.0.join("none"), 10, PRIVATE).is_err());
}

#[test]
fn folders_are_made_private_and_one_that_exists_keeps_its_mode() {
    let folder = Folder::new();
    let deep = folder.0.join("a/b");
    private_folder(&deep).unwrap();
    assert_eq!(mode(&deep), 0o700);
    assert_eq!(mode(&folder.0.join("a")), 0o700);

    fs::set_permissions(&deep, Permissions::from_mode(0o755)).unwrap();
    private_folder(&deep).unwrap();
    assert_eq!(mode(&deep), 0o755);

    fs::set_permissions(&deep, Permissions::from_mode(0o1777)).unwrap();
    let fault = private_folder(&deep).unwrap_err();
    assert!(fault.message.contains("every user may write"), "{fault}");
    assert!(fault.message.contains(deep.to_str().unwrap()), "{fault}");
}

#[test]
fn a_folder_that_cannot_be_had_is_named() {
    let folder = Folder::new();
    let under_a_file = folder.file("plain", 0o600).join("x");
    for place in [under_a_file.as_path(), Path::new("/proc/miner-cli")] {
        let fault = private_folder(place).unwrap_err();
        assert_eq!(fault.code, Code::NotSaved);
        assert!(fault.message.contains(place.to_str().unwrap()), "{fault}");
    }
    // It exists, and nothing can be made in it.
    let fault = private_folder(Path::new("/proc/self")).unwrap_err();
    assert!(fault.message.starts_with("/proc/self cannot be written"), "{fault}");
}

#[test]
fn a_second_daemon_is_kept_away_until_the_first_ends() {
    let folder = Folder::new();
    let path = folder.0.join("daemon.lock");
    let first = lock(&path).unwrap();
    let fault = lock(&path).unwrap_err();
    assert_eq!(fault.code, Code::Conflict);
    assert!(fault.message.contains("another daemon"), "{fault}");
    drop(first);
    lock(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

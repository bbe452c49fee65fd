//! Files that matter: written whole or not at all, private to their owner, and one daemon a folder.
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::model::fault::{Code, Fault};
use crate::sys::random;

/// Mode of files that only their owner may read.
pub const PRIVATE: u32 = 0o600;
/// … and that its group may read, too: what the system's service tells those who may use it.
pub const GROUP: u32 = 0o640;

/// A failed write or change of `path` as a sentence that names it, with what to do where that is known.
#[must_use]
pub fn not_saved(path: &Path, error: &io::Error) -> Fault {
    let (why, hint) = explain(error);
    let fault = Fault::new(Code::NotSaved, format!("{} cannot be written: {why}", path.display()));
    hint.map_or(fault.clone(), |hint| fault.hint(hint))
}

/// A failed read of `path`, likewise.
#[must_use]
pub fn not_read(path: &Path, error: &io::Error) -> Fault {
    Fault::new(Code::Internal, format!("{} cannot be read: {}", path.display(), explain(error).0))
}

fn explain(error: &io::Error) -> (String, Option<&'static str>) {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ("the disk is full".to_owned(), Some("make room on that disk and try again"))
        }
        ErrorKind::ReadOnlyFilesystem => (
            "the file system is read-only".to_owned(),
            Some("mount it writable, or choose another folder with --home"),
        ),
        ErrorKind::PermissionDenied => (
            "this user may not".to_owned(),
            Some("run as the user that owns the folder, or choose another one with --home"),
        ),
        _ => (error.to_string(), None),
    }
}

/// Replaces `path` by `bytes` with `mode`, on disk when this returns: readers see the old file or the new one,
/// and after a failure the old one is still there. A symbolic link at `path` is replaced, never followed.
///
/// # Errors
/// `NOT_SAVED`, naming the file.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    replace(path, bytes, mode).map_err(|e| not_saved(path, &e))
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = folder_of(path);
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", random::hex::<8>()));
    let written = write_new(&temporary, bytes, mode)
        .and_then(|()| std::fs::rename(&temporary, path))
        .and_then(|()| File::open(&folder)?.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The folder that `path` lies in; `.` for a bare name.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reads a small file of at most `most` bytes; `None` when there is none.
///
/// # Errors
/// It cannot be read, or is longer.
pub fn read_small(path: &Path, most: usize) -> Result<Option<Vec<u8>>, Fault> {
    match open(path) {
        Ok(file) => read_to_end(file, path, most).map(Some),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(not_read(path, &e)),
    }
}

/// Reads a secret. The file must belong to this user, and its mode be at most `widest`: [`PRIVATE`] or [`GROUP`]. A
/// symbolic link is followed, and the file that it leads to is judged.
///
/// # Errors
/// Another owner, a wider mode (the sentence says how to mend it), too long, or unreadable.
pub fn read_private(path: &Path, most: usize, widest: u32) -> Result<Vec<u8>, Fault> {
    let file = open(path).map_err(|e| not_read(path, &e))?;
    check_private(&file, path, widest)?;
    read_to_end(file, path, most)
}

/// Without waiting for a writer should `path` be a FIFO.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

fn read_to_end(file: File, path: &Path, most: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|e| not_read(path, &e))?;
    if bytes.len() > most {
        let text = format!("{} cannot be read: it is longer than {most} bytes", path.display());
        return Err(Fault::new(Code::Internal, text));
    }
    Ok(bytes)
}

/// Whether an open file (`path` is for the message) belongs to this user and its mode is at most `widest`.
///
/// # Errors
/// `CONFLICT`, with the command that mends it.
pub fn check_private(file: &File, path: &Path, widest: u32) -> Result<(), Fault> {
    let about = file.metadata().map_err(|e| not_read(path, &e))?;
    let (owner, us) = (about.uid(), effective_user());
    if owner != us {
        let text = format!("{} belongs to user {owner}, not to user {us}", path.display());
        return Err(Fault::new(Code::Conflict, text)
            .hint("run as the user that owns it, or choose another folder with --home"));
    }
    let mode = about.mode() & 0o777;
    if mode & !widest != 0 {
        let text = format!(
            "{} may be used by others (mode {mode:04o}): {widest:04o} is wanted",
            path.display()
        );
        return Err(
            Fault::new(Code::Conflict, text).hint(format!("chmod {widest:o} '{}'", path.display()))
        );
    }
    Ok(())
}

#[expect(unsafe_code, reason = "geteuid takes no arguments and cannot fail")]
fn effective_user() -> u32 {
    unsafe { libc::geteuid() }
}

/// Makes `folder` (and those above it) with mode 0700 where it is missing, and proves that files can be made in
/// it. The mode of a folder that exists is not changed; one that every user may write to is refused.
///
/// # Errors
/// Names the folder, and says why.
pub fn private_folder(folder: &Path) -> Result<(), Fault> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| not_saved(folder, &e))?;
    let about = std::fs::metadata(folder).map_err(|e| not_read(folder, &e))?;
    if about.mode() & 0o002 != 0 {
        let text = format!("every user may write to the folder {}", folder.display());
        return Err(
            Fault::new(Code::Conflict, text).hint(format!("chmod o-w '{}'", folder.display()))
        );
    }
    let probe = folder.join(format!(".probe.{}", random::hex::<8>()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(&probe)
        .and_then(|_| std::fs::remove_file(&probe))
        .map_err(|e| not_saved(folder, &e))
}

/// Held while the daemon runs; the kernel gives it up when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock that keeps a second daemon away from the same folder. The file itself stays.
///
/// # Errors
/// `CONFLICT` when another process holds it.
pub fn lock(path: &Path) -> Result<Lock, Fault> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE)
        .open(path)
        .map_err(|e| not_saved(path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => {
            let text = format!("another daemon already runs here: it holds {}", path.display());
            Err(Fault::new(Code::Conflict, text)
                .hint("stop it first, or give this one a folder of its own with --home"))
        }
        Err(TryLockError::Error(e)) => Err(not_saved(path, &e)),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;

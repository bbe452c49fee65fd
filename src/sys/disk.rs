//! Room on the disk.
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::model::stats::Disk;

/// Bytes that an ordinary user may still write on the file system of `path`.
///
/// # Errors
/// `path` does not exist or cannot be asked about.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    space(path).map(|disk| disk.free)
}

/// How large the file system of `path` is, and what an ordinary user may still write there.
///
/// # Errors
/// `path` does not exist or cannot be asked about.
#[allow(unsafe_code)]
pub fn space(path: &Path) -> io::Result<Disk> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all-zero bytes are a valid `statvfs`, which is plain numbers.
    let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends in NUL and `answer` is writable; both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut answer) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[allow(clippy::unnecessary_cast, reason = "these are 32 bits wide on some targets")]
    let (free, total, block) =
        (answer.f_bavail as u64, answer.f_blocks as u64, answer.f_frsize as u64);
    Ok(Disk { total: total.saturating_mul(block), free: free.saturating_mul(block) })
}

#[cfg(test)]
mod tests {
    use super::{free_bytes, space};

    #[test]
    fn the_root_has_an_answer_and_nowhere_has_none() {
        assert!(free_bytes("/".as_ref()).is_ok());
        assert!(space("/".as_ref()).is_ok_and(|disk| disk.total > 0 && disk.total >= disk.free));
        assert!(free_bytes("/does/not/exist".as_ref()).is_err());
    }
}

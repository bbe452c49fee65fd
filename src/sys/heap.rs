//! What the C library keeps of freed memory.
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::ptr::null;

const VARIABLE: &str = "GLIBC_TUNABLES";
const NO_CACHES: &str = "glibc.malloc.tcache_count=0";

/// Has freed memory go back to where all threads find it. By default glibc keeps some for each thread that freed it: with
/// two threads a link and what they free ten kilobytes a rig, for no gain in time that could be measured.
///
/// glibc takes that setting from the environment only, before anything runs: so the program begins anew in its own process.
/// Whoever has set the variable has decided; where it cannot be done all goes on as it is. Miners get no variable of ours.
pub fn share_freed_memory() {
    if !cfg!(target_env = "gnu") || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let variables = std::env::vars_os().chain([(VARIABLE.into(), NO_CACHES.into())]);
    let error = begin_anew(&program, std::env::args_os(), variables);
    crate::debug!("this process keeps caches of freed memory: {error}");
}

/// Replaces this process by `program`; comes back with the reason when that cannot be done. Not by `Command`, whose `exec`
/// hands a file that the kernel cannot run to a shell: under an emulator that is this program.
#[allow(unsafe_code)]
fn begin_anew(
    program: &Path,
    args: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> io::Error {
    let joined = variables.map(|(name, value)| [name, value].join(OsStr::new("=")));
    let words = CString::new(program.as_os_str().as_bytes())
        .and_then(|program| Ok((program, texts(args)?, texts(joined)?)));
    let (program, args, variables) = match words {
        Ok(words) => words,
        Err(e) => return e.into(),
    };
    let list = |texts: &[CString]| -> Vec<_> {
        texts.iter().map(|text| text.as_ptr()).chain([null()]).collect()
    };
    let (argv, envp) = (list(&args), list(&variables));
    // SAFETY: both lists end with a null pointer and point to texts that outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

fn texts(words: impl Iterator<Item = OsString>) -> Result<Vec<CString>, std::ffi::NulError> {
    words.map(|word| CString::new(word.into_vec())).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, remove_file, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_that_the_kernel_cannot_run_is_not_given_to_a_shell() {
        let name = format!("mc-heap-{}", crate::sys::random::hex::<6>());
        let file = std::env::temp_dir().join(name);
        // Were it run, this process would end, and not well.
        write(&file, "exit 7\n").unwrap();
        set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        let error = super::begin_anew(&file, ["x".into()].into_iter(), std::iter::empty());
        remove_file(&file).unwrap();
        // Busy: another test's child has it open for writing, for a moment more.
        let code = error.raw_os_error();
        assert!(matches!(code, Some(libc::ENOEXEC | libc::ETXTBSY)), "{error}");
    }
}

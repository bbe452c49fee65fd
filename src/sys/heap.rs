//! What the C library keeps of freed memory.
use std::os::unix::process::CommandExt as _;
use std::process::Command;

const VARIABLE: &str = "GLIBC_TUNABLES";
const NO_CACHES: &str = "glibc.malloc.tcache_count=0";

/// Has freed memory go back to where all threads find it. By default glibc keeps some for each thread that freed it: with
/// two threads a link and what they free ten kilobytes a rig, for no gain in time that could be measured.
///
/// glibc takes that setting from the environment only, before anything runs: so the program begins anew in its own process.
/// Whoever has set the variable has decided; where it cannot be done all goes on as it is. Miners get no variable of ours.
#[expect(clippy::disallowed_methods, reason = "no child: this process begins anew")]
pub fn share_freed_memory() {
    if !cfg!(target_env = "gnu") || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| program.clone().into());
    let error = Command::new(program).arg0(name).args(args).env(VARIABLE, NO_CACHES).exec();
    crate::debug!("this process keeps caches of freed memory: {error}");
}

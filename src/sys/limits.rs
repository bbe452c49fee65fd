//! Limits of the process.

/// Raises the number of files that may be open to the most that is allowed: a controller has a socket a rig, the gate
/// up to three a request. The usual first limit, 1,024, is for programs that use `select`.
#[expect(unsafe_code, reason = "getrlimit and setrlimit on a local struct")]
pub fn open_many_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // Failure leaves the limit as it was, and both ports back off when they meet it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

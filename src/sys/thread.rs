//! Named threads. A thread that cannot be had is an error for its caller, not a panic.
use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread. The kernel shows 15 bytes of the name.
///
/// # Errors
/// No further thread can be had (limits of the process or the cgroup).
pub fn spawn<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    debug_assert!(name.len() <= 15, "{name} is cut by the kernel");
    Builder::new().name(name.to_owned()).spawn(f)
}

/// Like [`spawn`], with a stack of 256 KiB: for threads that strangers can cause by the hundred.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_small<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    debug_assert!(name.len() <= 15, "{name} is cut by the kernel");
    Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(f)
}

//! Named threads. A thread that cannot be had is an error for its caller, not a panic.
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};

/// Starts a thread. The kernel shows 15 bytes of the name.
///
/// # Errors
/// No further thread can be had (limits of the process, the cgroup, or the kernel's of memory maps).
pub fn spawn<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    begin(Builder::new(), name, f)
}

/// Like [`spawn`], with a stack of 256 KiB: for threads that strangers can cause by the hundred.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_small<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    begin(Builder::new().stack_size(256 * 1024), name, f)
}

fn begin<T: Send + 'static>(
    builder: Builder,
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    debug_assert!(name.len() <= 15, "{name} is cut by the kernel");
    static MOST: OnceLock<usize> = OnceLock::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let alive = Alive::one_more(&COUNT, *MOST.get_or_init(most))?;
    builder.name(name.to_owned()).spawn(move || {
        let _alive = alive;
        f()
    })
}

// ---- not more than the kernel has memory maps for -----------------------------------------------------------------

/// A thread takes two maps for its stack and two for that of its signal handlers, each a piece of memory and its guard.
const MAPS: usize = 4;
/// For everything else: heaps, files, libraries.
const OTHER_MAPS: usize = 8_192;

/// How many threads the kernel's limit of maps allows. Whoever runs into that limit does not get an error: the start of the
/// next thread, or the next larger piece of memory, ends the process.
fn most() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    text.trim().parse().map_or(usize::MAX, |maps: usize| maps.saturating_sub(OTHER_MAPS) / MAPS)
}

/// A thread that runs, or is about to.
struct Alive(&'static AtomicUsize);

impl Alive {
    fn one_more(count: &'static AtomicUsize, most: usize) -> io::Result<Self> {
        let alive = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(alive);
        }
        Err(io::Error::other(format!(
            "the kernel has room for no more than {most} threads here; raise vm.max_map_count (sysctl)"
        )))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Alive, most};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn there_is_room_for_thousands_and_one_too_many_is_told_what_to_do() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        assert!(most() > 1_000);
        let both = [(); 2].map(|()| Alive::one_more(&COUNT, 2).unwrap());
        let refused = Alive::one_more(&COUNT, 2).err().unwrap().to_string();
        assert!(refused.contains("vm.max_map_count"), "{refused}");
        drop(both);
        assert_eq!(COUNT.load(Ordering::Relaxed), 0);
        assert!(Alive::one_more(&COUNT, 2).is_ok());
    }
}

//! Named threads. A thread that cannot be had is an error for its caller, not a panic.
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    debug_assert!(name.len() <= 15, "{name} is cut by the kernel");
    let room = Room::take(MAPS)?;
    Builder::new().name(name.to_owned()).spawn(move || {
        let _room = room;
        f()
    })
}

/// Starts a thread with a stack of 256 KiB that nobody waits for: for what strangers can cause by the hundred and a farm
/// has by the ten thousand. A panic ends it alone.
///
/// The standard library gives each of its threads a stack for signal handlers, which takes as many memory maps again as the
/// thread's own. This one has none: an overflow of its stack, which ends the process either way, is not explained.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_small(name: &str, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    debug_assert!(name.len() <= 15, "{name} is cut by the kernel");
    let room = Room::take(SMALL_MAPS)?;
    let name = std::ffi::CString::new(name)?;
    begin_small(Box::new(move || {
        let _room = room;
        set_name(&name);
        // The panic's hook has said what it was.
        let _ = catch_unwind(AssertUnwindSafe(f));
    }))
}

type Work = Box<dyn FnOnce() + Send>;

#[expect(
    unsafe_code,
    reason = "pthread_create: the standard library's threads cost twice the memory maps"
)]
fn begin_small(work: Work) -> io::Result<()> {
    extern "C" fn run(work: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: it is the box that was let go of below, and this thread is the only one that has it.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        work();
        std::ptr::null_mut()
    }
    let work = Box::into_raw(Box::new(work));
    // SAFETY: the attributes are set by the first call before the others use them, and freed once.
    let failed = unsafe {
        let mut attributes = std::mem::zeroed();
        match libc::pthread_attr_init(&raw mut attributes) {
            0 => {
                let mut thread = std::mem::zeroed();
                libc::pthread_attr_setstacksize(&raw mut attributes, SMALL_STACK);
                let detached = libc::PTHREAD_CREATE_DETACHED;
                libc::pthread_attr_setdetachstate(&raw mut attributes, detached);
                let failed =
                    libc::pthread_create(&raw mut thread, &raw const attributes, run, work.cast());
                libc::pthread_attr_destroy(&raw mut attributes);
                failed
            }
            failed => failed,
        }
    };
    if failed == 0 {
        return Ok(());
    }
    // SAFETY: there is no thread that could have taken it.
    drop(unsafe { Box::from_raw(work) });
    Err(io::Error::from_raw_os_error(failed))
}

#[expect(unsafe_code, reason = "pthread_setname_np")]
fn set_name(name: &std::ffi::CStr) {
    // SAFETY: a thread's own handle is valid, and the text ends with a zero.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr()) };
}

/// The name of the thread that asks, as the kernel shows it. That of a small one is unknown to the standard library.
#[must_use]
pub fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
    name.trim_end().to_owned()
}

// ---- not more than the kernel has memory maps for -----------------------------------------------------------------

const SMALL_STACK: usize = 256 * 1024;
/// The stack and its guard.
const SMALL_MAPS: usize = 2;
/// The standard library's threads have the same again for their signal handlers.
const MAPS: usize = 4;
/// For everything else: heaps, files, libraries.
const OTHER_MAPS: usize = 8_192;

/// How many maps of threads the kernel's limit allows. Whoever runs into that limit does not get an error: the start of the
/// next thread, or the next larger piece of memory, ends the process.
fn most() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    text.trim().parse().map_or(usize::MAX, |maps: usize| maps.saturating_sub(OTHER_MAPS))
}

/// The maps of a thread that runs, or is about to.
struct Room {
    taken: &'static AtomicUsize,
    maps: usize,
}

impl Room {
    fn take(maps: usize) -> io::Result<Self> {
        static MOST: OnceLock<usize> = OnceLock::new();
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        Self::of(&TAKEN, maps, *MOST.get_or_init(most))
    }

    fn of(taken: &'static AtomicUsize, maps: usize, most: usize) -> io::Result<Self> {
        let room = Self { taken, maps };
        if taken.fetch_add(maps, Ordering::Relaxed) + maps <= most {
            return Ok(room);
        }
        Err(io::Error::other(format!(
            "the kernel allows the threads of this program no more than {most} memory maps; raise vm.max_map_count (sysctl)"
        )))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.maps, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Room, most, own_name, spawn_small};
    use crate::bus::wire_channel;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn there_is_room_for_thousands_and_one_too_many_is_told_what_to_do() {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        assert!(most() > 5_000);
        let both = [2, 4].map(|maps| Room::of(&TAKEN, maps, 6).unwrap());
        let refused = Room::of(&TAKEN, 2, 6).err().unwrap().to_string();
        assert!(refused.contains("vm.max_map_count"), "{refused}");
        drop(both);
        assert_eq!(TAKEN.load(Ordering::Relaxed), 0);
        assert!(Room::of(&TAKEN, 6, 6).is_ok());
    }

    /// Maps of this process that are of a small stack's size.
    fn small_stacks() -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let size = |line: &str| {
            let (low, high) = line.split(' ').next()?.split_once('-')?;
            let ends = [low, high].map(|end| usize::from_str_radix(end, 16).unwrap_or(0));
            Some(ends[1] - ends[0])
        };
        // The guard is a part of it in one C library and comes on top in another.
        let small = super::SMALL_STACK - 4096..=super::SMALL_STACK;
        maps.lines().filter_map(size).filter(|size| small.contains(size)).count()
    }

    #[test]
    fn small_threads_have_their_name_and_two_maps_each_and_end_by_a_panic_alone() {
        const THREADS: usize = 64;
        let maps = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        let (begun, begins) = wire_channel(THREADS);
        let (go, wait) = wire_channel::<()>(1);
        let maps_before = maps();
        for number in 0..THREADS {
            let (begun, wait) = (begun.clone(), wait.clone());
            spawn_small("small", move || {
                begun.send(own_name()).unwrap();
                let _ = wait.recv();
                assert_ne!(number, 7, "one of them ends by a panic");
            })
            .unwrap();
        }
        (0..THREADS).for_each(|_| assert_eq!(begins.recv().unwrap(), "small"));
        // Other tests' threads come and go meanwhile.
        assert!(small_stacks() >= THREADS);
        assert!(maps() < maps_before + THREADS * 3, "{} maps, {maps_before} before", maps());
        drop((go, begun));
        // The last of them has dropped its sender: all have come to their end, and this process lives.
        assert!(begins.recv().is_err());
    }
}

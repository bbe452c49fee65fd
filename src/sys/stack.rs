//! What a thread's stack holds without using it.

/// Bytes below a frame that the calls which give back may use themselves.
const IN_USE: usize = 1024;

/// The part of this thread's stack that some deep call has used and that now lies idle. A thread that works for a moment
/// every ten seconds can give it back while it waits.
pub struct SpareStack {
    /// Its lower end; null where that cannot be known. A pointer, which keeps all this on its thread.
    low: *mut libc::c_void,
    page: usize,
}

impl SpareStack {
    #[must_use]
    #[expect(unsafe_code, reason = "pthread_getattr_np and the like, on locals")]
    pub fn of_this_thread() -> Self {
        let mut low = std::ptr::null_mut();
        let mut size = 0;
        // SAFETY: `attributes` is set by the first call before the others read it, and freed once.
        let known = unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) == 0 && {
                let got =
                    libc::pthread_attr_getstack(&raw const attributes, &raw mut low, &raw mut size);
                libc::pthread_attr_destroy(&raw mut attributes);
                got == 0
            }
        };
        // SAFETY: it only reads a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0);
        if !known || !page.is_power_of_two() {
            low = std::ptr::null_mut();
        }
        Self { low, page }
    }

    /// Gives it back. The next work takes the pages again, about a microsecond each.
    #[inline(never)]
    #[expect(
        unsafe_code,
        reason = "madvise on memory of this thread's own stack that is not in use"
    )]
    pub fn give_back(&self) {
        if self.low.is_null() {
            return;
        }
        let here = 0_u8;
        let here = (&raw const here).addr();
        // The system rounds a part of a page up to a whole one: that would be the page in use.
        let end = here.saturating_sub(IN_USE) / self.page * self.page;
        // SAFETY: from the stack's lower end to well below this frame there is nothing that anyone still reads: the
        // frames that were there have returned. Should the system refuse, it all stays as it was.
        unsafe {
            libc::madvise(self.low, end.saturating_sub(self.low.addr()), libc::MADV_DONTNEED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SpareStack;
    use crate::bus::wire_channel;
    use crate::sys::thread::spawn_small;
    use std::hint::black_box;

    /// Touches 60 KiB of stack or more.
    #[inline(never)]
    fn deep() -> u8 {
        let bytes = black_box([1_u8; 60 * 1024]);
        bytes[black_box(7)]
    }

    /// KiB of this thread's stack that are resident.
    fn resident() -> usize {
        let here = 0_u8;
        let here = (&raw const here).addr();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut mine = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|word| word.split_once('-'));
            let ends =
                range.map(|(a, b)| (usize::from_str_radix(a, 16), usize::from_str_radix(b, 16)));
            if let Some((Ok(low), Ok(high))) = ends {
                mine = (low..high).contains(&here);
            } else if mine && let Some(size) = line.strip_prefix("Rss:") {
                return size.trim().trim_end_matches(" kB").parse().unwrap();
            }
        }
        panic!("no stack in {maps}");
    }

    #[test]
    fn what_a_deep_call_used_is_given_back_and_what_is_in_use_stays() {
        let (done, ends) = wire_channel(1);
        let begun = spawn_small("deep", move || {
            let kept: Vec<u64> = (0..100).collect();
            let on_stack = black_box([7_u8; 3000]);
            let spare = SpareStack::of_this_thread();
            for _ in 0..3 {
                assert_eq!(deep(), 1);
                assert!(resident() >= 60);
                spare.give_back();
                assert!(resident() < 48, "{} KiB", resident());
            }
            done.send(on_stack.iter().all(|b| *b == 7) && kept[99] == 99).unwrap();
        });
        begun.unwrap();
        // Nothing comes where an assertion ended it.
        assert_eq!(ends.recv(), Ok(true));
    }
}

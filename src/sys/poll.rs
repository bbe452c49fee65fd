//! Waits until one of several descriptors can be read.
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Instant;

/// Which of `fds` can be read without blocking (data, end of file or an error); none of them when `deadline` comes
/// first. Without a deadline it waits for ever.
///
/// # Errors
/// What poll(2) says, except that an interrupted wait is taken up again.
pub fn readable<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    deadline: Option<Instant>,
) -> io::Result<[bool; N]> {
    let mut asked = fds.map(asking);
    wait(&mut asked, deadline)?;
    Ok(asked.map(|one| one.revents != 0))
}

/// The same for any number of them, told by their places.
///
/// # Errors
/// As [`readable`].
pub fn readable_of(fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> io::Result<Vec<usize>> {
    let mut asked: Vec<_> = fds.iter().copied().map(asking).collect();
    wait(&mut asked, deadline)?;
    Ok((0..asked.len()).filter(|place| asked[*place].revents != 0).collect())
}

fn asking(fd: BorrowedFd<'_>) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

#[allow(unsafe_code)]
fn wait(asked: &mut [libc::pollfd], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        // Rounded up: a wait that ends just before the deadline would be repeated at once.
        let wait = deadline.map_or(-1, |at| {
            let ms = at.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
            libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX)
        });
        // SAFETY: `asked` is a valid array of its own length, and its descriptors are borrowed by the callers above.
        let found = unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, wait) };
        if found >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{readable, readable_of};
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::time::{Duration, Instant};

    #[test]
    fn data_and_the_end_are_seen_and_silence_times_out() {
        let (quiet, kept) = std::io::pipe().unwrap();
        let (data, mut writer) = std::io::pipe().unwrap();
        let both = || [quiet.as_fd(), data.as_fd()];
        let soon = Some(Instant::now() + Duration::from_millis(5));
        assert_eq!(readable(both(), soon).unwrap(), [false, false]);
        writer.write_all(b"x").unwrap();
        assert_eq!(readable(both(), None).unwrap(), [false, true]);
        assert_eq!(readable_of(&both(), None).unwrap(), [1]);
        // A child that another test is just forking may hold the writing end a moment longer: wait for the end alone.
        drop(kept);
        assert_eq!(readable([quiet.as_fd()], None).unwrap(), [true]);
    }
}

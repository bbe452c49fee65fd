//! Daemons of our own executable, as the demonstration starts them: they end with the program that started them.
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a wait for the outside world looks again.
const LOOK: Duration = Duration::from_millis(50);

/// A running process of this executable. Dropping it ends the process.
#[derive(Debug)]
pub struct Service {
    child: Child,
}

impl Service {
    /// Starts this executable with `args`; its output goes to `log`. It gets SIGTERM when the calling *thread* ends,
    /// so call this from a thread that lives as long as the service should.
    ///
    /// # Errors
    /// The log cannot be written or the process not be made.
    #[allow(unsafe_code, clippy::disallowed_methods)]
    pub fn start<S: AsRef<OsStr>>(args: &[S], log: &Path) -> io::Result<Self> {
        let log = File::create(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Its own group: a Ctrl-C on the terminal reaches the parent alone, which then ends things in order.
        command.process_group(0);
        let parent = std::process::id();
        // SAFETY: between fork and exec only async-signal-safe calls are made (prctl, getppid).
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have ended before the line above.
                if u32::try_from(libc::getppid()) != Ok(parent) {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
        Ok(Self { child: command.spawn()? })
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGTERM. [`Service::wait`] for the end.
    #[allow(unsafe_code)]
    pub fn ask_to_end(&mut self) {
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), libc::pid_t::try_from(self.child.id()))
        {
            // SAFETY: kill has no memory effects; the child is not reaped yet, so the number is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }

    /// Waits for the end; after `patience` comes SIGKILL.
    ///
    /// # Errors
    /// The system does not say how it ended.
    pub fn wait(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        let child = &mut self.child;
        match look_until(Instant::now() + patience, || child.try_wait().transpose()) {
            Some(ended) => ended,
            None => {
                self.child.kill()?;
                self.child.wait()
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ask_to_end();
        let _ = self.wait(Duration::from_secs(5));
    }
}

/// Calls `look` every 50 ms until it sees something; `None` when `deadline` comes first. For programs that wait for
/// what sends them no event; a daemon has no use for it.
pub fn look_until<T>(deadline: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let (_silent, timer) = crate::bus::reply_channel::<()>();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if Instant::now() >= deadline {
            return None;
        }
        let _ = timer.recv_timeout(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::{Service, look_until};
    use crate::sys::{random, thread};
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::Path;
    use std::time::{Duration, Instant};

    /// Starts this test program with `args`; the log's folder is removed when `f` is through.
    fn with_service(args: &[&'static str], f: impl FnOnce(Service, &Path)) {
        let folder = std::env::temp_dir().join(format!("mc-service-{}", random::hex::<6>()));
        std::fs::create_dir(&folder).unwrap();
        let log = folder.join("log");
        f(Service::start(args, &log).unwrap(), &log);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    const LONG: Duration = Duration::from_secs(20);
    /// Runs the test below, which outlasts every wait of the others.
    const ENDLESS: [&str; 3] = ["--ignored", "--exact", "sys::service::tests::endless"];

    #[test]
    #[ignore = "stands in for a daemon in the other tests"]
    fn endless() {
        let (_silent, wait) = crate::bus::reply_channel::<()>();
        let _ = wait.recv_timeout(3 * LONG);
    }

    #[test]
    fn a_service_runs_and_is_logged() {
        with_service(&["--list", "sys::service"], |mut service, log| {
            assert!(service.wait(LONG).unwrap().success());
            assert!(std::fs::read_to_string(log).unwrap().contains("a_service_runs"));
        });
    }

    #[test]
    fn a_service_is_asked_to_end() {
        with_service(&ENDLESS, |mut service, _| {
            assert_eq!(service.ended().unwrap(), None);
            service.ask_to_end();
            assert_eq!(service.wait(LONG).unwrap().signal(), Some(libc::SIGTERM));
        });
    }

    #[test]
    fn a_service_ends_with_the_thread_that_started_it() {
        let (send, service) = crate::bus::reply_channel();
        let started = thread::spawn("test-parent", move || {
            with_service(&ENDLESS, |service, _| send.send(service).unwrap());
        });
        let mut service = service.recv().unwrap();
        started.unwrap().join().unwrap();
        assert_eq!(service.wait(LONG).unwrap().signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn a_deadline_ends_the_looking() {
        assert_eq!(look_until(Instant::now(), || None::<()>), None);
        let mut left = 3;
        let far = Instant::now() + Duration::from_secs(60);
        let mut count = || {
            left -= 1;
            (left == 0).then_some(7)
        };
        assert_eq!(look_until(far, &mut count), Some(7));
    }
}

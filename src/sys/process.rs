//! Child processes: the only place that forks, signals and reaps.
//!
//! A child leads a process group of its own and dies with the *thread* that made it (PR_SET_PDEATHSIG): call
//! [`spawn`] on a thread that lives as long as the child should. Programs with setuid or file capabilities lose that
//! tie at exec.
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::poll;

/// What to run. Nothing of our own environment is passed on.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    pub path: &'a Path,
    pub args: &'a [String],
    pub env: &'a [(String, String)],
    pub folder: &'a Path,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    Terminate,
    Kill,
}

impl Signal {
    fn number(self) -> libc::c_int {
        match self {
            Self::Terminate => libc::SIGTERM,
            Self::Kill => libc::SIGKILL,
        }
    }
}

/// How a process ended: one of the two is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// A child that leads its own process group and is not reaped yet, so that its number is still its own.
#[derive(Debug)]
pub struct Group {
    leader: Child,
}

/// Starts a child with stdin closed and stdout and stderr on the pipe that is returned.
///
/// # Errors
/// The program cannot be run, or no process or pipe can be had.
pub fn spawn(program: &Program<'_>) -> io::Result<(Group, PipeReader)> {
    let (output, writer) = io::pipe()?;
    let group = launch(program, Stdio::null(), writer.try_clone()?.into(), writer.into())?;
    Ok((group, output))
}

#[allow(unsafe_code, clippy::disallowed_methods)]
fn launch(program: &Program<'_>, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> io::Result<Group> {
    let mut command = Command::new(program.path);
    command
        .args(program.args)
        .env_clear()
        .envs(program.env.iter().map(|(name, value)| (name, value)))
        .current_dir(program.folder)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0);
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made (prctl, getppid), and nothing allocates.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the line above; nobody would end this child then.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
    // `command` holds the writing end of a pipe and is gone at the end: else its reader would never see the end.
    Ok(Group { leader: command.spawn()? })
}

impl Group {
    /// The leader's number, which is the group's too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.leader.id()
    }

    /// Sends `signal` to every process of the group.
    ///
    /// # Errors
    /// What kill(2) says.
    #[allow(unsafe_code)]
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // SAFETY: kill has no memory effects. The leader is not reaped (`reap` consumes), so the number is its own.
        check(unsafe { libc::kill(-raw(self.pid())?, signal.number()) })
    }

    /// Whether the leader has ended and waits to be reaped.
    ///
    /// # Errors
    /// What waitid(2) says.
    #[allow(unsafe_code)]
    pub fn has_ended(&self) -> io::Result<bool> {
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: all-zero bytes are a valid `siginfo_t`, which is plain numbers.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is writable and outlives the call.
        check(unsafe { libc::waitid(libc::P_PID, self.pid(), &raw mut info, how) })?;
        // SAFETY: waitid filled in the fields that hold for a child, or left zeros.
        Ok(unsafe { info.si_pid() } != 0)
    }

    /// Kills what is left of the group, then waits for the leader. While the leader is unreaped the group's number
    /// cannot have passed to others.
    ///
    /// # Errors
    /// What waitpid(2) says.
    pub fn reap(mut self) -> io::Result<Exit> {
        let _ = self.signal(Signal::Kill);
        let status = self.leader.wait()?;
        Ok(Exit { code: status.code(), signal: status.signal() })
    }
}

/// What a program prints until it ends, at most `most` bytes of it. It and its group are killed at `deadline`.
///
/// # Errors
/// The program cannot be run, or does not end in time.
pub fn output(program: &Program<'_>, deadline: Instant, most: usize) -> io::Result<Vec<u8>> {
    let (group, mut pipe) = spawn(program)?;
    let read = read_until(&mut pipe, deadline, most);
    group.reap()?;
    read
}

/// Runs a program with `input` on its stdin and its output thrown away, until it ends. It and its group are killed at
/// `deadline`.
///
/// # Errors
/// The program cannot be run, or does not end in time.
pub fn feed(program: &Program<'_>, input: &[u8], deadline: Instant) -> io::Result<Exit> {
    let group = launch(program, memory_file(input)?.into(), Stdio::null(), Stdio::null())?;
    let ended = Stranger::open(group.pid()).and_then(|one| one.ends_by(deadline));
    let exit = group.reap()?;
    ended?;
    Ok(exit)
}

/// A file in memory with this in it, to be read from its beginning: no reader can make its writer wait, as with a pipe.
#[allow(unsafe_code)]
fn memory_file(bytes: &[u8]) -> io::Result<File> {
    // SAFETY: the name is a NUL-terminated string that outlives the call.
    let fd = unsafe { libc::memfd_create(c"input".as_ptr(), libc::MFD_CLOEXEC) };
    check(fd)?;
    // SAFETY: the kernel has just given us this descriptor; nobody else has it.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn read_until(pipe: &mut PipeReader, deadline: Instant, most: usize) -> io::Result<Vec<u8>> {
    let mut got = Vec::new();
    let mut part = [0; 4096];
    while got.len() < most {
        if !poll::readable([pipe.as_fd()], Some(deadline))?[0] {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match pipe.read(&mut part)? {
            0 => break,
            n => got.extend_from_slice(&part[..n]),
        }
    }
    got.truncate(most);
    Ok(got)
}

/// What tells one process from every other that has, had or will have its number on this machine since it booted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub pid: u32,
    /// Clock ticks from boot to its start.
    pub start_time: u64,
    /// Device and inode of the program it runs.
    pub exe: (u64, u64),
}

/// # Errors
/// There is no such process, or it is another user's.
pub fn identity(pid: u32) -> io::Result<Identity> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let stat = std::fs::read_to_string(folder.join("stat"))?;
    let start_time = start_time(&stat).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat is not understood")
    })?;
    let exe = std::fs::metadata(folder.join("exe"))?;
    Ok(Identity { pid, start_time, exe: (exe.dev(), exe.ino()) })
}

/// Field 22. The second field is the program's name in brackets and may hold anything, brackets and spaces too.
fn start_time(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Differs from one boot of the machine to the next.
///
/// # Errors
/// `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// A process that is not our child, held so that its number cannot pass to another unnoticed.
#[derive(Debug)]
pub struct Stranger {
    pidfd: OwnedFd,
    pid: u32,
}

impl Stranger {
    /// # Errors
    /// There is no such process, or the kernel is older than 5.3.
    #[allow(unsafe_code)]
    pub fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: pidfd_open takes two numbers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, raw(pid)?, 0) };
        let fd = libc::c_int::try_from(fd).unwrap_or(-1);
        check(fd)?;
        // SAFETY: the kernel has just given us this descriptor; nobody else has it.
        Ok(Self { pidfd: unsafe { OwnedFd::from_raw_fd(fd) }, pid })
    }

    /// Kills the process and the group that it leads, and waits until it has ended. Call it only once
    /// [`identity`], read after [`Stranger::open`], showed that it is the right one.
    ///
    /// # Errors
    /// It may not be signalled, or has not ended by `deadline`.
    pub fn kill_group(&self, deadline: Instant) -> io::Result<()> {
        // Stopped, it cannot end by itself, so the group's number stays its own until the group is killed.
        self.signal(libc::SIGSTOP)?;
        let group = self.signal_group();
        self.signal(libc::SIGKILL)?;
        group?;
        self.ends_by(deadline)
    }

    /// Waits for its end: a pidfd can be read from then on.
    fn ends_by(&self, deadline: Instant) -> io::Result<()> {
        match poll::readable([self.pidfd.as_fd()], Some(deadline))? {
            [true] => Ok(()),
            [false] => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    #[allow(unsafe_code)]
    fn signal_group(&self) -> io::Result<()> {
        let pid = raw(self.pid)?;
        // SAFETY: getpgid and kill take numbers; a process that leads no group of its own has only itself killed.
        if unsafe { libc::getpgid(pid) } == pid {
            check(unsafe { libc::kill(-pid, libc::SIGKILL) })
        } else {
            Ok(())
        }
    }

    #[allow(unsafe_code)]
    fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        let (fd, nothing) = (self.pidfd.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor is open, and a null siginfo means that of kill(2).
        let answer = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, nothing, 0) };
        check(libc::c_int::try_from(answer).unwrap_or(-1))
    }
}

/// A child of the plain kind, that shares our group, output and environment: the simulated miner's grandchild.
///
/// # Errors
/// The program cannot be run.
#[allow(clippy::disallowed_methods)]
pub fn companion(path: &Path, args: &[&str]) -> io::Result<Child> {
    Command::new(path).args(args).stdin(Stdio::null()).spawn()
}

fn raw(pid: u32) -> io::Result<libc::pid_t> {
    match libc::pid_t::try_from(pid) {
        // 0, 1 and negative numbers mean groups, everything, or init: never a child.
        Ok(pid) if pid > 1 => Ok(pid),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{Program, Signal, Stranger, feed, identity, output, spawn, start_time};
    use std::io::Read as _;
    use std::path::Path;
    use std::time::{Duration, Instant};

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn shell<R>(script: &str, then: impl FnOnce(&Program<'_>) -> R) -> R {
        let args = ["-c".to_owned(), script.to_owned()];
        let env = [("GREETING".to_owned(), "hello".to_owned())];
        then(&Program {
            path: Path::new("/bin/sh"),
            args: &args,
            env: &env,
            folder: Path::new("/"),
        })
    }

    #[test]
    fn a_child_has_only_the_environment_and_folder_it_was_given() {
        let script = "echo $GREETING; pwd; echo \"${PATH_INFO-}${HOME-none}\"; cat; echo gone >&2";
        let said = shell(script, |p| output(p, far(), 1000)).unwrap();
        assert_eq!(String::from_utf8_lossy(&said), "hello\n/\nnone\ngone\n");
    }

    #[test]
    fn what_does_not_end_in_time_is_killed_with_its_group() {
        let soon = Instant::now() + Duration::from_millis(100);
        let error = shell("sleep 60 & sleep 60", |p| output(p, soon, 1000)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_program_is_fed_and_killed_with_its_group_when_it_does_not_end() {
        let exit = shell("read line; test \"$line\" = hello", |p| feed(p, b"hello\n", far()));
        assert_eq!(exit.unwrap().code, Some(0));
        let large = vec![b'x'; 1 << 20];
        assert_eq!(shell("exit 3", |p| feed(p, &large, far())).unwrap().code, Some(3));
        let soon = Instant::now() + Duration::from_millis(100);
        let error = shell("sleep 60 & sleep 60", |p| feed(p, b"", soon)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }

    #[test]
    fn reaping_kills_a_grandchild_that_holds_the_pipe() {
        let (group, mut pipe) = shell("sleep 60 & echo ready; exit 3", spawn).unwrap();
        let mut ready = [0; 6];
        pipe.read_exact(&mut ready).unwrap();
        while !group.has_ended().unwrap() {
            std::thread::yield_now();
        }
        assert_eq!(group.reap().unwrap().code, Some(3));
        assert_eq!(pipe.read(&mut ready).unwrap(), 0, "the grandchild still holds the pipe");
    }

    #[test]
    fn a_running_child_has_not_ended_and_hears_signals() {
        let (group, mut pipe) = shell("echo ready; exec sleep 60", spawn).unwrap();
        let mut ready = [0; 6];
        pipe.read_exact(&mut ready).unwrap();
        assert!(!group.has_ended().unwrap());
        group.signal(Signal::Terminate).unwrap();
        assert_eq!(pipe.read(&mut ready).unwrap(), 0);
        assert_eq!(group.reap().unwrap().signal, Some(libc::SIGTERM));
    }

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let rest = (1..=30).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(start_time(&format!("7 (a) S) (b) {rest}")), Some(20));
        assert_eq!(start_time("7 (a) 1 2 3"), None);
        assert_eq!(identity(std::process::id()).unwrap(), identity(std::process::id()).unwrap());
        assert!(identity(u32::MAX).is_err());
    }

    #[test]
    fn a_stranger_is_killed_with_its_group() {
        let (group, mut pipe) = shell("sleep 60 & echo ready; wait", spawn).unwrap();
        let mut ready = [0; 6];
        pipe.read_exact(&mut ready).unwrap();
        Stranger::open(group.pid()).unwrap().kill_group(far()).unwrap();
        assert_eq!(pipe.read(&mut ready).unwrap(), 0);
        assert_eq!(group.reap().unwrap().signal, Some(libc::SIGKILL));
        for forbidden in [0, 1, u32::MAX] {
            assert!(Stranger::open(forbidden).is_err());
        }
    }
}

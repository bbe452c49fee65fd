//! What systemd is told of this daemon, in datagrams to the socket that it names (sd_notify(3)).
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager that started this process.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    manager: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// `None` when nobody wants to be told: the daemon was started by hand or by another kind of manager.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        match Self::from(&|name| std::env::var_os(name)) {
            Ok(notifier) => notifier,
            Err(e) => {
                crate::warning!("systemd cannot be told of this daemon: {e}");
                None
            }
        }
    }

    fn from(env: &dyn Fn(&str) -> Option<OsString>) -> io::Result<Option<Self>> {
        let Some(path) = env("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let manager = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(&path)?,
        };
        let socket = UnixDatagram::unbound()?;
        // Nobody here waits for systemd.
        socket.set_nonblocking(true)?;
        Ok(Some(Self { socket, manager, watchdog: watchdog(env) }))
    }

    /// Says `state`: lines such as `READY=1`. That it could not be said stops nothing.
    pub fn tell(&self, state: &str) {
        if let Err(e) = self.socket.send_to_addr(state.as_bytes(), &self.manager) {
            crate::debug!("systemd was not told {state:?}: {e}");
        }
    }

    /// How often `WATCHDOG=1` is wanted: half the time after which systemd takes this daemon for stuck. `None`: no
    /// watchdog is set.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }
}

fn watchdog(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Duration> {
    let number = |name: &str| env(name)?.to_str()?.parse::<u64>().ok();
    // Inherited by accident, it is meant for another process.
    let ours = env("WATCHDOG_PID")
        .is_none_or(|_| number("WATCHDOG_PID") == Some(u64::from(std::process::id())));
    let all = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0)?;
    Some(Duration::from_micros((all / 2).max(1)))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    use super::{Notifier, watchdog};
    use crate::sys::random;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into())
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut text = [0; 100];
        let n = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..n].to_vec()).unwrap()
    }

    #[test]
    fn a_socket_with_a_path_and_an_abstract_one_are_told() {
        let name = format!("mc-notify-{}", random::hex::<8>());
        let path = std::env::temp_dir().join(&name);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let by_name = UnixDatagram::bind_addr(&by_name).unwrap();
        for (variable, socket) in
            [(path.to_str().unwrap(), &by_path), (format!("@{name}").as_str(), &by_name)]
        {
            let notifier = Notifier::from(&env(&[("NOTIFY_SOCKET", variable)])).unwrap().unwrap();
            notifier.tell("READY=1\nSTATUS=x");
            assert_eq!(heard(socket), "READY=1\nSTATUS=x");
            assert_eq!(notifier.watchdog(), None);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn without_a_manager_there_is_nobody_to_tell_and_a_full_one_blocks_nobody() {
        assert!(Notifier::from(&env(&[])).unwrap().is_none());
        assert!(Notifier::from(&env(&[("NOTIFY_SOCKET", "")])).unwrap().is_none());
        let name = format!("mc-notify-{}", random::hex::<8>());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let _never_read = UnixDatagram::bind_addr(&address).unwrap();
        let variable = format!("@{name}");
        let notifier = Notifier::from(&env(&[("NOTIFY_SOCKET", &variable)])).unwrap().unwrap();
        for _ in 0..10_000 {
            notifier.tell("WATCHDOG=1");
        }
    }

    #[test]
    fn the_watchdog_is_fed_at_half_its_time_by_the_process_that_is_meant() {
        let own = std::process::id().to_string();
        let half = Some(Duration::from_secs(15));
        for (pairs, wanted) in [
            (&[("WATCHDOG_USEC", "30000000")][..], half),
            (&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", own.as_str())], half),
            (&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "1")], None),
            (&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "x")], None),
            (&[("WATCHDOG_USEC", "0")], None),
            (&[("WATCHDOG_USEC", "soon")], None),
            (&[], None),
        ] {
            assert_eq!(watchdog(&env(pairs)), wanted, "{pairs:?}");
        }
    }
}

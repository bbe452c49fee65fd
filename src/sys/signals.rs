//! SIGTERM, SIGINT, SIGCHLD and SIGHUP as calls on an ordinary thread of their own.
use std::io;
use std::thread::JoinHandle;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::thread;

/// The running thread; dropping this ends it.
#[derive(Debug)]
pub struct Watch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Calls `on_stop` at every SIGTERM and SIGINT, `on_child` when a child may have ended, and `on_hangup`
/// at SIGHUP. All run on the thread
/// `signals`, so they must not block for long. Signals that come together may be told once.
///
/// # Errors
/// The handlers cannot be installed, or no thread can be had.
pub fn watch(
    on_stop: impl Fn() + Send + 'static,
    on_child: impl Fn() + Send + 'static,
    on_hangup: impl Fn() + Send + 'static,
) -> io::Result<Watch> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGCHLD, SIGHUP])?;
    let handle = signals.handle();
    let thread = thread::spawn("signals", move || {
        for signal in signals.forever() {
            match signal {
                SIGCHLD => on_child(),
                SIGHUP => on_hangup(),
                _ => on_stop(),
            }
        }
    })?;
    Ok(Watch { handle, thread: Some(thread) })
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

//! Connections that wait for their client. A full line lets the newest in and cuts the one that has waited longest,
//! so that idle clients never keep others out.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tls::Stream;

/// However short of descriptors the process is, this many may wait.
const SHORTEST: usize = 16;

#[derive(Debug)]
pub struct Line(Mutex<State>);

#[derive(Debug)]
struct State {
    /// How many may wait …
    most: usize,
    /// … and how many when nothing is short.
    full: usize,
    next: u64,
    waiting: BTreeMap<u64, Arc<Stream>>,
    closed: bool,
}

/// A connection's place in a [`Line`]; dropped, it leaves.
#[derive(Debug)]
pub struct Seat {
    line: Arc<Line>,
    number: u64,
}

impl Line {
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            most,
            full: most,
            next: 0,
            waiting: BTreeMap::new(),
            closed: false,
        })))
    }

    /// Enters; when the line is full, the one that has waited longest is cut.
    #[must_use]
    pub fn join(self: &Arc<Self>, stream: &Arc<Stream>) -> Seat {
        let mut state = self.lock();
        let full = state.waiting.len() >= state.most;
        if full {
            cut_oldest(&mut state);
        }
        state.next += 1;
        let number = state.next;
        if state.closed {
            stream.cut();
        }
        state.waiting.insert(number, stream.clone());
        drop(state);
        if full {
            crate::seldom!(
                Info,
                "the API has too many clients: the one that waited longest is cut"
            );
        }
        Seat { line: self.clone(), number }
    }

    /// Something else than room in line ran out, descriptors or threads: cuts the quarter that has waited longest, and
    /// at least one. The line is that short from now on, so that those who wait do not use up what answers need; each
    /// client that leaves by itself lengthens it by one.
    pub fn make_room(&self) {
        let mut state = self.lock();
        state.most = (state.waiting.len() * 3 / 4).clamp(SHORTEST.min(state.most), state.most);
        for _ in 0..=state.waiting.len() / 4 {
            cut_oldest(&mut state);
        }
    }

    /// Cuts every connection, and from now on each that enters.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        while !state.waiting.is_empty() {
            cut_oldest(&mut state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Its thread wakes with the end of the stream.
fn cut_oldest(state: &mut State) {
    if let Some((_, stream)) = state.waiting.pop_first() {
        stream.cut();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        if state.waiting.remove(&self.number).is_some() {
            state.most = (state.most + 1).min(state.full);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, SHORTEST, Seat};
    use crate::tls::Stream;
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// A connection in line, and the client's end of it.
    fn joined(line: &Arc<Line>, listener: &TcpListener) -> (Seat, TcpStream) {
        let address = listener.local_addr().unwrap().to_string();
        let deadline = Instant::now() + Duration::from_secs(20);
        let client = crate::sys::net::connect(&address, deadline).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (line.join(&Arc::new(Stream::Plain(listener.accept().unwrap().0))), client)
    }

    fn is_cut(client: &mut TcpStream) -> bool {
        matches!(client.read(&mut [0]), Ok(0))
    }

    #[test]
    fn the_oldest_makes_room_and_a_shortened_line_grows_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Line::new(SHORTEST + 8);
        let most = || line.lock().most;
        let mut all: Vec<_> = (0..SHORTEST + 9).map(|_| joined(&line, &listener)).collect();
        assert!(is_cut(&mut all[0].1));
        assert_eq!(line.lock().waiting.len(), SHORTEST + 8);

        line.make_room();
        assert_eq!((most(), line.lock().waiting.len()), (18, 17), "24, a quarter and one less");
        assert!(is_cut(&mut all[7].1), "the oldest seven went");
        all.drain(..8);
        assert_eq!(most(), 18, "who was cut lengthens nothing");
        all.drain(..3);
        assert_eq!(most(), 21);
        all.clear();
        assert_eq!(most(), SHORTEST + 8, "no longer than it was made");

        line.make_room();
        assert_eq!(most(), SHORTEST);
        line.close();
        assert!(is_cut(&mut joined(&line, &listener).1), "a closed line cuts who enters");
    }
}

//! Room for unfinished handshakes. When it is full the oldest gives way, so that idle strangers keep nobody out;
//! strangers at one address push out only each other.
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tls::Stream;

pub struct Slots {
    most: usize,
    per_source: usize,
    open: Mutex<Open>,
}

/// By age: the lowest number is the oldest.
#[derive(Default)]
struct Open {
    next: u64,
    taken: BTreeMap<u64, (IpAddr, Arc<Stream>)>,
}

/// Given back when dropped.
pub struct Slot {
    slots: Arc<Slots>,
    number: u64,
}

impl Slots {
    pub fn new(most: usize, per_source: usize) -> Arc<Self> {
        Arc::new(Self { most, per_source, open: Mutex::default() })
    }

    /// A slot for `socket`; where there is none, the oldest unfinished connection (of this source, when that has its
    /// share) is shut down for it.
    pub fn take(self: &Arc<Self>, source: IpAddr, socket: &Arc<Stream>) -> Slot {
        let source = group(source);
        let mut open = self.lock();
        let same = open.taken.values().filter(|(from, _)| *from == source).count();
        let oldest = if same >= self.per_source {
            open.taken.iter().find(|(_, (from, _))| *from == source).map(|(number, _)| *number)
        } else if open.taken.len() >= self.most {
            open.taken.keys().next().copied()
        } else {
            None
        };
        if let Some((_, socket)) = oldest.and_then(|number| open.taken.remove(&number)) {
            socket.cut();
        }
        let number = open.next;
        open.next += 1;
        open.taken.insert(number, (source, socket.clone()));
        Slot { slots: self.clone(), number }
    }

    /// Ends every unfinished handshake.
    pub fn shut_all(&self) {
        for (_, socket) in self.lock().taken.values() {
            socket.cut();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().taken.remove(&self.number);
    }
}

/// One IPv6 host has a whole /64 of addresses to call from.
fn group(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::{Slot, Slots};
    use crate::tls::Stream;
    use std::io::Read as _;
    use std::net::{IpAddr, TcpListener, TcpStream};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    struct Bench {
        slots: Arc<Slots>,
        listener: TcpListener,
    }

    /// A connection that holds a slot, and its far end.
    struct Guest {
        _slot: Slot,
        far: TcpStream,
    }

    impl Bench {
        fn new(most: usize, per_source: usize) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Self { slots: Slots::new(most, per_source), listener }
        }

        fn guest(&self, source: &str) -> Guest {
            let address = self.listener.local_addr().unwrap().to_string();
            let deadline = Instant::now() + Duration::from_secs(10);
            let far = crate::sys::net::connect(&address, deadline).unwrap();
            let near = Arc::new(Stream::Plain(self.listener.accept().unwrap().0));
            Guest { _slot: self.slots.take(source.parse::<IpAddr>().unwrap(), &near), far }
        }
    }

    impl Guest {
        fn was_shut(&mut self) -> bool {
            self.far.set_nonblocking(true).unwrap();
            matches!(self.far.read(&mut [0]), Ok(0))
        }
    }

    #[test]
    fn the_oldest_of_all_gives_way_when_all_is_full() {
        let bench = Bench::new(3, 2);
        let mut guests: Vec<Guest> =
            ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(|s| bench.guest(s)).into();
        let shut: Vec<bool> = guests.iter_mut().map(Guest::was_shut).collect();
        assert_eq!(shut, [true, false, false, false]);
        drop(guests.remove(2));
        let mut fifth = bench.guest("10.0.0.5");
        assert!(!fifth.was_shut() && !guests[1].was_shut(), "a slot given back is free");
        drop((guests, fifth));
        assert!(bench.slots.lock().taken.is_empty());
    }

    #[test]
    fn one_source_pushes_out_only_its_own() {
        let bench = Bench::new(100, 2);
        let mut other = bench.guest("10.0.0.9");
        let sources = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1:2"];
        let mut guests = sources.map(|s| bench.guest(s));
        assert_eq!(guests.each_mut().map(Guest::was_shut), [true, false, false]);
        let mut elsewhere = bench.guest("2001:db8:0:1::1");
        let mut mapped = ["10.0.0.9", "::ffff:10.0.0.9"].map(|s| bench.guest(s));
        assert!(other.was_shut(), "an IPv4 address is the same one in IPv6 clothes");
        assert!(!elsewhere.was_shut() && !mapped[0].was_shut() && !mapped[1].was_shut());
    }
}

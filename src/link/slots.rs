//! Room for unfinished handshakes. When it is full the oldest that has said nothing gives way, so that idle strangers keep
//! nobody out; strangers at one address push out only each other.
//!
//! Who has begun the handshake is left alone for a while, and a newcomer is turned away instead: after a restart thousands of
//! rigs call at once, and when each pushed out one that was nearly done, none would ever get through.
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::tls::Stream;

pub struct Slots {
    most: usize,
    per_source: usize,
    /// How long who has begun is left alone.
    begun: Duration,
    open: Mutex<Open>,
}

/// By age: the lowest number is the oldest.
#[derive(Default)]
struct Open {
    next: u64,
    taken: BTreeMap<u64, Caller>,
}

struct Caller {
    source: IpAddr,
    socket: Arc<Stream>,
    begun: Option<Instant>,
}

impl Caller {
    fn gives_way(&self, now: Instant, begun: Duration) -> bool {
        self.begun.is_none_or(|at| now.saturating_duration_since(at) >= begun)
    }
}

/// Given back when dropped.
pub struct Slot {
    slots: Arc<Slots>,
    number: u64,
}

impl Slots {
    pub fn new(most: usize, per_source: usize, begun: Duration) -> Arc<Self> {
        Arc::new(Self { most, per_source, begun, open: Mutex::default() })
    }

    /// A slot for `socket`. Where there is none, an unfinished connection (of this source, when that has its share) is shut
    /// down for it; `None` when all of those have begun a moment ago.
    pub fn take(
        self: &Arc<Self>,
        source: IpAddr,
        socket: &Arc<Stream>,
        now: Instant,
    ) -> Option<Slot> {
        let source = group(source);
        let mut open = self.lock();
        let same = open.taken.values().filter(|caller| caller.source == source).count();
        let its_share = same >= self.per_source;
        if its_share || open.taken.len() >= self.most {
            let mut callers = open.taken.iter();
            let leaves = |caller: &Caller| {
                (!its_share || caller.source == source) && caller.gives_way(now, self.begun)
            };
            let (number, _) = callers.find(|(_, caller)| leaves(caller))?;
            let number = *number;
            if let Some(caller) = open.taken.remove(&number) {
                caller.socket.cut();
            }
        }
        let number = open.next;
        open.next += 1;
        open.taken.insert(number, Caller { source, socket: socket.clone(), begun: None });
        Some(Slot { slots: self.clone(), number })
    }

    /// Ends every unfinished handshake.
    pub fn shut_all(&self) {
        for caller in self.lock().taken.values() {
            caller.socket.cut();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The caller has begun the handshake.
    pub fn begun(&self, now: Instant) {
        if let Some(caller) = self.slots.lock().taken.get_mut(&self.number) {
            caller.begun = Some(now);
        }
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

    const BEGUN: Duration = Duration::from_secs(3);

    struct Bench {
        slots: Arc<Slots>,
        listener: TcpListener,
    }

    /// A connection that holds a slot, and its far end.
    struct Guest {
        slot: Slot,
        far: TcpStream,
    }

    impl Bench {
        fn new(most: usize, per_source: usize) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Self { slots: Slots::new(most, per_source, BEGUN), listener }
        }

        fn guest(&self, source: &str) -> Guest {
            self.guest_at(source, Instant::now()).expect("a slot")
        }

        fn guest_at(&self, source: &str, now: Instant) -> Option<Guest> {
            let address = self.listener.local_addr().unwrap().to_string();
            let deadline = Instant::now() + Duration::from_secs(10);
            let far = crate::sys::net::connect(&address, deadline).unwrap();
            let near = Arc::new(Stream::Plain(self.listener.accept().unwrap().0));
            let slot = self.slots.take(source.parse::<IpAddr>().unwrap(), &near, now)?;
            Some(Guest { slot, far })
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
    fn who_has_begun_is_left_alone_for_a_moment_and_who_has_not_gives_way() {
        let bench = Bench::new(3, 2);
        let now = Instant::now();
        let mut guests: Vec<Guest> =
            ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|s| bench.guest(s)).into();
        guests[0].slot.begun(now);
        guests.push(bench.guest_at("10.0.0.4", now).unwrap());
        let shut: Vec<bool> = guests.iter_mut().map(Guest::was_shut).collect();
        assert_eq!(shut, [false, true, false, false], "the oldest that has not begun");
        guests[2].slot.begun(now);
        guests[3].slot.begun(now);
        assert!(bench.guest_at("10.0.0.5", now).is_none(), "all have begun");
        assert!(!guests[0].was_shut());
        drop(guests.remove(2));
        let sixth = bench.guest_at("10.0.0.6", now);
        assert!(sixth.is_some(), "a slot given back is free");
        let later = bench.guest_at("10.0.0.7", now + BEGUN);
        assert!(later.is_some() && guests[0].was_shut(), "not for ever");
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
        mapped.iter().for_each(|guest| guest.slot.begun(Instant::now()));
        assert!(bench.guest_at("10.0.0.9", Instant::now()).is_none(), "its share has begun");
        assert!(!guests[1].was_shut());
    }
}

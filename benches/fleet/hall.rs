//! A thread for some rigs. One for each would be 10,000 beside the daemon's own, more than many machines allow at once;
//! only a call, which waits for the controller, has a thread while it lasts.
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use miner_cli::bus;
use miner_cli::smsg::limits;
use miner_cli::sys::{poll, thread};

use super::fleet::Shared;
use super::rig::{Called, Rig};
use super::wire::{self, NoLink};

/// Few enough that none waits long for the others.
pub const RIGS: usize = 16;

pub struct Hall {
    rigs: Vec<Rig>,
    shared: Arc<Shared>,
    arrivals: Receiver<(usize, Called)>,
    arrive: Sender<(usize, Called)>,
    calling: usize,
    hears: PipeReader,
    bell: Arc<PipeWriter>,
}

impl Hall {
    /// The hall, and its bell: rung, it looks around.
    ///
    /// # Errors
    /// No pipe can be had.
    pub fn new(rigs: Vec<Rig>, shared: Arc<Shared>) -> std::io::Result<(Self, Arc<PipeWriter>)> {
        let (arrive, arrivals) = bus::wire_channel(rigs.len());
        let (hears, bell) = std::io::pipe()?;
        let bell = Arc::new(bell);
        let hall = Self { rigs, shared, arrivals, arrive, calling: 0, hears, bell: bell.clone() };
        Ok((hall, bell))
    }

    /// Until the fleet ends.
    pub fn run(mut self) {
        while !self.shared.closing.load(Relaxed) {
            while let Ok((place, called)) = self.arrivals.try_recv() {
                self.calling -= 1;
                self.rigs[place].called(called, &self.shared);
            }
            let now = Instant::now();
            for place in 0..self.rigs.len() {
                if self.rigs[place].wants_to_call(now, &self.shared) {
                    self.call(place);
                } else if self.rigs[place].socket().is_some() {
                    self.rigs[place].tick(now, &self.shared);
                }
            }
            self.listen();
        }
        self.end();
    }

    /// Waits for the bell, a message, or the next deadline.
    fn listen(&mut self) {
        let until = self.rigs.iter().filter_map(Rig::due).min();
        let places: Vec<usize> =
            (0..self.rigs.len()).filter(|place| self.rigs[*place].socket().is_some()).collect();
        let sockets = places.iter().filter_map(|place| Some(self.rigs[*place].socket()?.as_fd()));
        let all: Vec<BorrowedFd<'_>> = std::iter::once(self.hears.as_fd()).chain(sockets).collect();
        for ready in poll::readable_of(&all, until).expect("poll of open sockets") {
            match ready.checked_sub(1) {
                Some(socket) => self.rigs[places[socket]].hear(&self.shared),
                None => drop(self.hears.read(&mut [0; 64])),
            }
        }
    }

    fn call(&mut self, place: usize) {
        let (rig, shared) = (&self.rigs[place], self.shared.clone());
        let (number, keys) = (rig.number, rig.keys.clone());
        let (arrive, bell) = (self.arrive.clone(), self.bell.clone());
        let caller = thread::spawn_small("call", move || {
            let (to, from) = (shared.controller(), shared.source(number));
            let _ = arrive.send((place, wire::dial(&keys, &shared.invite, to, from)));
            ring(&bell);
        });
        match caller {
            Ok(()) => self.calling += 1,
            Err(e) => {
                let why = NoLink::Answered(format!("no thread here: {e}"));
                self.rigs[place].called(Err(why), &self.shared);
            }
        }
    }

    fn end(mut self) {
        let deadline = Instant::now() + limits::GREETING;
        while self.calling > 0
            && let Ok((place, called)) = self.arrivals.recv_deadline(deadline)
        {
            self.calling -= 1;
            self.rigs[place].called(called, &self.shared);
        }
        self.rigs.iter_mut().for_each(|rig| rig.vanish(&self.shared));
    }
}

pub fn ring(mut bell: &PipeWriter) {
    // A pipe that is full rings already.
    let _ = bell.write(&[1]);
}

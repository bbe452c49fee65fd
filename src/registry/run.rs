//! The registry's thread: takes events, carries out what the registry says. It never blocks on a send.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use super::{Cx, Out, Registry};
use crate::bus::{
    DialOutcome, DialRequest, Event, LinkEvent, LinkHandle, LinkId, MinerEvent, SpawnCommand,
    StoreCommand,
};
use crate::logs::Logs;
use crate::model::fault::{Code, Fault};
use crate::model::time::{Mono, Now};
use crate::sys::log;

/// Where the registry's words go.
pub struct Ports {
    pub dialler: Sender<DialRequest>,
    pub spawner: Sender<SpawnCommand>,
    pub store: Sender<StoreCommand>,
    pub logs: Arc<Logs>,
}

/// Runs until [`Event::End`] or until nobody can send an event any more.
pub fn run(
    mut registry: Registry,
    first: Vec<Out>,
    events: &Receiver<Event>,
    ports: &Ports,
    clock: impl Fn() -> Now,
) {
    let mut loop_ = Loop { links: HashMap::new(), ports, again: Vec::new() };
    let mut go_on = loop_.carry_out(first, &mut registry, clock());
    while go_on {
        let event = match registry.deadline() {
            Some(due) => events.recv_timeout(until(due, clock().mono)),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        go_on = match event {
            Ok(event) => loop_.take(event, &mut registry, clock()),
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        };
        let out = registry.fire(clock());
        go_on &= loop_.carry_out(out, &mut registry, clock());
        while let Some(event) = loop_.again.pop() {
            go_on &= loop_.take(event, &mut registry, clock());
        }
    }
}

fn until(due: Mono, now: Mono) -> Duration {
    due.since(now)
}

struct Loop<'a> {
    links: HashMap<LinkId, LinkHandle>,
    ports: &'a Ports,
    /// What a full channel refused, told to the registry as an event.
    again: Vec<Event>,
}

impl Loop<'_> {
    fn take(&mut self, event: Event, registry: &mut Registry, now: Now) -> bool {
        let gone = match &event {
            Event::Link(LinkEvent::Up(up)) => {
                self.links.insert(up.link, up.handle.clone());
                None
            }
            Event::Link(LinkEvent::Down { link, .. }) => Some(*link),
            _ => None,
        };
        let out = registry.handle(event, now);
        let go_on = self.carry_out(out, registry, now);
        gone.map(|link| self.links.remove(&link));
        go_on
    }

    /// False when the loop is to end.
    fn carry_out(&mut self, out: Vec<Out>, registry: &mut Registry, now: Now) -> bool {
        let mut go_on = true;
        for one in out {
            match one {
                Out::Send { link, message } => {
                    let Some(handle) = self.links.get(&link) else { continue };
                    if handle.outbox.try_send(message).is_err() {
                        crate::warning!("link {} takes no more messages: cutting it", link.0);
                        (handle.cut.0)();
                    }
                }
                Out::Cut { link } => {
                    if let Some(handle) = self.links.get(&link) {
                        (handle.cut.0)();
                    }
                }
                // Whoever asked may have stopped waiting: the channel holds one answer and is then forgotten.
                Out::Reply { to, reply } => drop(to.try_send(reply)),
                Out::Verdict { to, verdict } => drop(to.try_send(verdict)),
                Out::Dial(request) => self.dial(request),
                Out::Spawn(command) => self.spawn(command),
                Out::Store(command) => self.store(command),
                Out::Part { follow, to, part } => {
                    let lost = match to.try_send(part) {
                        Ok(()) => continue,
                        Err(TrySendError::Full(part)) => Some(part.lines.len() as u64),
                        Err(TrySendError::Disconnected(_)) => None,
                    };
                    let mut cx = Cx::new(now);
                    registry.part_lost(follow, lost, &mut cx);
                    go_on &= self.carry_out(cx.out, registry, now);
                }
                Out::Tell { follow, to, part } => match to.try_send(part) {
                    Ok(()) => {}
                    Err(TrySendError::Full(part)) => registry.events_lost(follow, Some(&part)),
                    Err(TrySendError::Disconnected(_)) => registry.events_lost(follow, None),
                },
                Out::ForgetLog { miner } => self.ports.logs.remove(&miner),
                Out::Log(level, text) => log::line(level, format_args!("{text}")),
                Out::End => go_on = false,
            }
        }
        go_on
    }

    fn dial(&mut self, request: DialRequest) {
        if let Err(refused) = self.ports.dialler.try_send(request) {
            let dial = refused.into_inner().dial;
            let outcome = DialOutcome::Failed {
                answered: false,
                reason: "too many attempts wait already".to_owned(),
            };
            self.again.push(Event::Link(LinkEvent::NotDialled { dial, outcome }));
        }
    }

    fn spawn(&mut self, command: SpawnCommand) {
        let Err(refused) = self.ports.spawner.try_send(command) else { return };
        match refused.into_inner() {
            SpawnCommand::Start { name, run, .. } => {
                let reason = "too many starts wait already".to_owned();
                self.again.push(Event::Miner(MinerEvent::NotStarted {
                    name,
                    run,
                    reason,
                    permanent: false,
                }));
            }
            SpawnCommand::Survey { reply } => {
                drop(reply.try_send(Err(Fault::new(Code::Unavailable, "the spawner is busy"))));
            }
            other => crate::error!("the spawner takes no more commands: {other:?} is lost"),
        }
    }

    fn store(&mut self, command: StoreCommand) {
        let Err(refused) = self.ports.store.try_send(command) else { return };
        match refused.into_inner().ticket {
            Some(ticket) => {
                let fault = Fault::new(
                    Code::NotSaved,
                    "the disk is too slow: too many changes wait to be written",
                );
                self.again.push(Event::Stored { ticket, result: Err(fault) });
            }
            None => crate::warning!("the store takes no more: a note was dropped"),
        }
    }
}

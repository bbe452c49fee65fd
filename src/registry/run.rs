//! The registry's thread: takes events, carries out what the registry says. It never blocks on a send.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use super::held::Held;
use super::{Cx, Out, Registry};
use crate::bus::{
    AlertCommand, Call, Counters, DialOutcome, DialRequest, Event, HistoryCommand, LinkEvent,
    LinkHandle, LinkId, MinerEvent, Request, SpawnCommand, StoreCommand,
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
    pub alerts: Sender<AlertCommand>,
    /// `None` where history is switched off.
    pub history: Option<Sender<Vec<HistoryCommand>>>,
    pub logs: Arc<Logs>,
    pub counters: Arc<Counters>,
    /// Who restarts this daemon when it hangs, if anybody does.
    pub alive: Option<Alive>,
}

/// A sign of life, given only from within the loop: a registry that hangs falls silent.
pub struct Alive {
    pub every: Duration,
    /// Must not block.
    pub tell: Box<dyn Fn() + Send>,
}

/// Runs until [`Event::End`] or until nobody can send an event any more.
pub fn run(
    mut registry: Registry,
    first: Vec<Out>,
    events: &Receiver<Event>,
    ports: &Ports,
    clock: impl Fn() -> Now,
) {
    let mut loop_ = Loop { links: HashMap::new(), ports, again: Vec::new(), held: Held::default() };
    let mut go_on = loop_.carry_out(first, &mut registry, clock());
    let mut sign = clock().mono;
    while go_on {
        let now = clock().mono;
        let sign_due = ports.alive.as_ref().map(|alive| {
            if sign <= now {
                (alive.tell)();
                sign = now.plus(alive.every);
            }
            sign
        });
        let event = match [registry.deadline(), sign_due, loop_.held.deadline()]
            .into_iter()
            .flatten()
            .min()
        {
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
        go_on &= loop_.send_held(&mut registry, clock());
        while let Some(event) = loop_.again.pop() {
            go_on &= loop_.take(event, &mut registry, clock());
        }
    }
    let last = loop_.held.due(clock().mono);
    loop_.keep(last, &mut registry, clock());
}

fn until(due: Mono, now: Mono) -> Duration {
    due.since(now)
}

struct Loop<'a> {
    links: HashMap<LinkId, LinkHandle>,
    ports: &'a Ports,
    /// What a full channel refused, told to the registry as an event.
    again: Vec<Event>,
    held: Held,
}

impl Loop<'_> {
    fn take(&mut self, event: Event, registry: &mut Registry, now: Now) -> bool {
        let gone = match &event {
            Event::Link(LinkEvent::Up(up)) => {
                self.links.insert(up.link, up.handle.clone());
                None
            }
            Event::Link(LinkEvent::Down { link, .. }) => Some(*link),
            Event::Call(Call { request: Request::Metrics, .. }) => {
                self.note_queues();
                None
            }
            _ => None,
        };
        let out = registry.handle(event, now);
        let go_on = self.carry_out(out, registry, now);
        gone.map(|link| self.links.remove(&link));
        go_on
    }

    fn note_queues(&self) {
        let Ports { dialler, spawner, store, history, counters, .. } = self.ports;
        let rows = self.held.len() + history.as_ref().map_or(0, Sender::len);
        counters.waiting.note(store.len(), dialler.len(), spawner.len(), rows);
    }

    /// False when the loop is to end.
    fn carry_out(&mut self, out: Vec<Out>, registry: &mut Registry, now: Now) -> bool {
        let mut go_on = true;
        for one in out {
            match one {
                Out::Send { link, message } => {
                    let Some(handle) = self.links.get(&link) else { continue };
                    if handle.outbox.try_send(Box::new(message)).is_err() {
                        crate::seldom!(Warn, "link {} takes no more messages: cutting it", link.0);
                        (handle.cut.0)();
                        self.ports.counters.links_cut.one_more();
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
                Out::History(command) => {
                    let commands = self.held.take(command, now.mono);
                    go_on &= self.keep(commands, registry, now);
                }
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
                Out::Alert(command) => self.alert(command),
                Out::Live { follow, to, part } => match to.try_send(part) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => registry.live_lost(follow),
                    Err(TrySendError::Disconnected(_)) => registry.unwatch(follow),
                },
                Out::ForgetLog { miner } => self.ports.logs.remove(&miner),
                Out::Log(level, text) => log::line(level, format_args!("{text}")),
                Out::End => go_on = false,
            }
        }
        go_on
    }

    fn send_held(&mut self, registry: &mut Registry, now: Now) -> bool {
        if self.held.deadline().is_none_or(|at| at > now.mono) {
            return true;
        }
        let commands = self.held.due(now.mono);
        self.keep(commands, registry, now)
    }

    /// To the history thread. False when the loop is to end.
    fn keep(&mut self, commands: Vec<HistoryCommand>, registry: &mut Registry, now: Now) -> bool {
        let Some(to) = self.ports.history.as_ref().filter(|_| !commands.is_empty()) else {
            return true;
        };
        let Err(refused) = to.try_send(commands) else { return true };
        let mut cx = Cx::new(now);
        for command in refused.into_inner() {
            registry.history_lost(command, &mut cx);
        }
        self.carry_out(cx.out, registry, now)
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

    fn alert(&mut self, command: AlertCommand) {
        let Err(refused) = self.ports.alerts.try_send(command) else { return };
        match refused.into_inner() {
            AlertCommand::Notice(notice) => {
                crate::seldom!(Error, "an alert is lost, too many wait: {}", notice.text);
            }
            AlertCommand::Overview { reply, .. } | AlertCommand::Test { reply, .. } => {
                let fault = Fault::new(Code::Unavailable, "the alerts are busy");
                drop(reply.try_send(Err(fault)));
            }
        }
    }

    fn store(&mut self, command: StoreCommand) {
        let Err(refused) = self.ports.store.try_send(command) else { return };
        match refused.into_inner().ticket {
            Some(ticket) => {
                self.ports.counters.changes_refused.one_more();
                let fault = Fault::new(
                    Code::NotSaved,
                    "the disk is too slow: too many changes wait to be written",
                );
                self.again.push(Event::Stored { ticket, result: Err(fault) });
            }
            None => {
                self.ports.counters.notes_dropped.one_more();
                crate::seldom!(Warn, "the store takes no more: a note was dropped");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::{Receiver, Sender};

    use super::{Alive, Out, Ports, run};
    use crate::bus::{Event, HistoryCommand, SavedState, reply_channel, wire_channel};
    use crate::logs::Logs;
    use crate::model::history::{Batch, Rows};
    use crate::model::key::PublicKey;
    use crate::model::node::{NodeCard, Role};
    use crate::model::policy::Policy;
    use crate::model::time::Now;
    use crate::registry::{Registry, tests::world};
    use crate::sys::{clock, thread};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A registry's loop that gives a sign every `every`, if at all; `clock` tells it the time. The events' sender
    /// and the signs.
    fn looping(
        every: Option<Duration>,
        clock: impl Fn() -> Now + Send + 'static,
    ) -> (Sender<Event>, Receiver<()>) {
        looping_with(every, clock, Vec::new(), None)
    }

    /// The same; it begins with `first`, and its readings go to `history`.
    fn looping_with(
        every: Option<Duration>,
        clock: impl Fn() -> Now + Send + 'static,
        first: Vec<Out>,
        history: Option<Sender<Vec<HistoryCommand>>>,
    ) -> (Sender<Event>, Receiver<()>) {
        let (events, inbox) = wire_channel(8);
        let (sign, signs) = wire_channel(1000);
        let alive =
            every.map(|every| Alive { every, tell: Box::new(move || _ = sign.try_send(())) });
        thread::spawn("test-registry", move || {
            let key = PublicKey([1; 32]);
            let me = NodeCard {
                id: key.node_id(),
                name: "node".to_owned(),
                role: Role::Worker,
                public_key: key,
                fingerprint: key.fingerprint(),
                signing_key: key,
                created_at: clock::wall(),
            };
            let setup = world::setup(me, Policy::default());
            let (registry, mut all) = Registry::new(setup, SavedState::default(), clock::now());
            all.extend(first);
            let ports = Ports {
                dialler: wire_channel(1).0,
                spawner: wire_channel(1).0,
                history,
                store: wire_channel(1).0,
                alerts: wire_channel(1).0,
                logs: std::sync::Arc::new(Logs::on_disk(std::env::temp_dir(), wire_channel(1).0)),
                counters: std::sync::Arc::default(),
                alive,
            };
            run(registry, all, &inbox, &ports, clock);
        })
        .unwrap();
        (events, signs)
    }

    #[test]
    fn signs_of_life_come_as_long_as_the_loop_turns() {
        let (events, signs) = looping(Some(Duration::from_millis(5)), clock::now);
        for _ in 0..5 {
            signs.recv_timeout(PATIENCE).unwrap();
        }
        events.send(Event::End).unwrap();
        // The end of the loop drops the sender.
        while signs.recv_timeout(PATIENCE).is_ok() {}
        assert!(events.send(Event::End).is_err());
    }

    #[test]
    fn a_registry_that_hangs_gives_no_sign() {
        let (hang, hanging) = wire_channel::<()>(0);
        let (hangs, told) = reply_channel();
        let (_events, signs) = looping(Some(Duration::from_millis(5)), move || {
            // Told to hang, it does not come back.
            if hanging.try_recv().is_ok() {
                let _ = hangs.try_send(());
                let _ = hanging.recv();
            }
            clock::now()
        });
        signs.recv_timeout(PATIENCE).unwrap();
        hang.send(()).unwrap();
        told.recv_timeout(PATIENCE).unwrap();
        while signs.try_recv().is_ok() {}
        assert!(signs.recv_timeout(Duration::from_millis(200)).is_err());
    }

    /// Readings `from` to `to`.
    fn readings(from: i64, to: i64) -> Vec<Out> {
        let keep = |through| {
            let rows = Rows::Raw(Vec::new());
            let batch = Batch { series: Vec::new(), rows, through, more: false };
            HistoryCommand::Keep { node: PublicKey([1; 32]).node_id(), batch, after: None }
        };
        (from..=to).map(keep).map(Out::History).collect()
    }

    #[test]
    fn readings_of_a_moment_go_together_soon_and_at_the_end_none_is_left() {
        let (history, kept) = wire_channel(8);
        // The first goes at once, the others a moment later, though nothing happens any more.
        let (_events, _signs) = looping_with(None, clock::now, readings(1, 3), Some(history));
        let sizes = [(); 2].map(|()| kept.recv_timeout(PATIENCE).unwrap().len());
        assert_eq!(sizes, [1, 2]);

        let (history, kept) = wire_channel(8);
        let still = clock::now();
        let (events, _signs) = looping_with(None, move || still, readings(1, 3), Some(history));
        assert_eq!(kept.recv_timeout(PATIENCE).unwrap().len(), 1);
        events.send(Event::End).unwrap();
        assert_eq!(kept.recv_timeout(PATIENCE).unwrap().len(), 2);
    }

    #[test]
    fn without_a_watchdog_the_loop_sleeps() {
        let (asked, asks) = wire_channel(1000);
        let (events, signs) = looping(None, move || {
            let _ = asked.try_send(());
            clock::now()
        });
        assert!(signs.recv_timeout(PATIENCE).is_err(), "the sender is gone at once");
        // Setting out, it looks at the clock; then it waits for an event without looking again.
        while asks.recv_timeout(Duration::from_millis(200)).is_ok() {}
        assert!(asks.recv_timeout(Duration::from_millis(200)).is_err());
        events.send(Event::End).unwrap();
    }
}

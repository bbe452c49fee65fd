//! A controller's copy of its rigs' histories: what reports bring, and asking for what is missing in between.
//!
//! A rig's report says that it carries every reading behind a certain second. Where that second is later than the rig's
//! mark, something is missing: the rig gets into a queue, and is asked for a batch at a time until nothing is missing.
//! What was asked once too often changes nothing: a reading is named by its second and its series.
use std::collections::HashMap;
use std::time::Duration;

use super::events::About;
use super::history::rows;
use super::readings::second;
use super::series_seen::SeriesSeen;
use super::timers::Timer;
use super::{Cx, Out, Registry, hostile_history};
use crate::bus::HistoryCommand;
use crate::model::event::{EventKind, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::history::{Batch, Live};
use crate::model::key::{NodeId, PublicKey};
use crate::model::time::{Mono, Timestamp};
use crate::smsg::limits::SLOW_REQUEST;
use crate::smsg::messages::Body;

/// Rigs that are asked at once, and how often one is.
const AT_ONCE: usize = 8;
const PACE: Duration = Duration::from_secs(1);
/// A rig that had no time, or no answer in time, is asked again after so long.
const REST: Duration = Duration::from_secs(60);
/// A clock so far from ours makes no history: its readings are kept by our own time.
const CLOCK_OFF_MS: i64 = 120_000;
/// It agrees again when it is nearer than this.
const CLOCK_FINE_MS: i64 = 60_000;
/// Two years of one rig fit into so many batches …
const BATCHES: u32 = 10_000;
/// … and only where the rows change from hours to minutes or single readings is one nearly empty.
const THIN: usize = 50;
const THIN_BATCHES: u32 = 16;

/// What we have of a rig's history, and how it is being completed.
#[derive(Default)]
pub struct Filling {
    /// Up to this second nothing is missing of what has gone to the history thread …
    mark: i64,
    /// … and of what is on disk.
    on_disk: i64,
    /// The rig told all that it has between what was missing and this second.
    told: i64,
    state: State,
    /// Not to be asked before.
    not_before: Mono,
    batches: u32,
    thin: u32,
    /// Its clock is far from ours; an event said so.
    clock_off: bool,
    pub seen: SeriesSeen,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Whole,
    /// In the queue, or waiting for its timer.
    Waiting,
    Asked,
    /// Its answers make no sense. The next link is a new chance.
    GivenUp,
}

/// What an answer means for what comes next.
enum Next {
    Whole,
    More,
    Later,
    GiveUp(String),
}

impl Filling {
    /// A new link.
    pub fn begin(&mut self) {
        self.state = State::Whole;
        (self.batches, self.thin) = (0, 0);
    }

    fn extend(&mut self, after: i64, through: i64) {
        if after <= self.mark {
            self.mark = self.mark.max(through);
        }
    }
}

impl Registry {
    // ---- what the history thread says of its marks ----

    pub(super) fn all_marks(&mut self, marks: &[(NodeId, i64)]) {
        for peer in self.peers.values_mut() {
            peer.filling.on_disk = 0;
        }
        self.marks_kept(marks);
        self.back_to_disk();
    }

    pub(super) fn marks_kept(&mut self, marks: &[(NodeId, i64)]) {
        let marks: HashMap<NodeId, i64> = marks.iter().copied().collect();
        for peer in self.peers.values_mut() {
            if let Some(through) = marks.get(&peer.id) {
                peer.filling.on_disk = *through;
                peer.filling.mark = peer.filling.mark.max(*through);
            }
        }
    }

    /// What was on its way to the disk may be lost.
    pub(super) fn back_to_disk(&mut self) {
        for peer in self.peers.values_mut() {
            peer.filling.mark = peer.filling.on_disk;
        }
    }

    /// The same of one node.
    pub(super) fn mark_lost(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.values_mut().find(|p| p.id == node) {
            peer.filling.mark = peer.filling.on_disk;
        }
    }

    // ---- reports ----

    /// Readings that came with a rig's report.
    pub(super) fn take_live(&mut self, key: &PublicKey, live: Live, cx: &mut Cx) {
        self.look_at_clock(key, cx);
        let (open, failing) = (self.history.open, self.history.failing);
        let Some(peer) = self.peers.get_mut(key) else { return };
        let (node, now) = (peer.id, second(cx.now.wall));
        let off = peer.filling.clock_off;
        let Some(live) = hostile_history::live(live, now, off, &mut peer.filling.seen) else {
            return;
        };
        peer.effective.take(&live.batch, cx.now.mono);
        let Live { after, batch } = live;
        let through = batch.through;
        let after_there = if off { None } else { Some(after) };
        if rows(&batch) > 0 || !off {
            cx.out.push(Out::History(HistoryCommand::Keep { node, batch, after: after_there }));
        }
        if off || !open || failing {
            return;
        }
        peer.filling.extend(after, through);
        peer.filling.told = through;
        if after > peer.filling.mark && peer.filling.state == State::Whole {
            self.want_history(key, cx);
        }
    }

    fn look_at_clock(&mut self, key: &PublicKey, cx: &mut Cx) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let ahead = peer.clock_ahead;
        let was = peer.filling.clock_off;
        let off = ahead.abs() > if was { CLOCK_FINE_MS } else { CLOCK_OFF_MS };
        if off == was {
            return;
        }
        peer.filling.clock_off = off;
        let name = peer.record.name.clone();
        let (severity, text) = if off {
            let by = humantime::format_duration(Duration::from_secs(ahead.unsigned_abs() / 1000));
            let side = if ahead > 0 { "ahead of" } else { "behind" };
            let text = format!(
                "the clock of {name} is {by} {side} ours: its readings are kept by our time, and none that we missed are fetched"
            );
            (Severity::Warning, text)
        } else {
            (Severity::Info, format!("the clock of {name} agrees with ours again"))
        };
        self.raise(EventKind::ClockOff, severity, About::peer(&name), text, cx);
    }

    // ---- asking ----

    /// Asks the rig when it is its turn.
    fn want_history(&mut self, key: &PublicKey, cx: &mut Cx) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.filling.state = State::Waiting;
        if cx.now.mono < peer.filling.not_before {
            return self.timers.set(peer.filling.not_before, Timer::History(*key));
        }
        self.history.queue.push_back(*key);
        self.ask_for_history(cx);
    }

    pub(super) fn history_is_due(&mut self, key: &PublicKey, cx: &mut Cx) {
        let waits = self.peers.get(key).is_some_and(|p| {
            p.filling.state == State::Waiting && p.filling.not_before <= cx.now.mono
        });
        if waits && !self.history.queue.contains(key) {
            self.history.queue.push_back(*key);
            self.ask_for_history(cx);
        }
    }

    fn ask_for_history(&mut self, cx: &mut Cx) {
        while self.history.asked < AT_ONCE
            && let Some(key) = self.history.queue.pop_front()
        {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            if peer.link.is_none() || peer.filling.state != State::Waiting {
                continue;
            }
            let filling = &mut peer.filling;
            filling.state = State::Asked;
            filling.not_before = cx.now.mono.plus(PACE);
            self.history.asked += 1;
            let (after, told) = (filling.mark, filling.told);
            let body = Body::GetHistory { after };
            self.ask(&key, body, SLOW_REQUEST, cx, move |registry, result, cx| {
                registry.history.asked -= 1;
                registry.history_came(&key, (after, told), result, cx);
                registry.ask_for_history(cx);
            });
        }
    }

    fn history_came(
        &mut self,
        key: &PublicKey,
        asked: (i64, i64),
        result: Result<(Body, Timestamp), Fault>,
        cx: &mut Cx,
    ) {
        let next = match result {
            Ok((Body::HistoryBatch(batch), _)) => self.take_batch(key, asked, *batch, cx),
            Ok((other, _)) => Next::GiveUp(format!("it answers with {}", other.name())),
            // Its next link begins anew.
            Err(fault) if fault.code == Code::PeerUnreachable => Next::Whole,
            Err(fault) if matches!(fault.code, Code::Timeout | Code::Unavailable) => Next::Later,
            Err(fault) => Next::GiveUp(fault.message),
        };
        let Some(peer) = self.peers.get_mut(key) else { return };
        let name = peer.record.name.clone();
        match next {
            Next::Whole => peer.filling.state = State::Whole,
            Next::More => self.want_history(key, cx),
            Next::Later => {
                peer.filling.not_before = cx.now.mono.plus(REST);
                self.want_history(key, cx);
            }
            Next::GiveUp(why) => {
                peer.filling.state = State::GivenUp;
                cx.warn(format!(
                    "{name} is not asked for its history any more on this link: {why}"
                ));
            }
        }
    }

    fn take_batch(
        &mut self,
        key: &PublicKey,
        (after, told): (i64, i64),
        batch: Batch,
        cx: &mut Cx,
    ) -> Next {
        let (open, failing) = (self.history.open, self.history.failing);
        let Some(peer) = self.peers.get_mut(key) else { return Next::Whole };
        let filling = &mut peer.filling;
        let now = second(cx.now.wall);
        let mut batch = match hostile_history::batch(batch, after, now, &mut filling.seen) {
            Ok(batch) => batch,
            Err(why) => return Next::GiveUp(why),
        };
        let more = batch.more;
        filling.batches += 1;
        filling.thin += u32::from(more && rows(&batch) < THIN);
        if filling.batches > BATCHES || filling.thin > THIN_BATCHES {
            return Next::GiveUp("there is no end to it".to_owned());
        }
        if !more {
            // Of what came after, its reports told.
            batch.through = batch.through.max(told);
            (filling.batches, filling.thin) = (0, 0);
        }
        if !open || failing || filling.clock_off {
            return Next::Whole;
        }
        filling.extend(after, batch.through);
        let node = key.node_id();
        cx.out.push(Out::History(HistoryCommand::Keep { node, batch, after: Some(after) }));
        if more { Next::More } else { Next::Whole }
    }
}

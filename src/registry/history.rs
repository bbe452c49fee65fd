//! What passes between the registry and the history thread, and the rig's side of filling gaps.
use std::collections::VecDeque;

use crossbeam_channel::Sender;

use super::calls::ReplyTo;
use super::events::About;
use super::obey::Asker;
use super::readings::Recent;
use super::{Cx, Out, Registry};
use crate::bus::{HistoryCommand, HistoryEvent, LinkId, Reply, SetAside};
use crate::model::event::{EventKind, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::history::{Batch, HistoryStatus, Rows};
use crate::model::key::{NodeId, PublicKey};
use crate::smsg::messages::Body;

/// What the registry knows of mining.db.
#[derive(Default)]
pub struct History {
    /// It is open; before that, and where history is switched off, nothing is asked of rigs or told to controllers.
    pub open: bool,
    /// Its last write failed, and none has worked since.
    pub failing: bool,
    pub recent: Recent,
    /// Rigs that are to be asked for what is missing, and how many have been asked and not answered.
    pub queue: VecDeque<PublicKey>,
    pub asked: usize,
    /// Questions of controllers that our own history thread is answering.
    reading: Vec<Asker>,
    /// Readings that found no room on the way to the history thread.
    lost: u64,
    /// Those that it dropped itself, by its own last word.
    dropped: u64,
}

impl History {
    /// Readings lost since the daemon started.
    pub fn dropped(&self) -> u64 {
        self.lost + self.dropped
    }
}

impl Registry {
    pub(super) fn history_event(&mut self, event: HistoryEvent, cx: &mut Cx) {
        match event {
            HistoryEvent::Opened { marks, means, set_aside } => {
                self.seed_baseline(&means);
                self.history.open = true;
                self.history.failing = false;
                self.all_marks(&marks);
                if let Some(file) = set_aside {
                    self.tell_set_aside(&file, cx);
                }
            }
            HistoryEvent::Kept { marks } => self.marks_kept(&marks),
            HistoryEvent::Failed { reason, dropped } => {
                self.history.dropped = dropped;
                self.history.failing = true;
                self.back_to_disk();
                let text = format!(
                    "history cannot be written: {reason}; {dropped} readings are lost so far, mining goes on"
                );
                let about = About::default();
                self.raise(EventKind::HistoryFailed, Severity::Warning, about, text, cx);
            }
            HistoryEvent::Recovered { dropped } => {
                self.history.dropped = dropped;
                self.history.failing = false;
                self.back_to_disk();
                let text = format!(
                    "history is written again; {dropped} readings were lost, and rigs are asked for theirs"
                );
                let about = About::default();
                self.raise(EventKind::HistoryRecovered, Severity::Info, about, text, cx);
            }
            HistoryEvent::Read { link, request, batch } => {
                self.read_is_done(link, &request, batch, cx);
            }
        }
    }

    fn tell_set_aside(&mut self, damaged: &SetAside, cx: &mut Cx) {
        let SetAside { reason, file } = damaged;
        let text = format!(
            "the history was damaged ({reason}) and lies in {file} now; a new one was begun, and rigs are asked for theirs"
        );
        let about = About::default();
        self.raise(EventKind::HistorySetAside, Severity::Warning, about, text, cx);
    }

    /// The history thread had no room for `command`.
    pub fn history_lost(&mut self, command: HistoryCommand, cx: &mut Cx) {
        match command {
            HistoryCommand::Keep { node, batch, .. } => {
                self.history.lost += rows(&batch) as u64;
                self.mark_lost(node);
            }
            HistoryCommand::Read { link, request, .. } => {
                self.read_is_done(link, &request, None, cx);
            }
            // Whoever asked sees that nothing comes.
            HistoryCommand::Flush { .. } | HistoryCommand::Forget { .. } => {}
        }
    }

    /// Somebody is about to look at the history.
    pub(super) fn flush_history(&mut self, reply: Sender<HistoryStatus>, to: ReplyTo, cx: &mut Cx) {
        cx.out.push(Out::History(HistoryCommand::Flush { reply }));
        let status = HistoryStatus { dropped_samples: self.history.lost, ..self.setup.history };
        cx.reply(to, Ok(Reply::HistoryStatus(status)));
    }

    pub(super) fn forget_history(&mut self, node: NodeId, cx: &mut Cx) {
        cx.out.push(Out::History(HistoryCommand::Forget { node }));
    }

    // ---- a controller asks for what it missed ----

    /// One question of a link at a time: the answer costs the disk some work.
    pub(super) fn read_history(&mut self, asker: &Asker, after: i64, cx: &mut Cx) {
        let busy = self.history.reading.iter().any(|a| a.link == asker.link);
        if busy || !self.history.open {
            let why = if busy {
                "the last question for its history is not answered yet"
            } else {
                "this node's history is switched off, or not open yet"
            };
            return self.answer(asker, Body::Error(Fault::new(Code::Unavailable, why)), cx);
        }
        self.history.reading.push(asker.clone());
        let (link, request) = (asker.link, asker.id.clone());
        cx.out.push(Out::History(HistoryCommand::Read { link, request, after }));
    }

    fn read_is_done(&mut self, link: LinkId, request: &str, batch: Option<Batch>, cx: &mut Cx) {
        let reading = &mut self.history.reading;
        let Some(i) = reading.iter().position(|a| a.link == link && a.id == request) else {
            return;
        };
        let asker = reading.swap_remove(i);
        let body = match batch {
            Some(batch) => Body::HistoryBatch(Box::new(batch)),
            None => {
                Body::Error(Fault::new(Code::Unavailable, "this node's history cannot be read now"))
            }
        };
        self.answer(&asker, body, cx);
    }

    pub(super) fn stop_reading(&mut self, link: LinkId) {
        self.history.reading.retain(|asker| asker.link != link);
    }
}

/// How many rows a batch has.
pub fn rows(batch: &Batch) -> usize {
    match &batch.rows {
        Rows::Raw(rows) => rows.len(),
        Rows::Minute(rows) | Rows::Hour(rows) => rows.len(),
    }
}

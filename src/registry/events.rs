//! Events: what is worth telling, raised where it happens.
use super::{Cx, Out, Registry};
use crate::model::event::{EventKind, EventRecord, Severity};
use crate::sys::log::Level;

/// Whom an event is about.
#[derive(Clone, Copy, Default)]
pub struct About<'a> {
    pub peer: Option<&'a str>,
    pub miner: Option<&'a str>,
}

impl Registry {
    /// Tells of something that happened on this node.
    pub(super) fn raise(
        &self,
        kind: EventKind,
        severity: Severity,
        about: About<'_>,
        text: String,
        cx: &mut Cx,
    ) {
        let event = EventRecord {
            at: cx.now.wall,
            node: self.setup.me.id,
            node_name: self.setup.me.name.clone(),
            kind,
            severity,
            peer: about.peer.map(str::to_owned),
            miner: about.miner.map(str::to_owned),
            text,
        };
        let level = if severity == Severity::Info { Level::Info } else { Level::Warn };
        cx.out.push(Out::Log(level, event.text));
    }
}

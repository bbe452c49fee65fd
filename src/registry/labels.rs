//! Labels of peers: what selectors choose rigs by.
use super::calls::ReplyTo;
use super::{Cx, Registry};
use crate::bus::{Reply, StateOp};
use crate::model::labels::{self, Labels};

impl Registry {
    /// Replaces the labels of the peer that `text` names.
    pub(super) fn set_labels(&mut self, text: &str, labels: Labels, to: ReplyTo, cx: &mut Cx) {
        let key = match labels::check(&labels).and_then(|()| self.find_peer(text)) {
            Ok(key) => key,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        let op = StateOp::Labels { key, labels: labels.clone() };
        self.save(vec![op], cx, move |registry, result, cx| {
            if let (Ok(()), Some(peer)) = (&result, registry.peers.get_mut(&key)) {
                peer.record.labels = labels;
            }
            let view = result.and_then(|()| Ok(registry.peer(&key)?.view(cx.now)));
            cx.reply(to, view.map(|view| Reply::Peer(Box::new(view))));
        });
    }
}

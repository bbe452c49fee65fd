//! Followed logs of rigs: from the link that brings the lines to the HTTP thread that shows them. The rig sends only
//! as many lines as it has credit for, so that neither side fills its memory.
use crossbeam_channel::Sender;

use super::calls::ReplyTo;
use super::{Cx, Out, Registry, hostile};
use crate::bus::{LinkId, LogPart, Reply};
use crate::model::fault::{Code, Fault};
use crate::smsg::limits::REQUEST;
use crate::smsg::messages::{Body, FollowLogs, LogLines};

/// Lines a rig may send ahead of the reader.
const CREDIT: usize = 256;

pub struct Follow {
    link: LinkId,
    miner: String,
    sink: Sender<LogPart>,
    /// Lines that found no room in the sink.
    lost: u64,
}

impl Registry {
    pub(super) fn follow_logs(
        &mut self,
        peer: &str,
        miner: String,
        lines: usize,
        sink: Sender<LogPart>,
        to: ReplyTo,
        cx: &mut Cx,
    ) {
        let key = match self.find_rig(peer) {
            Ok(key) => key,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        let follow = self.count();
        let Some(link) = self.peers.get(&key).and_then(|p| p.link.as_ref()).map(|l| l.id) else {
            // The same words as for any other request to a peer that is away.
            return self.ask(&key, Body::GetStats {}, REQUEST, cx, |_, result, cx| {
                cx.reply(
                    to,
                    result.and_then(|_| {
                        Err(Fault::new(Code::PeerUnreachable, "the link has only just come up"))
                    }),
                );
            });
        };
        // The lines may come right behind the answer: the follow is known before.
        self.follows.insert(follow, Follow { link, miner: miner.clone(), sink, lost: 0 });
        let body = Body::FollowLogs(FollowLogs { follow, miner, lines, credit: CREDIT });
        self.ask(&key, body, REQUEST, cx, move |registry, result, cx| match result {
            Ok(_) => cx.reply(to, Ok(Reply::Follow { follow })),
            Err(fault) => {
                registry.follows.remove(&follow);
                cx.reply(to, Err(fault));
            }
        });
    }

    /// Lines of a followed log came.
    pub(super) fn followed_lines(&mut self, link: LinkId, mut part: LogLines, cx: &mut Cx) {
        let Some(id) = part.follow else { return };
        let Some(follow) = self.follows.get_mut(&id).filter(|f| f.link == link) else { return };
        hostile::lines(&mut part.lines);
        let skipped = part.skipped.saturating_add(std::mem::take(&mut follow.lost));
        let out = LogPart { lines: part.lines, skipped, ended: part.ended };
        cx.out.push(Out::Part { follow: id, to: follow.sink.clone(), part: out });
        if part.ended {
            self.follows.remove(&id);
        }
    }

    /// The reader was too slow for `lines` lines, or is gone (`lines` is `None`).
    pub fn part_lost(&mut self, id: u64, lines: Option<u64>, cx: &mut Cx) {
        match (self.follows.get_mut(&id), lines) {
            (Some(follow), Some(lines)) => {
                follow.lost += lines;
                self.grant(id, usize::try_from(lines).unwrap_or(CREDIT), cx);
            }
            (Some(_), None) => self.unfollow(id, cx),
            (None, _) => {}
        }
    }

    /// The reader took `lines` lines: the rig may send as many more.
    pub(super) fn grant(&mut self, id: u64, lines: usize, cx: &mut Cx) {
        let Some(follow) = self.follows.get(&id) else { return };
        let (link, miner) = (follow.link, follow.miner.clone());
        let word = self.random.word();
        let body =
            Body::FollowLogs(FollowLogs { follow: id, miner, lines: 0, credit: lines.min(CREDIT) });
        cx.send(link, word, None, body);
    }

    pub(super) fn unfollow(&mut self, id: u64, cx: &mut Cx) {
        self.unfollow_events(id);
        self.unwatch(id);
        let Some(follow) = self.follows.remove(&id) else { return };
        let word = self.random.word();
        cx.send(follow.link, word, None, Body::UnfollowLogs { follow: id });
    }

    /// The link is gone: the readers see their channel end.
    pub(super) fn end_follows(&mut self, link: LinkId) {
        self.follows.retain(|_, f| f.link != link);
    }
}

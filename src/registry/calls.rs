//! REST's requests, each to the part that answers it.
use super::dialling::Add;
use super::remote::StartWhat;
use super::{Cx, Out, Registry};
use crate::bus::{Call, Reply, Request, SpawnCommand};
use crate::model::fault::{Code, Fault};
use crate::model::node::NodeInfo;
use crate::model::profile_rules;
use crate::model::time::Now;
use crate::smsg::messages::GetLogs;

pub use super::outs::ReplyTo;

impl Registry {
    pub(super) fn call(&mut self, call: Call, cx: &mut Cx) {
        let to = ReplyTo { to: call.reply, act: None };
        if self.stopping {
            return cx.reply(to, Err(Fault::new(Code::Unavailable, "the daemon is shutting down")));
        }
        match self.read(&call.request, cx) {
            Some(reply) => cx.reply(to, reply),
            None => {
                let act = self.act(call.who, &call.request, cx);
                cx.act.clone_from(&act);
                self.write(call.request, ReplyTo { act, ..to }, cx);
                cx.act = None;
            }
        }
    }

    /// What the state alone answers; `None` for everything else.
    fn read(&self, request: &Request, cx: &Cx) -> Option<Result<Reply, Fault>> {
        let now = cx.now;
        Some(match request {
            Request::NodeInfo => Ok(Reply::NodeInfo(Box::new(self.node_info(now)))),
            Request::NodeInit { .. } => {
                let me = &self.setup.me;
                Err(Fault::new(
                    Code::Exists,
                    format!("this node has an identity already: {} ({})", me.name, me.id),
                ))
            }
            Request::Invites => Ok(Reply::Invites(self.invite_views(now.wall))),
            Request::Peers => Ok(Reply::Peers(self.peer_views(now))),
            Request::Peer { peer } => self.peer_view(peer, now).map(|v| Reply::Peer(Box::new(v))),
            Request::RemoteStatsAll => Ok(Reply::AllStats(self.all_stats(now))),
            Request::RemoteTotals => Ok(Reply::Totals(self.totals(now))),
            Request::Profiles => Ok(Reply::Profiles(self.profile_views())),
            Request::Profile { id } => {
                self.find_profile(id).map(|p| Reply::Profile(Box::new(profile_rules::redact(p))))
            }
            Request::Miners => {
                Ok(Reply::MinerList(self.miners.values().map(|m| m.view(now)).collect()))
            }
            Request::Miner { name } => {
                self.find_miner(name).map(|m| Reply::Miner(Box::new(m.view(now))))
            }
            Request::Events { since, lines } => Ok(self.past_events(*since, *lines)),
            Request::HashrateHistory { name } => {
                self.find_miner(name).map(|m| Reply::History(m.history()))
            }
            Request::Metrics => Ok(Reply::Metrics(Box::new(self.metrics(now)))),
            Request::Policy => Ok(Reply::Policy(Box::new(self.setup.policy.clone()))),
            _ => return None,
        })
    }

    fn write(&mut self, request: Request, to: ReplyTo, cx: &mut Cx) {
        match request {
            Request::CreateInvite { uses, expires } => self.create_invite(uses, expires, to, cx),
            Request::DeleteInvite { id } => self.delete_invite(id, to, cx),
            Request::Join { address, trust, invite, name } => {
                let invite = Some(invite);
                self.add_peer(Add { address, trust, name, invite, key: None }, to, cx);
            }
            Request::AddPeer { address, trust, name, invite, public_key } => {
                self.add_peer(Add { address, trust, name, invite, key: public_key }, to, cx);
            }
            Request::RemovePeer { peer } => self.remove_peer(&peer, to, cx),
            Request::PingPeer { peer } => self.ping_for(&peer, to, cx),
            Request::Approve { peer } => self.approve(&peer, to, cx),
            Request::Reject { peer } => self.reject(&peer, to, cx),
            Request::RemoteStats { peer } => self.remote_stats(&peer, to, cx),
            Request::RemoteStart { peer, profile_id, miner_type, config } => {
                self.remote_start(&peer, StartWhat { profile_id, miner_type, config }, to, cx);
            }
            Request::RemoteStop { peer, miner } => self.remote_stop(&peer, miner, false, to, cx),
            Request::RemoteRestart { peer, miner } => self.remote_stop(&peer, miner, true, to, cx),
            Request::RemoteLogs { peer, miner, lines, previous } => {
                self.remote_logs(&peer, GetLogs { miner, lines, previous }, to, cx);
            }
            Request::FollowLogs { peer, miner, lines, sink } => {
                self.follow_logs(&peer, miner, lines, sink, to, cx);
            }
            Request::FollowCredit { follow, lines } => {
                self.grant(follow, lines, cx);
                cx.reply(to, Ok(Reply::Done));
            }
            Request::Unfollow { follow } => {
                self.unfollow(follow, cx);
                cx.reply(to, Ok(Reply::Done));
            }
            Request::FollowEvents { since, lines, sink } => {
                self.follow_events(since, lines, sink, to, cx);
            }
            Request::WatchLive { rig, sink } => self.watch_live(rig.as_deref(), sink, to, cx),
            Request::RemoteDeployCheck { peer, profile_id } => {
                self.remote_deploy_check(&peer, &profile_id, to, cx);
            }
            Request::RemoteProfiles { peer } => self.remote_profiles(&peer, to, cx),
            Request::RemoteDeploy { peer, profile_id } => {
                self.remote_deploy(&peer, &profile_id, to, cx);
            }
            Request::AddProfile { profile } => self.add_profile(*profile, to, cx),
            Request::EditProfile { id, profile } => self.edit_profile(&id, *profile, to, cx),
            Request::RemoveProfile { id } => self.remove_profile(&id, to, cx),
            Request::StartProfile { id } => self.start_profile(&id, to, cx),
            Request::StopMiner { name } => {
                self.stop_miners(Some(&name), cx, move |_, result, cx| {
                    cx.reply(to, result.map(|(status, miners)| Reply::Miners { status, miners }));
                });
            }
            Request::FlushHistory { reply } => self.flush_history(reply, to, cx),
            Request::SetLabels { peer, labels } => self.set_labels(&peer, labels, to, cx),
            Request::Alerts => self.alert_overview(to, cx),
            Request::TestAlerts { channel } => self.test_alerts(channel, to, cx),
            Request::AvailableMiners => {
                cx.out.push(Out::Spawn(SpawnCommand::Survey { reply: to.to }));
            }
            other => {
                let fault = Fault::new(
                    Code::Internal,
                    format!("no part of the registry answers {other:?}"),
                );
                cx.reply(to, Err(fault));
            }
        }
    }

    fn start_profile(&mut self, id: &str, to: ReplyTo, cx: &mut Cx) {
        let profile = match self.find_profile(id) {
            Ok(profile) => profile.clone(),
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        self.start_miner(profile, None, cx, |_, result, cx| {
            cx.reply(to, result.map(|miner| Reply::Started { miner }));
        });
    }

    fn ping_for(&mut self, peer: &str, to: ReplyTo, cx: &mut Cx) {
        match self.find_peer(peer) {
            Ok(key) => self.ping(&key, cx, |_, result, cx| {
                cx.reply(to, result.map(|ping_ms| Reply::Ping { ping_ms }));
            }),
            Err(fault) => cx.reply(to, Err(fault)),
        }
    }

    pub(super) fn node_info(&self, now: Now) -> NodeInfo {
        NodeInfo {
            has_identity: true,
            identity: Some(self.setup.me.clone()),
            registered_peers: self.peers.values().filter(|p| p.record.asking.is_none()).count(),
            connected_peers: self.peers.values().filter(|p| p.link.is_some()).count(),
            version: self.setup.version.clone(),
            uptime: self.uptime(now),
            listen: self.setup.listen.clone(),
            api: self.setup.api.clone(),
        }
    }
}

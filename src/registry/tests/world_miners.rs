//! The world's miners: processes that start, hash, hang and end as told.
use super::world::{MinerPlay, World, sample};
use crate::bus::{AlertCommand, Event, MinerEvent, Reply, SpawnCommand};

impl World {
    pub fn spawn(&mut self, node: usize, command: SpawnCommand) {
        let play = self.nodes[node].miners.clone();
        let mut tell = |event| self.queue.push_back((node, Event::Miner(event)));
        match &command {
            SpawnCommand::Start { name, run, .. } => {
                let (name, run) = (name.clone(), *run);
                tell(MinerEvent::Started { name: name.clone(), run, pid: 1 });
                match play {
                    MinerPlay::Hash(_) | MinerPlay::Stubborn => {
                        let sample = Box::new(sample(None));
                        tell(MinerEvent::Sample { name, run, sample });
                    }
                    MinerPlay::Mute => {}
                    MinerPlay::Exit { permanent } => {
                        let reason = "it exited with code 2".to_owned();
                        tell(MinerEvent::Exited {
                            name,
                            run,
                            code: Some(2),
                            signal: None,
                            reason,
                            permanent,
                        });
                    }
                }
            }
            SpawnCommand::Stop { name, run, .. } if !matches!(play, MinerPlay::Stubborn) => {
                let (name, run, reason) = (name.clone(), *run, "it exited".to_owned());
                tell(MinerEvent::Exited {
                    name,
                    run,
                    code: Some(0),
                    signal: None,
                    reason,
                    permanent: false,
                });
            }
            _ => {}
        }
        self.nodes[node].spawned.push(command);
    }

    /// A channel that delivers everything at once.
    pub fn alert(&mut self, node: usize, command: AlertCommand) {
        match command {
            AlertCommand::Notice(notice) => {
                let event = Event::AlertDelivered { notice: notice.number };
                self.queue.push_back((node, event));
                self.nodes[node].notices.push(*notice);
            }
            AlertCommand::Overview { overview, reply } => {
                drop(reply.try_send(Ok(Reply::Alerts(overview))));
            }
            AlertCommand::Test { reply, .. } => {
                drop(reply.try_send(Ok(Reply::AlertTests(Vec::new()))));
            }
        }
    }

    /// A reading of every miner that plays along.
    pub fn sample(&mut self, node: usize) {
        let MinerPlay::Hash(rate) = self.nodes[node].miners else { return };
        let Some(SpawnCommand::Start { name, run, .. }) =
            self.nodes[node].spawned.iter().rev().find(|c| matches!(c, SpawnCommand::Start { .. }))
        else {
            return;
        };
        let sample = Box::new(sample(Some(rate)));
        let event = MinerEvent::Sample { name: name.clone(), run: *run, sample };
        self.queue.push_back((node, Event::Miner(event)));
    }
}

//! From the registry to the `alerts` thread, which hands messages to the channels.
use crossbeam_channel::Sender;

use super::Reply;
use crate::model::alert::{AlertOverview, Notice};
use crate::model::fault::Fault;

#[derive(Debug)]
pub enum AlertCommand {
    /// To every channel that takes messages of this severity. [`super::Event::AlertDelivered`] tells that the first
    /// of them has it.
    Notice(Box<Notice>),
    /// Completes the overview with the channels. Answer: [`Reply::Alerts`].
    Overview { overview: Box<AlertOverview>, reply: Sender<Result<Reply, Fault>> },
    /// Sends at once, past what waits, to this channel or to all. Answer: [`Reply::AlertTests`].
    Test { channel: Option<String>, notice: Box<Notice>, reply: Sender<Result<Reply, Fault>> },
}

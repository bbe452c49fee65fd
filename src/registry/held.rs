//! Readings on their way to the history thread, a moment's together: one by one they would wake that thread for each
//! report, which costs both sides more than what is done with the reading.
use std::time::Duration;

use crate::bus::HistoryCommand;
use crate::model::time::Mono;

/// So long the first waits for others. A lone rig's readings come more seldom and wait for nobody.
const MOMENT: Duration = Duration::from_secs(1);
/// More wait at no time.
const TOGETHER: usize = 64;

#[derive(Default)]
pub struct Held {
    waiting: Vec<HistoryCommand>,
    /// What comes before this waits for it.
    until: Mono,
}

impl Held {
    /// What is to be sent now, in the order in which it came; empty when it can wait.
    pub fn take(&mut self, command: HistoryCommand, now: Mono) -> Vec<HistoryCommand> {
        let can_wait = matches!(command, HistoryCommand::Keep { .. });
        self.waiting.push(command);
        if can_wait && now < self.until && self.waiting.len() < TOGETHER {
            return Vec::new();
        }
        self.due(now)
    }

    /// When [`Held::due`] is to be asked.
    pub fn deadline(&self) -> Option<Mono> {
        (!self.waiting.is_empty()).then_some(self.until)
    }

    /// All that waits.
    pub fn due(&mut self, now: Mono) -> Vec<HistoryCommand> {
        self.until = now.plus(MOMENT);
        std::mem::take(&mut self.waiting)
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, MOMENT, TOGETHER};
    use crate::bus::{HistoryCommand, reply_channel};
    use crate::model::history::{Batch, Rows};
    use crate::model::key::PublicKey;
    use crate::model::time::Mono;

    fn keep(through: i64) -> HistoryCommand {
        let batch = Batch { series: Vec::new(), rows: Rows::Raw(Vec::new()), through, more: false };
        HistoryCommand::Keep { node: PublicKey([1; 32]).node_id(), batch, after: None }
    }

    /// Which seconds they are up to; 0 is no reading.
    fn seconds(commands: &[HistoryCommand]) -> Vec<i64> {
        let second = |command: &HistoryCommand| match command {
            HistoryCommand::Keep { batch, .. } => batch.through,
            _ => 0,
        };
        commands.iter().map(second).collect()
    }

    #[test]
    fn a_lone_reading_goes_at_once_and_others_of_the_same_moment_go_together() {
        let (mut held, start) = (Held::default(), Mono(1_000_000_000));
        assert_eq!(held.deadline(), None);
        assert_eq!(seconds(&held.take(keep(1), start)), [1]);
        assert_eq!(held.deadline(), None);
        let later = start.plus(MOMENT / 2);
        assert!(held.take(keep(2), later).is_empty() && held.take(keep(3), later).is_empty());
        assert_eq!((held.len(), held.deadline()), (2, Some(start.plus(MOMENT))));
        assert_eq!(seconds(&held.due(start.plus(MOMENT))), [2, 3]);
        assert_eq!((held.len(), held.deadline()), (0, None));
        let next = start.plus(MOMENT * 2);
        assert_eq!(seconds(&held.take(keep(4), next)), [4]);
    }

    #[test]
    fn who_looks_at_a_chart_has_all_before_it_written_at_once() {
        let (mut held, now) = (Held::default(), Mono(1_000_000_000));
        held.take(keep(1), now);
        held.take(keep(2), now);
        let flush = HistoryCommand::Flush { reply: reply_channel().0 };
        assert_eq!(seconds(&held.take(flush, now)), [2, 0]);
        assert_eq!(held.deadline(), None);
    }

    #[test]
    fn no_more_than_some_wait() {
        let (mut held, now) = (Held::default(), Mono(1_000_000_000));
        held.take(keep(1), now);
        for n in 1..TOGETHER {
            assert!(held.take(keep(2), now).is_empty(), "{n}");
        }
        assert_eq!(held.take(keep(3), now).len(), TOGETHER);
    }
}

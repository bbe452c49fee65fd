//! What fuzz/ sees of the code that reads miners, without their processes and sockets. A feature that shows it to the
//! fuzzer alone would be a second library, and not the one that is released.
pub use super::adapter::{Adapter, Api, DIALECTS, Launch, Plan, StartProblem};

use super::adapter::{find, lolminer, srbminer, tt_miner, xmrig};
use super::output::Lines;
use crate::model::stats::MinerSample;

/// The reading in the answer of a miner's API; `backends` is the second answer that XMRig is asked for.
///
/// # Errors
/// It is none of this type of miner, started as `instance`.
pub fn reading(
    miner_type: &str,
    answer: &[u8],
    backends: &[u8],
    instance: &str,
) -> Result<MinerSample, String> {
    match find(miner_type).map_err(|problem| problem.reason)?.name {
        "tt-miner" => tt_miner::statistics(answer),
        "lolminer" => lolminer::summary(answer),
        "srbminer" => srbminer::summary(answer, instance),
        _ => {
            let mut sample = xmrig::answers::summary(answer, instance)?;
            xmrig::answers::backends(backends, &mut sample);
            Ok(sample)
        }
    }
}

/// The lines that are made of a miner's output.
#[must_use]
pub fn lines<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    for part in parts {
        lines.feed(part, |line| out.push(line.to_vec()));
    }
    lines.finish(|line| out.push(line.to_vec()));
    out
}

//! TT-Miner is known by name, so that profiles for it can be kept; running it comes with a later version.
use super::{Adapter, Api, Launch, Plan, StartProblem, plain_exit};
use crate::bus::Note;
use crate::model::stats::MinerSample;

const NOT_YET: &str = "TT-Miner is not supported by this version yet";

pub struct TtMiner;

impl Adapter for TtMiner {
    fn launch(&self, _launch: &Launch<'_>) -> Result<Plan, StartProblem> {
        Err(StartProblem::permanent(NOT_YET))
    }

    fn poll(&self, _api: &Api) -> Result<MinerSample, String> {
        Err(NOT_YET.to_owned())
    }

    fn note(&self, _line: &str) -> Option<Note> {
        None
    }

    fn exit_reason(&self, code: Option<i32>, signal: Option<i32>, _: &[String]) -> (String, bool) {
        (plain_exit(code, signal), false)
    }
}

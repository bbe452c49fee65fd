//! `GET /metrics`: the farm and the daemon itself for Prometheus and its kin. docs/scaling.md lists the names.
mod own;
mod page;
mod rigs;

use super::answer::Answer;
use super::asked::Asked;
use crate::bus::{Reply, Request};
use crate::model::fault::{Code, Fault};
use page::{Format, Page};

/// How much of a rig is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Detail {
    Rigs,
    Miners,
    Devices,
}

impl Detail {
    fn parse(text: Option<&str>) -> Result<Self, Fault> {
        match text {
            Some("rigs") => Ok(Self::Rigs),
            Some("miners") => Ok(Self::Miners),
            None | Some("devices") => Ok(Self::Devices),
            Some(_) => {
                Err(Fault::new(Code::Invalid, "detail must be `rigs`, `miners` or `devices`"))
            }
        }
    }
}

pub fn answer(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let detail = Detail::parse(asked.value("detail"))?;
    let format = Format::accepted(asked.accept);
    let Reply::Metrics(snapshot) = asked.call(Request::Metrics)? else {
        return Err(Fault::new(
            Code::Internal,
            "the daemon answered something else than was asked",
        ));
    };
    let mut page = Page::new(format);
    let left_out = rigs::write(&mut page, &snapshot.rigs, detail);
    own::write(&mut page, asked.shared, &snapshot, left_out);
    Ok(Answer::text(format.kind(), page.finish()))
}

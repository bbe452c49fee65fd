//! `/live`: everything that a page over the whole farm shows, and each change of it.
use crate::bus::Request;
use crate::http::asked::Asked;
use crate::http::server::Outcome;
use crate::http::sse;
use crate::model::fault::Fault;

pub fn follow(asked: &Asked<'_>) -> Result<Outcome, Fault> {
    let rig = asked.value("rig").map(str::to_owned);
    sse::follow(asked, |sink| Request::WatchLive { rig, sink })
}

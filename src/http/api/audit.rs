//! `/audit` and `/policy`: what was asked of this node, and what its owner allows. The log is read beside the store
//! thread; nothing here can write.
use super::answer;
use crate::bus::{Reply, Request};
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::model::fault::{Code, Fault};
use crate::store::query::{self, Whose};

/// Rows when nothing else is wanted.
const USUAL: usize = 50;

pub fn policy(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Policy).map(answer)
}

pub fn list(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let lines = asked.lines_or(USUAL)?;
    has_identity(asked)?;
    let path = &asked.shared.context.node_db;
    let Some(peer) = asked.value("peer") else {
        return Ok(Answer::json(200, &query::audit(path, Whose::All, lines)?));
    };
    let rows = match asked.call(Request::Peer { peer: peer.to_owned() }) {
        Ok(Reply::Peer(view)) => match view.public_key {
            Some(key) => query::audit(path, Whose::Peer(key), lines)?,
            None => Vec::new(),
        },
        Ok(_) => Vec::new(),
        // Who is no peer any more, or never was one, has a name in the log.
        Err(fault) if fault.code == Code::PeerNotFound => {
            let rows = query::audit(path, Whose::Name(peer), lines)?;
            if rows.is_empty() {
                return Err(fault);
            }
            rows
        }
        Err(fault) => return Err(fault),
    };
    Ok(Answer::json(200, &rows))
}

pub fn verify(asked: &Asked<'_>) -> Result<Answer, Fault> {
    has_identity(asked)?;
    Ok(Answer::json(200, &query::verify_audit(&asked.shared.context.node_db)?))
}

/// Without an identity there is no log yet.
fn has_identity(asked: &Asked<'_>) -> Result<(), Fault> {
    match asked.call(Request::NodeInfo)? {
        Reply::NodeInfo(info) if !info.has_identity => {
            Err(Fault::new(Code::Conflict, "this node has no identity yet")
                .hint("miner-cli node init --name NAME"))
        }
        _ => Ok(()),
    }
}

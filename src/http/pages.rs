//! The dashboard's files, inside the program.
use super::answer::Answer;
use super::parse::Verb;
use super::{BASE, routes};
use crate::model::fault::{Code, Fault};

/// Path, type, content.
const FILES: &[(&str, &str, &[u8])] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("../../static/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_bytes!("../../static/app.js")),
    ("/app.css", "text/css; charset=utf-8", include_bytes!("../../static/app.css")),
];

/// What is not in the route table: a file, or nothing.
pub fn answer(verb: Verb, path: &str) -> Answer {
    let Some((_, kind, content)) = FILES.iter().find(|(at, ..)| *at == path) else {
        let fault = Fault::new(Code::RouteNotFound, "there is nothing at this address");
        return Answer::fault(
            &fault.hint(format!("the API is under {BASE}; GET /openapi.json describes it")),
        );
    };
    if matches!(verb, Verb::Get | Verb::Head) {
        Answer::page(200, kind, content)
    } else {
        routes::wrong_method(vec!["GET", "HEAD"])
    }
}

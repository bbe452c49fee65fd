//! `GET /metrics` through the real gate: who may, in which format, and what was counted before.
#![allow(clippy::unwrap_used, reason = "tests")]
mod http_support;

use http_support::{Daemon, TOKEN, start};
use miner_cli::bus::{Reply, Request};
use miner_cli::http::Limits;
use miner_cli::model::fault::{Code, Fault};
use miner_cli::model::metrics::{OwnFigures, Snapshot};

fn daemon() -> Daemon {
    start(Limits::default(), |request| match request {
        Request::Metrics => Ok(Reply::Metrics(Box::new(Snapshot {
            rigs: vec![],
            own: OwnFigures { links: 7, ..OwnFigures::default() },
        }))),
        Request::Peers => Ok(Reply::Peers(vec![])),
        _ => Err(Fault::new(Code::PeerNotFound, "no")),
    })
}

#[test]
fn the_page_wants_the_token_and_comes_in_the_format_that_is_asked_for() {
    let daemon = daemon();
    let bare = daemon.with("GET", "/metrics", "", "");
    assert_eq!(bare.status(), 401);
    assert!(!bare.body().contains("miner_cli"), "a stranger learns nothing");

    let old = daemon.get("/api/v1/mining/metrics");
    assert_eq!(old.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(old.body().contains("\nminer_cli_links 7\n") && !old.body().contains("# EOF"));

    let lines = format!(
        "Authorization: Bearer {TOKEN}\r\nAccept: text/plain;q=0.2\r\nAccept: application/openmetrics-text;version=1.0.0;q=0.5\r\n"
    );
    let open = daemon.with("GET", "/metrics", &lines, "");
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body().ends_with("# EOF\n"));
    assert_eq!(daemon.get("/metrics?detail=everything").status(), 400);
    daemon.stop();
}

#[test]
fn requests_are_counted_by_the_route_of_the_table_and_by_status() {
    let daemon = daemon();
    for path in ["/peers", "/peers", "/peers/one", "/peers/two"] {
        daemon.get(&format!("/api/v1/mining{path}"));
    }
    daemon.with("GET", "/no-such-page", "", "");
    daemon.raw("GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n");
    let page = daemon.get("/metrics");
    let count = |labels: &str| {
        let start = format!("miner_cli_http_requests_total{{{labels}}} ");
        page.body().lines().find_map(|l| l.strip_prefix(&start)?.parse::<u64>().ok())
    };
    assert_eq!(count(r#"method="GET",route="/peers",status="200""#), Some(2));
    assert_eq!(count(r#"method="GET",route="/peers/{peer}",status="404""#), Some(2));
    assert_eq!(count(r#"method="GET",route="(pages)",status="404""#), Some(1));
    assert_eq!(count(r#"method="",route="(refused)",status="403""#), Some(1));
    assert!(!page.body().contains("no-such-page") && !page.body().contains("/peers/one"));
    let times = r#"miner_cli_http_request_duration_seconds_count{method="GET",route="/peers"} 2"#;
    assert!(page.body().contains(times), "{}", page.body());
    daemon.stop();
}

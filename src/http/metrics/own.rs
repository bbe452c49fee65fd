//! The daemon itself: links, queues, requests, and what the kernel says of the process.
use std::sync::atomic::Ordering::Relaxed;

use super::page::{Kind, Labels, Page};
use crate::http::Shared;
use crate::http::meter::BOUNDS;
use crate::model::metrics::Snapshot;
use crate::model::stats::RigState;
use crate::store::query::history as query;
use crate::sys::usage;

/// `left_out`: miners and devices that the page has no room for.
pub fn write(page: &mut Page, shared: &Shared, snapshot: &Snapshot, left_out: usize) {
    farm(page, snapshot, left_out);
    links(page, shared, snapshot);
    queues(page, shared, snapshot);
    history(page, shared, snapshot);
    requests(page, shared);
    process(page, shared, snapshot);
}

fn farm(page: &mut Page, snapshot: &Snapshot, left_out: usize) {
    let mut family = page.family(Kind::Gauge, "miner_cli_rigs", "Rigs by state.");
    for state in RigState::ALL {
        let count = snapshot.rigs.iter().filter(|r| r.state == state).count();
        family.sample(&Labels::one("state", state.text()), Some(count as f64));
    }
    let none = Labels::default();
    let mut gauge = |name, help, value: usize| {
        page.family(Kind::Gauge, name, help).sample(&none, Some(value as f64));
    };
    gauge("miner_cli_peers", "Registered peers.", snapshot.own.peers);
    gauge("miner_cli_pairing_requests", "Nodes that ask to pair.", snapshot.own.pairing_requests);
    gauge(
        "miner_cli_metrics_left_out",
        "Miners and devices that this page leaves out: one rig has too many, or names two alike.",
        left_out,
    );
}

fn links(page: &mut Page, shared: &Shared, snapshot: &Snapshot) {
    let (own, counters, none) = (&snapshot.own, &shared.context.counters, Labels::default());
    page.family(Kind::Gauge, "miner_cli_links", "Links that are up.")
        .sample(&none, Some(own.links as f64));
    let mut counter = |name, help, value: u64| {
        page.family(Kind::Counter, name, help).sample(&none, Some(value as f64));
    };
    counter("miner_cli_links_made", "Links that came up.", own.tally.links_made);
    counter("miner_cli_links_lost", "Links that ended.", own.tally.links_lost);
    counter(
        "miner_cli_links_cut",
        "Links that were cut because the peer took no more messages.",
        counters.links_cut.get(),
    );
    counter("miner_cli_reports", "Reports of rigs that were taken.", own.tally.reports);
    counter("miner_cli_events", "Events that were noted.", own.tally.events);
    let mut family =
        page.family(Kind::Counter, "miner_cli_links_refused", "Callers that got no link, by why.");
    for (reason, count) in [
        ("handshake", counters.handshakes_failed.get()),
        ("not-registered", counters.callers_refused.get()),
    ] {
        family.sample(&Labels::one("reason", reason), Some(count as f64));
    }
}

fn queues(page: &mut Page, shared: &Shared, snapshot: &Snapshot) {
    let (own, counters) = (&snapshot.own, &shared.context.counters);
    let waiting = &counters.waiting;
    let mut family = page.family(Kind::Gauge, "miner_cli_queue_length", "Messages that wait.");
    for (queue, length) in [
        ("registry", shared.context.events.len()),
        ("store", waiting.store.load(Relaxed)),
        ("dialler", waiting.dialler.load(Relaxed)),
        ("spawner", waiting.spawner.load(Relaxed)),
        ("history", waiting.history.load(Relaxed)),
    ] {
        family.sample(&Labels::one("queue", queue), Some(length as f64));
    }
    let mut family = page.family(
        Kind::Counter,
        "miner_cli_store_dropped",
        "Writes that found no room in the store's queue: notes are lost, changes were refused.",
    );
    for (kind, count) in
        [("note", counters.notes_dropped.get()), ("change", counters.changes_refused.get())]
    {
        family.sample(&Labels::one("kind", kind), Some(count as f64));
    }
    let none = Labels::default();
    let mut gauge = |name, help, value: usize| {
        page.family(Kind::Gauge, name, help).sample(&none, Some(value as f64));
    };
    gauge(
        "miner_cli_requests_waiting",
        "Requests to peers without an answer yet.",
        own.requests_waiting,
    );
    gauge("miner_cli_timers", "Deadlines that the registry keeps.", own.timers);
    gauge("miner_cli_follows", "Logs and events that somebody follows.", own.follows);
    gauge("miner_cli_log_rings", "Rings of miners' output.", shared.context.logs.count());
}

fn history(page: &mut Page, shared: &Shared, snapshot: &Snapshot) {
    let Some(file) = &shared.context.mining_db else { return };
    let none = Labels::default();
    page.family(
        Kind::Counter,
        "miner_cli_history_dropped_readings",
        "Readings lost on their way into mining.db, because the disk was full or too slow.",
    )
    .sample(&none, Some(snapshot.own.readings_dropped as f64));
    page.family(Kind::Gauge, "miner_cli_history_size_bytes", "mining.db and its log.")
        .sample(&none, Some(query::file_bytes(file) as f64));
}

fn requests(page: &mut Page, shared: &Shared) {
    let shown = shared.meter.shown();
    let labels: Vec<Labels> =
        shown.iter().map(|row| Labels::one("method", row.method).and("route", row.route)).collect();
    let mut family = page.family(
        Kind::Counter,
        "miner_cli_http_requests",
        "Requests by route of the table and status.",
    );
    for (row, labels) in shown.iter().zip(&labels) {
        for (status, count) in &row.statuses {
            family.sample(&labels.and("status", &status.to_string()), Some(*count as f64));
        }
    }
    let mut family = page.family(
        Kind::Histogram,
        "miner_cli_http_request_duration_seconds",
        "From the last byte of a request to the whole answer; streams are not in it.",
    );
    for (row, labels) in shown.iter().zip(&labels).filter(|(row, _)| row.count > 0) {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6);
        let buckets: Vec<_> = bounds.zip(row.buckets.iter().copied()).collect();
        family.histogram(labels, &buckets, row.count, row.seconds);
    }
}

fn process(page: &mut Page, shared: &Shared, snapshot: &Snapshot) {
    let (usage, none) = (usage::read(), Labels::default());
    page.family(Kind::Info, "miner_cli_build", "This program.")
        .sample(&Labels::one("version", shared.context.version), Some(1.0));
    page.family(Kind::Gauge, "miner_cli_uptime_seconds", "Time since the daemon started.")
        .sample(&none, Some(snapshot.own.uptime as f64));
    page.family(Kind::Counter, "process_cpu_seconds", "CPU time, user and system.")
        .sample(&none, usage.cpu);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Resident memory.", usage.resident),
        ("process_threads", "Live threads.", usage.threads),
        ("process_open_fds", "Open file descriptors.", usage.open_files),
        ("process_max_fds", "How many there may be.", usage.most_files),
    ] {
        page.family(Kind::Gauge, name, help).sample(&none, value);
    }
}

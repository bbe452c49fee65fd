//! `history`: curves for people, CSV and JSON for programs.
use serde_json::{Value, json};

use super::daemon::{Daemon, run_with};
use crate::cli::prepass::Environment;

fn chart() -> Value {
    let point = |minute: i64, hashrate: Option<f64>, rigs: u32| {
        json!({"timestamp": crate::model::time::Timestamp(1_700_000_000_000 + minute * 60_000),
            "hashrate": hashrate, "effective": hashrate.map(|h| h * 0.9), "rigs": rigs,
            "accepted": rigs * 2, "rejected": 0})
    };
    let rx = [point(0, Some(24_000.0), 2), point(1, None, 0), point(2, Some(12_000.0), 1)];
    let odd = [point(0, None, 0), point(1, Some(1.5), 1), point(2, None, 0)];
    json!({"since": "2023-11-14T22:13:20.000Z", "until": "2023-11-14T22:16:20.000Z", "resolution": 60,
        "series": [{"algorithm": "rx/0", "points": rx}, {"algorithm": "=a,\"b\"\u{1b}[2J", "points": odd}]})
}

fn rows() -> Value {
    json!([
        {"timestamp": "2023-11-14T22:13:20.000Z", "hashrate": 500.0, "min": 400.0, "max": 600.0, "effective": 450.5},
        {"timestamp": "2023-11-14T22:14:20.000Z", "hashrate": null, "min": null, "max": null, "effective": null}
    ])
}

#[test]
fn the_farm_is_a_curve_for_each_algorithm_with_its_figures_under_it() {
    let daemon = Daemon::new(&[("GET /history/totals?since=24h&points=67", 200, chart())]);
    let (exit, out, err) = daemon.run("history");
    assert_eq!((exit, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("rx/0, up to 2 rigs: "), "{out}");
    assert!(
        out.contains("min 12.00 kH/s, mean 18.00 kH/s, max 24.00 kH/s; effective 16.20 kH/s, no readings for 1m 0s"),
        "{out}"
    );
    assert!(out.contains("shares: 6 accepted, 0 rejected"), "{out}");
    assert!(out.contains(" 30.00 kH/s +") && out.contains("+------"), "{out}");
    assert!(out.is_ascii() && !out.contains('\u{1b}'), "{out}");
    let utf8 =
        Environment { home: Some(daemon.home.clone()), utf8: true, ..Environment::default() };
    let daemon = Daemon::new(&[("GET /history/totals?since=24h&points=134", 200, chart())]);
    let (exit, out, _) =
        run_with(Environment { home: Some(daemon.home.clone()), ..utf8 }, "history");
    assert!(exit == 0 && out.contains('⠉') && out.contains('┤'), "{out}");
}

#[test]
fn programs_get_utc_and_nothing_where_nothing_is_known() {
    let daemon = Daemon::new(&[
        (
            "GET /history/totals?since=7d&until=1d&points=50&peer=rig%20a&algorithm=rx%2F0",
            200,
            chart(),
        ),
        ("GET /history/miners/xmrig-1/hashrate?since=24h&peer=a", 200, rows()),
        ("GET /history/miners/x/hashrate?since=24h", 404, super::fault("MINER_NOT_FOUND")),
    ]);
    let (exit, out, _) = daemon.run("history rig%20a --csv");
    assert_eq!((exit, out.as_str()), (1, ""), "another question");
    let line = "history --since 7d --until 1d --points 50 --algorithm rx/0 --csv".split(' ');
    let args: Vec<String> = line.map(str::to_owned).chain(["rig a".to_owned()]).collect();
    let (screen, out, _) = crate::cli::screen::testing::screen();
    let environment = Environment { home: Some(daemon.home.clone()), ..Environment::default() };
    assert_eq!(crate::cli::run_with(args, environment, screen) as u8, 0);
    let out = out.text();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "time,algorithm,hashrate,effective,rigs,accepted,rejected");
    assert_eq!(lines[1], "2023-11-14T22:13:20.000Z,rx/0,24000,21600,2,4,0");
    assert_eq!(lines[2], "2023-11-14T22:14:20.000Z,rx/0,,,0,0,0");
    assert!(lines[4].contains(",\"'=a,\"\"b\"\"\\u001b[2J\",") && lines.len() == 7, "{out}");

    let (_, out, _) = daemon.run("history a --miner xmrig-1 --csv");
    let wanted = "time,hashrate,min,max,effective\n2023-11-14T22:13:20.000Z,500,400,600,450.5\n2023-11-14T22:14:20.000Z,,,,\n";
    assert_eq!(out, wanted);
    let (_, out, _) = daemon.run("history a --miner xmrig-1 --json");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), rows());
    assert_eq!(daemon.run("history --miner x --csv").0, 4);
    assert_eq!(daemon.run("history --csv --json").0, 2);
    assert_eq!(daemon.run("history --miner x --algorithm y").0, 2);
}

#[test]
fn a_miner_has_its_lowest_and_highest_and_an_empty_past_says_so() {
    let empty = json!({"since": "2023-11-14T22:13:20.000Z", "until": "2023-11-14T22:16:20.000Z",
        "resolution": 60, "series": []});
    let daemon = Daemon::new(&[
        ("GET /history/miners/xmrig-1/hashrate?since=24h&points=67&peer=a", 200, rows()),
        ("GET /history/totals?since=24h&points=67&peer=a", 200, empty),
    ]);
    let (exit, out, _) = daemon.run("history a --miner xmrig-1");
    assert!(exit == 0 && out.starts_with("xmrig-1 of a: "), "{out}");
    assert!(
        out.contains("min 400.00 H/s, mean 500.00 H/s, max 600.00 H/s; effective 450.50 H/s"),
        "{out}"
    );
    let (exit, out, _) = daemon.run("history a");
    assert!(exit == 0 && out.starts_with("No readings since 2023-11-1"), "{out}");
}

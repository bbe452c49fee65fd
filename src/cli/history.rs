//! `history`: what was mined, as a curve in the terminal or as CSV.
use argh::FromArgs;

use super::client::segment;
use super::exit::{Exit, Failure};
use super::plot::{Curve, Plot};
use super::{Ended, Session, units};
use crate::model::history::{MinerPoint, TotalsChart, TotalsPoint};
use crate::model::time::Timestamp;
use crate::sys::local::{self, Local};

/// show what was mined: the farm by algorithm, a rig, or one of its miners
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "history")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct History {
    /// a rig: id, unique prefix of an id, or name; none: the whole farm
    #[argh(positional)]
    pub peer: Option<String>,
    /// one miner of that rig; without a rig: of this node
    #[argh(option)]
    pub miner: Option<String>,
    /// only this algorithm
    #[argh(option)]
    pub algorithm: Option<String>,
    /// from when on: a span back from now or an RFC 3339 time (24h)
    #[argh(option, default = "\"24h\".to_owned()")]
    pub since: String,
    /// until when (now)
    #[argh(option)]
    pub until: Option<String>,
    /// the most points, 2 to 2000 (as many as the terminal shows, 300 as CSV or JSON)
    #[argh(option)]
    pub points: Option<usize>,
    /// print comma separated values, with times in UTC
    #[argh(switch)]
    pub csv: bool,
}

/// Columns where standard output is no terminal.
const COLUMNS: usize = 80;
const WIDEST: usize = 200;

pub fn run(history: &History, session: &mut Session) -> Ended {
    if history.csv && session.globals.json {
        return Err(Failure::Usage("--csv or --json, not both".to_owned()));
    }
    if history.miner.is_some() && history.algorithm.is_some() {
        return Err(Failure::Usage("--miner or --algorithm, not both".to_owned()));
    }
    let plot = Plot {
        columns: session.environment.columns.unwrap_or(COLUMNS).min(WIDEST),
        utf8: session.environment.utf8,
        zone: &local::time,
    };
    let drawn = !history.csv && !session.globals.json;
    let points = history.points.or(drawn.then(|| plot.points()));
    let reply = session.client()?.get(&path(history, points))?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    if history.miner.is_some() {
        let rows: Vec<MinerPoint> = reply.read()?;
        if history.csv { miner_csv(&rows, session) } else { miner(history, &rows, &plot, session) }
    } else {
        let chart: TotalsChart = reply.read()?;
        if history.csv { totals_csv(&chart, session) } else { totals(&chart, &plot, session) }
    }
}

fn path(history: &History, points: Option<usize>) -> String {
    let mut path = match &history.miner {
        Some(miner) => format!("/history/miners/{}/hashrate", segment(miner)),
        None => "/history/totals".to_owned(),
    };
    path.push_str(&format!("?since={}", segment(&history.since)));
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    };
    add("until", history.until.as_deref());
    add("points", points.map(|n| n.to_string()).as_deref());
    add("peer", history.peer.as_deref());
    add("algorithm", history.algorithm.as_deref());
    path
}

// ---- for people ----

fn totals(chart: &TotalsChart, plot: &Plot<'_>, session: &mut Session) -> Ended {
    if chart.series.is_empty() {
        return nothing(chart.since, session);
    }
    for (i, series) in chart.series.iter().enumerate() {
        if i > 0 {
            session.screen.line("")?;
        }
        let rigs = series.points.iter().map(|p| p.rigs).max().unwrap_or(0);
        let name =
            if series.algorithm.is_empty() { "unknown algorithm" } else { &series.algorithm };
        let of = if rigs == 1 { "1 rig".to_owned() } else { format!("up to {rigs} rigs") };
        let rates: Vec<_> = series.points.iter().map(|p| p.hashrate).collect();
        let sums = Sums {
            least: least(&rates),
            most: most(&rates),
            mean: mean(&rates),
            effective: mean(&series.points.iter().map(|p| p.effective).collect::<Vec<_>>()),
            gap: gap(&rates, chart.resolution),
        };
        let since = series.points.first().map_or(chart.since, |p| p.timestamp);
        let title = format!("{name}, {of}");
        draw(&title, seconds(since), chart.resolution, rates, &sums, plot, session)?;
        let shares = |of: fn(&TotalsPoint) -> u64| series.points.iter().map(of).sum::<u64>();
        let (accepted, rejected) = (shares(|p| p.accepted), shares(|p| p.rejected));
        session.screen.line(&format!("shares: {accepted} accepted, {rejected} rejected"))?;
    }
    Ok(Exit::Done)
}

fn miner(history: &History, rows: &[MinerPoint], plot: &Plot<'_>, session: &mut Session) -> Ended {
    let (Some(first), Some(second)) = (rows.first(), rows.get(1)) else {
        return nothing(rows.first().map_or(Timestamp(0), |row| row.timestamp), session);
    };
    let step = seconds(second.timestamp) - seconds(first.timestamp);
    let rates: Vec<_> = rows.iter().map(|row| row.hashrate).collect();
    let sums = Sums {
        least: least(&rows.iter().map(|row| row.min).collect::<Vec<_>>()),
        most: most(&rows.iter().map(|row| row.max).collect::<Vec<_>>()),
        mean: mean(&rates),
        effective: mean(&rows.iter().map(|row| row.effective).collect::<Vec<_>>()),
        gap: gap(&rates, step),
    };
    let whose = history.peer.as_deref().map(|peer| format!(" of {peer}")).unwrap_or_default();
    let title = format!("{}{whose}", history.miner.as_deref().unwrap_or_default());
    draw(&title, seconds(first.timestamp), step, rates, &sums, plot, session)?;
    Ok(Exit::Done)
}

fn nothing(since: Timestamp, session: &mut Session) -> Ended {
    let since = clock(seconds(since)).unwrap_or_default();
    session.screen.line(&format!("No readings since {since}."))?;
    Ok(Exit::Done)
}

/// What stands under a curve.
struct Sums {
    least: Option<f64>,
    mean: Option<f64>,
    most: Option<f64>,
    effective: Option<f64>,
    /// Seconds without readings.
    gap: i64,
}

fn draw(
    title: &str,
    since: i64,
    step: i64,
    values: Vec<Option<f64>>,
    sums: &Sums,
    plot: &Plot<'_>,
    session: &mut Session,
) -> Result<(), Failure> {
    let until = since + step * values.len() as i64;
    let span = [since, until].map(|at| clock(at).unwrap_or_default());
    session.screen.line(&format!("{title}: {} to {} ({})", span[0], span[1], zone(until)))?;
    for line in plot.draw(&Curve { since, step, values }) {
        session.screen.line(&line)?;
    }
    let Sums { least, mean, most, effective, gap } = sums;
    let rate = |value: &Option<f64>| units::hashrate(*value);
    let gap = match gap {
        0 => String::new(),
        gap => format!(", no readings for {}", units::duration(u64::try_from(*gap).ok())),
    };
    session.screen.line(&format!(
        "min {}, mean {}, max {}; effective {}{gap}",
        rate(least),
        rate(mean),
        rate(most),
        rate(effective)
    ))
}

fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1000)
}

fn clock(second: i64) -> Option<String> {
    let Local { year, month, day, hour, minute, .. } = local::time(second)?;
    Some(format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}"))
}

fn zone(second: i64) -> String {
    let offset = local::time(second).map_or(0, |local| local.offset) / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    format!("UTC{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
}

fn least(values: &[Option<f64>]) -> Option<f64> {
    values.iter().flatten().copied().reduce(f64::min)
}

fn most(values: &[Option<f64>]) -> Option<f64> {
    values.iter().flatten().copied().reduce(f64::max)
}

fn mean(values: &[Option<f64>]) -> Option<f64> {
    let known = values.iter().flatten().count();
    (known > 0).then(|| values.iter().flatten().sum::<f64>() / known as f64)
}

fn gap(values: &[Option<f64>], step: i64) -> i64 {
    values.iter().filter(|value| value.is_none()).count() as i64 * step
}

// ---- for programs ----

fn totals_csv(chart: &TotalsChart, session: &mut Session) -> Ended {
    let mut out = "time,algorithm,hashrate,effective,rigs,accepted,rejected\n".to_owned();
    for series in &chart.series {
        for point in &series.points {
            let TotalsPoint { timestamp, rigs, accepted, rejected, .. } = point;
            out.push_str(&format!(
                "{timestamp},{},{},{},{rigs},{accepted},{rejected}\n",
                quoted(&series.algorithm),
                number(point.hashrate),
                number(point.effective)
            ));
        }
    }
    session.screen.body(&out)?;
    Ok(Exit::Done)
}

fn miner_csv(rows: &[MinerPoint], session: &mut Session) -> Ended {
    let mut out = "time,hashrate,min,max,effective\n".to_owned();
    for row in rows {
        let [rate, min, max, effective] =
            [row.hashrate, row.min, row.max, row.effective].map(number);
        out.push_str(&format!("{},{rate},{min},{max},{effective}\n", row.timestamp));
    }
    session.screen.body(&out)?;
    Ok(Exit::Done)
}

/// What is unknown is empty.
fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A text that a spreadsheet takes for one: no separator ends it, and no formula begins with it.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@']);
    if !formula && !text.contains([',', '"', '\n']) {
        return text.to_owned();
    }
    let mark = if formula { "'" } else { "" };
    format!("\"{mark}{}\"", text.replace('"', "\"\""))
}

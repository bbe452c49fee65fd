//! What a rig says of its past is bounded and cleaned before it is kept.
use super::readings::IN_A_REPORT;
use super::series_seen::SeriesSeen;
use crate::model::history::{
    Batch, HOURS_KEPT_MS, Live, Reading, Resolution, Rollup, Rows, Series,
};
use crate::model::name::is_slug;
use crate::model::text::clean;

/// Rows of an answer, and series that it names.
const MOST_ROWS: usize = 400;
/// Characters of a miner type and of an algorithm.
const WORD: usize = 40;
/// How far a clock that is still believed may be ahead, in seconds.
const AHEAD: i64 = 120;
/// H/s, hashes and watts beyond which nothing is measured.
const MOST_HASHES: f64 = 1e24;
const MOST_WATTS: f64 = 1e6;
/// Readings of an hour, and shares in one row.
const MOST_READINGS: u32 = 3600;
const MOST_SHARES: u32 = 10_000_000;

/// The readings of a report as they are kept; `None` where they make no sense. `by_our_time`: the rig's clock is not
/// to be believed, so the newest reading is of this moment.
pub fn live(live: Live, now: i64, by_our_time: bool, seen: &mut SeriesSeen) -> Option<Live> {
    let Live { mut after, mut batch } = live;
    let Rows::Raw(rows) = &mut batch.rows else { return None };
    rows.truncate(IN_A_REPORT);
    if by_our_time {
        let newest = rows.iter().map(|(_, r)| r.at).max().unwrap_or(now);
        let shift = now.saturating_sub(newest);
        rows.iter_mut().for_each(|(_, r)| r.at = r.at.saturating_add(shift));
        (after, batch.through) = (now, now);
    }
    let oldest = now - HOURS_KEPT_MS / 1000;
    if !(oldest..=now + AHEAD).contains(&batch.through) || after > batch.through {
        return None;
    }
    batch.more = false;
    Some(Live { after, batch: cleaned(batch, oldest, now + AHEAD, seen) })
}

/// A batch that was asked for, of what came behind the second `after`.
///
/// # Errors
/// It cannot be an answer to that; a sentence says why.
pub fn batch(batch: Batch, after: i64, now: i64, seen: &mut SeriesSeen) -> Result<Batch, String> {
    let (first, last, count) = match &batch.rows {
        Rows::Raw(rows) => span(rows.iter().map(|(_, r)| r.at)),
        Rows::Minute(rows) | Rows::Hour(rows) => span(rows.iter().map(|(_, r)| r.at)),
    };
    if count > MOST_ROWS {
        return Err(format!("it sends {count} rows at once"));
    }
    // A minute or an hour may have begun before.
    let step = match &batch.rows {
        Rows::Raw(_) => 1,
        Rows::Minute(_) => Resolution::Minute.seconds(),
        Rows::Hour(_) => Resolution::Hour.seconds(),
    };
    if count > 0 && first.saturating_add(step) <= after {
        return Err("it sends what was not asked for".to_owned());
    }
    if batch.more && (batch.through <= after || (count > 0 && last > batch.through)) {
        return Err("its answers lead nowhere".to_owned());
    }
    if batch.through > now + AHEAD && batch.more {
        return Err("it sends what has not happened yet".to_owned());
    }
    let oldest = now - HOURS_KEPT_MS / 1000;
    let through = batch.through.clamp(after, (now + AHEAD).max(after));
    Ok(cleaned(Batch { through, ..batch }, oldest, now + AHEAD, seen))
}

fn span(times: impl Iterator<Item = i64>) -> (i64, i64, usize) {
    times.fold((i64::MAX, i64::MIN, 0), |(first, last, n), at| (first.min(at), last.max(at), n + 1))
}

/// Only rows of that time and of series that are named, with figures that can be.
fn cleaned(batch: Batch, oldest: i64, newest: i64, seen: &mut SeriesSeen) -> Batch {
    let Batch { series, rows, through, more } = batch;
    // Rows of a minute wait to be written: no room for what does not come.
    let mut kept: Vec<Series> = Vec::with_capacity(series.len().min(MOST_ROWS));
    let places: Vec<Option<u16>> =
        series.into_iter().take(MOST_ROWS).map(|s| place(s, &mut kept)).collect();
    let mut takes = |index: &mut u16, at: i64| {
        let Some(place) = places.get(usize::from(*index)).copied().flatten() else { return false };
        *index = place;
        (oldest..=newest).contains(&at) && seen.has_room(at, &kept[usize::from(place)])
    };
    let rows = match rows {
        Rows::Raw(mut rows) => {
            rows.retain_mut(|(index, row)| takes(index, row.at) && reading(row));
            rows.shrink_to_fit();
            Rows::Raw(rows)
        }
        Rows::Minute(mut rows) => {
            rows.retain_mut(|(index, row)| takes(index, row.at) && rollup(row, 60));
            Rows::Minute(rows)
        }
        Rows::Hour(mut rows) => {
            rows.retain_mut(|(index, row)| takes(index, row.at) && rollup(row, 3600));
            Rows::Hour(rows)
        }
    };
    Batch { series: kept, rows, through, more }
}

/// Where the cleaned series stands in `kept`; `None` for one that is none.
fn place(series: Series, kept: &mut Vec<Series>) -> Option<u16> {
    if !is_slug(&series.miner) {
        return None;
    }
    kept.push(Series {
        miner: series.miner,
        miner_type: clean(&series.miner_type, WORD),
        simulated: series.simulated,
        algorithm: clean(&series.algorithm, WORD),
    });
    u16::try_from(kept.len() - 1).ok()
}

fn number(value: &mut Option<f64>, most: f64) {
    *value = value.filter(|v| v.is_finite() && (0.0..=most).contains(v));
}

fn temperature(value: &mut Option<f64>) {
    *value = value.filter(|v| (-60.0..=200.0).contains(v));
}

fn reading(row: &mut Reading) -> bool {
    number(&mut row.hashrate, MOST_HASHES);
    number(&mut row.work, MOST_HASHES);
    number(&mut row.power, MOST_WATTS);
    temperature(&mut row.temperature);
    row.accepted = row.accepted.min(MOST_SHARES);
    row.rejected = row.rejected.min(MOST_SHARES);
    true
}

fn rollup(row: &mut Rollup, step: i64) -> bool {
    number(&mut row.work, MOST_HASHES);
    number(&mut row.power, MOST_WATTS);
    temperature(&mut row.temperature);
    row.accepted = row.accepted.min(MOST_SHARES);
    row.rejected = row.rejected.min(MOST_SHARES);
    row.minutes &= (1 << 60) - 1;
    let figures = [row.sum, row.min, row.max];
    row.at % step == 0
        && row.n <= MOST_READINGS
        && figures.iter().all(|v| v.is_finite() && (0.0..=MOST_HASHES).contains(v))
        && row.min <= row.max
}

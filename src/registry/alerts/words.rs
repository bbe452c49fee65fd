//! What an alert says.
use super::causes::Cause;
use crate::model::alert::{NAMED, Rule};
use crate::model::text::clean;

/// Characters of a message's sentence.
const SENTENCE: usize = 1500;

/// One cause as it stands; several as their number and the first names.
pub fn of_alert(rule: Rule, causes: &[&Cause]) -> String {
    if let [only] = causes {
        return clean(&only.record.text, SENTENCE);
    }
    let (noun, predicate) = match rule {
        Rule::Unreachable => ("rigs", "are unreachable"),
        Rule::CrashLoop => ("miners", "are in a crash loop or failed"),
        Rule::Hashrate => ("rigs", "hash much less than usual"),
        Rule::Rejects => ("miners", "have too many shares rejected"),
        Rule::Temperature => ("rigs", "are too hot"),
        Rule::KeyChanged => ("peers", "have another node answer in their place"),
        Rule::Policy => ("rigs", "refused commands because of their policy"),
        Rule::Disk => ("rigs", "have a disk that is nearly full"),
    };
    listed(causes.len(), noun, predicate, causes)
}

/// The same for what is over.
pub fn of_recovery(rule: Rule, causes: &[&Cause]) -> String {
    let (noun, one, many) = match rule {
        Rule::Unreachable => ("rigs", "is reachable again", "are reachable again"),
        Rule::CrashLoop => ("miners", "does not crash any more", "do not crash any more"),
        Rule::Hashrate => ("rigs", "hashes as usual again", "hash as usual again"),
        Rule::Rejects => {
            ("miners", "has its shares accepted again", "have their shares accepted again")
        }
        Rule::Temperature => ("rigs", "is cool enough again", "are cool enough again"),
        Rule::KeyChanged => ("peers", "answers with its own key", "answer with their own keys"),
        Rule::Policy => ("rigs", "refuses nothing any more", "refuse nothing any more"),
        Rule::Disk => ("rigs", "has room on its disk again", "have room on their disks again"),
    };
    match causes {
        [only] => clean(&format!("{} {one}", label(only)), SENTENCE),
        _ => listed(causes.len(), noun, many, causes),
    }
}

fn listed(count: usize, noun: &str, predicate: &str, causes: &[&Cause]) -> String {
    let names: Vec<String> = causes.iter().take(NAMED).map(|cause| label(cause)).collect();
    let rest = match count.saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    clean(&format!("{count} {noun} {predicate}: {}{rest}", names.join(", ")), SENTENCE)
}

fn label(cause: &Cause) -> String {
    let record = &cause.record;
    match record.rule {
        Rule::CrashLoop | Rule::Rejects => format!("{} on {}", record.what, record.name),
        Rule::Hashrate => format!("{} ({})", record.name, record.what),
        _ => record.name.clone(),
    }
}

/// A hashrate for people: `12.50 kH/s`.
pub fn rate(value: f64) -> String {
    let units = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];
    let (mut value, mut unit) = (value, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.2} {}", units[unit])
}

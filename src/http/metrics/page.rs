//! The two text formats: OpenMetrics 1.0 and the older one of Prometheus, 0.0.4.
//! <https://github.com/OpenObservability/OpenMetrics/blob/main/specification/OpenMetrics.md>
use std::fmt::Write as _;

use crate::model::text::is_unsafe;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// The Content-Type.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The one that an Accept header likes better; without a word about either, the older one, which everything reads.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let mut best = (0.0, Self::Prometheus);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => Self::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Self::Prometheus,
                _ => continue,
            };
            let quality =
                parts.find_map(|p| p.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
            let quality = quality.filter(|q: &f64| (0.0..=1.0).contains(q)).unwrap_or(0.0);
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Gauge,
    /// Named without its `_total`.
    Counter,
    /// Named without its `_info`; its labels are what it says.
    Info,
    Histogram,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

pub struct Page {
    format: Format,
    text: String,
}

/// Metrics of one name. Its head is written with its first sample: what nobody knows is not there at all.
pub struct Family<'p> {
    page: &'p mut Page,
    kind: Kind,
    name: &'static str,
    help: &'static str,
    begun: bool,
}

/// The inside of the braces, escaped.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Labels(String);

/// Characters of a label's value.
const LONGEST: usize = 120;

impl Page {
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    pub fn family<'p>(
        &'p mut self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
    ) -> Family<'p> {
        Family { page: self, kind, name, help, begun: false }
    }

    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

impl Family<'_> {
    /// One figure; none when it is unknown.
    pub fn sample(&mut self, labels: &Labels, value: Option<f64>) {
        if let Some(value) = value {
            self.line(self.kind.suffix(), labels, value);
        }
    }

    /// `buckets`: upper bounds in seconds with cumulative counts.
    pub fn histogram(&mut self, labels: &Labels, buckets: &[(f64, u64)], count: u64, sum: f64) {
        for (bound, within) in buckets {
            // OpenMetrics wants a bound to look like a number with a fraction.
            self.line("_bucket", &labels.and("le", &format!("{bound:?}")), *within as f64);
        }
        self.line("_bucket", &labels.and("le", "+Inf"), count as f64);
        self.line("_sum", labels, sum);
        self.line("_count", labels, count as f64);
    }

    fn line(&mut self, suffix: &str, labels: &Labels, value: f64) {
        if !self.begun {
            self.begun = true;
            self.head();
        }
        let (text, name) = (&mut self.page.text, self.name);
        let written = if labels.0.is_empty() {
            writeln!(text, "{name}{suffix} {value}")
        } else {
            writeln!(text, "{name}{suffix}{{{}}} {value}", labels.0)
        };
        written.expect("a String takes everything");
    }

    fn head(&mut self) {
        let Self { kind, name, help, .. } = *self;
        let (suffix, kind) = match (self.page.format, kind) {
            (_, Kind::Gauge) => ("", "gauge"),
            (_, Kind::Histogram) => ("", "histogram"),
            (Format::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Format::OpenMetrics, Kind::Info) => ("", "info"),
            (Format::Prometheus, Kind::Counter) => ("_total", "counter"),
            (Format::Prometheus, Kind::Info) => ("_info", "gauge"),
        };
        let text = &mut self.page.text;
        writeln!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}")
            .expect("a String takes everything");
    }
}

impl Labels {
    /// With one more. `name` is a name that the formats know: letters, digits and `_`.
    #[must_use]
    pub fn and(&self, name: &str, value: &str) -> Self {
        let mut out = self.0.clone();
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        for c in value.chars().filter(|c| !is_unsafe(*c)).take(LONGEST) {
            if matches!(c, '\\' | '"') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
        Self(out)
    }

    #[must_use]
    pub fn one(name: &str, value: &str) -> Self {
        Self::default().and(name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Kind, Labels, Page};

    #[test]
    fn the_accept_header_chooses() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            (
                "text/plain;version=0.0.4;q=0.5, application/openmetrics-text;q=0.4",
                Format::Prometheus,
            ),
            ("Application/OpenMetrics-Text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=nan", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/html", Format::Prometheus),
            ("", Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(Some(accept)), format, "{accept}");
        }
        assert_eq!(Format::accepted(None), Format::Prometheus);
    }

    fn page(format: Format) -> String {
        let mut page = Page::new(format);
        let rig = Labels::one("rig", "a\"b\\c\nd\u{202e}");
        page.family(Kind::Gauge, "up", "Is it up?").sample(&rig, Some(1.0));
        page.family(Kind::Gauge, "unknown", "Nobody knows.").sample(&rig, None);
        let mut shares = page.family(Kind::Counter, "shares", "Shares.");
        shares.sample(&rig.and("result", "ok"), Some(2.0));
        shares.sample(&rig.and("result", "bad"), Some(0.5));
        page.family(Kind::Info, "build", "This program.")
            .sample(&Labels::one("version", "1"), Some(1.0));
        page.family(Kind::Histogram, "took", "Times.").histogram(
            &Labels::default(),
            &[(0.5, 1), (1.0, 3)],
            4,
            7.25,
        );
        page.finish()
    }

    #[test]
    fn both_formats_are_as_specified() {
        let old = r#"# HELP up Is it up?
# TYPE up gauge
up{rig="a\"b\\cd"} 1
# HELP shares_total Shares.
# TYPE shares_total counter
shares_total{rig="a\"b\\cd",result="ok"} 2
shares_total{rig="a\"b\\cd",result="bad"} 0.5
# HELP build_info This program.
# TYPE build_info gauge
build_info{version="1"} 1
# HELP took Times.
# TYPE took histogram
took_bucket{le="0.5"} 1
took_bucket{le="1.0"} 3
took_bucket{le="+Inf"} 4
took_sum 7.25
took_count 4
"#;
        assert_eq!(page(Format::Prometheus), old);
        let new = old
            .replace("HELP shares_total", "HELP shares")
            .replace("TYPE shares_total", "TYPE shares");
        let new = new
            .replace("HELP build_info", "HELP build")
            .replace("TYPE build_info gauge", "TYPE build info");
        assert_eq!(page(Format::OpenMetrics), new + "# EOF\n");
    }
}

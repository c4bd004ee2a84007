//! What a scrape reads: the OpenMetrics text format, or the older one of Prometheus for whoever does not ask for it.
//!
//! It is written here and not by a library because the counts are our own: those of the libraries take a lock for each
//! observation of a histogram, which a Verify has no time for.

use std::fmt::{self, Write as _};

use super::buckets::{BOUNDS, Histogram};

/// What a family's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only rises; its samples' names end in `_total`.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Durations, in buckets.
    Histogram,
}

/// In which words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus.
    Prometheus,
}

impl Format {
    /// The one that is asked for by an `Accept` header.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Names and values of labels. Values come from fixed lists, so that their number is bounded.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// Whoever has something to tell at a scrape.
pub trait Source: Send + Sync + 'static {
    /// Writes families, each wholly before the next one.
    fn expose(&self, out: &mut Exposition);
}

/// A duration that was measured within a trace that is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// The trace, as 32 hexadecimal digits.
    pub trace_id: String,
    /// Seconds.
    pub value: f64,
    /// Seconds since 1970.
    pub at: f64,
}

/// The text, as it grows.
#[derive(Debug)]
pub struct Exposition {
    text: String,
    format: Format,
    family: &'static str,
    kind: Kind,
}

impl Exposition {
    /// Nothing yet.
    pub const fn new(format: Format) -> Self {
        Self { text: String::new(), format, family: "", kind: Kind::Gauge }
    }

    /// Begins a family. The name of a counter is given without `_total`.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        (self.family, self.kind) = (name, kind);
        let suffix = if kind == Kind::Counter && self.format == Format::Prometheus { "_total" } else { "" };
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}"));
    }

    /// A family of one sample without labels.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: impl fmt::Display) {
        self.family(name, Kind::Gauge, help);
        self.sample(&[], value);
    }

    /// The same that only rises.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: impl fmt::Display) {
        self.family(name, Kind::Counter, help);
        self.sample(&[], value);
    }

    /// A sample of the family that was begun last.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl fmt::Display) {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        self.write(suffix, labels, None, value, None);
    }

    /// A histogram of the family that was begun last. An exemplar stands beside the bucket with its number.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram, exemplars: &[(usize, Exemplar)]) {
        let mut count = 0;
        for (number, bucket) in histogram.buckets.iter().enumerate() {
            count += bucket;
            let exemplar = exemplars.iter().find(|(at, _)| *at == number).map(|(_, exemplar)| exemplar);
            let bound = BOUNDS.get(number).map_or_else(|| "+Inf".to_owned(), |bound| seconds(*bound));
            self.write("_bucket", labels, Some(&bound), count, exemplar);
        }
        self.write("_sum", labels, None, histogram.sum.as_secs_f64(), None);
        self.write("_count", labels, None, count, None);
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn write(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: impl fmt::Display,
        exemplar: Option<&Exemplar>,
    ) {
        let mut pairs = String::new();
        for (name, label) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            let separator = if pairs.is_empty() { "" } else { "," };
            let label = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            // A string takes whatever is written to it.
            let _ = write!(pairs, "{separator}{name}=\"{label}\"");
        }
        let (open, close) = if pairs.is_empty() { ("", "") } else { ("{", "}") };
        let family = self.family;
        match exemplar.filter(|_| self.format == Format::OpenMetrics) {
            None => self.line(format_args!("{family}{suffix}{open}{pairs}{close} {value}")),
            Some(Exemplar { trace_id, value: seconds, at }) => self.line(format_args!(
                "{family}{suffix}{open}{pairs}{close} {value} # {{trace_id=\"{trace_id}\"}} {seconds} {at}"
            )),
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}");
    }
}

/// Nanoseconds as seconds, in the shortest spelling.
fn seconds(nanos: u64) -> String {
    std::time::Duration::from_nanos(nanos).as_secs_f64().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn exposed(format: Format) -> String {
        let mut out = Exposition::new(format);
        out.family("calls", Kind::Counter, "Calls.");
        out.sample(&[("method", "a\"b\\c\nd")], 3);
        out.gauge("age_seconds", "Age.", 0.5);
        let mut histogram = Histogram::default();
        histogram.buckets[1] = 2;
        histogram.sum = Duration::from_micros(80);
        let exemplar = Exemplar { trace_id: "ab".to_owned(), value: 4e-5, at: 1.5 };
        out.family("took_seconds", Kind::Histogram, "Took.");
        out.histogram(&[("x", "y")], &histogram, &[(1, exemplar)]);
        out.finish()
    }

    #[test]
    fn open_metrics_is_written_as_it_is_specified() {
        let text = exposed(Format::OpenMetrics);
        let head = "# HELP calls Calls.\n# TYPE calls counter\ncalls_total{method=\"a\\\"b\\\\c\\nd\"} 3\n\
                    # HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds 0.5\n";
        assert!(text.starts_with(head), "{text}");
        assert!(
            text.contains("took_seconds_bucket{x=\"y\",le=\"0.00005\"} 2 # {trace_id=\"ab\"} 0.00004 1.5\n")
        );
        assert!(
            text.contains("took_seconds_bucket{x=\"y\",le=\"+Inf\"} 2\ntook_seconds_sum{x=\"y\"} 0.00008\n")
        );
        assert!(text.ends_with("took_seconds_count{x=\"y\"} 2\n# EOF\n"), "{text}");
    }

    #[test]
    fn the_older_format_has_the_counters_own_name_and_no_exemplars() {
        let text = exposed(Format::Prometheus);
        assert!(text.starts_with("# HELP calls_total Calls.\n# TYPE calls_total counter\n"), "{text}");
        assert!(!text.contains("trace_id") && !text.contains("EOF"), "{text}");
    }
}

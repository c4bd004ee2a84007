//! What rows give: figures, each with its spread over the rounds and its goal, and curves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The median of some rounds, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of the figures of at least one round.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = rounds.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        assert!(!sorted.is_empty(), "no round came to anything");
        let (middle, last) = (sorted.len() / 2, sorted.len() - 1);
        let median = if sorted.len().is_multiple_of(2) {
            sorted[middle - 1].midpoint(sorted[middle])
        } else {
            sorted[middle]
        };
        Self { median, min: sorted[0], max: sorted[last] }
    }

    /// Of the ratios of rounds that were run one next to the other.
    pub(crate) fn of_ratios(above: &[f64], below: &[f64]) -> Self {
        Self::of(above.iter().zip(below).map(|(above, below)| above / below))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&number(self.median))?;
        if self.min < self.max { write!(f, " ({}–{})", number(self.min), number(self.max)) } else { Ok(()) }
    }
}

/// Three digits that say something; thousands are separated, and what is whole is shown so.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => {
            let digits = format!("{value:.0}");
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
            groups.join(",")
        }
        size if size >= 100.0 || size.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// None: it is there to be read beside the others.
    Informative,
}

impl Goal {
    /// Whether the median meets it; none where there is no goal.
    pub(crate) fn is_met(self, spread: &Spread) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(spread.median <= most),
            Self::AtLeast(least) => Some(spread.median >= least),
            Self::Informative => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {}", number(*most)),
            Self::AtLeast(least) => write!(f, "≥ {}", number(*least)),
            Self::Informative => Ok(()),
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) spread: Spread,
    /// Empty for a ratio.
    pub(crate) unit: String,
    pub(crate) goal: Goal,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, spread: Spread, unit: &str, goal: Goal) -> Self {
        Self { name: name.into(), spread, unit: unit.to_owned(), goal }
    }

    /// One without a goal.
    pub(crate) fn informative(name: impl Into<String>, spread: Spread, unit: &str) -> Self {
        Self::new(name, spread, unit, Goal::Informative)
    }
}

/// How something grows. The horizontal axis is logarithmic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// What its file is called, without the ending.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What grows to the right.
    pub(crate) of: String,
    /// What grows upwards.
    pub(crate) unit: String,
    /// One or two lines.
    pub(crate) series: Vec<Series>,
}

/// One line of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, Spread)>,
}

/// What one row gives.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) figures: Vec<Figure>,
    pub(crate) curves: Vec<Curve>,
    /// What a reader should know of how it was measured.
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    /// Figures alone.
    pub(crate) fn of(figures: impl Into<Vec<Figure>>) -> Self {
        Self { figures: figures.into(), ..Self::default() }
    }

    /// With a curve.
    pub(crate) fn with_curve(mut self, curve: Curve) -> Self {
        self.curves.push(curve);
        self
    }

    /// With a note.
    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

//! Everything that is told at a scrape, in one place.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::exposition::{Exposition, Format, Kind, Source};
use super::process::Process;

/// The sources, in the order in which they are told. Clones are the same.
#[derive(Clone, Default)]
pub struct Metrics {
    sources: Arc<Mutex<Vec<Arc<dyn Source>>>>,
}

impl Metrics {
    /// What every process has to tell: its version, and what the operating system knows of it.
    pub fn new() -> Self {
        let metrics = Self::default();
        metrics.add(Arc::new(Build));
        metrics.add(Arc::new(Process));
        metrics
    }

    /// Adds a source.
    pub fn add(&self, source: Arc<dyn Source>) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Adds a source and gives it back.
    pub fn added<S: Source>(&self, source: S) -> Arc<S> {
        let source = Arc::new(source);
        self.add(source.clone());
        source
    }

    /// What a scrape is answered with.
    pub fn scrape(&self, format: Format) -> String {
        // Nobody who adds a source waits for a scrape.
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut out = Exposition::new(format);
        for source in sources {
            source.expose(&mut out);
        }
        out.finish()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Which release runs.
struct Build;

impl Source for Build {
    fn expose(&self, out: &mut Exposition) {
        out.family("countersign_build_info", Kind::Gauge, "Always 1; the version is in the label.");
        out.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    }
}

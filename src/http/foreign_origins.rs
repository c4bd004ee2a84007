//! Says in the log which pages are kept out, so that a forgotten `edge.allowed_origins` is found: the browser tells its
//! page no more than that the service could not be reached.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::Monotonic;

/// How many origins are named within an hour. Anybody can send as many as they like.
const MOST: usize = 64;
/// After which time an origin is named again, should it still come.
const PERIOD: Duration = Duration::from_hours(1);
/// How much of an origin is written down, in bytes: no host name is longer than 253.
const LONGEST: usize = 300;

/// The origins that were named lately.
#[derive(Debug, Default)]
pub(super) struct ForeignOrigins(Mutex<Named>);

#[derive(Debug, Default)]
struct Named {
    since: Option<Monotonic>,
    origins: HashSet<Vec<u8>>,
}

/// What there is to say about an origin.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Origin,
    /// The last one that is named: there are too many.
    LastOrigin,
    None,
}

impl ForeignOrigins {
    /// Notes that a page of this origin called, which is neither the edge's own nor an allowed one.
    pub(super) fn note(&self, origin: &[u8], now: Monotonic) {
        let origin = &origin[..origin.len().min(LONGEST)];
        let news = self.news(origin, now);
        if news == News::None {
            return;
        }
        tracing::warn!(
            origin = %origin.escape_ascii(),
            setting = "edge.allowed_origins",
            "a page of this origin called and cannot read the answer: edge.allowed_origins does not name it"
        );
        if news == News::LastOrigin {
            tracing::warn!(
                setting = "edge.allowed_origins",
                "{MOST} origins were named within an hour: others that edge.allowed_origins does not name are not \
                 logged until the hour is over"
            );
        }
    }

    fn news(&self, origin: &[u8], now: Monotonic) -> News {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *named.since.get_or_insert(now);
        if now.0.saturating_sub(since.0) >= PERIOD {
            named.origins.clear();
            named.since = Some(now);
        }
        if named.origins.len() >= MOST || !named.origins.insert(origin.to_vec()) {
            return News::None;
        }
        if named.origins.len() == MOST { News::LastOrigin } else { News::Origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn each_origin_is_named_once_an_hour() {
        let origins = ForeignOrigins::default();
        assert_eq!(origins.news(b"https://a.example", at(7)), News::Origin);
        assert_eq!(origins.news(b"https://a.example", at(8)), News::None);
        assert_eq!(origins.news(b"https://b.example", at(8)), News::Origin);
        assert_eq!(origins.news(b"https://a.example", at(3_606)), News::None);
        assert_eq!(origins.news(b"https://a.example", at(3_607)), News::Origin);
    }

    #[test]
    fn as_many_as_anybody_sends_are_neither_logged_nor_kept() {
        let origins = ForeignOrigins::default();
        let news: Vec<_> =
            (0..1_000).map(|number| origins.news(format!("https://{number}").as_bytes(), at(1))).collect();
        assert_eq!(news.iter().filter(|news| **news == News::Origin).count(), MOST - 1);
        assert_eq!(news.iter().filter(|news| **news == News::LastOrigin).count(), 1);
        assert_eq!(origins.0.lock().unwrap().origins.len(), MOST);
    }
}

use std::sync::Arc;
use std::time::Duration;

use crate::{Clock, Rules, SystemClock, Verifier};

/// What to answer when the view of revocations is older than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnStale {
    /// Nothing: it cannot be known whether a token is still good.
    #[default]
    FailClosed,
    /// What the server says, asked for each token.
    AskServer,
    /// What is known. A revoked token may be taken for good until the server can be heard again; a view that was
    /// never loaded is not served from.
    Serve,
}

/// How a [`LiveVerifier`](super::LiveVerifier) behaves.
#[derive(Clone)]
pub struct ConnectOptions {
    /// What tokens are held to: the server's issuer, and the audiences that this service goes by.
    pub rules: Rules,
    /// The oldest view of revocations that is answered from; 10 s. Several times `ping_interval` together with
    /// the server's own `revocation.poll_interval`, lest a busy moment is taken for an outage.
    pub max_staleness: Duration,
    /// What happens beyond that.
    pub on_stale: OnStale,
    /// How often the server is asked to prove that the view is fresh; 1 s.
    pub ping_interval: Duration,
    /// How long a ping may go unanswered before the connection is given up, and how long connecting may take; 5 s.
    pub patience: Duration,
    /// The longest pause before connecting again; 5 s. The first is some 100 ms, and each is drawn at random, so
    /// that not all clients of a server come back at once.
    pub max_backoff: Duration,
    /// How long the server may take to answer where it is asked for a token, see [`OnStale::AskServer`]; 1 s.
    pub ask_timeout: Duration,
    /// How many tokens are remembered, see [`Verifier::with_cache`].
    pub cached_tokens: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ConnectOptions {
    /// The defaults, by these rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            max_staleness: Duration::from_secs(10),
            on_stale: OnStale::default(),
            ping_interval: Duration::from_secs(1),
            patience: Duration::from_secs(5),
            max_backoff: Duration::from_secs(5),
            ask_timeout: Duration::from_secs(1),
            cached_tokens: Verifier::CACHED_TOKENS,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

//! How long a call may take at most, whatever the transport.

use std::time::Duration;

/// The longest that each method may take, whatever the caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Login: the queue and the hash take their time. The administrative methods, too: some of them hash a password.
    pub login: Duration,
    /// Refresh: `D` in the rules of rotation. No Refresh answers later than that.
    pub refresh: Duration,
    /// Logout.
    pub logout: Duration,
    /// `VerifyAccessToken`, alone or in a batch: it does no I/O.
    pub verify: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            login: Duration::from_secs(5),
            refresh: Duration::from_secs(2),
            logout: Duration::from_secs(5),
            verify: Duration::from_secs(1),
        }
    }
}

//! How many requests a client may make: all of them together, whatever they ask for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::error::AuthError;
use crate::model::throttle::{Admission, Source};
use crate::reason::Reason;
use crate::store::RequestThrottle;

/// Admits requests, or says when to come again.
#[derive(Clone)]
pub struct RequestLimit {
    shared: Arc<dyn RequestThrottle>,
    alone: Option<Arc<dyn RequestThrottle>>,
}

impl RequestLimit {
    /// Counts in `shared`. While that does not answer, counts in `alone`: a limit on requests is there to keep the service
    /// answering, and must not be what stops it.
    pub fn new(shared: Arc<dyn RequestThrottle>, alone: Option<Arc<dyn RequestThrottle>>) -> Self {
        Self { shared, alone }
    }

    /// Counts a request that came from this address, or refuses it.
    pub async fn admit(&self, client: Option<IpAddr>) -> Result<(), AuthError> {
        let source = Source::of(client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let admission = match (self.shared.admit(source).await, &self.alone) {
            (Err(error), Some(alone)) => {
                tracing::debug!(%error, "requests are counted by this replica alone");
                alone.admit(source).await?
            }
            (admission, _) => admission?,
        };
        match admission {
            Admission::Admitted => Ok(()),
            Admission::Refused { retry_after } => {
                Err(AuthError::new(Reason::RateLimitExceeded).retry_after(retry_after))
            }
        }
    }
}

impl fmt::Debug for RequestLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLimit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! How often the captcha's service is asked: junk that anybody may send must not become as many calls to it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::auth::AuthError;
use crate::model::throttle::{Rate, steady};
use crate::model::{Monotonic, UnixMillis};
use crate::reason::Reason;

/// For each network: as many as `[throttle]` lets it fail by default.
const RATE: Rate = Rate { burst: NonZeroU32::new(50).expect("not zero"), interval: Duration::from_secs(1) };
/// How many calls are under way at once.
const AT_ONCE: usize = 64;
/// How many networks are remembered; when there are more, those that have not asked of late are forgotten, and while there
/// are none of those, all share one.
const MOST: usize = 100_000;
/// Stands for all networks that are not remembered by themselves.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The calls that were made and are under way.
#[derive(Debug)]
pub(super) struct Calls {
    networks: Mutex<HashMap<IpAddr, UnixMillis>>,
    under_way: Semaphore,
}

impl Default for Calls {
    fn default() -> Self {
        Self { networks: Mutex::default(), under_way: Semaphore::new(AT_ONCE) }
    }
}

impl Calls {
    /// One more for this network, until the permit is dropped.
    pub(super) fn begin(
        &self,
        network: Option<IpAddr>,
        now: Monotonic,
    ) -> Result<SemaphorePermit<'_>, AuthError> {
        let now = steady(now);
        let too_many = |after| Err(AuthError::new(Reason::RateLimitExceeded).retry_after(after));
        {
            let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
            let mut network = network.unwrap_or(OTHERS);
            if networks.len() >= MOST && !networks.contains_key(&network) {
                networks.retain(|_, arrival| *arrival > now);
                if networks.len() >= MOST {
                    network = OTHERS;
                }
            }
            let arrival = networks.get(&network).copied().unwrap_or_default();
            let wait = RATE.wait(arrival, now);
            if !wait.is_zero() {
                return too_many(wait);
            }
            networks.insert(network, RATE.take(arrival, now));
        }
        self.under_way.try_acquire().or_else(|_| too_many(Duration::from_secs(1)))
    }
}

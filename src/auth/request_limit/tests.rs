//! What happens to requests while the shared count cannot be asked.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::model::throttle::Rate;
use crate::model::{ManualClock, UnixMillis};
use crate::store::StoreError;
use crate::store::in_process::InProcessRequests;

struct Down;

#[async_trait]
impl RequestThrottle for Down {
    async fn admit(&self, _: Source) -> Result<Admission, StoreError> {
        Err(StoreError::Unavailable { store: "redis", source: "down".into() })
    }
}

fn in_process() -> Arc<InProcessRequests> {
    let rate = Rate { burst: NonZeroU32::new(2).unwrap(), interval: Duration::from_secs(30) };
    Arc::new(InProcessRequests::new(Arc::new(ManualClock::new(UnixMillis(0))), rate))
}

#[tokio::test]
async fn a_replica_that_cannot_ask_the_others_counts_by_itself() {
    let limit = RequestLimit::new(Arc::new(Down), Some(in_process()));
    let client = |last| Some(IpAddr::from([192, 0, 2, last]));
    for _ in 0..2 {
        limit.admit(client(1)).await.unwrap();
    }
    let refused = limit.admit(client(1)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimitExceeded);
    assert_eq!(refused.retry_delay(), Some(Duration::from_secs(30)));
    limit.admit(client(2)).await.unwrap();
}

#[tokio::test]
async fn where_there_is_nothing_else_to_count_in_a_store_that_is_down_is_told_as_such() {
    let limit = RequestLimit::new(Arc::new(Down), None);
    assert_eq!(limit.admit(None).await.unwrap_err().reason, Reason::StoreUnavailable);
}

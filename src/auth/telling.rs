//! Who is told of rows of the ledger that are committed.

use std::sync::Arc;

use crate::model::Revocation;
use crate::revocation::Revocations;
use crate::store::Push;

/// How the replicas learn of what has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// They were told, as far as they listen; and each polls the ledger.
    Pushed,
    /// They could not be told, for this reason; each polls the ledger.
    NotPushed(String),
    /// Each polls the ledger: there is nothing to tell them over.
    Polled,
}

/// Who is told of a row that is committed. What is lost on the way is found by polling.
#[derive(Clone)]
pub(super) enum Telling {
    /// Nobody: every replica polls.
    Nobody,
    /// The replicas, from outside of them.
    Replicas(Arc<dyn Push>),
    /// This replica, which tells the others.
    Ourselves(Revocations),
}

impl Telling {
    /// The replicas, from outside of them, where there is something to tell them over.
    pub(super) fn from_outside(push: Option<Arc<dyn Push>>) -> Self {
        push.map_or(Self::Nobody, Self::Replicas)
    }

    /// Tells whoever is to be told of rows that are committed.
    pub(super) async fn tell(&self, rows: &[Revocation]) -> Reach {
        match self {
            Self::Nobody => Reach::Polled,
            Self::Ourselves(revocations) => {
                for row in rows {
                    revocations.announce(row);
                }
                Reach::Pushed
            }
            Self::Replicas(push) => match push.publish(rows).await {
                Ok(()) => Reach::Pushed,
                Err(error) => Reach::NotPushed(error.to_string()),
            },
        }
    }
}

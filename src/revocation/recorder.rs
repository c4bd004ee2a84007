//! Writes revocations of sessions to the ledger, many in one commit.
//!
//! A commit waits for the disk, so under load the rows that come while one commit is under way share the next.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::model::{Origin, Revocation};
use crate::store::{Ledger, SessionRevocation, StoreError};

/// The most rows in one commit.
const BATCH: usize = 256;
/// The most callers that wait for a commit; one more is told that the store is unavailable.
const QUEUE: usize = 4096;

struct Order {
    session: SessionRevocation,
    origin: Arc<Origin>,
    answer: oneshot::Sender<Result<Revocation, StoreError>>,
}

/// The way to the one task that writes.
#[derive(Debug, Clone)]
pub struct Recorder {
    orders: mpsc::Sender<Order>,
}

impl Recorder {
    /// Starts the task; it ends when the last clone of the recorder is gone, after writing what was ordered.
    pub fn start(ledger: Arc<dyn Ledger>) -> Self {
        let (orders, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(write(ledger, inbox));
        Self { orders }
    }

    /// Returns the row once it is durable. The row is written even when the caller does not wait for it.
    pub async fn record(
        &self,
        session: SessionRevocation,
        origin: Arc<Origin>,
    ) -> Result<Revocation, StoreError> {
        let (answer, row) = oneshot::channel();
        self.orders
            .try_send(Order { session, origin, answer })
            .map_err(|_| unavailable("the queue is full"))?;
        row.await.unwrap_or_else(|_| Err(unavailable("the writer has stopped")))
    }
}

async fn write(ledger: Arc<dyn Ledger>, mut inbox: mpsc::Receiver<Order>) {
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        let sessions: Vec<_> = batch.iter().map(|order| (order.session, Arc::clone(&order.origin))).collect();
        match ledger.revoke_from(&sessions).await {
            Ok(rows) => {
                for (order, row) in batch.drain(..).zip(rows) {
                    let _ = order.answer.send(Ok(row));
                }
            }
            Err(error) => {
                let told = error.to_string();
                for order in batch.drain(..) {
                    let _ = order.answer.send(Err(unavailable(&told)));
                }
            }
        }
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable { store: "ledger", source: why.into() }
}

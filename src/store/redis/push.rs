//! Telling the other replicas of new ledger rows, over pub/sub. It makes revocation fast; polling the ledger makes
//! it certain: a message may be lost, late or twice, and proves nothing about how fresh anybody's view is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, PushInfo, PushKind, ServerErrorKind, Value};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use super::connection::{self, Connections, Dialer, Pooled, within};
use super::failure::Failure;
use super::{RedisStore, message};
use crate::model::Revocation;
use crate::store::{Push, StoreError};

/// How many rows may wait for whoever follows them; more are dropped, and found by the poll.
const WAITING: usize = 4096;
/// How many messages may wait to be read.
const UNREAD: usize = 1024;
/// How many rows are told in one message.
const ROWS: usize = 256;
/// How long a connection may be silent before it is asked for a sign of life.
const QUIET: Duration = Duration::from_secs(1);
/// How long to wait before the second attempt to connect, and at most before later ones.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[async_trait]
impl Push for RedisStore {
    async fn publish(&self, rows: &[Revocation]) -> Result<(), StoreError> {
        for rows in rows.chunks(ROWS) {
            self.pubsub.publish(&message::encode(rows)).await?;
        }
        Ok(())
    }

    fn subscribe(&self) -> mpsc::Receiver<Revocation> {
        let (rows, receiver) = mpsc::channel(WAITING);
        tokio::spawn(self.pubsub.clone().listen(rows));
        receiver
    }

    fn listening(&self) -> watch::Receiver<u64> {
        self.pubsub.begun.subscribe()
    }

    fn is_listening(&self) -> bool {
        self.pubsub.listening.load(Ordering::Relaxed)
    }
}

/// The channel, and the way to it.
#[derive(Clone)]
pub(super) struct PubSub {
    connections: Arc<Connections>,
    dialer: Dialer,
    channel: Arc<str>,
    /// Whether messages go to the channel's slot alone, as a Cluster of Redis 7 can do it, and not to every node.
    sharded: Arc<AtomicBool>,
    /// How often listening has begun.
    begun: watch::Sender<u64>,
    /// Whether it is listening now.
    listening: Arc<AtomicBool>,
}

impl PubSub {
    pub(super) fn new(connections: Arc<Connections>, dialer: Dialer, prefix: &str) -> Self {
        let sharded = Arc::new(AtomicBool::new(connections.is_cluster()));
        let channel = format!("{prefix}revocations").into();
        let (begun, listening) = (watch::Sender::default(), Arc::default());
        Self { connections, dialer, channel, sharded, begun, listening }
    }

    async fn publish(&self, message: &[u8]) -> Result<(), Failure> {
        if self.sharded.load(Ordering::Relaxed) {
            match self.send("SPUBLISH", message).await {
                Err(failure) if is_unknown_command(&failure) => self.sharded.store(false, Ordering::Relaxed),
                outcome => return outcome,
            }
        }
        self.send("PUBLISH", message).await
    }

    async fn send(&self, command: &str, message: &[u8]) -> Result<(), Failure> {
        let mut command = redis::cmd(command);
        command.arg(&*self.channel).arg(message);
        self.connections.run(self.channel.as_bytes(), &command).await.map(drop)
    }

    /// Listens until nobody wants to hear it.
    async fn listen(self, rows: mpsc::Sender<Revocation>) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.subscribe().await {
                Ok(pooled) => {
                    info!(channel = %self.channel, "listening for revocations");
                    self.begun.send_modify(|times| *times += 1);
                    pause = FIRST_PAUSE;
                    self.listening.store(true, Ordering::Relaxed);
                    let outcome = self.follow(pooled, &rows).await;
                    self.listening.store(false, Ordering::Relaxed);
                    match outcome {
                        Ok(()) => return,
                        Err(failure) => {
                            warn!(%failure, "no longer listening for revocations; polling goes on");
                        }
                    }
                }
                Err(failure) => debug!(%failure, "cannot listen for revocations"),
            }
            self.connections.refresh();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = rows.closed() => return,
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    async fn subscribe(&self) -> Result<Pooled, Failure> {
        let target = self.connections.target_of(self.channel.as_bytes())?;
        let mut pooled = connection::listen(&self.dialer, &target, UNREAD).await?;
        if self.sharded.load(Ordering::Relaxed) {
            match self.ask(&mut pooled.commands, "SSUBSCRIBE").await {
                Err(failure) if is_unknown_command(&failure) => self.sharded.store(false, Ordering::Relaxed),
                outcome => return outcome.map(|()| pooled),
            }
        }
        self.ask(&mut pooled.commands, "SUBSCRIBE").await?;
        Ok(pooled)
    }

    async fn ask(&self, connection: &mut MultiplexedConnection, command: &str) -> Result<(), Failure> {
        let mut command = redis::cmd(command);
        command.arg(&*self.channel);
        within(self.dialer.patience, command.query_async::<Value>(connection)).await.map(drop)
    }

    /// Passes on what is heard; returns without a failure when nobody wants to hear it any more.
    async fn follow(&self, mut pooled: Pooled, rows: &mpsc::Sender<Revocation>) -> Result<(), Failure> {
        loop {
            tokio::select! {
                message = pooled.message() => match message {
                    Some(PushInfo { kind: PushKind::Message | PushKind::SMessage, data }) => pass_on(&data, rows),
                    Some(PushInfo { kind: PushKind::Disconnection, .. }) | None => {
                        return Err(Failure::NotConnected("the connection was closed".into()));
                    }
                    Some(PushInfo { kind: PushKind::SUnsubscribe | PushKind::Unsubscribe, .. }) => {
                        return Err(Failure::NotConnected("the channel has moved".into()));
                    }
                    Some(_) => {}
                },
                () = rows.closed() => return Ok(()),
                () = tokio::time::sleep(QUIET) => {
                    let ping = redis::cmd("PING");
                    within(self.dialer.patience, ping.query_async::<Value>(&mut pooled.commands)).await?;
                }
            }
        }
    }
}

fn pass_on(data: &[Value], rows: &mpsc::Sender<Revocation>) {
    let [_channel, Value::BulkString(message)] = data else { return };
    let Some(told) = message::decode(message) else {
        debug!("a message about revocations cannot be read: another version wrote it");
        return;
    };
    for row in told {
        // Whoever is too slow finds it by polling.
        let _ = rows.try_send(row);
    }
}

fn is_unknown_command(failure: &Failure) -> bool {
    failure.server_error() == Some(ServerErrorKind::ResponseError) && failure.says("unknown command")
}

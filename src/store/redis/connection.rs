//! The connections to Redis, whatever its topology: one call that goes to the right server and is answered, or
//! fails, within the deadline.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{self, Cmd, Value};
use tokio::sync::Semaphore;
use tokio::time::Sleep;

use self::cluster::Cluster;
use self::shared_connection::{Manner, SharedConnections};
use super::address::Topology;
use super::failure::Failure;
use super::scripts::{Arguments, Script};
use crate::store::PoolStats;
use crate::store::waits::Waits;

mod cluster;
mod pool;
mod scout;
mod shared_connection;
mod slot;
mod slot_map;

pub(super) use self::pool::{Credentials, Dialer, Homes, Pooled, Target, listen, within};
pub(super) use self::slot::slot_of;

/// When a caller stops waiting. Everything that a call waits for, it waits for no longer than this.
struct Deadline<'a> {
    sleep: Pin<&'a mut Sleep>,
    limit: Duration,
}

impl Deadline<'_> {
    async fn passed(&mut self) {
        self.sleep.as_mut().await;
    }

    const fn failure(&self) -> Failure {
        Failure::Late(self.limit)
    }
}

/// How many connections there are, and how much may be under way on them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) connections: usize,
    pub(super) in_flight: u32,
    pub(super) deadline: Duration,
}

/// All connections of one store.
pub(super) struct Connections {
    servers: Servers,
    /// So many as [`Bounds::in_flight`] says; closed when the store is.
    in_flight: Semaphore,
    waits: Waits,
    bounds: Bounds,
    /// How many were opened since the start.
    opened: Arc<AtomicU64>,
}

/// How long what the probe has written is kept.
const PROBE_LIVES: Duration = Duration::from_mins(1);

enum Servers {
    One { connections: SharedConnections, target: Target },
    Cluster(Cluster),
}

impl Connections {
    /// Begins to open them; must be called within a runtime, which they then live on.
    pub(super) fn open(dialer: &Dialer, topology: &Topology, sentinel: Credentials, bounds: Bounds) -> Self {
        let one = |target: Target| {
            let connections = SharedConnections::open(dialer, &target, bounds.connections);
            Servers::One { connections, target }
        };
        let servers = match topology {
            Topology::Standalone(server) => one(Target::Master(server.clone())),
            Topology::Sentinel { sentinels, service } => one(Target::Sentinel {
                sentinels: sentinels.as_slice().into(),
                service: service.as_str().into(),
                credentials: sentinel,
            }),
            Topology::Cluster(seeds) => {
                Servers::Cluster(Cluster::open(dialer.clone(), seeds.clone(), bounds.connections))
            }
        };
        let bounds = Bounds { in_flight: bounds.in_flight.max(1), ..bounds };
        Self {
            servers,
            in_flight: Semaphore::new(bounds.in_flight as usize),
            waits: Waits::new(),
            bounds,
            opened: Arc::clone(&dialer.opened),
        }
    }

    /// What they do now.
    pub(super) fn stats(&self) -> PoolStats {
        let limit = u64::from(self.bounds.in_flight);
        PoolStats {
            pool: "all",
            in_flight: limit.saturating_sub(self.in_flight.available_permits() as u64),
            in_flight_limit: limit,
            connections: match &self.servers {
                Servers::One { connections, .. } => connections.open_now(),
                Servers::Cluster(cluster) => cluster.open_now(),
            },
            opened: self.opened.load(Ordering::Relaxed),
            waiting: self.waits.now(),
            waits: self.waits.ever(),
            waited: self.waits.waited(),
        }
    }

    /// Runs a command that concerns `key`.
    pub(super) async fn run(&self, key: &[u8], command: &Cmd) -> Result<Value, Failure> {
        let limit = self.bounds.deadline;
        let mut deadline = Deadline { sleep: pin!(tokio::time::sleep(limit)), limit };
        let _permit = self.enter(&mut deadline).await?;
        self.send(key, command, &mut deadline).await
    }

    /// Runs a script on keys of one slot: by its digest, in one round trip; with its text where the server has forgotten it,
    /// which makes it remember.
    pub(super) async fn script(
        &self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &Arguments,
    ) -> Result<Value, Failure> {
        let key = keys.first().copied().unwrap_or_default();
        let limit = self.bounds.deadline;
        let mut deadline = Deadline { sleep: pin!(tokio::time::sleep(limit)), limit };
        let _permit = self.enter(&mut deadline).await?;
        match self.send(key, &script.by_digest(keys, arguments), &mut deadline).await {
            Err(failure) if failure.is_forgotten_script() => {
                self.send(key, &script.by_text(keys, arguments), &mut deadline).await
            }
            answer => answer,
        }
    }

    async fn enter(&self, deadline: &mut Deadline<'_>) -> Result<tokio::sync::SemaphorePermit<'_>, Failure> {
        if let Ok(permit) = self.in_flight.try_acquire() {
            return Ok(permit);
        }
        let _waiting = self.waits.begin();
        tokio::select! {
            biased;
            permit = self.in_flight.acquire() => permit.map_err(|_| Failure::NotConnected("closed".into())),
            () = deadline.passed() => Err(deadline.failure()),
        }
    }

    async fn send(&self, key: &[u8], command: &Cmd, deadline: &mut Deadline<'_>) -> Result<Value, Failure> {
        match &self.servers {
            Servers::One { connections, .. } => connections.send(command, Manner::Plain, deadline).await,
            Servers::Cluster(cluster) => cluster.send(slot_of(key), command, deadline).await,
        }
    }

    /// Runs a command on every master: the one there is, or every one that serves a slot. An error of any is the
    /// answer.
    pub(super) async fn run_on_all(&self, command: &Cmd) -> Result<Vec<(String, Value)>, Failure> {
        let limit = self.bounds.deadline;
        let mut deadline = Deadline { sleep: pin!(tokio::time::sleep(limit)), limit };
        let _permit = self.enter(&mut deadline).await?;
        match &self.servers {
            Servers::One { connections, target } => {
                let answer = connections.send(command, Manner::Plain, &mut deadline).await?;
                Ok(vec![(target.to_string(), answer)])
            }
            Servers::Cluster(cluster) => cluster.send_to_all(command, &mut deadline).await,
        }
    }

    /// Writes something small to every master, under this prefix: the one there is, or every one that serves a slot.
    pub(super) async fn write_to_all(&self, prefix: &str) -> Result<(), Failure> {
        let limit = self.bounds.deadline;
        let mut deadline = Deadline { sleep: pin!(tokio::time::sleep(limit)), limit };
        let _permit = self.enter(&mut deadline).await?;
        let key = |number| format!("{prefix}{{probe-{number}}}");
        let keys = match &self.servers {
            Servers::One { .. } => vec![key(0)],
            Servers::Cluster(cluster) => cluster.keys_of_all(key, &mut deadline).await?,
        };
        for key in keys {
            let mut command = redis::cmd("SET");
            command.arg(&key).arg(1).arg("PX").arg(PROBE_LIVES.as_millis().to_string());
            self.send(key.as_bytes(), &command, &mut deadline).await?;
        }
        Ok(())
    }

    /// Waits for what is under way, which is answered within the deadline, and lets nothing more in.
    pub(super) async fn close(&self) {
        let all = self.in_flight.acquire_many(self.bounds.in_flight).await;
        self.in_flight.close();
        drop(all);
    }

    /// Whether it is a Cluster.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster(_))
    }

    /// Whom to listen to for messages that are published to `channel`'s slot.
    pub(super) fn target_of(&self, channel: &[u8]) -> Result<Target, Failure> {
        match &self.servers {
            Servers::One { target, .. } => Ok(target.clone()),
            Servers::Cluster(cluster) => cluster.server_of(slot_of(channel)).map(Target::Node),
        }
    }

    /// Looks again which node of a Cluster serves what.
    pub(super) fn refresh(&self) {
        if let Servers::Cluster(cluster) = &self.servers {
            cluster.refresh();
        }
    }
}

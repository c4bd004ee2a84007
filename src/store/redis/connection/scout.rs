//! Finds out who serves which slot of a Cluster, when asked to and now and then.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis;
use tokio::sync::{Notify, watch};
use tracing::{debug, info};

use super::super::address::Server;
use super::super::failure::Failure;
use super::cluster::Nodes;
use super::pool::{self, Target, within};
use super::slot_map::SlotMap;

/// How often to look when nothing seems wrong, and at most when something does.
const SELDOM: Duration = Duration::from_secs(10);
const OFTEN: Duration = Duration::from_millis(100);
/// How long one node may take to answer before another one is asked.
const PATIENCE: Duration = Duration::from_millis(300);

pub(super) struct Scout {
    pub(super) nodes: Arc<Nodes>,
    /// Where to begin, and to begin again when no known node answers.
    pub(super) seeds: Vec<Server>,
    pub(super) published: watch::Sender<SlotMap>,
    pub(super) wanted: Arc<Notify>,
}

impl Scout {
    pub(super) async fn run(self) {
        for turn in 0.. {
            match self.look(turn).await {
                Some(slots) => self.publish(slots),
                None => self.wanted.notify_one(),
            }
            tokio::time::sleep(OFTEN).await;
            let _ = tokio::time::timeout(SELDOM, self.wanted.notified()).await;
        }
    }

    fn publish(&self, slots: SlotMap) {
        let servers = slots.servers();
        let news = self.published.send_if_modified(|known| {
            let news = *known != slots;
            *known = slots;
            news
        });
        if news {
            info!(masters = servers.len(), "the slots of the Redis Cluster are known");
            self.nodes.retain(&servers);
        }
    }

    /// Asks one node after the other, beginning with another one each time: the view of a node that is cut off
    /// from the rest is old.
    async fn look(&self, turn: usize) -> Option<SlotMap> {
        let mut candidates = self.published.borrow().servers();
        candidates.extend(self.seeds.iter().cloned());
        let first = turn % candidates.len().max(1);
        candidates.rotate_left(first);
        for server in candidates {
            match self.ask(&server).await {
                Ok(Some(slots)) => return Some(slots),
                Ok(None) => debug!(%server, "knows no slots"),
                Err(failure) => debug!(%server, %failure, "cannot be asked for the slots"),
            }
        }
        None
    }

    async fn ask(&self, server: &Server) -> Result<Option<SlotMap>, Failure> {
        let target = Target::Node(server.clone());
        let mut pooled = pool::open(&self.nodes.dialer, &target, PATIENCE).await?;
        let mut command = redis::cmd("CLUSTER");
        let answer = within(PATIENCE, command.arg("SLOTS").query_async(&mut pooled.commands)).await?;
        Ok(SlotMap::parse(&answer, server))
    }
}

//! A Cluster: which node serves which slot, and following it when that changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use deadpool_redis::redis::{Cmd, ServerErrorKind, Value};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use super::super::address::Server;
use super::super::failure::Failure;
use super::Deadline;
use super::pool::{Dialer, Target};
use super::scout::Scout;
use super::shared_connection::{Manner, SharedConnections};
use super::slot::{SLOTS, slot_of};
use super::slot_map::SlotMap;

/// How many times one command is sent on: a slot that moves costs one, a failover in the middle of it two.
const HOPS: usize = 5;
/// How long to wait before a command is repeated whose keys are just being moved.
const MOVING: std::time::Duration = std::time::Duration::from_millis(10);

/// The nodes of a Cluster.
pub(super) struct Cluster {
    nodes: Arc<Nodes>,
    slots: watch::Receiver<SlotMap>,
    wanted: Arc<Notify>,
    _scout: AbortOnDropHandle<()>,
}

impl Cluster {
    /// Begins to look for the nodes through the seeds.
    pub(super) fn open(dialer: Dialer, seeds: Vec<Server>, connections: usize) -> Self {
        let nodes = Arc::new(Nodes { dialer, connections, known: Mutex::default() });
        let (published, slots) = watch::channel(SlotMap::default());
        let wanted = Arc::new(Notify::new());
        let scout = Scout { nodes: Arc::clone(&nodes), seeds, published, wanted: Arc::clone(&wanted) };
        Self { nodes, slots, wanted, _scout: AbortOnDropHandle::new(tokio::spawn(scout.run())) }
    }

    /// Sends a command to whoever serves the slot, and after it where the slot has moved.
    pub(super) async fn send(
        &self,
        slot: u16,
        command: &Cmd,
        deadline: &mut Deadline<'_>,
    ) -> Result<Value, Failure> {
        let mut server = self.owner(slot, deadline).await?;
        let mut manner = Manner::Plain;
        for hop in 1.. {
            let answer = self.nodes.connections(&server).send(command, manner, deadline).await;
            let Err(failure) = answer else { return answer };
            manner = Manner::Plain;
            match (failure.server_error(), redirection(&failure)) {
                _ if hop == HOPS => return Err(failure),
                (Some(ServerErrorKind::Moved), Some(to)) => {
                    self.refresh();
                    server = to;
                }
                (Some(ServerErrorKind::Ask), Some(to)) => {
                    server = to;
                    manner = Manner::Asking;
                }
                (Some(ServerErrorKind::TryAgain), _) => {
                    pause(deadline).await?;
                    server = self.owner(slot, deadline).await?;
                }
                // The script's own errors say nothing about the node.
                (Some(ServerErrorKind::NoScript | ServerErrorKind::ResponseError), _) => return Err(failure),
                // Where a node is gone or was demoted, another one may have taken over.
                _ => {
                    self.refresh();
                    return Err(failure);
                }
            }
        }
        Err(Failure::Uncovered(slot))
    }

    /// Sends a command to every node that serves a slot.
    pub(super) async fn send_to_all(
        &self,
        command: &Cmd,
        deadline: &mut Deadline<'_>,
    ) -> Result<Vec<(String, Value)>, Failure> {
        let slots = self.all_slots(deadline).await?;
        let mut answers = Vec::new();
        for server in slots.servers() {
            let answer = self.nodes.connections(&server).send(command, Manner::Plain, deadline).await;
            if answer.is_err() {
                self.refresh();
            }
            answers.push((server.to_string(), answer?));
        }
        Ok(answers)
    }

    /// For every node that serves a slot, a key of such a slot: the first of those that `key` makes of numbers.
    pub(super) async fn keys_of_all(
        &self,
        key: impl Fn(u32) -> String,
        deadline: &mut Deadline<'_>,
    ) -> Result<Vec<String>, Failure> {
        let slots = self.all_slots(deadline).await?;
        let mut nodes = slots.servers();
        let mut keys = Vec::with_capacity(nodes.len());
        // Enough that even a node with one slot is missed once in 50,000,000 times.
        for key in (0..18 * u32::from(SLOTS)).map(key) {
            let owner = slots.owner(slot_of(key.as_bytes()));
            if let Some(place) = nodes.iter().position(|node| Some(node) == owner.as_ref()) {
                nodes.swap_remove(place);
                keys.push(key);
            }
            if nodes.is_empty() {
                break;
            }
        }
        Ok(keys)
    }

    /// Who serves which slot, where there is somebody for every slot.
    async fn all_slots(&self, deadline: &mut Deadline<'_>) -> Result<SlotMap, Failure> {
        self.owner(0, deadline).await?;
        let slots = self.slots.borrow().clone();
        if let Some(slot) = slots.first_gap() {
            self.refresh();
            return Err(Failure::Uncovered(slot));
        }
        Ok(slots)
    }

    /// Who serves a slot, as far as is known.
    pub(super) fn server_of(&self, slot: u16) -> Result<Server, Failure> {
        self.slots.borrow().owner(slot).ok_or(Failure::Uncovered(slot))
    }

    /// How many connections are open to all nodes.
    pub(super) fn open_now(&self) -> u64 {
        self.nodes.open_now()
    }

    /// Looks again who serves what; soon, and once for all who ask.
    pub(super) fn refresh(&self) {
        self.wanted.notify_one();
    }

    async fn owner(&self, slot: u16, deadline: &mut Deadline<'_>) -> Result<Server, Failure> {
        if let Ok(server) = self.server_of(slot) {
            return Ok(server);
        }
        self.refresh();
        let mut slots = self.slots.clone();
        tokio::select! {
            _ = slots.wait_for(|slots| slots.owner(slot).is_some()) => {}
            () = deadline.passed() => {}
        }
        self.server_of(slot)
    }
}

async fn pause(deadline: &mut Deadline<'_>) -> Result<(), Failure> {
    tokio::select! {
        () = tokio::time::sleep(MOVING) => Ok(()),
        () = deadline.passed() => Err(deadline.failure()),
    }
}

fn redirection(failure: &Failure) -> Option<Server> {
    match failure {
        Failure::Redis(error) => error.detail().and_then(redirected),
        _ => None,
    }
}

/// The server in the text of a redirection, such as `3999 127.0.0.1:6381`.
fn redirected(text: &str) -> Option<Server> {
    let (host, port) = text.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
    Some(Server { host: host.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? })
}

/// The nodes that connections are kept to.
pub(super) struct Nodes {
    pub(super) dialer: Dialer,
    connections: usize,
    known: Mutex<HashMap<Server, Arc<SharedConnections>>>,
}

impl Nodes {
    fn connections(&self, server: &Server) -> Arc<SharedConnections> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = known.get(server) {
            return Arc::clone(connections);
        }
        let connections =
            Arc::new(SharedConnections::open(&self.dialer, &Target::Node(server.clone()), self.connections));
        known.insert(server.clone(), Arc::clone(&connections));
        connections
    }

    /// How many connections are open to all of them.
    fn open_now(&self) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|connections| connections.open_now()).sum()
    }

    /// Gives up the connections to all other nodes.
    pub(super) fn retain(&self, servers: &[Server]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|server, _| servers.contains(server));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_names_its_server() {
        assert_eq!(redirected("3999 127.0.0.1:6381").unwrap().to_string(), "127.0.0.1:6381");
        assert_eq!(redirected("3999 2001:db8::1:6381").unwrap().to_string(), "[2001:db8::1]:6381");
        assert_eq!(redirected("3999"), None);
    }
}

//! The service that is attacked, and what is held of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Force;
use super::peers::Attack;
use super::watch::{Figures, Watch, newcomer_is_served};
use crate::support::process::Dev;

/// The chart's default `resources.limits.memory`.
const MEMORY: usize = 512 * 1024 * 1024;

/// Where an attack is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Grpc,
    Edge,
    EdgeInTls,
    Operations,
}

/// A service of its own for one test.
pub(super) struct Target {
    pub(super) service: Dev,
    force: Force,
    _data: TempDir,
}

impl Target {
    /// Starts it; with these variables beside those of the force.
    pub(super) fn start(force: Force, variables: &[(&str, &str)]) -> Self {
        Self::start_with_descriptors(force, 3 * force.peers + 1000, variables)
    }

    /// The same, with so many file descriptors.
    pub(super) fn start_with_descriptors(
        force: Force,
        descriptors: usize,
        variables: &[(&str, &str)],
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let peers = force.peers.to_string();
        let mut all = vec![
            ("COUNTERSIGN__GRPC__MAX_CONNECTIONS", peers.as_str()),
            ("COUNTERSIGN__EDGE__MAX_CONNECTIONS", &peers),
        ];
        if !force.default_times {
            all.push(("COUNTERSIGN__LIMITS__REQUEST_TIMEOUT", "1s"));
            all.push(("COUNTERSIGN__LIMITS__UNREAD_TIMEOUT", "1s"));
        }
        all.extend(variables);
        let service = Dev::start_within(data.path(), MEMORY, descriptors, &all);
        Self { service, force, _data: data }
    }

    pub(super) fn address(&self, port: Port) -> SocketAddr {
        match port {
            Port::Grpc => self.service.grpc,
            Port::Edge | Port::EdgeInTls => self.service.http,
            Port::Operations => self.service.operations,
        }
    }

    /// Attacks a port, and holds what must hold meanwhile and afterwards.
    pub(super) fn withstands(&mut self, name: &str, port: Port, attack: impl FnOnce(SocketAddr) -> Attack) {
        let watch = Watch::begin(&self.service);
        let attack = attack(self.address(port));
        let begun = Instant::now();
        std::thread::sleep(self.force.attack / 2);
        assert!(self.service.is_alive(), "{name}: the process has died\n{}", self.service.log());
        let newcomer = newcomer_is_served(port, self.address(port));
        std::thread::sleep(self.force.attack.saturating_sub(begun.elapsed()));
        let connected = attack.connected();
        drop(attack);
        assert!(self.service.is_alive(), "{name}: the process has died\n{}", self.service.log());
        let figures = watch.end(self.force.recovery, self.force.margin_mib);
        println!("{name:<44} {connected:>6} connections, newcomer after {newcomer:>6.1?}, {figures}");
        self.holds(name, &figures);
    }

    fn holds(&mut self, name: &str, figures: &Figures) {
        assert!(self.service.is_alive(), "{name}: the process has died\n{}", self.service.log());
        let Figures { failures, before_mib, after_mib, .. } = figures;
        assert!(failures.is_empty(), "{name}: {failures:#?}\n{}", self.service.log());
        assert!(
            *after_mib <= before_mib + self.force.margin_mib,
            "{name}: {before_mib} MiB were resident before, and {after_mib} MiB are afterwards"
        );
    }
}

/// Waits for something of the service.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came to that: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

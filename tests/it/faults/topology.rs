//! A master that Sentinels replace, and slots of a Cluster that move.

use std::process::Command;
use std::time::Duration;

use countersign::model::{Clock as _, SystemClock};
use tokio::task::block_in_place;

use super::fleet::{Fleet, meanwhile};
use super::history::{Fault, Later as _};
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::redis::{Cluster, Sentinels, Server, is_installed, until};

/// Replication is asynchronous: sessions of the last moment may be unknown to the new master.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_promote_the_replica() {
    let test = "sentinels_promote_the_replica";
    if !is_installed(test) {
        return;
    }
    let Some(postgres) = Postgres::shared(test) else { return };
    let mut servers = block_in_place(Sentinels::start);
    let fleet = Fleet::start(postgres, &servers.url(), &[]).await;
    let hurt = async |clock: &SystemClock| {
        let killed = clock.monotonic();
        let failover = meanwhile(clock, async {
            block_in_place(|| {
                servers.master.kill();
                until("it is promoted", || servers.replica.cli(&["ROLE"]).starts_with("master"));
            });
        })
        .await;
        let last_moment = killed.minus(Duration::from_millis(500));
        Fault { lost: Some((last_moment, killed.plus(Duration::from_millis(500)))), ..failover }
    };
    fleet.lives_through("Sentinel failover", hurt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_of_the_cluster_move() {
    let test = "slots_of_the_cluster_move";
    if !is_installed(test) {
        return;
    }
    let Some(postgres) = Postgres::shared(test) else { return };
    let cluster = block_in_place(Cluster::start);
    let fleet = Fleet::start(postgres, &cluster.url(), &[]).await;
    let hurt = async |clock: &SystemClock| {
        meanwhile(clock, async {
            // Every slot of every node ends up elsewhere, those of the three users among them.
            block_in_place(|| {
                for (from, to) in [(0, 1), (1, 2), (2, 0)] {
                    reshard(&cluster.nodes[from], &cluster.nodes[to]);
                }
            });
        })
        .await
    };
    fleet.lives_through("Cluster, 6,000 slots moved", hurt).await;
}

fn reshard(from: &Server, to: &Server) {
    let id = |node: &Server| node.cli(&["CLUSTER", "MYID"]);
    let moved = Command::new("redis-cli")
        .args(["--cluster", "reshard", &format!("127.0.0.1:{}", from.port)])
        .args(["--cluster-from", &id(from), "--cluster-to", &id(to)])
        .args(["--cluster-slots", "2000", "--cluster-yes"])
        .output()
        .unwrap();
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stdout));
}

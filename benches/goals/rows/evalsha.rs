//! The rotation script alone, called by a bare client: what it costs whoever calls it.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Value};
use tokio::task::JoinSet;

use crate::load::now;
use crate::process::CpuMeter;
use crate::stores::{Backed, Filled, Held, redis_key};

/// As the service does it by default.
const CONNECTIONS: usize = 2;

/// Clients that each rotate a session of their own.
pub(super) struct Evalsha {
    clients: Vec<Client>,
}

struct Client {
    connection: MultiplexedConnection,
    script: redis::Script,
    key: String,
    session: [u8; 16],
    mac_key: [u8; 4],
    generation: u32,
    rotated_at: i64,
}

impl Evalsha {
    pub(super) async fn prepare(backed: &Backed, filled: &Filled, held: &[Held]) -> Self {
        let script = redis::Script::new(concat!(
            include_str!("../../../src/store/redis/time.lua"),
            include_str!("../../../src/store/redis/sessions.lua"),
            include_str!("../../../src/store/redis/rotate.lua"),
        ));
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(backed.redis_connection().await);
        }
        let of = |(number, held): (usize, &Held)| Client {
            connection: connections[number % CONNECTIONS].clone(),
            script: script.clone(),
            key: redis_key(held.user),
            session: *held.session.as_bytes(),
            mac_key: filled.mac_key.to_bytes(),
            generation: filled.current.generation.0,
            rotated_at: filled.current.issued_at.0,
        };
        Self { clients: held.iter().enumerate().map(of).collect() }
    }

    /// What one costs this process, on a processor.
    pub(super) async fn micros(&mut self, time: Duration) -> f64 {
        let meter = CpuMeter::start_here();
        let begun = now();
        let mut tasks = JoinSet::new();
        for mut client in self.clients.drain(..) {
            tasks.spawn(async move {
                let mut calls = 0;
                while begun.elapsed() < time {
                    client.rotate().await;
                    calls += 1;
                }
                (client, calls)
            });
        }
        let done: Vec<(Client, u64)> = tasks.join_all().await;
        let micros = meter.micros_each(done.iter().map(|(_, calls)| calls).sum());
        self.clients = done.into_iter().map(|(client, _)| client).collect();
        micros
    }
}

impl Client {
    /// One EVALSHA with the arguments of the service, which moves the line.
    async fn rotate(&mut self) {
        const IDLE: u64 = 14 * 24 * 3600 * 1000;
        let answer: (i64, i64, Value) = self
            .script
            .key(&self.key)
            .arg(&self.session)
            .arg(self.generation)
            .arg(self.rotated_at)
            .arg(&[0_u8; 8])
            .arg(&self.mac_key)
            .arg(IDLE)
            .arg("0.000000")
            .arg("-1")
            .arg(0)
            .arg("")
            .arg("")
            .invoke_async(&mut self.connection)
            .await
            .unwrap();
        let (1, _, Value::BulkString(record)) = answer else { panic!("the line must move: {answer:?}") };
        self.generation = u32::from_be_bytes(record[27..31].try_into().unwrap());
        self.rotated_at = record[36..42].iter().fold(0, |time, byte| time << 8 | i64::from(*byte));
    }
}

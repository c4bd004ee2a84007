//! `countersign test-server`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::Failure;
use super::program::{Program, TestRun};
use crate::config::{Config, Override, duration};
use crate::secret;

/// Runs the service in memory, for tests of services that call it.
#[derive(Debug, Args)]
pub struct TestServer {
    /// Serve gRPC on this address and port of loopback; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Serve HTTP on this address and port of loopback; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub http_listen: SocketAddr,
    /// A configuration file, for lifetimes, audiences and the edge; stores, keys and addresses must not be in it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The issuer of access tokens
    #[arg(long, value_name = "TEXT")]
    pub issuer: Option<String>,
    /// An audience that tokens can have, the default one first; may stand several times
    #[arg(long = "audience", value_name = "TEXT")]
    pub audiences: Vec<String>,
    /// The most worlds at once; for one more, that makes room which was called longest ago, if that is 10 s ago
    #[arg(long, value_name = "NUMBER", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub max_worlds: u32,
    /// Forget a world that nobody has called for so long
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration::parse)]
    pub world_idle: Duration,
    /// End when standard input is closed, as it is when the program ends that has started this one
    #[arg(long)]
    pub until_stdin_closes: bool,
    /// Log this much: error, warn, info, debug, trace, or directives for single modules
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

impl TestServer {
    pub(super) async fn run(self, program: &dyn Program) -> Result<(), Failure> {
        let encryption_key = STANDARD.encode(secret::random::<32>());
        let config = Config::load_test_server(self.config.as_deref(), &self.overrides(), &encryption_key)?;
        let run = TestRun {
            most_worlds: self.max_worlds as usize,
            idle: self.world_idle,
            until_stdin_closes: self.until_stdin_closes,
        };
        program.test_server(config, run).await?;
        Ok(())
    }

    /// The flags that were given, as the highest layer of the configuration.
    fn overrides(&self) -> Vec<Override> {
        let audiences = (!self.audiences.is_empty()).then(|| self.audiences.join(","));
        [
            ("grpc.listen", "--listen", Some(self.listen.to_string())),
            ("edge.listen", "--http-listen", Some(self.http_listen.to_string())),
            ("tokens.issuer", "--issuer", self.issuer.clone()),
            ("tokens.audiences", "--audience", audiences),
            ("log.level", "--log-level", self.log_level.clone()),
        ]
        .into_iter()
        .filter_map(|(key, flag, value)| Some(Override { key, flag, value: value? }))
        .collect()
    }
}

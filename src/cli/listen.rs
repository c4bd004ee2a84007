//! The flags that `dev` and `serve` have in common.

use std::net::SocketAddr;

use clap::Args;

use crate::config::Override;

/// Overrides of single configuration keys.
#[derive(Debug, Args)]
pub struct Listen {
    /// Serve gRPC on this address and port
    #[arg(long, value_name = "ADDR")]
    pub grpc_listen: Option<SocketAddr>,
    /// Serve HTTP on this address and port
    #[arg(long, value_name = "ADDR")]
    pub http_listen: Option<SocketAddr>,
    /// Serve health on this address and port
    #[arg(long, value_name = "ADDR")]
    pub operations_listen: Option<SocketAddr>,
    /// Log this much: error, warn, info, debug, trace, or directives for single modules
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

impl Listen {
    /// The flags that were given, as the highest layer of the configuration.
    pub(super) fn overrides(&self) -> Vec<Override> {
        let address = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        [
            ("grpc.listen", "--grpc-listen", address(self.grpc_listen)),
            ("edge.listen", "--http-listen", address(self.http_listen)),
            ("operations.listen", "--operations-listen", address(self.operations_listen)),
            ("log.level", "--log-level", self.log_level.clone()),
        ]
        .into_iter()
        .filter_map(|(key, flag, value)| Some(Override { key, flag, value: value? }))
        .collect()
    }
}

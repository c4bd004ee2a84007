//! `[operations]`

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::tls::{self, Tls};
use super::{Grpc, bounds};

/// The port for operators: `/livez`, `/readyz`. Not for the world.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// The address to serve on; port 0 takes any free one. `COUNTERSIGN__OPERATIONS__LISTEN`
    #[serde(deserialize_with = "bounds::address")]
    pub listen: SocketAddr,
    /// `[operations.tls]`
    pub tls: Tls,
}

impl Default for Operations {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)), tls: Tls::default() }
    }
}

impl Operations {
    pub(super) fn check(&self, grpc: &Grpc) -> Result<(), Problem> {
        if self.listen == grpc.listen && self.listen.port() != 0 {
            let what = format!("{} is the address of grpc.listen, too", self.listen);
            return Err(Problem::between("operations.listen", "grpc.listen", what));
        }
        self.tls.check(&tls::Keys::OPERATIONS)
    }
}

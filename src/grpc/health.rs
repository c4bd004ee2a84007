//! The standard health service, `grpc.health.v1.Health`.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};
use tonic_health::server::{HealthReporter, HealthService as ReportedHealth};

use super::proto::v1::{auth_service_server, revocation_service_server};

/// Whether the server is ready to be asked: as a whole (the service `""`) and for each service of ours.
/// Clones speak of the same server.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Not serving, until told otherwise: a probe must not pass before the stores have answered.
    pub async fn new() -> Self {
        let health = Self { reporter: HealthReporter::new() };
        health.set_serving(false).await;
        health
    }

    /// Says whether the server is ready, to whoever asks from now on and to whoever watches.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in ["", auth_service_server::SERVICE_NAME, revocation_service_server::SERVICE_NAME] {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// The service that answers probes.
    pub(super) fn service(&self) -> HealthServer<impl HealthService> {
        HealthServer::new(ReportedHealth::from_health_reporter(self.reporter.clone()))
    }
}

//! TLS on the listeners: who gets in, who may call what, and certificates that are replaced while it serves.

use std::path::PathBuf;
use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign_verifier::client::{ClientTls, Server};
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::support::http::{Service, service};
use crate::support::tls::{Authority, Pair};

mod allow;
mod commands;
mod handshake;
mod hangup;
mod healthcheck;
mod material;
mod rotation;

/// Whatever is waited for comes long before that.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service whose gRPC port speaks TLS, an authority that it trusts, and a place for files.
pub(crate) struct Secured {
    service: Service,
    pub(crate) authority: Authority,
    files: TempDir,
}

impl Secured {
    /// With these settings beside the certificate.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
        let (certificate, key) = authority.issue(&["localhost"]).write(files.path(), "server");
        std::fs::write(files.path().join("ca.pem"), &authority.pem).unwrap();
        let ca = files.path().join("ca.pem");
        let mut all = vec![
            ("GRPC__TLS__CERTIFICATE_FILE", certificate.to_str().unwrap()),
            ("GRPC__TLS__KEY_FILE", key.to_str().unwrap()),
        ];
        if settings.iter().any(|(key, _)| *key == "GRPC__TLS__CLIENT_CERTIFICATES") {
            all.push(("GRPC__TLS__CLIENT_CA_FILE", ca.to_str().unwrap()));
        }
        all.extend(settings);
        let service = service(&all).await;
        Self { service, authority, files }
    }

    /// A channel of the client crate's, with this certificate.
    pub(crate) fn channel(&self, name: &str, pair: Option<&Pair>) -> Channel {
        let certificate = pair.map(|pair| pair.write(self.files.path(), name));
        self.server(certificate).channel()
    }

    fn server(&self, certificate: Option<(PathBuf, PathBuf)>) -> Server {
        let ca_file = self.files.path().join("ca.pem");
        let tls = ClientTls { ca_file, certificate, server_name: None };
        Server::with_tls(&format!("https://localhost:{}", self.service.grpc.port()), tls).unwrap()
    }
}

/// Verifies what is no token: an answer, if one is served at all.
async fn verify(channel: Channel) -> Result<(), tonic::Status> {
    let request = v1::VerifyAccessTokenRequest { access_token: "no token".to_owned(), ..Default::default() };
    AuthServiceClient::new(channel).verify_access_token(request).await.map(drop)
}

/// What stands in the way of nothing yet.
async fn warnings(service: &Service) -> Vec<String> {
    let report: Value = service.operations.get("/readyz", &[]).await.json();
    report["warnings"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// Waits for what a look at the files brings.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{what}: it never came to that"));
}

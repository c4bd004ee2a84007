//! What is built for production, and the commands that serve it, have nothing of the test server.

use std::fs;
use std::path::Path;

use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::Endpoint;

use super::support::{TestServer, World};
use crate::support::process::Dev;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The names of what reflection lists.
async fn services(address: std::net::SocketAddr) -> Vec<String> {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let ask = ServerReflectionRequest { host: String::new(), message_request };
    let answers = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::once(ask)).await;
    let answer = answers.unwrap().into_inner().next().await.unwrap().unwrap();
    match answer.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The image is built without the feature, which the command, the service and their contract are compiled with.
#[test]
fn the_image_is_built_without_the_test_server() {
    const GATE: &str = "#[cfg(feature = \"test-server\")]\n";

    let dockerfile = read("Dockerfile");
    let builds: Vec<_> = dockerfile.lines().filter(|line| line.contains("auditable build")).collect();
    assert_eq!(builds.len(), 2, "the crates alone, and all");
    for build in builds {
        assert!(build.contains(" --no-default-features --features jemalloc "), "{build}");
    }
    let features = read("Cargo.toml");
    let features = features.split("\n[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(features.contains("default = [\"jemalloc\", \"test-server\"]\n"), "{features}");
    assert!(features.contains("jemalloc = [\"dep:tikv-jemallocator\"]\n"), "it must not bring test-server");
    for (file, gated) in [
        ("src/lib.rs", "pub mod testing;"),
        ("src/app.rs", "mod test_server;"),
        ("src/cli.rs", "    TestServer(test_server::TestServer),"),
        ("src/cli.rs", "pub mod test_server;"),
        ("src/grpc.rs", "mod test_service;"),
        ("src/grpc.rs", "mod worlds;"),
        ("src/http.rs", "mod worlds;"),
        ("src/grpc/proto.rs", "pub mod test_v1"),
    ] {
        let text = read(file);
        let place = text.find(gated).unwrap_or_else(|| panic!("{file} has no {gated:?}"));
        let before = text[..place].rsplit("\n\n").next().unwrap();
        let before = before.rsplit(";\n").next().unwrap();
        assert!(before.contains(GATE.trim_end()), "{file}: {gated:?} is not behind the feature");
    }
}

/// The other commands of a build that has it serve nothing of it.
#[tokio::test]
async fn no_other_command_serves_the_test_service() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let of_dev = services(dev.grpc).await;
    assert!(of_dev.iter().any(|service| service == "countersign.v1.AuthService"), "{of_dev:?}");
    assert!(!of_dev.iter().any(|service| service.contains("test")), "{of_dev:?}");
    let channel = Endpoint::from_shared(format!("http://{}", dev.grpc)).unwrap().connect_lazy();
    let mut world = World::on(channel, "one");
    let minted = world.test.mint_token(countersign::grpc::proto::test_v1::MintTokenRequest::default()).await;
    assert_eq!(minted.err().map(|status| status.code()), Some(Code::Unimplemented));
    let created = world.create_user("ada", &[]).await.unwrap_err();
    assert_eq!(created.reason, "TOKEN_MISSING", "nor does it waive credentials");

    let server = TestServer::start(&[]);
    let of_test_server = services(server.grpc).await;
    assert!(of_test_server.iter().any(|it| it == "countersign.test.v1.TestService"), "{of_test_server:?}");
}

/// What clients in production are given has none of its stubs.
#[test]
fn stubs_for_every_language_are_made_of_the_contract_alone() {
    assert!(read("buf.gen.yaml").contains("    paths:\n      - proto/countersign/v1\n"));
}

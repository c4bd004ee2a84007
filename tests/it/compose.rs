//! `compose.yaml`: what it says agrees with the project, as far as can be seen without Docker. Its Envoy is run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_yaml_ng::{Mapping, Value};

use crate::support::cli::run;
use crate::support::client::{Client, Verified};
use crate::support::envoy::{self, Envoy};
use crate::support::http::Http;
use crate::support::process::Dev;

/// What is used of the specification (<https://github.com/compose-spec/compose-spec>).
const KEYS: [&str; 5] = ["name", "services", "networks", "volumes", "x-countersign"];
const SERVICE_KEYS: [&str; 18] = [
    "image",
    "build",
    "restart",
    "read_only",
    "cap_drop",
    "security_opt",
    "networks",
    "network_mode",
    "volumes",
    "environment",
    "healthcheck",
    "stop_grace_period",
    "depends_on",
    "deploy",
    "entrypoint",
    "command",
    "shm_size",
    "ports",
];
const ENVOY: &str = "examples/gateways/envoy/compose.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn compose() -> Value {
    let text = fs::read_to_string(root().join("compose.yaml")).unwrap();
    let mut compose: Value = serde_yaml_ng::from_str(&text).unwrap();
    compose.apply_merge().unwrap();
    compose
}

fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    compose["services"].as_mapping().unwrap().iter().map(|(name, it)| (name.as_str().unwrap(), it))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_mapping().into_iter().flat_map(Mapping::keys).filter_map(Value::as_str).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_sequence().into_iter().flatten().map(|it| it.as_str().unwrap()).collect()
}

/// A command that ends, and is waited for.
fn is_step(service: &Value) -> bool {
    service["restart"].as_str().is_none_or(|restart| restart == "no")
}

#[test]
fn every_service_is_pinned_bounded_and_watched() {
    let compose = compose();
    assert_eq!(keys(&compose), BTreeSet::from(KEYS));
    let names: BTreeSet<_> = services(&compose).map(|(name, _)| name).collect();
    for (name, service) in services(&compose) {
        for key in keys(service) {
            assert!(SERVICE_KEYS.contains(&key), "{name}: {key} is not known");
        }
        let (_, tag) = service["image"].as_str().unwrap().rsplit_once(':').unwrap();
        let release = tag.strip_prefix('v').unwrap_or(tag);
        assert!(release.starts_with(|c: char| c.is_ascii_digit()) && release.contains('.'), "{name}: {tag}");
        let limits = &service["deploy"]["resources"]["limits"];
        assert!(limits["memory"].is_string() && limits["cpus"].is_string(), "{name} has no limits");
        assert_eq!(service["healthcheck"]["test"].is_null(), is_step(service), "{name}: a health check");
        for (needed, how) in service["depends_on"].as_mapping().into_iter().flatten() {
            let needed = needed.as_str().unwrap();
            assert!(names.contains(needed), "{name} waits for {needed}");
            let expected = if is_step(&compose["services"][needed]) {
                "service_completed_successfully"
            } else {
                "service_healthy"
            };
            assert_eq!(how["condition"].as_str(), Some(expected), "{name} waits for {needed}");
        }
    }
}

#[test]
fn what_it_mounts_is_there_and_the_image_is_ours() {
    let compose = compose();
    for (name, service) in services(&compose) {
        for volume in strings(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let known = if source.starts_with('.') {
                root().join(source).is_file()
            } else {
                keys(&compose["volumes"]).contains(source)
            };
            assert!(known, "{name}: there is no {source}");
        }
        for network in service["networks"].as_sequence().into_iter().flatten() {
            assert!(keys(&compose["networks"]).contains(network.as_str().unwrap()), "{name}");
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let ours: Vec<_> = services(&compose).filter(|(_, service)| !service["build"].is_null()).collect();
    assert_eq!(ours.len(), 4, "two replicas, migrate and keys");
    for (name, service) in ours {
        assert_eq!(service["image"].as_str(), Some(format!("countersign:{version}").as_str()), "{name}");
        assert_eq!(service["build"].as_str(), Some("."), "{name}");
        assert!(strings(&service["volumes"])[1].starts_with("keys:/var/lib/countersign"), "{name}");
        let health = strings(&service["healthcheck"]["test"]);
        assert!(
            health.is_empty() || dockerfile.contains(&format!("\"{}\", \"{}\"", health[1], health[2])),
            "{name}"
        );
        let command = strings(&service["command"]);
        if !command.is_empty() {
            let help = run(&[&command[..], &["--help"]].concat(), &[]);
            assert_eq!(help.code, 0, "{name}: {command:?}: {}", help.err);
        }
    }
    // What the image's command listens on, which Envoy asks.
    let recipe = fs::read_to_string(root().join(ENVOY)).unwrap();
    for port in ["50051", "8080", "9090"] {
        assert!(dockerfile.contains(&format!("-listen=0.0.0.0:{port}")) && recipe.contains(port), "{port}");
    }
    for name in ["countersign-1", "countersign-2"] {
        assert!(recipe.contains(&format!("address: {name},")) && compose["services"][name].is_mapping());
    }
    // The one whom the replicas believe is Envoy.
    let trusted = &compose["services"]["envoy"]["networks"]["inside"]["ipv4_address"];
    let environment = &compose["services"]["countersign-1"]["environment"];
    for listener in ["GRPC", "EDGE"] {
        let variable = format!("COUNTERSIGN__{listener}__TRUSTED_PROXIES");
        assert!(trusted.is_string() && environment[variable.as_str()] == *trusted, "{variable}");
    }
}

/// The script of `setup`, with the files that it makes in a folder; `config check` and `key init` then do with them.
#[test]
fn the_replicas_can_be_configured_by_the_files_that_setup_makes() {
    let compose = compose();
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().to_str().unwrap();
    let script = strings(&compose["services"]["setup"]["command"])[0].replace("$$", "$");
    let script = format!("chown() {{ :; }}\n{}", script.replace("/run/secrets", secrets));
    let setup = || {
        let made = Command::new("bash").args(["-euc", &script]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        ["database-url", "redis-url", "redis.conf"]
            .map(|it| fs::read_to_string(folder.path().join(it)).unwrap())
    };
    let made = setup();
    assert_eq!(setup(), made, "the second start has the passwords of the first");
    let password = fs::read_to_string(folder.path().join("redis-password")).unwrap();
    assert_eq!(password.len(), 48, "{password}");
    assert_eq!(made[2], format!("requirepass {password}\n"));

    let environment = compose["services"]["countersign-1"]["environment"].as_mapping().unwrap();
    let variables: Vec<_> = environment
        .iter()
        .map(|(name, value)| {
            let value = value.as_str().unwrap();
            let value = value.replace("/run/secrets", secrets).replace("/var/lib/countersign", secrets);
            (name.as_str().unwrap(), value)
        })
        .collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for command in [&["key", "init"][..], &["config", "check"]] {
        let outcome = run(command, &variables);
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{command:?}");
    }
    let shown = run(&["config", "print"], &variables);
    assert!(!shown.out.contains(&password), "{}", shown.out);
    for host in ["database", "redis"] {
        assert!(
            compose["services"][host].is_mapping() && made.concat().contains(&format!("@{host}:")),
            "{host}"
        );
    }
}

/// With one service in the place of both replicas.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_envoy_serves_grpc_and_http_and_keeps_the_rest_inside() {
    if !envoy::is_installed("its_envoy_serves_grpc_and_http_and_keeps_the_rest_inside") {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let mut recipe = fs::read_to_string(root().join(ENVOY)).unwrap();
    recipe = recipe.replace("0.0.0.0, port_value: 10000", "127.0.0.1, port_value: 0");
    for name in ["countersign-1", "countersign-2"] {
        recipe = recipe.replace(&format!("address: {name},"), "address: 127.0.0.1,");
    }
    for (written, address) in [("50051", dev.grpc), ("8080", dev.http), ("9090", dev.operations)] {
        recipe =
            recipe.replace(&format!("port_value: {written} "), &format!("port_value: {} ", address.port()));
    }
    let envoy = tokio::task::block_in_place(|| Envoy::start(&recipe));
    envoy.until_healthy().await;
    let address = envoy.address("countersign");

    let mut client = Client::connect(address);
    let password = dev.password().unwrap();
    let tokens = client.login("admin", &password).await.unwrap();
    let verified = client.verify(&tokens.access_token).await.unwrap();
    assert!(matches!(verified, Verified::As { username, .. } if username == "admin"));

    let edge = Http(address);
    let keys = edge.get("/.well-known/jwks.json", &[]).await;
    assert_eq!(keys.status.as_u16(), 200, "{keys:?}");
    assert_eq!(edge.get("/readyz", &[]).await.status.as_u16(), 404, "operations stay inside");
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut closed = tonic::client::Grpc::new(channel.connect().await.unwrap());
    closed.ready().await.unwrap();
    let path = "/countersign.v1.RevocationService/WatchRevocations".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let refused = closed.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented, "{refused:?}");
}

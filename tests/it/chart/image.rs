//! The image that the Dockerfile makes is the one that the chart runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::kubelet::{Node, Running};
use super::rendered::{Chart, read, root};
use crate::support::database::free_port;

/// The instructions of the Dockerfile, in order.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let instructions = lines.filter_map(|line| line.split_once(' '));
    instructions.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned())).collect()
}

fn last_stage() -> Vec<(String, String)> {
    let all = instructions();
    all[all.iter().rposition(|(name, _)| name == "FROM").unwrap()..].to_vec()
}

fn instruction(name: &str) -> String {
    let found: Vec<_> = last_stage().into_iter().filter(|(it, _)| it == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0].1.clone()
}

/// What an instruction in its JSON form says.
fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn the_image_runs_the_binary_and_nothing_else_as_nobody_in_particular() {
    let stage = last_stage();
    assert!(
        !stage.iter().any(|(name, _)| ["RUN", "ENV", "SHELL", "ADD"].contains(&name.as_str())),
        "{stage:?}"
    );
    assert_eq!(instruction("ENTRYPOINT"), r#"["/usr/local/bin/countersign"]"#);
    assert!(instruction("HEALTHCHECK").ends_with(r#"CMD ["/usr/local/bin/countersign", "healthcheck"]"#));
    assert_eq!(instruction("USER"), "65532:65532");
    assert!(read("Dockerfile").contains("ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot\n"));
    assert!(instruction("LABEL").contains(r#"org.opencontainers.image.licenses="Apache-2.0""#));
    // What differs from build to build is not among them: buildah 1.28 would take it from its cache.
    assert_eq!(instruction("LABEL").matches('$').count(), 1, "only the base's name");
    for label in ["version", "revision", "created"] {
        let given = format!("--label \"org.opencontainers.image.{label}=");
        assert!(read("scripts/build-image").contains(&given), "{given}");
    }
}

#[test]
fn the_image_and_the_chart_agree_on_user_ports_and_paths() {
    let Some(chart) = Chart::find("the_image_and_the_chart_agree_on_user_ports_and_paths") else { return };
    let manifests = chart.render("values.yaml", &[]).unwrap();
    let pod = &manifests.only("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];

    let user = &pod["securityContext"];
    assert_eq!(instruction("USER"), format!("{}:{}", user["runAsUser"], user["runAsGroup"]));
    assert!(container["command"].is_null(), "the image's entry point is the command");
    let ports = container["ports"].as_array().unwrap().iter().map(|port| port["containerPort"].to_string());
    assert_eq!(ports.collect::<Vec<_>>().join(" "), instruction("EXPOSE"));
    let mounts = container["volumeMounts"].as_array().unwrap();
    let state = mounts.iter().find(|mount| mount["readOnly"] != true).unwrap();
    assert_eq!(state["mountPath"], instruction("WORKDIR"));
    assert_eq!(container["image"], format!("countersign:{}", env!("CARGO_PKG_VERSION")));

    let listen = ["grpc", "http", "operations"].iter().zip(container["ports"].as_array().unwrap());
    let listen = listen.map(|(name, port)| format!("--{name}-listen=0.0.0.0:{}", port["containerPort"]));
    let command = std::iter::once("serve".to_owned()).chain(listen);
    assert_eq!(words(&instruction("CMD")), command.collect::<Vec<_>>());
}

#[test]
fn the_compiler_runs_on_the_builder_and_the_image_is_of_the_target() {
    let stages: Vec<_> = instructions().into_iter().filter(|(name, _)| name == "FROM").collect();
    let (last, earlier) = stages.split_last().unwrap();
    for (_, stage) in earlier {
        assert!(stage.starts_with("--platform=$BUILDPLATFORM "), "{stage}");
    }
    assert!(last.1.starts_with("--platform=$TARGETPLATFORM "), "{}", last.1);
    // BuildKit prefers a default to the platform that was asked for: every image would have the same binary.
    let target = instructions().into_iter().find(|(name, it)| name == "ARG" && it.starts_with("TARGETARCH"));
    assert_eq!(target.unwrap().1, "TARGETARCH");
}

#[test]
fn the_binary_starts_as_the_image_says_and_its_health_check_tells_so() {
    let command = words(&instruction("CMD"));
    let health = instruction("HEALTHCHECK");
    let health = words(&health[health.find('[').unwrap()..]);
    let operations = command.iter().find_map(|it| it.strip_prefix("--operations-listen=0.0.0.0:")).unwrap();

    // The ports are others here, where many tests run beside each other.
    let ports = [free_port(), free_port(), free_port()].map(|port| port.to_string());
    let arguments: Vec<String> = command
        .iter()
        .filter_map(|argument| argument.rsplit_once("=0.0.0.0:"))
        .zip(&ports)
        .map(|((flag, _), port)| format!("{flag}=127.0.0.1:{port}"))
        .collect();
    assert_eq!(arguments.len(), ports.len(), "{command:?}");
    let home = Node::empty();
    let state = |arguments: &[&str]| {
        let mut command = home.binary(arguments.iter().copied());
        command.env("COUNTERSIGN__DATABASE__URL", "sqlite:countersign.db");
        command.env("COUNTERSIGN__KEYS__DIRECTORY", "keys").stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    assert!(state(&["migrate"]).status().unwrap().success());
    let serve: Vec<&str> =
        std::iter::once(command[0].as_str()).chain(arguments.iter().map(String::as_str)).collect();
    let running = Running(state(&serve).spawn().unwrap());

    let asked = countersign::config::Operations::default().listen.port().to_string();
    assert_eq!(asked, operations, "the health check asks elsewhere");
    let healthy = || {
        let mut check = home.binary(health[1..].iter().map(String::as_str));
        check.env("COUNTERSIGN__OPERATIONS__LISTEN", format!("127.0.0.1:{}", ports[2]));
        check.stderr(Stdio::null()).status().unwrap().success()
    };
    assert!((0..600).any(|_| healthy() || {
        std::thread::sleep(Duration::from_millis(100));
        false
    }));

    assert_eq!(instruction("STOPSIGNAL"), "SIGTERM");
    assert_eq!(running.terminate(), Some(0));
}

/// What the builder is given of the repository, by `.dockerignore`: the last line that matches decides.
fn is_sent(file: &Path) -> bool {
    let text = read(".dockerignore");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.fold(true, |sent, line| {
        let (pattern, decides) = line.strip_prefix('!').map_or((line, false), |pattern| (pattern, true));
        if pattern == "*" || file.starts_with(pattern) { decides } else { sent }
    })
}

/// Copies what is sent below this folder, and returns it.
fn send(folder: &Path, to: &Path) -> Vec<PathBuf> {
    let mut sent = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let file = folder.join(entry.unwrap().file_name());
        let hidden = file.to_str().unwrap().starts_with('.');
        if hidden || file.ends_with("target") || file.ends_with("node_modules") {
            continue;
        }
        if root().join(&file).is_dir() {
            sent.extend(send(&file, to));
        } else if is_sent(&file) {
            fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
            fs::copy(root().join(&file), to.join(&file)).unwrap();
            sent.push(file);
        }
    }
    sent
}

#[test]
fn the_builder_is_sent_all_that_the_manifests_name_and_the_sources_embed() {
    let context = tempfile::tempdir().unwrap();
    let sent = send(Path::new(""), context.path());

    // Of the subcommands that compile nothing, the one that looks for the file of each target.
    let fetch = Command::new(env!("CARGO"))
        .args(["fetch", "--locked", "--offline"])
        .current_dir(context.path())
        .output()
        .unwrap();
    let told = String::from_utf8(fetch.stderr).unwrap();
    assert!(!told.contains("failed to parse manifest"), "{told}");

    let mut embedded = 0;
    for source in sent.iter().filter(|file| file.extension().is_some_and(|it| it == "rs")) {
        let text = read(source.to_str().unwrap());
        for (call, base) in [
            ("include_str!(\"", source.parent().unwrap()),
            ("include_bytes!(\"", source.parent().unwrap()),
            ("migrate!(\"", Path::new("")),
        ] {
            for (at, _) in text.match_indices(call) {
                let path = base.join(text[at + call.len()..].split('"').next().unwrap());
                // The image is built without tests, and so without what they alone embed.
                if path.components().any(|part| part.as_os_str() == "tests") {
                    continue;
                }
                assert!(
                    context.path().join(&path).exists(),
                    "{} embeds {}",
                    source.display(),
                    path.display()
                );
                embedded += 1;
            }
        }
    }
    assert!(embedded > 10, "{embedded}");
}

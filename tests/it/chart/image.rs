//! The image that the Dockerfile makes is the one that the chart runs.

use serde_json::{Value, json};

use super::rendered::{Chart, read};

/// The instructions of the Dockerfile's last stage, in order.
fn last_stage() -> Vec<(String, String)> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let instructions: Vec<_> = lines
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect();
    let last = instructions.iter().rposition(|(name, _)| name == "FROM").unwrap();
    instructions[last..].to_vec()
}

fn instruction(name: &str) -> String {
    let found: Vec<_> = last_stage().into_iter().filter(|(it, _)| it == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0].1.clone()
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
    assert!(read("Dockerfile").contains(&format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"))));
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

    let command: Value = serde_json::from_str(&instruction("CMD")).unwrap();
    let listen = ["grpc", "http", "operations"].iter().zip(container["ports"].as_array().unwrap());
    let listen = listen.map(|(name, port)| format!("--{name}-listen=0.0.0.0:{}", port["containerPort"]));
    assert_eq!(command, json!(std::iter::once("serve".to_owned()).chain(listen).collect::<Vec<_>>()));
}

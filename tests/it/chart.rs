//! The Helm chart: what it renders is what Kubernetes takes and what the binary is, and it refuses what cannot work.

use std::fs;

use serde_json::{Value, json};

use self::rendered::{Chart, Manifests, chart_path, root};

mod api_server;
mod guards;
mod image;
mod kubelet;
mod notes;
mod pod;
mod rendered;
mod schema;

/// The default, and every step of the ladder.
const EXAMPLES: [&str; 5] = [
    "values.yaml",
    "examples/1-embedded.yaml",
    "examples/2-postgres-redis.yaml",
    "examples/3-redis-sentinel.yaml",
    "examples/4-cluster-mtls.yaml",
];

#[test]
fn the_default_and_every_example_are_clean_under_lint() {
    let Some(chart) = Chart::find("the_default_and_every_example_are_clean_under_lint") else { return };
    for example in EXAMPLES {
        chart.lint(example);
    }
    let listed = fs::read_dir(chart_path("examples")).unwrap().count();
    assert_eq!(listed, EXAMPLES.len() - 1, "an example that no test knows");
}

#[test]
fn kubernetes_takes_every_manifest_of_every_example() {
    let test = "kubernetes_takes_every_manifest_of_every_example";
    let (Some(chart), Some(validator)) = (Chart::find(test), rendered::Validator::find(test)) else { return };
    for example in EXAMPLES {
        let manifests = chart.render(example, &[]).unwrap();
        validator.check(&manifests).unwrap_or_else(|error| panic!("{example}: {error}"));
    }

    // What would be refused by a cluster is refused here, too.
    let good = chart.render("examples/4-cluster-mtls.yaml", &[]).unwrap();
    for (kind, path, wrong) in [
        ("Deployment", "/spec/template/spec/containers/0/comand", json!("typed wrongly")),
        ("Deployment", "/spec/template/spec/containers/0/ports/0/containerPort", json!("grpc")),
        ("PodDisruptionBudget", "/spec/maxUnavailabel", json!(1)),
        ("Certificate", "/spec/privatKey", json!({})),
        ("ServiceMonitor", "/spec/endpoints/0/intervall", json!("30s")),
    ] {
        let mut bad = good.clone();
        bad.set(kind, path, wrong);
        assert!(validator.check(&bad).is_err(), "{kind}{path} is taken");
    }
}

#[test]
fn the_rendered_default_is_as_it_was_reviewed() {
    let Some(chart) = Chart::find("the_rendered_default_is_as_it_was_reviewed") else { return };
    let text = chart.render("values.yaml", &[]).unwrap().without_keys();
    let reviewed = root().join("tests/it/chart/default.yaml");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&reviewed, &text).unwrap();
    }
    assert!(
        fs::read_to_string(&reviewed).unwrap() == text,
        "tests/it/chart/default.yaml is stale: UPDATE_DOCS=1 cargo test --test it chart, and review it"
    );
}

#[test]
fn no_pod_has_rights_that_it_does_not_need() {
    let Some(chart) = Chart::find("no_pod_has_rights_that_it_does_not_need") else { return };
    for example in EXAMPLES {
        for (name, pod) in chart.render(example, &[]).unwrap().pods() {
            let context = format!("{example}: {name}");
            assert_eq!(pod["automountServiceAccountToken"], false, "{context}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{context}");
            assert_eq!(pod["securityContext"]["runAsUser"], 65532, "{context}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{context}");
            for container in pod["containers"].as_array().unwrap() {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true, "{context}");
                assert_eq!(security["allowPrivilegeEscalation"], false, "{context}");
                assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{context}");
            }
            for volume in pod["volumes"].as_array().unwrap() {
                assert!(volume["hostPath"].is_null() && volume["emptyDir"].is_null(), "{context}: {volume}");
            }
        }
    }
}

#[test]
fn replicas_are_replaced_one_by_one_and_get_the_time_to_finish() {
    let Some(chart) = Chart::find("replicas_are_replaced_one_by_one_and_get_the_time_to_finish") else {
        return;
    };
    let manifests =
        chart.render("examples/2-postgres-redis.yaml", &[("shutdown.graceSeconds", "60")]).unwrap();
    let deployment = manifests.only("Deployment");
    assert_eq!(
        deployment["spec"]["strategy"]["rollingUpdate"],
        json!({ "maxSurge": 1, "maxUnavailable": 0 })
    );
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], 3);
    assert_eq!(pod["terminationGracePeriodSeconds"], 3 + 5 + 60 + 5);
    assert!(manifests.config().contains("[shutdown]\ndrain_delay = \"5s\"\ngrace = \"60s\"\n"));
}

#[test]
fn a_changed_configuration_makes_new_pods_and_an_unchanged_one_does_not() {
    let Some(chart) = Chart::find("a_changed_configuration_makes_new_pods_and_an_unchanged_one_does_not")
    else {
        return;
    };
    let checksum = |set: &[(&str, &str)]| {
        let manifests = chart.render("values.yaml", set).unwrap();
        manifests.only("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"].clone()
    };
    assert_eq!(checksum(&[]), checksum(&[("service.type", "NodePort")]));
    assert_ne!(checksum(&[]), checksum(&[("config.tokens.issuer", "other")]));
}

/// `1e3` is a name in Kubernetes and a number in YAML; `*.example.com` is a host, and in YAML an alias of nothing.
#[test]
fn a_name_that_yaml_takes_for_something_else_stays_a_name() {
    let test = "a_name_that_yaml_takes_for_something_else_stays_a_name";
    let (Some(chart), Some(validator)) = (Chart::find(test), rendered::Validator::find(test)) else { return };
    let names = [
        "captcha.existingSecret.name",
        "database.embedded.storageClass",
        "edge.clients.key",
        "edge.clients.name",
        "extraVolumeMounts[0].name",
        "extraVolumes[0].configMap.name",
        "extraVolumes[0].name",
        "fullnameOverride",
        "ingress.className",
        "ingress.tlsSecret",
        "keys.existingRefreshSecret",
        "keys.existingSigningSecret",
        "nameOverride",
        "priorityClassName",
        "serviceAccount.name",
        "tls.edge.clientCaSecret",
        "tls.edge.existingSecret",
    ];
    let mut set: Vec<_> = names.map(|name| (name, "1e3")).into();
    set.extend([
        ("extraVolumeMounts[0].mountPath", "/etc/more"),
        ("ingress.enabled", "true"),
        ("ingress.host", "*.example.com"),
        ("tls.edge.enabled", "true"),
        ("tls.edge.clientCertificates", "optional"),
    ]);
    let embedded = chart.render("values.yaml", &set).unwrap();
    assert_eq!(embedded.only("Ingress")["spec"]["rules"][0]["host"], "*.example.com");
    let names = ["database.existingSecret.name", "database.existingSecret.key", "redis.existingSecret.name"];
    let server = chart.render("examples/2-postgres-redis.yaml", &names.map(|name| (name, "1e3"))).unwrap();
    for manifests in [embedded, server] {
        validator.check(&manifests).unwrap();
        assert!(!manifests.without_keys().contains("1000.0"), "a name became a number");
    }
}

#[test]
fn a_release_of_the_chart_alone_replaces_no_pod() {
    let Some(chart) = Chart::find("a_release_of_the_chart_alone_replaces_no_pod") else { return };
    for example in EXAMPLES {
        let manifests = chart.render(example, &[]).unwrap();
        let labels = &manifests.only("Deployment")["spec"]["template"]["metadata"]["labels"];
        assert!(labels["helm.sh/chart"].is_null(), "{example}: {labels}");
    }
}

#[test]
fn every_alert_links_to_where_the_runbook_is_read() {
    let Some(chart) = Chart::find("every_alert_links_to_where_the_runbook_is_read") else { return };
    let page = "https://runbooks.example.com/countersign.md";
    let set = [("prometheusRule.enabled", "true"), ("prometheusRule.runbookUrl", page)];
    let manifests = chart.render("values.yaml", &set).unwrap();
    let rules = &manifests.only("PrometheusRule")["spec"]["groups"][0]["rules"];
    let rules = rules.as_array().unwrap();
    assert!(rules.len() > 10, "the alerts were found");
    for rule in rules {
        let anchor = rule["alert"].as_str().unwrap().to_lowercase();
        assert_eq!(rule["annotations"]["runbook_url"], format!("{page}#{anchor}"));
    }
}

/// As Argo CD renders it, without a cluster, with each sync.
#[test]
fn with_keys_in_the_database_rendering_makes_none_and_twice_is_the_same() {
    let Some(chart) = Chart::find("with_keys_in_the_database_rendering_makes_none_and_twice_is_the_same")
    else {
        return;
    };
    let set = [("keys.store", "database"), ("keys.encryptionKey.name", "kek")];
    for example in ["values.yaml", "examples/2-postgres-redis.yaml"] {
        let manifests = chart.render(example, &set).unwrap();
        assert_eq!(manifests.names("Secret"), [""; 0], "{example}");
        assert_eq!(
            manifests.without_keys(),
            chart.render(example, &set).unwrap().without_keys(),
            "{example}"
        );
        let config = manifests.config();
        assert!(config.contains("store = \"database\""), "{config}");
        assert!(
            config.contains("encryption_key_file = \"/etc/countersign/secrets/key-encryption-key\""),
            "{config}"
        );
        assert!(!config.contains("previous_encryption_key"), "{config}");
        let pod = manifests.only("Deployment")["spec"]["template"]["spec"].to_string();
        assert!(pod.contains(r#""name":"kek""#) && !pod.contains("signing-keys"), "{pod}");
        let both = [set[0], set[1], ("keys.previousEncryptionKey.name", "old")];
        let manifests = chart.render(example, &both).unwrap();
        assert!(manifests.config().contains("previous_encryption_key_file"), "{example}");
    }
    // What the chart made before stays in the release, so that it can be rolled back.
    let first = chart.render("values.yaml", &[]).unwrap();
    let cluster = api_server::ApiServer::start(&first.applied());
    let second = chart.render_in(&cluster, "values.yaml", &set).unwrap();
    assert_eq!(second.names("Secret"), first.names("Secret"));
}

#[test]
fn keys_are_made_once_and_an_upgrade_keeps_them() {
    let Some(chart) = Chart::find("keys_are_made_once_and_an_upgrade_keeps_them") else { return };
    let keys =
        |manifests: &Manifests| manifests.all("Secret").map(|it| it["data"].clone()).collect::<Vec<_>>();

    let empty = api_server::ApiServer::start(&[]);
    let first = chart.render_in(&empty, "values.yaml", &[]).unwrap();
    assert_ne!(keys(&first), keys(&chart.render_in(&empty, "values.yaml", &[]).unwrap()), "they are random");

    let mut secrets: Vec<Value> = first.all("Secret").cloned().collect();
    // A key that a rotation added later must not be lost either.
    secrets[1]["data"]["20260101T000000Z-0a1b2c3d.pem"] = json!("a2V5");
    let cluster = api_server::ApiServer::start(&secrets);
    let upgraded = chart.render_in(&cluster, "values.yaml", &[]).unwrap();
    assert_eq!(keys(&upgraded), secrets.iter().map(|it| it["data"].clone()).collect::<Vec<_>>());
}

#[test]
fn an_upgrade_to_autoscaling_never_runs_fewer_replicas_than_there_are() {
    const VALUES: &str = "examples/2-postgres-redis.yaml";
    let Some(chart) = Chart::find("an_upgrade_to_autoscaling_never_runs_fewer_replicas_than_there_are")
    else {
        return;
    };
    let autoscaling = [("autoscaling.enabled", "true"), ("autoscaling.minReplicas", "3")];
    for (running, expected) in [(5, 5), (2, 3)] {
        let before = chart.render(VALUES, &[("replicas", &running.to_string())]).unwrap();
        let cluster = api_server::ApiServer::start(&before.applied());
        let upgraded = chart.render_in(&cluster, VALUES, &autoscaling).unwrap();
        assert_eq!(upgraded.only("Deployment")["spec"]["replicas"], expected, "{running} run");
    }
    // Nothing runs that could be scaled down; and what is applied again and again must leave the number alone.
    let first = chart.render(VALUES, &autoscaling).unwrap();
    assert!(first.only("Deployment")["spec"]["replicas"].is_null());
}

/// helm refuses to roll back to a revision that has an object which is in the cluster and not in the revision before; so
/// what is kept in the cluster stays in the release.
#[test]
fn what_is_kept_in_the_cluster_stays_in_the_release_so_that_it_can_be_rolled_back() {
    let test = "what_is_kept_in_the_cluster_stays_in_the_release_so_that_it_can_be_rolled_back";
    let Some(chart) = Chart::find(test) else { return };
    let first = chart.render("values.yaml", &[("database.embedded.storageClass", "fast")]).unwrap();
    let cluster = api_server::ApiServer::start(&first.applied());
    let given = [("keys.existingSigningSecret", "mine"), ("keys.existingRefreshSecret", "mine-too")];
    let second = chart.render_in(&cluster, "values.yaml", &given).unwrap();
    assert_eq!(second.names("Secret"), first.names("Secret"));
    let data = |it: &Manifests| it.all("Secret").map(|it| it["data"].clone()).collect::<Vec<_>>();
    assert_eq!(data(&second), data(&first), "with the same keys");
    let volumes = second.only("Deployment")["spec"]["template"]["spec"]["volumes"].to_string();
    assert!(volumes.contains(r#""secretName":"mine""#), "the pods have the given ones: {volumes}");

    let third = chart.render_in(&cluster, "examples/2-postgres-redis.yaml", &[]).unwrap();
    assert_eq!(third.only("PersistentVolumeClaim")["spec"], first.only("PersistentVolumeClaim")["spec"]);
    for object in first.applied() {
        let kept = object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep";
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(!kept || third.names(object["kind"].as_str().unwrap()).contains(&name.to_owned()), "{name}");
    }

    // What somebody else has made under the same name is nobody's to take over.
    let mut strange = first.applied();
    for object in &mut strange {
        object["metadata"]["annotations"]["meta.helm.sh/release-name"] = "other".into();
    }
    let cluster = api_server::ApiServer::start(&strange);
    assert_eq!(chart.render_in(&cluster, "values.yaml", &given).unwrap().names("Secret"), [""; 0]);
}

/// A probe that changes from one kind of handler to another is merged into one with both when a rollback is tried again, which
/// Kubernetes refuses.
#[test]
fn no_probe_changes_its_kind_of_handler_with_tls() {
    let Some(chart) = Chart::find("no_probe_changes_its_kind_of_handler_with_tls") else { return };
    let handlers = |example: &str| {
        let manifests = chart.render(example, &[]).unwrap();
        let container = manifests.only("Deployment")["spec"]["template"]["spec"]["containers"][0].clone();
        ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| {
            let kinds = ["exec", "grpc", "httpGet", "tcpSocket"];
            kinds.map(|kind| !container[probe][kind].is_null())
        })
    };
    for example in EXAMPLES {
        assert_eq!(handlers(example), handlers("values.yaml"), "{example}");
    }
}

/// The README's table has every value with its default, and none that there is not.
#[test]
fn the_charts_readme_lists_every_value() {
    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    leaves(value, &path, found);
                }
            }
            default => found.push(format!("| `{path}` | `{default}` |")),
        }
    }
    let values: Value = serde_yaml_ng::from_str(&rendered::read("helm/countersign/values.yaml")).unwrap();
    let mut expected = Vec::new();
    leaves(&values, "", &mut expected);
    let readme = rendered::read("helm/countersign/README.md");
    let listed = |row: &&str| row.starts_with("| `");
    let rows: Vec<_> = readme.lines().filter(listed).collect();
    for value in &expected {
        assert!(rows.iter().any(|row| row.starts_with(value)), "{value}");
    }
    assert_eq!(rows.len(), expected.len());
}

/// What people bring from other charts' values.
#[test]
fn the_values_that_other_charts_have_are_taken() {
    let test = "the_values_that_other_charts_have_are_taken";
    let (Some(chart), Some(validator)) = (Chart::find(test), rendered::Validator::find(test)) else { return };
    let set = [
        ("podSecurityContext.fsGroup", "1000"),
        ("securityContext.runAsUser", "1000"),
        ("extraContainers[0].name", "sidecar"),
        ("extraContainers[0].image", "busybox"),
        ("initContainers[0].name", "wait"),
        ("initContainers[0].image", "busybox"),
        ("extraEnvFrom[0].secretRef.name", "more"),
        ("revisionHistoryLimit", "3"),
        ("extraObjects[0].apiVersion", "v1"),
        ("extraObjects[0].kind", "ConfigMap"),
        ("extraObjects[0].metadata.name", r"\{{ .Release.Name }}-more"),
        ("ingress.enabled", "true"),
        ("ingress.hosts[0].host", "a.example"),
        ("ingress.hosts[1].host", "b.example"),
        ("ingress.hosts[1].paths[0].path", "/id"),
        ("ingress.hosts[1].paths[0].pathType", "Exact"),
        ("ingress.tls[0].secretName", "certificate"),
        ("ingress.tls[0].hosts[0]", "a.example"),
    ];
    let manifests = chart.render("values.yaml", &set).unwrap();
    validator.check(&manifests).unwrap();
    let deployment = &manifests.only("Deployment")["spec"];
    assert_eq!(deployment["revisionHistoryLimit"], 3);
    let pod = &deployment["template"]["spec"];
    assert_eq!(pod["securityContext"]["fsGroup"], 1000);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "what is not named stays");
    assert_eq!(pod["containers"][0]["securityContext"]["runAsUser"], 1000);
    assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(pod["containers"][0]["envFrom"][0]["secretRef"]["name"], "more");
    assert_eq!(
        (&pod["containers"][1]["name"], &pod["initContainers"][0]["name"]),
        (&json!("sidecar"), &json!("wait"))
    );
    assert!(manifests.names("ConfigMap").contains(&"countersign-more".to_owned()));
    let rules = manifests.only("Ingress")["spec"]["rules"].clone();
    assert_eq!((&rules[0]["host"], &rules[1]["host"]), (&json!("a.example"), &json!("b.example")));
    assert_eq!(rules[0]["http"]["paths"][0]["path"], "/");
    assert_eq!(rules[1]["http"]["paths"][0]["pathType"], "Exact");
    assert_eq!(manifests.only("Ingress")["spec"]["tls"][0]["secretName"], "certificate");
}

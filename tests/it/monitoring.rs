//! What is shipped to watch the service with: the dashboard, the alerts, and the page that says what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::metrics::{families, scrape};
use crate::support::http::service;
use crate::support::tool;

const RULES: &str = "helm/countersign/alerts/countersign.yaml";
const DASHBOARD: &str = "helm/countersign/dashboards/countersign.json";

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap()
}

/// Every query of the dashboard.
fn queries(of: &Value) -> Vec<String> {
    match of {
        Value::Object(members) => {
            let own = members.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(queries)).collect()
        }
        Value::Array(items) => items.iter().flat_map(queries).collect(),
        _ => Vec::new(),
    }
}

/// Every metric that a text names.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = |word: &&str| {
        ["countersign_", "grpc_server_", "http_server_", "process_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
    };
    words.filter(ours).map(str::to_owned).collect()
}

/// Every value that a text wants a label of ours to have.
fn values_in(text: &str) -> BTreeSet<String> {
    let labels = ["outcome", "reason", "grpc_code", "http_code", "grpc_method", "grpc_type", "kind", "state"];
    let mut values = BTreeSet::new();
    for label in labels {
        for operator in ["=\"", "=~\"", "!=\"", "!~\""] {
            for (at, found) in text.match_indices(&format!("{label}{operator}")) {
                if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
                    continue;
                }
                let value = text[at + found.len()..].split('"').next().unwrap();
                values.extend(value.split('|').map(|value| format!("{label}=\"{value}\"")));
            }
        }
    }
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_and_label_that_is_watched_is_there() {
    let service = service(&[]).await;
    let scrape = scrape(&service).await;
    let families = families(&scrape);
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let queries = queries(&dashboard);
    assert!(queries.len() > 30, "the queries of the dashboard were found");
    for (file, text) in [(RULES, read(RULES)), (DASHBOARD, queries.join("\n"))] {
        for metric in metrics_in(&text) {
            let is_part = ["_bucket", "_sum", "_count"].iter().any(|suffix| {
                let family = metric.strip_suffix(suffix).and_then(|family| families.get(family));
                family.is_some_and(|kind| kind == "histogram")
            });
            assert!(is_part || families.contains_key(&metric), "{file}: there is no {metric}");
        }
        let values = values_in(&text);
        assert!(values.len() > 5, "the values of labels were found: {values:?}");
        for value in values {
            assert!(scrape.contains(&value), "{file}: no series has {value}");
        }
    }
    let shown = metrics_in(&queries.join("\n"));
    let shown = |family: &String| shown.iter().any(|metric| metric.starts_with(family.as_str()));
    let hidden: Vec<_> = families.keys().filter(|family| !shown(family)).collect();
    let boring = ["grpc_server_started", "process_threads", "process_virtual_memory_bytes"];
    let hidden: Vec<_> =
        hidden.into_iter().filter(|it| !boring.iter().any(|boring| it.starts_with(boring))).collect();
    assert!(hidden.is_empty(), "nobody can see {hidden:?} on the dashboard");
}

#[test]
fn every_alert_says_what_to_do_and_nothing_is_said_of_alerts_that_are_none() {
    let (rules, page) = (read(RULES), read("docs/operations.md"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let links: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: ")).collect();
    let expected: Vec<_> =
        alerts.iter().map(|alert| format!("docs/operations.md#{}", alert.to_lowercase())).collect();
    assert_eq!(links, expected);
    let headings = page.lines().filter_map(|line| line.strip_prefix("### Countersign"));
    let headings: BTreeSet<_> = headings.map(|rest| format!("Countersign{rest}")).collect();
    assert_eq!(headings, alerts.iter().map(|alert| (*alert).to_owned()).collect());
    for alert in alerts {
        let text = page.split(&format!("### {alert}\n")).nth(1).unwrap().split("\n#").next().unwrap();
        assert!(text.split_whitespace().count() > 25, "{alert}: too little to go on at 3 a.m.");
    }
}

#[test]
fn without_the_chart_the_links_of_the_alerts_are_made_as_the_page_says() {
    let page = read("docs/operations.md");
    let line = page.lines().find(|line| line.starts_with("sed ")).expect("the line that makes them");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(path("helm"), folder.path().join("helm")).unwrap();
    tool::paste(&format!("cd {}\n{line}", folder.path().display()));
    let made = line.rsplit_once('>').unwrap().1;
    let made = fs::read_to_string(folder.path().join(made)).unwrap();
    let shipped = read(RULES)
        .replace("docs/operations.md#", "https://git.example.com/auth/countersign/docs/operations.md#");
    assert_eq!(made, shipped);
}

#[test]
fn the_alerts_fire_when_they_should() {
    let Some(promtool) = tool::find("promtool", "the_alerts_fire_when_they_should") else { return };
    for arguments in [["check", "rules", RULES], ["test", "rules", "tests/prometheus/countersign.test.yaml"]]
    {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("promtool runs");
        let told = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}:\n{}", String::from_utf8_lossy(&told));
    }
}

//! `countersign audit list|follow`, on the stores and at a running service; and retention as the service keeps it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::administrator::Administrator;
use crate::support::cli::{Outcome, on_data, run_with_input, service_key};
use crate::support::client::Client;
use crate::support::process::Dev;

/// What a command printed, line by line.
fn lines(outcome: &Outcome) -> Vec<Value> {
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{}", outcome.out);
    outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn audit(data: &Path, arguments: &str) -> Outcome {
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.extend(["--data-dir", data.to_str().unwrap()]);
    run_with_input(&arguments, &[], b"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_did_is_listed_on_the_stores_and_at_the_service() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let key = service_key(|arguments| on_data(data.path(), arguments, ""), &["countersign:auditor"]);
    on_data(data.path(), &["user", "create", "ada", "--password-stdin"], "correct horse battery");
    on_data(data.path(), &["user", "disable", "ada"], "");
    let shown = on_data(data.path(), &["user", "show", "ada", "--json"], "");
    let id = serde_json::from_str::<Value>(&shown).unwrap()["id"].as_str().unwrap().to_owned();

    let here = lines(&audit(data.path(), &format!("audit list --user {id} --json")));
    assert_eq!(types(&here), ["USER_DISABLED", "USER_CREATED"], "the newest first");
    for event in &here {
        assert!(event["actor"].as_str().unwrap().starts_with("operator"), "{event}");
        assert_eq!(event["user_id"], id.as_str());
    }
    assert_eq!(here[1]["name"], "ada");

    let token = data.path().join("token");
    std::fs::write(&token, &key).unwrap();
    let server = format!("http://{}", dev.grpc);
    let remote = ["--server", server.as_str(), "--token-file", token.to_str().unwrap()];
    let ask = |arguments: &[&str]| run_with_input(&[arguments, &remote].concat(), &[], b"");
    let there = lines(&ask(&["audit", "list", "--user", &id, "--json"]));
    assert_eq!(there, here, "the same here and there");
    let one = lines(&ask(&[
        "audit",
        "list",
        "--type",
        "user_created",
        "--type",
        "USER_DISABLED",
        "--limit",
        "1",
        "--json",
    ]));
    assert_eq!(types(&one), ["USER_DISABLED"]);
    let none = lines(&ask(&["audit", "list", "--until", "2001-01-01T00:00:00Z", "--json"]));
    assert!(none.is_empty());
    let recent = lines(&ask(&[
        "audit",
        "list",
        "--since",
        "1h",
        "--actor",
        here[0]["actor"].as_str().unwrap(),
        "--json",
    ]));
    assert!(types(&recent).contains(&"SERVICE_KEY_CREATED"), "{recent:?}");
    let text = ask(&["audit", "list", "--user", &id]).out;
    assert!(text.lines().next().unwrap().contains(" USER_DISABLED "), "{text}");

    let mistyped = audit(data.path(), "audit list --type LOGIN_FAILURE");
    assert_eq!(mistyped.code, 2);
    assert!(mistyped.err.contains("LOGIN_FAILED"), "{}", mistyped.err);
}

/// The lines that docs/operations.md shows for after an incident, on the data of a service on which one happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_for_after_an_incident_say_who_did_what() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let mut client = Client::connect(dev.grpc);
    let suspect = client.login("admin", &dev.password().unwrap()).await.unwrap();
    let mut administrator = Administrator::connect(dev.grpc, &suspect.access_token);
    let victim = administrator.create("ada", "correct horse battery", &[], "").await.unwrap();
    administrator.set_password("ada", "the suspect's password").await.unwrap();
    administrator.delete("ada").await.unwrap();
    Administrator::connect(dev.grpc, "nonsense").delete("ada").await.unwrap_err();
    let shown = on_data(data.path(), &["user", "show", "admin", "--json"], "");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    // What waits is written when the service stops.
    assert_eq!(dev.terminate(), Some(0));

    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let section = page.split("## After an incident").nth(1).unwrap().split("\n## ").next().unwrap();
    let lines: Vec<_> = section.lines().filter(|line| line.starts_with("countersign audit ")).collect();
    let said: Vec<String> = lines
        .iter()
        .map(|line| {
            let line = line.replace("audit follow", "audit follow --from-oldest --count 3");
            let binary = env!("CARGO_BIN_EXE_countersign");
            let output = Command::new("bash")
                .args(["-ec", &line.replacen("countersign", binary, 1)])
                .env("SUSPECT", shown["id"].as_str().unwrap())
                .env("VICTIM", &victim.id)
                .env("COUNTERSIGN__DATABASE__URL", format!("sqlite:{}/countersign.db", data.path().display()))
                .env("COUNTERSIGN__KEYS__DIRECTORY", data.path().join("keys"))
                .output()
                .unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{line}: {err}");
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let types = |said: &str| -> Vec<String> {
        said.lines().map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    let of_victim = ["USER_DELETED", "PASSWORD_CHANGED", "USER_CREATED"];
    assert_eq!(types(&said[0]), ["LOGIN_SUCCEEDED"]);
    let done = types(&said[1]);
    assert_eq!(
        done.iter().filter(|it| *it != "LOGIN_SUCCEEDED").collect::<Vec<_>>(),
        of_victim.iter().collect::<Vec<_>>()
    );
    assert_eq!(types(&said[2]), of_victim);
    assert_eq!(types(&said[3]), ["CALLER_REFUSED"]);
    assert_eq!(types(&said[4]).len(), 3, "{}", said[4]);
    assert_eq!(said.len(), 5);
}

/// A command that runs until it has printed what was asked for.
struct Following(Child);

impl Following {
    fn start(arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn lines(mut self) -> Vec<Value> {
        let out = BufReader::new(self.0.stdout.take().unwrap());
        let lines = out.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        assert!(self.0.wait().unwrap().success());
        lines
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_followed_and_gone_on_with_from_a_position() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let mut client = Client::connect(dev.grpc);
    let password = dev.password().unwrap();
    let key = service_key(|arguments| on_data(data.path(), arguments, ""), &["countersign:auditor"]);
    let token = data.path().join("token");
    std::fs::write(&token, &key).unwrap();
    let server = format!("http://{}", dev.grpc);
    let at_service = ["--server", server.as_str(), "--token-file", token.to_str().unwrap()];
    let on_stores = ["--data-dir", data.path().to_str().unwrap()];
    let follow = ["audit", "follow", "--json", "--type", "LOGIN_SUCCEEDED", "--type", "LOGOUT"];
    for place in [&at_service[..], &on_stores[..]] {
        let tokens = client.login("admin", &password).await.unwrap();
        // Logins are written shortly after, and so perhaps behind what came after them.
        client.logout(&tokens.refresh_token).await.unwrap();
        let first =
            Following::start(&[&follow[..], &["--from-oldest", "--count", "2"], place].concat()).lines();
        assert_eq!(first.len(), 2);
        let from = first[1]["position"].as_str().unwrap();
        let going_on = Following::start(&[&follow[..], &["--from", from, "--count", "2"], place].concat());
        let tokens = client.login("admin", &password).await.unwrap();
        client.logout(&tokens.refresh_token).await.unwrap();
        let next = going_on.lines();
        assert_eq!(next.len(), 2);
        assert!(next.iter().all(|event| !first.contains(event)), "{first:?} {next:?}");
    }
    let gone = run_with_input(&[&["audit", "follow", "--from", "2.1"], &on_stores[..]].concat(), &[], b"");
    assert_eq!(gone.code, 2, "{}", gone.err);
    let gone = run_with_input(
        &[&["audit", "follow", "--from", "2-0000000000000001"], &on_stores[..]].concat(),
        &[],
        b"",
    );
    assert_eq!(gone.code, 1);
    assert!(gone.err.contains("POSITION_EXPIRED"), "{}", gone.err);
}

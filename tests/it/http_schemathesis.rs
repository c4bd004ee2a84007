//! schemathesis reads the document that the edge serves and sends what follows from it, good and bad: the edge never
//! fails, and answers nothing that the document does not have.

use std::path::PathBuf;
use std::process::Output;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::process::Command;

use crate::support::http::{Http, Service, service};
use crate::support::tool;

const CLIENT: &str = "gateway:at-least-16-characters";

/// The same requests every time.
const ARGUMENTS: [&str; 11] = [
    "--phases",
    "coverage,fuzzing",
    "--checks",
    "all",
    "--generation-deterministic",
    "--generation-with-security-parameters",
    "false",
    "--max-examples",
    "12",
    "--no-color",
    "--continue-on-failure",
];

/// The checks that are left out: how strict an edge must be about requests, for this one leaves unknown fields out, as
/// its contract says.
const STRICTNESS: &str = "negative_data_rejection,positive_data_acceptance";
/// The same, and what tells a refusal by its status alone, which is 200 in an envelope.
const STATUSES: &str = "negative_data_rejection,positive_data_acceptance,ignored_auth,unsupported_method";

/// Who sends, and what of the document.
const PARTS: [(Sender, &[&str]); 3] = [
    (Sender::Bearer, &["--include-path", "/v1/auth/session", "--include-path", "/forward-auth"]),
    (Sender::Client, &["--include-path-regex", "^/oauth2/"]),
    (Sender::Nobody, &["--exclude-path-regex", "^/oauth2/|^/v1/auth/session$|^/forward-auth$"]),
];

#[derive(Clone, Copy)]
enum Sender {
    Bearer,
    Client,
    Nobody,
}

impl Sender {
    fn arguments(self, token: &str) -> Vec<String> {
        match self {
            Self::Bearer => vec!["--header".to_owned(), format!("Authorization: Bearer {token}")],
            Self::Client => vec!["--auth".to_owned(), CLIENT.to_owned()],
            Self::Nobody => Vec::new(),
        }
    }
}

/// Passwords that cost nothing and no throttle, so that requests get as far as they can.
async fn edge(settings: &[(&str, &str)]) -> (Service, String) {
    let client = CLIENT.replace(':', " ");
    let usual = [("THROTTLE__ENABLED", "false"), ("EDGE__CLIENTS", &*client)];
    let service = service(&[&usual, settings].concat()).await;
    let login = service.http.login().await.json();
    // In an envelope the tokens are one level deeper.
    let answer = login.get("data").unwrap_or(&login);
    let token = answer["tokens"]["accessToken"].as_str().unwrap().to_owned();
    (service, token)
}

async fn run(tool: &PathBuf, location: &str, http: Http, arguments: Vec<String>) -> (String, Output) {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(tool)
        .current_dir(directory.path())
        .args(["run", location, "--url", &format!("http://{}", http.0)])
        .args(ARGUMENTS)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .expect("schemathesis runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output)
}

/// How many requests were sent, by the tool's own word.
fn sent(report: &str) -> u32 {
    let count = report.lines().find_map(|line| line.trim().split_once(" generated, "));
    count.unwrap_or_else(|| panic!("no request was sent:\n{report}")).0.parse().unwrap()
}

#[tokio::test]
async fn nothing_that_the_document_allows_breaks_the_edge_or_is_answered_otherwise() {
    const NAME: &str = "nothing_that_the_document_allows_breaks_the_edge_or_is_answered_otherwise";
    let Some(tool) = tool::find("schemathesis", NAME) else { return };
    for (settings, left_out) in [
        (&[("EDGE__CSRF", "true")][..], STRICTNESS),
        (&[("EDGE__REFRESH_TRANSPORT", "body"), ("EDGE__ERRORS", "status")], STRICTNESS),
        (&[("EDGE__ENVELOPE", "true")], STATUSES),
    ] {
        let (service, token) = edge(settings).await;
        let document = format!("http://{}/openapi.json", service.http.0);
        let mut requests = 0;
        for (report, output) in join_all(PARTS.map(|(sender, part)| {
            let part = part.iter().copied().chain(["--exclude-checks", left_out]).map(str::to_owned);
            let arguments = sender.arguments(&token).into_iter().chain(part).collect();
            run(&tool, &document, service.http, arguments)
        }))
        .await
        {
            assert!(output.status.success(), "{settings:?}\n{report}");
            requests += sent(&report);
        }
        println!("{settings:?}: {requests} requests, and every answer is documented");
    }
}

/// Were the document to leave an answer out, the test above would say so.
#[tokio::test]
async fn a_document_that_leaves_an_answer_out_is_found_out() {
    const NAME: &str = "a_document_that_leaves_an_answer_out_is_found_out";
    let Some(tool) = tool::find("schemathesis", NAME) else { return };
    let service = service(&[]).await;
    let mut document: Value = service.http.get("/openapi.json", &[]).await.json();
    let responses = &mut document["paths"]["/v1/auth/session"]["get"]["responses"];
    assert!(responses.as_object_mut().unwrap().remove("401").is_some());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let arguments = ["--include-path", "/v1/auth/session"].map(str::to_owned).into();
    let (report, output) = run(&tool, file.to_str().unwrap(), service.http, arguments).await;
    assert!(!output.status.success() && report.contains("Undocumented status code"), "{report}");
}

//! `examples/clients`, run by Node as docs/clients.md says.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use countersign::auth::AuthError;
use countersign::http::{HttpOptions, RefreshTransport};
use countersign::reason::Reason;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::http::{Http, PASSWORD, USERNAME, alone, options, service};
use crate::support::stub::Stub;
use crate::support::tool;

/// What tokens are forgotten for.
const ENDED: [Reason; 4] = [
    Reason::RefreshTokenInvalid,
    Reason::RefreshTokenExpired,
    Reason::RefreshTokenReused,
    Reason::SessionRevoked,
];
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clients");

/// What Node prints of a file, or of a script in which `session`, `store` and `errors` are at hand.
async fn node(program: &PathBuf, script: &str, http: Http, tokens: &Path) -> Output {
    let mut command = Command::new(program);
    if Path::new(script).is_file() {
        command.arg(script);
    } else {
        let prelude = format!(
            "import * as errors from '{CLIENTS}/session.mjs';\n\
             import {{ FileStore }} from '{CLIENTS}/file-store.mjs';\n\
             const store = new FileStore(process.env.TOKENS);\n\
             const session = new errors.Session(process.env.EDGE, store, {{ patience: 0 }});\n"
        );
        command.args(["--input-type=module", "--eval", &(prelude + script)]);
    }
    let output = command
        .env("EDGE", format!("http://{}", http.0))
        .env("USERNAME", USERNAME)
        .env("PASSWORD", PASSWORD)
        .env("TOKENS", tokens)
        .kill_on_drop(true)
        .output();
    output.await.expect("Node runs")
}

#[track_caller]
fn lines(output: &Output) -> Vec<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_demonstration_does_what_it_says() {
    let Some(program) = tool::find("node", "the_demonstration_does_what_it_says") else { return };
    let service = service(&[("EDGE__REFRESH_TRANSPORT", "body")]).await;
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens.json");
    let output = node(&program, &format!("{CLIENTS}/demo.mjs"), service.http, &tokens).await;
    let expected = [
        "wrong password: INVALID_CREDENTIALS",
        "refreshed once for both: true",
        "logged in as: ada",
        "logged out: TOKEN_MISSING",
    ];
    assert_eq!(lines(&output), expected);
    assert!(!tokens.exists());
    let metrics = service.operations.get("/metrics", &[]).await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let refreshes: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("http_server_started_total") && line.contains("\"Refresh\""))
        .collect();
    assert!(refreshes[0].ends_with(" 1"), "neither a wrong password nor a second client: {refreshes:?}");
}

/// Three processes with one file; each gives up its access token ten times.
#[tokio::test]
async fn processes_that_share_a_session_never_end_it() {
    let Some(program) = tool::find("node", "processes_that_share_a_session_never_end_it") else { return };
    let service = service(&[("EDGE__REFRESH_TRANSPORT", "body")]).await;
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens.json");
    let login = "await session.login(process.env.USERNAME, process.env.PASSWORD);";
    lines(&node(&program, login, service.http, &tokens).await);
    let refresh = "for (let i = 0; i < 10; i += 1) await session.refresh((await store.read()).accessToken);\n\
                   console.log((await session.fetch(`${process.env.EDGE}/v1/auth/session`)).status);";
    for output in join_all((0..3).map(|_| node(&program, refresh, service.http, &tokens))).await {
        assert_eq!(lines(&output), ["200"]);
    }
}

#[tokio::test]
async fn tokens_are_forgotten_for_the_published_reasons_alone() {
    let Some(program) = tool::find("node", "tokens_are_forgotten_for_the_published_reasons_alone") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let refresh = "try { await session.refresh('a'); } catch (error) { console.log(error.reason); }";
    let outcomes = Reason::all().map(|reason| {
        let (program, tokens) = (program.clone(), directory.path().join(reason.name()));
        async move {
            std::fs::write(&tokens, json!({ "accessToken": "a", "refreshToken": "r" }).to_string()).unwrap();
            let stub = Arc::new(Stub::failing(move || AuthError::new(reason)));
            let options = HttpOptions { refresh_transport: RefreshTransport::Body, ..options() };
            let edge = alone(stub, options).await;
            let output = node(&program, refresh, edge.http, &tokens).await;
            assert_eq!(lines(&output), [reason.name()]);
            assert_eq!(tokens.exists(), !ENDED.contains(&reason), "{reason}");
        }
    });
    for outcome in outcomes {
        outcome.await;
    }
    // Nobody is there at all.
    let tokens = directory.path().join("unreachable");
    std::fs::write(&tokens, json!({ "accessToken": "a", "refreshToken": "r" }).to_string()).unwrap();
    let nowhere = Http(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let output = node(&program, refresh, nowhere, &tokens).await;
    assert_eq!(lines(&output).len(), 1);
    let kept: Value = serde_json::from_slice(&std::fs::read(&tokens).unwrap()).unwrap();
    assert_eq!(kept["refreshToken"], "r");
}

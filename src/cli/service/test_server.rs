//! The test server behind the command line: says where it is, and when it has to go.

use std::io::{self, Read as _, Write as _};

use serde_json::{Value, json};

use super::super::program::{BoxError, TestRun};
use super::finish;
use crate::app::{TestServer, TestServerOptions, WORLD_HEADER};
use crate::config::Config;
use crate::lifecycle;
use crate::telemetry;

/// Runs the test server until it is told to stop, or its standard input is closed.
pub(super) async fn run(config: Config, run: TestRun) -> Result<(), BoxError> {
    telemetry::init(&config)?;
    // Before anybody knows that it runs: whoever is told so may stop it in the same moment.
    let signalled = lifecycle::signal();
    let input_closed = run.until_stdin_closes.then(input_closed).transpose()?;
    let options = TestServerOptions { config, most_worlds: run.most_worlds, idle: run.idle };
    let server = TestServer::build(options).await?;
    let announcement = announcement(&server).await?;
    let until = async move {
        let told = writeln!(io::stdout(), "{announcement}").and_then(|()| io::stdout().flush());
        if told.is_err() {
            // Whoever has started it is gone, and nobody else knows its port.
            return;
        }
        match input_closed {
            None => signalled.await,
            Some(closed) => tokio::select! {
                () = signalled => {}
                _ = closed => {}
            },
        }
    };
    finish(server.run(until).await)
}

/// Resolves when standard input is closed. The thread that waits for it ends with the process: one of the runtime would be
/// waited for.
fn input_closed() -> io::Result<tokio::sync::oneshot::Receiver<()>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let wait = move || {
        let mut input = io::stdin().lock();
        let mut unread = [0; 256];
        while input.read(&mut unread).is_ok_and(|read| read > 0) {}
        let _ = sender.send(());
    };
    std::thread::Builder::new().name("standard-input".to_owned()).spawn(wait)?;
    Ok(receiver)
}

/// What the starting program must know: one line of JSON. Members may be added, and none is taken away.
async fn announcement(server: &TestServer) -> Result<Value, BoxError> {
    let (grpc, http) = (server.grpc_address()?, server.http_address()?);
    let tokens = &server.config().tokens;
    let keys = server.default_keys().await?;
    Ok(json!({
        "grpc": grpc.to_string(),
        "http": format!("http://{http}"),
        "jwksUrl": format!("http://{http}/.well-known/jwks.json"),
        "jwks": { "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() },
        "issuer": tokens.issuer,
        "audience": tokens.default_audience(),
        "audiences": tokens.audiences,
        "accessTtlSeconds": tokens.access_ttl.as_secs(),
        "worldHeader": WORLD_HEADER,
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

//! Many callers present one refresh token at once.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::client::{Client, Refused};
use crate::support::process::Dev;

const ROUNDS: usize = 200;
const CALLERS: usize = 64;

/// Whatever the interleaving, all callers get the same successor, the line goes on from it, and the token before
/// the one that was presented ends nothing but what it should: there is one live chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_of_one_token_get_one_successor() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let mut connections = Vec::new();
    for _ in 0..8 {
        connections.push(Client::connect(dev.grpc));
    }
    // Argon2 is not what is tested here: all rounds go on in one session, each from a token that was just minted
    // by a login or has aged past the grace window by being the first of its session.
    let password = dev.password().unwrap();
    for round in 0..ROUNDS {
        let login = connections[0].login("admin", &password).await.unwrap();
        let presented = login.refresh_token;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (mut client, token) = (connections[caller % connections.len()].clone(), presented.clone());
            callers.spawn(async move { client.refresh(&token).await });
        }
        let mut successors = BTreeSet::new();
        while let Some(answer) = callers.join_next().await {
            successors.insert(answer.unwrap().expect("nobody is refused").refresh_token);
        }
        assert_eq!(successors.len(), 1, "round {round}: the line forked");
        let successor = successors.pop_first().unwrap();
        assert_ne!(successor, presented);
        let again = connections[1].refresh(&successor).await.unwrap().refresh_token;
        assert_eq!(again, successor, "round {round}: just minted, so answered unchanged");
    }
}

/// The same through three generations of one session with no grace at all: exactly one caller wins each, and
/// nobody else's answer is a token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_grace_window_each_token_moves_the_line_once() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start_with_env(
        data.path(),
        &[("COUNTERSIGN__ROTATION__GRACE", "0s"), ("COUNTERSIGN__ROTATION__STRICT", "true")],
    );
    let mut client = Client::connect(dev.grpc);
    let password = dev.password().unwrap();
    for round in 0..20 {
        let presented = client.login("admin", &password).await.unwrap().refresh_token;
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (mut client, token) = (client.clone(), presented.clone());
            callers.spawn(async move { client.refresh(&token).await });
        }
        let (mut won, mut refused) = (Vec::new(), Vec::new());
        while let Some(answer) = callers.join_next().await {
            match answer.unwrap() {
                Ok(tokens) => won.push(tokens.refresh_token),
                Err(Refused { reason, .. }) => refused.push(reason),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(refused.len(), CALLERS - 1);
        let known = ["REFRESH_TOKEN_REUSED", "SESSION_REVOKED"];
        assert!(refused.iter().all(|reason| known.contains(&reason.as_str())), "{refused:?}");
        let dead = client.refresh(&won[0]).await.unwrap_err();
        assert_eq!(dead.reason, "SESSION_REVOKED", "whoever won, the session is dead after a reuse");
        assert_eq!(dead.retry_after, None::<Duration>);
    }
}

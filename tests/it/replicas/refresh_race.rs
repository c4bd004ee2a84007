//! Many callers over both replicas present one refresh token at once.

use std::collections::HashSet;
use std::sync::Arc;

use countersign::grpc::proto::v1::Tokens;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fleet::{Fleet, login};
use crate::support::client::{Client, Refused};

const CALLERS: usize = 64;
const ROUNDS: usize = 300;

/// One line in the history of a round: which replica was asked, and what it answered.
type Answer = (usize, Result<Tokens, Refused>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_over_two_replicas_leave_one_live_chain_in_every_round() {
    let test = "sixty_four_callers_over_two_replicas_leave_one_live_chain_in_every_round";
    let Some(fleet) = Fleet::start(test, &[]).await else { return };
    let callers: Vec<_> = (0..CALLERS).map(|caller| fleet.replicas[caller % 2].client()).collect();
    let mut clients = fleet.clients();
    let mut answers = 0;
    for round in 0..ROUNDS {
        let token = login(&mut clients[round % 2]).await.refresh_token;
        let history = race(&callers, &token).await;
        answers += history.len();
        let successor = only_successor(round, &token, &history);
        // The other replica agrees, and the chain goes on from there.
        let again = clients[(round + 1) % 2].refresh(&token).await.unwrap();
        assert_eq!(again.refresh_token, successor, "round {round}");
        let held = clients[round % 2].refresh(&successor).await.unwrap();
        assert_eq!(held.refresh_token, successor, "round {round}: young successors stand still");
    }
    println!("{ROUNDS} rounds of {CALLERS} callers over 2 replicas: {answers} answers, one chain each");
}

async fn race(callers: &[Client], token: &str) -> Vec<Answer> {
    let start = Arc::new(Barrier::new(callers.len()));
    let mut race = JoinSet::new();
    for (caller, client) in callers.iter().enumerate() {
        let (mut client, start, token) = (client.clone(), start.clone(), token.to_owned());
        race.spawn(async move {
            start.wait().await;
            (caller % 2, client.refresh(&token).await)
        });
    }
    race.join_all().await
}

/// Every answer is the same successor; nothing else would leave one chain.
fn only_successor(round: usize, token: &str, history: &[Answer]) -> String {
    let refused: Vec<_> = history.iter().filter(|(_, answer)| answer.is_err()).collect();
    assert!(refused.is_empty(), "round {round}: {refused:?}");
    let successors: HashSet<_> =
        history.iter().filter_map(|(_, answer)| Some(&answer.as_ref().ok()?.refresh_token)).collect();
    assert_eq!(successors.len(), 1, "round {round}: the chain forked");
    let successor = (*successors.iter().next().unwrap()).clone();
    assert_ne!(successor, token, "round {round}");
    successor
}

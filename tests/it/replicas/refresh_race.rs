//! Many callers over both replicas present one refresh token at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use countersign::grpc::proto::v1::Tokens;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tonic::Code;

use super::fleet::{Fleet, login};
use crate::support::client::{Client, Refused};

const CALLERS: usize = 64;
const ROUNDS: usize = 300;

/// One line in the history of a round: which replica was asked, and what it answered.
type Answer = (usize, Result<Tokens, Refused>);

/// What a round left behind.
struct Round {
    presented: String,
    successor: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_over_two_replicas_leave_one_live_chain_in_every_round() {
    let test = "sixty_four_callers_over_two_replicas_leave_one_live_chain_in_every_round";
    let settings = [("ROTATION__GRACE", "3s"), ("ROTATION__DEADLINE", "2s")];
    let Some(fleet) = Fleet::start(test, &settings).await else { return };
    let callers: Vec<_> = (0..CALLERS).map(|caller| fleet.replicas[caller % 2].client()).collect();
    let mut clients = fleet.clients();
    let (mut rounds, mut answers, mut unanswered) = (Vec::with_capacity(ROUNDS), 0, 0);
    for round in 0..ROUNDS {
        let presented = login(&mut clients[round % 2]).await.refresh_token;
        let history = race(&callers, &presented).await;
        let successor = only_successor(round, &presented, &history);
        answers += history.len();
        unanswered += history.iter().filter(|(_, answer)| answer.is_err()).count();
        rounds.push(Round { presented, successor });
    }
    for (number, round) in rounds.iter().enumerate() {
        only_one_chain_goes_on(number, round, &mut clients).await;
    }
    println!(
        "{ROUNDS} rounds of {CALLERS} callers over 2 replicas: {answers} answers, of which {unanswered} were \
         UNAVAILABLE; one live chain in each"
    );
}

/// All at once; whoever gets no answer asks again, as every client does.
async fn race(callers: &[Client], token: &str) -> Vec<Answer> {
    let start = Arc::new(Barrier::new(callers.len()));
    let mut race = JoinSet::new();
    for (caller, client) in callers.iter().enumerate() {
        let (mut client, start, token) = (client.clone(), start.clone(), token.to_owned());
        race.spawn(async move {
            let mut answers = Vec::new();
            start.wait().await;
            loop {
                let answer = client.refresh(&token).await;
                let ended = !matches!(&answer, Err(refused) if is_no_answer(refused));
                answers.push((caller % 2, answer));
                if ended || answers.len() == 100 {
                    return answers;
                }
            }
        });
    }
    race.join_all().await.into_iter().flatten().collect()
}

/// A store was too slow for a busy machine: that says nothing of the token.
fn is_no_answer(refused: &Refused) -> bool {
    matches!(refused.code, Code::Unavailable | Code::DeadlineExceeded)
}

/// From the history: nobody was refused, and all were given the same token.
fn only_successor(round: usize, presented: &str, history: &[Answer]) -> String {
    let refused: Vec<_> = history
        .iter()
        .filter(|(_, answer)| answer.as_ref().is_err_and(|refused| !is_no_answer(refused)))
        .collect();
    assert!(refused.is_empty(), "round {round}: {refused:?}");
    let answered = history.iter().filter_map(|(replica, answer)| Some((*replica, answer.as_ref().ok()?)));
    let (replicas, successors): (HashSet<_>, HashSet<_>) =
        answered.map(|(replica, tokens)| (replica, tokens.refresh_token.clone())).unzip();
    assert_eq!(replicas.len(), 2, "round {round}: both replicas took part");
    assert_eq!(successors.len(), 1, "round {round}: the chain forked");
    let successor = successors.into_iter().next().unwrap();
    assert_ne!(successor, presented, "round {round}");
    successor
}

/// The line goes on from the successor once it may rotate again; what was presented in the race is then an old
/// token, which proves that no second chain goes on from it.
async fn only_one_chain_goes_on(number: usize, round: &Round, clients: &mut [Client; 2]) {
    let ours = number % 2;
    let next = loop {
        match clients[ours].refresh(&round.successor).await {
            Ok(next) if next.refresh_token != round.successor => break next.refresh_token,
            // It stands still for as long as a retry of the race may be under way.
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(refused) if is_no_answer(&refused) => {}
            Err(refused) => panic!("round {number}: the successor was refused: {refused:?}"),
        }
    };
    let old = refusal(&mut clients[1 - ours], &round.presented).await;
    assert_eq!(old, "REFRESH_TOKEN_REUSED", "round {number}");
    assert_eq!(refusal(&mut clients[ours], &next).await, "SESSION_REVOKED", "round {number}");
}

async fn refusal(client: &mut Client, token: &str) -> String {
    loop {
        match client.refresh(token).await.unwrap_err() {
            refused if is_no_answer(&refused) => {}
            refused => return refused.reason,
        }
    }
}

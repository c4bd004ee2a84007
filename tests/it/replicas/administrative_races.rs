//! Changes to one user that meet each other, and the user's own calls, on two replicas of PostgreSQL and Redis: whatever their
//! order was, nothing survives that should not, and nobody else is logged out.

use std::collections::BTreeMap;

use countersign::grpc::proto::v1::{InvalidReason, Tokens};
use tokio::task::JoinSet;

use super::fleet::{Fleet, login};
use crate::support::administrator::Administrator;
use crate::support::cli::service_key;
use crate::support::client::{Client, Refused, Verified};
use crate::support::replica::PASSWORD;

const ROUNDS: usize = 200;
/// How many rounds are under way at once, each with a user of its own.
const AT_ONCE: usize = 8;
const OTHER: &str = "another long password";

/// A client of each replica, for one round.
#[derive(Clone)]
struct Round {
    name: String,
    clients: [Client; 2],
    administrators: [Administrator; 2],
}

/// Which of the calls a round made came out how.
type Outcome = &'static str;

/// Plays every round, and says how many came out how.
async fn rounds<F: Future<Output = Outcome> + Send + 'static>(
    test: &str,
    play: impl Fn(Round) -> F + Copy + Send + 'static,
) {
    // Polling is far too slow to help.
    let Some(fleet) = Fleet::start(test, &[("REVOCATION__POLL_INTERVAL", "30s")]).await else { return };
    let roles = ["countersign:users", "countersign:sessions"];
    let key = service_key(|arguments| fleet.deployment.run(arguments, ""), &roles);
    let mut bystander = fleet.clients()[0].clone();
    let tokens = login(&mut bystander).await;

    let mut under_way = JoinSet::new();
    let mut outcomes = BTreeMap::<Outcome, usize>::new();
    for number in 0..ROUNDS + AT_ONCE {
        if number < ROUNDS {
            let administrators =
                fleet.replicas.each_ref().map(|replica| Administrator::connect(replica.grpc, &key));
            let round = Round { name: format!("user{number}"), clients: fleet.clients(), administrators };
            under_way.spawn(play(round));
        }
        if number >= AT_ONCE {
            let outcome = under_way.join_next().await.unwrap().unwrap();
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    println!("{ROUNDS} rounds: {outcomes:?}");
    bystander.refresh(&tokens.refresh_token).await.expect("nobody else is logged out");
}

impl Round {
    /// The user of this round, who has logged in so often.
    async fn user<const N: usize>(&mut self) -> [Tokens; N] {
        let Self { name, clients, administrators } = self;
        administrators[0].create(name, PASSWORD, &[], "").await.unwrap();
        let mut sessions = Vec::new();
        for _ in 0..N {
            sessions.push(clients[0].login(name, PASSWORD).await.unwrap());
        }
        sessions.try_into().unwrap()
    }

    /// Nothing of a session is good, on either replica, for whoever knows of the position.
    async fn is_over(&mut self, tokens: &Tokens, position: &str) {
        for client in &mut self.clients {
            let verified = client.verify_at_least(&tokens.access_token, position).await.unwrap();
            assert_eq!(verified, Verified::Invalid(InvalidReason::Revoked), "{}", self.name);
            let refused = client.refresh(&tokens.refresh_token).await.unwrap_err();
            // Redis forgets the sessions of an earlier epoch when the user logs in, and of one that began at the very moment
            // of the change the ledger cannot tell that it was one.
            assert!(["SESSION_REVOKED", "REFRESH_TOKEN_INVALID"].contains(&&*refused.reason), "{refused:?}");
        }
    }

    /// A session goes on, on either replica, for whoever knows of the position.
    async fn goes_on(&mut self, tokens: &Tokens, position: &str) {
        for client in &mut self.clients {
            let verified = client.verify_at_least(&tokens.access_token, position).await.unwrap();
            assert!(matches!(verified, Verified::As { .. }), "{}: {verified:?}", self.name);
        }
        self.clients[1].refresh(&tokens.refresh_token).await.expect(&self.name);
    }

    /// Which of the two passwords lets the user in.
    async fn passwords(&mut self) -> [bool; 2] {
        let [mut client, _] = self.clients.clone();
        let mut good = [false; 2];
        for (password, good) in [PASSWORD, OTHER].into_iter().zip(&mut good) {
            *good = answered(client.login(&self.name, password).await, &["INVALID_CREDENTIALS"]).is_some();
        }
        good
    }
}

/// What a call answered that may be refused for one of these reasons, and for no other.
#[track_caller]
fn answered<T>(answer: Result<T, Refused>, reasons: &[&str]) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(refused) => {
            assert!(reasons.contains(&&*refused.reason), "{refused:?}");
            None
        }
    }
}

/// Of somebody whose sessions are over, or who is gone.
const OVER: &[&str] = &["SESSION_REVOKED", "INVALID_CREDENTIALS"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_changed_while_its_sessions_are_refreshed() {
    let test = "a_password_is_changed_while_its_sessions_are_refreshed";
    rounds(test, |mut round: Round| async move {
        let [own, other] = round.user().await;
        let [mut first, mut second] = round.clients.clone();
        let mut third = second.clone();
        let (change, refreshed, own_refreshed) = tokio::join!(
            first.change_password(&own.refresh_token, PASSWORD, OTHER),
            second.refresh(&other.refresh_token),
            third.refresh(&own.refresh_token),
        );
        let (new, position) = change.unwrap();
        let refreshed = answered(refreshed, &["SESSION_REVOKED"]);
        let own_refreshed = answered(own_refreshed, &["SESSION_REVOKED"]);
        let outcome = if refreshed.is_some() { "refreshed before" } else { "refreshed too late" };
        for tokens in [Some(own), Some(other), refreshed, own_refreshed].into_iter().flatten() {
            round.is_over(&tokens, &position).await;
        }
        round.goes_on(&new, &position).await;
        assert_eq!(round.passwords().await, [false, true]);
        outcome
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_changed_while_somebody_logs_in_with_the_old_one() {
    let test = "a_password_is_changed_while_somebody_logs_in_with_the_old_one";
    rounds(test, |mut round: Round| async move {
        let [own] = round.user().await;
        let [mut first, mut second] = round.clients.clone();
        let (change, login) = tokio::join!(
            first.change_password(&own.refresh_token, PASSWORD, OTHER),
            second.login(&round.name, PASSWORD),
        );
        let (new, position) = change.unwrap();
        let login = answered(login, &["INVALID_CREDENTIALS"]);
        let outcome = if login.is_some() { "logged in before" } else { "logged in too late" };
        for tokens in [Some(own), login].into_iter().flatten() {
            round.is_over(&tokens, &position).await;
        }
        round.goes_on(&new, &position).await;
        assert_eq!(round.passwords().await, [false, true]);
        outcome
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_changed_while_its_user_is_disabled() {
    let test = "a_password_is_changed_while_its_user_is_disabled";
    rounds(test, |mut round: Round| async move {
        let [own, other] = round.user().await;
        let ([mut client, _], [_, mut administrator]) = (round.clients.clone(), round.administrators.clone());
        let (change, disabled) = tokio::join!(
            client.change_password(&own.refresh_token, PASSWORD, OTHER),
            administrator.disable(&round.name),
        );
        let (position, change) = (disabled.unwrap(), answered(change, OVER));
        let new = change.map(|(new, _)| new);
        let changed = new.is_some();
        for tokens in [Some(own), Some(other), new].into_iter().flatten() {
            round.is_over(&tokens, &position).await;
        }
        assert_eq!(round.passwords().await, [false, false]);
        administrator.enable(&round.name).await.unwrap();
        assert_eq!(round.passwords().await, [!changed, changed]);
        if changed { "changed before" } else { "changed too late" }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_changed_while_its_user_is_deleted() {
    let test = "a_password_is_changed_while_its_user_is_deleted";
    rounds(test, |mut round: Round| async move {
        let [own, other] = round.user().await;
        let ([mut client, _], [_, mut administrator]) = (round.clients.clone(), round.administrators.clone());
        let (change, deleted) = tokio::join!(
            client.change_password(&own.refresh_token, PASSWORD, OTHER),
            administrator.delete(&round.name),
        );
        let (position, change) = (deleted.unwrap(), answered(change, OVER));
        let new = change.map(|(new, _)| new);
        let outcome = if new.is_some() { "changed before" } else { "changed too late" };
        for tokens in [Some(own), Some(other), new].into_iter().flatten() {
            round.is_over(&tokens, &position).await;
        }
        assert_eq!(round.passwords().await, [false, false]);
        assert_eq!(administrator.get(&round.name).await.unwrap_err().reason, "USER_NOT_FOUND");
        outcome
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_changes_to_what_was_read_one_is_made() {
    let test = "of_two_changes_to_what_was_read_one_is_made";
    rounds(test, |round: Round| async move {
        let Round { name, administrators: [mut first, mut second], .. } = round;
        let etag = first.create(&name, PASSWORD, &[], "").await.unwrap().etag;
        let made =
            tokio::join!(first.set_roles(&name, &["a"], &etag), second.set_roles(&name, &["b"], &etag));
        let made = [answered(made.0, &["ETAG_MISMATCH"]), answered(made.1, &["ETAG_MISMATCH"])];
        let now = first.get(&name).await.unwrap();
        match made {
            [Some(user), None] | [None, Some(user)] => {
                assert_eq!((&now.roles, &now.etag), (&user.roles, &user.etag));
            }
            both => panic!("{name}: {both:?}"),
        }
        if now.roles == ["a"] { "the first" } else { "the second" }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_is_created_twice_is_created_once() {
    let test = "a_user_who_is_created_twice_is_created_once";
    rounds(test, |round: Round| async move {
        let Round { name, administrators: [mut first, mut second], .. } = round;
        let request = format!("request {name}");
        let made = tokio::join!(
            first.create(&name, PASSWORD, &[], &request),
            second.create(&name, PASSWORD, &[], &request)
        );
        let made = [made.0.unwrap(), made.1.unwrap()];
        assert_eq!(made[0].id, made[1].id, "{name}: one request");

        let name = format!("{name}-of-two");
        let requests = ["1", "2"].map(|number| format!("{number} {name}"));
        let made = tokio::join!(
            first.create(&name, PASSWORD, &[], &requests[0]),
            second.create(&name, PASSWORD, &[], &requests[1])
        );
        let made = [answered(made.0, &["USERNAME_TAKEN"]), answered(made.1, &["USERNAME_TAKEN"])];
        let now = first.get(&name).await.unwrap();
        match made {
            [Some(user), None] => {
                assert_eq!(now.id, user.id);
                "the first"
            }
            [None, Some(user)] => {
                assert_eq!(now.id, user.id);
                "the second"
            }
            both => panic!("{name}: {both:?}"),
        }
    })
    .await;
}

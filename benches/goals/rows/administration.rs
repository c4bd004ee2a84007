//! The lists that operators read: every user, page by page, and the sessions of one who has very many.

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::session_service_client::SessionServiceClient;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use countersign::model::{Clock as _, SystemClock};
use countersign::password::HashParameters;
use serde_json::Value;
use tonic::Request;
use tonic::transport::Channel;

use super::Effort;
use crate::figures::{Figure, Goal, Outcome, Spread, number};
use crate::load::count;
use crate::stores::Backed;
use crate::support::replica::PASSWORD;

/// As many as a page may have.
const USERS_ON_A_PAGE: i32 = 1000;
const SESSIONS_ON_A_PAGE: i32 = 500;
/// How many sessions one user has.
const SESSIONS: usize = 1000;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let backed = Backed::prepare("administration", &[]).await?;
    let cheap = HashParameters::new(64, 1, 1).unwrap();
    backed.create_users(effort.largest, cheap).await;
    let run = |arguments: &[&str]| backed.deployment.run(&[&["service-account"], arguments].concat(), "");
    run(&["create", "bench", "--role", "countersign:admin"]);
    let made: Value = serde_json::from_str(&run(&["key", "create", "bench", "--json"])).unwrap();
    let key = made["secret"].as_str().unwrap();
    let service = backed.deployment.start();
    let mut client = service.client();
    for _ in 0..SESSIONS {
        client.login("user0", PASSWORD).await.unwrap();
    }
    let channel = Channel::from_shared(format!("http://{}", service.grpc)).unwrap().connect().await.unwrap();
    let users = pages_of_users(UserServiceClient::new(channel.clone()), key, effort.largest).await;
    let mut sessions = Vec::new();
    for _ in 0..20 * effort.rounds {
        sessions.extend(pages_of_sessions(SessionServiceClient::new(channel.clone()), key).await);
    }
    let largest = number(count(effort.largest));
    Some(
        Outcome::of([
            Figure::new(
                format!("ListUsers with {largest} users: time of a page of {USERS_ON_A_PAGE}"),
                Spread::of(users),
                "ms",
                Goal::AtMost(20.0),
            ),
            Figure::new(
                format!("ListSessions of a user with {SESSIONS}: time of a page of {SESSIONS_ON_A_PAGE}"),
                Spread::of(sessions),
                "ms",
                Goal::AtMost(20.0),
            ),
        ])
        .noting(
            "PostgreSQL and Redis. Every page of the list of users once, in their order; by gRPC, as the caller has it read. \
             What is in brackets are the fastest and the slowest page.",
        ),
    )
}

fn by<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

/// How long each page took, in milliseconds.
async fn pages_of_users(mut users: UserServiceClient<Channel>, key: &str, expected: u64) -> Vec<f64> {
    let (clock, mut took, mut found, mut page_token) = (SystemClock::new(), Vec::new(), 0, String::new());
    loop {
        let ask = v1::ListUsersRequest { page_size: USERS_ON_A_PAGE, page_token, filter: None };
        let began = clock.monotonic();
        let page = users.list_users(by(key, ask)).await.unwrap().into_inner();
        took.push(clock.monotonic().since(began).as_secs_f64() * 1000.0);
        found += page.users.len() as u64;
        if page.next_page_token.is_empty() {
            assert_eq!(found, expected);
            return took;
        }
        page_token = page.next_page_token;
    }
}

/// The same of the sessions of `user0`.
async fn pages_of_sessions(mut sessions: SessionServiceClient<Channel>, key: &str) -> Vec<f64> {
    let (clock, mut took, mut found, mut page_token) = (SystemClock::new(), Vec::new(), 0, String::new());
    loop {
        let user = v1::UserRef { user: Some(v1::user_ref::User::Username("user0".to_owned())) };
        let ask = v1::ListSessionsRequest { user: Some(user), page_size: SESSIONS_ON_A_PAGE, page_token };
        let began = clock.monotonic();
        let page = sessions.list_sessions(by(key, ask)).await.unwrap().into_inner();
        took.push(clock.monotonic().since(began).as_secs_f64() * 1000.0);
        found += page.sessions.len();
        if page.next_page_token.is_empty() {
            assert_eq!(found, SESSIONS);
            return took;
        }
        page_token = page.next_page_token;
    }
}

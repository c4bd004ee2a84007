//! Two replicas for gateways to stand in front of, and what every gateway must do.

use std::net::SocketAddr;
use std::time::Duration;

use countersign::grpc::proto::v1::Tokens;
use countersign::model::{Clock as _, SystemClock};
use countersign_verifier::UserId;
use serde_json::Value;

use crate::support::client::Client;
use crate::support::database::{Server as _, free_port};
use crate::support::http::{Answer, Http, bearer};
use crate::support::postgres::Postgres;
use crate::support::redis::{self, Server as Redis};
use crate::support::replica::{Deployment, PASSWORD, Replica};

/// Has the role `admin`.
pub(super) const ADMIN: &str = "ada";
/// Has no role.
pub(super) const USER: &str = "grace";
/// The identity headers with every name that they have.
pub(super) const IDENTITY: [&str; 8] = [
    "x-auth-subject",
    "x-auth-subject-kind",
    "x-auth-username",
    "x-auth-session",
    "x-auth-roles",
    "x-auth-token-id",
    "x-auth-expires",
    "x-auth-external-id",
];
/// What the administrator is called in another system; the other user is called nothing.
pub(super) const EXTERNAL_ID: &str = "42";

/// Two replicas on one PostgreSQL and one Redis of their own, with both edges.
pub(super) struct Fleet {
    pub(super) deployment: Deployment,
    pub(super) replicas: Vec<Replica>,
    pub(super) edges: [SocketAddr; 2],
    pub(super) redis: Redis,
}

impl Fleet {
    /// Started and ready; none when a server is not installed.
    pub(super) async fn start(test: &str, configuration: &[(&str, &str)]) -> Option<Self> {
        Self::start_on(Postgres::shared(test)?, test, configuration).await
    }

    /// The same on a PostgreSQL of the test's own.
    pub(super) async fn start_on(
        postgres: &Postgres,
        test: &str,
        configuration: &[(&str, &str)],
    ) -> Option<Self> {
        redis::is_installed(test).then_some(())?;
        let database = postgres.create_database().await;
        let redis = Redis::start();
        let mut deployment =
            Deployment::on(&postgres.url(&database), Some(&redis.url())).with("EDGE__ENABLED", "true");
        for (key, value) in configuration {
            deployment = deployment.with(key, value);
        }
        let edges = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let start =
            |edge: &SocketAddr| deployment.start_with(&[("COUNTERSIGN__EDGE__LISTEN", &edge.to_string())]);
        let replicas = tokio::task::block_in_place(|| {
            deployment.prepare();
            deployment.create_user(USER);
            let arguments = [
                "user",
                "create",
                ADMIN,
                "--password-stdin",
                "--role",
                "admin",
                "--external-id",
                EXTERNAL_ID,
            ];
            deployment.run(&arguments, &format!("{PASSWORD}\n"));
            edges.iter().map(start).collect()
        });
        Some(Self { deployment, replicas, edges, redis })
    }

    /// A new session of a user.
    pub(super) async fn login(&self, username: &str) -> Tokens {
        self.client().login(username, PASSWORD).await.unwrap()
    }

    /// Starts a replica anew where one was.
    pub(super) fn restart(&self, number: usize, grpc: SocketAddr) -> Replica {
        self.deployment.start_with(&[
            ("COUNTERSIGN__GRPC__LISTEN", &grpc.to_string()),
            ("COUNTERSIGN__EDGE__LISTEN", &self.edges[number].to_string()),
        ])
    }

    pub(super) fn client(&self) -> Client {
        self.replicas[0].client()
    }
}

/// A request through a gateway.
pub(super) async fn get(gateway: Http, path: &str, token: &str, more: &[(&str, &str)]) -> Answer {
    let authorization = bearer(token);
    let mut headers = vec![("authorization", authorization.as_str())];
    if token.is_empty() {
        headers.clear();
    }
    headers.extend(more);
    gateway.get(path, &headers).await
}

/// What the application was sent under a name.
pub(super) fn sent(answer: &Answer, name: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let values = answer.json()["headers"][name].as_array().cloned().unwrap_or_default();
    values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// The client's own identity, in every spelling that servers have been known to take for it.
pub(super) const SPOOFED: [(&str, &str); 13] = [
    ("x-auth-subject", "spoofed"),
    ("X-Auth-Roles", "spoofed"),
    ("x-auth-roles", "spoofed, too"),
    ("x_auth_subject", "spoofed"),
    ("X_AUTH_ROLES", "spoofed"),
    ("x-auth_username", "spoofed"),
    ("x-auth-token_id", "spoofed"),
    ("x.auth.subject", "spoofed"),
    ("x-auth-subject-kind", "spoofed"),
    ("x_auth_subject_kind", "spoofed"),
    ("x-auth-external-id", "spoofed"),
    ("X_Auth_External_Id", "spoofed"),
    ("x-auth-external_id", "spoofed"),
];

/// Nothing of a spoofed identity has reached the application.
#[track_caller]
pub(super) fn assert_nothing_spoofed(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let Value::Object(headers) = &answer.json()["headers"] else { panic!("{answer:?}") };
    for (name, values) in headers {
        assert!(!values.to_string().contains("spoofed"), "{name}: {values}");
    }
}

/// What every gateway must do: name who it is, keep out who may not, and believe nothing that a client says of itself.
pub(super) async fn lets_through_whom_it_should(fleet: &Fleet, gateway: Http) {
    let (admin, user) = (fleet.login(ADMIN).await, fleet.login(USER).await);
    // A query of the client's that the gateway passed on would be its own choice of rules.
    let path = "/orders?page=2&audience=mine&role=root";
    let answer = get(gateway, path, &user.access_token, &[("accept-language", "zh")]).await;
    let subject = sent(&answer, "x-auth-subject");
    assert!(subject.len() == 1 && subject[0].parse::<UserId>().is_ok(), "{subject:?}");
    assert_eq!(sent(&answer, "x-auth-username"), [USER]);
    for name in ["x-auth-session", "x-auth-token-id", "x-auth-expires"] {
        assert!(sent(&answer, name).iter().all(|value| !value.is_empty()) && sent(&answer, name).len() == 1);
    }
    assert!(sent(&answer, "x-auth-roles").concat().is_empty());
    let nameless = get(gateway, path, &user.access_token, &SPOOFED).await;
    assert_nothing_spoofed(&nameless);
    assert!(sent(&nameless, "x-auth-external-id").is_empty(), "{nameless:?}");
    assert_eq!(answer.json()["target"], path);

    for path in ["/orders", "/admin/users"] {
        let answer = get(gateway, path, &admin.access_token, &SPOOFED).await;
        assert_nothing_spoofed(&answer);
        assert_eq!(sent(&answer, "x-auth-roles"), ["admin"]);
        assert_eq!(sent(&answer, "x-auth-username"), [ADMIN]);
        assert_eq!(sent(&answer, "x-auth-external-id"), [EXTERNAL_ID]);
    }
    let public = get(gateway, "/public/page", "", &SPOOFED).await;
    assert_nothing_spoofed(&public);
    for name in IDENTITY {
        assert!(sent(&public, name).is_empty(), "{name}");
    }
}

/// The same for those that it should not, with the bodies as Countersign writes them.
pub(super) async fn keeps_out_whom_it_should(fleet: &Fleet, gateway: Http) {
    let user = fleet.login(USER).await;
    let missing = get(gateway, "/orders", "", &[]).await;
    missing.assert_refused(401, "TOKEN_MISSING");
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"countersign\"");
    assert_eq!(missing.header("content-type"), "application/problem+json");
    assert_eq!(missing.header("cache-control"), "no-store");

    let forged = get(gateway, "/orders", &format!("{}x", user.access_token), &[]).await;
    forged.assert_refused(401, "ACCESS_TOKEN_INVALID");
    assert!(forged.header("www-authenticate").contains("error=\"invalid_token\""), "{forged:?}");

    let lacking = get(gateway, "/admin/users", &user.access_token, &[("accept-language", "zh-CN")]).await;
    lacking.assert_refused(403, "ROLE_REQUIRED");
    assert!(lacking.header("www-authenticate").contains("insufficient_scope"));
    assert_eq!(lacking.header("content-language"), "zh-CN");
    assert_eq!(lacking.json()["detail"], "您没有执行此操作的权限。");

    fleet.client().logout(&user.refresh_token).await.unwrap();
    let revoked = until_refused(gateway, &user.access_token).await;
    revoked.assert_refused(401, "SESSION_REVOKED");
}

/// Asks until the token is refused everywhere: a logout takes a moment to reach the other replica.
pub(super) async fn until_refused(gateway: Http, token: &str) -> Answer {
    const PATIENCE: Duration = Duration::from_secs(20);
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let mut refused = Vec::new();
    while clock.monotonic().since(began) < PATIENCE {
        let answer = get(gateway, "/orders", token, &[]).await;
        if answer.status == 200 {
            refused.clear();
        } else {
            refused.push(answer);
        }
        if refused.len() == 20 {
            return refused.remove(0);
        }
    }
    panic!("it is never refused");
}

//! `KeyService` against the whole service, on keys in the database and in a directory.

use std::time::Duration;

use countersign::auth::CreateUser;
use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::key_service_client::KeyServiceClient;
use countersign::grpc::proto::v1::service_account_service_client::ServiceAccountServiceClient;
use countersign::model::{Role, Username};
use countersign::token::KeyEncryption;
use countersign_verifier::client::{ConnectOptions, VerifyError};
use countersign_verifier::{InvalidReason, Rules, Verifier};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;

use crate::support::http::{Service, service_with_users};
use crate::support::in_process::endpoint;
use crate::support::tool;

const PASSWORD: &str = "correct horse battery";
const ROLES: [&str; 5] =
    ["countersign:admin", "countersign:auditor", "countersign:users", "countersign:sessions", "ops"];

/// The whole service, with a user for each role, who is called as the role is.
struct World {
    auth: AuthServiceClient<Channel>,
    keys: KeyServiceClient<Channel>,
    service: Service,
}

async fn world(settings: &[(&str, &str)]) -> World {
    let users = ROLES.map(|role| {
        let username = Username::parse(&role.replace(':', "-")).unwrap();
        CreateUser {
            roles: Role::parse_all([role]).unwrap(),
            ..CreateUser::new(username, PASSWORD.to_owned())
        }
    });
    let service = service_with_users(settings, users).await;
    let channel = Channel::from_shared(format!("http://{}", service.grpc)).unwrap().connect().await.unwrap();
    World { auth: AuthServiceClient::new(channel.clone()), keys: KeyServiceClient::new(channel), service }
}

async fn stored() -> World {
    let key = KeyEncryption::generate();
    let settings = [
        ("KEYS__STORE", "database"),
        ("KEYS__ENCRYPTION_KEY", key.as_str()),
        ("KEYS__RELOAD_INTERVAL", "100ms"),
        ("KEYS__ANNOUNCE", "300ms"),
    ];
    world(&settings).await
}

fn outcome<T>(answer: Result<Response<T>, Status>) -> Result<T, String> {
    let told =
        |status: Status| status.get_details_error_info().map_or(status.to_string(), |info| info.reason);
    answer.map(Response::into_inner).map_err(told)
}

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// The `kid` of an access token.
fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

impl World {
    async fn login(&mut self, role: &str) -> v1::Tokens {
        let ask = v1::LoginRequest {
            username: role.replace(':', "-"),
            password: PASSWORD.to_owned(),
            ..v1::LoginRequest::default()
        };
        self.auth.login(ask).await.unwrap().into_inner().tokens.unwrap()
    }

    async fn admin(&mut self) -> String {
        self.login(ROLES[0]).await.access_token
    }

    async fn list(&mut self, token: &str) -> Result<Vec<v1::Key>, String> {
        let answer = self.keys.list_keys(by(token, v1::KeyServiceListKeysRequest {})).await;
        outcome(answer).map(|answer| answer.keys)
    }

    async fn rotate(&mut self, token: &str, kind: v1::KeyKind, request_id: &str) -> Result<v1::Key, String> {
        let ask = v1::RotateKeyRequest { kind: kind.into(), request_id: request_id.to_owned() };
        outcome(self.keys.rotate_key(by(token, ask)).await).map(|answer| answer.key.unwrap())
    }

    async fn withdraw(&mut self, token: &str, key_id: &str) -> Result<String, String> {
        let ask = v1::WithdrawKeyRequest { key_id: key_id.to_owned() };
        outcome(self.keys.withdraw_key(by(token, ask)).await).map(|answer| answer.position)
    }

    async fn refresh(&mut self, refresh_token: &str) -> Result<v1::Tokens, String> {
        let ask = v1::RefreshRequest { refresh_token: refresh_token.to_owned() };
        outcome(self.auth.refresh(ask).await).map(|answer| answer.tokens.unwrap())
    }

    /// `None` when it is good; whoever answers has read the ledger up to the position.
    async fn refused(&mut self, access_token: &str, at_least: &str) -> Option<v1::InvalidReason> {
        use v1::verify_access_token_response::Result;
        let ask = v1::VerifyAccessTokenRequest {
            access_token: access_token.to_owned(),
            at_least: at_least.to_owned(),
            ..v1::VerifyAccessTokenRequest::default()
        };
        match self.auth.verify_access_token(ask).await.unwrap().into_inner().result.unwrap() {
            Result::Verified(_) => None,
            Result::Invalid(invalid) => Some(invalid.reason()),
        }
    }

    /// Waits until a key makes tokens.
    async fn wait_for(&mut self, id: &str) {
        for _ in 0..600 {
            let token = self.admin().await;
            if kid(&token) == id {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{id} makes no tokens");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_leaked_is_replaced_and_withdrawn() {
    let mut world = stored().await;
    let before = world.login("ops").await;
    let (first, admin) = (kid(&before.access_token), world.admin().await);
    assert_eq!(world.withdraw(&admin, &first).await, Err("KEY_HAS_NO_SUCCESSOR".to_owned()));
    assert_eq!(world.withdraw(&admin, "nothing").await, Err("KEY_NOT_FOUND".to_owned()));

    let next = world.rotate(&admin, v1::KeyKind::Signing, "incident 7").await.unwrap();
    assert_eq!(next.state(), v1::KeyState::Announced);
    assert_eq!(world.rotate(&admin, v1::KeyKind::Signing, "incident 7").await.unwrap().id, next.id);
    world.wait_for(&next.id).await;
    let after = world.login("ops").await;
    assert_eq!(world.refused(&before.access_token, "").await, None, "the key before still verifies");
    let rules = Rules::new("countersign", vec!["countersign".to_owned()]);
    let verifier = Verifier::connect(endpoint(world.service.grpc), ConnectOptions::new(rules));
    verifier.ready().await;
    verifier.verify(&before.access_token, &[]).await.unwrap();

    let (admin, position) = (world.admin().await, world.withdraw(&admin, &first).await.unwrap());
    assert_eq!(world.refused(&before.access_token, &position).await, Some(v1::InvalidReason::UnknownKey));
    assert_eq!(world.refused(&after.access_token, &position).await, None);
    let refused = verifier.verify_at_least(&before.access_token, &[], &position).await;
    assert!(matches!(refused, Err(VerifyError::Invalid(InvalidReason::UnknownKey))), "{refused:?}");
    verifier.verify_at_least(&after.access_token, &[], &position).await.unwrap();
    let refreshed = world.refresh(&before.refresh_token).await.unwrap();
    assert_eq!(kid(&refreshed.access_token), next.id, "the session goes on");
    let listed = world.list(&admin).await.unwrap();
    let state = |id: &str| listed.iter().find(|key| key.id == id).unwrap().state();
    assert_eq!((state(&first), state(&next.id)), (v1::KeyState::Withdrawn, v1::KeyState::Active));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_a_refresh_token_of_a_withdrawn_key_logs_in_again() {
    let mut world = stored().await;
    let (before, admin) = (world.login("ops").await, world.admin().await);
    let of_refresh = |key: &v1::Key| key.kind() == v1::KeyKind::Refresh;
    let listed = world.list(&admin).await.unwrap();
    let first = listed.iter().find(|key| of_refresh(key)).unwrap().id.clone();
    world.rotate(&admin, v1::KeyKind::Refresh, "").await.unwrap();
    world.withdraw(&admin, &first).await.unwrap();
    assert_eq!(world.refresh(&before.refresh_token).await.err().as_deref(), Some("REFRESH_TOKEN_INVALID"));
    let after = world.login("ops").await;
    world.refresh(&after.refresh_token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_administrators_change_keys_and_auditors_look_at_them() {
    let mut world = stored().await;
    let refused = Err("CALLER_NOT_ALLOWED".to_owned());
    for role in &ROLES[1..] {
        let token = world.login(role).await.access_token;
        let listed = world.list(&token).await.map(|keys| keys.len());
        assert_eq!(
            listed,
            if *role == ROLES[1] { Ok(2) } else { Err("CALLER_NOT_ALLOWED".to_owned()) },
            "{role}"
        );
        assert_eq!(world.rotate(&token, v1::KeyKind::Signing, "").await.map(drop), refused.clone().map(drop));
        assert_eq!(world.withdraw(&token, "x").await, refused);
    }
    let nobody = world.keys.list_keys(v1::KeyServiceListKeysRequest {}).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_keys_has_bounds() {
    let mut world = stored().await;
    let admin = world.admin().await;
    let invalid = Err("INVALID_REQUEST".to_owned());
    for id in [String::new(), "x".repeat(65)] {
        assert_eq!(world.withdraw(&admin, &id).await, invalid);
    }
    for (kind, request) in
        [(v1::KeyKind::Unspecified, String::new()), (v1::KeyKind::Signing, "x".repeat(129))]
    {
        assert_eq!(world.rotate(&admin, kind, &request).await.map(|key| key.id), invalid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_a_directory_are_listed_and_the_rest_says_what_to_do() {
    let mut world = world(&[]).await;
    let admin = world.admin().await;
    let listed = world.list(&admin).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|key| key.state() == v1::KeyState::Active && key.created_at.is_none()));
    let refused = Err("KEYS_IN_DIRECTORY".to_owned());
    assert_eq!(world.rotate(&admin, v1::KeyKind::Signing, "").await.map(|key| key.id), refused);
    assert_eq!(world.withdraw(&admin, &listed[0].id).await, refused);
    drop(world.service);
}

/// As docs/keys.md says it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_with_a_service_key_rotates_and_withdraws_by_grpcurl() {
    const TEST: &str = "a_program_with_a_service_key_rotates_and_withdraws_by_grpcurl";
    let Some(grpcurl) = tool::find("grpcurl", TEST) else { return };
    let mut world = stored().await;
    let (admin, address) = (world.admin().await, world.service.grpc.to_string());
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut accounts = ServiceAccountServiceClient::new(channel);
    let new = v1::CreateServiceAccountRequest {
        name: "rotation".to_owned(),
        roles: vec![ROLES[0].to_owned()],
        ..v1::CreateServiceAccountRequest::default()
    };
    let made = accounts.create_service_account(by(&admin, new)).await.unwrap().into_inner();
    let id = v1::service_account_ref::ServiceAccount::ServiceAccountId(made.service_account.unwrap().id);
    let service_account = Some(v1::ServiceAccountRef { service_account: Some(id) });
    let new = v1::CreateKeyRequest { service_account, ..v1::CreateKeyRequest::default() };
    let key = accounts.create_key(by(&admin, new)).await.unwrap().into_inner().secret;

    let call = |method: &str, body: &str| {
        let header = format!("authorization: Bearer {key}");
        let method = format!("countersign.v1.KeyService/{method}");
        let mut command = std::process::Command::new(&grpcurl);
        command.args(["-plaintext", "-H", &header, "-d", body, &address, &method]);
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        assert!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let listed = call("ListKeys", "{}");
    let first =
        listed["keys"].as_array().unwrap().iter().find(|key| key["kind"] == "KEY_KIND_SIGNING").unwrap();
    let made = call("RotateKey", r#"{"kind":"KEY_KIND_SIGNING","request_id":"incident 7"}"#);
    assert_eq!(made["key"]["state"], "KEY_STATE_ANNOUNCED", "{made}");
    let withdrawn = call("WithdrawKey", &format!(r#"{{"key_id":{}}}"#, first["id"]));
    let position = withdrawn["position"].as_str().unwrap();
    assert_eq!(world.refused(&admin, position).await, Some(v1::InvalidReason::UnknownKey));
}

/// It may have been announced since: only whoever knows what is so now knows that there is no such key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_a_key_is_not_known_is_said_by_a_fresh_view_alone() {
    use base64::Engine as _;
    let mut world = stored().await;
    let token = world.login("ops").await.access_token;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(r#"{"typ":"at+jwt","alg":"EdDSA","kid":"announced-since"}"#);
    let strange = format!("{header}.{}", token.split_once('.').unwrap().1);
    assert_eq!(world.refused(&strange, "").await, Some(v1::InvalidReason::UnknownKey));
    let ask = v1::VerifyAccessTokenRequest {
        access_token: strange,
        max_staleness: Some(prost_types::Duration::default()),
        ..v1::VerifyAccessTokenRequest::default()
    };
    let stale = outcome(world.auth.verify_access_token(ask).await);
    assert_eq!(stale.err().as_deref(), Some("REVOCATIONS_STALE"));
}

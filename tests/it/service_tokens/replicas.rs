//! Two real processes on one PostgreSQL that tell each other nothing, so that the second knows of an end only when it polls:
//! once a minute, and as soon as somebody waits for a position.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::key_service_client::KeyServiceClient;
use countersign::grpc::proto::v1::logout_request::Token;
use countersign::grpc::proto::v1::service_account_ref::ServiceAccount;
use countersign::grpc::proto::v1::service_account_service_client::ServiceAccountServiceClient;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::{reason, verify};
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::replica::{Deployment, PASSWORD, Replica};

struct World {
    auth: AuthServiceClient<Channel>,
    accounts: ServiceAccountServiceClient<Channel>,
    users: UserServiceClient<Channel>,
    keys: KeyServiceClient<Channel>,
    elsewhere: AuthServiceClient<Channel>,
    administrator: String,
    _replicas: [Replica; 2],
}

/// A key that was shown to whoever made it.
struct Key {
    id: String,
    secret: String,
}

#[expect(clippy::unnecessary_wraps, reason = "as every request has it")]
fn account(name: &str) -> Option<v1::ServiceAccountRef> {
    Some(v1::ServiceAccountRef { service_account: Some(ServiceAccount::Name(name.to_owned())) })
}

impl World {
    async fn start(test: &str) -> Option<Self> {
        let postgres = Postgres::shared(test)?;
        let database = postgres.create_database().await;
        let encryption_key = STANDARD.encode([7; 32]);
        let deployment = Deployment::on(&postgres.url(&database), None)
            .with("REVOCATION__POLL_INTERVAL", "1m")
            .with("REVOCATION__MAX_STALENESS", "10m")
            .with("KEYS__STORE", "database")
            .with("KEYS__ENCRYPTION_KEY", &encryption_key);
        deployment.run(&["migrate"], "");
        let root = ["user", "create", "root", "--password-stdin", "--role", "countersign:admin"];
        deployment.run(&root, &format!("{PASSWORD}\n"));
        let replicas = [deployment.start(), deployment.start()];
        let [here, elsewhere] = replicas
            .each_ref()
            .map(|replica| Endpoint::from_shared(format!("http://{}", replica.grpc)).unwrap().connect_lazy());
        let mut world = Self {
            auth: AuthServiceClient::new(here.clone()),
            accounts: ServiceAccountServiceClient::new(here.clone()),
            users: UserServiceClient::new(here.clone()),
            keys: KeyServiceClient::new(here),
            elsewhere: AuthServiceClient::new(elsewhere),
            administrator: String::new(),
            _replicas: replicas,
        };
        let login = v1::LoginRequest {
            username: "root".to_owned(),
            password: PASSWORD.to_owned(),
            ..Default::default()
        };
        let tokens = world.auth.login(login).await.unwrap().into_inner().tokens.unwrap();
        world.administrator = tokens.access_token;
        Some(world)
    }

    fn by<T>(bearer: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
        request
    }

    fn asked<T>(&self, message: T) -> Request<T> {
        Self::by(&self.administrator, message)
    }

    async fn create(&mut self, name: &str, roles: &[&str]) -> v1::ServiceAccount {
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        let new = v1::CreateServiceAccountRequest { name: name.to_owned(), roles, ..Default::default() };
        let new = self.asked(new);
        self.accounts.create_service_account(new).await.unwrap().into_inner().service_account.unwrap()
    }

    async fn create_key(&mut self, name: &str, request_id: &str) -> Key {
        let new = v1::CreateKeyRequest {
            service_account: account(name),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        let new = self.asked(new);
        let made = self.accounts.create_key(new).await.unwrap().into_inner();
        Key { id: made.key.unwrap().id, secret: made.secret }
    }

    async fn issue(&mut self, key: &str) -> Result<v1::IssueServiceTokenResponse, String> {
        let ask = v1::IssueServiceTokenRequest { service_key: key.to_owned(), audiences: Vec::new() };
        self.auth
            .issue_service_token(ask)
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| reason(&status))
    }

    async fn token(&mut self, key: &Key) -> String {
        self.issue(&key.secret).await.unwrap().access_token
    }

    async fn disable(&mut self, name: &str) -> String {
        let ask = self.asked(v1::DisableServiceAccountRequest { service_account: account(name) });
        self.accounts.disable_service_account(ask).await.unwrap().into_inner().position
    }

    async fn enable(&mut self, name: &str) {
        let ask = self.asked(v1::EnableServiceAccountRequest { service_account: account(name) });
        self.accounts.enable_service_account(ask).await.unwrap();
    }

    async fn delete(&mut self, name: &str) -> String {
        let ask = self.asked(v1::DeleteServiceAccountRequest { service_account: account(name) });
        self.accounts.delete_service_account(ask).await.unwrap().into_inner().position
    }

    async fn revoke(&mut self, name: &str, key: &Key) -> String {
        let ask = v1::RevokeKeyRequest { service_account: account(name), key_id: key.id.clone() };
        let ask = self.asked(ask);
        self.accounts.revoke_key(ask).await.unwrap().into_inner().position
    }

    async fn logout(&mut self, token: &str) -> String {
        let token = Some(Token::AccessToken(token.to_owned()));
        let answer = self.auth.logout(v1::LogoutRequest { token, everywhere: false }).await;
        answer.unwrap().into_inner().position
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_token_says_whose_it_is() {
    let Some(mut world) = World::start("a_service_token_says_whose_it_is").await else { return };
    let shop = world.create("shop", &["orders:read"]).await;
    let key = world.create_key("shop", "").await;
    let issued = world.issue(&key.secret).await.unwrap();
    assert_eq!((issued.token_type.as_str(), &issued.service_account_id), ("Bearer", &shop.id));
    assert!((295..=300).contains(&issued.expires_in), "{}", issued.expires_in);
    let verified = verify(&mut world.elsewhere, &issued.access_token, "").await.unwrap();
    assert_eq!(verified.subject_kind(), v1::SubjectKind::Service);
    assert_eq!((&verified.subject, verified.username.as_str()), (&shop.id, "shop"));
    assert_eq!(
        (verified.roles, verified.amr),
        (vec!["orders:read".to_owned()], vec!["service_key".to_owned()])
    );
    assert_eq!(verified.external_id, "");
    assert_eq!(verified.custom_claims.unwrap().fields.len(), 0);
    let of_user = verify(&mut world.elsewhere, &world.administrator.clone(), "").await.unwrap();
    assert_eq!(of_user.subject_kind(), v1::SubjectKind::User);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_replica_refuses_on_the_first_call_a_service_token_that_has_ended() {
    let test = "the_other_replica_refuses_on_the_first_call_a_service_token_that_has_ended";
    let Some(mut world) = World::start(test).await else { return };
    world.create("bystander", &[]).await;
    let bystander = world.create_key("bystander", "").await;
    let bystander = world.token(&bystander).await;
    for end in ["revoke", "replace", "disable", "delete", "logout"] {
        world.create(end, &[]).await;
        let [key, sibling] = [world.create_key(end, "once").await, world.create_key(end, "").await];
        let [token, of_sibling] = [world.token(&key).await, world.token(&sibling).await];
        assert!(verify(&mut world.elsewhere, &token, "").await.is_ok(), "{end}");
        let position = match end {
            "revoke" => world.revoke(end, &key).await,
            "disable" => world.disable(end).await,
            "delete" => world.delete(end).await,
            "logout" => world.logout(&token).await,
            // Its answer tells no position; any later one covers it.
            _ => {
                world.create_key(end, "once").await;
                world.logout(&of_sibling).await
            }
        };
        let revoked = Err("REVOKED".to_owned());
        assert_eq!(verify(&mut world.elsewhere, &token, &position).await, revoked, "{end}");
        let sibling_goes_on = matches!(end, "revoke" | "logout");
        let told = verify(&mut world.elsewhere, &of_sibling, &position).await;
        assert_eq!(told.is_ok(), sibling_goes_on, "{end}: {told:?}");
        assert!(verify(&mut world.elsewhere, &bystander, &position).await.is_ok(), "{end}");

        let again = world.issue(&key.secret).await;
        match end {
            "logout" => {
                let next = again.expect("the key is as good as before").access_token;
                assert!(verify(&mut world.elsewhere, &next, &position).await.is_ok());
            }
            _ => assert_eq!(again.unwrap_err(), "SERVICE_KEY_INVALID", "{end}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_that_is_enabled_again_gets_tokens_again_and_the_old_ones_stay_dead() {
    let test = "a_service_account_that_is_enabled_again_gets_tokens_again_and_the_old_ones_stay_dead";
    let Some(mut world) = World::start(test).await else { return };
    world.create("shop", &[]).await;
    let key = world.create_key("shop", "").await;
    let before = world.token(&key).await;
    let position = world.disable("shop").await;
    world.enable("shop").await;
    let after = world.token(&key).await;
    assert!(verify(&mut world.elsewhere, &after, &position).await.is_ok());
    assert_eq!(verify(&mut world.elsewhere, &before, &position).await, Err("REVOKED".to_owned()));
}

/// What leaked is the key that signs, and no key of a service account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_signing_key_ends_service_tokens_too() {
    let test = "a_withdrawn_signing_key_ends_service_tokens_too";
    let Some(mut world) = World::start(test).await else { return };
    world.create("shop", &[]).await;
    let key = world.create_key("shop", "").await;
    let token = world.token(&key).await;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    let key_id = header["kid"].as_str().unwrap().to_owned();
    let kind = v1::KeyKind::Signing.into();
    let rotate = world.asked(v1::RotateKeyRequest { kind, request_id: String::new() });
    world.keys.rotate_key(rotate).await.unwrap();
    let ask = world.asked(v1::WithdrawKeyRequest { key_id });
    let position = world.keys.withdraw_key(ask).await.unwrap().into_inner().position;
    let told = verify(&mut world.elsewhere, &token, &position).await;
    assert_eq!(told, Err("UNKNOWN_KEY".to_owned()));
    let next = world.token(&key).await;
    assert!(verify(&mut world.elsewhere, &next, &position).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_service_key_that_is_good_now_gets_a_token() {
    let test = "only_a_service_key_that_is_good_now_gets_a_token";
    let Some(mut world) = World::start(test).await else { return };
    world.create("shop", &[]).await;
    let key = world.create_key("shop", "").await;
    let token = world.token(&key).await;
    for wrong in ["", "csgn_sk_", &key.secret[..40], &format!("{}A", key.secret), &token, "nonsense"] {
        assert_eq!(world.issue(wrong).await.unwrap_err(), "SERVICE_KEY_INVALID", "{wrong:?}");
    }
    for audiences in [vec!["elsewhere".to_owned()], vec![String::new()], vec!["a".to_owned(); 17]] {
        let ask = v1::IssueServiceTokenRequest { service_key: key.secret.clone(), audiences };
        let status = world.auth.issue_service_token(ask).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
    }
}

/// What a service account may do to users it may do with its token, too, for as long as it has the role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_token_administers_as_its_account_may_now() {
    let test = "a_service_token_administers_as_its_account_may_now";
    let Some(mut world) = World::start(test).await else { return };
    for (name, roles) in [("clerk", vec!["countersign:users"]), ("stranger", vec!["orders:read"])] {
        world.create(name, &roles).await;
        let key = world.create_key(name, "").await;
        let token = world.token(&key).await;
        let list = || World::by(&token, v1::ListUsersRequest::default());
        let listed = world.users.list_users(list()).await;
        if name == "stranger" {
            assert_eq!(reason(&listed.unwrap_err()), "CALLER_NOT_ALLOWED");
            continue;
        }
        assert_eq!(listed.unwrap().into_inner().users.len(), 1);
        let change = v1::UpdateServiceAccountRequest {
            service_account: account(name),
            change: Some(v1::ServiceAccountChange::default()),
            update_mask: Some(prost_types::FieldMask { paths: vec!["roles".to_owned()] }),
            ..Default::default()
        };
        let change = world.asked(change);
        world.accounts.update_service_account(change).await.unwrap();
        let without = world.users.list_users(list()).await.unwrap_err();
        assert_eq!(
            reason(&without),
            "CALLER_NOT_ALLOWED",
            "the role was taken away, though the token tells of it"
        );
        world.disable(name).await;
        let disabled = world.users.list_users(list()).await.unwrap_err();
        assert_eq!((disabled.code(), reason(&disabled).as_str()), (Code::Unauthenticated, "SESSION_REVOKED"));
    }
}

/// A service token has no session that could be refreshed, and its owner no password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_token_is_nothing_that_a_user_has() {
    let test = "a_service_token_is_nothing_that_a_user_has";
    let Some(mut world) = World::start(test).await else { return };
    world.create("shop", &[]).await;
    let key = world.create_key("shop", "").await;
    let token = world.token(&key).await;
    for secret in [&token, &key.secret] {
        let ask = v1::RefreshRequest { refresh_token: secret.clone() };
        let refused = world.auth.refresh(ask).await.unwrap_err();
        assert_eq!(reason(&refused), "REFRESH_TOKEN_INVALID");
        let ask = v1::ListOwnSessionsRequest { refresh_token: secret.clone() };
        let refused = world.auth.list_own_sessions(ask).await.unwrap_err();
        assert_eq!(reason(&refused), "REFRESH_TOKEN_INVALID");
    }
    assert_eq!(verify(&mut world.elsewhere, &key.secret, "").await, Err("MALFORMED".to_owned()));
    let everywhere = v1::LogoutRequest { token: Some(Token::AccessToken(token.clone())), everywhere: true };
    let refused = world.auth.logout(everywhere).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_REQUEST");
    assert!(verify(&mut world.elsewhere, &token, "").await.is_ok());
}

//! Two real processes on one PostgreSQL that tell each other nothing, so that the second knows of a change only once it
//! polls: which it does once a minute, and as soon as somebody waits for a position.

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::logout_request::Token;
use countersign::grpc::proto::v1::session_service_client::SessionServiceClient;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::verify;
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::replica::{Deployment, PASSWORD, Replica};

const OTHER_PASSWORD: &str = "staple battery horse";

/// Every change that ends sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Logout,
    LogoutByAccessToken,
    LogoutEverywhere,
    RevokeOwnSessions,
    OwnPassword,
    ResetPassword,
    RevokeSessions,
    RevokeAllSessions,
    SetPassword,
    DisableUser,
    DeleteUser,
}

impl Change {
    const ALL: [Self; 11] = [
        Self::Logout,
        Self::LogoutByAccessToken,
        Self::LogoutEverywhere,
        Self::RevokeOwnSessions,
        Self::OwnPassword,
        Self::ResetPassword,
        Self::RevokeSessions,
        Self::RevokeAllSessions,
        Self::SetPassword,
        Self::DisableUser,
        Self::DeleteUser,
    ];
}

struct World {
    here: AuthServiceClient<Channel>,
    users: UserServiceClient<Channel>,
    sessions: SessionServiceClient<Channel>,
    elsewhere: AuthServiceClient<Channel>,
    administrator: String,
    _replicas: [Replica; 2],
}

impl World {
    async fn start(test: &str) -> Option<Self> {
        let postgres = Postgres::shared(test)?;
        let database = postgres.create_database().await;
        let deployment = Deployment::on(&postgres.url(&database), None)
            .with("REVOCATION__POLL_INTERVAL", "1m")
            .with("REVOCATION__MAX_STALENESS", "10m");
        deployment.prepare();
        let root = ["user", "create", "root", "--password-stdin", "--role", "countersign:admin"];
        deployment.run(&root, &format!("{PASSWORD}\n"));
        let replicas = [deployment.start(), deployment.start()];
        let [here, elsewhere] = replicas
            .each_ref()
            .map(|replica| Endpoint::from_shared(format!("http://{}", replica.grpc)).unwrap().connect_lazy());
        let mut world = Self {
            here: AuthServiceClient::new(here.clone()),
            users: UserServiceClient::new(here.clone()),
            sessions: SessionServiceClient::new(here),
            elsewhere: AuthServiceClient::new(elsewhere),
            administrator: String::new(),
            _replicas: replicas,
        };
        world.administrator = world.login("root").await.access_token;
        Some(world)
    }

    async fn login(&mut self, username: &str) -> v1::Tokens {
        let (username, password) = (username.to_owned(), PASSWORD.to_owned());
        let login = v1::LoginRequest { username, password, ..Default::default() };
        self.here.login(login).await.unwrap().into_inner().tokens.unwrap()
    }

    async fn create(&mut self, username: &str) {
        let password = v1::create_user_request::Credential::Password(PASSWORD.to_owned());
        let new = v1::CreateUserRequest {
            username: username.to_owned(),
            credential: Some(password),
            ..Default::default()
        };
        let new = self.with_rights(new);
        self.users.create_user(new).await.unwrap();
    }

    fn with_rights<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.administrator).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
    }

    /// Makes the change, and returns the position that it tells.
    async fn change(&mut self, change: Change, username: &str, tokens: &v1::Tokens) -> String {
        let refresh_token = tokens.refresh_token.clone();
        let logout = |token, everywhere| v1::LogoutRequest { token: Some(token), everywhere };
        let by_refresh_token = Token::RefreshToken(refresh_token.clone());
        let user = Some(v1::UserRef { user: Some(v1::user_ref::User::Username(username.to_owned())) });
        let new_password = OTHER_PASSWORD.to_owned();
        match change {
            Change::Logout => self.logout(logout(by_refresh_token, false)).await,
            Change::LogoutByAccessToken => {
                self.logout(logout(Token::AccessToken(tokens.access_token.clone()), false)).await
            }
            Change::LogoutEverywhere => self.logout(logout(by_refresh_token, true)).await,
            Change::RevokeOwnSessions => {
                let session_ids = vec![session_of(&tokens.access_token)];
                let ask = v1::RevokeOwnSessionsRequest { refresh_token, session_ids, others: false };
                let answer = self.here.revoke_own_sessions(ask).await.unwrap().into_inner();
                assert_eq!(answer.revoked, 1);
                answer.position
            }
            Change::OwnPassword => {
                let current_password = PASSWORD.to_owned();
                let ask = v1::ChangePasswordRequest { refresh_token, current_password, new_password };
                self.here.change_password(ask).await.unwrap().into_inner().position
            }
            Change::ResetPassword => {
                let ask = self.with_rights(v1::CreatePasswordResetRequest { user, ttl: None });
                let reset_token =
                    self.users.create_password_reset(ask).await.unwrap().into_inner().reset_token;
                let ask = v1::ResetPasswordRequest { reset_token, new_password };
                self.here.reset_password(ask).await.unwrap().into_inner().position
            }
            Change::RevokeSessions | Change::RevokeAllSessions => {
                let all = change == Change::RevokeAllSessions;
                let session_ids = if all { Vec::new() } else { vec![session_of(&tokens.access_token)] };
                let ask = self.with_rights(v1::RevokeSessionsRequest { user, session_ids, all });
                let answer = self.sessions.revoke_sessions(ask).await.unwrap().into_inner();
                assert_eq!(answer.revoked, 1);
                answer.position
            }
            Change::SetPassword => {
                let ask = self.with_rights(v1::SetPasswordRequest { user, password: new_password });
                self.users.set_password(ask).await.unwrap().into_inner().position
            }
            Change::DisableUser => {
                let ask = self.with_rights(v1::DisableUserRequest { user });
                self.users.disable_user(ask).await.unwrap().into_inner().position
            }
            Change::DeleteUser => {
                let ask = self.with_rights(v1::DeleteUserRequest { user });
                self.users.delete_user(ask).await.unwrap().into_inner().position
            }
        }
    }

    async fn logout(&mut self, ask: v1::LogoutRequest) -> String {
        self.here.logout(ask).await.unwrap().into_inner().position
    }
}

/// The claim `sid`.
fn session_of(access_token: &str) -> String {
    let claims = claims(access_token);
    claims["sid"].as_str().unwrap().to_owned()
}

fn claims(access_token: &str) -> serde_json::Value {
    use base64::Engine as _;

    let payload = access_token.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_replica_refuses_on_the_first_call_what_a_change_has_ended() {
    let test = "the_other_replica_refuses_on_the_first_call_what_a_change_has_ended";
    let Some(mut world) = World::start(test).await else { return };
    let mut unaware = 0;
    for (number, change) in Change::ALL.into_iter().enumerate() {
        let username = format!("user-{number}");
        world.create(&username).await;
        let tokens = world.login(&username).await;
        let token = &tokens.access_token;
        assert_eq!(verify(&mut world.elsewhere, token, "").await, "VERIFIED", "{change:?}");
        let position = world.change(change, &username, &tokens).await;
        assert!(!position.is_empty(), "{change:?}");
        unaware += u32::from(verify(&mut world.elsewhere, token, "").await == "VERIFIED");
        assert_eq!(verify(&mut world.elsewhere, token, &position).await, "REVOKED", "{change:?}");
        assert_eq!(verify(&mut world.elsewhere, token, "").await, "REVOKED", "{change:?}");
    }
    assert!(unaware > 0, "the other replica was told of every change, so this has shown nothing");
}

/// The answer was lost, and the caller asks again: the position must cover what had ended before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_change_again_tells_a_position_that_covers_the_first() {
    let test = "the_same_change_again_tells_a_position_that_covers_the_first";
    let Some(mut world) = World::start(test).await else { return };
    for (number, change) in [
        Change::Logout,
        Change::LogoutByAccessToken,
        Change::LogoutEverywhere,
        Change::RevokeSessions,
        Change::RevokeAllSessions,
        Change::SetPassword,
        Change::DisableUser,
    ]
    .into_iter()
    .enumerate()
    {
        let username = format!("user-{number}");
        world.create(&username).await;
        let tokens = world.login(&username).await;
        world.change(change, &username, &tokens).await;
        let position = if change == Change::RevokeSessions || change == Change::RevokeAllSessions {
            let user = Some(v1::UserRef { user: Some(v1::user_ref::User::Username(username.clone())) });
            let all = change == Change::RevokeAllSessions;
            let session_ids = if all { Vec::new() } else { vec![session_of(&tokens.access_token)] };
            let ask = world.with_rights(v1::RevokeSessionsRequest { user, session_ids, all });
            let answer = world.sessions.revoke_sessions(ask).await.unwrap().into_inner();
            assert_eq!(answer.revoked, 0);
            answer.position
        } else {
            world.change(change, &username, &tokens).await
        };
        let told = verify(&mut world.elsewhere, &tokens.access_token, &position).await;
        assert_eq!(told, "REVOKED", "{change:?} told {position:?}");
    }
    let nothing = Token::RefreshToken("cs_rt_nothing".to_owned());
    let nothing = v1::LogoutRequest { token: Some(nothing), everywhere: false };
    assert_eq!(world.logout(nothing).await, "", "there was nothing to end");
}

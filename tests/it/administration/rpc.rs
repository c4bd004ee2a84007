//! Every administrative method, to be called about somebody by anybody.

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::audit_service_client::AuditServiceClient;
use countersign::grpc::proto::v1::key_service_client::KeyServiceClient;
use countersign::grpc::proto::v1::service_account_service_client::ServiceAccountServiceClient;
use countersign::grpc::proto::v1::session_service_client::SessionServiceClient;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use prost_types::FieldMask;
use tonic::Response;
use tonic::transport::Channel;

use super::{ADMIN, AUDITOR, SESSIONS, USERS, World, named, new_user, outcome, set_roles, with};

/// The methods; `ALL` has each of them once.
macro_rules! rpcs {
    ($($rpc:ident),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub(super) enum Rpc {
            $($rpc,)+
        }

        impl Rpc {
            pub(super) const ALL: &[Self] = &[$(Self::$rpc,)+];
        }
    };
}

rpcs!(
    CreateUser,
    ImportUsers,
    CheckPasswordHash,
    GetUser,
    ListUsers,
    UpdateUser,
    SetPassword,
    CreatePasswordReset,
    DisableUser,
    EnableUser,
    DeleteUser,
    ListSessions,
    RevokeSessions,
    ExplainSession,
    ListEvents,
    WatchEvents,
    ListTokenKeys,
    RotateKey,
    WithdrawKey,
    CreateServiceAccount,
    GetServiceAccount,
    ListServiceAccounts,
    UpdateServiceAccount,
    DisableServiceAccount,
    EnableServiceAccount,
    DeleteServiceAccount,
    CreateKey,
    ListKeys,
    RevokeKey,
);

/// The service account with this name.
pub(super) fn account_named(name: &str) -> v1::ServiceAccountRef {
    let named = v1::service_account_ref::ServiceAccount::Name(name.to_owned());
    v1::ServiceAccountRef { service_account: Some(named) }
}

pub(super) fn new_account(name: &str, roles: &[&str]) -> v1::CreateServiceAccountRequest {
    v1::CreateServiceAccountRequest {
        name: name.to_owned(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        ..v1::CreateServiceAccountRequest::default()
    }
}

pub(super) fn set_account_roles(name: &str, roles: &[&str]) -> v1::UpdateServiceAccountRequest {
    let roles = roles.iter().map(|&role| role.to_owned()).collect();
    v1::UpdateServiceAccountRequest {
        service_account: Some(account_named(name)),
        change: Some(v1::ServiceAccountChange { description: String::new(), roles }),
        update_mask: Some(FieldMask { paths: vec!["roles".to_owned()] }),
        etag: String::new(),
    }
}

impl Rpc {
    /// Calls it about `name`, and says what came of it.
    pub(super) async fn call(self, world: &World, by: &str, name: &str) -> String {
        self.call_on(world.channel.clone(), by, name).await
    }

    /// The same on a channel.
    pub(super) async fn call_on(self, channel: Channel, by: &str, name: &str) -> String {
        if self.is_about_service_accounts() {
            return self.call_about_service_account(channel, by, name).await;
        }
        if self.is_about_token_keys() {
            return self.call_about_token_keys(channel, by).await;
        }
        let user = Some(named(name));
        let mut users = UserServiceClient::new(channel.clone());
        let mut audit = AuditServiceClient::new(channel.clone());
        let mut sessions = SessionServiceClient::new(channel);
        match self {
            Self::CreateUser => outcome(users.create_user(with(by, new_user(name, &[]))).await),
            Self::ImportUsers => {
                // Who calls is looked up when something is said.
                let row = super::importing::row(1, &format!("imported-{name}"));
                let said = tokio_stream::iter([super::importing::start(false), row]);
                match users.import_users(with(by, said)).await {
                    Ok(answers) => outcome(answers.into_inner().message().await.map(Response::new)),
                    Err(refused) => outcome::<()>(Err(refused)),
                }
            }
            Self::CheckPasswordHash => {
                let ask =
                    v1::CheckPasswordHashRequest { password_hash: "plain:x".to_owned(), password: None };
                outcome(users.check_password_hash(with(by, ask)).await)
            }
            Self::GetUser => outcome(users.get_user(with(by, v1::GetUserRequest { user })).await),
            Self::ListUsers => outcome(users.list_users(with(by, v1::ListUsersRequest::default())).await),
            Self::UpdateUser => outcome(users.update_user(with(by, set_roles(name, &["ops"]))).await),
            Self::SetPassword => {
                let ask = v1::SetPasswordRequest { user, password: "another horse battery".to_owned() };
                outcome(users.set_password(with(by, ask)).await)
            }
            Self::CreatePasswordReset => {
                let ask = v1::CreatePasswordResetRequest { user, ttl: None };
                outcome(users.create_password_reset(with(by, ask)).await)
            }
            Self::DisableUser => outcome(users.disable_user(with(by, v1::DisableUserRequest { user })).await),
            Self::EnableUser => outcome(users.enable_user(with(by, v1::EnableUserRequest { user })).await),
            Self::DeleteUser => outcome(users.delete_user(with(by, v1::DeleteUserRequest { user })).await),
            Self::ListEvents => outcome(audit.list_events(with(by, v1::ListEventsRequest::default())).await),
            Self::WatchEvents => {
                outcome(audit.watch_events(with(by, v1::WatchEventsRequest::default())).await)
            }
            Self::ListSessions => {
                let ask = v1::ListSessionsRequest { user, ..v1::ListSessionsRequest::default() };
                outcome(sessions.list_sessions(with(by, ask)).await)
            }
            Self::RevokeSessions => {
                let ask =
                    v1::RevokeSessionsRequest { user, all: true, ..v1::RevokeSessionsRequest::default() };
                outcome(sessions.revoke_sessions(with(by, ask)).await)
            }
            _ => {
                let session_id = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
                let ask = v1::ExplainSessionRequest { user, session_id };
                outcome(sessions.explain_session(with(by, ask)).await)
            }
        }
    }

    async fn call_about_token_keys(self, channel: Channel, by: &str) -> String {
        let mut keys = KeyServiceClient::new(channel);
        match self {
            Self::ListTokenKeys => outcome(keys.list_keys(with(by, v1::KeyServiceListKeysRequest {})).await),
            Self::RotateKey => {
                let ask = v1::RotateKeyRequest {
                    kind: v1::KeyKind::Signing.into(),
                    ..v1::RotateKeyRequest::default()
                };
                outcome(keys.rotate_key(with(by, ask)).await)
            }
            _ => {
                let key_id = "20260101T000000Z-0a1b2c3d".to_owned();
                outcome(keys.withdraw_key(with(by, v1::WithdrawKeyRequest { key_id })).await)
            }
        }
    }

    async fn call_about_service_account(self, channel: Channel, by: &str, name: &str) -> String {
        let service_account = Some(account_named(name));
        let mut accounts = ServiceAccountServiceClient::new(channel);
        match self {
            Self::CreateServiceAccount => {
                outcome(accounts.create_service_account(with(by, new_account(name, &[]))).await)
            }
            Self::GetServiceAccount => {
                let ask = v1::GetServiceAccountRequest { service_account };
                outcome(accounts.get_service_account(with(by, ask)).await)
            }
            Self::ListServiceAccounts => {
                let ask = v1::ListServiceAccountsRequest::default();
                outcome(accounts.list_service_accounts(with(by, ask)).await)
            }
            Self::UpdateServiceAccount => {
                outcome(accounts.update_service_account(with(by, set_account_roles(name, &[]))).await)
            }
            Self::DisableServiceAccount => {
                let ask = v1::DisableServiceAccountRequest { service_account };
                outcome(accounts.disable_service_account(with(by, ask)).await)
            }
            Self::EnableServiceAccount => {
                let ask = v1::EnableServiceAccountRequest { service_account };
                outcome(accounts.enable_service_account(with(by, ask)).await)
            }
            Self::DeleteServiceAccount => {
                let ask = v1::DeleteServiceAccountRequest { service_account };
                outcome(accounts.delete_service_account(with(by, ask)).await)
            }
            Self::CreateKey => {
                let ask = v1::CreateKeyRequest { service_account, ..v1::CreateKeyRequest::default() };
                outcome(accounts.create_key(with(by, ask)).await)
            }
            Self::ListKeys => {
                outcome(accounts.list_keys(with(by, v1::ListKeysRequest { service_account })).await)
            }
            _ => {
                let key_id = "0197a2c4-0000-7000-8000-000000000001".to_owned();
                let ask = v1::RevokeKeyRequest { service_account, key_id };
                outcome(accounts.revoke_key(with(by, ask)).await)
            }
        }
    }

    /// Whether what it is about is made by it.
    pub(super) fn creates(self) -> bool {
        matches!(self, Self::CreateUser | Self::CreateServiceAccount)
    }

    pub(super) fn is_about_service_accounts(self) -> bool {
        self as usize >= Self::CreateServiceAccount as usize
    }

    pub(super) fn is_about_events(self) -> bool {
        matches!(self, Self::ListEvents | Self::WatchEvents)
    }

    pub(super) fn is_about_token_keys(self) -> bool {
        matches!(self, Self::ListTokenKeys | Self::RotateKey | Self::WithdrawKey)
    }

    pub(super) fn is_about_sessions(self) -> bool {
        matches!(self, Self::ListSessions | Self::RevokeSessions | Self::ExplainSession)
    }

    /// What comes of it about somebody who is there, for a caller who may.
    pub(super) fn permitted(self) -> &'static str {
        match self {
            Self::RevokeKey => "SERVICE_KEY_NOT_FOUND",
            Self::RotateKey | Self::WithdrawKey => "KEYS_IN_DIRECTORY",
            _ => "OK",
        }
    }

    /// Whether the role is enough for it, where no rule says more.
    pub(super) fn is_for(self, role: &str) -> bool {
        match role {
            ADMIN => true,
            USERS => {
                !self.is_about_sessions()
                    && !self.is_about_events()
                    && !self.is_about_token_keys()
                    && !self.is_about_service_accounts()
            }
            SESSIONS => self.is_about_sessions(),
            AUDITOR => matches!(
                self,
                Self::GetUser
                    | Self::ListUsers
                    | Self::ListSessions
                    | Self::ExplainSession
                    | Self::ListEvents
                    | Self::WatchEvents
                    | Self::ListTokenKeys
                    | Self::GetServiceAccount
                    | Self::ListServiceAccounts
                    | Self::ListKeys
            ),
            _ => false,
        }
    }
}

//! A client of the administrative services.

use std::net::SocketAddr;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::audit_service_client::AuditServiceClient;
use countersign::grpc::proto::v1::session_service_client::SessionServiceClient;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::client::Refused;

/// Asks one server, with a service key or an access token.
#[derive(Debug, Clone)]
pub(crate) struct Administrator {
    users: UserServiceClient<Channel>,
    sessions: SessionServiceClient<Channel>,
    audit: AuditServiceClient<Channel>,
    bearer: String,
}

fn named(username: &str) -> v1::UserRef {
    v1::UserRef { user: Some(v1::user_ref::User::Username(username.to_owned())) }
}

impl Administrator {
    pub(crate) fn connect(address: SocketAddr, credential: &str) -> Self {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let (users, sessions) =
            (UserServiceClient::new(channel.clone()), SessionServiceClient::new(channel.clone()));
        let audit = AuditServiceClient::new(channel);
        Self { users, sessions, audit, bearer: format!("Bearer {credential}") }
    }

    fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.parse().unwrap());
        request
    }

    pub(crate) async fn create(
        &mut self,
        username: &str,
        password: &str,
        roles: &[&str],
        request_id: &str,
    ) -> Result<v1::User, Refused> {
        let message = v1::CreateUserRequest {
            username: username.to_owned(),
            credential: Some(v1::create_user_request::Credential::Password(password.to_owned())),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        Ok(self.users.create_user(self.ask(message)).await?.into_inner().user.unwrap())
    }

    /// Every event of the audit log that was written then or later, the newest first.
    pub(crate) async fn events(&mut self, since: Option<prost_types::Timestamp>) -> Vec<v1::Event> {
        let (mut events, mut page_token) = (Vec::new(), String::new());
        loop {
            let filter = Some(v1::EventFilter { since, ..Default::default() });
            let message = v1::ListEventsRequest { filter, page_size: 1000, page_token };
            let page = self.audit.list_events(self.ask(message)).await.unwrap().into_inner();
            events.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return events;
            }
        }
    }

    pub(crate) async fn get(&mut self, username: &str) -> Result<v1::User, Refused> {
        let message = v1::GetUserRequest { user: Some(named(username)) };
        Ok(self.users.get_user(self.ask(message)).await?.into_inner().user.unwrap())
    }

    /// With an empty `etag`, whatever the user is by now.
    pub(crate) async fn set_roles(
        &mut self,
        username: &str,
        roles: &[&str],
        etag: &str,
    ) -> Result<v1::User, Refused> {
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        let message = v1::UpdateUserRequest {
            user: Some(named(username)),
            change: Some(v1::UserChange { roles, ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["roles".to_owned()] }),
            etag: etag.to_owned(),
        };
        Ok(self.users.update_user(self.ask(message)).await?.into_inner().user.unwrap())
    }

    /// Returns the position.
    pub(crate) async fn set_password(&mut self, username: &str, password: &str) -> Result<String, Refused> {
        let message = v1::SetPasswordRequest { user: Some(named(username)), password: password.to_owned() };
        Ok(self.users.set_password(self.ask(message)).await?.into_inner().position)
    }

    pub(crate) async fn create_reset(&mut self, username: &str) -> Result<String, Refused> {
        let message = v1::CreatePasswordResetRequest { user: Some(named(username)), ttl: None };
        Ok(self.users.create_password_reset(self.ask(message)).await?.into_inner().reset_token)
    }

    /// Returns the position.
    pub(crate) async fn disable(&mut self, username: &str) -> Result<String, Refused> {
        let message = v1::DisableUserRequest { user: Some(named(username)) };
        Ok(self.users.disable_user(self.ask(message)).await?.into_inner().position)
    }

    pub(crate) async fn enable(&mut self, username: &str) -> Result<(), Refused> {
        self.users.enable_user(self.ask(v1::EnableUserRequest { user: Some(named(username)) })).await?;
        Ok(())
    }

    /// Returns the position.
    pub(crate) async fn delete(&mut self, username: &str) -> Result<String, Refused> {
        let message = v1::DeleteUserRequest { user: Some(named(username)) };
        Ok(self.users.delete_user(self.ask(message)).await?.into_inner().position)
    }

    /// Returns the position.
    pub(crate) async fn revoke_all(&mut self, username: &str) -> Result<String, Refused> {
        let message =
            v1::RevokeSessionsRequest { user: Some(named(username)), all: true, ..Default::default() };
        Ok(self.sessions.revoke_sessions(self.ask(message)).await?.into_inner().position)
    }
}

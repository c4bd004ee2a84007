//! `countersign.v1.UserService`, `countersign.v1.SessionService`, `countersign.v1.ServiceAccountService`,
//! `countersign.v1.KeyService` and `countersign.v1.AuditService`: decode, call, encode.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::allow::AllowList;
use super::call::Call;
use super::proto::v1;
use super::proto::v1::audit_service_server::AuditServiceServer;
use super::proto::v1::key_service_server::KeyServiceServer;
use super::proto::v1::service_account_service_server::ServiceAccountServiceServer;
use super::proto::v1::session_service_server::{SessionService, SessionServiceServer};
use super::proto::v1::user_service_server::{UserService, UserServiceServer};
use super::stream_end::StreamEnd;
use super::{MAX_BATCH_RESPONSE_BYTES, convert, status};
use crate::auth::{
    AuthError, Caller, ChangeUser, CreateUser, EventLog, EventRecorder, KeyAdmin, PasswordResets,
    RevokedSessions, ServiceAccountAdmin, ServiceKeys, SessionAdmin, SessionPage, UserAdmin, UserFilter,
    UserPage, UserRef,
};
use crate::reason::Reason;

mod audit;
mod caller;
mod import;
mod keys;
pub(super) mod message;
mod service_accounts;

pub(super) use audit::{PATH as WATCH_EVENTS, kind_of, type_of};
pub(super) use caller::token_actor;
use caller::{caller, name_of, refusal};
pub(super) use import::PATH as IMPORT;
use message::{page_size, user_ref};

/// The most users on a page, and how many there are where nobody says.
const USERS_ON_A_PAGE: (i32, i32) = (1000, 100);
/// The most sessions on a page, and how many there are where nobody says: a session may take 5 KiB.
const SESSIONS_ON_A_PAGE: (i32, i32) = (500, 100);

/// What the administrative services work with.
#[derive(Clone)]
pub struct Administration {
    /// Changes users.
    pub users: Arc<UserAdmin>,
    /// Looks at sessions, and ends them.
    pub sessions: Arc<SessionAdmin>,
    /// Makes tokens by which passwords are reset.
    pub resets: Arc<PasswordResets>,
    /// Changes service accounts, and makes and revokes their keys.
    pub service_accounts: Arc<ServiceAccountAdmin>,
    /// Recognises service keys.
    pub service_keys: Arc<ServiceKeys>,
    /// Lists, rotates and withdraws the keys that make tokens.
    pub keys: Arc<KeyAdmin>,
    /// Reads the audit log.
    pub events: EventLog,
}

/// The administrative services, to be served.
pub(super) struct Services {
    pub(super) users: UserServiceServer<Service>,
    pub(super) sessions: SessionServiceServer<Service>,
    pub(super) service_accounts: ServiceAccountServiceServer<Service>,
    pub(super) keys: KeyServiceServer<Service>,
    pub(super) audit: AuditServiceServer<Service>,
}

impl Administration {
    pub(super) fn services(
        self,
        tasks: &TaskTracker,
        allow: &Arc<AllowList>,
        end: &StreamEnd,
        refused: EventRecorder,
    ) -> Services {
        let service = Arc::new(Service {
            administration: self,
            tasks: tasks.clone(),
            allow: Arc::clone(allow),
            end: end.clone(),
            refused,
            imports: Arc::new(Semaphore::new(import::MOST_AT_ONCE)),
            watches: Arc::new(Semaphore::new(audit::MOST_AT_ONCE)),
        });
        let users = UserServiceServer::from_arc(Arc::clone(&service));
        let sessions = SessionServiceServer::from_arc(Arc::clone(&service));
        let service_accounts = ServiceAccountServiceServer::from_arc(Arc::clone(&service));
        let keys = KeyServiceServer::from_arc(Arc::clone(&service));
        let audit = AuditServiceServer::from_arc(service);
        Services {
            users: users.max_encoding_message_size(MAX_BATCH_RESPONSE_BYTES),
            sessions: sessions.max_encoding_message_size(MAX_BATCH_RESPONSE_BYTES),
            service_accounts: service_accounts.max_encoding_message_size(MAX_BATCH_RESPONSE_BYTES),
            keys: keys.max_encoding_message_size(MAX_BATCH_RESPONSE_BYTES),
            audit: audit.max_encoding_message_size(MAX_BATCH_RESPONSE_BYTES),
        }
    }
}

/// All five services.
#[derive(Clone)]
pub(super) struct Service {
    administration: Administration,
    tasks: TaskTracker,
    allow: Arc<AllowList>,
    end: StreamEnd,
    /// Takes the events of callers that are refused.
    refused: EventRecorder,
    imports: Arc<Semaphore>,
    watches: Arc<Semaphore>,
}

impl Service {
    /// Runs a call to its end, whatever becomes of its caller. Who calls is looked up first: a role that was taken away is not
    /// honoured for as long as an access token tells of it.
    async fn run<T, F>(
        &self,
        call: &Call,
        work: impl FnOnce(Administration, Caller) -> F + Send + 'static,
    ) -> Result<T, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AuthError>> + Send,
    {
        let (administration, allow) = (self.administration.clone(), Arc::clone(&self.allow));
        let (admitted, peer) = (call.admitted.clone(), call.peer);
        let (refused, request_id) = (self.refused.clone(), call.request_id.clone());
        let work = async move {
            let admitted =
                admitted.ok_or_else(|| AuthError::internal("an administrative call was let in by nobody"))?;
            let done = match caller(&administration, &allow, &admitted, peer).await {
                Ok(caller) => work(administration, caller.calling(peer, request_id.as_str())).await,
                Err(error) => Err(error),
            };
            done.inspect_err(|error| {
                if matches!(error.reason, Reason::CallerNotAllowed | Reason::ServiceKeyInvalid) {
                    refused.record(refusal(&admitted, error.reason, peer, &request_id));
                    tracing::warn!(
                        target: "countersign::audit",
                        event = "call.not_allowed",
                        method = admitted.path, caller = name_of(&admitted.right), why = error.reason.name(),
                        peer = peer.map(|peer| peer.to_string()),
                        "call refused: the service key is not good, or the caller lacks a role, or the right to touch \
                         this user or service account"
                    );
                }
            })
        };
        call.carry_through(&self.tasks, work).await
    }
}

#[tonic::async_trait]
impl UserService for Service {
    async fn create_user(
        &self,
        request: Request<v1::CreateUserRequest>,
    ) -> Result<Response<v1::CreateUserResponse>, Status> {
        let (call, message) = Call::split(request);
        let deadline = Some(call.context().deadline);
        let user = self.run(&call, async move |administration, by| {
            let new: CreateUser = message::create_user(message)?;
            Ok(administration.users.create(&by, new, deadline).await?)
        });
        let user = user.await?;
        Ok(Response::new(v1::CreateUserResponse { user: Some(user.into()) }))
    }

    type ImportUsersStream = import::Answers;

    async fn import_users(
        &self,
        request: Request<Streaming<v1::ImportUsersRequest>>,
    ) -> Result<Response<Self::ImportUsersStream>, Status> {
        let (call, said) = Call::split(request);
        let Ok(permit) = Arc::clone(&self.imports).try_acquire_owned() else {
            return Err(status::refuse(&Reason::ServerOverloaded.into(), call.language));
        };
        Ok(Response::new(import::Import::new(self.clone(), call, said, permit).answers()))
    }

    async fn check_password_hash(
        &self,
        request: Request<v1::CheckPasswordHashRequest>,
    ) -> Result<Response<v1::CheckPasswordHashResponse>, Status> {
        let (call, message) = Call::split(request);
        let deadline = call.context().deadline;
        let checked = self.run(&call, async move |administration, _| {
            let (hash, password) = (message.password_hash.into(), message.password.map(Into::into));
            Ok(administration.users.check_hash(&hash, password, deadline).await?)
        });
        Ok(Response::new(checked.await?.into()))
    }

    async fn get_user(
        &self,
        request: Request<v1::GetUserRequest>,
    ) -> Result<Response<v1::GetUserResponse>, Status> {
        let (call, message) = Call::split(request);
        let user = self.run(&call, async move |administration, _| {
            Ok(administration.users.find(&user_ref(message.user)?).await?)
        });
        let user = user.await?;
        Ok(Response::new(v1::GetUserResponse { user: Some(user.into()) }))
    }

    async fn list_users(
        &self,
        request: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        let (call, message) = Call::split(request);
        let page = self.run(&call, async move |administration, _| {
            let size = page_size(message.page_size, USERS_ON_A_PAGE)?;
            let filter: UserFilter = message::filter(message.filter)?;
            let after = message::name_of_place(&message.page_token)?;
            Ok(administration.users.page(&filter, after, size).await?)
        });
        let UserPage { users, next } = page.await?;
        Ok(Response::new(v1::ListUsersResponse {
            users: users.into_iter().map(Into::into).collect(),
            next_page_token: next
                .map(|username| URL_SAFE_NO_PAD.encode(username.as_str()))
                .unwrap_or_default(),
        }))
    }

    async fn update_user(
        &self,
        request: Request<v1::UpdateUserRequest>,
    ) -> Result<Response<v1::UpdateUserResponse>, Status> {
        let (call, message) = Call::split(request);
        let user = self.run(&call, async move |administration, by| {
            let (user, change): (UserRef, ChangeUser) = message::update_user(message)?;
            Ok(administration.users.change(&by, &user, change).await?)
        });
        let user = user.await?;
        Ok(Response::new(v1::UpdateUserResponse { user: Some(user.into()) }))
    }

    async fn set_password(
        &self,
        request: Request<v1::SetPasswordRequest>,
    ) -> Result<Response<v1::SetPasswordResponse>, Status> {
        let (call, message) = Call::split(request);
        let deadline = Some(call.context().deadline);
        let done = self.run(&call, async move |administration, by| {
            let user = user_ref(message.user)?;
            Ok(administration
                .users
                .set_password(&by, &user, message.password.into(), deadline)
                .await?
                .position)
        });
        let position = done.await?.to_string();
        Ok(Response::new(v1::SetPasswordResponse { position }))
    }

    async fn create_password_reset(
        &self,
        request: Request<v1::CreatePasswordResetRequest>,
    ) -> Result<Response<v1::CreatePasswordResetResponse>, Status> {
        let (call, message) = Call::split(request);
        let reset = self.run(&call, async move |administration, by| {
            let (user, ttl) = (user_ref(message.user)?, message::reset_ttl(message.ttl)?);
            administration.resets.create(&by, &user, ttl).await
        });
        let (token, expires_at) = reset.await?;
        Ok(Response::new(v1::CreatePasswordResetResponse {
            reset_token: token.expose().to_owned(),
            expires_at: Some(convert::timestamp(expires_at)),
        }))
    }

    async fn disable_user(
        &self,
        request: Request<v1::DisableUserRequest>,
    ) -> Result<Response<v1::DisableUserResponse>, Status> {
        let (call, message) = Call::split(request);
        let done = self.run(&call, async move |administration, by| {
            Ok(administration.users.disable(&by, &user_ref(message.user)?).await?.position)
        });
        let position = done.await?.to_string();
        Ok(Response::new(v1::DisableUserResponse { position }))
    }

    async fn enable_user(
        &self,
        request: Request<v1::EnableUserRequest>,
    ) -> Result<Response<v1::EnableUserResponse>, Status> {
        let (call, message) = Call::split(request);
        let done = self.run(&call, async move |administration, by| {
            Ok(administration.users.enable(&by, &user_ref(message.user)?).await?)
        });
        done.await?;
        Ok(Response::new(v1::EnableUserResponse {}))
    }

    async fn delete_user(
        &self,
        request: Request<v1::DeleteUserRequest>,
    ) -> Result<Response<v1::DeleteUserResponse>, Status> {
        let (call, message) = Call::split(request);
        let done = self.run(&call, async move |administration, by| {
            Ok(administration.users.delete(&by, &user_ref(message.user)?).await?.position)
        });
        let position = done.await?.to_string();
        Ok(Response::new(v1::DeleteUserResponse { position }))
    }
}

#[tonic::async_trait]
impl SessionService for Service {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let (call, message) = Call::split(request);
        let page = self.run(&call, async move |administration, _| {
            let user = user_ref(message.user)?;
            let size = page_size(message.page_size, SESSIONS_ON_A_PAGE)? as usize;
            let after = message::session_place(&message.page_token)?;
            Ok(administration.sessions.page(&user, after, size).await?)
        });
        let SessionPage { user, sessions, next } = page.await?;
        Ok(Response::new(v1::ListSessionsResponse {
            user_id: user.to_string(),
            sessions: sessions.into_iter().map(Into::into).collect(),
            next_page_token: next.map(message::token_of_place).unwrap_or_default(),
        }))
    }

    async fn revoke_sessions(
        &self,
        request: Request<v1::RevokeSessionsRequest>,
    ) -> Result<Response<v1::RevokeSessionsResponse>, Status> {
        let (call, message) = Call::split(request);
        let revoked = self.run(&call, async move |administration, by| {
            let user = user_ref(message.user)?;
            let sessions = administration.sessions;
            match convert::session_ids(&message.session_ids, "all", message.all)? {
                Some(ids) => Ok(sessions.revoke(&by, &user, &ids).await?),
                None => Ok(sessions.revoke_all(&by, &user).await?),
            }
        });
        let RevokedSessions { count, position } = revoked.await?;
        let (revoked, position) = (i32::try_from(count).unwrap_or(i32::MAX), position.to_string());
        Ok(Response::new(v1::RevokeSessionsResponse { revoked, position }))
    }

    async fn explain_session(
        &self,
        request: Request<v1::ExplainSessionRequest>,
    ) -> Result<Response<v1::ExplainSessionResponse>, Status> {
        let (call, message) = Call::split(request);
        let explanation = self.run(&call, async move |administration, _| {
            let user = user_ref(message.user)?;
            let session = convert::session_id("session_id", &message.session_id)?;
            Ok(administration.sessions.explain(&user, session).await?)
        });
        Ok(Response::new(explanation.await?.into()))
    }
}

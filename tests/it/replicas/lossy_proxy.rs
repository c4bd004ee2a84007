//! Stands before a replica, passes a Refresh on, and when the replica has answered, throws the answer away and
//! closes the connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::auth_service_server::{AuthService, AuthServiceServer};
use countersign::grpc::proto::v1::{
    BatchVerifyAccessTokensRequest, BatchVerifyAccessTokensResponse, ChangePasswordRequest,
    ChangePasswordResponse, IssueServiceTokenRequest, IssueServiceTokenResponse, ListOwnSessionsRequest,
    ListOwnSessionsResponse, LoginRequest, LoginResponse, LogoutRequest, LogoutResponse, RefreshRequest,
    RefreshResponse, ResetPasswordRequest, ResetPasswordResponse, RevokeOwnSessionsRequest,
    RevokeOwnSessionsResponse, VerifyAccessTokenRequest, VerifyAccessTokenResponse, VerifyStreamRequest,
    VerifyStreamResponse,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming, async_trait};

/// One refresh whose answer nobody got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) presented: String,
    pub(super) successor: String,
}

/// The proxy; it serves until the test ends.
#[derive(Clone)]
pub(super) struct LossyProxy {
    pub(super) address: SocketAddr,
    lost: Arc<Mutex<Vec<Lost>>>,
}

impl LossyProxy {
    pub(super) async fn before(replica: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{replica}")).unwrap();
        let replica = AuthServiceClient::new(endpoint.connect_lazy());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lost = Arc::<Mutex<Vec<Lost>>>::default();
        let all_lost = lost.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let cut = CancellationToken::new();
                let cutter = Cutter { replica: replica.clone(), cut: cut.clone(), lost: all_lost.clone() };
                tokio::spawn(async move {
                    let service = TowerToHyperService::new(AuthServiceServer::new(cutter));
                    let connection = auto::Builder::new(TokioExecutor::new());
                    tokio::select! {
                        _ = connection.serve_connection(TokioIo::new(stream), service) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
        });
        Self { address, lost }
    }

    /// Every answer that was thrown away, in order.
    pub(super) fn lost(&self) -> Vec<Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the answer to a refresh with this token was thrown away.
    pub(super) fn has_lost(&self, presented: &str) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.iter().any(|lost| lost.presented == presented)
    }
}

/// Serves one connection, until it cuts it.
struct Cutter {
    replica: AuthServiceClient<Channel>,
    cut: CancellationToken,
    lost: Arc<Mutex<Vec<Lost>>>,
}

#[async_trait]
impl AuthService for Cutter {
    async fn refresh(&self, request: Request<RefreshRequest>) -> Result<Response<RefreshResponse>, Status> {
        let request = request.into_inner();
        let presented = request.refresh_token.clone();
        let answer = self.replica.clone().refresh(request).await?;
        let successor = answer.get_ref().tokens.as_ref().map(|tokens| tokens.refresh_token.clone());
        match successor {
            Some(successor) if successor != presented => {
                let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
                lost.push(Lost { presented, successor });
            }
            // Nothing was changed, so there is nothing to lose.
            _ => return Ok(answer),
        }
        self.cut.cancel();
        std::future::pending().await
    }

    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        self.replica.clone().login(request).await
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        self.replica.clone().logout(request).await
    }

    async fn verify_access_token(
        &self,
        request: Request<VerifyAccessTokenRequest>,
    ) -> Result<Response<VerifyAccessTokenResponse>, Status> {
        self.replica.clone().verify_access_token(request).await
    }

    async fn batch_verify_access_tokens(
        &self,
        request: Request<BatchVerifyAccessTokensRequest>,
    ) -> Result<Response<BatchVerifyAccessTokensResponse>, Status> {
        self.replica.clone().batch_verify_access_tokens(request).await
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        self.replica.clone().change_password(request).await
    }

    async fn reset_password(
        &self,
        request: Request<ResetPasswordRequest>,
    ) -> Result<Response<ResetPasswordResponse>, Status> {
        self.replica.clone().reset_password(request).await
    }

    async fn issue_service_token(
        &self,
        request: Request<IssueServiceTokenRequest>,
    ) -> Result<Response<IssueServiceTokenResponse>, Status> {
        self.replica.clone().issue_service_token(request).await
    }

    async fn list_own_sessions(
        &self,
        request: Request<ListOwnSessionsRequest>,
    ) -> Result<Response<ListOwnSessionsResponse>, Status> {
        self.replica.clone().list_own_sessions(request).await
    }

    async fn revoke_own_sessions(
        &self,
        request: Request<RevokeOwnSessionsRequest>,
    ) -> Result<Response<RevokeOwnSessionsResponse>, Status> {
        self.replica.clone().revoke_own_sessions(request).await
    }

    type VerifyStreamStream = tokio_stream::Empty<Result<VerifyStreamResponse, Status>>;

    async fn verify_stream(
        &self,
        _: Request<Streaming<VerifyStreamRequest>>,
    ) -> Result<Response<Self::VerifyStreamStream>, Status> {
        Err(Status::unimplemented("nobody streams through this proxy"))
    }
}

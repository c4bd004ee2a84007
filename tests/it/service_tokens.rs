//! Access tokens of service accounts: how they are got, who takes them, and that they end with their key.

mod edge;
mod page;
mod replicas;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::verify_access_token_response::Result as Verdict;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

/// Whom a token speaks for, or why it is refused.
async fn verify(
    auth: &mut AuthServiceClient<Channel>,
    token: &str,
    at_least: &str,
) -> Result<v1::VerifiedToken, String> {
    let ask = v1::VerifyAccessTokenRequest {
        access_token: token.to_owned(),
        at_least: at_least.to_owned(),
        ..Default::default()
    };
    match auth.verify_access_token(ask).await.map_err(|status| reason(&status))?.into_inner().result {
        Some(Verdict::Verified(token)) => Ok(token),
        Some(Verdict::Invalid(invalid)) => Err(invalid.reason().as_str_name().replace("INVALID_REASON_", "")),
        None => panic!("one of the two arms"),
    }
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.unwrap_or_else(|| panic!("a refusal without a reason: {status:?}")).reason
}

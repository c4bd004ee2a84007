//! Positions of the ledger: every change that ends sessions tells one, and a Verify that has it as `at_least` is not answered
//! by a replica that does not know of the change yet.

mod ledger;
mod replicas;
mod transports;
mod watched;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::verify_access_token_response::Result as Verdict;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What a Verify with `at_least` comes to: `VERIFIED`, why the token is invalid, or the reason of the refusal.
async fn verify(auth: &mut AuthServiceClient<Channel>, token: &str, at_least: &str) -> String {
    let ask = v1::VerifyAccessTokenRequest {
        access_token: token.to_owned(),
        at_least: at_least.to_owned(),
        ..Default::default()
    };
    match auth.verify_access_token(ask).await {
        Ok(answer) => match answer.into_inner().result.expect("one of the two arms") {
            Verdict::Verified(_) => "VERIFIED".to_owned(),
            Verdict::Invalid(invalid) => invalid.reason().as_str_name().replace("INVALID_REASON_", ""),
        },
        Err(status) => reason(&status),
    }
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("a refusal without a reason: {status:?}"));
    match (status.code(), info.reason.as_str()) {
        (Code::Unavailable, reason @ "REVOCATIONS_STALE")
        | (Code::InvalidArgument, reason @ "INVALID_REQUEST") => reason.to_owned(),
        (code, reason) => panic!("{code:?} {reason}"),
    }
}

//! `countersign.test.v1.TestService`: decode, call, encode.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};

use super::administration::message;
use super::allow::known_methods;
use super::call::Call;
use super::proto::test_v1 as v1;
use super::proto::test_v1::test_service_server::{TestService, TestServiceServer};
use super::{MAX_REQUEST_BYTES, convert, status};
use crate::auth::{AuthError, FieldViolation};
use crate::model::{Clock as _, ExternalId, Username};
use crate::reason::Reason;
use crate::testing::{
    Control, Failure, FailureRule, Mint, RuleRefused, TokenKind, TokenState, WorldClock, WorldName,
};

/// What the names of its methods begin with.
pub(super) const PREFIX: &str = "countersign.test.v1.TestService/";
/// The methods that a path over HTTP may be asked for with.
const HTTP_METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
/// The longest and the shortest life of an access token that is minted.
const LIFETIMES: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(24 * 366)];
/// The codes that a call can fail with: all but OK.
const CODES: std::ops::RangeInclusive<i32> = 1..=16;

/// The service, for one world.
pub(super) fn server(control: Arc<Control>) -> TestServiceServer<impl TestService> {
    TestServiceServer::new(Service(control)).max_decoding_message_size(MAX_REQUEST_BYTES)
}

struct Service(Arc<Control>);

/// An answer, or what is wrong with the request in the language of its caller.
fn answer<T>(call: &Call, outcome: Result<T, AuthError>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|error| status::refuse(&error, call.language))
}

#[expect(clippy::needless_pass_by_value, reason = "an error, as it comes")]
fn invalid(field: &str, what: impl ToString) -> AuthError {
    AuthError::invalid_field(field, what.to_string())
}

/// So many, for the wire.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn duration(field: &str, duration: Option<prost_types::Duration>) -> Result<Option<Duration>, AuthError> {
    duration.map(|duration| convert::duration(duration).map_err(|what| invalid(field, what))).transpose()
}

/// How far a clock is ahead, which is bounded.
fn ahead(clock: &WorldClock) -> Option<prost_types::Duration> {
    clock.ahead().try_into().ok()
}

#[tonic::async_trait]
impl TestService for Service {
    async fn mint_token(
        &self,
        request: Request<v1::MintTokenRequest>,
    ) -> Result<Response<v1::MintTokenResponse>, Status> {
        let (call, message) = Call::split(request);
        let minted = async {
            let minted = self.0.minter().mint(mint(message)?).await?;
            Ok(v1::MintTokenResponse {
                token: minted.token,
                user_id: minted.user.to_string(),
                username: minted.username,
                session_id: minted.session.to_string(),
                expires_at: Some(convert::timestamp(minted.expires_at)),
                position: minted.position.map(|position| position.to_string()).unwrap_or_default(),
            })
        };
        answer(&call, minted.await)
    }

    async fn advance_clock(
        &self,
        request: Request<v1::AdvanceClockRequest>,
    ) -> Result<Response<v1::AdvanceClockResponse>, Status> {
        let (call, message) = Call::split(request);
        let advanced = async {
            let by = duration("by", message.by)?.unwrap_or_default();
            self.0.advance(by).await?.map_err(|too_far| invalid("by", too_far))?;
            let clock = self.0.clock();
            Ok(v1::AdvanceClockResponse { now: Some(convert::timestamp(clock.now())), ahead: ahead(clock) })
        };
        answer(&call, advanced.await)
    }

    async fn get_world(
        &self,
        _: Request<v1::GetWorldRequest>,
    ) -> Result<Response<v1::GetWorldResponse>, Status> {
        let (control, policy) = (&self.0, &self.0.minter().policy);
        let others = policy.audiences.iter().filter(|audience| **audience != policy.default_audience);
        Ok(Response::new(v1::GetWorldResponse {
            name: control.name().to_string(),
            now: Some(convert::timestamp(control.clock().now())),
            ahead: ahead(control.clock()),
            issuer: policy.rules.issuer.clone(),
            audiences: std::iter::once(&policy.default_audience).chain(others).cloned().collect(),
            streams: count(control.streams().open()),
            stalled: control.streams().is_stalled(),
            failures: count(control.failures().count()),
        }))
    }

    async fn fail_method(
        &self,
        request: Request<v1::FailMethodRequest>,
    ) -> Result<Response<v1::FailMethodResponse>, Status> {
        let (call, message) = Call::split(request);
        let added = rule(message).and_then(|rule| {
            self.0.failures().add(rule).map_err(|refused| match refused {
                RuleRefused::TooMany => invalid("method", refused),
                RuleRefused::TooLate => invalid("delay", refused),
                RuleRefused::Nothing => invalid("", refused),
            })
        });
        answer(&call, added.map(|()| v1::FailMethodResponse {}))
    }

    async fn clear_failures(
        &self,
        request: Request<v1::ClearFailuresRequest>,
    ) -> Result<Response<v1::ClearFailuresResponse>, Status> {
        let method = request.into_inner().method;
        let cleared = self.0.failures().clear(Some(method.as_str()).filter(|method| !method.is_empty()));
        Ok(Response::new(v1::ClearFailuresResponse { cleared: count(cleared) }))
    }

    async fn stall_streams(
        &self,
        _: Request<v1::StallStreamsRequest>,
    ) -> Result<Response<v1::StallStreamsResponse>, Status> {
        self.0.streams().stall(true);
        Ok(Response::new(v1::StallStreamsResponse { streams: count(self.0.streams().open()) }))
    }

    async fn resume_streams(
        &self,
        _: Request<v1::ResumeStreamsRequest>,
    ) -> Result<Response<v1::ResumeStreamsResponse>, Status> {
        self.0.streams().stall(false);
        Ok(Response::new(v1::ResumeStreamsResponse { streams: count(self.0.streams().open()) }))
    }

    async fn end_streams(
        &self,
        _: Request<v1::EndStreamsRequest>,
    ) -> Result<Response<v1::EndStreamsResponse>, Status> {
        Ok(Response::new(v1::EndStreamsResponse { streams: count(self.0.streams().end()) }))
    }

    async fn reset_world(
        &self,
        request: Request<v1::ResetWorldRequest>,
    ) -> Result<Response<v1::ResetWorldResponse>, Status> {
        let (call, _) = Call::split(request);
        let reset = self.0.registry().reset(self.0.name()).await;
        answer(&call, reset.map(|()| v1::ResetWorldResponse {}))
    }

    async fn create_world(
        &self,
        request: Request<v1::CreateWorldRequest>,
    ) -> Result<Response<v1::CreateWorldResponse>, Status> {
        let (call, v1::CreateWorldRequest { name }) = Call::split(request);
        let created = async {
            let name = if name.is_empty() {
                WorldName::made_up()
            } else {
                WorldName::parse(&name).map_err(|error| invalid("name", error))?
            };
            if self.0.registry().create(name.clone()).await? {
                Ok(v1::CreateWorldResponse { name: name.to_string() })
            } else {
                Err(invalid("name", "is the name of another world"))
            }
        };
        answer(&call, created.await)
    }

    async fn delete_world(
        &self,
        request: Request<v1::DeleteWorldRequest>,
    ) -> Result<Response<v1::DeleteWorldResponse>, Status> {
        let (call, v1::DeleteWorldRequest { name }) = Call::split(request);
        let name = WorldName::parse(&name).map_err(|error| invalid("name", error));
        let deleted = name.map(|name| self.0.registry().delete(&name));
        answer(&call, deleted.map(|deleted| v1::DeleteWorldResponse { deleted }))
    }
}

/// Reads what token is asked for.
fn mint(message: v1::MintTokenRequest) -> Result<Mint, AuthError> {
    let kind = match message.kind() {
        v1::TokenKind::Unspecified | v1::TokenKind::Access => TokenKind::Access,
        v1::TokenKind::Refresh => TokenKind::Refresh,
    };
    if v1::TokenKind::try_from(message.kind).is_err() {
        return Err(invalid("kind", "is none that is known"));
    }
    let state = v1::TokenState::try_from(message.state);
    let state = state.map_err(|_| invalid("state", "is none that is known"))?;
    let lifetime = duration("lifetime", message.lifetime)?;
    if lifetime.is_some_and(|lifetime| !(LIFETIMES[0]..=LIFETIMES[1]).contains(&lifetime)) {
        return Err(invalid("lifetime", "must be 1 s to 366 days"));
    }
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let user_id = some(message.user_id).map(|id| id.parse());
    let user_id = user_id.transpose().map_err(|_| invalid("user_id", "must be a UUID in lower case"))?;
    let username = some(message.username).map(|name| Username::parse(&name)).transpose();
    let external_id = some(message.external_id).map(|id| ExternalId::parse(&id)).transpose();
    let claims = message.custom_claims.filter(|claims| !claims.fields.is_empty());
    Ok(Mint {
        kind,
        state: state.into(),
        user_id,
        username: username.map_err(|error| invalid("username", error))?,
        roles: Some(message::roles(&message.roles)?).filter(|roles| !roles.is_empty()),
        claims: claims.map(|claims| message::claims("custom_claims", Some(claims))).transpose()?,
        external_id: external_id.map_err(|error| invalid("external_id", error))?,
        audiences: message.audiences,
        lifetime,
    })
}

impl From<v1::TokenState> for TokenState {
    fn from(state: v1::TokenState) -> Self {
        match state {
            v1::TokenState::Unspecified | v1::TokenState::Good => Self::Good,
            v1::TokenState::Expired => Self::Expired,
            v1::TokenState::NotYetValid => Self::NotYetValid,
            v1::TokenState::WrongAudience => Self::WrongAudience,
            v1::TokenState::WrongIssuer => Self::WrongIssuer,
            v1::TokenState::Revoked => Self::Revoked,
            v1::TokenState::UnknownKey => Self::UnknownKey,
            v1::TokenState::WithdrawnKey => Self::WithdrawnKey,
            v1::TokenState::BadSignature => Self::BadSignature,
            v1::TokenState::Malformed => Self::Malformed,
            v1::TokenState::Reused => Self::Reused,
        }
    }
}

/// Reads how calls fail.
fn rule(message: v1::FailMethodRequest) -> Result<FailureRule, AuthError> {
    let v1::FailMethodRequest { method, failure, times, delay } = message;
    check_method(&method)?;
    let failure = match failure {
        None => None,
        Some(v1::fail_method_request::Failure::Code(code)) if CODES.contains(&code) => {
            Some(Failure::Code(code))
        }
        Some(v1::fail_method_request::Failure::Code(_)) => {
            return Err(invalid("code", "must be a number of google.rpc.Code, 1 to 16"));
        }
        Some(v1::fail_method_request::Failure::Reason(name)) => {
            let reason = Reason::all().find(|reason| reason.name() == name);
            let unknown = || invalid("reason", "is none of docs/errors.md");
            Some(Failure::Reason(reason.ok_or_else(unknown)?))
        }
    };
    let delay = duration("delay", delay)?.unwrap_or_default();
    Ok(FailureRule { method, failure, times: Some(times).filter(|times| *times > 0), delay })
}

/// A rule for what is never called would be one that a test waits for in vain.
fn check_method(method: &str) -> Result<(), AuthError> {
    let refused = |what: &str| Err(AuthError::invalid_request(vec![FieldViolation::new("method", what)]));
    if method == "*" {
        return Ok(());
    }
    if method.starts_with(PREFIX) {
        return refused("must not be one of TestService");
    }
    if let Some((verb, path)) = method.split_once(' ') {
        let is_path = path.starts_with('/') && path.len() <= 256;
        return if HTTP_METHODS.contains(&verb) && is_path {
            Ok(())
        } else {
            refused("must be a method of HTTP, a blank and a path")
        };
    }
    let known = known_methods();
    let service = method.strip_suffix('*').filter(|service| service.ends_with('/'));
    let is_known = known.contains(method)
        || service.is_some_and(|service| known.iter().any(|known| known.starts_with(service)));
    if is_known { Ok(()) } else { refused("is none that this server has") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_a_method_that_there_is() {
        for good in [
            "*",
            "countersign.v1.AuthService/Login",
            "countersign.v1.AuthService/*",
            "grpc.health.v1.Health/Check",
            "GET /.well-known/jwks.json",
        ] {
            assert!(check_method(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/countersign.v1.AuthService/Login",
            "countersign.v1.AuthService/Logn",
            "countersign.v1.Auth*",
            "countersign.test.v1.TestService/MintToken",
            "get /x",
            "GET x",
        ] {
            assert!(check_method(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_token_cannot_be_is_refused_by_its_field() {
        let field = |message: v1::MintTokenRequest| {
            mint(message).err().map(|error| error.violations[0].field.clone()).unwrap_or_default()
        };
        let base = v1::MintTokenRequest::default;
        assert_eq!(field(base()), "");
        assert_eq!(field(v1::MintTokenRequest { kind: 7, ..base() }), "kind");
        assert_eq!(field(v1::MintTokenRequest { state: 77, ..base() }), "state");
        assert_eq!(field(v1::MintTokenRequest { user_id: "x".to_owned(), ..base() }), "user_id");
        assert_eq!(field(v1::MintTokenRequest { username: "\0".to_owned(), ..base() }), "username");
        let lifetime = Some(prost_types::Duration { seconds: 0, nanos: 1 });
        assert_eq!(field(v1::MintTokenRequest { lifetime, ..base() }), "lifetime");
    }
}

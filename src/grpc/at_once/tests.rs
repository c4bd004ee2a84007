use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, StreamBody};
use tower::ServiceExt as _;

use super::*;
use crate::auth::{
    AuthError, CallContext, ChangePassword, ChangedPassword, InvalidReason, IssueServiceToken, Login,
    LoginRequest, LogoutRequest, OwnSessions, Refresh, RefreshRequest, ResetPassword, RevokeOwnSessions,
    RevokedSessions, ServiceToken, VerifyRequest,
};
use crate::grpc::Allow;
use crate::model::{ManualClock, Position, UnixMillis};
use crate::reason::Reason;

/// Knows the token `known`, panics at `panic`, and has no short cut for `slow`.
pub(in crate::grpc) struct Stub;

#[async_trait]
impl Authenticate for Stub {
    async fn login(&self, _: CallContext, _: LoginRequest) -> Result<Login, AuthError> {
        Err(Reason::Internal.into())
    }

    async fn refresh(&self, _: CallContext, _: RefreshRequest) -> Result<Refresh, AuthError> {
        Err(Reason::Internal.into())
    }

    async fn logout(&self, _: CallContext, _: LogoutRequest) -> Result<Option<Position>, AuthError> {
        Err(Reason::Internal.into())
    }

    async fn change_password(&self, _: CallContext, _: ChangePassword) -> Result<ChangedPassword, AuthError> {
        Err(Reason::Internal.into())
    }

    async fn reset_password(&self, _: CallContext, _: ResetPassword) -> Result<Position, AuthError> {
        Err(Reason::Internal.into())
    }

    async fn issue_service_token(
        &self,
        _: CallContext,
        _: IssueServiceToken,
    ) -> Result<ServiceToken, AuthError> {
        Err(Reason::Internal.into())
    }

    async fn list_own_sessions(&self, _: CallContext, _: RefreshRequest) -> Result<OwnSessions, AuthError> {
        Err(Reason::Internal.into())
    }

    async fn revoke_own_sessions(
        &self,
        _: CallContext,
        _: RevokeOwnSessions,
    ) -> Result<RevokedSessions, AuthError> {
        Err(Reason::Internal.into())
    }

    fn verify(&self, _: &CallContext, _: &VerifyRequest) -> Result<Verify, AuthError> {
        Err(Reason::Internal.into())
    }

    fn verify_at_once(&self, token: &str, audiences: &[String], _: Option<Duration>) -> Option<Verify> {
        assert_ne!(token, "panic", "the panic that the test asked for");
        let reason = if audiences.is_empty() { InvalidReason::Expired } else { InvalidReason::WrongAudience };
        let answer = Verify {
            verification: Verification::Invalid(reason),
            revocation_staleness: Some(Duration::from_millis(1500)),
        };
        (token != "slow").then_some(answer)
    }
}

/// What went the ordinary way.
type Seen = Arc<Mutex<Vec<Bytes>>>;

async fn call(request: Request<AxumBody>, allow: AllowList) -> (Response<AxumBody>, Vec<Bytes>) {
    let seen = Seen::default();
    let calls = seen.clone();
    let ordinary = tower::service_fn(move |request: Request<AxumBody>| {
        let calls = calls.clone();
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            calls.lock().unwrap().push(body);
            Ok(Response::new(AxumBody::empty()))
        }
    });
    let service = VerifyAtOnce {
        auth: Arc::new(Stub),
        allow: Arc::new(allow),
        calls: Calls::new(Arc::new(ManualClock::new(UnixMillis(0)))),
        max_request_bytes: 256,
        ordinary,
    };
    let answer = service.oneshot(request).await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (answer, seen)
}

fn frame(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

fn asking(token: &str) -> v1::VerifyAccessTokenRequest {
    v1::VerifyAccessTokenRequest { access_token: token.to_owned(), ..Default::default() }
}

fn request(body: AxumBody) -> Request<AxumBody> {
    let request = Request::post(PATH).version(Version::HTTP_2).header("content-type", "application/grpc");
    request.body(body).unwrap()
}

fn in_pieces<const N: usize>(pieces: [Bytes; N]) -> AxumBody {
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    AxumBody::new(StreamBody::new(futures_util::stream::iter(frames)))
}

#[tokio::test]
async fn a_plain_call_is_answered_with_its_message_and_trailers() {
    let body = frame(&v1::VerifyAccessTokenRequest {
        access_token: "known".to_owned(),
        audiences: vec!["orders".to_owned()],
        max_staleness: Some(prost_types::Duration { seconds: 3, nanos: 0 }),
        at_least: String::new(),
    });
    for body in [AxumBody::from(body.clone()), in_pieces([body])] {
        let mut request = request(body);
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("1n"));
        request.headers_mut().insert("x-request-id", HeaderValue::from_static("trace-7"));
        let (answer, ordinary) = call(request, AllowList::default()).await;
        assert!(ordinary.is_empty());
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(answer.headers()["x-request-id"], "trace-7");
        let collected = answer.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        let expected = v1::VerifyAccessTokenResponse {
            result: Some(v1::verify_access_token_response::Result::Invalid(v1::InvalidToken {
                reason: v1::InvalidReason::WrongAudience.into(),
            })),
            revocation_staleness: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
        };
        assert_eq!(collected.to_bytes(), frame(&expected));
    }
}

#[tokio::test]
async fn whatever_is_not_plain_goes_the_ordinary_way_as_it_came() {
    let plain = frame(&asking("known"));
    let with = |name: &'static str, value: &'static str| {
        let mut request = request(plain.clone().into());
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        request
    };
    let mut compressed = plain.to_vec();
    compressed[0] = 1;
    let mut no_text = plain.to_vec();
    *no_text.last_mut().unwrap() = 0xFF;
    let longer = [&plain[..], b"x"].concat();
    let negative = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    let stale = v1::VerifyAccessTokenRequest { max_staleness: negative, ..asking("known") };
    let nobody = v1::VerifyAccessTokenRequest { audiences: vec![String::new()], ..asking("known") };
    let after = v1::VerifyAccessTokenRequest { at_least: "1-00000000000000fe".to_owned(), ..asking("known") };
    let of = |message: &v1::VerifyAccessTokenRequest| request(frame(message).into());

    let mut other_path = request(plain.clone().into());
    *other_path.uri_mut() = "/countersign.v1.AuthService/Login".parse().unwrap();
    let mut other_version = request(plain.clone().into());
    *other_version.version_mut() = Version::HTTP_11;
    let (head, tail) = (plain.slice(..3), plain.slice(3..));
    let cases = [
        ("another method", other_path, plain.clone()),
        ("HTTP/1.1", other_version, plain.clone()),
        ("another content type", with("content-type", "application/grpc-web"), plain.clone()),
        ("no time left", with("grpc-timeout", "0m"), plain.clone()),
        ("a malformed timeout", with("grpc-timeout", "soon"), plain.clone()),
        ("compressed", request(compressed.clone().into()), compressed.into()),
        ("longer than it says", request(longer.clone().into()), longer.into()),
        ("not UTF-8", request(no_text.clone().into()), no_text.into()),
        ("in two pieces", request(in_pieces([head, tail])), plain.clone()),
        ("empty", request(AxumBody::empty()), Bytes::new()),
        ("too long", of(&asking(&"t".repeat(300))), frame(&asking(&"t".repeat(300)))),
        ("a negative bound", of(&stale), frame(&stale)),
        ("an empty audience", of(&nobody), frame(&nobody)),
        ("a position", of(&after), frame(&after)),
        ("no short cut", of(&asking("slow")), frame(&asking("slow"))),
        ("a panic", of(&asking("panic")), frame(&asking("panic"))),
    ];
    for (name, request, body) in cases {
        let (_, ordinary) = call(request, AllowList::default()).await;
        assert_eq!(ordinary, [body], "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_still_under_way_is_waited_for_the_ordinary_way() {
    let plain = frame(&asking("known"));
    let (sender, body) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(4);
    let frames =
        futures_util::stream::unfold(
            body,
            |mut body| async move { body.recv().await.map(|frame| (frame, body)) },
        );
    sender.send(Ok(Frame::data(plain.slice(..7)))).await.unwrap();
    let answer = tokio::spawn(call(request(AxumBody::new(StreamBody::new(frames))), AllowList::default()));
    tokio::task::yield_now().await;
    sender.send(Ok(Frame::data(plain.slice(7..)))).await.unwrap();
    drop(sender);
    assert_eq!(answer.await.unwrap().1, [plain]);
}

#[tokio::test]
async fn a_guarded_method_is_guarded_here_too() {
    let rule = Allow {
        methods: vec!["countersign.v1.AuthService/VerifyAccessToken".to_owned()],
        names: vec!["spiffe://example/gateway".to_owned()],
        roles: Vec::new(),
    };
    let allow = AllowList::new(vec![rule]).unwrap();
    let plain = frame(&asking("known"));
    let (_, ordinary) = call(request(plain.clone().into()), allow.clone()).await;
    assert_eq!(ordinary, std::slice::from_ref(&plain), "nobody in particular");
    let mut known = request(plain.into());
    known.extensions_mut().insert(PeerNames(vec!["spiffe://example/gateway".to_owned()].into()));
    assert!(call(known, allow).await.1.is_empty(), "the gateway");
}

#[test]
fn the_question_is_the_contracts_message() {
    let asked = v1::VerifyAccessTokenRequest {
        access_token: "token".to_owned(),
        audiences: vec!["a".to_owned(), "b".to_owned()],
        max_staleness: Some(prost_types::Duration { seconds: 1, nanos: 2 }),
        at_least: "1-00000000000000fe".to_owned(),
    };
    let read = Question::decode(asked.encode_to_vec().as_slice()).unwrap();
    assert_eq!(read.access_token, asked.access_token.as_bytes());
    assert_eq!(read.at_least, asked.at_least.as_bytes());
    assert_eq!((read.audiences, read.max_staleness), (asked.audiences, asked.max_staleness));
}

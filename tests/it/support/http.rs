//! The HTTP edge on a real socket: over the whole service on SQLite, or over use cases that answer as a test wants.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign::app::App;
use countersign::auth::{Authenticate, Caller, CreateUser};
use countersign::config::Config;
use countersign::http::{HttpOptions, router};
use countersign::listener::{self, Limits};
use countersign::model::{CustomClaims, ManualClock, Position, Role, UnixMillis, Username};
use countersign::transport::Peer;
use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const USERNAME: &str = "ada";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// What the edge answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// What the answer to a change says beside its position in the ledger, which must be there.
    pub(crate) fn changed(&self) -> Value {
        let mut json = self.json();
        let position = json.as_object_mut().and_then(|members| members.remove("position"));
        let is_position = |text: &str| text.parse::<Position>().is_ok();
        assert!(position.as_ref().and_then(Value::as_str).is_some_and(is_position), "{self:?}");
        json
    }

    /// The value of a header, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Every `Set-Cookie`.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Name and value of the one cookie that was set, as they go back.
    pub(crate) fn cookie(&self) -> String {
        let cookies = self.cookies();
        assert_eq!(cookies.len(), 1, "{cookies:?}");
        cookies[0].split(';').next().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, reason: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.json()["reason"], reason, "{self:?}");
    }
}

/// A client that adds nothing of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http(pub(crate) SocketAddr);

impl Http {
    pub(crate) async fn send(self, request: Request<Full<Bytes>>) -> Answer {
        let (mut parts, body) = request.into_parts();
        parts.headers.entry("host").or_insert(self.0.to_string().parse().unwrap());
        let stream = TcpStream::connect(self.0).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(Request::from_parts(parts, body)).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request("GET", path, headers, "")).await
    }

    /// Posts JSON.
    pub(crate) async fn post(self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut request = request("POST", path, headers, &body.to_string());
        request.headers_mut().entry(CONTENT_TYPE).or_insert("application/json".parse().unwrap());
        self.send(request).await
    }

    /// Posts a form.
    pub(crate) async fn form(self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = request("POST", path, headers, body);
        request
            .headers_mut()
            .entry(CONTENT_TYPE)
            .or_insert("application/x-www-form-urlencoded".parse().unwrap());
        self.send(request).await
    }

    /// Logs the one user in.
    pub(crate) async fn login(self) -> Answer {
        let answer = self.post("/v1/auth/login", &[], &credentials()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer
    }

    /// Refreshes by a cookie.
    pub(crate) async fn refresh(self, cookie: &str) -> Answer {
        self.post("/v1/auth/refresh", &[(COOKIE.as_str(), cookie)], &json!({})).await
    }
}

pub(crate) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body.to_owned())).unwrap()
}

pub(crate) fn credentials() -> Value {
    json!({ "username": USERNAME, "password": PASSWORD })
}

/// The access token in a login's or a refresh's answer.
pub(crate) fn access_token(answer: &Answer) -> String {
    answer.json()["tokens"]["accessToken"].as_str().unwrap().to_owned()
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The whole service with one user, until it is dropped.
pub(crate) struct Service {
    pub(crate) http: Http,
    pub(crate) grpc: SocketAddr,
    /// Where `/readyz` and `/metrics` are.
    pub(crate) operations: Http,
    pub(crate) data: TempDir,
    _stop: oneshot::Sender<()>,
}

/// Starts the service of `dev`, with these settings: `EDGE__CSRF` say.
pub(crate) async fn service(settings: &[(&str, &str)]) -> Service {
    let claims = CustomClaims::parse(r#"{"tenant":"acme","seats":7,"share":0.5}"#).unwrap();
    let roles = vec![Role::parse("admin").unwrap(), Role::parse("ops").unwrap()];
    let password = PASSWORD.to_owned();
    let new = CreateUser { roles, claims, ..CreateUser::new(Username::parse(USERNAME).unwrap(), password) };
    service_with_users(settings, [new]).await
}

/// The same with these users in the place of the one.
pub(crate) async fn service_with_users(
    settings: &[(&str, &str)],
    users: impl IntoIterator<Item = CreateUser>,
) -> Service {
    let data = tempfile::tempdir().unwrap();
    let usual = [
        ("GRPC__LISTEN", "127.0.0.1:0"),
        ("EDGE__LISTEN", "127.0.0.1:0"),
        ("OPERATIONS__LISTEN", "127.0.0.1:0"),
        ("PASSWORDS__MEMORY_KIB", "8"),
        ("PASSWORDS__ITERATIONS", "1"),
        ("PASSWORDS__THREADS", "1"),
        ("EDGE__PLAIN_HTTP", "false"),
        ("TOKENS__AUDIENCES", "countersign,orders"),
    ];
    let mut environment = std::collections::BTreeMap::from(usual);
    environment.extend(settings.iter().copied());
    let environment =
        environment.into_iter().map(|(key, value)| (format!("COUNTERSIGN__{key}"), value.to_owned()));
    let config = Config::load_dev(data.path(), environment, &[]).unwrap();
    let app = App::build(config, true).await.unwrap();
    let admin = app.user_admin().unwrap();
    for new in users {
        admin.create(&Caller::operator(), new, None).await.unwrap();
    }

    let (grpc, http) = (app.grpc_address().unwrap(), Http(app.http_address().unwrap().unwrap()));
    let operations = Http(app.operations_address().unwrap());
    let mut ready = app.readiness().subscribe();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(app.run(async move {
        let _ = stopped.await;
    }));
    ready.wait_for(|ready| *ready).await.unwrap();
    Service { http, grpc, operations, data, _stop: stop }
}

/// The edge over other use cases, until the guard is dropped.
pub(crate) struct Alone {
    pub(crate) http: Http,
    _stop: DropGuard,
}

/// Options for a test: a clock that stands still, and no keys.
pub(crate) fn options() -> HttpOptions {
    HttpOptions::new(Arc::new(ManualClock::new(UnixMillis(1_000))), Arc::new(Arc::default))
}

pub(crate) async fn alone(auth: Arc<dyn Authenticate>, options: HttpOptions) -> Alone {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = Http(socket.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(listener::serve(
        "http",
        socket,
        router(auth, options),
        |extensions, peer| {
            extensions.insert(Peer(peer.ip()));
        },
        Limits::default(),
        stop.clone(),
        stop.clone(),
    ));
    Alone { http, _stop: stop.drop_guard() }
}

//! What callers may hold, and for how long: the listener with short times and a small budget.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use countersign::listener::{self, Budget, Connections, Ended, Limits, Port};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than any bound of these tests, and far longer than they take.
const PATIENCE: Duration = Duration::from_mins(1);
const MIB: usize = 1024 * 1024;

struct Served {
    address: SocketAddr,
    connections: Arc<Connections>,
    budget: Budget,
    _stop: DropGuard,
}

/// Serves `/livez`; `/wait`, an answer that never ends; `/large`, an answer of a mebibyte; and `/gather`, which says how
/// its body ended.
async fn serve(limits: Limits, budget: usize) -> Served {
    let router = Router::new()
        .route("/livez", get(async || "ok"))
        .route(
            "/wait",
            get(async || Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>())),
        )
        .route("/large", get(async || Bytes::from(vec![b'x'; MIB])))
        .route("/gather", post(gather));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let budget = Budget::new(budget, |_| true);
    let port = Port::new(socket, None).within(budget.clone());
    let connections = Arc::clone(port.connections());
    let stop = CancellationToken::new();
    tokio::spawn(listener::serve("test", port, router, |_, _| {}, limits, stop.clone(), stop.clone()));
    Served { address, connections, budget, _stop: stop.drop_guard() }
}

async fn gather(body: Body) -> String {
    match body.collect().await {
        Ok(body) => format!("{} bytes", body.to_bytes().len()),
        Err(error) => {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            cause.to_string()
        }
    }
}

fn short() -> Limits {
    let second = Duration::from_secs(1);
    Limits { message: second, unread_answer: second, stream_idle: second, ..Limits::default() }
}

/// Waits until so many connections were ended for this reason.
async fn ended(served: &Served, reason: Ended, times: u64) {
    let met = async {
        while served.connections.ended(reason) < times || served.connections.open() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met).await.unwrap_or_else(|_| {
        panic!("{reason:?}: {} ended, {} open", served.connections.ended(reason), served.connections.open())
    });
}

type Client = h2::client::SendRequest<Bytes>;

/// A client of HTTP/2 that acknowledges whatever is to be acknowledged, and gives the server this window.
async fn client(served: &Served, window: u32) -> Client {
    let stream = TcpStream::connect(served.address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (client, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

fn gathering(grpc: bool) -> Request<()> {
    let request = Request::post("http://test/gather");
    let request = if grpc { request.header("content-type", "application/grpc") } else { request };
    request.body(()).unwrap()
}

async fn text(answer: Response<h2::RecvStream>) -> String {
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend_from_slice(&piece.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn who_pipelines_requests_and_reads_nothing_is_ended() {
    let served = serve(short(), 64 * MIB).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let requests = "GET /large HTTP/1.1\r\nhost: test\r\n\r\n".repeat(100);
    stream.write_all(requests.as_bytes()).await.unwrap();
    ended(&served, Ended::UnreadAnswer, 1).await;
    assert_eq!(served.budget.used(), 0);
}

#[tokio::test]
async fn who_gives_http_2_no_window_is_ended_whatever_it_acknowledges() {
    for window in [0, 1] {
        let served = serve(short(), 64 * MIB).await;
        let mut client = client(&served, window).await;
        let request = Request::get("http://test/large").body(()).unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        let _unread = answer.await.unwrap();
        ended(&served, Ended::UnreadAnswer, 1).await;
        assert_eq!(served.budget.used(), 0);
    }
}

#[tokio::test]
async fn a_message_that_has_begun_has_a_deadline_and_is_charged_by_what_it_promises() {
    let served = serve(short(), 64 * MIB).await;
    let mut client = client(&served, 65_535).await;
    let (answer, mut body) = client.send_request(gathering(true), false).unwrap();
    let promise = [&[0][..], &60_000_u32.to_be_bytes(), &[7; 100]].concat();
    body.send_data(promise.into(), false).unwrap();
    let charged = async {
        while served.budget.used() < 60_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, charged).await.expect("what the reader will make room for is charged");
    let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(text(answer).await, "the message did not arrive in time");
}

#[tokio::test]
async fn the_first_message_and_a_body_have_a_deadline_too() {
    let served = serve(short(), 64 * MIB).await;
    let mut client = client(&served, 65_535).await;
    for grpc in [true, false] {
        client = client.ready().await.unwrap();
        let (answer, _body) = client.send_request(gathering(grpc), false).unwrap();
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(text(answer).await, "the message did not arrive in time");
    }
}

#[tokio::test]
async fn messages_beyond_the_budget_are_refused_and_their_memory_comes_back() {
    let limits = Limits { message: PATIENCE, ..Limits::default() };
    let served = serve(limits, MIB).await;
    let mut client = client(&served, 65_535).await;
    let (mut begun, mut answers) = (Vec::new(), tokio::task::JoinSet::new());
    let refused = loop {
        client = client.ready().await.unwrap();
        let (answer, mut body) = client.send_request(gathering(true), false).unwrap();
        body.send_data([&[0][..], &60_000_u32.to_be_bytes()].concat().into(), false).unwrap();
        begun.push(body);
        assert!(begun.len() < 30, "all of them were let in");
        let mut answer = Box::pin(answer);
        if let Ok(answer) = tokio::time::timeout(Duration::from_millis(200), &mut answer).await {
            break answer.unwrap();
        }
        answers.spawn(answer);
    };
    assert_eq!(text(refused).await, "the service holds as much for its callers as it may");
    assert!(begun.len() > 8, "there was room for {} of them", begun.len());
    drop((begun, answers, client));
    let returned = async {
        while served.budget.used() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, returned).await.expect("what they held is free again");
}

#[tokio::test]
async fn when_all_places_are_held_by_the_silent_a_new_connection_is_still_served() {
    let limits = Limits { connections: 20, request_head: PATIENCE, ..Limits::default() };
    let served = serve(limits, 64 * MIB).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    let answered = async {
        loop {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            let request =
                b"POST /gather HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\nconnection: close\r\n\r\nab";
            let _ = stream.write_all(request).await;
            let mut answer = String::new();
            if stream.read_to_string(&mut answer).await.is_ok() && answer.ends_with("2 bytes") {
                return;
            }
            // Those that came a moment ago are not taken for idle yet.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("one of the silent gives way");
    assert!(served.connections.ended(Ended::GaveWay) >= 1);
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused() {
    let served = serve(Limits::default(), 64 * MIB).await;
    for hosts in ["", "host: a\r\nhost: a\r\n", "host: a b\r\n"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let request = format!("GET /large HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{hosts:?}: {}", String::from_utf8_lossy(&answer));
    }
}

/// One connection of HTTP/1, and the status of what it is answered; none when it is closed without an answer.
async fn asks(served: &Served, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("the connection ends")
        .ok()?;
    let answer = String::from_utf8_lossy(&answer);
    answer.split_whitespace().nth(1).map(str::to_owned)
}

#[tokio::test]
async fn what_is_always_answered_is_answered_when_no_place_is_left() {
    let limits = Limits { connections: 2, always_answered: &["/livez"], ..Limits::default() };
    let served = serve(limits, 64 * MIB).await;
    let mut under_way = Vec::new();
    for _ in 0..2 {
        let mut client = client(&served, 65_535).await;
        let (answer, _) =
            client.send_request(Request::get("http://test/wait").body(()).unwrap(), true).unwrap();
        under_way.push((client, answer.await.unwrap()));
    }
    for _ in 0..3 {
        assert_eq!(asks(&served, "/livez").await.as_deref(), Some("200"));
        assert_eq!(asks(&served, "/gather").await.as_deref(), Some("503"), "the places are for nothing else");
    }
    let mut silent = Vec::new();
    for _ in 0..2 * listener::PLACES_FOR_HEALTH {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert_eq!(asks(&served, "/livez").await.as_deref(), Some("200"), "those who say nothing give way");
    let mut answered = Vec::new();
    for _ in 0..2 * listener::PLACES_FOR_HEALTH {
        let mut client = client(&served, 65_535).await;
        let (answer, _) =
            client.send_request(Request::get("http://test/livez").body(()).unwrap(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        answered.push(client);
    }
    assert_eq!(asks(&served, "/livez").await.as_deref(), Some("200"), "and those who had their answer");
}

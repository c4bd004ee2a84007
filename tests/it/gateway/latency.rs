//! What it costs to be asked: the same Envoy, with the question and without, in turns.

use std::time::Duration;

use countersign::model::{Clock as _, SystemClock};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::echo;
use super::fleet::{Fleet, USER};
use super::proxy::Recipe;
use crate::support::http::{Http, bearer, request};

const REQUESTS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_adds_little_to_a_request() {
    let test = "asking_adds_little_to_a_request";
    let Some(fleet) = Fleet::start(test, &[]).await else { return };
    let recipe = Recipe::new("envoy/ext-authz.yaml", &fleet, echo::serve().await);
    let Some(envoy) = recipe.envoy(test, "ingress").await else { return };
    let authorization = bearer(&fleet.login(USER).await.access_token);
    let mut connection = connect(envoy.http).await;
    let clock = SystemClock::new();
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..REQUESTS * 2 + 100 {
        let (which, path) = if number % 2 == 0 { (0, "/public/page") } else { (1, "/orders") };
        let request = request("GET", path, &[("host", "app"), ("authorization", &authorization)], "");
        connection.ready().await.unwrap();
        let sent = clock.monotonic();
        let answer = connection.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap();
        if number >= 100 {
            times[which].push(clock.monotonic().since(sent));
        }
    }
    let [without, with] = times.map(percentiles);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "through Envoy, {REQUESTS} each in turns, unoptimised build: without ext_authz p50 {:.2} ms, p99 {:.2} ms; \
         with p50 {:.2} ms, p99 {:.2} ms; added p50 {:.2} ms, p99 {:.2} ms",
        ms(without[0]),
        ms(without[1]),
        ms(with[0]),
        ms(with[1]),
        ms(with[0]) - ms(without[0]),
        ms(with[1]) - ms(without[1]),
    );
    assert!(with[0] < Duration::from_millis(100), "half of all requests come near Envoy's 200 ms");
}

/// The median and the 99th.
fn percentiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

async fn connect(http: Http) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(http.0).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

//! The application behind a gateway: it says what it was sent.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// Serves until the test ends. The answer to everything is the request: its method, its target, and its headers, each
/// with the list of its values.
pub(super) async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    address
}

async fn echo(request: Request) -> axum::Json<Value> {
    let mut headers = Map::new();
    for (name, value) in request.headers() {
        let values = headers.entry(name.as_str()).or_insert_with(|| json!([]));
        values.as_array_mut().unwrap().push(String::from_utf8_lossy(value.as_bytes()).into());
    }
    let target = request.uri().path_and_query().map(ToString::to_string);
    axum::Json(json!({ "method": request.method().as_str(), "target": target, "headers": headers }))
}

//! Peers that do not behave. Each has a connection until it ends, and then makes another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// How often a peer that does nothing looks whether its connection is still there.
const LOOK: Duration = Duration::from_millis(50);

/// Peers on a runtime of their own, until this is dropped.
pub(super) struct Attack {
    runtime: Option<Runtime>,
    connected: Arc<AtomicUsize>,
}

impl Attack {
    /// So many of them on this port, each doing that with every connection that it gets.
    pub(super) fn begin<F>(
        address: SocketAddr,
        peers: usize,
        peer: impl Fn(TcpStream) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connected = Arc::new(AtomicUsize::new(0));
        for _ in 0..peers {
            let (peer, connected) = (peer.clone(), Arc::clone(&connected));
            runtime.spawn(async move {
                loop {
                    if let Ok(stream) = TcpStream::connect(address).await {
                        connected.fetch_add(1, Ordering::Relaxed);
                        peer(stream).await;
                    }
                    tokio::time::sleep(LOOK).await;
                }
            });
        }
        Self { runtime: Some(runtime), connected }
    }

    /// How many connections they have had.
    pub(super) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        // With it all connections end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

/// Returns when the server has ended the connection. Reads nothing.
pub(super) async fn hold(stream: &TcpStream) {
    while let Ok(ready) = stream.ready(Interest::READABLE | Interest::WRITABLE).await {
        if ready.is_read_closed() || ready.is_write_closed() || ready.is_error() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends this, and reads nothing.
pub(super) async fn say_and_hold(mut stream: TcpStream, said: Arc<Vec<u8>>) {
    if stream.write_all(&said).await.is_ok() {
        hold(&stream).await;
    }
}

/// Sends this, then piece after piece without reading.
pub(super) async fn flood(mut stream: TcpStream, opening: Vec<u8>, mut next: impl FnMut() -> Vec<u8> + Send) {
    if stream.write_all(&opening).await.is_err() {
        return;
    }
    while stream.write_all(&next()).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// Sends this, then piece after piece with pauses between them, and reads whatever comes.
pub(super) async fn converse(
    stream: TcpStream,
    opening: Vec<u8>,
    mut next: impl FnMut() -> Vec<u8> + Send,
    pause: Duration,
) {
    let (mut reader, mut writer) = stream.into_split();
    let reads = async {
        let mut buffer = vec![0; 16 * 1024];
        while reader.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    };
    let sends = async {
        let mut said = writer.write_all(&opening).await;
        while said.is_ok() {
            tokio::time::sleep(pause).await;
            said = writer.write_all(&next()).await;
        }
    };
    tokio::select! {
        () = reads => {}
        () = sends => {}
    }
}

/// Begins as many requests as it may, up to a thousand at a time, sends this of each and then nothing more.
pub(super) async fn begin_requests(
    stream: TcpStream,
    path: &'static str,
    content_type: &'static str,
    begun: Bytes,
) {
    let Ok((mut client, connection)) = h2::client::handshake(stream).await else { return };
    let begins = async {
        let mut requests = tokio::task::JoinSet::new();
        while let Ok(ready) = client.ready().await {
            client = ready;
            let request = Request::post(format!("http://localhost{path}"))
                .header("content-type", content_type)
                .header("te", "trailers")
                .body(())
                .unwrap();
            let Ok((answer, mut body)) = client.send_request(request, false) else { break };
            let _ = body.send_data(begun.clone(), false);
            requests.spawn(async move {
                let _ = answer.await;
                drop(body);
            });
            while requests.len() >= 1000 {
                requests.join_next().await;
            }
            while requests.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        _ = connection => {}
        () = begins => {}
    }
}

/// Asks a hundred times over HTTP/2 without a window for the answers, and acknowledges PINGs.
pub(super) async fn ask_without_window(stream: TcpStream, path: &'static str, message: Option<Bytes>) {
    let handshake = h2::client::Builder::new().initial_window_size(0).handshake(stream).await;
    let Ok((mut client, connection)) = handshake else { return };
    let asks = async {
        let mut answers = Vec::new();
        for _ in 0..100 {
            let Ok(ready) = client.ready().await else { return };
            client = ready;
            let request = if message.is_some() { Request::post(path) } else { Request::get(path) };
            let request = request.header("content-type", "application/grpc").body(()).unwrap();
            let Ok((answer, mut body)) = client.send_request(request, message.is_none()) else { return };
            if let Some(message) = message.clone() {
                let _ = body.send_data(message, true);
            }
            answers.push((answer, body));
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = connection => {}
        () = asks => {}
    }
}

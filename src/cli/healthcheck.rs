//! `countersign healthcheck`: for images in which there is nothing else to ask with.

use std::time::Duration;

use clap::Args;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Failure;
use super::program::BoxError;
use super::tls::Tls;
use crate::config::duration;

/// How much of an answer is read: the reason why a service is not ready is short.
const MAX_BODY_BYTES: usize = 4096;

/// Asks whether a service is ready.
#[derive(Debug, Args)]
pub struct Healthcheck {
    /// What to ask
    #[arg(long, default_value = "http://127.0.0.1:9090/readyz", value_parser = url)]
    pub url: Uri,
    /// How long to wait for the answer, such as 2s
    #[arg(long, default_value = "2s", value_parser = duration::parse)]
    pub timeout: Duration,
    /// Whom to trust with https://.
    #[command(flatten)]
    pub tls: Tls,
}

fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err("must begin with http:// or https:// and a host".to_owned());
    }
    Ok(url)
}

impl Healthcheck {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self { url, timeout, tls } = self;
        match tokio::time::timeout(timeout, get(&url, &tls)).await {
            Ok(Ok((StatusCode::OK, _))) => Ok(()),
            Ok(Ok((status, body))) => {
                Err(BoxError::from(format!("not ready: {url} answers {status}: {body}")).into())
            }
            Ok(Err(error)) => Err(NoAnswer { url, source: error }.into_failure()),
            Err(_) => {
                let waited = duration::format(timeout);
                Err(BoxError::from(format!("{url} does not answer within {waited}")).into())
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{url} does not answer")]
struct NoAnswer {
    url: Uri,
    source: BoxError,
}

impl NoAnswer {
    fn into_failure(self) -> Failure {
        Failure::Failed(Box::new(self))
    }
}

/// One GET by HTTP/1.1 (RFC 9112): the status and the body as one printable line.
async fn get(url: &Uri, tls: &Tls) -> Result<(StatusCode, String), BoxError> {
    let host = url.host().unwrap_or_default();
    let is_https = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let stream = TcpStream::connect(format!("{host}:{port}")).await?;
    if is_https {
        return ask(url, TokioIo::new(tls.connect(host, stream, &[]).await?)).await;
    }
    ask(url, TokioIo::new(stream)).await
}

async fn ask<S>(url: &Uri, stream: S) -> Result<(StatusCode, String), BoxError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);

    let host = url.host().unwrap_or_default();
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = url.authority().map_or(host, http::uri::Authority::as_str);
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BODY_BYTES).collect().await?.to_bytes();
    let line = String::from_utf8_lossy(&body).replace(char::is_control, " ");
    Ok((status, line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes, and asks `path` for them.
    async fn check(answer: &'static str, timeout: &str) -> (Result<(), Failure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz?x=1", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let asked = Healthcheck {
            url: super::url(&url).unwrap(),
            timeout: duration::parse(timeout).unwrap(),
            tls: Tls::default(),
        };
        let outcome = asked.run().await;
        let request = if answer.is_empty() { String::new() } else { server.await.unwrap() };
        (outcome, request)
    }

    #[tokio::test]
    async fn a_ready_service_is_ready() {
        let (outcome, request) = check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "10s").await;
        outcome.unwrap();
        assert!(request.starts_with("GET /readyz?x=1 HTTP/1.1\r\n") && request.contains("host: 127."));
    }

    #[tokio::test]
    async fn a_service_that_is_not_ready_says_why() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 12\r\n\r\nsqlite\x1b[2J:x";
        let failure = check(answer, "10s").await.0.unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("503") && text.ends_with("sqlite [2J:x"), "{text:?}");
        assert_eq!(failure.exit_code(), 1);
    }

    #[tokio::test]
    async fn a_service_that_does_not_answer_is_waited_for_no_longer_than_asked() {
        let failure = check("", "20ms").await.0.unwrap_err();
        assert!(failure.to_string().ends_with("does not answer within 20ms"), "{failure}");
    }

    #[test]
    fn only_http_and_https_can_be_asked() {
        for bad in ["127.0.0.1:9090", "/readyz", "http:///x", "", "ftp://h/"] {
            assert!(url(bad).is_err(), "{bad:?}");
        }
        for good in ["http://[::1]:9090/readyz", "https://127.0.0.1/"] {
            assert!(url(good).is_ok(), "{good}");
        }
    }
}

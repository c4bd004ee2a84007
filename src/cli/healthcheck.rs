//! `countersign healthcheck`: for images in which there is nothing else to ask with.
//!
//! Without a URL it asks the service that the same configuration configures: at its operations port, in TLS where that
//! speaks TLS. It is the same machine and the answer is a yes or a no, so the server's certificate is not held to
//! authorities or to a name unless some are given; kubelet does likewise. A certificate that has expired is a warning of
//! the service and no reason to end it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
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
use crate::config::{ClientCertificates, Operations, duration, process_environment, shown_url};

/// How much of an answer is read: the reason why a service is not ready is short.
const MAX_BODY_BYTES: usize = 4096;

/// Asks whether a service is ready.
#[derive(Debug, Args)]
pub struct Healthcheck {
    /// What to ask, instead of the operations port that the configuration says
    #[arg(long, value_parser = url)]
    pub url: Option<Uri>,
    /// The configuration file of the service; without one, the environment alone configures
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    pub config: Option<PathBuf>,
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
        let Self { url, config, timeout, tls } = self;
        let (url, tls) = match url {
            Some(url) => (url, tls),
            None => own(&Operations::load(config.as_deref(), process_environment()?)?, tls)?,
        };
        match tokio::time::timeout(timeout, get(&url, &tls)).await {
            Ok(Ok((StatusCode::OK, _))) => Ok(()),
            Ok(Ok((status, body))) => {
                Err(BoxError::from(format!("not ready: {} answers {status}: {body}", shown(&url))).into())
            }
            Ok(Err(error)) => {
                let hint = if is_refusal(error.as_ref()) { NEEDS_CERTIFICATE } else { "" };
                Err(NoAnswer { url: shown(&url), hint, source: error }.into_failure())
            }
            Err(_) => {
                let waited = duration::format(timeout);
                Err(BoxError::from(format!("{} does not answer within {waited}", shown(&url))).into())
            }
        }
    }
}

/// The URL without what may be a secret in it.
fn shown(url: &Uri) -> String {
    shown_url(&url.to_string())
}

/// What to ask the service with this configuration, and how.
fn own(operations: &Operations, given: Tls) -> Result<(Uri, Tls), Failure> {
    let Operations { listen, tls } = operations;
    if listen.port() == 0 {
        return Err(Failure::Usage("operations.listen has port 0, which is any: give --url".to_owned()));
    }
    let host = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    let scheme = if tls.is_enabled() { "https" } else { "http" };
    let url = format!("{scheme}://{}/readyz", SocketAddr::new(host, listen.port()));
    let url = url.parse().map_err(BoxError::from)?;
    let mut speaks = Tls { any_server: true, ..given };
    // Where a certificate is wanted, the service's own is as good as any that its authority has issued to a client, too.
    if speaks.certificate_file.is_none() && tls.client_certificates == ClientCertificates::Required {
        speaks.certificate_file = Some(tls.certificate_file.clone());
        speaks.key_file = Some(tls.key_file.clone());
    }
    Ok((url, speaks))
}

#[derive(Debug, thiserror::Error)]
#[error("{url} does not answer{hint}")]
struct NoAnswer {
    url: String,
    hint: &'static str,
    source: BoxError,
}

impl NoAnswer {
    fn into_failure(self) -> Failure {
        Failure::Failed(Box::new(self))
    }
}

const NEEDS_CERTIFICATE: &str =
    ": it takes no certificate that it was shown; give one with --certificate-file and --key-file";

/// Whether the server ended the handshake because of our certificate (RFC 8446 §6.2), or because there was none.
fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::AlertDescription as Alert;
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let tls = cause.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let tls = tls.and_then(|error| error.downcast_ref::<rustls::Error>());
        matches!(
            tls,
            Some(rustls::Error::AlertReceived(
                Alert::CertificateRequired
                    | Alert::BadCertificate
                    | Alert::UnknownCA
                    | Alert::UnsupportedCertificate
                    | Alert::CertificateExpired
                    | Alert::CertificateUnknown
                    | Alert::DecryptError
                    | Alert::AccessDenied
            ))
        )
    })
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
    let connection = tokio::spawn(connection);

    let host = url.host().unwrap_or_default();
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = url.authority().map_or(host, http::uri::Authority::as_str);
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = match sender.send_request(request).await {
        Ok(answer) => answer,
        // It was over before the request could go out; why, only the connection knows.
        Err(error) if error.is_canceled() => match connection.await {
            Ok(Err(cause)) => return Err(cause.into()),
            _ => return Err(error.into()),
        },
        Err(error) => return Err(error.into()),
    };
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
            url: Some(super::url(&url).unwrap()),
            config: None,
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
    fn it_asks_the_operations_port_of_the_same_configuration() {
        let asked = |variables: &[(&str, &str)]| {
            let variable =
                |(key, value): &(&str, &str)| (format!("COUNTERSIGN__OPERATIONS__{key}"), (*value).into());
            let operations = Operations::load(None, variables.iter().map(variable)).unwrap();
            own(&operations, Tls::default()).map(|(url, tls)| (url.to_string(), tls.certificate_file))
        };
        let pair = [("TLS__CERTIFICATE_FILE", "tls.crt"), ("TLS__KEY_FILE", "tls.key")];
        let clients = |asked| {
            [pair[0], pair[1], ("TLS__CLIENT_CA_FILE", "ca.crt"), ("TLS__CLIENT_CERTIFICATES", asked)]
        };
        for (variables, url, certificate) in [
            (&[][..], "http://127.0.0.1:9090/readyz", None),
            (&[("LISTEN", "0.0.0.0:9191")], "http://127.0.0.1:9191/readyz", None),
            (&[("LISTEN", "[::]:9191")], "http://[::1]:9191/readyz", None),
            (&[("LISTEN", "10.0.0.7:9090")], "http://10.0.0.7:9090/readyz", None),
            (&pair, "https://127.0.0.1:9090/readyz", None),
            (&clients("optional"), "https://127.0.0.1:9090/readyz", None),
            (&clients("required"), "https://127.0.0.1:9090/readyz", Some(PathBuf::from("tls.crt"))),
        ] {
            assert_eq!(asked(variables).unwrap(), (url.to_owned(), certificate), "{variables:?}");
        }
        assert_eq!(asked(&[("LISTEN", "127.0.0.1:0")]).unwrap_err().exit_code(), 2);
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

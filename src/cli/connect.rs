//! The connection to a running service over gRPC.

use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Failure;
use super::program::BoxError;
use super::tls::Tls;
use crate::grpc::{Connector, Target};

/// Where gRPC is served unless the address says otherwise.
const PORT: u16 = 50051;

/// Either kind of connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The URL of a service: `http://host:port`, or `https://host:port` for TLS.
pub(super) fn address(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err("must begin with http:// or https:// and a host".to_owned());
    }
    Ok(url)
}

/// The service at this address, to be asked over one connection. Fails where TLS cannot be spoken for want of authorities.
pub(super) fn target(
    address: &Uri,
    tls: &Tls,
    timeout: Duration,
) -> Result<Target<impl Connector + use<>>, Failure> {
    if address.scheme_str() == Some("https") && tls.ca_file.is_none() {
        return Err(Failure::Usage("https:// needs --ca-file".to_owned()));
    }
    let (to, tls) = (address.clone(), tls.clone());
    let connector = tower::service_fn(move |_| connect(to.clone(), tls.clone()));
    Ok(Target { address: address.clone(), connector, timeout })
}

/// Connects, in TLS where the address says so.
async fn connect(address: Uri, tls: Tls) -> Result<TokioIo<Box<dyn Stream>>, BoxError> {
    let host = address.host().unwrap_or_default();
    let stream = TcpStream::connect(format!("{host}:{}", address.port_u16().unwrap_or(PORT))).await?;
    let stream: Box<dyn Stream> = match address.scheme_str() {
        Some("https") => Box::new(tls.connect(host, stream, &[b"h2"]).await?),
        _ => Box::new(stream),
    };
    Ok(TokioIo::new(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_grpc_services_can_be_asked() {
        for bad in ["127.0.0.1:50051", "ftp://h/", "", "http:///x"] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
        assert!(address("https://[::1]:50051").is_ok());
    }
}

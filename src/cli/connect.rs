//! The connection to a running service over gRPC.

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::program::BoxError;
use super::tls::Tls;

/// Where gRPC is served unless the address says otherwise.
const PORT: u16 = 50051;

/// Either kind of connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The URL of a service: `http://host:port`, or `https://host:port` for TLS.
pub(super) fn address(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err("must begin with http:// or https:// and a host".to_owned());
    }
    Ok(url)
}

/// Connects, in TLS where the address says so.
pub(super) async fn connect(address: Uri, tls: Tls) -> Result<TokioIo<Box<dyn Stream>>, BoxError> {
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

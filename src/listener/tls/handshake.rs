//! From a connection to one that speaks TLS.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{CertificateNames, HandshakeError, Tls, identity};

impl Tls {
    /// Shakes hands, by what is loaded now. Says whom the client's certificate names, where it brought one; it
    /// was verified then.
    ///
    /// A handshake waits for no other. How many there are at once is bounded as connections are, and a silent one gives
    /// way as a silent connection does.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Option<CertificateNames>), HandshakeError> {
        let limit = self.options.handshake_timeout;
        let outcome = tokio::time::timeout(limit, self.shake_hands(stream)).await;
        let outcome = outcome.unwrap_or(Err(HandshakeError::Late(limit)));
        if outcome.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        let stream = outcome?;
        let certificates = stream.get_ref().1.peer_certificates();
        let names = certificates.and_then(<[_]>::first).map(|certificate| identity::names(certificate));
        Ok((stream, names))
    }

    async fn shake_hands(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.load().config));
        acceptor.accept(stream).await.map_err(HandshakeError::Failed)
    }
}

use std::path::PathBuf;
use std::time::Duration;

/// Why the files of a listener's TLS cannot be used. Nothing of a key is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than any that is meant.
    #[error("{} is larger than {most} bytes", file.display())]
    TooLarge {
        /// Which.
        file: PathBuf,
        /// The most that is read.
        most: u64,
    },
    /// The files are being written: each time that they were read they held something else.
    #[error("the files change faster than they can be read")]
    Changing,
    /// A file is not PEM, or nothing of what it should hold is in it.
    #[error("{} holds no {what} in PEM", file.display())]
    Missing {
        /// Which.
        file: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// What is in a certificate cannot be read.
    #[error("{} holds a certificate that cannot be read", file.display())]
    Certificate {
        /// Which.
        file: PathBuf,
    },
    /// Certificate and key are not each other's, or not of a kind that is known.
    #[error("{} and {} cannot be used together: {source}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities cannot be used.
    #[error("{} holds authorities that cannot be used: {why}", file.display())]
    Authorities {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

/// Why a connection never came to speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It took too long.
    #[error("the handshake took longer than {} ms", _0.as_millis())]
    Late(Duration),
    /// It failed: no TLS at all, no version or protocol in common, or a certificate that is missing or not good.
    #[error("the handshake failed: {0}")]
    Failed(std::io::Error),
}

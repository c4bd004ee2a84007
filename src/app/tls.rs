//! The certificates of the listeners: loaded from the configuration, watched while they serve.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Assembly, StartError};
use crate::config::{self, Config};
use crate::lifecycle::Lifecycle;
use crate::listener::Caller;
use crate::listener::tls::{ClientCertificates, Reload, Tls, TlsError, TlsOptions};
use crate::model::UnixMillis;
use crate::transport::{Encrypted, Peer, PeerNames};

/// How often the files are looked at.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// A certificate is about to expire when less than this part of its life is left, and less than this time: whoever
/// renews certificates has had ample time by then, be they good for a year or for an hour.
const LAST_PART: i64 = 6;
const LAST_DAYS: Duration = Duration::from_hours(7 * 24);

/// The TLS of each listener; `None` for one that speaks plain HTTP.
#[derive(Debug, Clone, Default)]
pub struct ListenersTls {
    /// Of `[grpc.tls]`.
    pub grpc: Option<Arc<Tls>>,
    /// Of `[edge.tls]`.
    pub edge: Option<Arc<Tls>>,
    /// Of `[operations.tls]`.
    pub operations: Option<Arc<Tls>>,
}

impl ListenersTls {
    pub(super) fn load(config: &Config) -> Result<Self, StartError> {
        let edge =
            if config.edge.enabled { load("edge.tls", &config.edge.tls, TlsOptions::HTTP)? } else { None };
        Ok(Self {
            grpc: load("grpc.tls", &config.grpc.tls, TlsOptions::HTTP2)?,
            edge,
            operations: load("operations.tls", &config.operations.tls, TlsOptions::HTTP)?,
        })
    }

    /// Those that speak TLS, each by the name of its section.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Arc<Tls>)> {
        let all = [("grpc.tls", &self.grpc), ("edge.tls", &self.edge), ("operations.tls", &self.operations)];
        all.into_iter().filter_map(|(section, tls)| Some((section, tls.as_ref()?)))
    }
}

fn load(
    section: &'static str,
    tls: &config::Tls,
    protocols: &'static [&'static [u8]],
) -> Result<Option<Arc<Tls>>, StartError> {
    if !tls.is_enabled() {
        return Ok(None);
    }
    let options = TlsOptions {
        certificate_file: tls.certificate_file.clone(),
        key_file: tls.key_file.clone(),
        client_ca_file: tls.client_ca_file.clone(),
        client_certificates: match tls.client_certificates {
            config::ClientCertificates::None => ClientCertificates::Ignored,
            config::ClientCertificates::Optional => ClientCertificates::Optional,
            config::ClientCertificates::Required => ClientCertificates::Required,
        },
        protocols,
        handshake_timeout: tls.handshake_timeout,
    };
    Tls::load(options)
        .map(|tls| Some(Arc::new(tls)))
        .map_err(|source| StartError::Tls { section, source: Box::new(source) })
}

/// Notes on a request who sends it.
pub(super) fn stamp(extensions: &mut http::Extensions, caller: &Caller) {
    extensions.insert(Peer(caller.ip()));
    if caller.is_encrypted() {
        extensions.insert(Encrypted);
    }
    if let Some(names) = caller.certificate() {
        extensions.insert(PeerNames(Arc::clone(names)));
    }
}

/// Looks at the files every few seconds, and at once on SIGHUP, until the service stops.
pub(super) fn watch(parts: &Arc<Assembly>, lifecycle: &Lifecycle) {
    if parts.tls.iter().next().is_none() {
        return;
    }
    let (parts, stop) = (Arc::clone(parts), lifecycle.aborting().clone());
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(WATCH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut watched: Vec<Watched> =
            parts.tls.iter().map(|(section, tls)| Watched::new(section, tls)).collect();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = received(hangup.as_mut()) => {}
                _ = tick.tick() => {}
            }
            for listener in &mut watched {
                let warning = listener.look(parts.clock.now()).await;
                parts.readiness.set_warning(listener.section, warning);
            }
        }
    });
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// One listener's certificates, over time.
struct Watched {
    section: &'static str,
    tls: Arc<Tls>,
    /// What was wrong with the files the last time.
    failure: Option<String>,
}

impl Watched {
    fn new(section: &'static str, tls: &Arc<Tls>) -> Self {
        Self { section, tls: Arc::clone(tls), failure: None }
    }

    /// Reads the files again; says what an operator should know.
    async fn look(&mut self, now: UnixMillis) -> Option<String> {
        let tls = Arc::clone(&self.tls);
        let outcome = tokio::task::spawn_blocking(move || tls.reload()).await;
        let section = self.section;
        let failure = match outcome {
            Ok(Ok(Reload::Unchanged)) => None,
            Ok(Ok(Reload::Replaced)) => {
                let not_after = self.tls.certificate_not_after();
                tracing::info!(section, not_after = not_after.as_secs(), "certificates replaced");
                None
            }
            Ok(Err(error)) => Some(TlsError::to_string(&error)),
            Err(panicked) => Some(panicked.to_string()),
        };
        // Files that are being written one after the other do not fit each other for a moment: only what is
        // wrong twice is told.
        let persists = failure.is_some() && failure == self.failure;
        self.failure = failure;
        let broken = self.failure.as_ref().filter(|_| persists).map(|failure| {
            format!("the new files are not used, and the old certificates still are: {failure}")
        });
        broken.or_else(|| expiry(&self.tls, now))
    }
}

/// What is to be said of a certificate that expires soon, or has.
fn expiry(tls: &Tls, now: UnixMillis) -> Option<String> {
    let (not_before, not_after) = (tls.certificate_not_before(), tls.certificate_not_after());
    let left = not_after.0.saturating_sub(now.0);
    if left <= 0 {
        return Some("the certificate has expired, and clients refuse it".to_owned());
    }
    let part = not_after.0.saturating_sub(not_before.0) / LAST_PART;
    let days = i64::try_from(LAST_DAYS.as_millis()).unwrap_or(i64::MAX);
    let soon = left < part.min(days);
    soon.then(|| {
        format!("the certificate expires at {} (seconds since 1970) and was not renewed", not_after.as_secs())
    })
}

//! The HTTP edge, put together from the configuration.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::{Assembly, ListenersTls, StartError, bind, tls};
use crate::config::{self, CaptchaMode, Config};
use crate::http::captcha::{Authorities, OnUnavailable, When};
use crate::http::{
    self, Captcha, CaptchaOptions, Client, Clients, ErrorShape, HttpOptions, RefreshCookie, RefreshTransport,
    SameSite, Times,
};
use crate::lifecycle::Lifecycle;
use crate::listener::{self, Budget, Port};
use crate::reason::Reason;
use crate::text;
use crate::transport::TrustedProxies;

/// The edge, bound to its port.
pub(super) struct Edge {
    port: Port,
    settings: Settings,
}

/// What the configuration says of the edge, taken apart.
pub(super) struct Settings {
    clients: Clients,
    trusted_proxies: TrustedProxies,
    captcha: Option<Captcha>,
    error_codes: BTreeMap<Reason, u32>,
}

impl Edge {
    /// Binds the port, unless the edge is switched off.
    pub(super) async fn bind(
        config: &Config,
        tls: &ListenersTls,
        budget: &Budget,
    ) -> Result<Option<Self>, StartError> {
        let edge = &config.edge;
        if !edge.enabled {
            return Ok(None);
        }
        Ok(Some(Self {
            settings: Settings::of(config)?,
            port: Port::new(bind("edge.listen", edge.listen).await?, tls.edge.clone()).within(budget.clone()),
        }))
    }

    /// The port that it is bound to.
    pub(super) const fn port(&self) -> &Port {
        &self.port
    }

    /// Where it is bound.
    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.port.local_addr()
    }

    /// Serves until the service stops.
    pub(super) fn serve(self, parts: &Arc<Assembly>, lifecycle: &Lifecycle) {
        let config = &parts.config;
        if config.edge.plain_http {
            tracing::warn!(
                "the HTTP edge is for plain HTTP on loopback: cookies have no Secure and no prefix"
            );
        }
        let limits = super::limits_of(config, config.edge.max_connections as usize);
        lifecycle.tasks().spawn(listener::serve(
            "http",
            self.port,
            self.settings.service(parts, lifecycle),
            tls::stamp,
            limits,
            lifecycle.stopping().clone(),
            lifecycle.aborting().clone(),
        ));
    }
}

impl Settings {
    /// Takes the configuration apart.
    pub(super) fn of(config: &Config) -> Result<Self, StartError> {
        let edge = &config.edge;
        let clients = edge.clients()?.into_iter().map(|client| Client {
            id: client.id,
            secret: client.secret,
            audiences: client.audiences,
        });
        Ok(Self {
            clients: clients.collect(),
            trusted_proxies: TrustedProxies::new(edge.trusted_networks()?),
            captcha: captcha(config)?,
            error_codes: edge.error_codes()?,
        })
    }

    /// What is served on the port.
    pub(super) fn service(self, parts: &Arc<Assembly>, lifecycle: &Lifecycle) -> http::EdgeService {
        let config = &parts.config;
        let edge = &config.edge;
        let keys = parts.keys.clone();
        let calls = http::Calls::new(parts.clock.clone());
        parts.metrics.add(calls.source());
        let options = HttpOptions {
            body_timeout: config.limits.request_timeout,
            deadlines: super::deadlines(config),
            tasks: lifecycle.tasks().clone(),
            issuer: config.tokens.issuer.clone(),
            keys_max_age: config.keys.reload_interval * config::Keys::KEPT_FOR,
            refresh_transport: match edge.refresh_transport {
                config::RefreshTransport::Cookie => RefreshTransport::Cookie,
                config::RefreshTransport::Body => RefreshTransport::Body,
            },
            unchanged_for: config.rotation.policy().settled_after().unwrap_or_default(),
            refresh_cookie: RefreshCookie {
                name: edge.cookie_name.clone(),
                path: edge.cookie_path.clone(),
                same_site: match edge.cookie_same_site {
                    config::SameSite::Strict => SameSite::Strict,
                    config::SameSite::Lax => SameSite::Lax,
                    config::SameSite::None => SameSite::None,
                },
            },
            plain_http: edge.plain_http,
            errors: match edge.errors {
                config::ErrorShape::Problem => ErrorShape::Problem,
                config::ErrorShape::Status => ErrorShape::Status,
            },
            envelope: edge.envelope,
            times: match edge.times {
                config::Times::Rfc3339 => Times::Rfc3339,
                config::Times::EpochMillis => Times::EpochMillis,
            },
            allowed_origins: edge.allowed_origins.clone(),
            csrf: edge.csrf,
            hsts: edge.hsts,
            clients: self.clients,
            trusted_proxies: self.trusted_proxies,
            captcha: self.captcha,
            requests: parts.stores.request_limit(config, &parts.clock),
            error_codes: self.error_codes,
            calls,
            pages: if edge.demonstration { http::page::demonstration() } else { http::Pages::new() },
            ..HttpOptions::new(parts.clock.clone(), Arc::new(move || keys.current().signing.key_set()))
        };
        http::router(parts.authenticator.clone(), options)
    }
}

/// The captcha before Login, where there is one.
pub(super) fn captcha(config: &Config) -> Result<Option<Captcha>, StartError> {
    let captcha = &config.captcha;
    let when = match captcha.mode {
        CaptchaMode::Off => return Ok(None),
        CaptchaMode::Always => When::Always,
        CaptchaMode::AfterFailures => {
            When::AfterFailures { failures: captcha.failures, window: captcha.window }
        }
    };
    let on_unavailable = match captcha.on_unavailable {
        config::OnUnavailable::Deny => OnUnavailable::Deny,
        config::OnUnavailable::Allow => OnUnavailable::Allow,
    };
    Ok(Some(Captcha::new(CaptchaOptions {
        verify_url: captcha.url()?,
        authorities: authorities(&captcha.ca_file)?,
        secret: captcha.secret.clone(),
        when,
        timeout: captcha.timeout,
        on_unavailable,
    })))
}

/// The authorities of a PEM file, which may be left out.
fn authorities(file: &Path) -> Result<Option<Authorities>, StartError> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let pem = text::file_bytes(file, text::MAX_PEM_BYTES).map_err(io::Error::from);
    let authorities = pem.and_then(|pem| Authorities::from_pem(&pem).map_err(io::Error::other));
    authorities.map(Some).map_err(|source| StartError::File {
        setting: "captcha.ca_file",
        file: file.to_owned(),
        source,
    })
}

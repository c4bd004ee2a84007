use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::error::VerifyError;
use super::live_verifier::LiveVerifier;
use crate::VerifiedToken;

/// The token of `Authorization: Bearer` (RFC 6750 §2.1); none when the header is missing, there twice, or says
/// something else.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Lets only requests with a good access token through to a gRPC service, with an `Arc<VerifiedToken>` in their
/// extensions. Others are answered UNAUTHENTICATED, or UNAVAILABLE where nothing can be known of their token, with
/// the reason in `google.rpc.ErrorInfo`: see [`VerifyError::to_status`].
///
/// A tower layer, for `Server::builder().layer(…)` or around one service.
#[derive(Debug, Clone)]
pub struct AuthenticateLayer {
    verifier: LiveVerifier,
    audiences: Arc<[String]>,
}

impl AuthenticateLayer {
    /// Expects the audiences that the verifier's rules name.
    pub fn new(verifier: LiveVerifier) -> Self {
        Self { verifier, audiences: Arc::default() }
    }

    /// Expects one of these audiences.
    #[must_use]
    pub fn for_audiences(self, audiences: impl Into<Arc<[String]>>) -> Self {
        Self { audiences: audiences.into(), ..self }
    }

    /// Who the request comes from.
    async fn authenticate(&self, token: Option<String>) -> Result<Arc<VerifiedToken>, VerifyError> {
        let token = token.ok_or(VerifyError::Missing)?;
        self.verifier.verify(&token, &self.audiences).await
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate { inner, layer: self.clone() }
    }
}

/// See [`AuthenticateLayer`].
#[derive(Debug, Clone)]
pub struct Authenticate<S> {
    inner: S,
    layer: AuthenticateLayer,
}

impl<S, B, R> Service<Request<B>> for Authenticate<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let layer = self.layer.clone();
        // The one that was found ready answers this request; its clone will be asked about the next.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let token = bearer_token(request.headers()).map(str::to_owned);
        Box::pin(async move {
            match layer.authenticate(token).await {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await
                }
                Err(error) => Ok(error.to_status().into_http()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_told_from_everything_else() {
        let token = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            bearer_token(&headers).map(str::to_owned)
        };
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(token(&[good]).as_deref(), Some("a.b.c"), "{good:?}");
        }
        for bad in
            [&[][..], &["Bearer"], &["Bearer "], &["Basic a.b.c"], &["a.b.c"], &["Bearer a", "Bearer a"]]
        {
            assert_eq!(token(bad), None, "{bad:?}");
        }
    }
}

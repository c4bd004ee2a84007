//! Cross-origin resource sharing (the Fetch standard): exact origins, with credentials.

use std::time::Duration;

use http::header::{
    ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method};
use tower_http::cors::CorsLayer;

use super::{captcha, csrf};
use crate::transport::request_id;

/// How long a browser may remember what it was allowed.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Lets pages of these origins call and read the answers. Every answer varies by `Origin`, so that no cache hands
/// the one origin what was meant for the other.
pub(super) fn layer(allowed_origins: &[String]) -> CorsLayer {
    let origins = allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            ACCEPT_LANGUAGE,
            request_id::HEADER,
            csrf::HEADER,
            captcha::HEADER,
        ])
        .expose_headers([RETRY_AFTER, WWW_AUTHENTICATE, CONTENT_LANGUAGE, request_id::HEADER, csrf::HEADER])
        .max_age(MAX_AGE)
}

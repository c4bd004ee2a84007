//! What is read and written of Envoy's messages: `envoy/service/auth/v3/external_auth.proto` on the wire, no more of it
//! than is needed, and with `bytes` where that has `string`.
//!
//! Envoy passes on what its clients send. A header, or a path, that is no UTF-8 makes Envoy's own types fail to decode,
//! so that a client would choose between a decision and an error (GHSA-9g5w-hqr3-w2ph); bytes are always read. What is
//! not listed here is skipped unread. The tests speak Envoy's own types.

use std::fmt;

use prost::{Message, Oneof};
use prost_types::Struct;
use tonic_types::pb::Status;

/// `CheckRequest`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) attributes: Option<AttributeContext>,
}

/// `AttributeContext`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeContext {
    #[prost(message, optional, tag = "4")]
    pub(super) request: Option<AttributeRequest>,
    #[prost(message, repeated, tag = "10")]
    pub(super) context_extensions: Vec<Entry>,
}

/// `AttributeContext.Request`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeRequest {
    #[prost(message, optional, tag = "2")]
    pub(super) http: Option<HttpRequest>,
}

/// `AttributeContext.HttpRequest`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpRequest {
    #[prost(bytes = "vec", tag = "2")]
    pub(super) method: Vec<u8>,
    /// The client's `Host` or `:authority`.
    #[prost(bytes = "vec", tag = "5")]
    pub(super) host: Vec<u8>,
    /// Where the filter merges headers of one name, with a comma.
    #[prost(message, repeated, tag = "3")]
    pub(super) headers: Vec<Entry>,
    /// Where the filter has `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub(super) header_map: Option<HeaderMap>,
}

/// An entry of a map from strings to strings.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct Entry {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `envoy.config.core.v3.HeaderMap`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    pub(super) headers: Vec<RawHeader>,
}

/// `envoy.config.core.v3.HeaderValue` as it is read.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct RawHeader {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) raw_value: Vec<u8>,
}

/// Shows the name alone: the value may be a token.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [redacted]", self.key.escape_ascii())
    }
}

/// Shows the name alone: the value may be a token.
impl fmt::Debug for RawHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [redacted]", self.key.escape_ascii())
    }
}

/// `CheckResponse`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(oneof = "HttpResponse", tags = "2, 3, 5")]
    pub(super) http_response: Option<HttpResponse>,
    #[prost(message, optional, tag = "4")]
    pub(super) dynamic_metadata: Option<Struct>,
}

/// `CheckResponse.http_response`
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum HttpResponse {
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
    #[prost(message, tag = "5")]
    Error(DeniedHttpResponse),
}

/// `DeniedHttpResponse`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    pub(super) headers: Vec<HeaderValueOption>,
    #[prost(string, tag = "3")]
    pub(super) body: String,
}

/// `envoy.type.v3.HttpStatus`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
}

/// `OkHttpResponse`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OkHttpResponse {
    #[prost(message, repeated, tag = "2")]
    pub(super) headers: Vec<HeaderValueOption>,
    #[prost(string, repeated, tag = "5")]
    pub(super) headers_to_remove: Vec<String>,
}

/// `envoy.config.core.v3.HeaderValueOption`. Its older `append` is left out, which means the same here: overwrite.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    header: Option<HeaderValue>,
    #[prost(int32, tag = "3")]
    append_action: i32,
    #[prost(bool, tag = "4")]
    keep_empty_value: bool,
}

/// `envoy.config.core.v3.HeaderValue` as it is written.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl HeaderValueOption {
    /// `HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`
    const OVERWRITE: i32 = 2;

    /// The header with this value and no other.
    pub(super) fn overwrite(key: &str, value: impl Into<String>) -> Self {
        let header = HeaderValue { key: key.to_owned(), value: value.into() };
        Self { header: Some(header), append_action: Self::OVERWRITE, keep_empty_value: true }
    }
}

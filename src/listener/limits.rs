//! What a listener allows its peers.

use std::time::Duration;

/// What a listener allows its peers. Times are kept to within a second.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. When there are as many, one that does nothing gives way to a new one, and where all do
    /// something the new one is closed, so that its client can try elsewhere.
    pub connections: usize,
    /// Connections of one peer, which is an IPv4 address or the /64 of an IPv6 address, unless it speaks for many
    /// ([`super::Budget::new`]).
    pub connections_per_peer: usize,
    /// Requests under way at once on one connection.
    pub streams: u32,
    /// How long a peer may take from connecting to its first whole request head, and over each later head on
    /// HTTP/1 once it has begun.
    pub request_head: Duration,
    /// How long a peer may take over the body of a request, and on gRPC over the first message and over each further
    /// one once it has begun.
    pub message: Duration,
    /// How long a peer may wait between the messages of a stream.
    pub stream_idle: Duration,
    /// How long a peer may read nothing of an answer that waits for it.
    pub unread_answer: Duration,
    /// How long a connection of HTTP/1 may be silent between requests: longer than gateways keep theirs (60 s), or a
    /// request meets a connection that is being closed.
    pub keep_alive: Duration,
    /// After about this long a connection is asked to go away gracefully, so that clients spread over replicas
    /// that have come since; a tenth more or less, lest all go at once. `None` keeps them for ever.
    pub connection_age: Option<Duration>,
    /// How long it may then take to go before it is cut off: longer than a stream lives.
    pub leaving: Duration,
    /// Paths that are answered when there is no place for a connection, on [`super::PLACES_FOR_HEALTH`] further ones: each
    /// for one request, and for no other path. A probe must not fail because others hold all places.
    pub always_answered: &'static [&'static str],
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_peer: 5_000,
            streams: 128,
            request_head: Duration::from_secs(10),
            message: Duration::from_secs(10),
            stream_idle: Duration::from_mins(5),
            unread_answer: Duration::from_secs(20),
            keep_alive: Duration::from_secs(75),
            connection_age: Some(Duration::from_mins(10)),
            leaving: Duration::from_mins(12),
            always_answered: &[],
        }
    }
}

//! Requests that begin and do not end.

use std::time::Duration;

use hyper::body::Bytes;

use super::peers::{Attack, begin_requests, converse};
use super::target::{Port, Target};
use super::{Force, alone, frames};

/// A message's head that promises 65,536 bytes, and 65,000 of them.
fn begun_message() -> Bytes {
    let mut begun = vec![0];
    begun.extend_from_slice(&65_536_u32.to_be_bytes());
    begun.resize(5 + 65_000, b'x');
    begun.into()
}

fn begin_messages(path: &'static str) {
    let _alone = alone();
    let force = Force::asked();
    let mut target = Target::start(force, &[]);
    target.withstands(path, Port::Grpc, |address| {
        let begun = begun_message();
        Attack::begin(address, force.beginners, move |stream| {
            begin_requests(stream, path, "application/grpc", begun.clone())
        })
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn messages_of_a_stream_of_tokens_may_begin_and_not_end() {
    begin_messages("/countersign.v1.AuthService/VerifyStream");
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn messages_of_those_who_watch_revocations_may_begin_and_not_end() {
    begin_messages("/countersign.v1.RevocationService/WatchRevocations");
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn messages_of_a_call_may_begin_and_not_end() {
    begin_messages("/countersign.v1.AuthService/Login");
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn bodies_on_the_edge_may_begin_and_not_end() {
    let _alone = alone();
    let force = Force::asked();
    let mut target = Target::start(force, &[]);
    target.withstands("bodies of POST /v1/auth/login", Port::Edge, |address| {
        let mut begun = br#"{"username": ""#.to_vec();
        begun.resize(65_000, b'x');
        let begun = Bytes::from(begun);
        Attack::begin(address, force.beginners, move |stream| {
            begin_requests(stream, "/v1/auth/login", "application/json", begun.clone())
        })
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn heads_may_begin_and_not_end() {
    let _alone = alone();
    let force = Force::asked();
    let mut target = Target::start(force, &[]);
    for port in [Port::Edge, Port::Operations, Port::Grpc] {
        let peers = if port == Port::Operations { 256 } else { force.peers };
        target.withstands(&format!("slow heads of HTTP/1, {port:?}"), port, |address| {
            Attack::begin(address, peers, |stream| {
                let opening = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n".to_vec();
                converse(stream, opening, || b"x-more: and more\r\n".to_vec(), Duration::from_millis(250))
            })
        });
    }
    for port in [Port::Edge, Port::Grpc] {
        target.withstands(&format!("slow heads of HTTP/2, {port:?}"), port, |address| {
            Attack::begin(address, force.peers, |stream| {
                let head =
                    frames::frame(frames::HEADERS, frames::END_STREAM, 1, &frames::get("/openapi.json"));
                let more = frames::frame(frames::CONTINUATION, 0, 1, &frames::field(b"x-more", b"and more"));
                let opening = [frames::opening(), head].concat();
                converse(stream, opening, move || more.clone(), Duration::from_millis(250))
            })
        });
    }
}

//! Answers that are asked for and not read, on as many connections as a port may have.

use std::sync::Arc;

use hyper::body::Bytes;

use super::peers::{Attack, ask_without_window, say_and_hold};
use super::target::{Port, Target};
use super::{Force, alone};

/// What the operations port may have.
const OPERATIONS_CONNECTIONS: usize = 256;

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn answers_of_http_1_may_stay_unread() {
    let _alone = alone();
    let force = Force::asked();
    let mut target = Target::start(force, &[]);
    pipeline(&mut target, Port::Edge, "/openapi.json", force.peers);
}

fn pipeline(target: &mut Target, port: Port, path: &str, peers: usize) {
    target.withstands(&format!("400 unread GET {path}, {port:?}"), port, |address| {
        let said = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").repeat(400).into_bytes();
        let said = Arc::new(said);
        Attack::begin(address, peers, move |stream| say_and_hold(stream, Arc::clone(&said)))
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn answers_of_the_operations_port_may_stay_unread() {
    let _alone = alone();
    let mut target = Target::start(Force::asked(), &[]);
    for path in ["/metrics", "/livez"] {
        pipeline(&mut target, Port::Operations, path, OPERATIONS_CONNECTIONS);
    }
    target.withstands("no window for GET /metrics", Port::Operations, |address| {
        Attack::begin(address, OPERATIONS_CONNECTIONS, |stream| {
            ask_without_window(stream, "http://localhost/metrics", None)
        })
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn answers_of_http_2_may_stay_unread() {
    let _alone = alone();
    let force = Force::asked();
    let mut target = Target::start(force, &[]);
    target.withstands("no window for GET /openapi.json", Port::Edge, |address| {
        Attack::begin(address, force.peers, |stream| {
            ask_without_window(stream, "http://localhost/openapi.json", None)
        })
    });
    // A token of one byte: the answer says that it is none.
    let token = Bytes::from_static(&[0, 0, 0, 0, 3, 0x0a, 1, b'x']);
    target.withstands("no window for VerifyAccessToken", Port::Grpc, |address| {
        Attack::begin(address, force.peers, move |stream| {
            let path = "http://localhost/countersign.v1.AuthService/VerifyAccessToken";
            ask_without_window(stream, path, Some(token.clone()))
        })
    });
}

//! Floods of frames.

use std::time::Duration;

use super::peers::{Attack, converse, flood};
use super::target::{Port, Target};
use super::{Force, alone, frames};

/// How many connections flood at once: each takes as much of a processor as it gets.
const FLOODS: usize = 8;
/// How long a flood that reads waits between two pieces.
const PAUSE: Duration = Duration::from_millis(1);

/// The identifiers of a client's streams, in turn.
fn streams() -> impl FnMut() -> u32 {
    let mut next = 1;
    move || {
        next += 2;
        next - 2
    }
}

fn withstand(name: &str, attack: impl Fn(std::net::SocketAddr) -> Attack) {
    let _alone = alone();
    let mut target = Target::start(Force::asked(), &[]);
    for port in [Port::Grpc, Port::Edge] {
        target.withstands(&format!("{name}, {port:?}"), port, &attack);
    }
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn streams_may_be_reset_as_soon_as_they_begin() {
    // CVE-2023-44487.
    withstand("rapid reset", |address| {
        Attack::begin(address, FLOODS, |stream| {
            let mut ids = streams();
            let next = move || {
                let mut piece = Vec::new();
                for _ in 0..100 {
                    let id = ids();
                    let flags = frames::END_STREAM | frames::END_HEADERS;
                    piece.extend(frames::frame(frames::HEADERS, flags, id, &frames::get("/openapi.json")));
                    piece.extend(frames::frame(frames::RST_STREAM, 0, id, &8_u32.to_be_bytes()));
                }
                piece
            };
            converse(stream, frames::opening(), next, PAUSE)
        })
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn a_head_may_go_on_for_ever() {
    // CVE-2024-27316 and its kin.
    withstand("CONTINUATION flood", |address| {
        Attack::begin(address, FLOODS, |stream| {
            let head = frames::frame(frames::HEADERS, frames::END_STREAM, 1, &frames::get("/openapi.json"));
            let field = frames::field(b"x-more", &[b'm'; 1000]).repeat(16);
            let more = frames::frame(frames::CONTINUATION, 0, 1, &field);
            converse(stream, [frames::opening(), head].concat(), move || more.clone(), PAUSE)
        })
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn a_small_head_may_stand_for_a_large_one() {
    withstand("HPACK bomb", |address| {
        Attack::begin(address, FLOODS, |stream| {
            let mut ids = streams();
            let next = move || {
                // 4,000 bytes to remember, and 12,000 times the same.
                let mut block = frames::get("/openapi.json");
                block.extend(frames::remembered_field(b"x", &[b'b'; 4000]));
                block.resize(block.len() + 12_000, frames::FIRST_REMEMBERED);
                frames::frame(frames::HEADERS, frames::END_STREAM | frames::END_HEADERS, ids(), &block)
            };
            converse(stream, frames::opening(), next, PAUSE)
        })
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn settings_may_come_without_end_and_their_acknowledgements_stay_unread() {
    withstand("SETTINGS flood", |address| {
        Attack::begin(address, FLOODS, |stream| {
            // SETTINGS_INITIAL_WINDOW_SIZE.
            let settings = frames::frame(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]).repeat(500);
            flood(stream, frames::opening(), move || settings.clone())
        })
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn pings_may_come_without_end_and_their_answers_stay_unread() {
    withstand("PING flood", |address| {
        Attack::begin(address, FLOODS, |stream| {
            let pings = frames::frame(frames::PING, 0, 0, b"01234567").repeat(500);
            flood(stream, frames::opening(), move || pings.clone())
        })
    });
}

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn data_may_come_without_a_byte_in_it() {
    withstand("empty DATA flood", |address| {
        Attack::begin(address, FLOODS, |stream| {
            let head = frames::frame(frames::HEADERS, frames::END_HEADERS, 1, &frames::get("/openapi.json"));
            let data = frames::frame(frames::DATA, 0, 1, &[]).repeat(500);
            converse(stream, [frames::opening(), head].concat(), move || data.clone(), PAUSE)
        })
    });
}

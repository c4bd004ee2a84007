//! What may happen to a stream.

use super::play::{A, ADA, B, BOB, C, NOW, Play};
use super::told::{beat, beat_of_one_who_knows_nothing, begin, key, keys, reached, revoked, session, user};
use super::*;

/// When nothing that is revoked here matters any more.
const LATER: i64 = NOW + 100_000;

pub(super) type Script = (&'static str, &'static str, fn(&mut Play));

pub(super) const ALL: &[Script] = &[
    (
        "snapshot-and-deltas",
        "A snapshot in two parts, a heartbeat, then what is revoked one by one.",
        snapshot_and_deltas,
    ),
    (
        "nothing-told-yet",
        "Before anything was proven nobody is let in, whatever the policy.",
        nothing_told_yet,
    ),
    (
        "heartbeat-late",
        "A heartbeat that was long on its way proves what was known when it was asked for.",
        heartbeat_late,
    ),
    ("heartbeat-of-the-second-ping", "A heartbeat answers for the pings before its own too.", second_ping),
    (
        "heartbeat-takes-nothing-back",
        "A heartbeat that proves less than an earlier one changes nothing.",
        takes_nothing_back,
    ),
    (
        "heartbeat-proves-nothing",
        "A server that has no knowledge, or an age below zero, proves nothing.",
        proves_nothing,
    ),
    ("heartbeat-for-no-ping", "An answer to a question that was not asked ends the stream.", no_ping),
    (
        "heartbeat-for-more-than-was-sent",
        "A watermark that was not reached: something was lost.",
        more_than_was_sent,
    ),
    (
        "heartbeat-before-a-position",
        "A heartbeat in the middle of a snapshot proves nothing.",
        before_a_position,
    ),
    (
        "silence",
        "A ping that stays unanswered ends the stream; knowledge ages until the policy acts.",
        silence,
    ),
    (
        "a-large-snapshot",
        "For as long as parts of a snapshot come the server owes no answer to a ping; then it does again.",
        a_large_snapshot,
    ),
    ("resume", "A lost stream goes on where it was.", resume),
    (
        "resume-in-a-snapshot",
        "A stream that is lost in the middle of a snapshot begins anew.",
        resume_in_a_snapshot,
    ),
    ("resynchronise", "A client that was left behind begins anew, and forgets nothing.", resynchronise),
    (
        "another-incarnation",
        "Another server process tells its own positions; what was known stays true.",
        another_incarnation,
    ),
    (
        "key-withdrawn",
        "A token that was verified before is not accepted once its key is gone.",
        key_withdrawn,
    ),
    ("key-replaced", "Another key under the same name: the old one's tokens are not accepted.", key_replaced),
    (
        "key-of-another-kind",
        "A key that cannot be read is left out, and the others are trusted.",
        key_of_another_kind,
    ),
    ("two-keys-of-one-name", "Two keys of one name end the stream and change nothing.", two_keys_of_one_name),
    (
        "key-unknown-while-stale",
        "A key that is not known may be a new one while the view is stale.",
        unknown_while_stale,
    ),
    ("forgotten", "What need not be remembered is forgotten at its time and not before.", forgotten),
    ("epoch-never-falls", "A smaller epoch, and one that is known, change nothing.", epoch_never_falls),
    (
        "positions",
        "Positions are answered in any order, given up with the stream, and prove no age.",
        positions,
    ),
    ("expires-while-remembered", "A token that was verified before expires at its second.", expires),
    (
        "clock-step",
        "A wall clock that is set makes everything unknown until it was loaded again.",
        clock_step,
    ),
    (
        "clock-stays-set",
        "After a step the next stream is measured from its own beginning, so that the view heals.",
        clock_stays_set,
    ),
    (
        "clock-drift",
        "A clock that is corrected slowly: loaded again, and answered from meanwhile.",
        clock_drift,
    ),
    ("something-new", "A message that this release does not know is skipped.", something_new),
    ("nonsense", "A session or user without a name, or without an end, ends the stream.", nonsense),
];

fn at(play: &mut Play, sequence: u64) {
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], sequence));
    play.ping();
    play.tell(beat(1, sequence, 0));
}

fn snapshot_and_deltas(play: &mut Play) {
    play.ask(&["ada", "garbage"]);
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[session(C, LATER)], &[], None));
    play.ask(&["ada", "bob", "garbage"]);
    play.tell(revoked(&[], &[user(BOB, 2, LATER)], 5));
    play.ask(&["ada", "bob"]);
    play.ping();
    play.advance(300);
    play.tell(beat(1, 5, 200));
    play.ask(&["ada", "ada-elsewhere", "bob", "bob-by-k2", "garbage"]);
    play.tell(revoked(&[session(A, LATER)], &[], 6));
    play.ask(&["ada", "ada-elsewhere"]);
    play.tell(revoked(&[], &[user(ADA, 3, LATER)], 7));
    play.ask(&["ada-elsewhere"]);
    play.tell(revoked(&[], &[user(ADA, 4, LATER)], 8));
    play.ask(&["ada-elsewhere"]);
    play.tell(revoked(&[session(A, LATER), session(B, LATER)], &[user(ADA, 4, LATER)], 9));
    play.ask(&["ada", "ada-elsewhere"]);
}

fn nothing_told_yet(play: &mut Play) {
    play.connect();
    play.ask(&["ada", "garbage"]);
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], 1));
    play.ask(&["ada", "bob-by-k2", "garbage"]);
    play.lose();
    play.ask(&["ada"]);
}

fn heartbeat_late(play: &mut Play) {
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], 5));
    play.ping();
    play.advance(30_000);
    play.tell(beat(1, 5, 2_000));
    play.ask(&["ada"]);
    play.ping();
    play.tell(beat(2, 5, 0));
    play.ask(&["ada"]);
    play.advance(10_000);
    play.ask(&["ada"]);
    play.advance(1);
    play.ask(&["ada"]);
}

fn second_ping(play: &mut Play) {
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], 5));
    play.ping();
    play.advance(1_000);
    play.ping();
    play.advance(1_000);
    play.tell(beat(2, 5, 0));
    play.ask(&["ada"]);
    play.tell(beat(1, 5, 0));
    play.ask(&["ada"]);
    play.connect();
}

fn takes_nothing_back(play: &mut Play) {
    at(play, 5);
    play.advance(500);
    play.ping();
    play.tell(beat(2, 5, 9_000));
    play.ask(&["ada"]);
}

fn proves_nothing(play: &mut Play) {
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], 5));
    play.ping();
    play.tell(beat_of_one_who_knows_nothing(1, 5));
    play.ask(&["ada"]);
    play.ping();
    play.tell(beat(2, 5, -1_000));
    play.ask(&["ada"]);
    play.ping();
    play.tell(beat(3, 4, 0));
    play.ask(&["ada"]);
}

fn no_ping(play: &mut Play) {
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], 5));
    play.tell(beat(1, 5, 0));
    play.ask(&["ada"]);
    play.connect();
}

fn more_than_was_sent(play: &mut Play) {
    at(play, 5);
    play.advance(3_000);
    play.ping();
    play.tell(beat(2, 6, 0));
    play.ask(&["ada"]);
    play.connect();
    play.tell(begin(1, false));
    play.tell(revoked(&[session(A, LATER)], &[], 6));
    play.ping();
    play.tell(beat(1, 6, 0));
    play.ask(&["ada", "ada-elsewhere"]);
}

fn before_a_position(play: &mut Play) {
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[session(C, LATER)], &[], None));
    play.ping();
    play.tell(beat(1, 0, 0));
    play.ask(&["ada"]);
    play.connect();
}

fn silence(play: &mut Play) {
    at(play, 5);
    play.advance(1_000);
    play.ping();
    play.advance(4_000);
    play.ping();
    play.advance(1_000);
    play.ping();
    play.advance(1);
    play.ping();
    play.ask(&["ada"]);
    play.advance(5_000);
    play.ask(&["ada", "bob-by-k2", "garbage"]);
    play.connect();
    play.tell(begin(1, true));
    play.ask(&["ada"]);
    play.ping();
    play.tell(beat(1, 5, 0));
    play.ask(&["ada"]);
}

fn a_large_snapshot(play: &mut Play) {
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.ping();
    for part in [A, C] {
        play.advance(4_000);
        play.tell(revoked(&[session(part, LATER)], &[], None));
        play.ping();
    }
    play.advance(5_000);
    play.ping();
    play.ask(&["ada"]);
    play.tell(revoked(&[], &[], 5));
    play.tell(beat(1, 5, 0));
    play.ask(&["ada", "ada-elsewhere"]);
    play.lose();
    play.connect();
    play.tell(begin(2, false));
    play.ping();
    play.advance(4_000);
    play.tell(revoked(&[session(B, LATER)], &[], None));
    play.advance(5_001);
    play.ping();
    play.connect();
}

fn resume(play: &mut Play) {
    at(play, 5);
    play.tell(revoked(&[session(A, LATER)], &[], 9));
    play.lose();
    play.advance(2_000);
    play.ask(&["ada", "bob"]);
    play.connect();
    play.tell(begin(1, true));
    play.tell(keys(&[key("k1", 0)]));
    play.ask(&["bob"]);
    play.tell(revoked(&[session(C, LATER)], &[], 10));
    play.ping();
    play.tell(beat(1, 10, 0));
    play.ask(&["ada", "bob", "ada-elsewhere"]);
    play.lose();
    play.connect();
}

fn resume_in_a_snapshot(play: &mut Play) {
    at(play, 5);
    play.lose();
    play.connect();
    play.tell(begin(1, false));
    play.tell(revoked(&[session(A, LATER)], &[], None));
    play.lose();
    play.ask(&["ada", "ada-elsewhere"]);
    play.connect();
}

fn resynchronise(play: &mut Play) {
    at(play, 5);
    play.tell(revoked(&[session(A, LATER)], &[], 6));
    play.lose();
    play.connect();
    play.tell(begin(1, true));
    play.tell(Told::Resynchronise(v1::WatchResynchronise {}));
    play.ask(&["ada", "ada-elsewhere"]);
    play.connect();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], 70));
    play.ping();
    play.tell(beat(1, 70, 0));
    play.ask(&["ada", "ada-elsewhere"]);
}

fn another_incarnation(play: &mut Play) {
    at(play, 50);
    play.tell(revoked(&[session(A, LATER)], &[], 51));
    play.lose();
    play.connect();
    play.tell(begin(18_446_744_073_709_551_615, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[session(C, LATER)], &[], 3));
    play.ping();
    play.tell(beat(1, 3, 0));
    play.ask(&["ada", "bob", "ada-elsewhere"]);
    play.lose();
    play.connect();
}

fn key_withdrawn(play: &mut Play) {
    at(play, 5);
    play.tell(keys(&[key("k1", 0), key("k2", 1)]));
    play.ask(&["bob", "bob-by-k2"]);
    play.tell(keys(&[key("k2", 1)]));
    play.ask(&["bob", "bob-by-k2"]);
    play.tell(keys(&[]));
    play.ask(&["bob", "bob-by-k2"]);
    play.tell(keys(&[key("k1", 0)]));
    play.ask(&["bob", "bob-by-k2"]);
}

fn key_replaced(play: &mut Play) {
    at(play, 5);
    play.ask(&["bob"]);
    play.tell(keys(&[key("k1", 1)]));
    play.ask(&["bob"]);
}

fn key_of_another_kind(play: &mut Play) {
    at(play, 5);
    let newer = v1::WatchKey { algorithm: "ML-DSA-65".to_owned(), ..key("k9", 1) };
    let broken = v1::WatchKey { spki: vec![1, 2, 3], ..key("k2", 1) };
    play.tell(keys(&[newer, key("k1", 0), broken]));
    play.ask(&["bob", "bob-by-k2"]);
}

fn two_keys_of_one_name(play: &mut Play) {
    at(play, 5);
    play.tell(keys(&[key("k1", 1), key("k2", 1), key("k1", 0)]));
    play.ask(&["bob", "bob-by-k2"]);
    play.connect();
}

fn unknown_while_stale(play: &mut Play) {
    at(play, 5);
    play.ask(&["bob-by-k2"]);
    play.advance(10_001);
    play.ask(&["bob-by-k2", "bob", "garbage"]);
}

fn forgotten(play: &mut Play) {
    at(play, 5);
    play.tell(revoked(&[session(C, NOW + 60)], &[user(ADA, 4, NOW + 90)], 6));
    play.advance(59_999);
    play.purge();
    play.ask(&["bob", "ada"]);
    play.tell(revoked(&[session(C, NOW + 50)], &[user(ADA, 3, NOW + 50)], 7));
    play.purge();
    play.advance(1);
    play.purge();
    play.ping();
    play.tell(beat(2, 7, 0));
    play.ask(&["bob", "ada"]);
    play.advance(30_000);
    play.purge();
    play.ping();
    play.tell(beat(3, 7, 0));
    play.ask(&["bob", "ada"]);
}

fn epoch_never_falls(play: &mut Play) {
    at(play, 5);
    play.tell(revoked(&[], &[user(ADA, 4, LATER)], 6));
    play.tell(revoked(&[], &[user(ADA, 2, LATER)], 7));
    play.ask(&["ada"]);
    play.tell(revoked(&[], &[user(ADA, 4, LATER)], 8));
    play.tell(revoked(&[], &[user(ADA, 5, LATER)], 9));
    play.ask(&["ada", "bob"]);
}

fn positions(play: &mut Play) {
    at(play, 5);
    play.advance(2_000);
    play.ask_position("p-reached");
    play.ask_position("p-elsewhere");
    play.ping();
    play.tell(revoked(&[session(A, LATER)], &[], 6));
    // Later ones are answered first, and no age is proven by them.
    play.tell(reached(3, 6, false));
    play.ask(&["ada"]);
    play.tell(reached(2, 6, true));
    play.ask(&["ada"]);
    play.tell(beat(4, 6, 0));
    play.ask(&["ada"]);
    play.ask_position("p-of-an-old-server");
    play.tell(reached(5, 6, None));
    play.ask_position("p-lost");
    play.lose();
    play.connect();
    play.tell(begin(1, true));
    play.ask_position("p-ahead");
    play.tell(reached(1, 7, true));
    play.connect();
}

fn expires(play: &mut Play) {
    at(play, 5);
    play.ask(&["ada", "bob"]);
    play.advance(899_999);
    play.ping();
    play.tell(beat(2, 5, 0));
    play.ask(&["ada", "bob"]);
    play.advance(1);
    play.ask(&["ada", "bob"]);
}

fn clock_step(play: &mut Play) {
    for step in [11_000, -11_000, 600_000, -600_000] {
        at(play, 5);
        play.ask(&["bob"]);
        play.step_wall_clock(step);
        play.ask(&["bob", "garbage"]);
        play.ping();
        play.ask(&["bob"]);
        play.step_wall_clock(-step);
        play.ask(&["bob"]);
        at(play, 5);
        play.ask(&["bob"]);
        play.lose();
    }
}

fn clock_stays_set(play: &mut Play) {
    at(play, 5);
    play.step_wall_clock(600_000);
    play.ping();
    play.ask(&["bob"]);
    play.connect();
    play.ping();
    play.tell(begin(1, false));
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], 5));
    play.tell(beat(1, 5, 0));
    play.ask(&["bob"]);
    play.ping();
}

fn clock_drift(play: &mut Play) {
    at(play, 5);
    play.step_wall_clock(5_000);
    play.ping();
    play.tell(beat(2, 5, 0));
    play.step_wall_clock(1_000);
    play.ask(&["bob"]);
    play.ping();
    play.ask(&["bob"]);
    at(play, 5);
    play.ask(&["bob"]);
    play.ping();
}

fn something_new(play: &mut Play) {
    play.connect();
    play.tell_something_new();
    play.tell(begin(1, false));
    play.tell_something_new();
    play.tell(keys(&[key("k1", 0)]));
    play.tell(revoked(&[], &[], 5));
    play.ping();
    play.tell(beat(1, 5, 0));
    play.ask(&["ada"]);
}

fn nonsense(play: &mut Play) {
    let without_end = v1::RevokedSession { forget_at: None, ..session(A, LATER) };
    let short = v1::RevokedSession { session_id: vec![7; 15], ..session(A, LATER) };
    let long = v1::RevokedUser { subject: vec![7; 17], ..user(ADA, 4, LATER) };
    let endless = v1::RevokedUser { forget_at: None, ..user(ADA, 4, LATER) };
    for wrong in [
        revoked(&[short], &[], 6),
        revoked(&[without_end], &[], 6),
        revoked(&[], &[long], 6),
        revoked(&[], &[endless], 6),
    ] {
        at(play, 5);
        play.tell(wrong);
        play.ask(&["ada"]);
    }
    play.connect();
}

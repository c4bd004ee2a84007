//! What every client was answered, and whether it should have been.

use std::collections::HashMap;
use std::time::Duration;

use countersign::grpc::proto::v1::InvalidReason;
use countersign::model::Monotonic;
use tonic::Code;

use super::fleet::REFRESH_DEADLINE;
use crate::support::client::Refused;

/// After a store is back, nobody may hear of its absence for longer.
pub(super) const RECOVERY: Duration = Duration::from_secs(2);
/// How long after a logout another replica may still verify the session: several polls of the ledger.
const SPREAD: Duration = Duration::from_secs(2);
/// What an answer may take beyond its deadline: this machine has two cores for all servers and clients.
const SLACK: Duration = Duration::from_millis(250);

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    Login,
    Refresh,
    Verify,
    Logout,
}

impl Ask {
    const ALL: [Self; 4] = [Self::Login, Self::Refresh, Self::Verify, Self::Logout];

    /// How long the service may take: its configuration.
    const fn deadline(self) -> Duration {
        match self {
            Self::Login | Self::Logout => Duration::from_secs(5),
            Self::Refresh => REFRESH_DEADLINE,
            Self::Verify => Duration::from_secs(1),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// As asked; and for a Refresh, whether the token is another than the one presented.
    Done {
        moved: bool,
    },
    Invalid(InvalidReason),
    Refused(Refused),
}

/// One request, from the client's side.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) ask: Ask,
    /// Numbers the session; a login has a number even when it fails.
    pub(super) session: usize,
    pub(super) replica: usize,
    pub(super) sent: Monotonic,
    pub(super) answered: Monotonic,
    pub(super) answer: Answer,
}

impl Call {
    /// Refused for a reason that says nothing about the token: worth another try.
    fn is_put_off(&self) -> bool {
        let Answer::Refused(refused) = &self.answer else { return false };
        matches!(
            (refused.code, refused.reason.as_str()),
            (Code::Unavailable, "STORE_UNAVAILABLE" | "REFRESH_IN_PROGRESS")
                | (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
        )
    }

    /// Told to wait by the rules of rotation, and not because a store is away.
    fn is_told_to_wait(&self) -> bool {
        matches!(&self.answer, Answer::Refused(refused) if refused.reason == "REFRESH_IN_PROGRESS")
    }

    fn is_done(&self) -> bool {
        matches!(self.answer, Answer::Done { .. })
    }
}

/// What was done to a store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// From when on it was hurt.
    pub(super) began: Monotonic,
    /// From when on it could serve again.
    pub(super) returned: Monotonic,
    /// Sessions that began between these two are lost: `REFRESH_TOKEN_INVALID` is the truth about them.
    pub(super) lost: Option<(Monotonic, Monotonic)>,
}

/// What became of a session, as far as its client can know.
#[derive(Debug, Default)]
struct Session {
    begun: Option<(Monotonic, Monotonic)>,
    /// When a logout was first asked for: from then on it may have ended.
    ending: Option<Monotonic>,
    /// When a logout was first acknowledged: from then on it must have.
    ended: Option<(Monotonic, usize)>,
}

/// All of it, in the order of the answers.
pub(super) struct History {
    calls: Vec<Call>,
    sessions: HashMap<usize, Session>,
}

impl History {
    pub(super) fn new(mut calls: Vec<Call>) -> Self {
        calls.sort_by_key(|call| call.answered);
        let mut sessions: HashMap<usize, Session> = HashMap::new();
        for call in &calls {
            let session = sessions.entry(call.session).or_default();
            match call.ask {
                Ask::Login if call.is_done() => session.begun = Some((call.sent, call.answered)),
                Ask::Logout => {
                    let first = session.ending.unwrap_or(call.sent);
                    session.ending = Some(first.min(call.sent));
                    if call.is_done() && session.ended.is_none() {
                        session.ended = Some((call.answered, call.replica));
                    }
                }
                _ => {}
            }
        }
        Self { calls, sessions }
    }

    /// Judges every answer, and prints the figures.
    pub(super) fn judge(&self, what: &str, fault: &Fault) {
        let wrong: Vec<_> = self.calls.iter().filter_map(|call| self.wrong(call, fault)).collect();
        let first: Vec<_> = wrong.iter().take(5).collect();
        println!("{what}: {}", self.summary(fault));
        assert!(
            wrong.is_empty(),
            "{what}: {} wrong answers of {}: {first:#?}",
            wrong.len(),
            self.calls.len()
        );
        for ask in Ask::ALL {
            let p99 = self.p99(ask);
            assert!(p99 <= ask.deadline() + SLACK, "{what}: p99 of {ask:?} is {p99:?}");
        }
        self.proves_something(what, fault);
    }

    /// Why an answer is not one that may be given.
    fn wrong(&self, call: &Call, fault: &Fault) -> Option<String> {
        let session = &self.sessions[&call.session];
        let tell = |why: &str| {
            let since = |at: Monotonic| i128::try_from(at.0.as_millis()).unwrap_or_default();
            let began = since(fault.began);
            let (sent, answered) = (since(call.sent) - began, since(call.answered) - began);
            Some(format!(
                "{why}: {call:?}, sent {sent} ms after the fault and answered {answered} ms after it, {session:?}"
            ))
        };
        if call.is_put_off() && call.ask != Ask::Verify {
            let expected = call.answered >= fault.began && call.sent <= fault.returned.plus(RECOVERY);
            return if expected || call.is_told_to_wait() { None } else { tell("put off without a cause") };
        }
        let may_have_ended = session.ending.is_some_and(|ending| ending < call.answered);
        let has_ended = session.ended.is_some_and(|(at, replica)| {
            let told_otherwise = call.ask == Ask::Verify && replica != call.replica;
            call.sent > if told_otherwise { at.plus(SPREAD) } else { at }
        });
        match (call.ask, &call.answer) {
            (Ask::Refresh | Ask::Verify, Answer::Done { .. }) if has_ended => tell("alive after its logout"),
            (_, Answer::Done { .. }) => None,
            (Ask::Verify, Answer::Invalid(InvalidReason::Revoked)) if may_have_ended => None,
            (Ask::Refresh, Answer::Refused(refused)) if refused.code == Code::Unauthenticated => {
                match refused.reason.as_str() {
                    "SESSION_REVOKED" if may_have_ended => None,
                    "REFRESH_TOKEN_INVALID" if !has_ended && is_lost(session, call, fault) => None,
                    _ => tell("an honest client was turned away"),
                }
            }
            _ => tell("not an answer to that"),
        }
    }

    fn p99(&self, ask: Ask) -> Duration {
        let mut took: Vec<_> = self.of(ask).map(|call| call.answered.since(call.sent)).collect();
        took.sort_unstable();
        took.get(took.len() * 99 / 100).copied().unwrap_or_default()
    }

    fn of(&self, ask: Ask) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.ask == ask)
    }

    /// The last request after the store's return that was put off, as a time from that return.
    fn put_off_until(&self, fault: &Fault) -> Duration {
        let put_off = |call: &&Call| call.is_put_off() && !call.is_told_to_wait();
        let last = self.calls.iter().filter(put_off).map(|call| call.sent).max();
        last.map_or(Duration::ZERO, |last| last.since(fault.returned))
    }

    /// When the first Refresh was answered that was sent after the return.
    fn refreshed_after(&self, fault: &Fault) -> Option<Duration> {
        let mut refreshed =
            self.of(Ask::Refresh).filter(|call| call.is_done() && call.sent >= fault.returned);
        refreshed.next().map(|call| call.answered.since(fault.returned))
    }

    fn summary(&self, fault: &Fault) -> String {
        let counts = Ask::ALL.map(|ask| {
            let put_off = self.of(ask).filter(|call| call.is_put_off()).count();
            format!("{ask:?} {} ({put_off} put off, p99 {:.0?})", self.of(ask).count(), self.p99(ask))
        });
        format!(
            "away {:.1?}; first Refresh {:.0?} after the return, last refusal {:.0?} after it; {} rotations, {} \
             sessions, {} logged out; {}",
            fault.returned.since(fault.began),
            self.refreshed_after(fault).unwrap_or(Duration::MAX),
            self.put_off_until(fault),
            self.rotations(),
            self.sessions.values().filter(|session| session.begun.is_some()).count(),
            self.sessions.values().filter(|session| session.ended.is_some()).count(),
            counts.join(", ")
        )
    }

    fn rotations(&self) -> usize {
        self.calls.iter().filter(|call| call.answer == Answer::Done { moved: true }).count()
    }

    /// The load reached what it was to reach.
    fn proves_something(&self, what: &str, fault: &Fault) {
        let ended = self.sessions.values().filter_map(|session| session.ended);
        let (before, after): (Vec<_>, Vec<_>) = ended.partition(|(at, _)| *at < fault.began);
        assert!(!before.is_empty() && !after.is_empty(), "{what}: logouts before and after");
        assert!(self.rotations() >= 20, "{what}: rotations");
        assert!(self.refreshed_after(fault).is_some_and(|took| took < RECOVERY), "{what}: recovery");
    }
}

fn is_lost(session: &Session, call: &Call, fault: &Fault) -> bool {
    let (Some((from, until)), Some((sent, answered))) = (fault.lost, session.begun) else { return false };
    answered >= from && sent <= until && call.answered >= fault.began
}

/// Points in time, moved.
pub(super) trait Later {
    fn plus(self, by: Duration) -> Self;
}

impl Later for Monotonic {
    fn plus(self, by: Duration) -> Self {
        Self(self.0 + by)
    }
}

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
const SLACK: Duration = Duration::from_millis(500);

/// How long an answer may take while a store is silent, but for the few who find out that it is.
const HASTE: Duration = Duration::from_millis(150);

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

/// Answers that are put off on a machine that is busy with other things, though every store is there: of so many, one.
const NOISE: usize = 100;

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
        let needless: Vec<_> = self.needlessly_put_off(fault).collect();
        assert!(needless.len() * NOISE <= self.calls.len(), "{what}: put off without a cause: {needless:#?}");
        self.proves_something(what, fault);
    }

    /// Judges how soon those were answered who asked while a store was silent, and prints it. Verify asks no store: what
    /// it takes is what this machine takes.
    pub(super) fn judge_haste(&self, what: &str, fault: &Fault) {
        let p99 = |ask: Ask| {
            let mut took: Vec<_> = self
                .of(ask)
                .filter(|call| call.sent >= fault.began && call.sent <= fault.returned)
                .map(|call| call.answered.since(call.sent))
                .collect();
            took.sort_unstable();
            let longest = *took.last()?;
            let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
            let asked = took.len();
            println!(
                "{what}: meanwhile {asked} {ask:?}: p50 {median:.1?}, p99 {p99:.1?}, longest {longest:.0?}"
            );
            (asked >= 200).then_some(p99)
        };
        let machine = p99(Ask::Verify).expect("there were enough");
        for ask in [Ask::Login, Ask::Refresh, Ask::Logout] {
            let p99 = p99(ask).unwrap_or_default();
            assert!(p99 <= HASTE + machine, "{what}: p99 of {ask:?} while the store is silent is {p99:?}");
        }
    }

    /// What was put off though every store had been there all the time, or back for long enough.
    fn needlessly_put_off(&self, fault: &Fault) -> impl Iterator<Item = &Call> {
        let (from, until) = (fault.began, fault.returned.plus(RECOVERY));
        self.put_off().filter(move |call| call.answered < from || call.sent > until)
    }

    fn put_off(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.is_put_off() && !call.is_told_to_wait())
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
            return None;
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
        let last = self.put_off().map(|call| call.sent).max();
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
            "away {:.1?}; first Refresh {:.0?} after the return, last refusal {:.0?} after it; {} needless; {} rotations, {} sessions, {} logged out; {}",
            fault.returned.since(fault.began),
            self.refreshed_after(fault).unwrap_or(Duration::MAX),
            self.put_off_until(fault),
            self.needlessly_put_off(fault).count(),
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
    fn minus(self, by: Duration) -> Self;
}

impl Later for Monotonic {
    fn plus(self, by: Duration) -> Self {
        Self(self.0 + by)
    }

    fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }
}

/// The judge finds what it is there to find.
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    const DONE: Answer = Answer::Done { moved: false };
    /// From the tenth second to the twentieth.
    const FAULT: Fault = Fault { began: at(10), returned: at(20), lost: None };

    fn refused(code: Code, reason: &str) -> Answer {
        Answer::Refused(Refused { code, reason: reason.to_owned(), retry_after: None })
    }

    fn call(ask: Ask, seconds: u64, answer: Answer) -> Call {
        Call { ask, session: 1, replica: 0, sent: at(seconds), answered: at(seconds + 1), answer }
    }

    /// Whether the last of these answers is wrong, after a login in the first second.
    fn is_wrong(fault: &Fault, calls: &[Call]) -> bool {
        let all = [&[call(Ask::Login, 0, DONE)], calls].concat();
        let last = all.last().unwrap().clone();
        History::new(all).wrong(&last, fault).is_some()
    }

    #[test]
    fn an_honest_client_is_turned_away_for_no_reason_but_its_logout() {
        for reason in ["REFRESH_TOKEN_REUSED", "REFRESH_TOKEN_INVALID", "SESSION_REVOKED"] {
            let turned_away = call(Ask::Refresh, 12, refused(Code::Unauthenticated, reason));
            assert!(is_wrong(&FAULT, std::slice::from_ref(&turned_away)), "{reason}");
            let logout = call(Ask::Logout, 11, refused(Code::Unavailable, "STORE_UNAVAILABLE"));
            assert_eq!(is_wrong(&FAULT, &[logout, turned_away]), reason != "SESSION_REVOKED", "{reason}");
        }
        assert!(is_wrong(
            &FAULT,
            &[call(Ask::Login, 12, refused(Code::Unauthenticated, "INVALID_CREDENTIALS"))]
        ));
        assert!(is_wrong(&FAULT, &[call(Ask::Verify, 12, Answer::Invalid(InvalidReason::Revoked))]));
        assert!(is_wrong(&FAULT, &[call(Ask::Verify, 12, refused(Code::Unavailable, "STORE_UNAVAILABLE"))]));
        assert!(is_wrong(&FAULT, &[call(Ask::Refresh, 12, refused(Code::Internal, "INTERNAL"))]));
    }

    #[test]
    fn a_lost_session_is_unknown_and_nothing_else() {
        let unknown = call(Ask::Refresh, 21, refused(Code::Unauthenticated, "REFRESH_TOKEN_INVALID"));
        let lost = Fault { lost: Some((at(0), at(20))), ..FAULT };
        assert!(!is_wrong(&lost, std::slice::from_ref(&unknown)));
        let later = Fault { lost: Some((at(5), at(20))), ..FAULT };
        assert!(is_wrong(&later, &[unknown]), "it was there before");
        let reused = call(Ask::Refresh, 21, refused(Code::Unauthenticated, "REFRESH_TOKEN_REUSED"));
        assert!(is_wrong(&lost, &[reused]));
    }

    #[test]
    fn nothing_is_alive_after_its_logout() {
        let logout = call(Ask::Logout, 8, DONE);
        for ask in [Ask::Refresh, Ask::Verify] {
            assert!(is_wrong(&FAULT, &[logout.clone(), call(ask, 10, DONE)]), "{ask:?}");
            let other = |seconds| Call { replica: 1, ..call(ask, seconds, DONE) };
            assert_eq!(is_wrong(&FAULT, &[logout.clone(), other(10)]), ask == Ask::Refresh);
            assert!(is_wrong(&FAULT, &[logout.clone(), other(12)]), "{ask:?}");
        }
    }

    #[test]
    fn nobody_is_put_off_without_a_cause_or_long_after() {
        for (seconds, needless) in [(8, 1), (9, 0), (22, 0), (23, 1)] {
            let put_off = call(Ask::Refresh, seconds, refused(Code::Unavailable, "STORE_UNAVAILABLE"));
            let history = History::new(vec![call(Ask::Login, 0, DONE), put_off]);
            assert_eq!(history.needlessly_put_off(&FAULT).count(), needless, "{seconds}");
        }
    }
}

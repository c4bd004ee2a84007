//! Calls that fail because a test wants them to.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::reason::Reason;

/// What a call is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A reason of the catalogue, as the service itself tells it.
    Reason(Reason),
    /// A number of `google.rpc.Code`, with nothing beside.
    Code(i32),
}

/// How calls of a method fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureRule {
    /// `package.Service/Method`, `package.Service/*`, `*`, or `METHOD /path`.
    pub method: String,
    /// The answer; none where calls are only late.
    pub failure: Option<Failure>,
    /// How many calls are left; `None` for any number.
    pub times: Option<u32>,
    /// How long each waits first.
    pub delay: Duration,
}

/// A rule is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleRefused {
    /// There are too many.
    #[error("is one rule too many: a world has {} at most", Failures::MOST)]
    TooMany,
    /// It waits for too long.
    #[error("must be at most {} s", Failures::LONGEST_DELAY.as_secs())]
    TooLate,
    /// It does nothing.
    #[error("must have a reason, a code or a delay")]
    Nothing,
}

/// The rules of a world.
#[derive(Debug, Default)]
pub struct Failures(Mutex<VecDeque<FailureRule>>);

impl Failures {
    /// The most rules of a world.
    pub const MOST: usize = 64;
    /// The longest that a call waits.
    pub const LONGEST_DELAY: Duration = Duration::from_mins(1);

    /// Adds a rule, after those that there are.
    pub fn add(&self, rule: FailureRule) -> Result<(), RuleRefused> {
        if rule.delay > Self::LONGEST_DELAY {
            return Err(RuleRefused::TooLate);
        }
        if rule.failure.is_none() && rule.delay.is_zero() {
            return Err(RuleRefused::Nothing);
        }
        let mut rules = self.rules();
        if rules.len() >= Self::MOST {
            return Err(RuleRefused::TooMany);
        }
        rules.push_back(rule);
        Ok(())
    }

    /// Takes the rules for a method away, as it is written in them, or all. Returns how many there were.
    pub fn clear(&self, method: Option<&str>) -> usize {
        let mut rules = self.rules();
        let before = rules.len();
        rules.retain(|rule| method.is_some_and(|method| rule.method != method));
        before - rules.len()
    }

    /// How many rules there are.
    pub fn count(&self) -> usize {
        self.rules().len()
    }

    /// What becomes of a call that has these names: the first rule for one of them, which is used up by it.
    pub fn take(&self, names: &[&str]) -> Option<(Option<Failure>, Duration)> {
        let mut rules = self.rules();
        let place = rules.iter().position(|rule| names.iter().any(|name| covers(&rule.method, name)))?;
        let rule = &mut rules[place];
        let taken = (rule.failure, rule.delay);
        match &mut rule.times {
            None => {}
            Some(left) if *left > 1 => *left -= 1,
            Some(_) => drop(rules.remove(place)),
        }
        Some(taken)
    }

    /// Nothing panics half way through a change of them.
    fn rules(&self) -> MutexGuard<'_, VecDeque<FailureRule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    pattern == "*"
        || pattern == name
        || pattern
            .strip_suffix("/*")
            .is_some_and(|service| name.strip_prefix(service).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = "countersign.v1.AuthService/Login";

    fn rule(method: &str, failure: Option<Failure>, times: Option<u32>) -> FailureRule {
        let delay = if failure.is_none() { Duration::from_secs(1) } else { Duration::ZERO };
        FailureRule { method: method.to_owned(), failure, times, delay }
    }

    #[test]
    fn rules_are_used_up_in_the_order_in_which_they_came() {
        let failures = Failures::default();
        let (busy, internal) = (Failure::Reason(Reason::StoreUnavailable), Failure::Code(13));
        failures.add(rule(LOGIN, Some(busy), Some(2))).unwrap();
        failures.add(rule("countersign.v1.AuthService/*", Some(internal), Some(1))).unwrap();
        let answer = || failures.take(&[LOGIN]).map(|(failure, _)| failure.unwrap());
        assert_eq!([answer(), answer(), answer(), answer()], [Some(busy), Some(busy), Some(internal), None]);
    }

    #[test]
    fn a_rule_without_an_end_stays_until_it_is_cleared_and_touches_no_other_method() {
        let failures = Failures::default();
        failures.add(rule(LOGIN, None, None)).unwrap();
        failures.add(rule("*", Some(Failure::Code(14)), None)).unwrap();
        assert_eq!(failures.take(&[LOGIN]), Some((None, Duration::from_secs(1))));
        assert_eq!(failures.take(&["a.B/C"]), Some((Some(Failure::Code(14)), Duration::ZERO)));
        assert_eq!((failures.clear(Some(LOGIN)), failures.count()), (1, 1));
        assert_eq!((failures.clear(None), failures.take(&[LOGIN])), (1, None));
    }

    #[test]
    fn rules_are_bounded() {
        let failures = Failures::default();
        for _ in 0..Failures::MOST {
            failures.add(rule("*", Some(Failure::Code(14)), Some(1))).unwrap();
        }
        assert_eq!(failures.add(rule("*", Some(Failure::Code(14)), None)), Err(RuleRefused::TooMany));
        let late = FailureRule { delay: Duration::from_secs(61), ..rule("*", None, None) };
        assert_eq!(failures.add(late), Err(RuleRefused::TooLate));
        let nothing = FailureRule { delay: Duration::ZERO, ..rule("*", None, None) };
        assert_eq!(failures.add(nothing), Err(RuleRefused::Nothing));
    }

    #[test]
    fn a_service_is_named_whole() {
        assert!(covers("a.B/*", "a.B/C") && covers("*", "a.B/C") && covers("GET /x", "GET /x"));
        assert!(!covers("a.B/*", "a.Bx/C") && !covers("a.B/C", "a.B/D"));
    }
}

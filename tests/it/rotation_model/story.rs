//! A way through the model, told for people.

use std::fmt::Write as _;

use countersign::model::Decision;

use super::explore::{Answer, Event};
use super::world::{Party, Token, World};

/// One line for each thing that happened, with the time at which it did. A token is written as its generation
/// and the time at which it was minted: `2@7`.
pub(super) fn tell(steps: &[(Event, World)]) -> String {
    let mut now = 0;
    let mut text = String::new();
    for (event, _) in steps {
        if *event == Event::Tick {
            now += 1;
            continue;
        }
        writeln!(text, "{now:>3}  {}", sentence(event, now)).expect("writing to a string cannot fail");
    }
    text
}

fn sentence(event: &Event, now: i32) -> String {
    let name = |token: Token| format!("{}@{}", token.generation, now - i32::from(token.age));
    match *event {
        Event::Tick => String::new(),
        Event::Send(party, token) => format!("{} sends {}", who(party), name(token)),
        Event::Decide(party, token, decision, answer) => {
            let verdict = verdict(decision);
            let outcome = match answer {
                Some(Answer::SetsOut(answer)) => format!("; the answer, {}, sets out", name(answer)),
                Some(Answer::Lost) => "; the answer is lost".to_owned(),
                None => String::new(),
            };
            format!("the server gets {} from {}: {verdict}{outcome}", name(token), who(party))
        }
        Event::Arrive(party, token) => format!("{} gets {}", who(party), name(token)),
        Event::Steal(token) => format!("a thief copies {}", name(token)),
        Event::Backup => "the store is backed up".to_owned(),
        Event::Lose(stored) => format!("the store falls back to {}", name(stored.token())),
    }
}

const fn who(party: Party) -> &'static str {
    match party {
        Party::Owner => "the owner",
        Party::Thief => "the thief",
    }
}

const fn verdict(decision: Decision) -> &'static str {
    match decision {
        Decision::Rotate(_) => "rotated",
        Decision::Unchanged => "unchanged",
        Decision::Replay => "the successor again",
        Decision::InProgress => "in progress",
        Decision::Withdraw(_) => "the successor is withdrawn for another",
        Decision::Adopt(_) => "the store follows",
        Decision::Reuse => "REUSE, the session is dead",
    }
}

//! What can happen next in a state, and the breadth-first search through everything that can.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use countersign::model::{Decision, RotationPolicy};

use super::rules::Rules;
use super::world::{MOST_REQUESTS, NOW, Party, Request, Step, Stored, Token, World};

/// What the thief does with the tokens that it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thief {
    /// Goes on with the newest one, as a client does.
    Simple,
    /// Keeps them all, and tries whichever it likes.
    Hoarding,
}

/// When the store may fall back to an earlier state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// While nothing is under way: the failover took longer than D.
    Quiet,
    /// Between any two requests.
    Sudden,
}

/// Which changes of hands are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// Those more than W + 2 D after the other was served; one that is not begins the count anew, as does a loss.
    Apart,
    /// All, up to seven.
    Every,
}

/// What is explored.
#[derive(Clone, Copy)]
pub(super) struct Model {
    pub(super) grace: u8,
    pub(super) deadline: u8,
    pub(super) rules: Rules,
    pub(super) in_flight: usize,
    /// Whether a request may wait, up to D, before the server decides; otherwise it is decided as it is sent, and
    /// only answers are late.
    pub(super) requests_wait: bool,
    /// Whether the client puts the token of an "unchanged" answer in its jar, which the edge spares a browser.
    pub(super) stores_unchanged: bool,
    pub(super) thief: Option<Thief>,
    pub(super) count: Count,
    pub(super) loss: Option<Loss>,
    /// How many generations at most lie between the line that a loss ends and the one that it goes back to.
    pub(super) most_lost: u8,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Tick,
    Send(Party, Token),
    /// The server decides; the answer sets out, or is lost.
    Decide(Party, Token, Decision, Option<Answer>),
    Arrive(Party, Token),
    Steal(Token),
    Backup,
    Lose(Stored),
}

impl Event {
    fn kind(&self) -> (Discriminant<Self>, Option<Discriminant<Decision>>) {
        let decision = if let Self::Decide(_, _, decision, _) = self { Some(decision) } else { None };
        (discriminant(self), decision.map(discriminant))
    }
}

/// What becomes of the answer to an honoured request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    SetsOut(Token),
    Lost,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// The most changes of hands in any state; seven stands for any number from there.
    pub(super) changes: u8,
    /// Whether the session can die at all.
    pub(super) reuse_seen: bool,
    /// Where the search stopped, if it was told to: the shortest way there.
    pub(super) found: Option<Vec<(Event, World)>>,
}

impl Model {
    fn policy(&self) -> RotationPolicy {
        RotationPolicy {
            grace: Duration::from_secs(self.grace.into()),
            deadline: Duration::from_secs(self.deadline.into()),
            strict: false,
        }
    }

    /// The first age at which nothing is waited for any more: one unit more than W + 2 D.
    pub(super) const fn settled(&self) -> u8 {
        self.grace + 2 * self.deadline + 1
    }

    pub(super) fn decide(&self, stored: Stored, token: Token) -> Decision {
        (self.rules.decide)(&stored.line(), token.presented(), NOW, &self.policy())
    }

    pub(super) fn begin(&self) -> World {
        World::begin(u8::from(self.loss.is_some()))
    }

    /// Everything that can happen next. A request that is lost on its way needs no event of its own, for it is
    /// as if it had not been sent; nor does one that is sent again, for any client may send at any time.
    pub(super) fn next(&self, world: &World, next: &mut Vec<(Event, World)>) {
        next.clear();
        self.time_and_requests(world, next);
        for (index, request) in world.requests.iter().enumerate() {
            match request {
                Some(Request { party, step: Step::Asked(token), .. }) => {
                    self.decisions(world, index, *party, *token, next);
                }
                Some(Request { party, step: Step::Answered(token), .. }) => {
                    let mut world = *world;
                    world.requests[index] = None;
                    self.arrive(&mut world, *party, *token);
                    next.push((Event::Arrive(*party, *token), world));
                }
                None => {}
            }
        }
        if self.thief.is_some() && !world.stolen {
            let stash = [Some(world.jar), None];
            next.push((Event::Steal(world.jar), World { stolen: true, stash, ..*world }));
        }
        self.losses(world, next);
    }

    fn time_and_requests(&self, world: &World, next: &mut Vec<(Event, World)>) {
        let under_way = world.requests.iter().flatten();
        if under_way.clone().all(|request| request.sent < self.deadline) {
            let mut world = *world;
            world.tick();
            next.push((Event::Tick, world));
        }
        if under_way.count() >= self.in_flight.min(MOST_REQUESTS) {
            return;
        }
        let Some(free) = world.requests.iter().position(Option::is_none) else { return };
        let mut send = |party, token| {
            let mut world = *world;
            world.requests[free] = Some(Request { party, sent: 0, step: Step::Asked(token) });
            if self.requests_wait {
                next.push((Event::Send(party, token), world));
            } else {
                self.decisions(&world, free, party, token, next);
            }
        };
        send(Party::Owner, world.jar);
        world.stash.iter().flatten().for_each(|&token| send(Party::Thief, token));
    }

    fn decisions(
        &self,
        world: &World,
        index: usize,
        party: Party,
        token: Token,
        next: &mut Vec<(Event, World)>,
    ) {
        let decision = self.decide(world.stored, token);
        let mut after = *world;
        after.requests[index] = None;
        if let Some(line) = decision.next_line() {
            after.stored = Stored::from_line(line);
            let lost = after.backup.map_or(0, |backup| after.stored.current - backup.current);
            if lost > self.most_lost {
                return;
            }
        }
        if matches!(decision, Decision::Reuse | Decision::InProgress) {
            next.push((Event::Decide(party, token, decision, None), after));
            return;
        }
        next.push((Event::Decide(party, token, decision, Some(Answer::Lost)), after));
        let answer = after.stored.token();
        self.served(&mut after, party);
        if decision != Decision::Unchanged || self.stores_unchanged || party == Party::Thief {
            let sent = world.requests[index].map_or(0, |request| request.sent);
            after.requests[index] = Some(Request { party, sent, step: Step::Answered(answer) });
        }
        next.push((Event::Decide(party, token, decision, Some(Answer::SetsOut(answer))), after));
    }

    fn served(&self, world: &mut World, party: Party) {
        if self.thief.is_none() {
            return;
        }
        let hands = &mut world.hands;
        if party != hands.last {
            let apart = hands.since >= self.settled();
            let counts = apart || self.count == Count::Every;
            hands.changes = if counts { (hands.changes + 1).min(7) } else { 0 };
        }
        hands.last = party;
        hands.since = 0;
    }

    fn arrive(&self, world: &mut World, party: Party, token: Token) {
        match (party, self.thief) {
            (Party::Owner, _) => world.jar = token,
            (Party::Thief, Some(Thief::Hoarding)) => {
                // Of all that it has seen only C and P can be of use; whatever else it presented would be reuse.
                let stash = &mut world.stash;
                let stored = world.stored;
                let useful = |token: Token| {
                    token.generation == stored.current || Some(token.generation) == stored.predecessor
                };
                let mut kept = stash.iter().flatten().copied().filter(|&old| old != token && useful(old));
                *stash = [Some(token), kept.next()];
            }
            (Party::Thief, _) => world.stash = [Some(token), None],
        }
    }

    fn losses(&self, world: &World, next: &mut Vec<(Event, World)>) {
        let is_quiet = world.requests.iter().all(Option::is_none);
        match (self.loss, world.backup) {
            (Some(_), None) if world.losses_left > 0 => {
                next.push((Event::Backup, World { backup: Some(world.stored), ..*world }));
            }
            (Some(loss), Some(backup)) if loss == Loss::Sudden || is_quiet => {
                let mut world = World { stored: backup, backup: None, losses_left: 0, ..*world };
                world.hands.changes = 0;
                next.push((Event::Lose(backup), world));
            }
            _ => {}
        }
    }

    /// Visits every state that can be reached, the nearest first, until `stop` says so of an event and what it
    /// led to. A dead session is not followed further.
    pub(super) fn explore(&self, stop: impl Fn(&Event, &World) -> bool) -> Explored {
        let begin = self.begin().canonical(self.settled());
        let mut seen: HashSet<u128, BuildHasherDefault<Fold>> = HashSet::default();
        seen.insert(begin.packed());
        let mut nodes = vec![(begin, 0)];
        let mut explored = Explored { states: 0, transitions: 0, changes: 0, reuse_seen: false, found: None };
        let mut next = Vec::new();
        let mut at = 0;
        while at < nodes.len() && explored.found.is_none() {
            let world = nodes[at].0;
            self.next(&world, &mut next);
            for (event, after) in &next {
                explored.transitions += 1;
                let after = after.canonical(self.settled());
                if stop(event, &after) {
                    explored.found = Some(self.retrace(&nodes, at, event, &after));
                    break;
                }
                if matches!(event, Event::Decide(_, _, Decision::Reuse, _)) {
                    explored.reuse_seen = true;
                    continue;
                }
                explored.changes = explored.changes.max(after.hands.changes);
                if seen.insert(after.packed()) {
                    nodes.push((after, at));
                }
            }
            at += 1;
        }
        explored.states = nodes.len();
        explored
    }

    /// Goes the way to a state once more with true generations and times, for people to read.
    fn retrace(
        &self,
        nodes: &[(World, usize)],
        mut at: usize,
        last: &Event,
        end: &World,
    ) -> Vec<(Event, World)> {
        let mut way = vec![*end];
        while at != 0 {
            way.push(nodes[at].0);
            at = nodes[at].1;
        }
        let mut world = self.begin();
        let mut story = Vec::new();
        let mut next = Vec::new();
        while let Some(target) = way.pop() {
            self.next(&world, &mut next);
            let same = |event: &Event| !way.is_empty() || event.kind() == last.kind();
            let step = next.iter().find(|(event, to)| same(event) && to.canonical(self.settled()) == target);
            let step =
                step.expect("a step between canonical states is one between the states they stand for");
            story.push(*step);
            world = step.1;
        }
        story
    }
}

/// Folds a packed state to 64 bits: the table needs no defence against chosen keys.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u128(byte.into());
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn write_u128(&mut self, key: u128) {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = (key as u64 ^ self.0).wrapping_mul(ODD) ^ ((key >> 64) as u64).rotate_left(29);
        self.0 = (mixed ^ mixed >> 32).wrapping_mul(ODD);
    }
}

//! A state of the model, and the one form in which equivalent states are the same.

use countersign::model::{Generation, Line, Presented, UnixMillis};

/// What every state calls "now": states hold how long ago things were, so that time itself needs no bound.
pub(super) const NOW: UnixMillis = UnixMillis::from_secs(1_000_000);

/// A generation in canonical states: the oldest that a rotation can still be made from, now or after a loss.
/// Below it stand at most two honoured predecessors, and 0 for every token that can only be reuse.
const FLOOR: u8 = 3;

/// How many requests may be under way at once.
pub(super) const MOST_REQUESTS: usize = 3;

pub(super) const fn units_ago(age: u8) -> UnixMillis {
    UnixMillis::from_secs(NOW.as_secs() - age as i64)
}

fn age_of(time: UnixMillis) -> u8 {
    u8::try_from(NOW.since(time).as_secs()).unwrap_or(u8::MAX)
}

/// A refresh token: which generation, and how long ago it was minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) generation: u8,
    pub(super) age: u8,
}

impl Token {
    pub(super) fn presented(self) -> Presented {
        Presented { generation: Generation(self.generation.into()), issued_at: units_ago(self.age) }
    }
}

/// What the store holds of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stored {
    pub(super) current: u8,
    pub(super) predecessor: Option<u8>,
    pub(super) age: u8,
}

impl Stored {
    pub(super) fn line(self) -> Line {
        Line {
            current: Generation(self.current.into()),
            predecessor: self.predecessor.map(|generation| Generation(generation.into())),
            rotated_at: units_ago(self.age),
        }
    }

    pub(super) fn from_line(line: Line) -> Self {
        let small = |generation: Generation| u8::try_from(generation.0).unwrap_or(u8::MAX);
        Self {
            current: small(line.current),
            predecessor: line.predecessor.map(small),
            age: age_of(line.rotated_at),
        }
    }

    pub(super) const fn token(self) -> Token {
        Token { generation: self.current, age: self.age }
    }
}

/// Who presents a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// The honest client: tabs that share one cookie jar.
    Owner,
    /// Somebody who copied the jar once.
    Thief,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The server has not looked at it yet.
    Asked(Token),
    /// The server has answered with this token, which has not arrived yet.
    Answered(Token),
}

/// A request that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) party: Party,
    pub(super) sent: u8,
    pub(super) step: Step,
}

/// Who was served last, how long ago, and how often that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hands {
    pub(super) last: Party,
    pub(super) since: u8,
    pub(super) changes: u8,
}

/// One state of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct World {
    pub(super) stored: Stored,
    /// What the store will fall back to, once.
    pub(super) backup: Option<Stored>,
    pub(super) losses_left: u8,
    pub(super) jar: Token,
    /// What the thief holds.
    pub(super) stash: [Option<Token>; 2],
    pub(super) stolen: bool,
    pub(super) requests: [Option<Request>; MOST_REQUESTS],
    pub(super) hands: Hands,
}

impl World {
    /// Just after a login.
    pub(super) fn begin(losses: u8) -> Self {
        let stored = Stored::from_line(Line::begin(NOW));
        Self {
            stored,
            backup: None,
            losses_left: losses,
            jar: stored.token(),
            stash: [None; 2],
            stolen: false,
            requests: [None; MOST_REQUESTS],
            hands: Hands { last: Party::Owner, since: 0, changes: 0 },
        }
    }

    /// The same state in the one form that all states share which behave alike for ever. `cap` is the first age
    /// at which nothing is waited for any more.
    ///
    /// `decide` compares generations with C and P, times with `rotated_at`, and the time elapsed with W and
    /// W + 2 D. So a generation below every line that the store may hold keeps its identity only while it is a
    /// predecessor; a time matters only for a generation that is not below; and of ages past the cap only their
    /// order is kept. No other rounding is done, which is why a fixpoint speaks for histories of any length.
    pub(super) fn canonical(mut self, cap: u8) -> Self {
        let floor = self.backup.map_or(self.stored.current, |backup| backup.current);
        let honoured = [self.stored.predecessor, self.backup.and_then(|backup| backup.predecessor)]
            .map(|generation| generation.filter(|&generation| generation < floor));
        let rename = |generation: u8| {
            if generation >= floor {
                FLOOR + (generation - floor)
            } else if honoured.contains(&Some(generation)) {
                let is_lower = honoured.iter().flatten().any(|&other| other > generation);
                if is_lower { 1 } else { 2 }
            } else {
                0
            }
        };
        self.for_each_generation_and_age(|generation, age| {
            *generation = rename(*generation);
            if *generation < FLOOR {
                *age = 0;
            }
        });
        self.squeeze_ages(cap);
        self.hands.since = self.hands.since.min(cap);
        self.requests.sort_unstable_by_key(|request| (request.is_none(), *request));
        self
    }

    /// Ages past the cap become the cap, the cap + 1 and so on, in their order.
    fn squeeze_ages(&mut self, cap: u8) {
        let mut old = [u8::MAX; 2 + 1 + 2 + MOST_REQUESTS];
        let mut count = 0;
        let mut note = |age: u8| {
            if age >= cap && !old[..count].contains(&age) {
                old[count] = age;
                count += 1;
            }
        };
        self.for_each_age(&mut note);
        let old = &mut old[..count];
        if old.is_empty() {
            return;
        }
        old.sort_unstable();
        let rank = |age: u8| old.iter().zip(cap..).find(|&(&other, _)| other == age).map(|(_, rank)| rank);
        self.for_each_generation_and_age(|_, age| *age = rank(*age).unwrap_or(*age));
        self.stored.age = rank(self.stored.age).unwrap_or(self.stored.age);
        if let Some(backup) = &mut self.backup {
            backup.age = rank(backup.age).unwrap_or(backup.age);
        }
    }

    fn for_each_age(&self, note: &mut impl FnMut(u8)) {
        note(self.stored.age);
        if let Some(backup) = &self.backup {
            note(backup.age);
        }
        let mut copy = *self;
        copy.for_each_token(|token| note(token.age));
    }

    fn for_each_token(&mut self, mut change: impl FnMut(&mut Token)) {
        change(&mut self.jar);
        self.stash.iter_mut().flatten().for_each(&mut change);
        for request in self.requests.iter_mut().flatten() {
            let (Step::Asked(token) | Step::Answered(token)) = &mut request.step;
            change(token);
        }
    }

    /// Visits the tokens, and the generations of the lines with an age that nobody reads.
    fn for_each_generation_and_age(&mut self, mut change: impl FnMut(&mut u8, &mut u8)) {
        self.for_each_token(|token| change(&mut token.generation, &mut token.age));
        for stored in std::iter::once(&mut self.stored).chain(self.backup.as_mut()) {
            change(&mut stored.current, &mut 0);
            if let Some(generation) = &mut stored.predecessor {
                change(generation, &mut 0);
            }
        }
    }

    /// One unit of time passes.
    pub(super) fn tick(&mut self) {
        self.for_each_token(|token| token.age = token.age.saturating_add(1));
        self.stored.age = self.stored.age.saturating_add(1);
        if let Some(backup) = &mut self.backup {
            backup.age = backup.age.saturating_add(1);
        }
        self.hands.since = self.hands.since.saturating_add(1);
        self.requests.iter_mut().flatten().for_each(|request| request.sent += 1);
    }

    /// A canonical state in 128 bits, so that a million of them are a small table.
    pub(super) fn packed(&self) -> u128 {
        let mut bits = Bits(1);
        bits.stored(self.stored);
        bits.push(2, self.losses_left);
        bits.push(1, self.backup.is_some().into());
        if let Some(backup) = self.backup {
            bits.stored(backup);
        }
        bits.token(self.jar);
        bits.push(1, self.stolen.into());
        for token in self.stash {
            bits.push(1, token.is_some().into());
            if let Some(token) = token {
                bits.token(token);
            }
        }
        for request in self.requests {
            bits.push(1, request.is_some().into());
            let Some(Request { party, sent, step }) = request else { continue };
            bits.push(1, (party == Party::Thief).into());
            bits.push(2, sent);
            bits.push(1, matches!(step, Step::Asked(_)).into());
            let (Step::Asked(token) | Step::Answered(token)) = step;
            bits.token(token);
        }
        bits.push(1, (self.hands.last == Party::Thief).into());
        bits.push(5, self.hands.since);
        bits.push(3, self.hands.changes);
        bits.0
    }
}

/// Bits, pushed from the right behind a leading one.
struct Bits(u128);

impl Bits {
    fn push(&mut self, width: u32, value: u8) {
        assert!(u32::from(value) < 1 << width, "{value} does not fit in {width} bits");
        assert!(self.0.leading_zeros() >= width, "a state no longer fits in 128 bits");
        self.0 = self.0 << width | u128::from(value);
    }

    fn token(&mut self, token: Token) {
        self.push(4, token.generation);
        self.push(5, token.age);
    }

    fn stored(&mut self, stored: Stored) {
        self.push(4, stored.current);
        self.push(4, stored.predecessor.unwrap_or(15));
        self.push(5, stored.age);
    }
}

//! What the invariants allow, told from what was issued and acknowledged, and not by the code under test.

use countersign::auth::{InvalidReason, Refresh, TokenPair};
use countersign::model::{Epoch, Monotonic, Presented, SessionId, UnixMillis, UserId};
use countersign::reason::Reason;
use secrecy::ExposeSecret as _;

use super::service::MAX_STALENESS;
use crate::conformance::{GRACE, IDLE, SETTLED};

/// A user.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: UserId,
    pub(super) username: &'static str,
    /// All that there ever were; the last one counts.
    pub(super) passwords: Vec<String>,
    pub(super) disabled: bool,
    pub(super) roles: Vec<String>,
    pub(super) epoch: Epoch,
    /// The one that the service must know of.
    pub(super) known_epoch: Epoch,
}

/// A refresh token.
#[derive(Debug)]
pub(super) struct Minted {
    /// None when nobody has heard it yet.
    pub(super) token: Option<String>,
    pub(super) place: Presented,
    /// The place that it was minted from; none for that of a login.
    pub(super) parent: Option<Presented>,
}

/// An access token.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) token: String,
    pub(super) expires_at: UnixMillis,
    pub(super) roles: Vec<String>,
}

/// A session, and all that was ever issued for it.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) id: SessionId,
    pub(super) account: usize,
    pub(super) epoch: Epoch,
    pub(super) expires_at: UnixMillis,
    pub(super) idle_expires_at: UnixMillis,
    pub(super) minted: Vec<Minted>,
    pub(super) access: Vec<Access>,
    /// Whether the ledger revokes it.
    pub(super) revoked: bool,
    /// Whether the service must know that.
    pub(super) known: bool,
    /// The refresh token in the jar of its honest client.
    pub(super) held: usize,
    /// Whether somebody else has moved the line.
    pub(super) disturbed: bool,
}

impl Chain {
    pub(super) fn current(&self) -> &Minted {
        self.minted.last().unwrap()
    }

    /// Those that somebody has.
    pub(super) fn heard(&self) -> Vec<usize> {
        (0..self.minted.len()).filter(|&index| self.minted[index].token.is_some()).collect()
    }

    pub(super) fn token(&self, index: usize) -> String {
        self.minted[index].token.clone().unwrap()
    }

    /// The line has moved, from this place to a new one.
    pub(super) fn moved(&mut self, parent: Presented, place: Presented, now: UnixMillis) {
        let highest = self.minted.iter().map(|minted| minted.place.generation).max().unwrap();
        assert!(place.generation > highest, "no number is minted twice");
        assert_eq!(place.issued_at, now);
        self.minted.push(Minted { token: None, place, parent: Some(parent) });
        self.idle_expires_at = self.expires_at.min(now + IDLE);
    }

    /// Notes what an honoured refresh token was answered with. `place` is what the token says.
    pub(super) fn answered(&mut self, answer: &Refresh, token: &str, place: Presented, roles: &[String]) {
        let current = self.minted.last_mut().unwrap();
        assert_eq!(place, current.place, "the answer is the line's current token");
        let known = current.token.get_or_insert_with(|| token.to_owned());
        assert_eq!(known, token, "one place in the line is one token");
        assert_eq!(answer.tokens.refresh_expires_at, self.idle_expires_at);
        self.issued(&answer.tokens, roles);
    }

    pub(super) fn issued(&mut self, tokens: &TokenPair, roles: &[String]) {
        self.access.push(Access {
            token: tokens.access_token.expose_secret().to_owned(),
            expires_at: tokens.access_expires_at,
            roles: roles.to_vec(),
        });
    }
}

/// What a refresh token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    Refused(Reason),
    /// Refused for that reason; or as unknown, for a store may forget what is over.
    Over(Reason),
    /// The current token, as it is.
    Current {
        unchanged: bool,
    },
    /// A new one.
    Next,
    /// It kills the session.
    Reuse,
}

/// How far a call gets: what has to work for it to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    Memory,
    /// The memory, or the store where the memory has forgotten.
    MemoryOrStore,
    Reads,
    Writes,
}

/// What is wrong with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    None,
    /// Another process holds the write lock.
    Locked,
    /// No connection is left.
    Closed,
}

impl Outage {
    /// Whether a call that gets so far must fail, and whether it may.
    pub(super) fn fails(self, reach: Reach) -> (bool, bool) {
        match self {
            Self::None => (false, false),
            Self::Locked => (reach == Reach::Writes, reach == Reach::MemoryOrStore),
            Self::Closed => (reach >= Reach::Reads, reach == Reach::MemoryOrStore),
        }
    }
}

/// What an access token may be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Verified,
    Invalid(InvalidReason),
    Stale,
}

/// Everything that was issued and acknowledged.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) accounts: Vec<Account>,
    pub(super) chains: Vec<Chain>,
    /// When the service last read the ledger; none before it has.
    pub(super) polled_at: Option<Monotonic>,
}

impl Model {
    pub(super) fn is_fresh(&self, now: Monotonic) -> bool {
        self.polled_at.is_some_and(|at| now.since(at) <= MAX_STALENESS)
    }

    /// The service has read the ledger to its end.
    pub(super) fn polled(&mut self, now: Monotonic) {
        self.polled_at = Some(now);
        for chain in &mut self.chains {
            chain.known = chain.revoked;
        }
        for account in &mut self.accounts {
            account.known_epoch = account.epoch;
        }
    }

    /// Whether the session may go on at all, whatever is presented for it.
    pub(super) fn stands(&self, chain: &Chain) -> bool {
        let account = &self.accounts[chain.account];
        !chain.revoked && !account.disabled && chain.epoch == account.epoch
    }

    /// The table of the design, in its own order, after the question whether anything is known at all.
    pub(super) fn worth(
        &self,
        chain: &Chain,
        index: usize,
        now: UnixMillis,
        monotonic: Monotonic,
    ) -> (Worth, Reach) {
        use Worth::{Current, Next, Over, Refused, Reuse};
        // A clock that has stepped makes the view stale, and must not tell an honest client that its token has expired.
        if !self.is_fresh(monotonic) {
            return (Refused(Reason::RevocationsStale), Reach::Memory);
        }
        if chain.expires_at <= now {
            return (Refused(Reason::RefreshTokenExpired), Reach::Memory);
        }
        if chain.revoked {
            return (Refused(Reason::SessionRevoked), Reach::MemoryOrStore);
        }
        if self.accounts[chain.account].disabled {
            return (Refused(Reason::SessionRevoked), Reach::Reads);
        }
        if chain.idle_expires_at <= now {
            return (Over(Reason::RefreshTokenExpired), Reach::Reads);
        }
        if chain.epoch != self.accounts[chain.account].epoch {
            return (Over(Reason::SessionRevoked), Reach::Reads);
        }
        let (current, presented) = (chain.current(), chain.minted[index].place);
        let elapsed = now.since(current.place.issued_at);
        if presented == current.place {
            let awaited = current.parent.is_some() && elapsed <= SETTLED;
            return if awaited { (Current { unchanged: true }, Reach::Reads) } else { (Next, Reach::Writes) };
        }
        if current.parent != Some(presented) {
            return (Reuse, Reach::Writes);
        }
        if elapsed <= GRACE {
            (Current { unchanged: false }, Reach::Reads)
        } else if elapsed <= SETTLED {
            (Refused(Reason::RefreshInProgress), Reach::Reads)
        } else {
            (Next, Reach::Writes)
        }
    }

    /// What an access token may be answered with: one answer, or either of two where the ledger revokes it and the
    /// service need not know yet.
    pub(super) fn verification(
        &self,
        chain: &Chain,
        access: &Access,
        now: UnixMillis,
        monotonic: Monotonic,
    ) -> Vec<Answer> {
        if access.expires_at <= now {
            return vec![Answer::Invalid(InvalidReason::Expired)];
        }
        let account = &self.accounts[chain.account];
        let revoked = Answer::Invalid(InvalidReason::Revoked);
        if self.polled_at.is_some() && (chain.known || chain.epoch < account.known_epoch) {
            return vec![revoked];
        }
        let good = if self.is_fresh(monotonic) { Answer::Verified } else { Answer::Stale };
        if chain.revoked || chain.epoch < account.epoch { vec![revoked, good] } else { vec![good] }
    }
}

//! Keys that make tokens, as a database keeps them.

use std::fmt;
use std::time::Duration;

use countersign_verifier::UnixMillis;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// Access tokens.
    Signing,
    /// Refresh tokens.
    Refresh,
}

impl KeyKind {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Signing, Self::Refresh];

    /// The name that people read; also that of the subdirectory in a directory of keys, and what databases store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Refresh => "refresh",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Names a replica of the service for as long as its process runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaId([u8; 16]);

impl ReplicaId {
    /// No replica has this one.
    pub const NONE: Self = Self([0; 16]);

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplicaId({})", hex::encode(self.0))
    }
}

/// The secret half of a key, encrypted. Says nothing without the key-encryption key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// Names the key-encryption key: the first bytes of its digest. Empty where nothing is sealed.
    pub under: Vec<u8>,
    /// The encrypted key. Empty for a key that has ended: its secret is gone.
    pub bytes: Vec<u8>,
}

impl SealedKey {
    /// What is left of a key that has ended.
    pub const fn gone() -> Self {
        Self { under: Vec::new(), bytes: Vec::new() }
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedKey({} bytes)", self.bytes.len())
    }
}

/// How a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyEnd {
    /// Every token that was made with it had expired.
    Retired,
    /// Somebody withdrew it: no token of it is accepted, expired or not.
    Withdrawn,
}

impl KeyEnd {
    /// The name that databases store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retired => "retired",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The end with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Retired, Self::Withdrawn].into_iter().find(|end| end.as_str() == name)
    }
}

/// A key as the database has it.
///
/// It is announced when it is created, activated when new tokens are made with it, and it ends. It is settled when every replica
/// is known to have it as it is: announced or, once it is activated, as the key that it makes tokens with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// The `kid` of a signing key (RFC 7515 §4.1.4), or the eight hexadecimal digits of a MAC key.
    pub id: String,
    /// What it is for.
    pub kind: KeyKind,
    /// `EdDSA`, `ES256`, `RS256` or `HS256`.
    pub algorithm: String,
    /// Whether it is the public half alone, which makes no tokens: another system has the private one.
    pub verify_only: bool,
    /// The key itself.
    pub sealed: SealedKey,
    /// The longest life of a token that was made with it. Only ever raised.
    pub life: Duration,
    /// The revision of the table at which it was created or, once it is activated, at which it was that.
    pub revision: u64,
    /// When it was created, by the database's clock. All other times are by that clock, too.
    pub created_at: UnixMillis,
    /// From when on new tokens are made with it; `None` while it is announced.
    pub activate_at: Option<UnixMillis>,
    /// Since when every replica is known to have it as it is now.
    pub settled_at: Option<UnixMillis>,
    /// When and how it ended.
    pub ended: Option<(UnixMillis, KeyEnd)>,
    /// Names the request that made it; empty where none did.
    pub request: String,
}

impl TokenKey {
    /// Whether tokens are accepted that were made with it.
    pub const fn is_trusted(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether it may make tokens, now or later.
    pub const fn can_sign(&self) -> bool {
        self.is_trusted() && !self.verify_only
    }

    /// Whether it waits to be activated.
    pub const fn is_announced(&self) -> bool {
        self.can_sign() && self.activate_at.is_none()
    }
}

/// A replica that runs, as it said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReplica {
    /// Names its process.
    pub id: ReplicaId,
    /// What people know it by: the name of its machine or pod.
    pub name: String,
    /// Up to which revision of the table it has every key.
    pub revision: u64,
}

/// Every key, and who has which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTable {
    /// What time it is by the database's clock.
    pub now: UnixMillis,
    /// How often the table was changed. 0: there were never any keys.
    pub revision: u64,
    /// The replica that has the lease to rotate keys; `None` when it has run out.
    pub leader: Option<ReplicaId>,
    /// In the order in which they were created, those that have ended too.
    pub keys: Vec<TokenKey>,
    /// The replicas that are alive.
    pub replicas: Vec<KeyReplica>,
}

impl KeyTable {
    /// The keys of one kind.
    pub fn of(&self, kind: KeyKind) -> impl Iterator<Item = &TokenKey> {
        self.keys.iter().filter(move |key| key.kind == kind)
    }

    /// The keys that make tokens now, did or will, in the order in which they come into use. No two are equal in it.
    pub fn scheduled(&self, kind: KeyKind) -> Vec<&TokenKey> {
        let mut keys: Vec<_> =
            self.of(kind).filter(|key| key.can_sign() && key.activate_at.is_some()).collect();
        keys.sort_by(|a, b| (a.activate_at, a.revision, &a.id).cmp(&(b.activate_at, b.revision, &b.id)));
        keys
    }

    /// The key that makes new tokens: the one that came into use last, or else the first that will.
    pub fn active(&self, kind: KeyKind) -> Option<&TokenKey> {
        let keys = self.scheduled(kind);
        let reached = keys.partition_point(|key| key.activate_at <= Some(self.now));
        keys.get(reached.saturating_sub(1)).copied()
    }

    /// The key that will make new tokens next.
    pub fn announced(&self, kind: KeyKind) -> Option<&TokenKey> {
        self.of(kind).find(|key| key.is_announced())
    }

    /// The replicas that do not have every key up to a revision.
    pub fn lagging(&self, revision: u64) -> impl Iterator<Item = &KeyReplica> {
        self.replicas.iter().filter(move |replica| replica.revision < revision)
    }

    /// Whether every replica that is alive has every key up to a revision.
    pub fn is_everywhere(&self, revision: u64) -> bool {
        self.lagging(revision).next().is_none()
    }
}

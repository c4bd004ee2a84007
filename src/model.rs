//! The plain types of the domain: what a user, a session and a revocation are, and the one pure function that
//! decides what a refresh token is worth. Nothing here does I/O, asks the time or knows a transport.

pub mod audit;
pub mod external_id;
pub mod id;
pub mod key_rotation;
mod position;
pub mod revocation;
pub mod rotation;
pub mod service_account;
pub mod session;
pub mod throttle;
pub mod token_key;
mod told;
pub mod user;
pub mod username;

pub use audit::{Event, EventFacts, EventFilter, EventKind, NewEvent, Origin};
pub use countersign_verifier::{
    Clock, Epoch, ManualClock, Monotonic, SessionId, SystemClock, UnixMillis, UserId,
};
pub use external_id::ExternalId;
pub use id::{MacKeyId, new_service_account_id, new_service_key_id, new_user_id};
pub use key_rotation::{KeyPolicy, KeyStep, Withdrawal, laggards, next_step, withdrawal};
pub use position::{NotAPosition, Position};
pub use revocation::{Actor, EndCause, Revocation, RevocationReason, RevocationScope};
pub use rotation::{Decision, Generation, Line, Presented, RotationPolicy, decide};
pub use service_account::{
    NewServiceAccount, Note, ServiceAccount, ServiceAccountChange, ServiceAccountId, ServiceAccountName,
    ServiceKey, ServiceKeyDigest, ServiceKeyId,
};
pub use session::{ClientFacts, NewSession, Session, SessionLimit};
pub use token_key::{KeyEnd, KeyKind, KeyReplica, KeyTable, ReplicaId, SealedKey, TokenKey};
pub use told::{ServiceKeyFacts, SessionFacts, UserFacts};
pub use user::{
    Credential, CustomClaims, Identity, ImportedUser, InvalidAttribute, NewUser, PasswordHash, Role, User,
};
pub use username::{InvalidUsername, Username};

//! Who asks for something administrative, and what that lets them do to whom.

use crate::model::{Actor, Role, User};
use crate::reason::Reason;

/// Somebody who may administer. Which methods they may call was decided before; here is what they may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whom the ledger names.
    pub actor: Actor,
    /// Whom the audit log names: the actor, or the names of a certificate.
    pub name: String,
    /// Whether they have [`Role::ADMIN`]. Only such a caller gives or takes a reserved role, or touches a user who has
    /// one: nobody comes by more rights than they have, by way of an account that has them.
    pub is_administrator: bool,
}

/// The caller lacks [`Role::ADMIN`], and a reserved role is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only {} may give or take a reserved role, or touch a user who has one", Role::ADMIN)]
pub struct NeedsAdministrator;

impl Caller {
    /// An operator at the command line, who has the database's credentials.
    pub fn operator() -> Self {
        Self { actor: Actor::Operator, name: Actor::Operator.to_string(), is_administrator: true }
    }

    /// Somebody whose certificate a rule of the operator names: trusted with what is not reserved.
    pub fn certificate(names: &[String]) -> Self {
        Self { actor: Actor::Operator, name: names.join(" "), is_administrator: false }
    }

    /// A user, as the store knows them now.
    pub fn user(user: &User) -> Self {
        let actor = Actor::User(user.id);
        let is_administrator = user.roles.iter().any(|role| role.as_str() == Role::ADMIN);
        Self { actor, name: actor.to_string(), is_administrator }
    }

    /// Whether they may give somebody these roles, or take them away.
    pub(super) fn may_assign(&self, roles: &[Role]) -> Result<(), NeedsAdministrator> {
        let allowed = self.is_administrator || !roles.iter().any(Role::is_reserved);
        if allowed { Ok(()) } else { Err(NeedsAdministrator) }
    }

    /// Whether they may change this user, or end their sessions.
    pub(super) fn may_touch(&self, user: &User) -> Result<(), NeedsAdministrator> {
        self.may_assign(&user.roles)
    }
}

impl From<NeedsAdministrator> for super::AuthError {
    fn from(error: NeedsAdministrator) -> Self {
        Self::new(Reason::CallerNotAllowed).caused_by(error)
    }
}

//! Who asks for something administrative, and what that lets them do to whom.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Actor, Origin, Role, ServiceAccount, User};
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
    /// The roles that they have. A certificate has none.
    roles: Vec<Role>,
    /// What the audit log says of where their changes come from.
    origin: Origin,
}

/// The caller lacks [`Role::ADMIN`], and a reserved role is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only {} may give or take a reserved role, or touch a user who has one", Role::ADMIN)]
pub struct NeedsAdministrator;

/// The caller is about to give a program more than they have themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "only {admin} may give a service account the role {0:?}, or a key of one that has it, without having it",
    admin = Role::ADMIN
)]
pub struct LacksRole(pub String);

impl Caller {
    /// An operator at the command line, who has the database's credentials.
    pub fn operator() -> Self {
        Self {
            actor: Actor::Operator,
            name: Actor::Operator.to_string(),
            is_administrator: true,
            roles: Vec::new(),
            origin: Origin::default(),
        }
    }

    /// An operator at the command line, who works in this account of the machine.
    pub fn operator_named(account: &str) -> Self {
        let actor = Some(format!("{}:{account}", Actor::Operator));
        Self { origin: Origin { actor, ..Origin::default() }, ..Self::operator() }
    }

    /// Somebody whose certificate a rule of the operator names: trusted with what is not reserved.
    pub fn certificate(names: &[String]) -> Self {
        let name = names.join(" ");
        let origin = Origin { actor: Some(format!("certificate:{name}")), ..Origin::default() };
        Self { actor: Actor::Operator, name, is_administrator: false, roles: Vec::new(), origin }
    }

    /// A user, as the store knows them now.
    pub fn user(user: &User) -> Self {
        Self::with_roles(Actor::User(user.id), &user.roles)
    }

    /// A program that has shown a key of this service account, as the store knows the account now.
    pub fn service(account: &ServiceAccount) -> Self {
        Self::with_roles(Actor::Service(account.id), &account.roles)
    }

    fn with_roles(actor: Actor, roles: &[Role]) -> Self {
        let is_administrator = roles.iter().any(|role| role.as_str() == Role::ADMIN);
        let (name, origin) = (actor.to_string(), Origin::default());
        Self { actor, name, is_administrator, roles: roles.to_vec(), origin }
    }

    /// The same, whose call came from this address and has this id.
    #[must_use]
    pub fn calling(self, peer: Option<IpAddr>, request_id: &str) -> Self {
        let origin = Origin { peer, request_id: request_id.to_owned(), ..self.origin };
        Self { origin, ..self }
    }

    /// What the audit log says of where their changes come from.
    pub(super) fn origin(&self) -> Arc<Origin> {
        let actor = self.origin.actor.clone().unwrap_or_else(|| self.name.clone());
        Arc::new(Origin { actor: Some(actor), ..self.origin.clone() })
    }

    /// Whether they may give somebody these roles, or take them away.
    pub(super) fn may_assign(&self, roles: &[Role]) -> Result<(), NeedsAdministrator> {
        let allowed = self.is_administrator || !roles.iter().any(Role::is_reserved);
        if allowed { Ok(()) } else { Err(NeedsAdministrator) }
    }

    /// Whether they may make something that acts by itself with these roles: a service account, or a key of one. Nobody does
    /// by way of a program what they may not do themselves.
    pub(super) fn may_hand_out(&self, roles: &[Role]) -> Result<(), LacksRole> {
        let lacking = |role: &&Role| role.is_reserved() || !self.roles.contains(role);
        match roles.iter().find(lacking) {
            Some(role) if !self.is_administrator => Err(LacksRole(role.as_str().to_owned())),
            _ => Ok(()),
        }
    }

    /// Whether they may change this user, or end their sessions.
    pub(super) fn may_touch(&self, user: &User) -> Result<(), NeedsAdministrator> {
        self.may_assign(&user.roles)
    }
}

/// There is no such reserved role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role {0:?}: those that begin with {prefix:?} are {all}", prefix = Role::RESERVED_PREFIX, all = Role::RESERVED.join(", "))]
pub struct UnknownRole(pub String);

/// A reserved role that there is not would look like one that does something.
pub(super) fn check_reserved(roles: &[Role]) -> Result<(), UnknownRole> {
    let unknown = |role: &&Role| role.is_reserved() && !Role::RESERVED.contains(&role.as_str());
    match roles.iter().find(unknown) {
        Some(role) => Err(UnknownRole(role.as_str().to_owned())),
        None => Ok(()),
    }
}

impl From<LacksRole> for super::AuthError {
    fn from(error: LacksRole) -> Self {
        Self::new(Reason::CallerNotAllowed).caused_by(error)
    }
}

impl From<NeedsAdministrator> for super::AuthError {
    fn from(error: NeedsAdministrator) -> Self {
        Self::new(Reason::CallerNotAllowed).caused_by(error)
    }
}

//! What `countersign user` asks of the service.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::auth::{CreateUser, ImportBatch, ImportRun, RowResult};
use crate::cli::place::Ended;
use crate::cli::program::{BoxError, Page};
use crate::model::{Credential, CustomClaims, ExternalId, Role, UnixMillis, UserFacts, Username};

/// The administration of users by an operator. Every change is written to the audit log by whoever implements this;
/// those that end sessions also to the ledger.
#[async_trait]
pub trait UserAdministration: Send + Sync {
    /// Creates a user, enabled.
    async fn create(&self, new: CreateUser) -> Result<UserFacts, BoxError>;

    /// Some users, in order of username: the first ones, or those that come after a page.
    async fn list(&self, after: Option<&str>) -> Result<Page<UserFacts>, BoxError>;

    /// The user with this username.
    async fn show(&self, username: &Username) -> Result<UserFacts, BoxError>;

    /// Sets another password and ends every session.
    async fn set_password(&self, username: &Username, password: SecretString) -> Result<Ended, BoxError>;

    /// Replaces the roles.
    async fn set_roles(&self, username: &Username, roles: Vec<Role>) -> Result<(), BoxError>;

    /// Replaces the custom claims.
    async fn set_claims(&self, username: &Username, claims: CustomClaims) -> Result<(), BoxError>;

    /// Replaces the external id, or takes it away.
    async fn set_external_id(
        &self,
        username: &Username,
        external_id: Option<ExternalId>,
    ) -> Result<(), BoxError>;

    /// Makes a token, good for this long, with which a password can be set once; and says when it expires.
    async fn create_reset(
        &self,
        username: &Username,
        ttl: Duration,
    ) -> Result<(SecretString, UnixMillis), BoxError>;

    /// Lets a disabled user in again.
    async fn enable(&self, username: &Username) -> Result<(), BoxError>;

    /// Locks the user out and ends every session.
    async fn disable(&self, username: &Username) -> Result<Ended, BoxError>;

    /// Forgets the user and ends every session.
    async fn delete(&self, username: &Username) -> Result<Ended, BoxError>;
}

/// All users at once, in and out, where their stores are.
#[async_trait]
pub trait UserTransfer: Send + Sync {
    /// Imports the rows of a batch, and answers for each in order.
    async fn import(&self, run: &ImportRun, batch: ImportBatch) -> Result<Vec<RowResult>, BoxError>;

    /// Some users with their password hashes, in order of username: the first ones, or those that come after a page.
    async fn list_credentials(&self, after: Option<&str>) -> Result<Page<Credential>, BoxError>;
}

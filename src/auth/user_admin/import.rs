//! Many users from another system, some hundred at a time. A row either becomes a user, or finds the user that it has made
//! before, or is refused with what is wrong; one that is refused costs no other anything.
//!
//! A row finds its user by the id: the one that it gives, or else one that is made from its username. So nothing of a row
//! need be stored to know it again, above all nothing of its password.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Caller, UserAdmin, UserAdminError, audit, check_reserved};
use crate::model::{Identity, ImportedUser, Monotonic, NewUser, PasswordHash, UserId};
use crate::password::{Imported, Password, PoolError, Unusable};
use crate::store::{ImportAnswer, StoreError};

mod row;

use row::ImportUser;
pub use row::{RawCredential, RawRow, RefusalReason, RowRefusal};

/// The most rows of one transaction.
const MOST_ROWS: usize = 200;
/// The most rows of one batch whose passwords must be hashed first: each takes some 20 ms, and its caller waits for an answer.
const MOST_HASHED: usize = 32;

/// The pauses before a store that did not answer is asked again.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome {
    /// The user was created; in a dry run, would be.
    Created(UserId),
    /// The user is there, as the row says.
    Unchanged(UserId),
    /// Nothing was done.
    Refused(RowRefusal),
}

/// The answer to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowResult {
    /// The number that the caller gave the row.
    pub number: u64,
    /// What became of it.
    pub outcome: RowOutcome,
}

/// Rows that go into the database together.
#[derive(Debug, Default)]
pub struct ImportBatch {
    rows: Vec<(u64, Result<ImportUser, RowRefusal>)>,
    hashed: usize,
}

impl ImportBatch {
    /// Checks a row, and keeps what the import needs of it.
    pub fn push(&mut self, number: u64, row: Result<RawRow, RowRefusal>) {
        let row = row.and_then(ImportUser::read);
        self.hashed += usize::from(row.as_ref().is_ok_and(ImportUser::takes_hashing));
        self.rows.push((number, row));
    }

    /// Whether the batch should be imported before another row comes.
    pub const fn is_full(&self) -> bool {
        self.rows.len() >= MOST_ROWS || self.hashed >= MOST_HASHED
    }

    /// The number of the last row.
    pub fn last_number(&self) -> Option<u64> {
        self.rows.last().map(|(number, _)| *number)
    }

    /// Whether there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// One import, from its first row to its last. Dropped, it writes to the audit log what became of the rows.
#[derive(Debug)]
pub struct ImportRun {
    actor: String,
    rehearsal: Option<Mutex<Rehearsal>>,
    created: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
}

impl ImportRun {
    /// An import that stores what it can.
    pub fn new(by: &Caller) -> Self {
        Self::with(by, None)
    }

    /// An import that stores nothing, and says what would happen. `remembered` is how many rows are compared with those that
    /// come later: each takes some 40 bytes.
    pub fn dry(by: &Caller, remembered: usize) -> Self {
        let rehearsal = Rehearsal { remembered, hasher: RandomState::new(), taken: HashMap::new() };
        Self::with(by, Some(Mutex::new(rehearsal)))
    }

    fn with(by: &Caller, rehearsal: Option<Mutex<Rehearsal>>) -> Self {
        let (created, unchanged, refused) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { actor: by.name.clone(), rehearsal, created, unchanged, refused }
    }

    /// How many rows became users, found their user as they say, and were refused.
    pub fn totals(&self) -> [u64; 3] {
        [&self.created, &self.unchanged, &self.refused].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for ImportRun {
    fn drop(&mut self) {
        let [created, unchanged, refused] = self.totals();
        audit::users_imported(created, unchanged, refused, self.rehearsal.is_some(), &self.actor);
    }
}

/// What the rows before would have taken, as digests that mean nothing outside of this process.
#[derive(Debug)]
struct Rehearsal {
    remembered: usize,
    hasher: RandomState,
    /// The digest of an id, a username or an external id, and of what the row says whose it is.
    taken: HashMap<u64, u64>,
}

impl Rehearsal {
    /// What a row would find that nobody in the database is in the way of.
    fn answer(&mut self, user: &ImportUser) -> RowOutcome {
        let identity = &user.identity;
        let row = self.hasher.hash_one((
            identity.username.as_str(),
            &identity.external_id,
            &user.roles,
            user.claims.to_json(),
            user.disabled,
        ));
        let id = self.hasher.hash_one(("id", identity.id));
        let username = self.hasher.hash_one(("username", identity.username.as_str()));
        let external = identity.external_id.as_ref().map(|id| self.hasher.hash_one(("external", id)));
        if let Some(before) = self.taken.get(&id) {
            return if *before == row {
                RowOutcome::Unchanged(identity.id)
            } else {
                let what = "a row before has the same id or username, and says otherwise";
                RowOutcome::Refused(RowRefusal::of(RefusalReason::UserDiffers, "user_id", what))
            };
        }
        if self.taken.contains_key(&username) {
            return RowOutcome::Refused(username_taken());
        }
        if external.is_some_and(|id| self.taken.contains_key(&id)) {
            return RowOutcome::Refused(external_id_taken());
        }
        if self.taken.len() < self.remembered.saturating_mul(3) {
            self.taken.extend([id, username].into_iter().chain(external).map(|key| (key, row)));
        }
        RowOutcome::Created(identity.id)
    }
}

fn username_taken() -> RowRefusal {
    RowRefusal::of(RefusalReason::UsernameTaken, "username", "another user has this username")
}

fn external_id_taken() -> RowRefusal {
    RowRefusal::of(RefusalReason::ExternalIdTaken, "external_id", "another user has this external id")
}

/// What is known of a hash that somebody is about to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCheck {
    /// Whose format it is.
    pub format: &'static str,
    /// Whether it would be wrapped in Argon2id, or hashed where it is plain text.
    pub wrapped: bool,
    /// Whether it is a hash of the password; not known where none was given.
    pub matches: Option<bool>,
}

impl UserAdmin {
    /// Imports the rows of a batch, and answers for each in order. An error says nothing of any row: some may have become
    /// users, and the same batch again finds out.
    pub async fn import(
        &self,
        by: &Caller,
        run: &ImportRun,
        batch: ImportBatch,
    ) -> Result<Vec<RowResult>, UserAdminError> {
        let mut outcomes: Vec<Option<RowOutcome>> = Vec::with_capacity(batch.rows.len());
        let mut numbers = Vec::with_capacity(batch.rows.len());
        let mut wanted = Vec::new();
        for (place, (number, row)) in batch.rows.into_iter().enumerate() {
            numbers.push(number);
            match row.and_then(|user| may_create(by, user)) {
                Ok(user) => {
                    wanted.push((place, user));
                    outcomes.push(None);
                }
                Err(refusal) => outcomes.push(Some(RowOutcome::Refused(refusal))),
            }
        }
        if run.rehearsal.is_some() || wanted.iter().any(|(_, user)| user.takes_hashing()) {
            wanted = self.without_those_there(wanted, &mut outcomes).await?;
        }
        match &run.rehearsal {
            Some(rehearsal) => {
                let mut rehearsal = rehearsal.lock().unwrap_or_else(PoisonError::into_inner);
                for (place, user) in wanted {
                    outcomes[place] = Some(rehearsal.answer(&user));
                }
            }
            None => self.insert(by, wanted, &mut outcomes).await?,
        }
        Ok(self.counted(run, numbers, outcomes))
    }

    /// Settles the rows whose user is there, or for whom somebody is in the way, so that nothing is hashed for them.
    async fn without_those_there(
        &self,
        wanted: Vec<(usize, ImportUser)>,
        outcomes: &mut [Option<RowOutcome>],
    ) -> Result<Vec<(usize, ImportUser)>, UserAdminError> {
        let identities = wanted.iter().map(|(_, user)| user.identity.clone()).collect();
        let answers = self.look_up_patiently(identities).await?;
        let mut left = Vec::with_capacity(wanted.len());
        for ((place, user), answer) in wanted.into_iter().zip(answers) {
            if answer == ImportAnswer::Created {
                left.push((place, user));
            } else {
                outcomes[place] = Some(settle(&user, answer));
            }
        }
        Ok(left)
    }

    async fn insert(
        &self,
        by: &Caller,
        wanted: Vec<(usize, ImportUser)>,
        outcomes: &mut [Option<RowOutcome>],
    ) -> Result<(), UserAdminError> {
        let hashed = wanted.into_iter().map(|(place, mut user)| async move {
            let hash = self.taken_over(user.credential.take()).await?;
            Ok::<_, PoolError>((place, user, hash))
        });
        let mut ready = Vec::new();
        for (place, user, hash) in try_join_all(hashed).await? {
            match hash {
                Ok(hash) => ready.push((place, user, hash)),
                Err(refusal) => outcomes[place] = Some(RowOutcome::Refused(refusal)),
            }
        }
        let users = ready.iter().map(|(_, user, hash)| imported(user, hash.clone())).collect();
        let answers = self.store_patiently(by, users).await?;
        for ((place, user, _), answer) in ready.into_iter().zip(answers) {
            outcomes[place] = Some(settle(&user, answer));
        }
        Ok(())
    }

    /// Asks the store again while it does not answer, for some seconds: an import is long, and its caller waits anyway.
    async fn look_up_patiently(&self, identities: Vec<Identity>) -> Result<Vec<ImportAnswer>, StoreError> {
        for pause in PAUSES {
            match self.users.look_up(identities.clone()).await {
                Err(StoreError::Unavailable { .. }) => tokio::time::sleep(pause).await,
                outcome => return outcome,
            }
        }
        self.users.look_up(identities).await
    }

    /// The same for what is to be stored.
    async fn store_patiently(
        &self,
        by: &Caller,
        users: Vec<ImportedUser>,
    ) -> Result<Vec<ImportAnswer>, StoreError> {
        let store = self.users_for(by);
        for pause in PAUSES {
            match store.import(users.clone()).await {
                Err(StoreError::Unavailable { .. }) => tokio::time::sleep(pause).await,
                outcome => return outcome,
            }
        }
        store.import(users).await
    }

    /// What is to be stored for the password of a row.
    async fn taken_over(
        &self,
        credential: Option<(Imported, SecretString)>,
    ) -> Result<Result<PasswordHash, RowRefusal>, PoolError> {
        let Some((hash, text)) = credential else { return Ok(Ok(PasswordHash::none())) };
        let format = hash.format();
        let deadline = self.or_patience(None);
        match self.passwords.adopt_in_background(hash, text.expose_secret(), deadline).await {
            Ok(hash) => Ok(Ok(hash)),
            // The same row would do it again; the others are not to suffer for it.
            Err(PoolError::Panicked) => {
                let what = "it cannot be hashed, which is a defect of this service";
                Ok(Err(RowRefusal::hash(Unusable::Unsupported { format, why: what })))
            }
            Err(error) => Err(error),
        }
    }

    fn counted(
        &self,
        run: &ImportRun,
        numbers: Vec<u64>,
        outcomes: Vec<Option<RowOutcome>>,
    ) -> Vec<RowResult> {
        let results: Vec<RowResult> = numbers
            .into_iter()
            .zip(outcomes)
            .filter_map(|(number, outcome)| Some(RowResult { number, outcome: outcome? }))
            .collect();
        for RowResult { outcome, .. } in &results {
            let (count, name) = match outcome {
                RowOutcome::Created(_) => (&run.created, "created"),
                RowOutcome::Unchanged(_) => (&run.unchanged, "unchanged"),
                RowOutcome::Refused(_) => (&run.refused, "refused"),
            };
            count.fetch_add(1, Ordering::Relaxed);
            if run.rehearsal.is_none() {
                (self.count_imported)(name);
            }
        }
        results
    }

    /// Whether a hash of another system would be taken, and is one of the password, where one is given.
    pub async fn check_hash(
        &self,
        hash: &SecretString,
        password: Option<SecretString>,
        deadline: Monotonic,
    ) -> Result<Result<HashCheck, RowRefusal>, UserAdminError> {
        let hash = match Imported::parse(hash.expose_secret()) {
            Ok(hash) => hash,
            Err(error) => return Ok(Err(RowRefusal::hash(error))),
        };
        let (format, wrapped) = (hash.format(), hash.takes_hashing());
        let matches = match password {
            None => None,
            Some(password) => {
                let password = Password::new(password.expose_secret().to_owned())?;
                Some(self.passwords.check(hash, password, deadline).await?)
            }
        };
        Ok(Ok(HashCheck { format, wrapped, matches }))
    }
}

/// Nobody gives roles by a file that they may not give otherwise.
fn may_create(by: &Caller, user: ImportUser) -> Result<ImportUser, RowRefusal> {
    check_reserved(&user.roles).map_err(|error| RowRefusal::invalid("roles", error.to_string()))?;
    by.may_assign(&user.roles)
        .map_err(|error| RowRefusal::of(RefusalReason::RoleNotAllowed, "roles", error.to_string()))?;
    Ok(user)
}

fn imported(user: &ImportUser, password_hash: PasswordHash) -> ImportedUser {
    let new = NewUser {
        id: user.identity.id,
        username: user.identity.username.clone(),
        password_hash,
        roles: user.roles.clone(),
        claims: user.claims.clone(),
        external_id: user.identity.external_id.clone(),
    };
    ImportedUser { new, disabled: user.disabled, created_at: user.created_at }
}

/// What the store's answer means for the row.
fn settle(user: &ImportUser, answer: ImportAnswer) -> RowOutcome {
    let refusal = match answer {
        ImportAnswer::Created => return RowOutcome::Created(user.identity.id),
        ImportAnswer::UsernameTaken => username_taken(),
        ImportAnswer::ExternalIdTaken => external_id_taken(),
        ImportAnswer::Known(known) if known.username != user.identity.username => {
            RowRefusal::of(RefusalReason::UserIdTaken, "user_id", "another user has this id")
        }
        ImportAnswer::Known(known) => {
            let fields = user.differences(&known);
            if fields.is_empty() {
                return RowOutcome::Unchanged(known.id);
            }
            let what = format!("the user is there, with other values of {}", fields.join(", "));
            RowRefusal { fields, ..RowRefusal::of(RefusalReason::UserDiffers, "", what) }
        }
    };
    RowOutcome::Refused(refusal)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn row(username: &str, user_id: &str, external_id: &str, roles: &[&str]) -> ImportUser {
        ImportUser::read(RawRow {
            username: username.to_owned(),
            credential: RawCredential::Nothing,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            claims: Map::new(),
            user_id: user_id.to_owned(),
            external_id: external_id.to_owned(),
            disabled: false,
            created_at: None,
        })
        .unwrap()
    }

    #[test]
    fn a_dry_run_sees_rows_that_are_in_each_others_way() {
        const ID: &str = "0190a5b0-7f3c-7e55-8a44-0d5f2b6f6c01";
        let mut rehearsal = Rehearsal { remembered: 9, hasher: RandomState::new(), taken: HashMap::new() };
        let mut said =
            |username, id, external, roles| match rehearsal.answer(&row(username, id, external, roles)) {
                RowOutcome::Created(_) => "CREATED",
                RowOutcome::Unchanged(_) => "UNCHANGED",
                RowOutcome::Refused(refusal) => refusal.reason.as_str(),
            };
        assert_eq!(said("ada", "", "7", &["ops"]), "CREATED");
        assert_eq!(said("ada", "", "7", &["ops"]), "UNCHANGED");
        assert_eq!(said("ADA", "", "7", &["ops"]), "UNCHANGED", "the same once it is normalized");
        assert_eq!(said("ada", "", "7", &[]), "USER_DIFFERS");
        assert_eq!(said("ada", ID, "", &[]), "USERNAME_TAKEN");
        assert_eq!(said("grace", "", "7", &[]), "EXTERNAL_ID_TAKEN");
        assert_eq!(said("grace", ID, "8", &[]), "CREATED");
        assert_eq!(said("alan", ID, "", &[]), "USER_DIFFERS");
    }
}

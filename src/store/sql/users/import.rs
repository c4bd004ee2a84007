//! Many users in one transaction. Who is in the way of whom is decided here, from what was read; if another transaction
//! creates one of them in between, the insertion fails for its unique keys, and all of it is done again.

use std::collections::{HashMap, HashSet};

use super::{Failure, audit, named, values};
use crate::model::{
    Epoch, EventKind, ExternalId, Identity, ImportedUser, NewEvent, Origin, UnixMillis, User, UserId,
};
use crate::store::ImportAnswer;
use crate::store::sql::dialect::Dialect;
use crate::store::sql::pool::Connection;
use crate::store::sql::rows;

/// Who is there of those that a batch names, one way or another.
#[derive(Default)]
struct There {
    by_id: HashMap<UserId, User>,
    usernames: HashSet<String>,
    external_ids: HashSet<String>,
}

impl There {
    async fn read<D: Dialect>(
        identities: &[Identity],
        connection: &mut Connection<D>,
    ) -> Result<Self, Failure> {
        let ids: HashSet<UserId> = identities.iter().map(|identity| identity.id).collect();
        let names: HashSet<&str> = identities.iter().map(|identity| identity.username.as_str()).collect();
        let external: HashSet<&str> = external_ids(identities).collect();

        let mut there = Self::default();
        let ids = rows::texts_json(ids.into_iter().map(|id| hex::encode(id.as_bytes())));
        for row in connection.fetch(D::STATEMENTS.users_with_ids, values![ids]).await? {
            there.add(rows::user(&row)?);
        }
        let names = rows::texts_json(names.into_iter());
        for row in connection.fetch(D::STATEMENTS.users_with_names, values![names]).await? {
            there.add(rows::user(&row)?);
        }
        if !external.is_empty() {
            let external = rows::texts_json(external.into_iter());
            for row in connection.fetch(D::STATEMENTS.users_with_external_ids, values![external]).await? {
                there.add(rows::user(&row)?);
            }
        }
        Ok(there)
    }

    fn add(&mut self, user: User) {
        self.usernames.insert(user.username.as_str().to_owned());
        self.external_ids.extend(user.external_id.as_ref().map(|id| id.as_str().to_owned()));
        self.by_id.insert(user.id, user);
    }

    fn answer(&self, identity: &Identity) -> ImportAnswer {
        if let Some(user) = self.by_id.get(&identity.id) {
            return ImportAnswer::Known(Box::new(user.clone()));
        }
        if self.usernames.contains(identity.username.as_str()) {
            return ImportAnswer::UsernameTaken;
        }
        if identity.external_id.as_ref().is_some_and(|id| self.external_ids.contains(id.as_str())) {
            return ImportAnswer::ExternalIdTaken;
        }
        ImportAnswer::Created
    }
}

fn external_ids(identities: &[Identity]) -> impl Iterator<Item = &str> {
    identities.iter().filter_map(|identity| identity.external_id.as_ref()).map(ExternalId::as_str)
}

/// Answers for each, as if it were the only one.
pub(super) async fn look_up<D: Dialect>(
    identities: &[Identity],
    connection: &mut Connection<D>,
) -> Result<Vec<ImportAnswer>, Failure> {
    let there = There::read(identities, connection).await?;
    Ok(identities.iter().map(|identity| there.answer(identity)).collect())
}

/// Inserts whoever can be, and answers for each. Must be in a transaction.
pub(super) async fn insert<D: Dialect>(
    users: &[ImportedUser],
    origin: &Origin,
    connection: &mut Connection<D>,
) -> Result<Vec<ImportAnswer>, Failure> {
    let identities: Vec<Identity> = users.iter().map(|user| Identity::from(&user.new)).collect();
    let mut there = There::read(&identities, connection).await?;
    let mut answers = Vec::with_capacity(users.len());
    let mut wanted = Vec::new();
    for (user, identity) in users.iter().zip(&identities) {
        let answer = there.answer(identity);
        if answer == ImportAnswer::Created {
            there.add(as_created(user));
            wanted.push(user);
        }
        answers.push(answer);
    }
    if !wanted.is_empty() {
        let event = |user: &&ImportedUser| named(EventKind::UserImported, &user.new, origin);
        let events: Vec<NewEvent> = wanted.iter().map(event).collect();
        let rows = rows::imported_json(wanted.into_iter());
        let time = connection.time();
        connection.execute(D::STATEMENTS.import_users, vec![rows.into(), time]).await?;
        audit::note(connection, &events).await?;
    }
    Ok(answers)
}

/// The user as the next row of the same batch finds them. When they were created only the database will know.
fn as_created(ImportedUser { new, disabled, created_at }: &ImportedUser) -> User {
    let created_at = created_at.unwrap_or(UnixMillis(0));
    User {
        id: new.id,
        username: new.username.clone(),
        roles: new.roles.clone(),
        claims: new.claims.clone(),
        external_id: new.external_id.clone(),
        disabled: *disabled,
        epoch: Epoch(0),
        created_at,
        updated_at: created_at,
    }
}

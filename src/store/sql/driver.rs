//! The narrow way to a driver: statements with their values in, rows out. It is the one place that states what is
//! asked of the types of `sqlx`; everything else is written against [`Driver`] and [`Record`].

use std::borrow::Cow;

use sqlx::database::HasStatementCache;
use sqlx::{AssertSqlSafe, ColumnIndex, Database, Decode, Encode, Executor, IntoArguments, Row, Type};

use super::failure::Failure;
use crate::model::{
    ReplicaId, ServiceAccountId, ServiceKeyDigest, ServiceKeyId, SessionId, UnixMillis, UserId,
};

/// A value for a statement. It has no `Debug`, because it may be a password hash.
pub enum Value {
    /// A number, a time.
    Int(Option<i64>),
    /// A text, JSON.
    Text(Option<String>),
    /// An id, an encrypted key.
    Bytes(Vec<u8>),
}

/// The values of a statement's parameters, in their order.
pub type Values = Vec<Value>;

/// The values of a statement's parameters: `values![user, epoch.0]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::sql::driver::Value::from($value)),*] };
}
pub(in crate::store) use values;

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(Some(value.into()))
    }
}

/// What does not fit is as large as can be.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<Option<u64>> for Value {
    fn from(value: Option<u64>) -> Self {
        value.map_or(Self::Int(None), Self::from)
    }
}

impl From<Option<u32>> for Value {
    fn from(value: Option<u32>) -> Self {
        Self::Int(value.map(i64::from))
    }
}

impl From<UnixMillis> for Value {
    fn from(time: UnixMillis) -> Self {
        Self::Int(Some(time.0))
    }
}

impl From<Option<UnixMillis>> for Value {
    fn from(time: Option<UnixMillis>) -> Self {
        Self::Int(time.map(|time| time.0))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<UserId> for Value {
    fn from(id: UserId) -> Self {
        Self::Bytes(id.as_bytes().to_vec())
    }
}

impl From<SessionId> for Value {
    fn from(id: SessionId) -> Self {
        Self::Bytes(id.as_bytes().to_vec())
    }
}

impl From<ServiceAccountId> for Value {
    fn from(id: ServiceAccountId) -> Self {
        Self::Bytes(id.as_bytes().to_vec())
    }
}

impl From<ServiceKeyId> for Value {
    fn from(id: ServiceKeyId) -> Self {
        Self::Bytes(id.as_bytes().to_vec())
    }
}

impl From<ServiceKeyDigest> for Value {
    fn from(digest: ServiceKeyDigest) -> Self {
        Self::Bytes(digest.as_bytes().to_vec())
    }
}

impl From<ReplicaId> for Value {
    fn from(id: ReplicaId) -> Self {
        Self::Bytes(id.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<[u8; 4]> for Value {
    fn from(bytes: [u8; 4]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

/// A database that can be asked. Implemented by every driver that takes the values there are.
pub trait Driver: Database {
    /// Runs a statement that returns no rows, and keeps it prepared where `keep` says so.
    fn execute(
        connection: &mut Self::Connection,
        statement: &'static str,
        values: Values,
        keep: bool,
    ) -> impl Future<Output = sqlx::Result<Self::QueryResult>> + Send;

    /// The same, and returns its rows.
    fn fetch(
        connection: &mut Self::Connection,
        statement: &'static str,
        values: Values,
        keep: bool,
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Row>>> + Send;

    /// Runs a command that cannot be prepared: `BEGIN`, `SET`.
    fn command(
        connection: &mut Self::Connection,
        command: Cow<'static, str>,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
}

impl<DB> Driver for DB
where
    DB: Database + HasStatementCache,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'q> Option<i64>: Encode<'q, DB> + Type<DB>,
    for<'q> Option<String>: Encode<'q, DB> + Type<DB>,
    for<'q> Vec<u8>: Encode<'q, DB> + Type<DB>,
{
    async fn execute(
        connection: &mut DB::Connection,
        statement: &'static str,
        values: Values,
        keep: bool,
    ) -> sqlx::Result<DB::QueryResult> {
        bind(statement, values).persistent(keep).execute(connection).await
    }

    async fn fetch(
        connection: &mut DB::Connection,
        statement: &'static str,
        values: Values,
        keep: bool,
    ) -> sqlx::Result<Vec<DB::Row>> {
        bind(statement, values).persistent(keep).fetch_all(connection).await
    }

    async fn command(connection: &mut DB::Connection, command: Cow<'static, str>) -> sqlx::Result<()> {
        // Made of constants and numbers alone.
        sqlx::raw_sql(AssertSqlSafe(command)).execute(connection).await.map(drop)
    }
}

fn bind<DB>(statement: &'static str, values: Values) -> sqlx::query::Query<'static, DB, DB::Arguments>
where
    DB: Database,
    for<'q> Option<i64>: Encode<'q, DB> + Type<DB>,
    for<'q> Option<String>: Encode<'q, DB> + Type<DB>,
    for<'q> Vec<u8>: Encode<'q, DB> + Type<DB>,
{
    values.into_iter().fold(sqlx::query(statement), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

/// A row of any of the databases. What is not of the type that is asked for is an error, a null is `None`.
pub trait Record: Send + Sync {
    /// A number.
    fn int(&self, column: &'static str) -> Result<Option<i64>, Failure>;
    /// A text.
    fn text(&self, column: &'static str) -> Result<Option<&str>, Failure>;
    /// Bytes.
    fn bytes(&self, column: &'static str) -> Result<Option<&[u8]>, Failure>;
    /// A truth value.
    fn flag(&self, column: &'static str) -> Result<Option<bool>, Failure>;
}

impl<R> Record for R
where
    R: Row,
    for<'i> &'i str: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> bool: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> &'r str: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    fn int(&self, column: &'static str) -> Result<Option<i64>, Failure> {
        Ok(self.try_get(column)?)
    }

    fn text(&self, column: &'static str) -> Result<Option<&str>, Failure> {
        Ok(self.try_get(column)?)
    }

    fn bytes(&self, column: &'static str) -> Result<Option<&[u8]>, Failure> {
        Ok(self.try_get(column)?)
    }

    fn flag(&self, column: &'static str) -> Result<Option<bool>, Failure> {
        Ok(self.try_get(column)?)
    }
}

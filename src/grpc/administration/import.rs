//! `UserService.ImportUsers`: rows in, what became of them out. A batch of rows is read, stored and answered before the next
//! one is read, so that a caller who is faster waits, and nothing piles up here.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream, stream};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Code, Status, Streaming};

use super::{Service, message};
use crate::auth::{
    AuthError, ImportBatch, ImportRun, RawCredential, RawRow, RefusalReason, RowOutcome, RowRefusal,
    RowResult,
};
use crate::grpc::call::Call;
use crate::grpc::proto::v1;
use crate::grpc::proto::v1::import_users_request::Message as Said;
use crate::grpc::{convert, status};
use crate::model::CustomClaims;
use crate::reason::Reason;

/// The path of the call.
pub(in crate::grpc) const PATH: &str = "/countersign.v1.UserService/ImportUsers";
/// How many imports may be under way: each holds a batch of rows, some 10 MiB at the most.
pub(super) const MOST_AT_ONCE: usize = 4;

/// The most rows of a message.
const MOST_IN_A_MESSAGE: usize = 100;
/// How long a caller may say nothing.
const IDLE: Duration = Duration::from_mins(1);
/// How long a batch waits for more rows than have come: a transaction costs about as much.
const GATHER: Duration = Duration::from_millis(5);
/// How many rows of a dry run are compared with those that come later.
const REMEMBERED: usize = 100_000;

pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<v1::ImportUsersResponse, Status>> + Send>>;

/// One import.
pub(super) struct Import {
    service: Service,
    call: Call,
    said: Streaming<v1::ImportUsersRequest>,
    run: Option<Arc<ImportRun>>,
    /// The rows of a message that was read.
    rows: VecDeque<v1::ImportRow>,
    answers: VecDeque<v1::ImportUsersResponse>,
    /// Set once nothing more is read: how the stream ends when everything has been answered.
    ended: Option<Result<(), Status>>,
    end: BoxFuture<'static, ()>,
    _permit: OwnedSemaphorePermit,
}

impl Import {
    pub(super) fn new(
        service: Service,
        call: Call,
        said: Streaming<v1::ImportUsersRequest>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let end = service.end.reached().boxed();
        let (rows, answers) = (VecDeque::new(), VecDeque::new());
        Self { service, call, said, run: None, rows, answers, ended: None, end, _permit: permit }
    }

    /// The answers, each made when the caller has room for it.
    pub(super) fn answers(self) -> Answers {
        Box::pin(stream::unfold(self, |mut import| async {
            let answer = import.next().await?;
            Some((answer, import))
        }))
    }

    async fn next(&mut self) -> Option<Result<v1::ImportUsersResponse, Status>> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Some(Ok(answer));
            }
            if let Some(ended) = &mut self.ended {
                return std::mem::replace(ended, Ok(())).err().map(Err);
            }
            let batch = self.gather().await;
            if let Err(status) = self.import(batch).await {
                self.ended = Some(Err(status));
            }
        }
    }

    /// Reads the rows of one batch. Whatever ends the stream is noted, and the rows before it are imported all the same.
    async fn gather(&mut self) -> ImportBatch {
        let mut batch = ImportBatch::default();
        let mut wait = IDLE;
        while self.ended.is_none() && !batch.is_full() {
            if let Some(row) = self.rows.pop_front() {
                batch.push(row.number, raw_row(row));
                wait = GATHER;
                continue;
            }
            let first = batch.is_empty();
            tokio::select! {
                biased;
                () = &mut self.end => self.ended = Some(Err(self.refuse(&Reason::StreamEnded.into()))),
                said = tokio::time::timeout(wait, self.said.message()) => match said {
                    Ok(Ok(Some(said))) => {
                        if let Err(status) = self.hear(said).await {
                            self.ended = Some(Err(status));
                        }
                    }
                    Ok(Ok(None)) => self.ended = Some(Ok(())),
                    Ok(Err(error)) => self.ended = Some(Err(self.unreadable(error))),
                    Err(_elapsed) if first => {
                        self.ended = Some(Err(self.refuse(&Reason::DeadlineExceeded.into())));
                    }
                    Err(_elapsed) => break,
                },
            }
        }
        batch
    }

    async fn hear(&mut self, said: v1::ImportUsersRequest) -> Result<(), Status> {
        match said.message {
            Some(Said::Start(start)) if self.run.is_none() => {
                let run = self.service.run(&self.call, async move |_, by| {
                    Ok(if start.dry_run { ImportRun::dry(&by, REMEMBERED) } else { ImportRun::new(&by) })
                });
                self.run = Some(Arc::new(run.await?));
                Ok(())
            }
            Some(Said::Start(_)) => Err(self.invalid("start", "must not be sent twice")),
            Some(Said::Rows(_)) if self.run.is_none() => {
                Err(self.invalid("start", "must be the first message"))
            }
            Some(Said::Rows(v1::ImportRows { rows })) if rows.len() <= MOST_IN_A_MESSAGE => {
                self.rows = rows.into();
                Ok(())
            }
            Some(Said::Rows(_)) => {
                Err(self.invalid("rows", &format!("must be at most {MOST_IN_A_MESSAGE} in a message")))
            }
            None => Err(self.invalid("message", "must be start or rows")),
        }
    }

    async fn import(&mut self, batch: ImportBatch) -> Result<(), Status> {
        let Some(run) = self.run.clone().filter(|_| !batch.is_empty()) else { return Ok(()) };
        let results = self.service.run(&self.call, async move |administration, by| {
            Ok(administration.users.import(&by, &run, batch).await?)
        });
        self.answers.extend(results.await?.into_iter().map(Into::into));
        Ok(())
    }

    fn invalid(&self, field: &str, why: &str) -> Status {
        self.refuse(&AuthError::invalid_field(field, why))
    }

    fn refuse(&self, error: &AuthError) -> Status {
        status::refuse(error, self.call.language)
    }

    /// A message that could not be read. What tonic says of it by itself names no reason.
    fn unreadable(&self, error: Status) -> Status {
        let what = match error.code() {
            Code::OutOfRange => "is larger than this server reads",
            Code::Internal if error.details().is_empty() => "must be a message of the method's type",
            _ => return error,
        };
        self.invalid("rows", what)
    }
}

/// A row as the use case takes it.
fn raw_row(row: v1::ImportRow) -> Result<RawRow, RowRefusal> {
    use v1::import_row::Credential;

    let credential = match row.credential {
        Some(Credential::PasswordHash(hash)) => RawCredential::Hash(hash.into()),
        Some(Credential::Password(password)) => RawCredential::Password(password.into()),
        Some(Credential::NoPassword(_)) => RawCredential::Nothing,
        None => {
            let what = "there must be password_hash, password or no_password";
            return Err(RowRefusal::invalid("password_hash", what));
        }
    };
    let claims = message::object(row.custom_claims.unwrap_or_default(), CustomClaims::MAX_DEPTH);
    let claims =
        claims.ok_or_else(|| RowRefusal::invalid("custom_claims", "are no JSON, or nested too deep"))?;
    let created_at = row.created_at.map(convert::unix_millis).transpose();
    let created_at = created_at.map_err(|()| RowRefusal::invalid("created_at", "is not a time"))?;
    Ok(RawRow {
        username: row.username,
        credential,
        roles: row.roles,
        claims,
        user_id: row.user_id,
        external_id: row.external_id,
        disabled: row.disabled,
        created_at,
    })
}

impl From<RowResult> for v1::ImportUsersResponse {
    fn from(RowResult { number, outcome }: RowResult) -> Self {
        let (outcome, user_id, refusal) = match outcome {
            RowOutcome::Created(id) => (v1::ImportOutcome::Created, id.to_string(), None),
            RowOutcome::Unchanged(id) => (v1::ImportOutcome::Unchanged, id.to_string(), None),
            RowOutcome::Refused(refusal) => (v1::ImportOutcome::Refused, String::new(), Some(refusal.into())),
        };
        Self { number, outcome: outcome.into(), user_id, refusal }
    }
}

impl From<RowRefusal> for v1::ImportRefusal {
    fn from(RowRefusal { reason, fields, description, hash_problem }: RowRefusal) -> Self {
        Self {
            reason: v1::ImportRefusalReason::from(reason).into(),
            fields: fields.into_iter().map(str::to_owned).collect(),
            description,
            hash_problem: hash_problem.unwrap_or_default().to_owned(),
        }
    }
}

impl From<RefusalReason> for v1::ImportRefusalReason {
    fn from(reason: RefusalReason) -> Self {
        match reason {
            RefusalReason::InvalidField => Self::InvalidField,
            RefusalReason::PasswordHashRefused => Self::PasswordHashRefused,
            RefusalReason::UsernameTaken => Self::UsernameTaken,
            RefusalReason::UserIdTaken => Self::UserIdTaken,
            RefusalReason::ExternalIdTaken => Self::ExternalIdTaken,
            RefusalReason::UserDiffers => Self::UserDiffers,
            RefusalReason::RoleNotAllowed => Self::RoleNotAllowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_one_name_in_reports_and_in_the_contract() {
        for reason in RefusalReason::ALL {
            let expected = format!("IMPORT_REFUSAL_REASON_{}", reason.as_str());
            assert_eq!(v1::ImportRefusalReason::from(reason).as_str_name(), expected);
        }
    }
}

//! Answers of the administrative services, read.

use crate::auth::{Explanation, KeyEntry, KeyState, SessionEnd};
use crate::grpc::administration::message;
use crate::grpc::proto::v1;
use crate::model::{
    ClientFacts, CustomClaims, EndCause, Epoch, ExternalId, KeyKind, Note, Position, Role, ServiceAccount,
    ServiceAccountName, ServiceKeyFacts, SessionFacts, UnixMillis, UserFacts, Username,
};

/// An answer that no service of this contract gives; says which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service's answer cannot be read: {0}")]
pub struct Unreadable(&'static str);

/// A part of an answer that must be there, and be what it is.
pub(super) fn read<T, E>(what: &'static str, part: Result<T, E>) -> Result<T, Unreadable> {
    part.map_err(|_| Unreadable(what))
}

pub(super) fn time(
    what: &'static str,
    time: Option<prost_types::Timestamp>,
) -> Result<UnixMillis, Unreadable> {
    let prost_types::Timestamp { seconds, nanos } = time.ok_or(Unreadable(what))?;
    let millis =
        seconds.checked_mul(1000).and_then(|millis| millis.checked_add(i64::from(nanos) / 1_000_000));
    millis.map(UnixMillis).ok_or(Unreadable(what))
}

fn roles(names: &[String]) -> Result<Vec<Role>, Unreadable> {
    read("roles", Role::parse_all(names.iter().map(String::as_str)))
}

pub(super) fn position(text: &str) -> Result<Position, Unreadable> {
    read("position", text.parse())
}

pub(super) fn user(user: Option<v1::User>) -> Result<UserFacts, Unreadable> {
    let user = user.ok_or(Unreadable("user"))?;
    let external = user.external_id.as_str();
    let external =
        if external.is_empty() { None } else { Some(read("external_id", ExternalId::parse(external))?) };
    let claims: CustomClaims = read("custom_claims", message::claims("custom_claims", user.custom_claims))?;
    Ok(UserFacts {
        id: read("id", user.id.parse())?,
        username: read("username", Username::parse(&user.username))?,
        roles: roles(&user.roles)?,
        claims,
        external_id: external,
        disabled: user.disabled,
        created_at: time("created_at", user.created_at)?,
        updated_at: time("updated_at", user.updated_at)?,
    })
}

pub(super) fn session(session: v1::Session) -> Result<SessionFacts, Unreadable> {
    let v1::Client { name, user_agent, address, class } = session.client.unwrap_or_default();
    Ok(SessionFacts {
        id: read("id", session.id.parse())?,
        created_at: time("created_at", session.created_at)?,
        refreshed_at: time("refreshed_at", session.refreshed_at)?,
        expires_at: time("expires_at", session.expires_at)?,
        client: ClientFacts { address, user_agent, name, class },
    })
}

pub(super) fn explanation(answer: v1::ExplainSessionResponse) -> Result<Explanation, Unreadable> {
    match answer.state() {
        v1::SessionState::Alive => Ok(Explanation::Alive),
        v1::SessionState::Unknown => Ok(Explanation::Unknown),
        v1::SessionState::Unspecified => Err(Unreadable("state")),
        v1::SessionState::Revoked => {
            let cause =
                EndCause::ALL.into_iter().find(|&cause| v1::SessionEndCause::from(cause) == answer.cause());
            let Some(ended_at) = answer.ended_at else { return Ok(Explanation::Revoked(None)) };
            let at = time("ended_at", Some(ended_at))?;
            Ok(Explanation::Revoked(Some(SessionEnd { cause, actor: answer.actor, at })))
        }
    }
}

pub(super) fn service_account(account: Option<v1::ServiceAccount>) -> Result<ServiceAccount, Unreadable> {
    let account = account.ok_or(Unreadable("service_account"))?;
    Ok(ServiceAccount {
        id: read("id", account.id.parse())?,
        name: read("name", ServiceAccountName::parse(&account.name))?,
        description: read("description", Note::parse(&account.description))?,
        roles: roles(&account.roles)?,
        disabled: account.disabled,
        // Told to nobody: it is for tokens alone.
        epoch: Epoch(0),
        created_at: time("created_at", account.created_at)?,
        updated_at: time("updated_at", account.updated_at)?,
    })
}

pub(super) fn service_key(key: Option<v1::ServiceKey>) -> Result<ServiceKeyFacts, Unreadable> {
    let key = key.ok_or(Unreadable("key"))?;
    Ok(ServiceKeyFacts {
        id: read("id", key.id.parse())?,
        label: read("label", Note::parse(&key.label))?,
        created_by: key.created_by,
        created_at: time("created_at", key.created_at)?,
        expires_at: time("expires_at", key.expires_at)?,
    })
}

pub(super) fn key(key: Option<v1::Key>) -> Result<KeyEntry, Unreadable> {
    let key = key.ok_or(Unreadable("key"))?;
    let kind = match key.kind() {
        v1::KeyKind::Signing => KeyKind::Signing,
        v1::KeyKind::Refresh => KeyKind::Refresh,
        v1::KeyKind::Unspecified => return Err(Unreadable("kind")),
    };
    let state = match key.state() {
        v1::KeyState::Announced => KeyState::Upcoming,
        v1::KeyState::Active => KeyState::Active,
        v1::KeyState::VerifyOnly => KeyState::VerifyOnly,
        v1::KeyState::Retired => KeyState::Retired,
        v1::KeyState::Withdrawn => KeyState::Withdrawn,
        v1::KeyState::Unspecified => return Err(Unreadable("state")),
    };
    let maybe = |what, at: Option<_>| at.map(|at| time(what, Some(at))).transpose();
    Ok(KeyEntry {
        kind,
        state,
        created_at: maybe("created_at", key.created_at)?,
        activate_at: maybe("activate_at", key.activate_at)?,
        ended_at: maybe("ended_at", key.ended_at)?,
        id: key.id,
        algorithm: key.algorithm,
        missing_on: key.missing_on,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, User, UserId};

    #[test]
    fn a_user_is_read_as_it_was_written() {
        let user = User {
            id: UserId::from_bytes([1; 16]),
            username: Username::parse("ada").unwrap(),
            roles: Role::parse_all(["admin", "ops"]).unwrap(),
            claims: CustomClaims::parse(r#"{"tenant":"acme","n":7}"#).unwrap(),
            external_id: Some(ExternalId::parse("42").unwrap()),
            disabled: true,
            epoch: Epoch(3),
            created_at: UnixMillis(1_700_000_000_123),
            updated_at: UnixMillis(-1),
        };
        assert_eq!(super::user(Some(user.clone().into())), Ok(UserFacts::from(user)));
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let states = [KeyState::Upcoming, KeyState::Active, KeyState::VerifyOnly, KeyState::Retired];
        for (kind, state) in KeyKind::ALL
            .into_iter()
            .flat_map(|kind| states.into_iter().chain([KeyState::Withdrawn]).map(move |state| (kind, state)))
        {
            let entry = KeyEntry {
                id: "20260101T000000Z-0a1b2c3d".to_owned(),
                kind,
                algorithm: "EdDSA".to_owned(),
                state,
                created_at: Some(UnixMillis(1)),
                activate_at: None,
                ended_at: Some(UnixMillis(1_700_000_000_123)),
                missing_on: vec!["replica-2".to_owned()],
            };
            assert_eq!(key(Some(entry.clone().into())), Ok(entry));
        }
        assert_eq!(key(Some(v1::Key::default())), Err(Unreadable("kind")));
    }

    #[test]
    fn an_answer_without_what_it_must_have_is_none() {
        assert_eq!(user(None), Err(Unreadable("user")));
        assert_eq!(user(Some(v1::User::default())), Err(Unreadable("id")));
        assert_eq!(position("7"), Err(Unreadable("position")));
        assert!(explanation(v1::ExplainSessionResponse::default()).is_err());
    }

    #[test]
    fn what_is_known_of_an_end_is_read_as_it_was_written() {
        for cause in EndCause::ALL.map(Some).into_iter().chain([None]) {
            let end = SessionEnd { cause, actor: "operator".to_owned(), at: UnixMillis(60_000) };
            let explained = Explanation::Revoked(Some(end));
            assert_eq!(explanation(explained.clone().into()), Ok(explained));
        }
        let forgotten = Explanation::Revoked(None);
        assert_eq!(explanation(forgotten.clone().into()), Ok(forgotten));
    }
}

//! `UserService`.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Administrator, AdministratorError, PAGE, answer, asked, next};
use crate::auth::{ChangeUser, CreateUser, NewCredential, UserRef};
use crate::grpc::convert;
use crate::grpc::proto::v1;
use crate::model::{ExternalId, Position, Role, UnixMillis, UserFacts, UserId, Username};

/// A user by name.
pub(super) fn named(username: &Username) -> v1::UserRef {
    user_ref(&UserRef::Name(username.clone()))
}

pub(super) fn user_ref(user: &UserRef) -> v1::UserRef {
    let user = match user {
        UserRef::Id(id) => v1::user_ref::User::UserId(id.to_string()),
        UserRef::Name(name) => v1::user_ref::User::Username(name.as_str().to_owned()),
        UserRef::External(id) => v1::user_ref::User::ExternalId(id.as_str().to_owned()),
    };
    v1::UserRef { user: Some(user) }
}

pub(super) fn names(roles: &[Role]) -> Vec<String> {
    roles.iter().map(|role| role.as_str().to_owned()).collect()
}

fn text_of(external_id: Option<&ExternalId>) -> String {
    external_id.map(|id| id.as_str().to_owned()).unwrap_or_default()
}

impl Administrator {
    /// Creates a user, enabled.
    pub async fn create_user(&self, new: CreateUser) -> Result<UserFacts, AdministratorError> {
        let CreateUser { id, username, credential, roles, claims, external_id } = new;
        let credential = match credential {
            NewCredential::Password(password) => {
                v1::create_user_request::Credential::Password(password.expose_secret().to_owned())
            }
            NewCredential::Hash(hash) => {
                v1::create_user_request::Credential::PasswordHash(hash.expose_secret().to_owned())
            }
        };
        let request = v1::CreateUserRequest {
            username: username.as_str().to_owned(),
            credential: Some(credential),
            roles: names(&roles),
            custom_claims: Some(convert::object(claims.as_map())),
            user_id: id.as_ref().map(UserId::to_string).unwrap_or_default(),
            external_id: text_of(external_id.as_ref()),
            ..Default::default()
        };
        Ok(answer::user(asked(self.users().create_user(request)).await?.user)?)
    }

    /// Some users, in order of username, and how to ask for the next ones.
    pub async fn list_users(
        &self,
        after: Option<&str>,
    ) -> Result<(Vec<UserFacts>, Option<String>), AdministratorError> {
        let page_token = after.unwrap_or_default().to_owned();
        let request = v1::ListUsersRequest { page_size: PAGE, page_token, filter: None };
        let page = asked(self.users().list_users(request)).await?;
        let users: Result<_, _> = page.users.into_iter().map(|user| answer::user(Some(user))).collect();
        Ok((users?, next(page.next_page_token)))
    }

    /// The user with this username.
    pub async fn user(&self, username: &Username) -> Result<UserFacts, AdministratorError> {
        let request = v1::GetUserRequest { user: Some(named(username)) };
        Ok(answer::user(asked(self.users().get_user(request)).await?.user)?)
    }

    /// Changes a user.
    pub async fn update_user(
        &self,
        username: &Username,
        change: ChangeUser,
    ) -> Result<(), AdministratorError> {
        let ChangeUser { roles, claims, external_id, unchanged_since: _ } = change;
        let paths = [
            ("roles", roles.is_some()),
            ("custom_claims", claims.is_some()),
            ("external_id", external_id.is_some()),
        ];
        let paths = paths.into_iter().filter(|&(_, named)| named).map(|(path, _)| path.to_owned()).collect();
        let change = v1::UserChange {
            roles: names(&roles.unwrap_or_default()),
            custom_claims: claims.map(|claims| convert::object(claims.as_map())),
            external_id: text_of(external_id.flatten().as_ref()),
        };
        let request = v1::UpdateUserRequest {
            user: Some(named(username)),
            change: Some(change),
            update_mask: Some(prost_types::FieldMask { paths }),
            etag: String::new(),
        };
        asked(self.users().update_user(request)).await?;
        Ok(())
    }

    /// Sets another password, and ends every session.
    pub async fn set_password(
        &self,
        username: &Username,
        password: &SecretString,
    ) -> Result<Position, AdministratorError> {
        let password = password.expose_secret().to_owned();
        let request = v1::SetPasswordRequest { user: Some(named(username)), password };
        Ok(answer::position(&asked(self.users().set_password(request)).await?.position)?)
    }

    /// Makes a token with which a password can be set once, and says when it expires.
    pub async fn create_password_reset(
        &self,
        username: &Username,
        ttl: Duration,
    ) -> Result<(SecretString, UnixMillis), AdministratorError> {
        let request =
            v1::CreatePasswordResetRequest { user: Some(named(username)), ttl: ttl.try_into().ok() };
        let answer = asked(self.users().create_password_reset(request)).await?;
        Ok((answer.reset_token.into(), answer::time("expires_at", answer.expires_at)?))
    }

    /// Lets a disabled user in again.
    pub async fn enable_user(&self, username: &Username) -> Result<(), AdministratorError> {
        asked(self.users().enable_user(v1::EnableUserRequest { user: Some(named(username)) })).await?;
        Ok(())
    }

    /// Locks a user out, and ends every session.
    pub async fn disable_user(&self, username: &Username) -> Result<Position, AdministratorError> {
        let request = v1::DisableUserRequest { user: Some(named(username)) };
        Ok(answer::position(&asked(self.users().disable_user(request)).await?.position)?)
    }

    /// Forgets a user, and ends every session.
    pub async fn delete_user(&self, username: &Username) -> Result<Position, AdministratorError> {
        let request = v1::DeleteUserRequest { user: Some(named(username)) };
        Ok(answer::position(&asked(self.users().delete_user(request)).await?.position)?)
    }
}

//! `Debug` for the messages with a field that holds a password or a token: which fields there are, and no secret.

use std::fmt;

use super::proto::v1;

/// Stands where a secret is not shown.
struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(feature = "test-server")]
impl fmt::Debug for super::proto::test_v1::MintTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintTokenResponse")
            .field("token", &Redacted)
            .field("user_id", &self.user_id)
            .field("username", &self.username)
            .field("session_id", &self.session_id)
            .field("expires_at", &self.expires_at)
            .field("position", &self.position)
            .finish()
    }
}

impl fmt::Debug for v1::LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("username", &self.username)
            .field("password", &Redacted)
            .field("audiences", &self.audiences)
            .field("client", &self.client)
            .finish()
    }
}

impl fmt::Debug for v1::RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest").field("refresh_token", &Redacted).finish()
    }
}

impl fmt::Debug for v1::LogoutRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutRequest")
            .field("token", &self.token)
            .field("everywhere", &self.everywhere)
            .finish()
    }
}

impl fmt::Debug for v1::logout_request::Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arm = match self {
            Self::RefreshToken(_) => "RefreshToken",
            Self::AccessToken(_) => "AccessToken",
        };
        f.debug_tuple(arm).field(&Redacted).finish()
    }
}

impl fmt::Debug for v1::ChangePasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangePasswordRequest")
            .field("refresh_token", &Redacted)
            .field("current_password", &Redacted)
            .field("new_password", &Redacted)
            .finish()
    }
}

impl fmt::Debug for v1::ResetPasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResetPasswordRequest")
            .field("reset_token", &Redacted)
            .field("new_password", &Redacted)
            .finish()
    }
}

impl fmt::Debug for v1::IssueServiceTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueServiceTokenRequest")
            .field("service_key", &Redacted)
            .field("audiences", &self.audiences)
            .finish()
    }
}

impl fmt::Debug for v1::IssueServiceTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueServiceTokenResponse")
            .field("access_token", &Redacted)
            .field("expires_at", &self.expires_at)
            .field("service_account_id", &self.service_account_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CreatePasswordResetResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatePasswordResetResponse")
            .field("reset_token", &Redacted)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

impl fmt::Debug for v1::ListOwnSessionsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListOwnSessionsRequest").field("refresh_token", &Redacted).finish()
    }
}

impl fmt::Debug for v1::RevokeOwnSessionsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokeOwnSessionsRequest")
            .field("refresh_token", &Redacted)
            .field("session_ids", &self.session_ids)
            .field("others", &self.others)
            .finish()
    }
}

impl fmt::Debug for v1::CreateUserRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUserRequest")
            .field("username", &self.username)
            .field("credential", &self.credential)
            .field("roles", &self.roles)
            .field("custom_claims", &self.custom_claims)
            .field("user_id", &self.user_id)
            .field("request_id", &self.request_id)
            .field("external_id", &self.external_id)
            .finish()
    }
}

impl fmt::Debug for v1::create_user_request::Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arm = match self {
            Self::Password(_) => "Password",
            Self::PasswordHash(_) => "PasswordHash",
        };
        f.debug_tuple(arm).field(&Redacted).finish()
    }
}

impl fmt::Debug for v1::ImportRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportRow")
            .field("number", &self.number)
            .field("username", &self.username)
            .field("credential", &self.credential)
            .field("roles", &self.roles)
            .field("custom_claims", &self.custom_claims)
            .field("user_id", &self.user_id)
            .field("external_id", &self.external_id)
            .field("disabled", &self.disabled)
            .field("created_at", &self.created_at)
            .finish()
    }
}

impl fmt::Debug for v1::import_row::Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arm = match self {
            Self::PasswordHash(_) => "PasswordHash",
            Self::Password(_) => "Password",
            Self::NoPassword(_) => return f.write_str("NoPassword"),
        };
        f.debug_tuple(arm).field(&Redacted).finish()
    }
}

impl fmt::Debug for v1::CheckPasswordHashRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckPasswordHashRequest")
            .field("password_hash", &Redacted)
            .field("password", &Redacted)
            .finish()
    }
}

impl fmt::Debug for v1::SetPasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPasswordRequest").field("user", &self.user).field("password", &Redacted).finish()
    }
}

impl fmt::Debug for v1::CreateKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateKeyResponse").field("secret", &Redacted).field("key", &self.key).finish()
    }
}

impl fmt::Debug for v1::VerifyAccessTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyAccessTokenRequest")
            .field("access_token", &Redacted)
            .field("audiences", &self.audiences)
            .field("max_staleness", &self.max_staleness)
            .field("at_least", &self.at_least)
            .finish()
    }
}

impl fmt::Debug for v1::BatchVerifyAccessTokensRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchVerifyAccessTokensRequest")
            .field("access_tokens", &Redacted)
            .field("audiences", &self.audiences)
            .field("max_staleness", &self.max_staleness)
            .field("at_least", &self.at_least)
            .finish()
    }
}

impl fmt::Debug for v1::VerifyStreamRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyStreamRequest")
            .field("access_token", &Redacted)
            .field("audiences", &self.audiences)
            .field("max_staleness", &self.max_staleness)
            .field("at_least", &self.at_least)
            .finish()
    }
}

impl fmt::Debug for v1::Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("access_token", &Redacted)
            .field("refresh_token", &Redacted)
            .field("token_type", &self.token_type)
            .field("access_expires_at", &self.access_expires_at)
            .field("refresh_expires_at", &self.refresh_expires_at)
            .field("expires_in", &self.expires_in)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_a_secret() {
        const CANARY: &str = "canary-4711";
        let secret = || CANARY.to_owned();
        let tokens = v1::Tokens { access_token: secret(), refresh_token: secret(), ..Default::default() };
        let shown = [
            format!("{:?}", v1::LoginRequest { password: secret(), ..Default::default() }),
            format!("{:?}", v1::RefreshRequest { refresh_token: secret() }),
            format!(
                "{:?}",
                v1::LogoutRequest {
                    token: Some(v1::logout_request::Token::RefreshToken(secret())),
                    everywhere: true,
                }
            ),
            format!("{:?}", v1::logout_request::Token::AccessToken(secret())),
            format!("{:?}", v1::VerifyAccessTokenRequest { access_token: secret(), ..Default::default() }),
            format!(
                "{:?}",
                v1::BatchVerifyAccessTokensRequest { access_tokens: vec![secret()], ..Default::default() }
            ),
            format!("{:?}", v1::VerifyStreamRequest { access_token: secret(), ..Default::default() }),
            format!("{:?}", v1::CreateKeyResponse { secret: secret(), ..Default::default() }),
            format!(
                "{:?}",
                v1::ImportUsersRequest {
                    message: Some(v1::import_users_request::Message::Rows(v1::ImportRows {
                        rows: vec![v1::ImportRow {
                            credential: Some(v1::import_row::Credential::Password(secret())),
                            ..Default::default()
                        }],
                    })),
                }
            ),
            format!(
                "{:?}",
                v1::CheckPasswordHashRequest { password_hash: secret(), password: Some(secret()) }
            ),
            format!("{:?}", v1::LoginResponse { tokens: Some(tokens.clone()), session: None }),
            format!("{:?}", v1::RefreshResponse { tokens: Some(tokens) }),
        ];
        for text in shown {
            assert!(!text.contains(CANARY), "{text}");
            assert!(text.contains("[redacted]"), "{text}");
        }
    }
}

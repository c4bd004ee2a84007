//! How large the parts of a request may be: the same for every transport, and checked before any work is done.

use secrecy::ExposeSecret as _;

use super::error::{AuthError, FieldViolation};
use super::types::{
    ChangePassword, LoginRequest, LogoutRequest, LogoutToken, RefreshRequest, ResetPassword, VerifyRequest,
};
use crate::model::{ClientFacts, NotAPosition, Position};
use crate::reason::Reason;

/// The longest username as typed, in bytes.
pub const USERNAME_MAX_BYTES: usize = 1024;
/// The longest password, in bytes.
pub const PASSWORD_MAX_BYTES: usize = 1024;
/// The most audiences that a request may name.
pub const AUDIENCES_MAX: usize = 16;
/// The longest audience, in bytes.
pub const AUDIENCE_MAX_BYTES: usize = 256;
/// The longest of each of the client's facts, in bytes.
pub const CLIENT_FACT_MAX_BYTES: usize = 256;
/// The longest refresh token, in bytes: far more than one of ours has.
pub const REFRESH_TOKEN_MAX_BYTES: usize = 512;
/// The longest `request_id`, in bytes.
pub const REQUEST_ID_MAX_BYTES: usize = 128;

impl LoginRequest {
    /// What is wrong with it, all at once.
    pub fn violations(&self) -> Vec<FieldViolation> {
        let mut violations = Vec::new();
        required(&mut violations, "username", &self.username, USERNAME_MAX_BYTES);
        required(&mut violations, "password", self.password.expose_secret(), PASSWORD_MAX_BYTES);
        audiences(&mut violations, &self.audiences);
        let ClientFacts { address, user_agent, name, class } = &self.client;
        for (field, text) in
            [("client.name", name), ("client.user_agent", user_agent), ("client.address", address)]
        {
            bounded(&mut violations, field, text, CLIENT_FACT_MAX_BYTES);
            printable(&mut violations, field, text);
        }
        if !class.is_empty() && !ClientFacts::is_class(class) {
            let most = ClientFacts::CLASS_MAX_BYTES;
            let what = format!("must be empty or 1 to {most} of a-z 0-9 _ -");
            violations.push(FieldViolation::new("client.class", what));
        }
        violations
    }

    /// Refuses a request with violations.
    pub fn check(&self) -> Result<(), AuthError> {
        verdict(self.violations())
    }
}

impl RefreshRequest {
    /// Refuses a missing token, and one that is too long to be ours.
    pub fn check(&self) -> Result<(), AuthError> {
        match self.refresh_token.expose_secret().len() {
            0 => Err(AuthError::invalid_field("refresh_token", EMPTY)),
            bytes if bytes > REFRESH_TOKEN_MAX_BYTES => Err(Reason::RefreshTokenInvalid.into()),
            _ => Ok(()),
        }
    }
}

impl ChangePassword {
    /// Refuses what is missing or too long. Whether the new password is good enough is another question.
    pub fn check(&self) -> Result<(), AuthError> {
        let mut violations = Vec::new();
        let current = self.current_password.expose_secret();
        required(&mut violations, "current_password", current, PASSWORD_MAX_BYTES);
        if self.new_password.expose_secret().is_empty() {
            violations.push(FieldViolation::new("new_password", EMPTY));
        }
        if self.refresh_token.expose_secret().is_empty() {
            violations.push(FieldViolation::new("refresh_token", EMPTY));
        }
        verdict(violations)?;
        if self.refresh_token.expose_secret().len() > REFRESH_TOKEN_MAX_BYTES {
            return Err(Reason::RefreshTokenInvalid.into());
        }
        Ok(())
    }
}

impl ResetPassword {
    /// Refuses what is missing. Whether the new password is good enough is another question.
    pub fn check(&self) -> Result<(), AuthError> {
        let mut violations = Vec::new();
        for (field, text) in [("reset_token", &self.reset_token), ("new_password", &self.new_password)] {
            if text.expose_secret().is_empty() {
                violations.push(FieldViolation::new(field, EMPTY));
            }
        }
        verdict(violations)
    }
}

impl LogoutRequest {
    /// Refuses a missing token, and an access token that is to end every session. A token that is too long to be
    /// ours is merely unknown.
    pub fn check(&self) -> Result<(), AuthError> {
        let mut violations = Vec::new();
        let (field, token) = match &self.token {
            LogoutToken::Refresh(token) => ("refresh_token", token),
            LogoutToken::Access(token) => ("access_token", token),
        };
        if token.expose_secret().is_empty() {
            violations.push(FieldViolation::new(field, EMPTY));
        }
        if self.everywhere && matches!(self.token, LogoutToken::Access(_)) {
            violations.push(FieldViolation::new("everywhere", "needs the refresh token"));
        }
        verdict(violations)
    }
}

impl VerifyRequest {
    /// What is wrong with it, all at once. The token is not looked at: a bad one is an answer and not an error.
    pub fn violations(&self) -> Vec<FieldViolation> {
        expected_audiences(&self.audiences)
    }

    /// Refuses a request with violations.
    pub fn check(&self) -> Result<(), AuthError> {
        verdict(self.violations())
    }
}

/// What is wrong with the names that an asking service goes by.
pub fn expected_audiences(names: &[String]) -> Vec<FieldViolation> {
    let mut violations = Vec::new();
    audiences(&mut violations, names);
    violations
}

/// The position that must be known before a verification; `None` where none is asked for.
pub fn at_least(text: &str, violations: &mut Vec<FieldViolation>) -> Option<Position> {
    if text.is_empty() {
        return None;
    }
    let position = text.parse();
    position
        .map_err(|error: NotAPosition| violations.push(FieldViolation::new("at_least", error.to_string())))
        .ok()
}

/// An error when there are any.
pub fn verdict(violations: Vec<FieldViolation>) -> Result<(), AuthError> {
    if violations.is_empty() { Ok(()) } else { Err(AuthError::invalid_request(violations)) }
}

const EMPTY: &str = "must not be empty";

fn required(violations: &mut Vec<FieldViolation>, field: &str, text: &str, max_bytes: usize) {
    if text.is_empty() {
        violations.push(FieldViolation::new(field, EMPTY));
    }
    bounded(violations, field, text, max_bytes);
}

fn bounded(violations: &mut Vec<FieldViolation>, field: &str, text: &str, max_bytes: usize) {
    if text.len() > max_bytes {
        violations.push(FieldViolation::new(field, format!("must have at most {max_bytes} bytes")));
    }
}

fn printable(violations: &mut Vec<FieldViolation>, field: &str, text: &str) {
    if text.chars().any(char::is_control) {
        violations.push(FieldViolation::new(field, "must not have control characters"));
    }
}

fn audiences(violations: &mut Vec<FieldViolation>, audiences: &[String]) {
    if audiences.len() > AUDIENCES_MAX {
        let description = format!("must have at most {AUDIENCES_MAX} entries");
        violations.push(FieldViolation::new("audiences", description));
        return;
    }
    for (place, audience) in audiences.iter().enumerate() {
        let field = format!("audiences[{place}]");
        required(violations, &field, audience, AUDIENCE_MAX_BYTES);
        printable(violations, &field, audience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> LoginRequest {
        LoginRequest {
            username: "u".repeat(USERNAME_MAX_BYTES),
            password: "p".repeat(PASSWORD_MAX_BYTES).into(),
            audiences: vec!["a".repeat(AUDIENCE_MAX_BYTES); AUDIENCES_MAX],
            client: ClientFacts {
                address: "x".repeat(CLIENT_FACT_MAX_BYTES),
                user_agent: "x".repeat(CLIENT_FACT_MAX_BYTES),
                name: "x".repeat(CLIENT_FACT_MAX_BYTES),
                class: "x".repeat(ClientFacts::CLASS_MAX_BYTES),
            },
        }
    }

    fn fields(violations: &[FieldViolation]) -> Vec<&str> {
        violations.iter().map(|violation| violation.field.as_str()).collect()
    }

    #[test]
    fn what_is_at_a_bound_passes_and_one_byte_more_does_not() {
        assert_eq!(login().violations(), []);

        let mut request = login();
        request.username.push('u');
        request.password = "p".repeat(PASSWORD_MAX_BYTES + 1).into();
        request.audiences[15].push('a');
        request.client.name.push('x');
        request.client.user_agent.push('x');
        request.client.address.push('x');
        request.client.class.push('x');
        let violations = request.violations();
        let expected = [
            "username",
            "password",
            "audiences[15]",
            "client.name",
            "client.user_agent",
            "client.address",
            "client.class",
        ];
        assert_eq!(fields(&violations), expected, "all at once");

        let mut request = login();
        request.audiences.push("one more".to_owned());
        assert_eq!(fields(&request.violations()), ["audiences"]);
    }

    #[test]
    fn the_empty_and_the_unprintable_are_refused() {
        let request = LoginRequest {
            username: String::new(),
            password: String::new().into(),
            audiences: vec![String::new(), "a\u{0}".to_owned()],
            client: ClientFacts {
                name: "line\nbreak".to_owned(),
                class: "Mobile".to_owned(),
                ..ClientFacts::default()
            },
        };
        let violations = request.violations();
        let expected =
            ["username", "password", "audiences[0]", "audiences[1]", "client.name", "client.class"];
        assert_eq!(fields(&violations), expected);
    }

    #[test]
    fn a_refresh_token_that_is_too_long_is_just_not_ours() {
        let refresh = |bytes| RefreshRequest { refresh_token: "t".repeat(bytes).into() };
        assert!(refresh(REFRESH_TOKEN_MAX_BYTES).check().is_ok());
        let error = refresh(REFRESH_TOKEN_MAX_BYTES + 1).check().unwrap_err();
        assert_eq!(error.reason, Reason::RefreshTokenInvalid);
        assert_eq!(refresh(0).check().unwrap_err().reason, Reason::InvalidRequest);
    }

    #[test]
    fn an_access_token_ends_one_session_only() {
        let logout = |token, everywhere| LogoutRequest { token, everywhere }.check();
        assert!(logout(LogoutToken::Access("a".into()), false).is_ok());
        assert!(logout(LogoutToken::Refresh("r".into()), true).is_ok());
        let error = logout(LogoutToken::Access("a".into()), true).unwrap_err();
        assert_eq!(fields(&error.violations), ["everywhere"]);
    }
}

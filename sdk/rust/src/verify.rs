use std::time::Duration;

use serde_json::{Map, Value};

use crate::jws::Jws;
use crate::{
    Claims, Epoch, InvalidReason, KeySet, Memo, RevocationIndex, SessionId, SubjectKind, UnixMillis, UserId,
};

/// What an access token is held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The one `iss` that is accepted, exactly.
    pub issuer: String,
    /// The audiences that are expected where a caller names none. With none here either, no token is accepted.
    pub default_audiences: Vec<String>,
    /// How far another replica's clock may be ahead: for `iat` and `nbf`. `exp` has none.
    pub leeway: Duration,
    /// The longest token that is looked at, in bytes.
    pub max_token_bytes: usize,
}

impl Rules {
    /// The default of [`Rules::leeway`].
    pub const LEEWAY: Duration = Duration::from_secs(5);
    /// The default of [`Rules::max_token_bytes`]; no token that Countersign mints is longer.
    pub const MAX_TOKEN_BYTES: usize = 8192;

    /// Rules with the default leeway and size.
    pub fn new(issuer: impl Into<String>, default_audiences: Vec<String>) -> Self {
        Self {
            issuer: issuer.into(),
            default_audiences,
            leeway: Self::LEEWAY,
            max_token_bytes: Self::MAX_TOKEN_BYTES,
        }
    }
}

/// Who is calling, told by an access token that passed every check. Only [`verify`] makes one.
///
/// Times are whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedToken {
    /// `sub`: the user, or the service account.
    pub subject: UserId,
    /// Which of the two. A program is let in where a person is expected only by whoever does not look here.
    pub subject_kind: SubjectKind,
    /// `username`: their name when the token was made.
    pub username: String,
    /// `ext`: what they are called in another system, where that is known.
    pub external_id: Option<String>,
    /// `sid`: the session that the token belongs to.
    pub session: SessionId,
    /// `roles`: what they may do.
    pub roles: Vec<String>,
    /// `aud`: whom the token is meant for; at least one of the expected audiences is among them.
    pub audiences: Vec<String>,
    /// `jti`: the token's own name.
    pub token_id: String,
    /// `iat`: when the token was made.
    pub issued_at: i64,
    /// `exp`: from then on it is not accepted.
    pub expires_at: i64,
    /// `auth_time`: when the user last proved who they are.
    pub auth_time: i64,
    /// `amr`: how they proved it (RFC 8176).
    pub amr: Vec<String>,
    /// `epoch`: the user's epoch that the session began in.
    pub epoch: Epoch,
    /// `sxp`: when the session ends whatever happens.
    pub session_expires_at: i64,
    /// Every other claim: the operator's own.
    pub custom: Map<String, Value>,
    /// Room for what a transport makes of this identity time and again. Not part of it.
    pub memo: Memo,
}

/// Decides whether an access token may be used at `now` with a service that goes by one of `audiences` (by one
/// of [`Rules::default_audiences`] when it names none). Does no I/O.
///
/// The checks, in this order; the first that fails is the answer:
///
/// 1. size and shape: [`Malformed`](InvalidReason::Malformed)
/// 2. `typ`: [`WrongType`](InvalidReason::WrongType)
/// 3. `kid` names a key that is trusted, or [`UnknownKey`](InvalidReason::UnknownKey); and `alg` is the algorithm
///    of exactly that key, or [`BadSignature`](InvalidReason::BadSignature): nothing was signed with this key in
///    another way
/// 4. no header parameter that no token of ours has: [`Malformed`](InvalidReason::Malformed)
/// 5. the signature: [`BadSignature`](InvalidReason::BadSignature)
/// 6. the claims are complete, each of its type: [`Malformed`](InvalidReason::Malformed). Nothing of them is read
///    before the signature was verified
/// 7. `iss`: [`WrongIssuer`](InvalidReason::WrongIssuer)
/// 8. `aud`: [`WrongAudience`](InvalidReason::WrongAudience)
/// 9. `exp`: [`Expired`](InvalidReason::Expired)
/// 10. `iat`, `nbf`: [`NotYetValid`](InvalidReason::NotYetValid)
/// 11. the session and the user's epoch: [`Revoked`](InvalidReason::Revoked)
pub fn verify(
    token: &str,
    rules: &Rules,
    keys: &KeySet,
    audiences: &[String],
    revocations: &RevocationIndex,
    now: UnixMillis,
) -> Result<VerifiedToken, InvalidReason> {
    let claims = authenticate(token, rules, keys)?;
    let not_before = claims.not_before;
    let token = identity(claims);
    check(&token, not_before, rules, audiences, revocations, now)?;
    Ok(token)
}

/// The checks 8 to 11 of [`verify`], whose outcome changes with time and with who asks.
pub(crate) fn check(
    token: &VerifiedToken,
    not_before: Option<i64>,
    rules: &Rules,
    audiences: &[String],
    revocations: &RevocationIndex,
    now: UnixMillis,
) -> Result<(), InvalidReason> {
    let expected = if audiences.is_empty() { &rules.default_audiences } else { audiences };
    if !token.audiences.iter().any(|audience| expected.contains(audience)) {
        return Err(InvalidReason::WrongAudience);
    }
    // `exp` is the first moment at which the token is not accepted any more (RFC 7519 §4.1.4).
    if now >= UnixMillis::from_secs(token.expires_at) {
        return Err(InvalidReason::Expired);
    }
    let latest = now + rules.leeway;
    let begins = [Some(token.issued_at), not_before];
    if begins.into_iter().flatten().any(|begin| UnixMillis::from_secs(begin) > latest) {
        return Err(InvalidReason::NotYetValid);
    }
    if revocations.is_revoked(token.subject, token.session, token.epoch) {
        return Err(InvalidReason::Revoked);
    }
    Ok(())
}

/// Who an authentic token speaks for; [`check`] says whether it may.
pub(crate) fn identity(claims: Claims) -> VerifiedToken {
    VerifiedToken {
        subject: claims.subject,
        subject_kind: claims.subject_kind,
        username: claims.username,
        external_id: claims.external_id,
        session: claims.session,
        roles: claims.roles,
        audiences: claims.audiences,
        token_id: claims.token_id,
        issued_at: claims.issued_at,
        expires_at: claims.expires_at,
        auth_time: claims.auth_time,
        amr: claims.amr,
        epoch: claims.epoch,
        session_expires_at: claims.session_expires_at,
        custom: claims.custom,
        memo: Memo::default(),
    }
}

/// Who a token speaks for of which the server has just said that it may be used. Checks nothing but its form.
#[cfg(feature = "client")]
pub(crate) fn vouched_for(token: &str, rules: &Rules) -> Result<VerifiedToken, InvalidReason> {
    let jws = Jws::parse(token, rules.max_token_bytes)?;
    Claims::parse(&jws.payload).map(identity)
}

/// Decides whether we made this access token: the checks 1 to 7 of [`verify`]. Whether it is expired, meant for
/// somebody else or revoked is not asked, so it gives no right to anything. It is for Logout, which honours every
/// authentic access token.
pub fn authenticate(token: &str, rules: &Rules, keys: &KeySet) -> Result<Claims, InvalidReason> {
    let jws = Jws::parse(token, rules.max_token_bytes)?;
    if !jws.header.is_access_token() {
        return Err(InvalidReason::WrongType);
    }
    let key = jws.header.kid.as_deref().and_then(|kid| keys.get(kid)).ok_or(InvalidReason::UnknownKey)?;
    if jws.header.alg != key.algorithm().name() {
        return Err(InvalidReason::BadSignature);
    }
    if jws.header.has_forbidden_parameter {
        return Err(InvalidReason::Malformed);
    }
    if !key.verify(jws.signing_input, &jws.signature) {
        return Err(InvalidReason::BadSignature);
    }
    let claims = Claims::parse(&jws.payload)?;
    if claims.issuer != rules.issuer {
        return Err(InvalidReason::WrongIssuer);
    }
    Ok(claims)
}

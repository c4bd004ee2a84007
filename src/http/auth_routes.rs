//! `/v1/auth/…`: the RPCs as a gateway would serve them, and a user's own sessions, with the refresh token where the operator wants it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::HeaderMap;
use prost_reflect::{DynamicMessage, Value};
use secrecy::{ExposeSecret as _, SecretString};

use super::call::Call;
use super::contract::{decode, message};
use super::edge::Edge;
use super::refusal::Refused;
use super::{bearer, body, captcha, convert, csrf};
use crate::auth::bounds::CLIENT_FACT_MAX_BYTES;
use crate::auth::{
    AuthError, ChangePassword, ChangedPassword, Login, LogoutRequest, LogoutToken, RefreshRequest,
    ResetPassword, RevokeOwnSessions, RevokedSessions, TokenPair, WhichSessions,
};
use crate::model::{ClientFacts, Position};
use crate::reason::Reason;
use crate::transport::HeaderFields as _;

type Outcome = Result<Response, Refused>;

/// Reads the one message that a request is.
async fn read(edge: &Edge, name: &str, request: Request) -> Result<(HeaderMap, DynamicMessage), Refused> {
    let (parts, content) = request.into_parts();
    let content = body::read(&parts.headers, body::JSON, content, edge.options.body_timeout).await?;
    Ok((parts.headers, decode(name, &content)?))
}

/// `POST /v1/auth/login`
pub(super) async fn login(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Outcome {
    let (headers, message_in) = read(&edge, "LoginRequest", request).await?;
    let ask = convert::login(message_in, client_facts(&call, &headers))?;
    let attempt = captcha::Attempt::new(call.client, &ask.username);
    let budget = edge.options.deadlines.login;
    let looking = match &edge.options.captcha {
        Some(captcha) => {
            let now = edge.options.clock.monotonic();
            captcha.check(&attempt, captcha::response(&headers), now, budget / 2).await?
        }
        None => None,
    };
    let context = edge.context(&call, budget);
    let carried = Arc::clone(&edge);
    // What comes of it counts, whether its caller waits or has gone.
    let login = async move {
        let login = carried.auth.login(context, ask).await;
        if let Some(captcha) = &carried.options.captcha {
            match &login {
                Ok(_) => captcha.succeeded(&attempt),
                Err(refused) if refused.reason == Reason::InvalidCredentials => {
                    captcha.failed(&attempt, carried.options.clock.monotonic());
                }
                Err(_) => {}
            }
        }
        drop(looking);
        login
    };
    let login = edge.change(budget, login).await;
    let login = login?;
    Ok(begun(&edge, &headers, login, "LoginResponse", None))
}

/// A session has begun, which the message of this name says; with where the ledger tells of the end of others.
fn begun(edge: &Edge, request: &HeaderMap, login: Login, name: &str, position: Option<Position>) -> Response {
    let tokens = convert::tokens(&login.tokens, !edge.has_cookie());
    let fields =
        [("tokens", Value::Message(tokens)), ("session", Value::Message(convert::session(login.session)))];
    let fields = fields.into_iter().chain(position.map(convert::position));
    let mut answer = edge.answer_with(&message(name, fields));
    keep(edge, request, &mut answer, &login.tokens);
    answer
}

/// What the transport knows of a client, within the bounds of the contract.
fn client_facts(call: &Call, headers: &HeaderMap) -> ClientFacts {
    let agent = headers.all("user-agent").next().unwrap_or_default();
    let agent = String::from_utf8_lossy(agent);
    ClientFacts {
        address: call.client.map(|client| client.to_string()).unwrap_or_default(),
        user_agent: agent[..agent.floor_char_boundary(CLIENT_FACT_MAX_BYTES)].to_owned(),
        ..ClientFacts::default()
    }
}

/// Lets the browser keep the refresh token, where that travels in a cookie.
fn keep(edge: &Edge, request: &HeaderMap, answer: &mut Response, tokens: &TokenPair) {
    if !edge.has_cookie() {
        return;
    }
    let life = tokens.refresh_expires_in + edge.options.unchanged_for;
    let token = tokens.refresh_token.expose_secret();
    edge.refresh_cookie.set(answer.headers_mut(), token, life);
    if edge.options.csrf {
        csrf::give(edge, request, answer.headers_mut());
    }
}

/// Where a refresh token came from.
enum Presented {
    /// The body or the `Authorization` header.
    Openly(SecretString),
    /// The cookie, which a browser sends whoever asks it to.
    ByCookie(SecretString),
}

/// The refresh token of a request that has none in its body. A cookie counts before a bearer token: a client that
/// attaches its access token to every request must not lose its session by that.
fn presented(edge: &Edge, headers: &HeaderMap) -> Result<Option<Presented>, Refused> {
    if edge.has_cookie()
        && let Some(token) = edge.refresh_cookie.find(headers).map_err(AuthError::from)?
    {
        // What is no text is no token that was ever made, and is refused as one that was not.
        let token = String::from_utf8_lossy(token).into_owned();
        return Ok(Some(Presented::ByCookie(token.into())));
    }
    Ok(bearer::find(headers)?.map(Presented::Openly))
}

/// What [`presented`] finds, for a change: a page of another site can make a browser send the cookie.
fn presented_for_a_change(edge: &Edge, headers: &HeaderMap) -> Result<Option<SecretString>, Refused> {
    match presented(edge, headers)? {
        Some(Presented::Openly(token)) => Ok(Some(token)),
        Some(Presented::ByCookie(token)) => {
            csrf::check(edge, headers)?;
            Ok(Some(token))
        }
        None => Ok(None),
    }
}

/// The refresh token of a change that cannot do without one: out of its body, or from where [`presented`] looks.
fn refresh_token(edge: &Edge, headers: &HeaderMap, in_body: String) -> Result<SecretString, Refused> {
    if !in_body.is_empty() {
        return Ok(in_body.into());
    }
    match presented_for_a_change(edge, headers)? {
        Some(token) => Ok(token),
        None if edge.has_cookie() => Err(Reason::TokenMissing.into()),
        None => Ok(SecretString::default()),
    }
}

/// `POST /v1/auth/refresh`
pub(super) async fn refresh(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Outcome {
    let (headers, mut message_in) = read(&edge, "RefreshRequest", request).await?;
    let in_body = convert::text(&mut message_in, "refresh_token");
    let refresh_token = refresh_token(&edge, &headers, in_body)?;
    let ask = RefreshRequest { refresh_token };
    ask.check()?;
    let (auth, budget) = (edge.auth.clone(), edge.options.deadlines.refresh);
    let context = edge.context(&call, budget);
    let refresh = edge.change(budget, async move { auth.refresh(context, ask).await }).await?;
    let tokens = convert::tokens(&refresh.tokens, !edge.has_cookie());
    let fields = [("tokens", Value::Message(tokens))];
    let mut answer = edge.answer_with(&message("RefreshResponse", fields));
    // An unchanged token is in the jar already, or a later answer with a newer one is: nothing may overwrite that.
    if !refresh.unchanged {
        keep(&edge, &headers, &mut answer, &refresh.tokens);
    }
    Ok(answer)
}

/// `POST /v1/auth/logout`
pub(super) async fn logout(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Outcome {
    let (headers, message_in) = read(&edge, "LogoutRequest", request).await?;
    let (in_body, everywhere) = convert::logout(message_in);
    let token = match in_body {
        Some(token) => Some(token),
        None => match presented(&edge, &headers)? {
            Some(Presented::ByCookie(token)) => {
                csrf::check(&edge, &headers)?;
                Some(LogoutToken::Refresh(token))
            }
            Some(Presented::Openly(token)) => Some(named(token)),
            None => None,
        },
    };
    let mut position = None;
    if let Some(token) = token {
        let ask = LogoutRequest { token, everywhere };
        ask.check()?;
        let (auth, budget) = (edge.auth.clone(), edge.options.deadlines.logout);
        let context = edge.context(&call, budget);
        position = edge.change(budget, async move { auth.logout(context, ask).await }).await?;
    } else if !edge.has_cookie() {
        let what = "must be one of refresh_token, access_token";
        return Err(AuthError::invalid_field("token", what).into());
    }
    // With cookies, none is the state that was asked for: another tab was faster.
    let mut answer = edge.answer_with(&message("LogoutResponse", position.map(convert::position)));
    if edge.has_cookie() {
        edge.refresh_cookie.delete(answer.headers_mut());
    }
    Ok(answer)
}

/// What a bearer token is, by its looks.
pub(super) fn named(token: SecretString) -> LogoutToken {
    if bearer::is_refresh_token(token.expose_secret()) {
        LogoutToken::Refresh(token)
    } else {
        LogoutToken::Access(token)
    }
}

/// `POST /v1/auth/password`
pub(super) async fn change_password(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Outcome {
    let (headers, mut message_in) = read(&edge, "ChangePasswordRequest", request).await?;
    let in_body = convert::text(&mut message_in, "refresh_token");
    let ask = ChangePassword {
        refresh_token: refresh_token(&edge, &headers, in_body)?,
        current_password: convert::text(&mut message_in, "current_password").into(),
        new_password: convert::text(&mut message_in, "new_password").into(),
    };
    ask.check()?;
    let (auth, budget) = (edge.auth.clone(), edge.options.deadlines.login);
    let context = edge.context(&call, budget);
    let change = async move { auth.change_password(context, ask).await };
    let ChangedPassword { login, position } = edge.change(budget, change).await?;
    Ok(begun(&edge, &headers, login, "ChangePasswordResponse", Some(position)))
}

/// `POST /v1/auth/password/reset`
pub(super) async fn reset_password(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Outcome {
    let (_, mut message_in) = read(&edge, "ResetPasswordRequest", request).await?;
    let ask = ResetPassword {
        reset_token: convert::text(&mut message_in, "reset_token").into(),
        new_password: convert::text(&mut message_in, "new_password").into(),
    };
    ask.check()?;
    let (auth, budget) = (edge.auth.clone(), edge.options.deadlines.login);
    let context = edge.context(&call, budget);
    let position = edge.change(budget, async move { auth.reset_password(context, ask).await }).await?;
    Ok(edge.answer_with(&message("ResetPasswordResponse", [convert::position(position)])))
}

/// `GET /v1/auth/sessions`: where else the user is logged in. Changes nothing, so a page of another site that makes a browser
/// ask gets no harm done, and the answer is not for it to read.
pub(super) async fn list_own_sessions(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Outcome {
    let presented = presented(&edge, request.headers())?;
    let Some(Presented::Openly(refresh_token) | Presented::ByCookie(refresh_token)) = presented else {
        return Err(Reason::TokenMissing.into());
    };
    let ask = RefreshRequest { refresh_token };
    ask.check()?;
    let (auth, budget) = (edge.auth.clone(), edge.options.deadlines.logout);
    let context = edge.context(&call, budget);
    let own = edge.change(budget, async move { auth.list_own_sessions(context, ask).await }).await?;
    Ok(edge.answer_with(&convert::own_sessions(own)))
}

/// `DELETE /v1/auth/sessions/{id}`, and `DELETE /v1/auth/sessions/others` for all but the one that asks.
pub(super) async fn revoke_own_sessions(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Outcome {
    let which =
        match id.as_str() {
            "others" => WhichSessions::Others,
            id => WhichSessions::These(vec![id.parse().map_err(|_| {
                AuthError::invalid_field("id", "must be others, or 22 characters of base64url")
            })?]),
        };
    let presented = presented_for_a_change(&edge, request.headers())?;
    let refresh_token = presented.ok_or(Reason::TokenMissing)?;
    RefreshRequest { refresh_token: refresh_token.clone() }.check()?;
    let ask = RevokeOwnSessions { refresh_token, which };
    let (auth, budget) = (edge.auth.clone(), edge.options.deadlines.logout);
    let context = edge.context(&call, budget);
    let revoke = async move { auth.revoke_own_sessions(context, ask).await };
    let RevokedSessions { count, position } = edge.change(budget, revoke).await?;
    let revoked = ("revoked", Value::I32(i32::try_from(count).unwrap_or(i32::MAX)));
    Ok(edge.answer_with(&message("RevokeOwnSessionsResponse", [revoked, convert::position(position)])))
}

/// `POST /v1/auth/verify`
pub(super) async fn verify(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Outcome {
    let (_, message_in) = read(&edge, "VerifyAccessTokenRequest", request).await?;
    let (ask, at_least) = convert::verify(message_in)?;
    let context = edge.context(&call, edge.options.deadlines.verify);
    let verify = edge.auth.verify_at_least(&context, &ask, at_least).await?;
    Ok(edge.answer_with(&convert::verification(verify)))
}

/// `GET /v1/auth/session`: who the bearer is.
pub(super) async fn session(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Outcome {
    let token = bearer::require(request.headers())?;
    let token = edge.verified(&call, token, Vec::new())?;
    Ok(edge.answer_with(&convert::verified(token)))
}

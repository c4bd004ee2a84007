//! The entries, in the order of [`Reason`].

use std::time::Duration;

use super::{Code, Entry, Reason};

const SOON: Option<Duration> = Some(Duration::from_secs(1));

pub(super) static ENTRIES: [Entry; 14] = [
    Entry {
        reason: Reason::InvalidRequest,
        name: "INVALID_REQUEST",
        code: Code::InvalidArgument,
        number: 40001,
        retry_after: None,
        en: "The request is not valid.",
        zh_cn: "请求无效。",
        meaning: "The request breaks the contract; `google.rpc.BadRequest` names each field and what is wrong \
                  with it. An empty field name means the request as a whole. Logout with `everywhere` and an \
                  access token is this too: it needs the refresh token.",
        remedy: "Correct the request. Repeating it unchanged never helps.",
    },
    Entry {
        reason: Reason::InvalidCredentials,
        name: "INVALID_CREDENTIALS",
        code: Code::Unauthenticated,
        number: 40101,
        retry_after: None,
        en: "The username or the password is wrong.",
        zh_cn: "用户名或密码错误。",
        meaning: "Wrong password, unknown user or disabled user: which of them is not told, neither by the \
                  answer nor by its time.",
        remedy: "Ask the user again.",
    },
    Entry {
        reason: Reason::RefreshTokenInvalid,
        name: "REFRESH_TOKEN_INVALID",
        code: Code::Unauthenticated,
        number: 40102,
        retry_after: None,
        en: "The session is not known. Please log in again.",
        zh_cn: "会话不存在，请重新登录。",
        meaning: "The refresh token is malformed, forged, or of a session that does not exist.",
        remedy: "Forget the tokens and let the user log in.",
    },
    Entry {
        reason: Reason::RefreshTokenExpired,
        name: "REFRESH_TOKEN_EXPIRED",
        code: Code::Unauthenticated,
        number: 40103,
        retry_after: None,
        en: "The session has expired. Please log in again.",
        zh_cn: "会话已过期，请重新登录。",
        meaning: "The refresh token is past its idle or its absolute life.",
        remedy: "Forget the tokens and let the user log in.",
    },
    Entry {
        reason: Reason::RefreshTokenReused,
        name: "REFRESH_TOKEN_REUSED",
        code: Code::Unauthenticated,
        number: 40104,
        retry_after: None,
        en: "The session was ended for safety, because an old token was used. Please log in again.",
        zh_cn: "检测到旧令牌被再次使用，为安全起见会话已终止，请重新登录。",
        meaning: "A refresh token came back that was replaced long ago: two parties hold the session, and one of \
                  them may be a thief. The session is revoked, its access tokens included.",
        remedy: "Forget the tokens, tell the user, and let them log in.",
    },
    Entry {
        reason: Reason::SessionRevoked,
        name: "SESSION_REVOKED",
        code: Code::Unauthenticated,
        number: 40105,
        retry_after: None,
        en: "The session has ended. Please log in again.",
        zh_cn: "会话已结束，请重新登录。",
        meaning: "The session was logged out or revoked, or its user was disabled or deleted.",
        remedy: "Forget the tokens and let the user log in.",
    },
    Entry {
        reason: Reason::SessionLimitReached,
        name: "SESSION_LIMIT_REACHED",
        code: Code::FailedPrecondition,
        number: 40002,
        retry_after: None,
        en: "You are logged in on as many devices as allowed. Please log out on one of them first.",
        zh_cn: "登录的设备数量已达上限，请先在其他设备上退出登录。",
        meaning: "The user has as many sessions as they may, and the operator chose that one more is refused. \
                  Told only after the password was found right.",
        remedy: "Let the user end another session, then log in again.",
    },
    Entry {
        reason: Reason::RefreshInProgress,
        name: "REFRESH_IN_PROGRESS",
        code: Code::Unavailable,
        number: 50302,
        retry_after: Some(Duration::from_secs(2)),
        en: "The session is being refreshed. Please try again in a moment.",
        zh_cn: "会话正在刷新，请稍后重试。",
        meaning: "The refresh token was exchanged a moment ago, and the answer to that may still be under way.",
        remedy: "Keep the tokens. Wait as long as `google.rpc.RetryInfo` says, then use the newest refresh token \
                 that has arrived, or the same one again.",
    },
    Entry {
        reason: Reason::RateLimitExceeded,
        name: "RATE_LIMIT_EXCEEDED",
        code: Code::ResourceExhausted,
        number: 42901,
        retry_after: SOON,
        en: "Too many attempts. Please try again later.",
        zh_cn: "尝试次数过多，请稍后再试。",
        meaning: "There were more attempts than are allowed in this time.",
        remedy: "Keep the tokens. Try again after the time that `google.rpc.RetryInfo` gives.",
    },
    Entry {
        reason: Reason::LoginOverloaded,
        name: "LOGIN_OVERLOADED",
        code: Code::ResourceExhausted,
        number: 42902,
        retry_after: SOON,
        en: "Too many people are logging in right now. Please try again in a moment.",
        zh_cn: "当前登录人数过多，请稍后重试。",
        meaning: "The queue for checking passwords is full. The password was not looked at.",
        remedy: "Try again after the time that `google.rpc.RetryInfo` gives, with jitter.",
    },
    Entry {
        reason: Reason::StoreUnavailable,
        name: "STORE_UNAVAILABLE",
        code: Code::Unavailable,
        number: 50301,
        retry_after: SOON,
        en: "The service is not available right now. Please try again in a moment.",
        zh_cn: "服务暂时不可用，请稍后重试。",
        meaning: "A store is down, slow, read-only or full. This is never news about a token or a password: \
                  nobody is logged out by it. What was asked for may or may not have been done.",
        remedy: "Keep the tokens. Repeat the same call after the time that `google.rpc.RetryInfo` gives, with \
                 backoff and jitter; every method may be repeated.",
    },
    Entry {
        reason: Reason::RevocationsStale,
        name: "REVOCATIONS_STALE",
        code: Code::Unavailable,
        number: 50303,
        retry_after: SOON,
        en: "The service is not available right now. Please try again in a moment.",
        zh_cn: "服务暂时不可用，请稍后重试。",
        meaning: "What this replica knows of revocations is older than the configured bound, or than the \
                  `max_staleness` that was asked for, so that it cannot say whether a token is still good.",
        remedy: "Keep the tokens. Try again, where possible on another replica; do not take the token for \
                 verified.",
    },
    Entry {
        reason: Reason::DeadlineExceeded,
        name: "DEADLINE_EXCEEDED",
        code: Code::DeadlineExceeded,
        number: 50401,
        retry_after: None,
        en: "The service did not answer in time. Please try again.",
        zh_cn: "服务响应超时，请重试。",
        meaning: "The shorter of the caller's `grpc-timeout` and the server's own limit has passed. A change \
                  that had begun is carried through all the same.",
        remedy: "Keep the tokens. Repeat the same call, with backoff and jitter; every method may be repeated.",
    },
    Entry {
        reason: Reason::Internal,
        name: "INTERNAL",
        code: Code::Internal,
        number: 50001,
        retry_after: None,
        en: "Something went wrong on our side.",
        zh_cn: "服务内部错误。",
        meaning: "A defect of the service. Nothing more is told; the log has the rest, under the call's \
                  `x-request-id`.",
        remedy: "Keep the tokens. Report it with the `x-request-id`.",
    },
];

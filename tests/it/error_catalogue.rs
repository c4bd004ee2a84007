//! The catalogue of error reasons is published: it never changes its meaning, and its page is up to date.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use countersign::model::EndCause;
use countersign::reason::{DOMAIN, Language, Reason};

#[test]
fn a_reason_never_changes_its_code_or_number() {
    let told = Reason::all().map(|it| (it.name(), it.code().name(), it.code().number(), it.number()));
    let published = [
        ("INVALID_REQUEST", "INVALID_ARGUMENT", 3, 40001),
        ("INVALID_CREDENTIALS", "UNAUTHENTICATED", 16, 40101),
        ("REFRESH_TOKEN_INVALID", "UNAUTHENTICATED", 16, 40102),
        ("REFRESH_TOKEN_EXPIRED", "UNAUTHENTICATED", 16, 40103),
        ("REFRESH_TOKEN_REUSED", "UNAUTHENTICATED", 16, 40104),
        ("SESSION_REVOKED", "UNAUTHENTICATED", 16, 40105),
        ("SESSION_LIMIT_REACHED", "FAILED_PRECONDITION", 9, 40002),
        ("REFRESH_IN_PROGRESS", "UNAVAILABLE", 14, 50302),
        ("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", 8, 42901),
        ("LOGIN_OVERLOADED", "RESOURCE_EXHAUSTED", 8, 42902),
        ("SERVER_OVERLOADED", "RESOURCE_EXHAUSTED", 8, 42903),
        ("STORE_UNAVAILABLE", "UNAVAILABLE", 14, 50301),
        ("REVOCATIONS_STALE", "UNAVAILABLE", 14, 50303),
        ("STREAM_ENDED", "UNAVAILABLE", 14, 50305),
        ("CALLER_NOT_ALLOWED", "PERMISSION_DENIED", 7, 40306),
        ("TOKEN_MISSING", "UNAUTHENTICATED", 16, 40106),
        ("ACCESS_TOKEN_EXPIRED", "UNAUTHENTICATED", 16, 40107),
        ("ACCESS_TOKEN_INVALID", "UNAUTHENTICATED", 16, 40108),
        ("RESET_TOKEN_INVALID", "UNAUTHENTICATED", 16, 40110),
        ("USER_NOT_FOUND", "NOT_FOUND", 5, 40402),
        ("USERNAME_TAKEN", "ALREADY_EXISTS", 6, 40901),
        ("EXTERNAL_ID_TAKEN", "ALREADY_EXISTS", 6, 40904),
        ("ETAG_MISMATCH", "ABORTED", 10, 40902),
        ("PASSWORD_REJECTED", "INVALID_ARGUMENT", 3, 40003),
        ("SERVICE_KEY_INVALID", "UNAUTHENTICATED", 16, 40111),
        ("SERVICE_ACCOUNT_NOT_FOUND", "NOT_FOUND", 5, 40403),
        ("SERVICE_ACCOUNT_NAME_TAKEN", "ALREADY_EXISTS", 6, 40903),
        ("SERVICE_KEY_NOT_FOUND", "NOT_FOUND", 5, 40404),
        ("SERVICE_KEY_LIMIT_REACHED", "FAILED_PRECONDITION", 9, 40004),
        ("KEY_NOT_FOUND", "NOT_FOUND", 5, 40411),
        ("KEYS_IN_DIRECTORY", "FAILED_PRECONDITION", 9, 40011),
        ("KEY_ROTATION_IN_PROGRESS", "FAILED_PRECONDITION", 9, 40012),
        ("KEY_HAS_NO_SUCCESSOR", "FAILED_PRECONDITION", 9, 40013),
        ("POSITION_EXPIRED", "FAILED_PRECONDITION", 9, 40014),
        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", 4, 50401),
        ("INTERNAL", "INTERNAL", 13, 50001),
        ("CLIENT_UNAUTHENTICATED", "UNAUTHENTICATED", 16, 40109),
        ("ROLE_REQUIRED", "PERMISSION_DENIED", 7, 40301),
        ("CROSS_SITE_REQUEST", "PERMISSION_DENIED", 7, 40302),
        ("CSRF_TOKEN_MISMATCH", "PERMISSION_DENIED", 7, 40303),
        ("CAPTCHA_REQUIRED", "PERMISSION_DENIED", 7, 40304),
        ("CAPTCHA_REJECTED", "PERMISSION_DENIED", 7, 40305),
        ("NOT_FOUND", "NOT_FOUND", 5, 40401),
        ("METHOD_NOT_ALLOWED", "UNIMPLEMENTED", 12, 40501),
        ("REQUEST_TIMEOUT", "DEADLINE_EXCEEDED", 4, 40801),
        ("REQUEST_TOO_LARGE", "INVALID_ARGUMENT", 3, 41301),
        ("UNSUPPORTED_MEDIA_TYPE", "INVALID_ARGUMENT", 3, 41501),
        ("CAPTCHA_UNAVAILABLE", "UNAVAILABLE", 14, 50304),
    ];
    assert_eq!(told.collect::<Vec<_>>(), published);
}

#[test]
fn the_page_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, markdown()).unwrap();
    }
    let written = fs::read_to_string(&page).unwrap();
    assert!(
        written == markdown(),
        "docs/errors.md is stale: UPDATE_DOCS=1 cargo test the_page_is_up_to_date"
    );
}

#[test]
fn the_page_names_everything_that_ends_a_session() {
    for cause in EndCause::ALL {
        let name = format!("`{}`", cause.as_str());
        assert!(Reason::SessionRevoked.meaning().contains(&name), "{name}");
    }
}

fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("| reason | gRPC code | HTTP | number | RetryInfo |\n|---|---|---|---|---|\n");
    for it in Reason::all() {
        let retry = if it.retry_after().is_some() { "yes" } else { "" };
        let (name, code) = (it.name(), it.code().name());
        let anchor = name.to_lowercase();
        writeln!(
            page,
            "| [`{name}`](#{anchor}) | {code} | {} | {} | {retry} |",
            it.http_status(),
            it.number()
        )
        .unwrap();
    }
    for it in Reason::all() {
        write!(page, "\n## {}\n\n{}\n\n", it.name(), it.meaning()).unwrap();
        writeln!(page, "- What the client should do: {}", it.remedy()).unwrap();
        if let Some(delay) = it.retry_after() {
            writeln!(page, "- RetryInfo: {} s, unless something more precise is known", delay.as_secs())
                .unwrap();
        }
        for language in Language::ALL {
            writeln!(page, "- Message ({}): {}", language.tag(), it.message(language)).unwrap();
        }
    }
    assert!(page.contains(DOMAIN));
    page
}

const INTRODUCTION: &str = "\
# Errors

<!-- Made from src/reason/catalogue.rs: UPDATE_DOCS=1 cargo test the_page_is_up_to_date -->

Every error carries a canonical gRPC code and a `google.rpc.ErrorInfo` with the domain `countersign` and one of
the reasons below. A reason never changes its meaning, its code or its number; new ones may come, so treat one
that you do not know by its code.

Beside it, where they apply: `google.rpc.RetryInfo` says when trying again may help; `google.rpc.BadRequest` which
fields are wrong; `google.rpc.LocalizedMessage` is a message for people in English or Simplified Chinese, chosen by
`accept-language`. The status message is the English one. Every answer, an error too, has the `x-request-id` under
which the log knows the call; only a Verify that sent none and was answered from memory has none, for the log knows
nothing of it.

The rule to remember: **only UNAUTHENTICATED is a reason to forget tokens.** On any other code keep them; and on
`ACCESS_TOKEN_EXPIRED` refresh, for nothing is wrong with the session.

Over HTTP (docs/http.md) an error is a problem (RFC 9457) with `reason`, and the number as `code`; `Retry-After` says
what `RetryInfo` does. The reasons from `TOKEN_MISSING` on are given by the HTTP edge alone.

That an access token is invalid is an answer of `VerifyAccessToken` and not an error. What is not in this list
comes from the gRPC library itself: `UNIMPLEMENTED` for a method that there is not, `UNAVAILABLE` for a connection
that broke.

";

use secrecy::ExposeSecret as _;

use super::super::wire::{HeaderMap, RawHeader};
use super::*;

fn merged(headers: &[(&str, &str)]) -> HttpRequest {
    let entry = |(key, value): &(&str, &str)| Entry { key: (*key).into(), value: (*value).into() };
    HttpRequest {
        method: "POST".into(),
        host: "shop.example:443".into(),
        headers: headers.iter().map(entry).collect(),
        header_map: None,
    }
}

fn raw(headers: &[(&str, &[u8])]) -> HttpRequest {
    let header = |(key, value): &(&str, &[u8])| RawHeader {
        key: (*key).into(),
        value: Vec::new(),
        raw_value: value.to_vec(),
    };
    let headers = headers.iter().map(header).collect();
    HttpRequest { header_map: Some(HeaderMap { headers }), ..HttpRequest::default() }
}

fn token(http: &HttpRequest) -> Result<String, Reason> {
    let token =
        http.token(Some("__Host-access"), &AllowedOrigins::default()).map_err(|error| error.reason)?;
    Ok(token.expose_secret().to_owned())
}

#[test]
fn there_is_one_authorization_header_however_it_is_encoded() {
    for (value, expected) in [
        ("Bearer a.b.c", Ok("a.b.c")),
        ("Bearer a,Bearer b", Err(Reason::InvalidRequest)),
        ("Bearer a, b", Err(Reason::InvalidRequest)),
        ("Basic YTpi,bearer b", Err(Reason::InvalidRequest)),
        ("Digest realm=\"a\", nonce=\"b\"", Err(Reason::TokenMissing)),
        ("Basic YTpi", Err(Reason::TokenMissing)),
        ("Bearer", Err(Reason::TokenMissing)),
        ("Bearer \u{E9}", Err(Reason::AccessTokenInvalid)),
        // What Envoy makes of what is no UTF-8, for the verifier to refuse.
        ("Bearer a!b", Ok("a!b")),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(token(&merged(&[("authorization", value)])), expected, "{value}");
        assert_eq!(token(&raw(&[("authorization", value.as_bytes())])), expected, "{value}");
    }
    let twice: [(&str, &[u8]); 2] = [("authorization", b"Bearer a"), ("Authorization", b"Bearer a")];
    assert_eq!(token(&raw(&twice)), Err(Reason::InvalidRequest));
    assert_eq!(token(&raw(&[("authorization", b"Bearer \xFF")])), Err(Reason::AccessTokenInvalid));
    assert_eq!(token(&HttpRequest::default()), Err(Reason::TokenMissing));
}

#[test]
fn there_is_one_cookie_and_the_bearer_token_counts_before_it() {
    for (cookie, expected) in [
        ("__Host-access=a", Ok("a")),
        ("x=1; __Host-access=a; y", Ok("a")),
        ("x__Host-access=a; __Host-access2=b; __host-access=c", Err(Reason::TokenMissing)),
        ("__Host-access=; __Host-access", Err(Reason::TokenMissing)),
        ("__Host-access=a; __Host-access=b", Err(Reason::InvalidRequest)),
        ("__Host-access=a; __Host-access=a", Err(Reason::InvalidRequest)),
    ] {
        assert_eq!(token(&merged(&[("cookie", cookie)])), expected.map(str::to_owned), "{cookie}");
        let both = [("cookie", cookie), ("authorization", "Bearer b")];
        assert_eq!(token(&merged(&both)), Ok("b".to_owned()), "{cookie}");
    }
    let two: [(&str, &[u8]); 2] = [("cookie", b"__Host-access=a"), ("cookie", b"__Host-access=b")];
    assert_eq!(token(&raw(&two)), Err(Reason::InvalidRequest));
    assert_eq!(token(&raw(&[("cookie", b"\xFF=\xFF; __Host-access=a")])), Ok("a".to_owned()));
    assert_eq!(token(&raw(&[("cookie", b"__Host-access=\xFF")])), Err(Reason::AccessTokenInvalid));

    let unasked = merged(&[("cookie", "__Host-access=a")]).token(None, &AllowedOrigins::default());
    assert_eq!(unasked.unwrap_err().reason, Reason::TokenMissing);
}

#[test]
fn a_page_of_another_site_changes_nothing_by_the_cookie() {
    let with = |method: &str, more: &[(&str, &str)]| {
        let headers = [&[("cookie", "__Host-access=a")], more].concat();
        token(&HttpRequest { method: method.into(), ..merged(&headers) }).err()
    };
    let refused = Some(Reason::CrossSiteRequest);
    let site = |site| [("sec-fetch-site", site)];
    let origin = |origin| [("origin", origin)];
    assert_eq!(with("POST", &site("cross-site")), refused);
    assert_eq!(with("get", &site("cross-site")), refused, "methods have a case");
    assert_eq!(with("GET", &[("sec-fetch-site", "cross-site"), ("upgrade", "websocket")]), refused);
    assert_eq!(with("GET", &site("cross-site")), None);
    assert_eq!(with("POST", &site("same-origin")), None);
    assert_eq!(with("POST", &site("none")), None);
    assert_eq!(with("POST", &site("same-site")), refused, "another host of the site is another origin");
    assert_eq!(with("POST", &site("same-origin,cross-site")), refused, "two that Envoy has merged");
    assert_eq!(with("POST", &[]), None, "no page sent it");
    assert_eq!(with("POST", &origin("https://evil.example")), refused);
    assert_eq!(with("POST", &origin("null")), refused);
    assert_eq!(with("POST", &origin("https://SHOP.example")), None);
    assert_eq!(with("POST", &origin("https://shop.example,https://shop.example")), refused);
    let over_https = [("origin", "http://shop.example:443"), ("x-forwarded-proto", "https")];
    assert_eq!(with("POST", &over_https), refused);
    let by_token = [("sec-fetch-site", "cross-site"), ("authorization", "Bearer b")];
    assert_eq!(with("POST", &by_token), None, "no page adds that");
}

#[test]
fn a_page_of_an_allowed_origin_may_change_something_by_the_cookie() {
    let allowed = AllowedOrigins::new(&["https://app.example".to_owned()]);
    for (origin, passes) in [("https://app.example", true), ("https://app.example:444", false)] {
        let headers = [("cookie", "__Host-access=a"), ("sec-fetch-site", "same-site"), ("origin", origin)];
        assert_eq!(merged(&headers).token(Some("__Host-access"), &allowed).is_ok(), passes, "{origin}");
    }
}

#[test]
fn the_host_is_found_where_an_older_envoy_has_it() {
    for name in [":authority", "host"] {
        let headers =
            [("cookie", "__Host-access=a"), ("origin", "https://shop.example"), (name, "shop.example")];
        assert!(token(&HttpRequest { host: Vec::new(), ..merged(&headers) }).is_ok(), "{name}");
    }
}

#[test]
fn a_rule_that_is_misspelt_is_refused_and_not_left_out() {
    let parse = |rules: &[(&str, &[u8])]| {
        let entry = |(key, value): &(&str, &[u8])| Entry { key: (*key).into(), value: value.to_vec() };
        Required::parse(&rules.iter().map(entry).collect::<Vec<_>>())
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(parse(&[]).unwrap(), Required::default());
    let both = parse(&[("roles", b"admin, ops"), ("audiences", b"https://orders.example/")]).unwrap();
    assert_eq!(both.roles, words(&["admin", "ops"]));
    assert_eq!(both.audiences, words(&["https://orders.example/"]));

    let many = ["a"; REQUIRED_ROLES_MAX + 1].join(",");
    for (key, value) in [
        ("role", b"admin".as_slice()),
        ("Roles", b"admin"),
        ("", b""),
        ("roles", b""),
        ("roles", b"admin,"),
        ("roles", b"admin ops"),
        ("roles", b"\xFF"),
        ("roles", many.as_bytes()),
    ] {
        let error = parse(&[(key, value)]).unwrap_err();
        assert_eq!(error.reason, Reason::InvalidRequest, "{key}: {}", value.escape_ascii());
        assert!(error.violations[0].field.starts_with("context_extensions"), "{error:?}");
    }
}

#[test]
fn what_looks_like_an_identity_header_to_a_server_behind_is_found() {
    let http = merged(&[
        ("x.auth.subject", "root"),
        ("X~Auth-Roles", "root"),
        ("x-auth-subject", "overwritten"),
        ("x_auth_subject", "removed in any case"),
        ("x-auth-subjects", "another header"),
        ("x--auth-subject", "another header"),
    ]);
    assert_eq!(http.lookalikes().collect::<Vec<_>>(), ["x.auth.subject", "x~auth-roles"]);
}

#[test]
fn no_message_shows_a_header() {
    let shown = format!("{:?} {:?}", merged(&[("cookie", "canary")]), raw(&[("authorization", b"canary")]));
    assert!(shown.contains("authorization") && !shown.contains("canary"), "{shown}");
}

//! Claims that are refused although they are properly signed.

use countersign_verifier::InvalidReason::{Expired, Malformed, NotYetValid, WrongAudience, WrongIssuer};
use serde_json::{Value, json};

use crate::support::{AUDIENCE, Case, ISSUER, NOW, Signer, USER, World, case, claims, held_to};

/// The claims of the control with the text of one value replaced: for what `serde_json` would not write.
fn with_text(signer: &Signer, name: &str, text: &str) -> String {
    let mut claims = claims();
    claims[name] = json!("HERE");
    signer.token(signer.header().to_string(), claims.to_string().replace("\"HERE\"", text))
}

fn refused(signer: &Signer, name: &str, values: impl IntoIterator<Item = Value>) -> Vec<Case> {
    values
        .into_iter()
        .map(|value| case(format!("{name}: {value}"), signer.with_claim(name, value), Malformed))
        .collect()
}

fn every_claim_is_required(world: &World) {
    for signer in &world.signers {
        let names = claims().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let missing = names
            .iter()
            .filter(|name| *name != "tenant")
            .map(|name| case(format!("no {name}"), signer.with_claim(name, json!(null)), Malformed));
        world.check(&signer.valid(), missing);
        let null = names.iter().filter(|name| *name != "tenant");
        world.check(
            &signer.valid(),
            null.map(|name| case(format!("{name} null"), with_text(signer, name, "null"), Malformed)),
        );
    }
}

fn times_are_plain_integers(world: &World) {
    for signer in &world.signers {
        let mut cases = Vec::new();
        for name in ["exp", "iat", "nbf", "auth_time", "sxp"] {
            for text in [
                "\"1700000900\"",
                "1700000900.0",
                "1700000900.5",
                "1.7000009e9",
                "17000009E2",
                "-1",
                "-0",
                "-1700000900",
                "9007199254740993",
                "9223372036854775808",
                "18446744073709551616",
                "1e308",
                "null",
                "true",
                "[1700000900]",
                "{}",
            ] {
                cases.push(case(format!("{name}: {text}"), with_text(signer, name, text), Malformed));
            }
            for text in ["01700000900", "+1700000900", "0x6553f100", "NaN", "Infinity", "1e999", "1_700"] {
                cases.push(case(format!("{name}: {text}"), with_text(signer, name, text), Malformed));
            }
        }
        world.check(&signer.valid(), cases);
    }
}

fn a_token_has_its_time(world: &World) {
    for signer in &world.signers {
        let at = |name: &str, offset: i64, reason| {
            case(format!("{name} {offset:+} s"), signer.with_claim(name, json!(NOW + offset)), reason)
        };
        let cases = [
            at("exp", 0, Expired),
            at("exp", -1, Expired),
            at("exp", -5, Expired),
            at("exp", -55, Expired),
            at("exp", -60, Expired),
            at("exp", -86_400, Expired),
            case("exp 0", signer.with_claim("exp", json!(0)), Expired),
            at("iat", 6, NotYetValid),
            at("iat", 86_400, NotYetValid),
            at("nbf", 6, NotYetValid),
            at("nbf", 86_400, NotYetValid),
            case("iat in 285 million years", signer.with_claim("iat", json!(1_i64 << 53)), NotYetValid),
        ];
        world.check(&signer.valid(), cases);
        for (name, offset) in [("exp", 1), ("iat", 5), ("nbf", 5), ("nbf", 0), ("nbf", -1)] {
            world.accepts(&format!("{name} {offset:+} s"), &signer.with_claim(name, json!(NOW + offset)));
        }
    }
}

fn the_issuer_is_one_exact_string(world: &World) {
    for signer in &world.signers {
        let mut cases =
            refused(signer, "iss", [json!([ISSUER]), json!({"iss": ISSUER}), json!(1), json!("")]);
        for other in
            ["https://evil.example", "https://auth.example/", "HTTPS://AUTH.EXAMPLE", " https://auth.example"]
        {
            cases.push(case(format!("iss {other:?}"), signer.with_claim("iss", json!(other)), WrongIssuer));
        }
        cases.push(case("iss with NUL", signer.with_claim("iss", json!(format!("{ISSUER}\0"))), Malformed));
        world.check(&signer.valid(), cases);
    }
}

fn the_audience_is_required_and_exact(world: &World) {
    for signer in &world.signers {
        let mut cases = refused(
            signer,
            "aud",
            [
                json!(""),
                json!([]),
                json!(1),
                json!({AUDIENCE: 1}),
                json!([AUDIENCE, 1]),
                json!([[AUDIENCE]]),
                json!([""]),
            ],
        );
        for other in [
            json!("billing"),
            json!(["billing", "mail"]),
            json!("ORDERS"),
            json!("orders "),
            json!("order"),
            json!("*"),
        ] {
            cases.push(case(format!("aud {other}"), signer.with_claim("aud", other), WrongAudience));
        }
        cases.push(case("aud with NUL", signer.with_claim("aud", json!("orders\0")), Malformed));
        world.check(&signer.valid(), cases);
        for good in [json!(AUDIENCE), json!([AUDIENCE]), json!(["billing", AUDIENCE])] {
            world.accepts(&format!("aud {good}"), &signer.with_claim("aud", good));
        }
    }
}

fn who_a_token_speaks_of_has_one_spelling(world: &World) {
    for signer in &world.signers {
        let user = USER.to_string();
        let mut cases = refused(
            signer,
            "sub",
            [
                json!(""),
                json!("ada"),
                json!(format!("{user}\0")),
                json!(format!("\0{user}")),
                json!(format!("{user} ")),
                json!(format!("{{{user}}}")),
                json!(format!("urn:uuid:{user}")),
                json!(user.replace('-', "")),
                json!(user.replacen("42-", "4A-", 1)),
                json!([user]),
                json!(7),
            ],
        );
        cases.extend(refused(
            signer,
            "sid",
            [
                json!(""),
                json!("x"),
                json!("U1NTU1NTU1NTU1NTU1NTUx"),
                json!("U1NTU1NTU1NTU1NTU1NTUw=="),
                json!(1),
            ],
        ));
        cases.extend(refused(signer, "jti", [json!(""), json!(1), json!("a\u{0}b")]));
        cases.extend(refused(
            signer,
            "username",
            [json!(""), json!(1), json!("ada\0"), json!("ada\n"), json!("a\u{85}")],
        ));
        cases.extend(refused(
            signer,
            "roles",
            [json!("admin"), json!([1]), json!([["admin"]]), json!(["admin\0"]), json!([""])],
        ));
        cases.extend(refused(signer, "amr", [json!("pwd"), json!([1]), json!({})]));
        cases.extend(refused(signer, "ext", [json!(4711), json!(""), json!(["4711"]), json!("47\u{0}")]));
        let of_another = json!("018f4e5c-0000-7000-8000-0000000000ff");
        cases.extend(refused(signer, "client_id", [of_another, json!("shop"), json!(""), json!(1)]));
        cases.extend(refused(signer, "epoch", [json!("3"), json!(3.0), json!(-1), json!([3]), json!(1e30)]));
        world.check(&signer.valid(), cases);
    }
}

fn no_claim_stands_twice(world: &World) {
    for signer in &world.signers {
        let body = claims().to_string();
        let members = &body[1..body.len() - 1];
        let twice = |extra: &str| {
            let token = signer.token(signer.header().to_string(), format!("{{{members},{extra}}}"));
            case(extra, token, Malformed)
        };
        let mut cases: Vec<Case> = claims()
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| twice(&format!("\"{name}\":{value}")))
            .collect();
        cases.extend([
            twice(r#""sub":"00000000-0000-0000-0000-000000000000""#),
            twice(r#""\u0073ub":"00000000-0000-0000-0000-000000000000""#),
            twice(r#""nbf":1,"nbf":1"#),
            twice(r#""plan":{"tier":1,"tier":2}"#),
            twice(r#""plan":[{"deep":{"tier":1,"tier":2}}]"#),
        ]);
        world.check(&signer.valid(), cases);
    }
}

fn the_claims_are_one_json_object(world: &World) {
    for signer in &world.signers {
        let body = claims().to_string();
        let members = &body[1..body.len() - 1];
        let cases = [
            ("an array", format!("[{body}]").into_bytes()),
            ("two objects", format!("{body}{body}").into_bytes()),
            ("trailing data", format!("{body}x").into_bytes()),
            ("trailing NUL", format!("{body}\0").into_bytes()),
            ("a byte order mark", format!("\u{feff}{body}").into_bytes()),
            ("a comment", format!("{{{members}/**/}}").into_bytes()),
            ("a trailing comma", format!("{{{members},}}").into_bytes()),
            ("not UTF-8", [&body.as_bytes()[..body.len() - 1], b",\"x\":\"\xff\"}"].concat()),
            ("half a surrogate pair", format!(r#"{{{members},"x":"\ud800"}}"#).into_bytes()),
            ("the other half", format!(r#"{{{members},"x":"\udc00"}}"#).into_bytes()),
            ("two halves that are no pair", format!(r#"{{{members},"x":"\ud800\u0041"}}"#).into_bytes()),
            ("a raw NUL in a string", format!("{{{members},\"x\":\"\0\"}}").into_bytes()),
            ("deep", format!(r#"{{{members},"x":{}{}}}"#, "[".repeat(1000), "]".repeat(1000)).into_bytes()),
            ("null", b"null".to_vec()),
            ("a nested token", signer.valid().into_bytes()),
            ("compressed", vec![0x78, 0x9c, 0xab, 0xae, 0x05, 0x00]),
        ]
        .map(|(name, claims)| case(name, signer.token(signer.header().to_string(), claims), Malformed));
        world.check(&signer.valid(), cases);
    }
}

held_to! {
    every_claim_is_required,
    times_are_plain_integers,
    a_token_has_its_time,
    the_issuer_is_one_exact_string,
    the_audience_is_required_and_exact,
    who_a_token_speaks_of_has_one_spelling,
    no_claim_stands_twice,
    the_claims_are_one_json_object,
}

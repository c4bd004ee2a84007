//! Headers that are refused, and the attacks of RFC 8725 that live in a header.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_verifier::Algorithm;
use countersign_verifier::InvalidReason::{BadSignature, Malformed, UnknownKey, WrongType};
use serde_json::{Value, json};

use crate::support::{Case, World, base64url, case, claims, held_to, signing_input, with};

fn a_token_cannot_choose_how_it_is_verified(world: &World) {
    for signer in &world.signers {
        let mut cases = Vec::new();
        for alg in ["none", "None", "nOnE", "NONE", "", "HS256", "HS512", "PS256", "RS384", "ES384", "ES256K"]
        {
            cases.push(case(format!("alg {alg}"), signer.with_header("alg", json!(alg)), BadSignature));
        }
        for alg in [signer.algorithm.name().to_lowercase() + " ", signer.algorithm.name().to_lowercase()] {
            cases.push(case(format!("alg {alg:?}"), signer.with_header("alg", json!(alg)), BadSignature));
        }
        for alg in [json!(null), json!(1), json!([signer.algorithm.name()])] {
            let text = format!("alg {alg}");
            cases.push(case(text, signer.with_header("alg", alg), Malformed));
        }
        for alg in ["none", "None", "nOnE", "NONE"] {
            let header = with(signer.header(), "alg", json!(alg)).to_string();
            let unsigned = signing_input(header, claims().to_string());
            cases.push(case(format!("alg {alg}, no signature"), format!("{unsigned}."), Malformed));
            cases.push(case(format!("alg {alg}, no third part"), unsigned, Malformed));
        }
        world.check(&signer.valid(), cases);
    }
}

fn a_public_key_is_no_hmac_secret(world: &World) {
    for signer in &world.signers {
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD
                .encode(&signer.spki)
                .as_bytes()
                .chunks(64)
                .map(String::from_utf8_lossy)
                .collect::<Vec<_>>()
                .join("\n")
        );
        let header = with(signer.header(), "alg", json!("HS256"));
        let cases = [
            ("PEM", pem.as_bytes()),
            ("PEM without its last line break", pem.trim_end().as_bytes()),
            ("DER", signer.spki.as_slice()),
            ("raw Ed25519 key", &signer.spki[12..]),
            ("kid", signer.kid.as_bytes()),
            ("nothing", b""),
        ]
        .into_iter()
        .flat_map(|(name, secret)| {
            // The last resort of a confused verifier: the HMAC under the algorithm's true name.
            [header.clone(), signer.header()].map(|header| {
                let text = format!("HMAC with the {name} as {}", header["alg"]);
                case(text, hmac_token(&header, secret), BadSignature)
            })
        });
        world.check(&signer.valid(), cases);
    }
}

fn hmac_token(header: &Value, secret: &[u8]) -> String {
    let input = signing_input(header.to_string(), claims().to_string());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    format!("{input}.{}", base64url(tag))
}

fn one_key_is_not_taken_for_another(world: &World) {
    for signer in &world.signers {
        let stranger = world.stranger(signer);
        let mut cases = vec![case("a stranger's key of the same name", stranger.valid(), BadSignature)];
        for other in world.signers.iter().filter(|other| other.kid != signer.kid) {
            let (ours, theirs) = (signer.algorithm, other.algorithm);
            let body = claims().to_string();
            let header = |alg: Algorithm, kid: &str| {
                json!({"typ": "at+jwt", "alg": alg.name(), "kid": kid}).to_string()
            };
            cases.extend([
                case(
                    format!("{theirs} by the {ours} key"),
                    signer.token(header(theirs, signer.kid), &body),
                    BadSignature,
                ),
                case(
                    format!("{theirs} by the {theirs} key under our kid"),
                    other.token(header(theirs, signer.kid), &body),
                    BadSignature,
                ),
                case(
                    format!("{ours} by the {theirs} key"),
                    other.token(header(ours, signer.kid), &body),
                    BadSignature,
                ),
                case(
                    format!("{ours} by our key under the kid of the {theirs} key"),
                    signer.token(header(ours, other.kid), &body),
                    BadSignature,
                ),
                case(
                    format!("{theirs} by our key under the kid of the {theirs} key"),
                    signer.token(header(theirs, other.kid), &body),
                    BadSignature,
                ),
            ]);
        }
        world.check(&signer.valid(), cases);
    }
}

fn a_kid_is_a_name_and_nothing_else(world: &World) {
    for signer in &world.signers {
        let mut cases = vec![case("no kid", signer.with_header("kid", json!(null)), UnknownKey)];
        for kid in [
            "",
            "no-such-key",
            "../../../../../dev/null",
            "/dev/null",
            "file:///proc/self/environ",
            "https://attacker.example/key.pem",
            "' OR '1'='1",
            "x' UNION SELECT 'secret' --",
            "$(id)",
            "|cat /etc/passwd",
            &format!("{}\0", signer.kid),
            &format!("{} ", signer.kid),
            &format!("./{}", signer.kid),
            &signer.kid.to_uppercase(),
            &"k".repeat(4000),
        ] {
            cases.push(case(format!("kid {kid:.40}"), signer.with_header("kid", json!(kid)), UnknownKey));
        }
        for kid in [json!(1), json!([signer.kid]), json!({}), json!(false)] {
            cases.push(case(format!("kid {kid}"), signer.with_header("kid", kid), Malformed));
        }
        world.check(&signer.valid(), cases);
    }
}

fn only_an_access_token_is_an_access_token(world: &World) {
    for signer in &world.signers {
        let mut cases = vec![case("no typ", signer.with_header("typ", json!(null)), WrongType)];
        for typ in [
            "",
            "JWT",
            "jwt",
            "refresh+jwt",
            "rt+jwt",
            "id_token+jwt",
            "logout+jwt",
            "dpop+jwt",
            "secevent+jwt",
            "application/jwt",
            "application/application/at+jwt",
            "text/at+jwt",
            "at+jwt ",
            "at+jwt\0",
            "at+jwt;charset=utf-8",
            "at",
        ] {
            cases.push(case(format!("typ {typ:?}"), signer.with_header("typ", json!(typ)), WrongType));
        }
        for typ in [json!(1), json!(["at+jwt"]), json!({"at+jwt": 1})] {
            cases.push(case(format!("typ {typ}"), signer.with_header("typ", typ), Malformed));
        }
        world.check(&signer.valid(), cases);
        for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            world.accepts(&format!("typ {typ}: the same media type"), &signer.with_header("typ", json!(typ)));
        }
    }
}

fn a_token_brings_no_key_and_no_rules_of_its_own(world: &World) {
    for signer in &world.signers {
        let attacker = world.stranger(signer);
        let jwk =
            json!({"kty": "OKP", "crv": "Ed25519", "kid": signer.kid, "x": base64url(&attacker.spki[12..])});
        let mut cases = Vec::new();
        for (name, value) in [
            ("jwk", jwk),
            ("jku", json!("https://attacker.example/jwks.json")),
            ("x5u", json!("https://attacker.example/chain.pem")),
            ("x5c", json!([STANDARD.encode(&attacker.spki)])),
            ("x5t", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            ("x5t#S256", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            ("crit", json!(["exp"])),
            ("crit", json!(["b64"])),
            ("crit", json!([])),
            ("crit", json!("b64")),
            ("b64", json!(false)),
            ("b64", json!(true)),
            ("zip", json!("DEF")),
            ("cty", json!("JWT")),
            ("enc", json!("A256GCM")),
        ] {
            for (who, by) in [("us", signer), ("an attacker", attacker)] {
                let token = by.with_header(name, value.clone());
                cases.push(case(format!("{name} {value}, signed by {who}"), token, Malformed));
            }
        }
        world.check(&signer.valid(), cases);
        world.accepts("an unknown parameter (RFC 7515 §4)", &signer.with_header("unheard-of", json!({})));
    }
}

fn a_header_is_one_json_object_in_which_no_name_stands_twice(world: &World) {
    for signer in &world.signers {
        let header = signer.header().to_string();
        let members = &header[1..header.len() - 1];
        let refused = |name: &str, header: &[u8]| -> Case {
            case(name, signer.token(header, claims().to_string()), Malformed)
        };
        let cases = [
            refused("typ twice", format!(r#"{{"typ":"at+jwt",{members}}}"#).as_bytes()),
            refused("alg twice", format!(r#"{{{members},"alg":"none"}}"#).as_bytes()),
            refused("alg twice, escaped", format!(r#"{{{members},"\u0061lg":"none"}}"#).as_bytes()),
            refused("kid twice", format!(r#"{{"kid":"other",{members}}}"#).as_bytes()),
            refused("an unknown member twice", format!(r#"{{{members},"x":1,"x":1}}"#).as_bytes()),
            refused("a nested member twice", format!(r#"{{{members},"x":{{"y":1,"y":2}}}}"#).as_bytes()),
            refused("an array", format!("[{header}]").as_bytes()),
            refused("two objects", format!("{header}{header}").as_bytes()),
            refused("trailing data", format!("{header},").as_bytes()),
            refused("a byte order mark", format!("\u{feff}{header}").as_bytes()),
            refused("not UTF-8", &[header.as_bytes(), b"\xff"].concat()),
            refused(
                "not UTF-8 inside",
                &[br#"{"x":""#.as_slice(), b"\xc0\xaf", br#"","#, members.as_bytes(), b"}"].concat(),
            ),
            refused("null", b"null"),
            refused("an empty object", b"{}"),
            refused("not JSON", b"alg=none"),
            refused(
                "deep",
                format!(r#"{{{members},"x":{}{}}}"#, "[".repeat(500), "]".repeat(500)).as_bytes(),
            ),
        ];
        world.check(&signer.valid(), cases);
    }
}

held_to! {
    a_token_cannot_choose_how_it_is_verified,
    a_public_key_is_no_hmac_secret,
    one_key_is_not_taken_for_another,
    a_kid_is_a_name_and_nothing_else,
    only_an_access_token_is_an_access_token,
    a_token_brings_no_key_and_no_rules_of_its_own,
    a_header_is_one_json_object_in_which_no_name_stands_twice,
}

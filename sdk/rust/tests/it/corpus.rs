//! The corpus of `sdk/conformance`: what this crate answers, written down for the verifiers in other languages. Made
//! of the cases that the other tests look at, and of those below, with keys and times that never change.
//!
//! `UPDATE_CORPUS=1 cargo test -p countersign-verifier` writes it; without the variable a difference is a failure.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_verifier::{
    Algorithm, Epoch, InvalidReason, KeyId, KeySet, RevocationIndex, Rules, SessionId, SubjectKind,
    UnixMillis, UserId, VerifiedToken, VerifyingKey, verify,
};
use serde_json::{Value, json};

use crate::support::{AUDIENCE, ISSUER, NOW, SESSION, Seen, Signer, USER, World, base64url, claims, with};
use crate::{bad_claims, bad_header, bad_shape, rules};

/// Longer tokens are in the tests of each language, and not in the repository.
const LONGEST: usize = 16 * 1024;
const FOREVER: UnixMillis = UnixMillis(i64::MAX);

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../conformance").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_default()
}

/// Holds a file to what it must say, or writes it.
fn hold(name: &str, text: &str) {
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        fs::create_dir_all(file("")).unwrap();
        fs::write(file(name), text).unwrap();
        return;
    }
    let written = read(name);
    let differs = written.lines().zip(text.lines()).position(|(a, b)| a != b);
    let lines = (written.lines().count(), text.lines().count());
    assert!(
        differs.is_none() && lines.0 == lines.1,
        "sdk/conformance/{name} differs at line {:?}, {lines:?} lines: UPDATE_CORPUS=1 writes it anew",
        differs.map(|line| line + 1)
    );
}

fn lines(cases: &[Value]) -> String {
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

/// A question and what is asked with it.
struct Ask<'a> {
    rules: &'a Rules,
    keys: Vec<&'a Signer>,
    audiences: &'a [&'a str],
    now: UnixMillis,
    sessions: &'a [SessionId],
    users: &'a [(UserId, u64)],
}

impl<'a> Ask<'a> {
    /// What the tests of single tokens ask.
    fn usual(world: &'a World) -> Self {
        let keys = world.signers.iter().collect();
        let now = UnixMillis::from_secs(NOW);
        Self { rules: &world.rules, keys, audiences: &[], now, sessions: &[], users: &[] }
    }

    fn answer(&self, token: &str) -> Result<VerifiedToken, InvalidReason> {
        let keys = KeySet::new(self.keys.iter().map(|signer| signer.verifying_key())).unwrap();
        let revocations = RevocationIndex::new();
        for session in self.sessions {
            revocations.revoke_session(*session, FOREVER);
        }
        for (user, epoch) in self.users {
            revocations.raise_epoch(*user, Epoch(*epoch), FOREVER);
        }
        let audiences: Vec<String> = self.audiences.iter().map(|&audience| audience.to_owned()).collect();
        verify(token, self.rules, &keys, &audiences, &revocations, self.now)
    }

    fn write(&self, name: &str, token: &str, answer: &Result<VerifiedToken, InvalidReason>) -> Value {
        let users: Vec<Value> = self
            .users
            .iter()
            .map(|(user, epoch)| json!({"subject": user.to_string(), "epoch": epoch}))
            .collect();
        json!({
            "name": name,
            "token": token,
            "keys": self.keys.iter().map(|signer| signer.kid).collect::<Vec<_>>(),
            "now_ms": self.now.0,
            "issuer": self.rules.issuer,
            "default_audiences": self.rules.default_audiences,
            "leeway_ms": u64::try_from(self.rules.leeway.as_millis()).unwrap(),
            "audiences": self.audiences,
            "revoked": {
                "sessions": self.sessions.iter().map(SessionId::to_string).collect::<Vec<_>>(),
                "users": users,
            },
            "expect": expectation(answer),
        })
    }
}

fn expectation(answer: &Result<VerifiedToken, InvalidReason>) -> Value {
    match answer {
        Err(reason) => json!({"invalid": reason.as_str()}),
        Ok(token) => {
            let mut identity = identity(token);
            if let Some(id) = &token.external_id {
                identity["external_id"] = json!(id);
            }
            if token.subject_kind == SubjectKind::Service {
                identity["subject_kind"] = json!(token.subject_kind.as_str());
            }
            json!({"verified": identity})
        }
    }
}

/// What every token says.
fn identity(token: &VerifiedToken) -> Value {
    json!({
            "subject": token.subject.to_string(),
            "username": token.username,
            "session_id": token.session.to_string(),
            "roles": token.roles,
            "audiences": token.audiences,
            "token_id": token.token_id,
            "issued_at": token.issued_at,
            "expires_at": token.expires_at,
            "auth_time": token.auth_time,
            "amr": token.amr,
            "epoch": token.epoch.0,
            "session_expires_at": token.session_expires_at,
            "custom_claims": token.custom,
    })
}

/// The cases that are in the tests of this crate anyway.
fn of_the_rules(world: &World) -> Vec<Value> {
    let ask = Ask::usual(world);
    let mut cases = Vec::new();
    for (rule, hold) in [bad_shape::RULES, bad_header::RULES, bad_claims::RULES].concat() {
        hold(world);
        let rule = rule.replace('_', " ");
        let seen = std::mem::take(&mut *world.seen.lock().unwrap());
        for Seen { name, token, answer } in seen {
            if token.len() <= LONGEST {
                cases.push(ask.write(&format!("{rule}: {name}"), &token, &answer));
            }
        }
    }
    cases
}

/// Tokens with several defects: the first in the order of the rules is the answer.
fn of_the_order(world: &World) -> Vec<Value> {
    let ask = Ask { sessions: &[SESSION], ..Ask::usual(world) };
    let mut cases = Vec::new();
    for signer in &world.signers {
        for first in 0..=rules::DEFECTS.len() {
            let token = rules::token_with_defects_from(signer, first);
            let answer = ask.answer(&token);
            assert_eq!(answer.as_ref().err(), rules::DEFECTS.get(first));
            cases.push(ask.write(
                &format!("the order of the rules: defects from {first} on"),
                &token,
                &answer,
            ));
        }
    }
    cases
}

/// What depends on the time, the audience, revocations, keys: a question of its own for each.
fn of_the_question(world: &World) -> Vec<Value> {
    let mut cases = Vec::new();
    let mut add = |name: &str, ask: Ask<'_>, token: &str, expected: Option<InvalidReason>| {
        let answer = ask.answer(token);
        assert_eq!(answer.as_ref().err().copied(), expected, "{name}");
        cases.push(ask.write(name, token, &answer));
    };
    let strict = Rules { leeway: std::time::Duration::ZERO, ..world.rules.clone() };
    let no_default = Rules::new(ISSUER, Vec::new());
    let other = SessionId::from_bytes([0; 16]);
    let somebody = UserId::from_bytes([7; 16]);
    for signer in &world.signers {
        let usual = || Ask::usual(world);
        let token = signer.with_claim("nbf", json!(NOW + 2));
        for (name, offset, expected) in [
            ("a millisecond before nbf less leeway", -3001, Some(InvalidReason::NotYetValid)),
            ("at nbf less leeway", -3000, None),
            ("a millisecond before exp", 899_999, None),
            ("at exp", 900_000, Some(InvalidReason::Expired)),
        ] {
            let now = UnixMillis(NOW * 1000 + offset);
            add(&format!("time counts in milliseconds: {name}"), Ask { now, ..usual() }, &token, expected);
        }
        for (name, offset, expected) in
            [("before nbf", 1999, Some(InvalidReason::NotYetValid)), ("at nbf", 2000, None)]
        {
            let ask = Ask { now: UnixMillis(NOW * 1000 + offset), rules: &strict, ..usual() };
            add(&format!("a verifier without leeway: {name}"), ask, &token, expected);
        }
        let token = signer.with_claim("ext", json!("4711"));
        add("the user of another system", usual(), &token, None);
        let token = signer.with_claim("client_id", json!(USER.to_string()));
        add("a service account", usual(), &token, None);
        let token = signer.valid();
        for (audiences, expected) in [
            (&["billing"][..], None),
            (&["mail", "billing"], None),
            (&["mail"], Some(InvalidReason::WrongAudience)),
            (&[""], Some(InvalidReason::WrongAudience)),
            (&["ORDERS"], Some(InvalidReason::WrongAudience)),
        ] {
            let name = format!("a caller may expect another audience: {audiences:?}");
            add(&name, Ask { audiences, ..usual() }, &token, expected);
        }
        let ask = Ask { rules: &no_default, ..usual() };
        add("no audience is never any audience", ask, &token, Some(InvalidReason::WrongAudience));
        let ask = Ask { rules: &no_default, audiences: &[AUDIENCE], ..usual() };
        add("no default, but the caller names one", ask, &token, None);

        let revoked = Some(InvalidReason::Revoked);
        add("its session is revoked", Ask { sessions: &[SESSION], ..usual() }, &token, revoked);
        add("another session is revoked", Ask { sessions: &[other], ..usual() }, &token, None);
        for (name, users, expected) in [
            ("to the token's own", &[(USER, 3)], None),
            ("above the token's own", &[(USER, 4)], revoked),
            ("to the largest", &[(USER, u64::MAX)], revoked),
            ("of another user", &[(somebody, 4)], None),
        ] {
            add(&format!("the epoch is raised {name}"), Ask { users, ..usual() }, &token, expected);
        }
        let late = signer.with_claim("exp", json!(NOW));
        let ask = Ask { sessions: &[SESSION], ..usual() };
        add("expired and revoked is expired", ask, &late, Some(InvalidReason::Expired));
        let ask = Ask { keys: vec![signer], ..usual() };
        add("the one key that there is", ask, &token, None);
        let others = world.signers.iter().filter(|other| other.kid != signer.kid).collect();
        let ask = Ask { keys: others, ..usual() };
        add("its key was withdrawn", ask, &token, Some(InvalidReason::UnknownKey));
        let ask = Ask { keys: Vec::new(), ..usual() };
        add("there is no key at all", ask, &token, Some(InvalidReason::UnknownKey));
        let epoch = signer.with_claim("epoch", json!(u64::MAX));
        add("an epoch of 64 bits", Ask { users: &[(USER, u64::MAX)], ..usual() }, &epoch, None);
        add("an epoch of zero", usual(), &signer.with_claim("epoch", json!(0)), None);
    }
    cases.extend(of_the_twin(world));
    cases.extend(of_the_claims(world));
    cases
}

/// (r, n − s) is as authentic as (r, s), and is revoked with it.
fn of_the_twin(world: &World) -> Vec<Value> {
    let token = world.signers[1].valid();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let twin = format!("{input}.{}", base64url(rules::twin(&rules::decode(signature))));
    [&[][..], &[SESSION]]
        .map(|sessions| {
            let ask = Ask { sessions, ..Ask::usual(world) };
            let answer = ask.answer(&twin);
            ask.write("the twin of an ES256 signature", &twin, &answer)
        })
        .into()
}

/// What else a token may say, and how its claims read.
fn of_the_claims(world: &World) -> Vec<Value> {
    let signer = &world.signers[0];
    let ask = Ask::usual(world);
    let mut cases = Vec::new();
    let mut add = |name: &str, body: String| {
        let token = signer.token(signer.header().to_string(), body);
        let answer = ask.answer(&token);
        assert!(answer.is_ok(), "{name}: {answer:?}");
        cases.push(ask.write(&format!("claims that are accepted: {name}"), &token, &answer));
    };
    add("no roles and no amr", with(with(claims(), "roles", json!([])), "amr", json!([])).to_string());
    add("a name in another script", with(claims(), "username", json!("阿达 Ωμέγα 🙂")).to_string());
    add("an escaped name of a claim", claims().to_string().replacen("\"sub\"", "\"\\u0073ub\"", 1));
    add("escapes", claims().to_string().replacen("\"ada\"", r#""\u0061\ud83d\ude42\/\"\\""#, 1));
    add("white space", serde_json::to_string_pretty(&claims()).unwrap());
    add("white space around", format!(" \t\r\n{} \n", claims()));
    let custom = json!({"list": [1, -2, 0.5, "x", null, true, {"a": [[]]}], "": "", "a\u{0}b": "\u{0}"});
    add("custom claims of every kind", with(claims(), "plan", custom).to_string());
    let nested = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    add("sixty levels", claims().to_string().replacen('{', &format!("{{\"deep\":{nested},"), 1));
    let name = "n".repeat(900);
    add("a long name", with(claims(), "username", json!(name)).to_string());
    add("the largest session end", with(claims(), "sxp", json!(1_i64 << 53)).to_string());
    cases
}

/// Which public keys are taken. `id`, `algorithm` and `spki` are those of `WatchKey`.
fn of_keys(world: &World) -> Vec<Value> {
    const P384: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEV5GXMkBA4GfYg9wiohmcYrI45G+fN0cD+moTWv+fF4nUFVfxlDVoXRcGBbgkOIBz0\
                        /+3ttKoj5ZQoq+IjdboqUwYfOv3cl13w2DSWw6TI7MOx4Wl69z9AN3lcwxzB7DK";
    const RSA1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDAyi96o5D7J7RuY2C/PJ0So8WFoaibnATam4DztrLbGirOkA1JHg9Vo7VQ8B5VpAWMMjzyBmcA\
                           4yPzwiKIyXrq9BkUqtWBEDvW6SXyBTdW2mSO1QneskcbAOT2CC4pU1NgwD93pKPxDcIQnR+URCyUJzOPIIyxn7ejgR1UhVZfZQIDAQAB";
    let mut cases = Vec::new();
    let mut add = |name: &str, id: &str, algorithm: &str, spki: &[u8]| {
        let key = KeyId::parse(id).ok().zip(Algorithm::from_name(algorithm));
        let key = key.and_then(|(id, algorithm)| VerifyingKey::from_spki_der(id, algorithm, spki).ok());
        let mut case = json!({
            "name": name, "id": id, "algorithm": algorithm, "spki": STANDARD.encode(spki), "trusted": key.is_some(),
        });
        if let Some(key) = key {
            case["jwk"] = key.jwk().clone();
        }
        cases.push(case);
    };
    for signer in &world.signers {
        let (algorithm, spki) = (signer.algorithm.name(), signer.spki.as_slice());
        add(&format!("the {algorithm} key"), signer.kid, algorithm, spki);
        for other in ["EdDSA", "ES256", "RS256", "PS256", "HS256", "none", "", &algorithm.to_lowercase()] {
            if other != algorithm {
                add(&format!("the {algorithm} key as {other:?}"), signer.kid, other, spki);
            }
        }
        add(&format!("{algorithm}: a byte after it"), signer.kid, algorithm, &[spki, &[0]].concat());
        add(&format!("{algorithm}: its last byte missing"), signer.kid, algorithm, &spki[..spki.len() - 1]);
        add(&format!("{algorithm}: its first byte missing"), signer.kid, algorithm, &spki[1..]);
        add(&format!("{algorithm}: nothing"), signer.kid, algorithm, &[]);
        for id in ["", "a b", "a/b", "ä", "a\0", &"x".repeat(65)] {
            add(&format!("{algorithm}: an id that is none"), id, algorithm, spki);
        }
        add(&format!("{algorithm}: the longest id"), &"x".repeat(64), algorithm, spki);
    }
    add("a bare Ed25519 key", "k", "EdDSA", &world.signers[0].spki[12..]);
    add("a bare point", "k", "ES256", &world.signers[1].spki[26..]);
    let mut off_curve = world.signers[1].spki.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    add("a point that is not on the curve", "k", "ES256", &off_curve);
    add("a key on P-384", "k", "ES256", &STANDARD.decode(P384).unwrap());
    add("an RSA key of 1024 bits", "k", "RS256", &STANDARD.decode(RSA1024).unwrap());
    cases
}

/// What is signed in the file as it is, with the signatures.
fn signed_before(name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let token = |line: &str| serde_json::from_str::<Value>(line).ok()?["token"].as_str().map(str::to_owned);
    let signed = |token: String| {
        let (input, signature) = token.rsplit_once('.')?;
        Some((input.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(signature).ok()?))
    };
    read(name).lines().filter_map(token).filter_map(signed).collect()
}

#[test]
fn the_corpus_says_what_this_crate_answers() {
    let mut world = World::new();
    let before = signed_before("tokens.jsonl");
    for signer in world.signers.iter_mut().chain(&mut world.strangers) {
        signer.remember(&before);
    }
    let mut cases = of_the_rules(&world);
    cases.extend(of_the_order(&world));
    cases.extend(of_the_question(&world));
    let mut seen = BTreeSet::new();
    cases.retain(|case| seen.insert(case.to_string()));
    hold("tokens.jsonl", &lines(&cases));
    hold("keys.jsonl", &lines(&of_keys(&world)));
    let jwks: Vec<Value> = world.keys.iter().map(|key| key.jwk().clone()).collect();
    hold("jwks.json", &format!("{:#}\n", json!({ "keys": jwks })));
}

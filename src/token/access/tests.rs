use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use countersign_verifier::{
    Algorithm, Epoch, InvalidReason, KeyId, KeySet, RevocationIndex, SessionId, UserId, VerifyingKey, verify,
};
use serde_json::json;

use super::*;
use crate::model::{ClientFacts, Line, MacKeyId, Username};

const NOW: UnixMillis = UnixMillis(1_700_000_000_999);
const ISSUER: &str = "https://auth.example";
const TTL: Duration = Duration::from_mins(15);

fn signer(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(KeyId::parse("key-1").unwrap(), algorithm)
}

fn keys(signer: &SigningKey) -> KeySet {
    KeySet::new([signer.verifying_key().clone()]).unwrap()
}

fn user() -> User {
    User {
        id: UserId::from_bytes([1; 16]),
        username: Username::from_normalized("ada".to_owned()),
        roles: Role::parse_all(["admin", "ops"]).unwrap(),
        claims: CustomClaims::parse(r#"{"tenant":{"id":7},"beta":true}"#).unwrap(),
        external_id: None,
        disabled: false,
        epoch: Epoch(9),
        created_at: UnixMillis(0),
        updated_at: UnixMillis(0),
    }
}

fn session() -> Session {
    Session {
        id: SessionId::from_bytes([2; 16]),
        user: UserId::from_bytes([1; 16]),
        epoch: Epoch(3),
        line: Line::begin(NOW),
        audiences: Vec::new(),
        mac_key: MacKeyId::from_bytes([0; 4]),
        created_at: NOW - Duration::from_mins(1),
        idle_expires_at: NOW + Duration::from_hours(24),
        expires_at: NOW + Duration::from_hours(240),
        client: ClientFacts::default(),
    }
}

fn audiences(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn mint(signer: &SigningKey, user: &User, session: &Session, audiences: &[String]) -> AccessToken {
    let grant = AccessGrant { user, session, audiences, now: NOW };
    AccessTokenIssuer::new(ISSUER).mint(signer, &grant, TTL).unwrap()
}

#[test]
fn a_minted_token_is_verified_and_says_what_it_was_made_from() {
    let (signer, user, session) = (signer(Algorithm::EdDSA), user(), session());
    let token = mint(&signer, &user, &session, &audiences(&["orders", "billing"]));
    let rules = Rules::new(ISSUER, audiences(&["billing"]));
    let at = |now| verify(token.expose(), &rules, &keys(&signer), &[], &RevocationIndex::new(), now);
    let verified = at(NOW).unwrap();
    assert_eq!((verified.subject, verified.session), (user.id, session.id));
    assert_eq!(verified.epoch, Epoch(3), "the session's epoch, not what the user's has become since");
    assert_eq!(verified.roles, ["admin", "ops"]);
    assert_eq!(verified.audiences, ["orders", "billing"]);
    assert_eq!(verified.username, "ada");
    assert_eq!(verified.amr, ["pwd"]);
    assert_eq!((verified.issued_at, verified.expires_at), (1_700_000_000, 1_700_000_900));
    assert_eq!((verified.auth_time, verified.session_expires_at), (1_699_999_940, 1_700_864_000));
    assert_eq!(&verified.custom, user.claims.as_map());

    assert_eq!(token.expires_at(), UnixMillis::from_secs(1_700_000_900));
    assert!(at(UnixMillis(token.expires_at().0 - 1)).is_ok());
    assert_eq!(at(token.expires_at()).err(), Some(InvalidReason::Expired));
}

#[test]
fn no_two_tokens_have_one_name() {
    let (signer, user, session) = (signer(Algorithm::EdDSA), user(), session());
    let names = [(); 2].map(|()| {
        let token = mint(&signer, &user, &session, &audiences(&["orders"]));
        let rules = Rules::new(ISSUER, audiences(&["orders"]));
        let revocations = RevocationIndex::new();
        verify(token.expose(), &rules, &keys(&signer), &[], &revocations, NOW).unwrap().token_id
    });
    assert_ne!(names[0], names[1]);
    assert_eq!(URL_SAFE_NO_PAD.decode(&names[0]).unwrap().len(), 16);
}

#[test]
fn a_token_never_outlives_its_session() {
    let signer = signer(Algorithm::EdDSA);
    let session = Session { expires_at: NOW + Duration::from_millis(30_500), ..session() };
    let token = mint(&signer, &user(), &session, &audiences(&["orders"]));
    assert_eq!(token.expires_at(), UnixMillis::from_secs(1_700_000_031));
    assert!(token.expires_at() <= session.expires_at);
}

#[test]
fn a_minted_token_has_the_header_and_the_claims_that_the_standards_name_and_a_signature_over_both() {
    for algorithm in Algorithm::ALL {
        let signer = signer(algorithm);
        for (names, aud) in [(vec!["orders"], json!("orders")), (vec!["orders", "x"], json!(["orders", "x"]))]
        {
            let token = mint(&signer, &user(), &session(), &audiences(&names));
            let (header, mut claims) = read(&token, &signer);
            assert_eq!(header, json!({ "typ": "at+jwt", "alg": algorithm.name(), "kid": "key-1" }));
            assert!(claims.as_object_mut().unwrap().remove("jti").is_some());
            let expected = json!({
                "iss": ISSUER, "sub": "01010101-0101-0101-0101-010101010101", "aud": aud,
                "exp": 1_700_000_900, "iat": 1_700_000_000, "sid": "AgICAgICAgICAgICAgICAg",
                "username": "ada", "roles": ["admin", "ops"], "auth_time": 1_699_999_940, "amr": ["pwd"],
                "epoch": 3, "sxp": 1_700_864_000, "tenant": {"id": 7}, "beta": true,
            });
            assert_eq!(claims, expected);
        }
    }
}

#[test]
fn an_external_id_is_a_claim_that_no_other_claim_replaces() {
    let signer = signer(Algorithm::EdDSA);
    let external_id = |text: &str| Some(ExternalId::parse(text).unwrap());
    let user = User { external_id: external_id("42"), ..user() };
    let (_, claims) = read(&mint(&signer, &user, &session(), &audiences(&["orders"])), &signer);
    assert_eq!(claims["ext"], "42");
    assert!(CustomClaims::parse(r#"{"ext":"43"}"#).is_err());
    let without = User { external_id: None, ..user };
    let (_, claims) = read(&mint(&signer, &without, &session(), &audiences(&["orders"])), &signer);
    assert_eq!(claims.get("ext"), None);
}

/// Header and claims, read without any JWT library: after RFC 7515 §5.2, with the cryptography alone.
fn read(token: &AccessToken, signer: &SigningKey) -> (Value, Value) {
    let parts: Vec<&str> = token.expose().split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{} parts", parts.len()) };
    let algorithm: &dyn VerificationAlgorithm = match signer.algorithm() {
        Algorithm::EdDSA => &ED25519,
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
    };
    let input = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(algorithm, signer.verifying_key().spki_der());
    key.verify(input.as_bytes(), &signature).unwrap();
    let json = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (json(header), json(claims))
}

fn roles(count: usize, length: usize) -> Vec<Role> {
    let names: Vec<String> = (0..count).map(|number| format!("{number:0length$}")).collect();
    Role::parse_all(names.iter().map(String::as_str)).unwrap()
}

fn claims(bytes: usize) -> CustomClaims {
    CustomClaims::parse(&format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - 8))).unwrap()
}

/// With the longest of everything else: what it would be under the longest key id, signed by RSA with 8192 bits.
fn bytes_of_longest(
    roles: Vec<Role>,
    claims: CustomClaims,
    external_id: Option<ExternalId>,
    audiences: &[String],
) -> Result<usize, MintError> {
    let end = UnixMillis::from_secs(1 << 53);
    let username = Username::from_normalized("\"".repeat(128));
    let user = User { username, roles, claims, external_id, ..user() };
    let session = Session { epoch: Epoch(u64::MAX), created_at: end, expires_at: end, ..session() };
    let grant = AccessGrant { user: &user, session: &session, audiences, now: end };
    let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/rsa2048.pem"));
    let id = KeyId::parse(&"k".repeat(KeyId::MAX_LEN)).unwrap();
    let signer = SigningKey::from_pkcs8_pem(id, pem).unwrap();
    let token = AccessTokenIssuer::new("i".repeat(256)).mint(&signer, &grant, TTL)?;
    let signature = |bits: u32| (bits / 8 * 4).div_ceil(3) as usize;
    Ok(token.expose().len() - signature(2048) + signature(VerifyingKey::MAX_RSA_BITS))
}

#[test]
fn whoever_may_log_in_gets_a_token_that_is_short_enough() {
    let sixteen: Vec<String> = (0..16).map(|number| format!("{number:064}")).collect();
    AccessTokenIssuer::check_audiences(&sixteen).unwrap();
    let fits = |roles: Vec<Role>, claims: CustomClaims| {
        AccessTokenIssuer::check_attributes(&roles, &claims, None).unwrap();
        bytes_of_longest(roles, claims, None, &sixteen).unwrap()
    };
    let quotes = Some(ExternalId::parse(&"\"".repeat(ExternalId::MAX_BYTES)).unwrap());
    AccessTokenIssuer::check_attributes(&roles(11, Role::MAX_BYTES), &claims(2048), quotes.as_ref()).unwrap();
    let with_external_id =
        bytes_of_longest(roles(11, Role::MAX_BYTES), claims(2048), quotes, &sixteen).unwrap();
    let longest = [
        fits(roles(Role::MOST_PER_USER, 12), claims(CustomClaims::MAX_BYTES)),
        fits(roles(15, Role::MAX_BYTES), claims(CustomClaims::MAX_BYTES)),
        fits(roles(45, Role::MAX_BYTES), claims(56)),
        fits(roles(Role::MOST_PER_USER, 44), claims(63)),
        with_external_id,
    ];
    assert!(longest.iter().all(|bytes| (8000..=Rules::MAX_TOKEN_BYTES).contains(bytes)), "{longest:?}");
}

#[test]
fn what_no_verifier_would_accept_is_refused_where_it_is_set() {
    let (all, most) = (roles(Role::MOST_PER_USER, Role::MAX_BYTES), claims(CustomClaims::MAX_BYTES));
    assert_eq!(
        AccessTokenIssuer::check_attributes(&all, &most, None),
        Err(AttributesTooLarge { bytes: 6337 })
    );
    let error = bytes_of_longest(all, most, None, &audiences(&["orders"])).unwrap_err();
    assert!(matches!(error, MintError::TooLarge { bytes } if bytes > Rules::MAX_TOKEN_BYTES), "{error}");

    let seventeen: Vec<String> = (0..17).map(|number| format!("{number:064}")).collect();
    assert_eq!(AccessTokenIssuer::check_audiences(&seventeen), Err(AudiencesTooLarge { bytes: 1140 }));
    let quotes = vec!["\"".repeat(600)];
    assert!(AccessTokenIssuer::check_audiences(&quotes).is_err(), "as long as they are when written");
    let none = bytes_of_longest(Vec::new(), CustomClaims::default(), None, &[]);
    assert!(matches!(none, Err(MintError::NoAudience)));
}

#[test]
fn a_token_is_not_shown() {
    let token = mint(&signer(Algorithm::EdDSA), &user(), &session(), &audiences(&["orders"]));
    let shown = format!("{token:?}");
    assert!(token.expose().split('.').all(|part| !shown.contains(part)), "{shown}");
}

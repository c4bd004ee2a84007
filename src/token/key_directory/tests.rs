use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Barrier;

use tempfile::TempDir;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/", $name))
    };
}

/// 2026-01-01T00:00:00Z.
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

/// A directory that `create_missing` made.
struct Keys {
    path: PathBuf,
    _root: TempDir,
}

impl Keys {
    fn new() -> Self {
        Self::with(Algorithm::EdDSA)
    }

    fn with(algorithm: Algorithm) -> Self {
        let root = TempDir::new().unwrap();
        let path = root.path().join("my keys");
        KeyDirectory::create_missing(&path, algorithm, NOW).unwrap();
        Self { path, _root: root }
    }

    fn open(&self) -> Result<LoadedKeys, KeyDirectoryError> {
        KeyDirectory::open(&self.path, Permissions::Strict)
    }

    fn error(&self) -> String {
        self.open().unwrap_err().to_string()
    }

    fn add(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, contents).unwrap();
        set_mode(&path, 0o600);
        path
    }

    fn only_file(&self, directory: &str) -> PathBuf {
        let [file] = files(&self.path.join(directory)).try_into().unwrap();
        file
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn states(keys: &LoadedKeys, now: UnixMillis) -> Vec<(KeyKind, &'static str, KeyState)> {
    keys.list(now).iter().map(|key| (key.kind, key.algorithm, key.state)).collect()
}

#[test]
fn a_first_start_makes_one_key_of_each_kind_that_nobody_else_can_read() {
    for algorithm in Algorithm::ALL {
        let directory = Keys::with(algorithm);
        for path in [&directory.path, &directory.path.join(SIGNING), &directory.path.join(REFRESH)] {
            assert_eq!(mode(path), 0o700, "{path:?}");
        }
        let (signing, refresh) = (directory.only_file(SIGNING), directory.only_file(REFRESH));
        assert_eq!((mode(&signing), mode(&refresh)), (0o600, 0o600));
        assert!(signing.file_name().unwrap().to_str().unwrap().starts_with("20260101T000000Z-"));

        let keys = directory.open().unwrap();
        let active = KeyState::Active;
        let expected = [(KeyKind::Signing, algorithm.name(), active), (KeyKind::Refresh, "HS256", active)];
        assert_eq!(states(&keys, NOW), expected);

        let signer = keys.signing.signer(NOW);
        let verifier = keys.signing.key_set().get(signer.id().as_str()).cloned().unwrap();
        assert_eq!(verifier.spki_der(), signer.verifying_key().spki_der());
    }
}

#[test]
fn a_second_start_changes_nothing() {
    let directory = Keys::new();
    let before = directory.open().unwrap().list(NOW);
    let later = NOW + std::time::Duration::from_hours(1);
    KeyDirectory::create_missing(&directory.path, Algorithm::Rs256, later).unwrap();
    assert_eq!(directory.open().unwrap().list(NOW), before);
}

#[test]
fn a_start_makes_only_the_kind_that_is_missing() {
    let directory = Keys::new();
    let signing = directory.only_file(SIGNING);
    let refresh = directory.only_file(REFRESH);
    fs::remove_file(&signing).unwrap();
    directory.add("signing/old.pub.pem", public_pem());
    KeyDirectory::create_missing(&directory.path, Algorithm::EdDSA, NOW).unwrap();
    assert_eq!(files(&directory.path.join(SIGNING)).len(), 2);
    assert_eq!(directory.only_file(REFRESH), refresh);
    assert!(directory.open().is_ok());
}

#[test]
fn processes_that_start_at_once_end_with_the_same_keys() {
    for _ in 0..25 {
        let root = TempDir::new().unwrap();
        let path = root.path().join("keys");
        let barrier = Barrier::new(4);
        let start = || {
            barrier.wait();
            KeyDirectory::create_missing(&path, Algorithm::EdDSA, NOW).unwrap();
            KeyDirectory::open(&path, Permissions::Strict).unwrap().list(NOW)
        };
        let seen: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(seen[0].len(), 2, "{seen:?}");
        assert!(seen.iter().all(|keys| *keys == seen[0]), "{seen:?}");
    }
}

#[test]
fn what_others_can_read_is_refused_with_the_command_that_mends_it() {
    let directory = Keys::new();
    let paths = [
        (directory.path.clone(), 0o755),
        (directory.path.join(SIGNING), 0o710),
        (directory.path.join(REFRESH), 0o701),
        (directory.only_file(SIGNING), 0o640),
        (directory.only_file(REFRESH), 0o604),
    ];
    for (path, too_open) in paths {
        set_mode(&path, too_open);
        let error = directory.error();
        let (told, command) = error.split_once("mend it with: ").unwrap();
        assert!(told.contains(path.to_str().unwrap()), "{error}");
        assert!(told.contains(&format!("(mode 0{too_open:o})")), "{error}");
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
        assert!(directory.open().is_ok(), "after {command}");
    }
}

#[test]
fn a_start_refuses_a_directory_that_others_can_read() {
    let directory = Keys::new();
    set_mode(&directory.path, 0o750);
    let error = KeyDirectory::create_missing(&directory.path, Algorithm::EdDSA, NOW).unwrap_err();
    assert!(matches!(error, KeyDirectoryError::TooOpen { mode: 0o750, .. }), "{error}");
}

#[test]
fn a_mounted_secret_is_read_as_kubernetes_lays_it_out() {
    let directory = Keys::new();
    let volume = TempDir::new().unwrap();
    let data = volume.path().join("..2026_01_01");
    fs::rename(&directory.path, &data).unwrap();
    let link = |target: &str, name: &str| symlink(target, volume.path().join(name)).unwrap();
    link("..2026_01_01", "..data");
    link("..data/signing", "signing");
    link("..data/refresh", "refresh");
    for path in [volume.path(), &data, &data.join(SIGNING), &data.join(REFRESH)] {
        set_mode(path, 0o755);
    }
    let [key] = files(&data.join(SIGNING)).try_into().unwrap();
    for allowed in [0o440, 0o400, 0o640] {
        set_mode(&key, allowed);
        assert!(KeyDirectory::open(volume.path(), Permissions::Mounted).is_ok(), "{allowed:o}");
    }
    for refused in [0o444, 0o644, 0o660, 0o402] {
        set_mode(&key, refused);
        let error = KeyDirectory::open(volume.path(), Permissions::Mounted).unwrap_err().to_string();
        assert!(error.ends_with("mount the volume with defaultMode: 0440"), "{error}");
        assert!(error.contains(key.file_name().unwrap().to_str().unwrap()), "{error}");
    }
}

fn public_pem() -> String {
    let key = SigningKey::from_pkcs8_pem(KeyId::parse("k").unwrap(), fixture!("p256.pem")).unwrap();
    pem_block::encode(pem_block::PUBLIC_KEY, key.verifying_key().spki_der()).to_string()
}

#[test]
fn a_file_that_is_no_key_is_told_by_name_and_not_by_content() {
    let x25519_public = "-----BEGIN PUBLIC KEY-----\n\
                         MCowBQYDK2VuAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
                         -----END PUBLIC KEY-----\n";
    let short_mac = pem_block::encode(pem_block::MAC_KEY, &[7; 31]).to_string();
    let public = public_pem();
    let too_large = "x".repeat(16 * 1024 + 1);
    let cases: &[(&str, &[u8], &str)] = &[
        ("signing/a.pem", b"s3cret", "not a PEM file with exactly one block"),
        ("signing/a.pem", b"", "not a PEM file with exactly one block"),
        ("signing/a.pem", fixture!("p384.pem").as_bytes(), "not a PKCS#8 private key for"),
        ("signing/a.pem", fixture!("rsa1024.pem").as_bytes(), "RSA of 2048 to 8192 bits"),
        ("signing/a.pem", fixture!("sec1.pem").as_bytes(), "openssl pkcs8 -topk8 -nocrypt"),
        ("signing/a.pem", public.as_bytes(), r#"holds a "PUBLIC KEY" block"#),
        ("signing/a.pem", too_large.as_bytes(), "larger than 16384 bytes"),
        ("signing/a.pem", b"\xc3\x28", "not text"),
        ("signing/a.pem", b"\xff\xfes\x003\0", "UTF-16 text"),
        ("signing/a.pub.pem", fixture!("p256.pem").as_bytes(), r#"holds a "PRIVATE KEY" block"#),
        ("signing/a.pub.pem", x25519_public.as_bytes(), "not a public key for Ed25519, P-256 or RSA"),
        ("signing/a.txt", b"", "expected <kid>.pem (private) or <kid>.pub.pem (public)"),
        ("signing/a b.pem", b"", "the name is no key id"),
        ("signing/20261301T000000Z-00000000.pem", b"", "the name does not begin with a time"),
        ("refresh/00000000.key", fixture!("p256.pem").as_bytes(), r#"where "COUNTERSIGN MAC KEY" is"#),
        ("refresh/00000000.key", short_mac.as_bytes(), "a MAC key has 32 bytes"),
        ("refresh/main.key", b"", "expected <yyyymmddThhmmssZ>-<8 digits>.key"),
    ];
    let directory = Keys::new();
    for (name, contents, expected) in cases {
        let path = directory.add(name, contents);
        let error = directory.error();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        assert!(error.contains(expected), "{error}");
        for secret in ["s3cret", "MIG", "MC4"] {
            assert!(!error.contains(secret), "{error}");
        }
        fs::remove_file(path).unwrap();
    }
    assert!(directory.open().is_ok());
}

#[test]
fn what_is_not_a_file_is_not_read() {
    let directory = Keys::new();
    let path = directory.path.join("signing/a.pem");
    fs::create_dir(&path).unwrap();
    assert_eq!(directory.error(), format!("{}: not a file", path.display()));
    fs::remove_dir(&path).unwrap();

    // Opening a pipe would wait for ever.
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(directory.error(), format!("{}: not a file", path.display()));
    fs::remove_file(&path).unwrap();

    symlink("nowhere", &path).unwrap();
    assert!(directory.error().starts_with(&format!("cannot read {}", path.display())));
}

#[test]
fn a_directory_that_is_missing_or_empty_is_told() {
    let directory = Keys::new();
    fs::remove_file(directory.only_file(REFRESH)).unwrap();
    assert!(directory.error().ends_with("refresh: there is no key to make tokens with"));
    fs::remove_dir(directory.path.join(REFRESH)).unwrap();
    let expected = format!("cannot read the directory {}", directory.path.join(REFRESH).display());
    assert!(directory.error().starts_with(&expected));

    fs::remove_file(directory.only_file(SIGNING)).unwrap();
    directory.add("signing/only.pub.pem", public_pem());
    assert!(directory.error().ends_with("signing: there is no key to make tokens with"));

    let error = KeyDirectory::open(&directory.path.join("none"), Permissions::Mounted).unwrap_err();
    assert!(error.to_string().contains("none: No such file"), "{error}");
}

#[test]
fn keys_that_cannot_be_told_apart_are_refused() {
    let directory = Keys::new();
    let private = directory.add("signing/a.pem", fixture!("p256.pem"));
    let public = directory.add("signing/a.pub.pem", public_pem());
    assert!(directory.error().ends_with("signing: two keys are called a"));
    fs::remove_file(public).unwrap();
    assert!(directory.open().is_ok());

    directory.add("signing/b.pem", fixture!("rsa2048.pem"));
    assert!(directory.error().contains("a and b come into use at the same moment (always)"));
    fs::remove_file(private).unwrap();
    assert!(directory.open().is_ok());

    let mac = fs::read(directory.only_file(REFRESH)).unwrap();
    directory.add("refresh/0a1b2c3d.key", &mac);
    directory.add("refresh/20250101T000000Z-0a1b2c3d.key", &mac);
    assert!(directory.error().ends_with("refresh: two MAC keys are called 0a1b2c3d"));
}

#[test]
fn a_directory_with_very_many_files_is_refused() {
    let directory = Keys::new();
    for number in 0..64 {
        directory.add(&format!("signing/{number}.pub.pem"), public_pem());
    }
    assert!(directory.error().ends_with("holds more than 64 files"));
}

#[test]
fn hidden_files_are_passed_over() {
    let directory = Keys::new();
    let before = directory.open().unwrap().list(NOW);
    for name in [".draft", "signing/.draft", "signing/..data", "refresh/.hidden.key"] {
        directory.add(name, "garbage");
    }
    assert_eq!(directory.open().unwrap().list(NOW), before);
    // What a killed process left behind does not stand in the way of the next key.
    let later = NOW + std::time::Duration::from_secs(1);
    KeyDirectory::generate_signing_key(&directory.path, Algorithm::EdDSA, later).unwrap();
    assert!(directory.open().is_ok());
    assert!(!directory.path.join("signing/.draft").exists());
}

#[test]
fn a_new_key_is_announced_before_it_is_used() {
    let directory = Keys::new();
    let later = NOW + std::time::Duration::from_hours(1);
    let signing = KeyDirectory::generate_signing_key(&directory.path, Algorithm::Es256, later).unwrap();
    let mac = KeyDirectory::generate_mac_key(&directory.path, later).unwrap();
    directory.add("signing/old.pub.pem", public_pem());

    let keys = directory.open().unwrap();
    assert!(signing.as_str().starts_with("20260101T010000Z-"), "{signing}");
    assert!(keys.signing.key_set().get(signing.as_str()).is_some());
    assert!(keys.mac.get(mac).is_some());
    let of = |now| keys.list(now).iter().map(|key| key.state).collect::<Vec<_>>();
    let (active, upcoming, verify) = (KeyState::Active, KeyState::Upcoming, KeyState::VerifyOnly);
    assert_eq!(of(NOW), [active, upcoming, verify, active, upcoming]);
    assert_eq!(of(later), [verify, active, verify, verify, active]);
    assert_ne!(keys.signing.signer(NOW).id(), &signing);
    assert_eq!(keys.signing.signer(later).id(), &signing);
    assert_eq!(keys.mac.active(later), mac);
}

#[test]
fn a_second_key_for_one_second_is_refused_and_the_directory_stays_good() {
    let directory = Keys::new();
    let same_second = UnixMillis(NOW.0 + 999);
    let taken = |error: &KeyDirectoryError| matches!(error, KeyDirectoryError::TimeTaken { .. });
    let error =
        KeyDirectory::generate_signing_key(&directory.path, Algorithm::EdDSA, same_second).unwrap_err();
    assert!(taken(&error), "{error}");
    let error = KeyDirectory::generate_mac_key(&directory.path, same_second).unwrap_err();
    assert!(taken(&error), "{error}");
    let error = KeyDirectory::generate_mac_key(&directory.path, UnixMillis(i64::MAX)).unwrap_err();
    assert!(matches!(error, KeyDirectoryError::TimeOutOfRange), "{error}");
    assert!(directory.open().is_ok());
}

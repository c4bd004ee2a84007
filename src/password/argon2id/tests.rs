use argon2::{AssociatedData, ParamsBuilder};

use super::*;

// Made by the reference implementation, through argon2-cffi.
const DEFAULT_COST: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$\
                            gYJZtjEAJqjg26xdLmknq8/bB7MiWPrE9hsYuA+SkIU";
const FOUR_LANES: &str = "$argon2id$v=19$m=256,t=3,p=4$YW5vdGhlciBzYWx0IG9mIDIzIGJ5dGU$\
                          aQPahOVBAk0M3ZrwZ3Wdls0YeifKXo91";
const LONGEST: &str = "$argon2id$v=19$m=8,t=1,p=1$OCBieXRlcyE$\
                       x9y2xl0wuH3S8uVktIjqHrjJW9lIH6JSXRIK7kjBiGzyh3CIDwg78BJKqL6/7MD5KDj/stcWELgq5o/BzFz4EA";
const COMPOSED: &str = "$argon2id$v=19$m=8,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$\
                        a5eC6Scg8j1r40kbo23QgGdatdX6d3WcR+hmQTgNxKI";
const ARGON2I: &str = "$argon2i$v=19$m=8,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$\
                       i3rtkSjJ7tKrYrwt3nqa2bYmnH3FX7sKhrpsk+fp/Lo";

fn password(text: &str) -> Password {
    Password::new(text.to_owned()).unwrap()
}

fn small() -> HashParameters {
    HashParameters::new(8, 1, 1).unwrap()
}

fn parse(phc: &str) -> Result<Argon2idHash, CorruptHash> {
    Argon2idHash::parse(&PasswordHash::from_phc(phc.to_owned()))
}

#[test]
fn the_algorithm_is_that_of_rfc_9106_section_5_3() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let mut tag = [0; 32];
    Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params)
        .unwrap()
        .hash_password_into(&[1; 32], &[2; 16], &mut tag)
        .unwrap();
    assert_eq!(hex::encode(tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

#[test]
fn hashes_of_the_reference_implementation_are_verified_in_memory_that_others_used() {
    let mut memory = WorkingMemory::new(small());
    for _ in 0..2 {
        for (phc, text) in [
            (DEFAULT_COST, "correct horse battery staple"),
            (FOUR_LANES, "pa\u{308}sswo\u{308}rd \u{1F511} "),
            (LONGEST, &"x".repeat(1024)),
            (COMPOSED, "tr\u{E9}s secret"),
        ] {
            let hash = parse(phc).unwrap();
            assert!(hash.matches(&password(text), &mut memory), "{phc}");
            assert!(!hash.matches(&password("something else"), &mut memory), "{phc}");
            assert_eq!(hash.to_phc().as_phc(), phc);
        }
    }
}

#[test]
fn a_new_hash_is_the_one_that_the_reference_implementation_makes() {
    let salt = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let parameters = HashParameters::default();
    let mut memory = WorkingMemory::new(parameters);
    let hash =
        Argon2idHash::compute(&password("correct horse battery staple"), salt, parameters, &mut memory);
    assert_eq!(hash.to_phc().as_phc(), DEFAULT_COST);
    assert!(!hash.needs_rehash(parameters));
}

#[test]
fn a_password_is_its_exact_bytes() {
    let mut memory = WorkingMemory::new(small());
    let hash = parse(COMPOSED).unwrap();
    for other in [
        "tr\u{E9}s secret ",
        " tr\u{E9}s secret",
        "tre\u{301}s secret",
        "TR\u{C9}S SECRET",
        "tr\u{E9}s secret\0",
        "",
    ] {
        assert!(!hash.matches(&password(other), &mut memory), "{other:?}");
    }
}

#[test]
fn no_password_matches_a_decoy_and_no_two_decoys_are_alike() {
    let mut memory = WorkingMemory::new(small());
    let decoy = Argon2idHash::decoy(small());
    assert!(!decoy.matches(&password(""), &mut memory));
    assert_ne!(decoy.to_phc(), Argon2idHash::decoy(small()).to_phc());
    assert!(!decoy.needs_rehash(small()), "it costs what every other hash costs");
}

#[test]
fn another_cost_or_length_needs_a_rehash() {
    let default = HashParameters::default();
    assert!(!parse(DEFAULT_COST).unwrap().needs_rehash(default));
    assert!(parse(COMPOSED).unwrap().needs_rehash(default));
    assert!(parse(LONGEST).unwrap().needs_rehash(small()), "salt and tag have other lengths");
    for wanted in [(19_457, 2, 1), (19_456, 3, 1), (19_456, 2, 2)] {
        let wanted = HashParameters::new(wanted.0, wanted.1, wanted.2).unwrap();
        assert!(parse(DEFAULT_COST).unwrap().needs_rehash(wanted));
    }
}

#[test]
fn what_is_not_exactly_a_phc_string_of_argon2id_is_corrupt() {
    assert!(parse(COMPOSED).is_ok(), "the control");
    let other = CorruptHash::OtherAlgorithm;
    for (phc, error) in [
        (ARGON2I.to_owned(), other),
        (COMPOSED.replace("argon2id", "ARGON2ID"), other),
        (COMPOSED.replace("v=19", "v=16"), other),
        (COMPOSED.replace("$v=19", ""), other),
        (String::new(), CorruptHash::Malformed),
        ("not a hash".to_owned(), CorruptHash::Malformed),
        (COMPOSED.replacen('$', "", 1), CorruptHash::Malformed),
        (COMPOSED.replace("m=8,t=1", "t=1,m=8"), CorruptHash::Malformed),
        (COMPOSED.replace("m=8", "m=08"), CorruptHash::Malformed),
        (COMPOSED.replace("m=8", "m=+8"), CorruptHash::Malformed),
        (COMPOSED.replace("m=8", "m=4294967304"), CorruptHash::Malformed),
        (COMPOSED.replace(",p=1", ""), CorruptHash::Malformed),
        (COMPOSED.replace("p=1", "p=1,data=AAAA"), CorruptHash::Malformed),
        (COMPOSED.replace("p=1", "p=1,p=1"), CorruptHash::Malformed),
        (format!("{COMPOSED}="), CorruptHash::Malformed),
        (format!("{COMPOSED}$"), CorruptHash::Malformed),
        (format!("{COMPOSED}\n"), CorruptHash::Malformed),
        (COMPOSED.replace("xKI", "xKJ"), CorruptHash::Malformed),
        (COMPOSED[..COMPOSED.len() - 30].to_owned(), CorruptHash::Malformed),
        (COMPOSED.rsplit_once('$').unwrap().0.to_owned(), CorruptHash::Malformed),
        (format!("{COMPOSED}{}", "A".repeat(100_000)), CorruptHash::Malformed),
        (COMPOSED.replace("c2l4dGVlbiBieXRlIHNsdA", "c2l4dA"), CorruptHash::Malformed),
    ] {
        assert_eq!(parse(&phc).unwrap_err(), error, "{phc:.120}");
    }
}

#[test]
fn a_hash_that_asks_for_absurd_work_is_corrupt() {
    use InvalidHashParameters::{Iterations, Memory, Parallelism};
    for (phc, error) in [
        (COMPOSED.replace("m=8", "m=262145"), Memory),
        (COMPOSED.replace("m=8", "m=4294967295"), Memory),
        (COMPOSED.replace("m=8", "m=7"), Memory),
        (COMPOSED.replace("p=1", "p=2"), Memory),
        (COMPOSED.replace("t=1", "t=21"), Iterations),
        (COMPOSED.replace("p=1", "p=65"), Parallelism),
        (COMPOSED.replace("p=1", "p=4294967295"), Parallelism),
    ] {
        assert_eq!(parse(&phc).unwrap_err(), CorruptHash::Parameters(error), "{phc}");
    }
    assert!(HashParameters::new(HashParameters::MAX_MEMORY_KIB, 20, 64).is_ok());
    assert_eq!(HashParameters::new(0, 1, 1), Err(Memory));
    assert_eq!(HashParameters::new(8, 0, 1), Err(Iterations));
    assert_eq!(HashParameters::new(8, 1, 0), Err(Parallelism));
}

#[test]
fn the_memory_is_wiped_and_given_back_on_demand() {
    let mut memory = WorkingMemory::new(small());
    let larger = HashParameters::new(64, 1, 1).unwrap();
    Argon2idHash::compute(&password("secret"), [0; SALT_BYTES], larger, &mut memory);
    assert!(memory.is_dirty());
    assert_eq!(memory.blocks.len(), 64);
    let is_zero = |memory: &WorkingMemory| memory.blocks.iter().all(|b| b.as_ref().iter().all(|w| *w == 0));
    assert!(!is_zero(&memory));
    memory.wipe();
    assert!(is_zero(&memory) && !memory.is_dirty());
    memory.shrink_to(small());
    assert_eq!(memory.blocks.len(), 8);
}

#[test]
fn neither_a_hash_nor_the_memory_is_shown() {
    let hash = parse(COMPOSED).unwrap();
    assert_eq!(
        format!("{hash:?} {:?}", WorkingMemory::new(small())),
        "Argon2idHash { parameters: HashParameters { memory_kib: 8, iterations: 1, parallelism: 1 }, .. } \
         WorkingMemory(8 KiB)"
    );
}

#[test]
fn what_a_cheap_hash_lacks_is_the_work_of_one_more() {
    let of = |memory, iterations| HashParameters::new(memory, iterations, 1).unwrap();
    let today = HashParameters::default();
    for old in [of(8192, 1), of(19_456, 1), of(4096, 3), of(64, 1), of(12_288, 3), of(19_448, 2)] {
        let more = today.of_work(today.work_kib() - old.work_kib()).map_or(0, HashParameters::work_kib);
        let together = old.work_kib() + more;
        let missing = today.work_kib() - together;
        assert!(missing < 100, "{old:?}: {missing} KiB of {} are missing", today.work_kib());
    }
    assert_eq!(today.of_work(0), None);
    assert_eq!(today.of_work(u64::MAX), None);
}

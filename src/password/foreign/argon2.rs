//! Argon2 of any variant, with any parameters, as PHC strings. Argon2id as we make it is read in `argon2id.rs`.

use argon2::{Algorithm, Version};
use zeroize::Zeroizing;

use super::text::{Named, encode, parts};
use super::{Family, ForeignHash, Found, Recipe, Unusable, Work};
use crate::password::argon2id::{HashParameters, WorkingMemory, fill_tag};

/// The most that one password may cost, in KiB that are filled: 1 GiB.
pub(super) const MOST_WORK_KIB: u64 = 1024 * 1024;
/// With less than this a hash is wrapped: the least that OWASP's Password Storage Cheat Sheet recommends fills some 33 MiB.
pub(super) const FAST_BELOW_KIB: u64 = 16 * 1024;

/// Argon2 with its parameters.
#[derive(Debug, Clone)]
pub(super) struct Argon2 {
    algorithm: Algorithm,
    version: Version,
    parameters: HashParameters,
    salt: Vec<u8>,
    tag_bytes: usize,
}

impl Argon2 {
    /// Checks the parts; `memory_kib`, `iterations` and `lanes` as they stand in a PHC string.
    pub(super) fn new(
        format: Named,
        (algorithm, version): (Algorithm, Version),
        [memory_kib, iterations, lanes]: [u64; 3],
        salt: Vec<u8>,
        tag_bytes: usize,
    ) -> Result<Self, Unusable> {
        format.within(lanes, "parallelism", &(1..=HashParameters::MAX_PARALLELISM.into()))?;
        format.within(
            iterations,
            "the number of iterations",
            &(1..=HashParameters::MAX_ITERATIONS.into()),
        )?;
        format.within(
            memory_kib,
            "the memory in KiB",
            &(8 * lanes..=HashParameters::MAX_MEMORY_KIB.into()),
        )?;
        format.within(memory_kib * iterations, "memory in KiB times iterations", &(8..=MOST_WORK_KIB))?;
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let parameters = HashParameters::new(number(memory_kib), number(iterations), number(lanes))
            .map_err(|_| format.malformed("its parameters"))?;
        let salt = format.sized(salt, "its salt", 8..=64)?;
        Ok(Self { algorithm, version, parameters, salt, tag_bytes })
    }
}

impl Recipe for Argon2 {
    fn work(&self) -> Work {
        Work { family: Family::Argon2, units: self.parameters.work_kib() }
    }

    fn is_fast(&self) -> bool {
        is_fast(self.parameters)
    }

    fn written(&self) -> String {
        let (m, t, p) =
            (self.parameters.memory_kib(), self.parameters.iterations(), self.parameters.parallelism());
        let (name, version) = (self.algorithm.as_str(), u32::from(self.version));
        format!("{name}$v={version},m={m},t={t},p={p},l={}${}", self.tag_bytes, encode(&self.salt))
    }

    fn digest(&self, password: &[u8], memory: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>> {
        let mut tag = Zeroizing::new(vec![0; self.tag_bytes]);
        let kind = (self.algorithm, self.version);
        fill_tag(kind, password, &self.salt, self.parameters, memory, &mut tag);
        Some(tag)
    }
}

/// Whether hashes with these parameters are wrapped.
pub(super) const fn is_fast(parameters: HashParameters) -> bool {
    parameters.work_kib() < FAST_BELOW_KIB
}

/// `$argon2id$v=19$m=…,t=…,p=…$salt$digest`, also `argon2i` and `argon2d`, also version 16, which is not written.
pub(super) fn parse(text: &str) -> Found {
    let (name, rest) = text.strip_prefix('$')?.split_once('$')?;
    let (format, algorithm) = algorithm(name)?;
    Some(parse_phc(format, algorithm, rest))
}

fn algorithm(name: &str) -> Option<(Named, Algorithm)> {
    match name {
        "argon2id" => Some((Named("argon2id"), Algorithm::Argon2id)),
        "argon2i" => Some((Named("argon2i"), Algorithm::Argon2i)),
        "argon2d" => Some((Named("argon2d"), Algorithm::Argon2d)),
        _ => None,
    }
}

fn parse_phc(format: Named, algorithm: Algorithm, rest: &str) -> Result<ForeignHash, Unusable> {
    let (version, rest) = match rest.split_once('$') {
        Some((first, after)) if first.starts_with("v=") => (version(format, &first[2..])?, after),
        _ => (Version::V0x10, rest),
    };
    let [costs, salt, tag] =
        parts(rest, '$').ok_or_else(|| format.malformed("it needs parameters, salt and digest"))?;
    let numbers = parameters(format, costs)?;
    let tag = format.tag(format.base64(tag, "its digest", 16..=64)?)?;
    let salt = format.base64(salt, "its salt", 8..=64)?;
    let recipe = Argon2::new(format, (algorithm, version), numbers, salt, tag.len())?;
    Ok(ForeignHash::new(format.0, recipe, tag))
}

fn version(format: Named, text: &str) -> Result<Version, Unusable> {
    match text {
        "19" => Ok(Version::V0x13),
        "16" => Ok(Version::V0x10),
        _ => Err(format.malformed("its version is 16 or 19")),
    }
}

fn parameters(format: Named, text: &str) -> Result<[u64; 3], Unusable> {
    let mut found = [None; 3];
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=').ok_or_else(|| format.malformed("its parameters"))?;
        let place = match name {
            "m" => 0,
            "t" => 1,
            "p" => 2,
            "data" | "keyid" => {
                return Err(Unusable::Unsupported {
                    format: format.0,
                    why: "hashes with `data` or `keyid` need a key",
                });
            }
            _ => return Err(format.malformed("its parameters are m, t and p")),
        };
        let number = format.number(value, "its parameters are numbers")?;
        if found[place].replace(number).is_some() {
            return Err(format.malformed("a parameter stands there twice"));
        }
    }
    match found {
        [Some(m), Some(t), Some(p)] => Ok([m, t, p]),
        _ => Err(format.malformed("its parameters are m, t and p")),
    }
}

/// Reads what [`Recipe::written`] has written.
pub(super) fn read(name: &str, parameters: &str, salt: &[u8]) -> Option<Result<Box<dyn Recipe>, Unusable>> {
    let (format, algorithm) = algorithm(name)?;
    Some(read_written(format, algorithm, parameters, salt))
}

fn read_written(
    format: Named,
    algorithm: Algorithm,
    text: &str,
    salt: &[u8],
) -> Result<Box<dyn Recipe>, Unusable> {
    let bad = || format.malformed("its parameters");
    let [number_of_version, memory, passes, lanes, length] = parts(text, ',').ok_or_else(bad)?;
    let value =
        |pair: &str, name: &str| format.number(pair.strip_prefix(name).ok_or_else(bad)?, "its parameters");
    let version = version(format, number_of_version.strip_prefix("v=").ok_or_else(bad)?)?;
    let numbers = [value(memory, "m=")?, value(passes, "t=")?, value(lanes, "p=")?];
    let tag_bytes = format.within(value(length, "l=")?, "the length of the digest", &(16..=64))?;
    let tag_bytes = usize::try_from(tag_bytes).map_err(|_| bad())?;
    Ok(Box::new(Argon2::new(format, (algorithm, version), numbers, salt.to_vec(), tag_bytes)?))
}

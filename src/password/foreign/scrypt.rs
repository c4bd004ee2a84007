//! scrypt (RFC 7914) as PHC strings, and Firebase Authentication's, which encrypts a key with what scrypt derives.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::text::{Named, encode, parts};
use super::{Family, ForeignHash, Found, Recipe, Unusable, Work};
use crate::password::argon2id::WorkingMemory;

/// The most memory that one password may take, in KiB: 128 MiB, as OWASP's Password Storage Cheat Sheet recommends it.
const MOST_MEMORY_KIB: u64 = 128 * 1024;
/// The most that one password may cost, in KiB that are filled.
const MOST_WORK_KIB: u64 = 256 * 1024;
/// With less than this a hash is wrapped.
const FAST_BELOW_KIB: u64 = 16 * 1024;

/// What scrypt costs: N as its binary logarithm, r and p.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    log_n: u8,
    r: u32,
    p: u32,
}

impl Costs {
    /// Checks them against what a login may cost.
    pub(super) fn new(format: Named, log_n: u64, r: u64, p: u64) -> Result<Self, Unusable> {
        format.within(log_n, "the logarithm of N", &(1..=24))?;
        format.within(r, "r", &(1..=64))?;
        format.within(p, "p", &(1..=64))?;
        let memory = (r << log_n) / 8;
        format.within(memory, "the memory in KiB", &(0..=MOST_MEMORY_KIB))?;
        format.within(memory * p, "memory in KiB times p", &(0..=MOST_WORK_KIB))?;
        let number = |number: u64| u32::try_from(number).map_err(|_| format.malformed("its parameters"));
        Ok(Self {
            log_n: u8::try_from(log_n).map_err(|_| format.malformed("N"))?,
            r: number(r)?,
            p: number(p)?,
        })
    }

    /// The same of N itself, which is a power of two.
    pub(super) fn of_n(format: Named, n: u64, r: u64, p: u64) -> Result<Self, Unusable> {
        if !n.is_power_of_two() {
            return Err(format.malformed("N is a power of two"));
        }
        Self::new(format, n.trailing_zeros().into(), r, p)
    }

    const fn work_kib(self) -> u64 {
        // 128 bytes each.
        let kib = (((self.r as u64) << self.log_n) / 8) * self.p as u64;
        if kib == 0 { 1 } else { kib }
    }

    fn derive(self, password: &[u8], salt: &[u8], output: &mut [u8]) {
        let params = ::scrypt::Params::new(self.log_n, self.r, self.p).expect("checked when they were read");
        ::scrypt::scrypt(password, salt, &params, output).expect("no digest is empty");
    }
}

/// scrypt with its costs and salt.
#[derive(Debug, Clone)]
pub(super) struct Scrypt {
    pub(super) costs: Costs,
    pub(super) salt: Vec<u8>,
    pub(super) tag_bytes: usize,
}

impl Recipe for Scrypt {
    fn work(&self) -> Work {
        Work { family: Family::Scrypt, units: self.costs.work_kib() }
    }

    fn is_fast(&self) -> bool {
        self.costs.work_kib() < FAST_BELOW_KIB
    }

    fn written(&self) -> String {
        let Costs { log_n, r, p } = self.costs;
        format!("scrypt$ln={log_n},r={r},p={p},l={}${}", self.tag_bytes, encode(&self.salt))
    }

    fn digest(&self, password: &[u8], _: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>> {
        let mut tag = Zeroizing::new(vec![0; self.tag_bytes]);
        self.costs.derive(password, &self.salt, &mut tag);
        Some(tag)
    }
}

/// Firebase's: the project's signer key, encrypted by AES-256 in counter mode with the first 32 bytes that scrypt derives.
#[derive(Debug, Clone)]
struct Firebase {
    costs: Costs,
    /// The user's salt and the project's separator.
    salt: Vec<u8>,
    signer_key: Vec<u8>,
}

impl Recipe for Firebase {
    fn work(&self) -> Work {
        Work { family: Family::Scrypt, units: self.costs.work_kib() }
    }

    fn is_fast(&self) -> bool {
        self.costs.work_kib() < FAST_BELOW_KIB
    }

    fn written(&self) -> String {
        let Costs { log_n, r, p } = self.costs;
        format!("firescrypt$ln={log_n},r={r},p={p},k={}${}", encode(&self.signer_key), encode(&self.salt))
    }

    fn digest(&self, password: &[u8], _: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>> {
        let mut derived = Zeroizing::new([0; 64]);
        self.costs.derive(password, &self.salt, derived.as_mut());
        let mut tag = Zeroizing::new(self.signer_key.clone());
        // In counter mode to encrypt and to decrypt is the same; only here may the counter's start be chosen, which is 0.
        let start = DecryptionContext::Iv128(FixedLength::from([0; 16]));
        let key = UnboundCipherKey::new(&AES_256, &derived[..32]).and_then(DecryptingKey::ctr);
        let encrypted = key.and_then(|key| key.decrypt(&mut tag, start).map(drop));
        encrypted.is_ok().then_some(tag)
    }
}

/// Fills about so many KiB: each bit of the number is a hash of its own.
pub(super) fn fill(kib: u64, password: &[u8]) {
    let mut output = [0; 32];
    for log_n in (1..=24).filter(|bit| kib >> bit & 1 == 1) {
        // With r = 8 each step of N is a KiB.
        Costs { log_n, r: 8, p: 1 }.derive(password, b"for nothing", &mut output);
    }
}

/// `$scrypt$ln=16,r=8,p=1$salt$digest`, as passlib writes it, and the password-hash crates.
pub(super) fn parse(text: &str) -> Found {
    let rest = text.strip_prefix("$scrypt$")?;
    Some(parse_phc(rest))
}

fn parse_phc(rest: &str) -> Result<ForeignHash, Unusable> {
    let format = Named("scrypt");
    let [costs, salt, tag] =
        parts(rest, '$').ok_or_else(|| format.malformed("it needs parameters, salt and digest"))?;
    let costs = named_costs(format, costs)?;
    let salt = format.base64(salt, "its salt", 0..=1024)?;
    let tag = format.tag(format.base64(tag, "its digest", 16..=64)?)?;
    Ok(ForeignHash::new(format.0, Scrypt { costs, salt, tag_bytes: tag.len() }, tag))
}

fn named_costs(format: Named, text: &str) -> Result<Costs, Unusable> {
    let bad = || format.malformed("its parameters are ln, r and p");
    let [ln, r, p] = parts(text, ',').ok_or_else(bad)?;
    let value = |pair: &str, name: &str| {
        format.number(pair.strip_prefix(name).ok_or_else(bad)?, "its parameters are numbers")
    };
    Costs::new(format, value(ln, "ln=")?, value(r, "r=")?, value(p, "p=")?)
}

/// `$firescrypt$ln=14,r=8,p=1$salt$digest$separator$signer key`, as others who take Firebase's hashes write it: `ln` is
/// the project's `mem_cost`, `r` its `rounds`.
pub(super) fn parse_firebase(text: &str) -> Found {
    let rest = text.strip_prefix("$firescrypt$")?;
    Some(parse_firescrypt(rest))
}

fn parse_firescrypt(rest: &str) -> Result<ForeignHash, Unusable> {
    let format = Named("firebase-scrypt");
    let [costs, salt, tag, separator, key] = parts(rest, '$').ok_or_else(|| {
        format.malformed("it needs parameters, salt, digest, salt separator and signer key")
    })?;
    let costs = named_costs(format, costs)?;
    let mut salt = format.base64(salt, "its salt", 1..=128)?;
    salt.extend(format.base64(separator, "its salt separator", 0..=128)?);
    let signer_key = format.base64(key, "its signer key", 32..=128)?;
    let tag = format.base64(tag, "its digest", signer_key.len()..=signer_key.len())?;
    Ok(ForeignHash::new(format.0, Firebase { costs, salt, signer_key }, tag))
}

/// Reads what [`Recipe::written`] has written.
pub(super) fn read(name: &str, parameters: &str, salt: &[u8]) -> Option<Result<Box<dyn Recipe>, Unusable>> {
    let (format, last) = match name {
        "scrypt" => (Named("scrypt"), ",l="),
        "firescrypt" => (Named("firebase-scrypt"), ",k="),
        _ => return None,
    };
    let salt = salt.to_vec();
    let read = || -> Result<Box<dyn Recipe>, Unusable> {
        let (costs, last) = parameters.split_once(last).ok_or_else(|| format.malformed("its parameters"))?;
        let costs = named_costs(format, costs)?;
        if name == "firescrypt" {
            let signer_key = format.base64(last, "its signer key", 32..=128)?;
            return Ok(Box::new(Firebase { costs, salt, signer_key }));
        }
        let tag_bytes = format.cost(last, "the length of the digest", &(16..=64))?;
        let tag_bytes = usize::try_from(tag_bytes).map_err(|_| format.malformed("its parameters"))?;
        Ok(Box::new(Scrypt { costs, salt, tag_bytes }))
    };
    Some(read())
}

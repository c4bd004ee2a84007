//! A session's record, as `sessions.lua` lays it out. The scripts make and move what stands in fixed places; the
//! facts behind it are packed and unpacked here alone.

use std::net::IpAddr;

use super::failure::Failure;
use super::user_agent;
use crate::model::{
    ClientFacts, Epoch, Generation, Line, MacKeyId, NewSession, Session, SessionId, UnixMillis, UserId,
};

/// The longest record, in bytes: what its length field holds.
const LONGEST: usize = 0xFF_FFFF;
/// Where the facts begin.
const FIXED: usize = 64;
/// How the client's address is written.
const TEXT: u8 = 0;
const V4: u8 = 4;
const V6: u8 = 6;

/// The facts of a new session: audiences, and what the client said.
pub(super) fn facts(new: &NewSession) -> Result<Vec<u8>, Failure> {
    let mut facts = Vec::with_capacity(64);
    put_length(&mut facts, new.audiences.len());
    for audience in &new.audiences {
        put_bytes(&mut facts, audience.as_bytes());
    }
    put_address(&mut facts, &new.client.address);
    put_bytes(&mut facts, &user_agent::shorten(&new.client.user_agent));
    put_bytes(&mut facts, &name_and_class(&new.client));
    if facts.len() > LONGEST - FIXED { Err(Failure::TooLarge) } else { Ok(facts) }
}

/// Stands between the client's name and its class, and in neither of them.
const SEPARATOR: char = '\0';

/// The client's name, with its class behind it where it has one: a record without a class is as it was before there were
/// classes, and a replica of that time reads those that have one. It is the end of the record, and `create.lua` tells a
/// class by that end. No record without the class ends like it: what stands before a name is its length, which is
/// no separator, nor is there room for the class in so short a name.
fn name_and_class(client: &ClientFacts) -> Vec<u8> {
    let mut text = client.name.clone();
    if !client.class.is_empty() {
        text.push(SEPARATOR);
        text.push_str(&client.class);
    }
    text.into_bytes()
}

/// One session of a user.
pub(super) fn session(user: UserId, record: &[u8]) -> Result<Session, Failure> {
    match sessions(user, record)?.as_slice() {
        [session] => Ok(session.clone()),
        _ => Err(Failure::Corrupt("one record is wanted")),
    }
}

/// Sessions of a user, one record after the other.
pub(super) fn sessions(user: UserId, mut records: &[u8]) -> Result<Vec<Session>, Failure> {
    let mut sessions = Vec::new();
    while !records.is_empty() {
        let length = Reader(records).number(3)?;
        let (record, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| records.split_at_checked(length))
            .ok_or(Failure::Corrupt("a record is cut short"))?;
        sessions.push(one(user, record)?);
        records = rest;
    }
    Ok(sessions)
}

fn one(user: UserId, record: &[u8]) -> Result<Session, Failure> {
    let mut reader = Reader(record.get(3..).unwrap_or_default());
    let id = SessionId::from_bytes(reader.array()?);
    let epoch = Epoch(reader.number(8)?);
    let current = reader.generation()?;
    let predecessor = reader.generation()?;
    let predecessor = match reader.number(1)? {
        0 => None,
        1 => Some(predecessor),
        _ => return Err(Failure::Corrupt("a record of another format")),
    };
    let rotated_at = reader.time()?;
    let mac_key = MacKeyId::from_bytes(reader.array()?);
    let idle_expires_at = reader.time()?;
    let created_at = reader.time()?;
    let expires_at = reader.time()?;
    let audiences = (0..reader.length()?).map(|_| reader.text()).collect::<Result<_, _>>()?;
    let (address, user_agent, mut name) = (reader.address()?, reader.user_agent()?, reader.text()?);
    let class = name.find(SEPARATOR).map(|at| name.split_off(at)[SEPARATOR.len_utf8()..].to_owned());
    let client = ClientFacts { address, user_agent, name, class: class.unwrap_or_default() };
    if !reader.0.is_empty() {
        return Err(Failure::Corrupt("a record is longer than what it holds"));
    }
    let line = Line { current, predecessor, rotated_at };
    Ok(Session { id, user, epoch, line, audiences, mac_key, created_at, idle_expires_at, expires_at, client })
}

/// Seven bits a byte, the lowest first (LEB128): one byte for nearly every length there is.
fn put_length(to: &mut Vec<u8>, mut length: usize) {
    loop {
        let [lowest, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            return to.push(lowest & 0x7F);
        }
        to.push(lowest | 0x80);
    }
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_length(to, bytes.len());
    to.extend_from_slice(bytes);
}

/// An IP address as its bytes, when they are written as this program writes them; any other text as it is.
fn put_address(to: &mut Vec<u8>, text: &str) {
    match text.parse::<IpAddr>().ok().filter(|address| address.to_string() == text) {
        Some(IpAddr::V4(address)) => {
            to.push(V4);
            to.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            to.push(V6);
            to.extend_from_slice(&address.octets());
        }
        None => {
            to.push(TEXT);
            put_bytes(to, text.as_bytes());
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Failure> {
        let (bytes, rest) =
            self.0.split_at_checked(count).ok_or(Failure::Corrupt("a record is cut short"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        self.bytes(N)?.try_into().map_err(|_| Failure::Corrupt("a record is cut short"))
    }

    /// A big-endian number of at most eight bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, Failure> {
        Ok(self.bytes(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn generation(&mut self) -> Result<Generation, Failure> {
        Ok(Generation(u32::from_be_bytes(self.array()?)))
    }

    fn time(&mut self) -> Result<UnixMillis, Failure> {
        let millis = self.number(6)?;
        Ok(UnixMillis(i64::try_from(millis).map_err(|_| Failure::Corrupt("a time out of range"))?))
    }

    fn length(&mut self) -> Result<usize, Failure> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let [byte] = self.array()?;
            length |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(Failure::Corrupt("a length out of range"))
    }

    fn block(&mut self) -> Result<&'a [u8], Failure> {
        let length = self.length()?;
        self.bytes(length)
    }

    fn text(&mut self) -> Result<String, Failure> {
        let text = String::from_utf8(self.block()?.to_vec());
        text.map_err(|_| Failure::Corrupt("a text that is not UTF-8"))
    }

    fn user_agent(&mut self) -> Result<String, Failure> {
        user_agent::lengthen(self.block()?).ok_or(Failure::Corrupt("a text that is not UTF-8"))
    }

    fn address(&mut self) -> Result<String, Failure> {
        match self.array()? {
            [V4] => Ok(IpAddr::from(self.array::<4>()?).to_string()),
            [V6] => Ok(IpAddr::from(self.array::<16>()?).to_string()),
            [TEXT] => self.text(),
            _ => Err(Failure::Corrupt("an address of another kind")),
        }
    }
}

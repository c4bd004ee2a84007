//! Who serves which slot of a Cluster.

use std::sync::Arc;

use deadpool_redis::redis::Value;

use super::super::address::Server;
use super::slot::SLOTS;

/// Ranges in order, each from its first to its last slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotMap(Arc<[(u16, u16, Server)]>);

impl SlotMap {
    /// Reads the answer to `CLUSTER SLOTS`; nothing when it is something else or empty. A node without a host of
    /// its own is the one that was asked.
    pub(super) fn parse(answer: &Value, asked: &Server) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let ranges = ranges.iter().map(|range| parse_range(range, asked));
        let mut slots = ranges.collect::<Option<Vec<_>>>()?;
        slots.sort_by_key(|(first, ..)| *first);
        if slots.is_empty() { None } else { Some(Self(slots.into())) }
    }

    /// Whoever serves a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<Server> {
        let after = self.0.partition_point(|(first, ..)| *first <= slot);
        let (_, last, server) = self.0.get(after.checked_sub(1)?)?;
        (slot <= *last).then(|| server.clone())
    }

    /// The first slot that nobody serves.
    pub(super) fn first_gap(&self) -> Option<u16> {
        let covered = self.0.iter().try_fold(
            0,
            |next, (first, last, _)| {
                if *first > next { Err(next) } else { Ok(last + 1) }
            },
        );
        match covered {
            Ok(SLOTS) => None,
            Ok(gap) | Err(gap) => Some(gap),
        }
    }

    /// Every server that serves a slot, once.
    pub(super) fn servers(&self) -> Vec<Server> {
        let mut servers: Vec<Server> = Vec::new();
        for (.., server) in self.0.iter() {
            if !servers.contains(server) {
                servers.push(server.clone());
            }
        }
        servers
    }
}

/// `[first, last, [host, port, …] of the master, … of its replicas]`
fn parse_range(range: &Value, asked: &Server) -> Option<(u16, u16, Server)> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = range.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = master.as_slice() else { return None };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() && host != b"?" => {
            String::from_utf8(host.clone()).ok()?
        }
        _ => asked.host.clone(),
    };
    let slot = |number: i64| u16::try_from(number).ok().filter(|slot| *slot < SLOTS);
    Some((slot(*first)?, slot(*last)?, Server { host, port: u16::try_from(*port).ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let host = Value::BulkString(host.as_bytes().to_vec());
        let node = Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    #[test]
    fn slots_belong_to_the_range_that_they_are_in() {
        let asked = Server { host: "asked".to_owned(), port: 1 };
        let answer = Value::Array(vec![range(5000, 16383, "", 7), range(0, 4999, "a", 6)]);
        let slots = SlotMap::parse(&answer, &asked).unwrap();
        assert_eq!(slots.owner(4999).unwrap().to_string(), "a:6");
        assert_eq!(slots.owner(5000).unwrap().to_string(), "asked:7");
        assert_eq!(slots.first_gap(), None);
        assert_eq!(slots.servers().len(), 2);

        let answer = Value::Array(vec![range(0, 10, "a", 6), range(12, 16383, "b", 6)]);
        let slots = SlotMap::parse(&answer, &asked).unwrap();
        assert_eq!((slots.owner(11), slots.first_gap()), (None, Some(11)));
        assert_eq!(SlotMap::default().first_gap(), Some(0));
        for nonsense in [Value::Nil, Value::Array(vec![]), Value::Array(vec![range(0, 16384, "a", 6)])] {
            assert_eq!(SlotMap::parse(&nonsense, &asked), None);
        }
    }
}

//! Whether JSON has the shape of a message, as proto3's mapping and its conformance tests ask
//! (<https://protobuf.dev/programming-guides/json/>): no member twice, in whichever spelling, no two of a oneof, and
//! values of the right kind. The decoder takes the last of several, and says of nothing which field it was.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::auth::FieldViolation;

/// Reads one JSON value to its end and finds the first thing that is wrong with its shape; `None` when the fault is in
/// the JSON itself.
pub(super) fn check<'de, D: Deserializer<'de>>(
    message: &MessageDescriptor,
    json: D,
) -> Result<(), (D::Error, Option<FieldViolation>)> {
    let found = RefCell::new(None);
    let whole = Expected { kind: Expectation::Message(message), place: &Place::Message, found: &found };
    match whole.deserialize(json) {
        Ok(_) => Ok(()),
        Err(error) => Err((error, found.take())),
    }
}

/// Where a value stands.
enum Place<'a> {
    Message,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message | Self::Field(Self::Message, "") => Ok(()),
            Self::Field(Self::Message, name) => write!(f, "{name}"),
            Self::Field(outer, name) => write!(f, "{outer}.{name}"),
            Self::Item(list, index) => write!(f, "{list}[{index}]"),
        }
    }
}

/// What a value should be.
#[derive(Clone, Copy)]
enum Expectation<'a> {
    Message(&'a MessageDescriptor),
    /// A field as a whole: a list where it is repeated, and null for its default.
    Field(&'a FieldDescriptor),
    Item(&'a Kind),
    /// What the contract does not know, or has no more to say about than the decoder has.
    Anything,
}

/// A value that is about to be read.
struct Expected<'a> {
    kind: Expectation<'a>,
    place: &'a Place<'a>,
    found: &'a RefCell<Option<FieldViolation>>,
}

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Null,
    Other,
}

/// The kinds of JSON values that have no others within.
enum Scalar<'a> {
    Null,
    Bool,
    Number,
    Text(&'a str),
}

impl Expected<'_> {
    fn refuse<E: Error>(&self, what: &str) -> E {
        self.found.replace(Some(FieldViolation::new(self.place.to_string(), what)));
        E::custom("another shape than the message's")
    }

    fn at<'a>(&'a self, kind: Expectation<'a>, place: &'a Place<'a>) -> Expected<'a> {
        Expected { kind, place, found: self.found }
    }

    /// The kind of a single value; none for a whole message, for lists and maps, and for what may be anything.
    fn single(&self) -> Option<Kind> {
        match self.kind {
            Expectation::Field(field) if field.is_list() || field.is_map() => None,
            Expectation::Field(field) => Some(field.kind()),
            Expectation::Item(kind) => Some(kind.clone()),
            Expectation::Message(_) | Expectation::Anything => None,
        }
    }

    fn scalar<E: Error>(&self, value: &Scalar<'_>) -> Result<Value, E> {
        let is_null = matches!(value, Scalar::Null);
        let wrong = match (self.kind, self.single()) {
            (kind, _)
                if matches!(kind, Expectation::Anything)
                    || (is_null && matches!(kind, Expectation::Field(_))) =>
            {
                None
            }
            (Expectation::Field(field), None) if field.is_list() => Some("must be a list"),
            (_, None) => Some("must be an object"),
            (_, Some(kind)) => wrong_scalar(&kind, value),
        };
        match wrong {
            Some(what) => Err(self.refuse(what)),
            None if is_null => Ok(Value::Null),
            None => Ok(Value::Other),
        }
    }

    /// The message that an object stands for; `None` when it may have any members.
    fn message<E: Error>(&self) -> Result<Option<MessageDescriptor>, E> {
        match (self.kind, self.single()) {
            (Expectation::Message(message), _) => Ok(Some(message.clone())),
            (Expectation::Field(field), None) if field.is_list() => Err(self.refuse("must be a list")),
            (_, None) => Ok(None),
            (_, Some(Kind::Message(message))) => match message.full_name() {
                "google.protobuf.Duration" | "google.protobuf.Timestamp" | "google.protobuf.FieldMask" => {
                    Err(self.refuse("must be a string"))
                }
                name if name.starts_with("google.protobuf.") => Ok(None),
                _ => Ok(Some(message)),
            },
            (_, Some(kind)) => Err(self.refuse(must_be(&kind))),
        }
    }
}

/// What is wrong with a value for a field of this kind.
fn wrong_scalar(kind: &Kind, value: &Scalar<'_>) -> Option<&'static str> {
    let fits = match (kind, value) {
        (Kind::Message(message), value) => match (message.full_name(), value) {
            ("google.protobuf.Duration", Scalar::Text(text)) => {
                return (!is_duration(text)).then_some(
                    "must be seconds such as \"1.5s\", with at most 9 digits behind the point and within 10,000 years",
                );
            }
            ("google.protobuf.Timestamp" | "google.protobuf.FieldMask", value) => {
                matches!(value, Scalar::Text(_))
            }
            ("google.protobuf.Duration", _) => false,
            // Values and wrappers: the decoder knows.
            (name, _) => name.starts_with("google.protobuf."),
        },
        (Kind::Bool, value) => matches!(value, Scalar::Bool),
        (Kind::String | Kind::Bytes, value) => matches!(value, Scalar::Text(_)),
        // Numbers may be strings, and enums have names: which ones, the decoder knows.
        (_, value) => matches!(value, Scalar::Number | Scalar::Text(_)),
    };
    (!fits).then(|| must_be(kind))
}

fn must_be(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "must be true or false",
        Kind::String => "must be a string",
        Kind::Bytes => "must be a string in base64",
        Kind::Enum(_) => "must be the name of a value, or its number",
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Duration" | "google.protobuf.Timestamp" | "google.protobuf.FieldMask" => {
                "must be a string"
            }
            _ => "must be an object",
        },
        _ => "must be a number",
    }
}

/// Seconds in decimal, with an `s`: at most 9 digits behind the point, and at most 10,000 years of 365.25 days.
fn is_duration(text: &str) -> bool {
    const MOST_SECONDS: u64 = 315_576_000_000;
    let Some(number) = text.strip_suffix('s') else { return false };
    let number = number.strip_prefix('-').unwrap_or(number);
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let within = |seconds: u64| seconds < MOST_SECONDS || (seconds == MOST_SECONDS && !has_nanos(fraction));
    digits(seconds) && digits(fraction) && fraction.len() <= 9 && seconds.parse().is_ok_and(within)
}

fn has_nanos(fraction: &str) -> bool {
    fraction.bytes().any(|digit| digit != b'0')
}

impl<'de> DeserializeSeed<'de> for Expected<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Expected<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the contract")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.scalar(&Scalar::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        self.scalar(&Scalar::Bool)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        self.scalar(&Scalar::Number)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
        self.scalar(&Scalar::Number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        self.scalar(&Scalar::Number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.scalar(&Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let kind = match self.kind {
            Expectation::Field(field) if field.is_list() => Some(field.kind()),
            // A `google.protobuf.ListValue`, or a `Value`.
            Expectation::Anything => None,
            _ => match self.single() {
                Some(Kind::Message(message)) if message.full_name().starts_with("google.protobuf.") => None,
                Some(kind) => return Err(self.refuse(must_be(&kind))),
                None => return Err(self.refuse("must be an object")),
            },
        };
        let expectation = kind.as_ref().map_or(Expectation::Anything, Expectation::Item);
        let mut index = 0;
        loop {
            let place = Place::Item(self.place, index);
            // Within what is not known there is nothing to name but the whole.
            let place = if kind.is_some() { &place } else { self.place };
            if items.next_element_seed(self.at(expectation, place))?.is_none() {
                return Ok(Value::Other);
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let message = self.message()?;
        let mut names = HashSet::new();
        let mut numbers = HashSet::new();
        let mut chosen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let field = message.as_ref().and_then(|message| {
                message.get_field_by_json_name(&name).or_else(|| message.get_field_by_name(&name))
            });
            let Some(field) = field else {
                members.next_value_seed(self.at(Expectation::Anything, self.place))?;
                if !names.insert(name) {
                    return Err(self.refuse("must have no member twice"));
                }
                continue;
            };
            let place = Place::Field(self.place, field.name());
            let expected = self.at(Expectation::Field(&field), &place);
            if !numbers.insert(field.number()) {
                return Err(expected.refuse("must be given once, in one spelling"));
            }
            let value = members.next_value_seed(expected)?;
            if let Some(oneof) = field.containing_oneof().filter(|_| value != Value::Null)
                && !chosen.insert(oneof.name().to_owned())
            {
                let fields: Vec<_> = oneof.fields().map(|field| field.name().to_owned()).collect();
                let place = Place::Field(self.place, oneof.name());
                let what = format!("must be one of {}", fields.join(", "));
                return Err(self.at(Expectation::Anything, &place).refuse(&what));
            }
        }
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_decimal_seconds() {
        for good in ["0s", "3s", "-3s", "1.5s", "0.000000001s", "007s", "315576000000s", "-315576000000.0s"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in [
            "",
            "s",
            "3",
            "3S",
            "+3s",
            "--3s",
            " 3s",
            "3 s",
            "1e1s",
            ".5s",
            "5.s",
            "1.5.5s",
            "0.0000000001s",
            "315576000001s",
            "315576000000.1s",
            "99999999999999999999s",
            "\u{663}s",
        ] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn a_place_is_named_as_the_contract_spells_it() {
        let message = Place::Message;
        assert_eq!(message.to_string(), "");
        let client = Place::Field(&message, "client");
        assert_eq!(Place::Field(&client, "user_agent").to_string(), "client.user_agent");
        assert_eq!(Place::Item(&client, 3).to_string(), "client[3]");
    }
}

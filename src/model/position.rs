use std::fmt;
use std::str::FromStr;

/// A place in the ledger: a row, and with it everything that was committed before it; or the empty ledger of an incarnation.
///
/// As text, which callers are given and give back, it is `<seq>-<mark>`: the number in decimal, the mark in 16 hexadecimal
/// digits. The mark makes it the place of this one row: in a ledger that was restored from a backup another row has the same
/// number, and another mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the row; 0 before the first.
    pub seq: u64,
    /// The mark of the row; before the first, that of the ledger's birth.
    pub mark: u64,
}

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a position that an answer told, as it stood there")]
pub struct NotAPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.seq, self.mark)
    }
}

/// Reads what [`Position`] writes, and nothing else: there is one text for a position.
impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (seq, mark) = text.split_once('-').ok_or(NotAPosition)?;
        let seq = seq.parse().map_err(|_| NotAPosition)?;
        let mark = u64::from_str_radix(mark, 16).map_err(|_| NotAPosition)?;
        let position = Self { seq, mark };
        if position.to_string() == text { Ok(position) } else { Err(NotAPosition) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for position in [
            Position { seq: 0, mark: 0 },
            Position { seq: 71, mark: 0xfe },
            Position { seq: u64::MAX, mark: u64::MAX },
        ] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        assert_eq!(Position { seq: 71, mark: 0xfe }.to_string(), "71-00000000000000fe");
    }

    #[test]
    fn nothing_else_is_read() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-00000000000000fe",
            "1-fe",
            "01-00000000000000fe",
            "+1-00000000000000fe",
            "1-00000000000000FE",
            "1-+0000000000000fe",
            "1-000000000000000fe",
            "18446744073709551616-00000000000000fe",
            " 1-00000000000000fe",
            "1-00000000000000fe\n",
            "1-00000000000000fe-",
            "\u{661}-00000000000000fe",
        ] {
            assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text:?}");
        }
    }
}

//! How a command fails: what is printed, and the exit code.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use super::program::BoxError;
use crate::config::ConfigError;

/// A command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What was asked for cannot be done as it was asked.
    #[error("{0}")]
    Usage(String),
    /// It was tried and failed.
    #[error(transparent)]
    Failed(#[from] BoxError),
    /// It was done, but for so many rows that were refused.
    #[error("rows refused: {0}")]
    RowsRefused(u64),
    /// What there was to say could not be written.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

impl Failure {
    /// 2 when the caller can mend it by asking otherwise, 3 when it is done but for rows that were refused, else 1. Whoever
    /// reads the output and stops, as `head` does, had what they wanted: 0.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) => 2,
            Self::RowsRefused(_) => 3,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) | Self::Failed(_) => 1,
        }
    }

    /// `error: …` and each cause, one line each. Empty when there is nothing to complain of.
    pub fn report(&self) -> String {
        if self.exit_code() == 0 {
            return String::new();
        }
        let mut report = format!("error: {}\n", one_line(self));
        let mut cause = self.source();
        while let Some(error) = cause {
            // Writing to a string cannot fail.
            let _ = writeln!(report, "  caused by: {}", one_line(error));
            cause = error.source();
        }
        report
    }
}

fn one_line(error: &dyn Error) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer\n  went wrong")]
    struct Outer(#[source] io::Error);

    #[test]
    fn an_error_and_its_causes_stand_on_one_line_each() {
        let failure = Failure::from(BoxError::from(Outer(io::Error::other("inner"))));
        assert_eq!(failure.report(), "error: outer; went wrong\n  caused by: inner\n");
        assert_eq!(failure.exit_code(), 1);
    }

    #[test]
    fn a_reader_that_stops_reading_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit_code(), failure.report()), (0, String::new()));
    }
}

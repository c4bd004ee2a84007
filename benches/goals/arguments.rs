//! What is asked of a run.

use std::time::Duration;

use crate::rows::{Effort, ROWS};

/// The command line, after what cargo adds to it.
pub(crate) struct Arguments {
    /// These rows alone; all of them when there is none.
    rows: Vec<String>,
    pub(crate) effort: Effort,
    /// Whether to write `docs/benchmarks.md`.
    pub(crate) write: bool,
}

const USAGE: &str = "cargo bench --bench goals -- [--row NAME]… [--quick | --write] [--largest NUMBER]

  --row NAME        measures this row alone
  --quick           a short run, which shows that everything works and says little
  --write           writes docs/benchmarks.md, its charts, and the JSON that it is made of
  --largest NUMBER  the largest number of sessions, tokens and revocations: 1000000 unless it is given

rows: ";

impl Arguments {
    /// Reads them; what cannot be read is told, with the usage.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        const FULL: Effort = Effort { rounds: 5, round: Duration::from_secs(2), largest: 1_000_000 };
        const QUICK: Effort = Effort { rounds: 3, round: Duration::from_millis(500), largest: 10_000 };
        let mut parsed = Self { rows: Vec::new(), effort: FULL, write: false };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--row" => parsed.rows.push(known(value()?)?),
                "--largest" => {
                    parsed.effort.largest =
                        value()?.parse().map_err(|_| "--largest needs a number".to_owned())?;
                }
                "--quick" => parsed.effort = QUICK,
                "--write" => parsed.write = true,
                // Cargo says so.
                "--bench" => {}
                other => return Err(format!("{other}?\n\n{USAGE}{}", names())),
            }
        }
        if parsed.write && parsed.effort.rounds < FULL.rounds {
            return Err("a quick run is not written down".to_owned());
        }
        Ok(parsed)
    }

    /// Whether this row is asked for.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row)
    }
}

fn known(row: String) -> Result<String, String> {
    if ROWS.iter().any(|(name, _)| *name == row) {
        Ok(row)
    } else {
        Err(format!("there is no row {row}\n\nrows: {}", names()))
    }
}

fn names() -> String {
    ROWS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

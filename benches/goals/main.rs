//! What Countersign is measured by, row by row: `make bench`, or `make bench ROW=verify_cached`.
//!
//! Every speed is a ratio of two things that were measured in turn in the same run, so that a machine that is slow for a
//! while is slow for both; and where it can be it is CPU time of the server's process, which the load generator
//! beside it does not distort.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on stops")]

mod arguments;
mod callers;
mod chart;
mod document;
mod echo;
mod figures;
mod load;
mod process;
mod record;
mod rows;
mod stores;
mod stream;
mod support;
mod table;
mod world;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;

use futures_util::FutureExt as _;

use arguments::Arguments;
use record::{Entry, Record};
use rows::ROWS;

fn main() -> ExitCode {
    let mut given = std::env::args().skip(1);
    if given.next().as_deref() == Some(echo::ARGUMENT) {
        echo::serve(given.next().unwrap().parse().unwrap());
        return ExitCode::SUCCESS;
    }
    match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => {
            let failed = measure(&arguments);
            for row in &failed {
                eprintln!("{row} could not be measured");
            }
            if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Measures one row after the other; what is to be written is written after each, so that a run that is cut off
/// leaves what it has measured; and a row that fails keeps no other from being measured. Returns those that did.
#[tokio::main]
async fn measure(arguments: &Arguments) -> Vec<&'static str> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut record = Record::load(&directory);
    let (mut measured, mut failed) = (Vec::new(), Vec::new());
    for (name, row) in ROWS {
        if !arguments.wants(name) {
            continue;
        }
        let begun = load::now();
        let outcome = match AssertUnwindSafe(row(arguments.effort)).catch_unwind().await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => continue,
            Err(_) => {
                failed.push(*name);
                continue;
            }
        };
        let entry = Entry::new(outcome, begun.elapsed().as_secs_f64());
        table::print(name, &entry.outcome, entry.seconds);
        measured.push(entry.outcome.clone());
        if arguments.write {
            record.rows.insert((*name).to_owned(), entry);
            record.save(&directory);
            document::write(&record, &directory);
        }
    }
    table::print_summary(measured.iter());
    failed
}

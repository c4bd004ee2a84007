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

use std::path::Path;
use std::process::ExitCode;

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
            measure(&arguments);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Measures one row after the other; what is to be written is written after each, so that a run that is cut off
/// leaves what it has measured.
#[tokio::main]
async fn measure(arguments: &Arguments) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut record = Record::load(&directory);
    let mut measured = Vec::new();
    for (name, row) in ROWS {
        if !arguments.wants(name) {
            continue;
        }
        let begun = load::now();
        let Some(outcome) = row(arguments.effort).await else { continue };
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
}

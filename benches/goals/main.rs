//! What Countersign is measured by, row by row: `make bench`.
//!
//! ```text
//! cargo bench --bench goals -- [--row NAME]… [--quick]
//! ```
//!
//! Every speed is a ratio of two things that were measured in turn in the same run, so that a machine that is slow for a
//! while is slow for both; and where it can be it is CPU time of the server's process, which the load generator
//! beside it does not distort.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench that cannot go on stops"
)]

use std::time::Duration;

mod echo;
mod figures;
mod load;
mod process;
mod rows;
mod support;
mod world;

use rows::{Effort, ROWS};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == echo::ARGUMENT) {
        return echo::serve(arguments[at + 1].parse().unwrap());
    }
    measure(&arguments);
}

#[tokio::main]
async fn measure(arguments: &[String]) {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let effort = if quick {
        Effort { rounds: 3, round: Duration::from_millis(500), largest: 10_000 }
    } else {
        Effort { rounds: 7, round: Duration::from_secs(2), largest: 1_000_000 }
    };
    for (name, row) in ROWS {
        let begun = load::now();
        let Some(outcome) = row(effort).await else { continue };
        for figure in &outcome.figures {
            println!("{name} {} {} {} {}", figure.name, figure.spread, figure.unit, figure.goal);
        }
        println!("{:?} {:?}", outcome.notes, begun.elapsed());
    }
}

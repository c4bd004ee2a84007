//! `docs/benchmarks.md` and its charts, made of nothing but a [`Record`].

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::chart;
use crate::figures::Figure;
use crate::record::{Entry, Record};
use crate::rows::ROWS;
use crate::table::verdict;

/// Writes both into this directory.
pub(crate) fn write(record: &Record, directory: &Path) {
    let mut text = String::new();
    compose(record, &mut text).expect("a string takes everything");
    fs::write(directory.join("benchmarks.md"), text).unwrap();
    for curve in record.rows.values().flat_map(|entry| &entry.outcome.curves) {
        fs::write(directory.join(format!("benchmarks/{}.svg", curve.name)), chart::svg(curve)).unwrap();
    }
}

fn compose(record: &Record, to: &mut String) -> std::fmt::Result {
    let machine = &record.machine;
    let entries: Vec<(&str, &Entry)> =
        ROWS.iter().filter_map(|(name, _)| Some((*name, record.rows.get(*name)?))).collect();
    writeln!(to, "# Benchmarks\n")?;
    writeln!(to, "Written by `make bench`, from what it measured; nothing here is typed by hand.\n")?;
    writeln!(
        to,
        "Machine: {}, {} cores, {} of memory, {}, {}. The load generator, PostgreSQL and Redis run on the same \
         cores.\n",
        machine.processor, machine.cores, machine.memory, machine.kernel, machine.rustc
    )?;
    writeln!(
        to,
        "Every figure is the median of interleaved rounds, with the least and the greatest in brackets. Ratios are of \
         two things measured in turn in one run; CPU is what the operating system says that the server's process \
         spent (`/proc/PID/task/*/schedstat`), which the load generator beside it does not distort. The echo is a \
         bare tonic server on the default runtime, which answers messages of the same size and does nothing \
         (`benches/goals/echo.rs`).\n"
    )?;
    writeln!(to, "| figure | measured | goal | met |\n|---|---|---|---|")?;
    for figure in entries.iter().flat_map(|(_, entry)| &entry.outcome.figures) {
        if figure.goal.is_met(&figure.spread).is_some() {
            table_line(to, figure)?;
        }
    }
    for (name, entry) in &entries {
        details(to, name, entry)?;
    }
    Ok(())
}

fn table_line(to: &mut String, figure: &Figure) -> std::fmt::Result {
    let Figure { name, spread, unit, goal } = figure;
    let verdict = if verdict(figure) == "NO" { "**no**" } else { verdict(figure) };
    writeln!(to, "| {name} | {} | {goal} | {verdict} |", format!("{spread} {unit}").trim_end())
}

fn details(to: &mut String, name: &str, entry: &Entry) -> std::fmt::Result {
    let Entry { taken, commit, seconds, outcome } = entry;
    writeln!(to, "\n## {name}\n")?;
    for note in &outcome.notes {
        writeln!(to, "{note}\n")?;
    }
    writeln!(to, "`make bench ROW={name}`, {taken}, commit {commit}, {seconds:.0} s.\n")?;
    writeln!(to, "| figure | measured | goal | met |\n|---|---|---|---|")?;
    for figure in &outcome.figures {
        table_line(to, figure)?;
    }
    for curve in &outcome.curves {
        writeln!(to, "\n![{}: {}](benchmarks/{}.svg)", curve.title, curve.unit, curve.name)?;
    }
    Ok(())
}

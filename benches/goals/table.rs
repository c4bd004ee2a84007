//! The table as it is printed.

use crate::figures::{Figure, Outcome};

/// Prints what a row came to.
pub(crate) fn print(name: &str, outcome: &Outcome, seconds: f64) {
    println!("\n{name} ({seconds:.0} s)");
    for figure in &outcome.figures {
        println!("  {}", line(figure));
    }
    for curve in &outcome.curves {
        println!("  {}: {} by {}", curve.title, curve.unit, curve.of);
        for series in &curve.series {
            for (at, spread) in &series.points {
                println!("    {:<10} {:>10}  {spread}", series.name, crate::figures::number(*at));
            }
        }
    }
    for note in &outcome.notes {
        println!("  {note}");
    }
}

/// Prints the figures that have a goal, of all rows together.
pub(crate) fn print_summary<'a>(outcomes: impl Iterator<Item = &'a Outcome>) {
    println!("\n{:<90} {:<28} {:<10} met?", "figure", "median (min–max)", "goal");
    for figure in outcomes.flat_map(|outcome| &outcome.figures) {
        if figure.goal.is_met(&figure.spread).is_some() {
            println!("{}", line(figure));
        }
    }
}

fn line(figure: &Figure) -> String {
    let Figure { name, spread, unit, goal } = figure;
    format!("{name:<90} {:<28} {:<10} {}", format!("{spread} {unit}"), goal.to_string(), verdict(figure))
        .trim_end()
        .to_owned()
}

/// Whether the goal is met, in a word.
pub(crate) fn verdict(figure: &Figure) -> &'static str {
    match figure.goal.is_met(&figure.spread) {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    }
}

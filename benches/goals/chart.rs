//! A curve as SVG, readable on a light page and on a dark one.

use std::fmt::Write as _;

use crate::figures::{Curve, Series, Spread, number};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 50.0;
/// How many lines there are across, beside the one at zero.
const STEPS: u8 = 4;

const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .grid { stroke: #1f2328; stroke-opacity: .15 }
  .line { fill: none; stroke-width: 2 }
  .spread { stroke-width: 1; stroke-opacity: .6 }
  .a { stroke: #0969da } .b { stroke: #bc4c00 }
  .dot.a { fill: #0969da } .dot.b { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .grid { stroke: #e6edf3 }
    .a { stroke: #58a6ff } .b { stroke: #f0883e }
    .dot.a { fill: #58a6ff } .dot.b { fill: #f0883e }
  }
";

/// The chart. Upwards from zero, to the right by powers of ten; each point with its least and greatest round.
pub(crate) fn svg(curve: &Curve) -> String {
    let mut to = String::new();
    draw(curve, &mut to).expect("a string takes everything");
    to
}

fn draw(curve: &Curve, to: &mut String) -> std::fmt::Result {
    let plane = Plane::of(curve);
    writeln!(
        to,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
        curve.title
    )?;
    writeln!(to, "<style>{STYLE}</style>")?;
    writeln!(to, r#"<text class="title" x="{LEFT}" y="22">{}</text>"#, curve.title)?;
    writeln!(to, r#"<text x="{LEFT}" y="44">{}</text>"#, curve.unit)?;
    axes(curve, &plane, to)?;
    for (index, series) in curve.series.iter().enumerate() {
        line(series, if index == 0 { "a" } else { "b" }, &plane, to)?;
    }
    writeln!(to, "</svg>")
}

/// Where values stand on the page.
struct Plane {
    first: f64,
    last: f64,
    top: f64,
}

impl Plane {
    fn of(curve: &Curve) -> Self {
        let points = || curve.series.iter().flat_map(|series| &series.points);
        let largest = points().map(|(_, spread)| spread.max).fold(f64::MIN_POSITIVE, f64::max);
        Self {
            first: points().map(|(at, _)| at.log10()).fold(f64::INFINITY, f64::min),
            last: points().map(|(at, _)| at.log10()).fold(f64::NEG_INFINITY, f64::max),
            top: round_up(largest),
        }
    }

    fn x(&self, at: f64) -> f64 {
        let share = (at.log10() - self.first) / (self.last - self.first).max(f64::MIN_POSITIVE);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)
    }
}

/// The next of 1, 2, 4, 6, 8 times a power of ten, so that the lines across have short numbers.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|top| *top >= value)
        .unwrap_or(value)
}

fn axes(curve: &Curve, plane: &Plane, to: &mut String) -> std::fmt::Result {
    for step in 0..=STEPS {
        let value = plane.top * f64::from(step) / f64::from(STEPS);
        let (y, right) = (plane.y(value), WIDTH - RIGHT);
        writeln!(to, r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#)?;
        let (x, y) = (LEFT - 8.0, y + 4.0);
        writeln!(to, r#"<text x="{x}" y="{y:.1}" text-anchor="end">{}</text>"#, number(value))?;
    }
    let below = HEIGHT - BOTTOM + 18.0;
    for (at, _) in &curve.series[0].points {
        let anchor = if (at.log10() - plane.last).abs() < f64::EPSILON { "end" } else { "middle" };
        let (x, shown) = (plane.x(*at), number(*at));
        writeln!(to, r#"<text x="{x:.1}" y="{below}" text-anchor="{anchor}">{shown}</text>"#)?;
    }
    let (x, y) = (LEFT.midpoint(WIDTH - RIGHT), HEIGHT - 10.0);
    writeln!(to, r#"<text x="{x}" y="{y}" text-anchor="middle">{}</text>"#, curve.of)
}

fn line(series: &Series, class: &str, plane: &Plane, to: &mut String) -> std::fmt::Result {
    let points: Vec<_> = series
        .points
        .iter()
        .map(|(at, spread)| format!("{:.1},{:.1}", plane.x(*at), plane.y(spread.median)))
        .collect();
    writeln!(to, r#"<polyline class="line {class}" points="{}"/>"#, points.join(" "))?;
    for (at, Spread { median, min, max }) in &series.points {
        let (x, y, low, high) = (plane.x(*at), plane.y(*median), plane.y(*min), plane.y(*max));
        writeln!(
            to,
            r#"<line class="spread {class}" x1="{x:.1}" x2="{x:.1}" y1="{low:.1}" y2="{high:.1}"/>"#
        )?;
        writeln!(to, r#"<circle class="dot {class}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#)?;
    }
    let Some((at, spread)) = series.points.last() else { return Ok(()) };
    let (x, y) = (plane.x(*at), plane.y(spread.max) - 8.0);
    writeln!(to, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="end">{}</text>"#, series.name)
}

//! `[edge.error_codes]`

use std::collections::BTreeMap;

use super::error::Problem;
use crate::reason::Reason;
use crate::spelling::nearest;

const KEY: &str = "edge.error_codes";
/// The largest number that every language has an integer for.
const LARGEST: u32 = i32::MAX.unsigned_abs();

/// The application's own number for each reason that it has one for. A loaded configuration does not fail here.
pub(super) fn numbers(codes: &BTreeMap<String, u32>) -> Result<BTreeMap<Reason, u32>, Problem> {
    codes.iter().map(|(name, &code)| Ok((reason(name)?, number(name, code)?))).collect()
}

fn reason(name: &str) -> Result<Reason, Problem> {
    Reason::all().find(|reason| reason.name() == name).ok_or_else(|| {
        let meant = nearest(name, Reason::all().map(Reason::name));
        let meant = meant.map_or_else(
            || "docs/errors.md has those that there are".to_owned(),
            |meant| format!("did you mean {meant:?}?"),
        );
        Problem::new(KEY, format!("there is no reason {name:?}: {meant}"))
    })
}

/// 0 is a success's.
fn number(name: &str, code: u32) -> Result<u32, Problem> {
    if (1..=LARGEST).contains(&code) {
        return Ok(code);
    }
    Err(Problem::new(KEY, format!("{name}: {code} is not between 1 and {LARGEST}")))
}

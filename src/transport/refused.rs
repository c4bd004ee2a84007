//! Why the listener lets a body be read no further.

use std::error::Error;
use std::io::{self, ErrorKind};

/// What kind of refusal an error of a body comes from: `TimedOut` when the body was late, `QuotaExceeded` when there is
/// no room for it. `None` when it broke off for another reason.
pub(crate) fn refused_as(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(kind @ (ErrorKind::TimedOut | ErrorKind::QuotaExceeded)) = kind {
            return Some(kind);
        }
        cause = error.source();
    }
    None
}

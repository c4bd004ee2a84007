//! Connections to one server.

mod dial;

pub(in crate::store::redis) use self::dial::{Credentials, Dialer, Homes, Opened, Target, within};

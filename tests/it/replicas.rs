//! Two real processes on one PostgreSQL and one Redis.

mod fleet;
mod refresh_race;

//! Two real processes on one PostgreSQL and one Redis.

mod administrative_races;
mod clock_ahead;
mod fleet;
mod grpcurl_alone;
mod key_switch;
mod logout_latency;
mod lossy_proxy;
mod lost_answers;
mod new_replica;
mod refresh_race;
mod service_key;
mod session_limit;
mod token_parts;

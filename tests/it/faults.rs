//! Faults under constant load: two real replicas on real servers, one of which is hurt while clients log in, refresh,
//! verify and log out. Every answer is recorded, and the record is judged.

mod cancelled;
mod fleet;
mod history;
mod interposed;
mod lost_writes;
mod overtaken;
mod parts;
mod postgres;
mod redis;
mod session_end;
mod silence;
mod topology;
mod traffic;

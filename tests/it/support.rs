//! What the tests share: real processes on free ports, and the tools that talk to them.

pub mod client;
pub mod process;
pub mod tool;

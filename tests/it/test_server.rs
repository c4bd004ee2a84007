//! `countersign test-server` as a program that tests another service uses it: the real binary, started and stopped.

mod failures;
mod process;
mod production;
mod streams;
mod support;
mod tokens;
mod worlds;

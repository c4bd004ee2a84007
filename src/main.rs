//! The `countersign` binary: a runtime in, an exit code out.

fn main() {}

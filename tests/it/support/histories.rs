//! Random histories: a property of whatever may happen, in any order.

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};

/// Runs so many histories of so many steps, each from its beginning, and panics with the shortest one found that
/// fails.
pub(crate) fn histories<S: Debug>(
    count: u32,
    length: usize,
    step: impl Strategy<Value = S>,
    run: impl AsyncFn(Vec<S>),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config =
        Config { cases: count, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let steps = proptest::collection::vec(step, length);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        runtime.block_on(run(steps));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

"""The contract of the test server. `countersign.testing` is what tests use."""

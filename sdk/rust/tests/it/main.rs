//! What is accepted as an access token and what is not, seen from outside.

#![expect(clippy::unwrap_used, reason = "the lint spares test functions but not what they call")]

mod bad_claims;
mod bad_header;
mod bad_shape;
mod cache;
mod corpus;
mod fuzz;
mod numbers;
mod properties;
mod rules;
mod support;

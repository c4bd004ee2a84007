//! The integration tests: one binary, a file for each capability.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod architecture;
mod auth_client;
mod chart;
mod command_line;
mod configuration;
mod conformance;
mod crash;
mod error_catalogue;
mod faults;
mod first_login;
mod gateway;
mod grpc_contract;
mod grpc_deadlines;
mod http_auth;
mod http_captcha;
mod http_defence;
mod http_errors;
mod http_forward_auth;
mod http_oauth;
mod http_openapi;
mod http_schemathesis;
mod http_transcoding;
mod invariants;
mod live_verifier;
mod login_overload;
mod login_throttle;
mod metrics;
mod monitoring;
mod mysql_store;
mod postgres_store;
mod redis_store;
mod replicas;
mod revocation_stream;
mod rotation_model;
mod rotation_properties;
mod rotation_race;
mod running;
mod secret_canary;
mod sql_faults;
mod sqlite_store;
mod support;
mod tls;
mod traces;
mod verify_many;

//! Gateways: what Envoy is answered, and the recipes of `examples/gateways`, each run by the proxy that it is for.

mod caddy;
mod check;
mod echo;
mod envoy;
mod fleet;
mod jwt_authn;
mod latency;
mod nginx;
mod proxy;
mod rolling_restart;
mod transcoding;

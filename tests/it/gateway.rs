//! Gateways: what Envoy is answered, and the recipes of `examples/gateways`, each run by the proxy that it is for.

mod check;

//! The operations port: what Kubernetes and people at 3 a.m. ask. Without authentication, unless by certificates; bind
//! it where only they reach it.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;

use crate::readiness::{Readiness, Report};

/// `GET /livez`: the process answers. `GET /readyz`: 200 when it should get requests and 503 when not, with the
/// reasons in JSON either way.
pub fn router(readiness: Readiness) -> Router {
    Router::new().route("/livez", get(async || "ok\n")).route("/readyz", get(readyz)).with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, Json<Report>) {
    let report = readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

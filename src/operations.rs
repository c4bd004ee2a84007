//! The operations port: what Kubernetes, Prometheus and people at 3 a.m. ask. Without authentication, unless by
//! certificates; bind it where only they reach it.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::readiness::{Readiness, Report};
use crate::telemetry::Metrics;
use crate::telemetry::exposition::Format;

/// `GET /livez`: the process answers. `GET /readyz`: 200 when it should get requests and 503 when not, with the
/// reasons in JSON either way. `GET /metrics`: for Prometheus, in OpenMetrics where that is asked for.
pub fn router(readiness: Readiness, metrics: Metrics) -> Router {
    let health = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(readiness);
    health.merge(Router::new().route("/metrics", get(scrape)).with_state(metrics))
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, Json<Report>) {
    let report = readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

async fn scrape(
    State(metrics): State<Metrics>,
    headers: HeaderMap,
) -> Result<([(HeaderName, &'static str); 1], String), StatusCode> {
    // A list may go on in further lines, and what else stands in them makes no difference.
    let lines = headers.get_all(ACCEPT).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let format = Format::accepted(&lines.collect::<Vec<_>>().join(","));
    // It reads files and counts tables: not for a thread that answers calls.
    let text = tokio::task::spawn_blocking(move || metrics.scrape(format)).await;
    let text = text.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, format.content_type())], text))
}

//! The operations port: what Kubernetes, Prometheus and people at 3 a.m. ask. Without authentication, unless by
//! certificates; bind it where only they reach it.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::sync::Semaphore;

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
    let scrapes = Scrapes {
        metrics,
        one_at_a_time: Arc::new(Semaphore::new(1)),
        places: Arc::new(Semaphore::new(MOST_SCRAPES)),
    };
    health.merge(Router::new().route("/metrics", get(scrape)).with_state(scrapes))
}

/// The most scrapes that are made or wait at once; further ones are refused.
const MOST_SCRAPES: usize = 8;

/// What is scraped. One scrape at a time: each takes a thread of the runtime, whose stacks would fill the memory of a
/// process that is asked for hundreds at once, and a processor, which probes need too. Few wait, since a connection that
/// waits for an answer keeps its place, which probes need as well.
#[derive(Clone)]
struct Scrapes {
    metrics: Metrics,
    one_at_a_time: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, Json<Report>) {
    let report = readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

async fn scrape(
    State(scrapes): State<Scrapes>,
    headers: HeaderMap,
) -> Result<([(HeaderName, &'static str); 1], String), StatusCode> {
    // A list may go on in further lines, and what else stands in them makes no difference.
    let lines = headers.get_all(ACCEPT).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let format = Format::accepted(&lines.collect::<Vec<_>>().join(","));
    // It reads files and counts tables: not for a thread that answers calls.
    let Scrapes { metrics, one_at_a_time, places } = scrapes;
    let _place = places.try_acquire_owned().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let permit = one_at_a_time.acquire_owned().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let scrape = move || {
        // Held until the work ends, even when whoever asked for it has gone.
        let _permit = permit;
        metrics.scrape(format)
    };
    let text = tokio::task::spawn_blocking(scrape).await;
    let text = text.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, format.content_type())], text))
}

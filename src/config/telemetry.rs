//! `[telemetry]`

use serde::{Deserialize, Serialize};

use super::bounds;
use super::error::Problem;

/// Where traces go. Metrics need no configuration: they are on the operations port.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The collector that traces are sent to, by OTLP over gRPC: `http://collector:4317`. Empty: the one that
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` names, or none. `COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT`
    pub otlp_endpoint: String,
    /// Of a thousand calls that arrive without a decision of their caller's, how many are traced.
    /// `COUNTERSIGN__TELEMETRY__TRACES_PER_THOUSAND`
    pub traces_per_thousand: u32,
    /// What this service is called in traces. `COUNTERSIGN__TELEMETRY__SERVICE_NAME`
    pub service_name: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: String::new(),
            traces_per_thousand: 100,
            service_name: "countersign".to_owned(),
        }
    }
}

impl Telemetry {
    /// The share of those calls, 0 to 1.
    pub fn sampling_ratio(&self) -> f64 {
        f64::from(self.traces_per_thousand) / 1000.0
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::number("telemetry.traces_per_thousand", self.traces_per_thousand, &(0..=1000))?;
        if self.service_name.trim().is_empty() {
            return Err(Problem::new("telemetry.service_name", "must not be empty"));
        }
        check_endpoint("telemetry.otlp_endpoint", &self.otlp_endpoint)
    }
}

fn check_endpoint(key: &'static str, endpoint: &str) -> Result<(), Problem> {
    if endpoint.is_empty() {
        return Ok(());
    }
    let url = endpoint.parse::<http::Uri>().ok();
    let known = |url: &http::Uri| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    };
    if url.as_ref().is_some_and(known) {
        Ok(())
    } else {
        Err(Problem::new(key, format!("{endpoint:?} does not look like http://collector:4317")))
    }
}

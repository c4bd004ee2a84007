//! `[telemetry]`

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{ConfiguredUrl, bounds};

/// Where traces go. Metrics need no configuration: they are on the operations port.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The collector that traces are sent to, by OTLP over gRPC: `http://collector:4317`. Empty: the one that
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` names, or none. `COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT`
    pub otlp_endpoint: ConfiguredUrl,
    /// Of a thousand calls that arrive without a decision of their caller's, how many are traced.
    /// `COUNTERSIGN__TELEMETRY__TRACES_PER_THOUSAND`
    pub traces_per_thousand: u32,
    /// What this service is called in traces. `COUNTERSIGN__TELEMETRY__SERVICE_NAME`
    pub service_name: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: ConfiguredUrl::default(),
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
        let name = &self.service_name;
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(Problem::new("telemetry.service_name", "must be text, without control characters"));
        }
        if self.otlp_endpoint.is_empty() {
            Ok(())
        } else {
            self.otlp_endpoint.check_collector("telemetry.otlp_endpoint")
        }
    }
}

impl ConfiguredUrl {
    /// Whether traces can be sent there.
    pub fn check_collector(&self, key: &'static str) -> Result<(), Problem> {
        match self.parse(key)?.scheme_str() {
            Some("http" | "https") => Ok(()),
            _ => Err(Problem::new(key, format!("\"{self}\" does not look like http://collector:4317"))),
        }
    }
}

//! The Prometheus recorder: installed once, rendered for `/metrics`.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::names::{self, Kind};
use crate::process;

/// Buckets for waits that people notice, in seconds: fine between 50 ms and 2 s, where turns live.
const LATENCY_SECONDS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0,
    10.0,
];
/// Buckets for the machinery itself, in seconds: pacing, queues, packets.
const FINE_SECONDS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.04, 0.1, 0.5,
    1.0,
];
/// How often recorded samples are sorted into buckets when nobody asks for them: between, they are kept one by one.
const UPKEEP: Duration = Duration::from_secs(5);

/// Renders what was recorded.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Install the recorder of this process and describe every metric.
    ///
    /// # Errors
    /// When another recorder is installed already.
    pub fn install() -> Result<Self, BuildError> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        ::metrics::set_global_recorder(recorder)?;
        names::describe_all();
        let upkeep = handle.clone();
        let started = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || {
                loop {
                    std::thread::sleep(UPKEEP);
                    upkeep.run_upkeep();
                }
            });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread for metrics: their memory grows until they are scraped");
        }
        Ok(Self { handle })
    }

    /// Everything in Prometheus' text format (`text/plain; version=0.0.4`).
    pub fn render(&self) -> String {
        process::record();
        self.handle.render()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in names::ALL {
        let buckets: &[f64] = match metric.kind {
            Kind::Latency => &LATENCY_SECONDS,
            Kind::FineLatency => &FINE_SECONDS,
            Kind::Counter | Kind::Gauge => continue,
        };
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_metric_has_help_and_latencies_have_buckets() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            names::describe_all();
            ::metrics::histogram!(names::TURN_E2E_SECONDS).record(0.42);
            ::metrics::counter!(names::PROVIDER_ERRORS_TOTAL, "component" => "llm").increment(1);
        });
        let text = handle.render();
        assert!(
            text.contains("# HELP antiphon_turn_e2e_seconds End of user speech to first audio"),
            "{text}"
        );
        assert!(
            text.contains("antiphon_turn_e2e_seconds_bucket{le=\"0.4\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("antiphon_turn_e2e_seconds_bucket{le=\"0.5\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("antiphon_provider_errors_total{component=\"llm\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn names_are_unique_and_say_their_unit() {
        // LiveKit's boards ask for LiveKit's names, whatever their units
        let ours = ["antiphon_", "process_", "livekit_"];
        for (at, metric) in names::ALL.iter().enumerate() {
            assert!(
                ours.iter().any(|prefix| metric.name.starts_with(prefix)),
                "{}",
                metric.name
            );
            assert!(
                !names::ALL
                    .iter()
                    .skip(at + 1)
                    .any(|other| other.name == metric.name),
                "{} twice",
                metric.name
            );
            match metric.kind {
                Kind::Latency | Kind::FineLatency => {
                    assert!(metric.name.ends_with("_seconds"), "{}", metric.name)
                }
                Kind::Counter => assert!(
                    metric.name.ends_with("_total") || metric.name.starts_with("livekit_"),
                    "{}",
                    metric.name
                ),
                Kind::Gauge => {}
            }
        }
    }
}

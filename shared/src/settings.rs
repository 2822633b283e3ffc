//! The settings of a function, from environment variables. Only `main.rs` reads the environment; it passes a look-up
//! function.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use event::DetectorVersionId;
use thiserror::Error;

use crate::batch::Budget;
use crate::decisions::DecisionWrites;

/// An environment variable that is missing or invalid.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A required variable is absent or empty.
    #[error("environment variable {0} is missing; set it to {1}")]
    Missing(&'static str, &'static str),
    /// A variable has an invalid value.
    #[error("environment variable {name} is `{value}`; it should be {want}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        want: &'static str,
    },
}

/// Time for the answer to a request over HTTP, in milliseconds, where `DECIDE_TIMEOUT_MS` does not say otherwise: a
/// checkout waits that long.
pub const DECIDE_TIMEOUT_MS: u32 = 1000;

/// Which backend answers the calls of Amazon Fraud Detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The engine, linked into the function.
    Engine,
    /// Amazon's service.
    Aws,
}

/// The settings of a function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `FRAUD_DETECTOR`: `engine` (default) or `aws`.
    pub backend: Backend,
    /// `DECISIONS_TABLE`.
    pub decisions_table: String,
    /// `DECISION_WRITES`: how several decisions are written at once, `put-item` (default) or `statements`.
    pub decision_writes: DecisionWrites,
    /// `DEFINITIONS_TABLE`, used by the engine only.
    pub definitions_table: String,
    /// `EVENTS_TABLE`, used by the engine only.
    pub events_table: String,
    /// `VELOCITY_TABLE`: the profiles of keys with aggregates.
    pub velocity_table: String,
    /// `BUCKET`, for rejected records and for the engine's models.
    pub bucket: String,
    /// `EVENT_BUS`: where the engine publishes its events.
    pub event_bus: String,
    /// `RETENTION_DAYS`: how long the engine keeps events; if absent, its default.
    pub retention_days: Option<NonZeroU32>,
    /// `DETECTOR_VERSION`; if empty or absent, the active version.
    pub detector_version: Option<DetectorVersionId>,
    /// `MAPPING_FILE`; if absent, the mapping that is compiled in.
    pub mapping_file: Option<PathBuf>,
    /// `IP_LOCATION_FILES`, separated by commas, for variables with `locate`.
    pub ip_location_files: Vec<PathBuf>,
    /// `MAX_CONCURRENCY` and `CALLS_PER_SECOND`.
    pub budget: Budget,
    /// `DECIDE_TIMEOUT_MS`: after so long a request over HTTP is answered, decided or not.
    pub decide_timeout: Duration,
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCOUNT_ID`, for ARNs, used by the engine only.
    pub account: String,
    /// `RUST_LOG`.
    pub log: String,
}

impl Settings {
    /// Reads the settings through `variable`.
    ///
    /// # Errors
    /// [`SettingsError`], which names the variable and what would be right.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let text = |name, default: &str| {
            variable(name)
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| default.to_owned())
        };
        let optional = |name| variable(name).filter(|text| !text.is_empty());
        let backend = parse_backend(optional("FRAUD_DETECTOR").as_deref())?;
        Ok(Self {
            backend,
            decisions_table: text("DECISIONS_TABLE", "Decisions"),
            decision_writes: parse_decision_writes(optional("DECISION_WRITES").as_deref())?,
            definitions_table: text("DEFINITIONS_TABLE", "Definitions"),
            events_table: text("EVENTS_TABLE", "Events"),
            velocity_table: text("VELOCITY_TABLE", "Velocity"),
            bucket: optional("BUCKET").ok_or(SettingsError::Missing(
                "BUCKET",
                "the bucket of rejected records",
            ))?,
            event_bus: text("EVENT_BUS", "default"),
            retention_days: parse_number("RETENTION_DAYS", optional("RETENTION_DAYS"))?,
            detector_version: parse_detector_version(optional("DETECTOR_VERSION"))?,
            mapping_file: optional("MAPPING_FILE").map(PathBuf::from),
            ip_location_files: text("IP_LOCATION_FILES", "")
                .split(',')
                .map(str::trim)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .collect(),
            budget: Budget {
                concurrency: parse_number("MAX_CONCURRENCY", optional("MAX_CONCURRENCY"))?
                    .map_or(16, |n| n.get() as usize),
                calls_per_second: parse_number("CALLS_PER_SECOND", optional("CALLS_PER_SECOND"))?,
                is_remote: backend == Backend::Aws,
                ..Budget::default()
            },
            decide_timeout: Duration::from_millis(
                parse_number("DECIDE_TIMEOUT_MS", optional("DECIDE_TIMEOUT_MS"))?
                    .map_or(DECIDE_TIMEOUT_MS, NonZeroU32::get)
                    .into(),
            ),
            region: text("AWS_REGION", "us-east-1"),
            account: text("AWS_ACCOUNT_ID", "000000000000"),
            log: text("RUST_LOG", "info"),
        })
    }
}

fn parse_backend(value: Option<&str>) -> Result<Backend, SettingsError> {
    match value {
        None | Some("engine") => Ok(Backend::Engine),
        Some("aws") => Ok(Backend::Aws),
        Some(value) => Err(SettingsError::Invalid {
            name: "FRAUD_DETECTOR",
            value: value.to_owned(),
            want: "`engine` or `aws`",
        }),
    }
}

fn parse_decision_writes(value: Option<&str>) -> Result<DecisionWrites, SettingsError> {
    match value {
        None | Some("put-item") => Ok(DecisionWrites::PutItem),
        Some("statements") => Ok(DecisionWrites::Statements),
        Some(value) => Err(SettingsError::Invalid {
            name: "DECISION_WRITES",
            value: value.to_owned(),
            want: "`put-item` or `statements`",
        }),
    }
}

fn parse_detector_version(
    value: Option<String>,
) -> Result<Option<DetectorVersionId>, SettingsError> {
    let parse = |value: String| {
        DetectorVersionId::try_from(value.as_str()).map_err(|_| SettingsError::Invalid {
            name: "DETECTOR_VERSION",
            value,
            want: "a whole number such as 3, or empty for the active version",
        })
    };
    value.map(parse).transpose()
}

fn parse_number(
    name: &'static str,
    value: Option<String>,
) -> Result<Option<NonZeroU32>, SettingsError> {
    let parse = |value: String| {
        value.parse().map_err(|_| SettingsError::Invalid {
            name,
            value,
            want: "a whole number from 1",
        })
    };
    value.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], want: &str) {
        let find = |name: &str| {
            pairs
                .iter()
                .find(|pair| pair.0 == name)
                .map(|pair| pair.1.to_owned())
        };
        let got = Settings::read(find).map_or_else(
            |error| error.to_string(),
            |settings| {
                let files = settings.ip_location_files;
                format!(
                    "{:?} {} {files:?}",
                    settings.backend, settings.budget.concurrency
                )
            },
        );
        assert_eq!(got, want);
    }

    #[test]
    fn settings() {
        check(&[("BUCKET", "b")], "Engine 16 []");
        check(
            &[
                ("BUCKET", "b"),
                ("FRAUD_DETECTOR", "aws"),
                ("MAX_CONCURRENCY", "4"),
            ],
            "Aws 4 []",
        );
        check(
            &[
                ("BUCKET", "b"),
                ("IP_LOCATION_FILES", "/opt/city.mmdb, /opt/asn.mmdb,"),
            ],
            r#"Engine 16 ["/opt/city.mmdb", "/opt/asn.mmdb"]"#,
        );
        check(
            &[],
            "environment variable BUCKET is missing; set it to the bucket of rejected records",
        );
        check(
            &[("BUCKET", "b"), ("FRAUD_DETECTOR", "azure")],
            "environment variable FRAUD_DETECTOR is `azure`; it should be `engine` or `aws`",
        );
        check(
            &[("BUCKET", "b"), ("DECISION_WRITES", "batch")],
            "environment variable DECISION_WRITES is `batch`; it should be `put-item` or `statements`",
        );
        check(
            &[("BUCKET", "b"), ("MAX_CONCURRENCY", "0")],
            "environment variable MAX_CONCURRENCY is `0`; it should be a whole number from 1",
        );
        check(
            &[("BUCKET", "b"), ("DECIDE_TIMEOUT_MS", "1s")],
            "environment variable DECIDE_TIMEOUT_MS is `1s`; it should be a whole number from 1",
        );
        check(
            &[("BUCKET", "b"), ("DETECTOR_VERSION", "v1")],
            "environment variable DETECTOR_VERSION is `v1`; it should be a whole number such as 3, or empty for the active version",
        );
    }
}

//! What a rebuild did, would read and cost, and which generations there are.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use shared::decisions::ItemKey;
use shared::failure::error_code;

use super::evidence::MissingFact;
use super::progress::{RebuildPhase, RebuildProgress};
use super::{Rebuild, RebuildError};

/// Dollars for a million read units and for a million write units, on demand, at the list price of us-east-1.
const READ_PRICE: f64 = 0.125;
const WRITE_PRICE: f64 = 0.625;
/// How many bytes a consistent read unit reads.
const READ_UNIT: u64 = 4_096;

/// What a rebuild did.
#[derive(Clone, Debug, Serialize)]
pub struct RebuildReport {
    /// Whether the new generation is the active one.
    pub is_active: bool,
    /// How far it is.
    pub progress: RebuildProgress,
    /// What cannot be rebuilt.
    pub missing: Vec<MissingFact>,
}

impl RebuildReport {
    pub(super) fn new(progress: &RebuildProgress, is_active: bool) -> Self {
        Self {
            is_active,
            missing: progress.find_missing(),
            progress: progress.clone(),
        }
    }
}

impl fmt::Display for RebuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = &self.progress;
        writeln!(f, "{progress}")?;
        for missing in &self.missing {
            writeln!(f, "{missing}")?;
        }
        if progress.other_mapping > 0 {
            writeln!(
                f,
                "{} of those that came meanwhile were counted under another mapping file: they lack what it did not have",
                progress.other_mapping
            )?;
        }
        if self.is_active {
            writeln!(f, "generation {} is active", progress.generation)
        } else if progress.phase == RebuildPhase::Filled {
            writeln!(
                f,
                "generation {} is filled and not active: run `velocity rebuild --accept-missing` to judge orders on it, or `velocity abandon` to delete it",
                progress.generation
            )
        } else {
            writeln!(f, "generation {} was given up", progress.generation)
        }
    }
}

impl fmt::Display for RebuildProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            RebuildPhase::Decisions => "counting decided orders",
            RebuildPhase::Events => "counting ingested events",
            RebuildPhase::Filled => "filled",
            RebuildPhase::Flipped => "active, the old one is being deleted",
            RebuildPhase::Abandoned => "given up, being deleted",
            RebuildPhase::Ended => "ended",
        };
        write!(
            f,
            "generation {}, {phase}: {} decided orders, {} ingested events; {} came meanwhile; {} old profiles deleted",
            self.generation, self.decisions, self.events, self.counted_meanwhile, self.deleted
        )
    }
}

/// What a rebuild would read and cost, from the sizes that DynamoDB tells; they are up to six hours old.
#[derive(Clone, Debug, Serialize)]
pub struct RebuildEstimate {
    /// Items of the table of decisions, labels among them.
    pub decision_items: u64,
    /// Their bytes.
    pub decision_bytes: u64,
    /// Items of the table of profiles.
    pub profile_items: u64,
    /// Their bytes.
    pub profile_bytes: u64,
    /// Keys that orders are counted by.
    pub keys: usize,
    /// Read units at most.
    pub read_units: u64,
    /// Write units at most.
    pub write_units: u64,
    /// Dollars at most.
    pub dollars: f64,
}

impl fmt::Display for RebuildEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "reads {} items of decisions and labels ({} MB) and {} of profiles and ingested events ({} MB)",
            self.decision_items,
            self.decision_bytes / 1_000_000,
            self.profile_items,
            self.profile_bytes / 1_000_000
        )?;
        writeln!(
            f,
            "and for each order one profile of each of {} keys, which is written: at most {} read units and {} write units, ${:.2} on demand in us-east-1",
            self.keys, self.read_units, self.write_units, self.dollars
        )
    }
}

/// How many profiles a generation has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProfileCount {
    /// All of them.
    pub profiles: u64,
    /// Those that cannot be read, by the name of their key.
    pub unreadable: BTreeMap<String, u64>,
}

/// Which generations there are, and how far the last rebuild is.
#[derive(Clone, Debug, Serialize)]
pub struct RebuildStatus {
    /// The generation that orders are judged on.
    pub active: u32,
    /// Another one that is written as well.
    pub also: Option<u32>,
    /// The last rebuild.
    pub rebuild: Option<RebuildReport>,
    /// The profiles of each generation, if they were counted.
    pub profiles: BTreeMap<u32, ProfileCount>,
}

impl fmt::Display for RebuildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "generation {} is active", self.active)?;
        if let Some(also) = self.also {
            writeln!(f, "generation {also} is written as well")?;
        }
        if let Some(rebuild) = &self.rebuild {
            writeln!(
                f,
                "last rebuild, of {}: {}",
                rebuild.progress.started_at, rebuild.progress
            )?;
            for missing in &rebuild.missing {
                writeln!(f, "{missing}")?;
            }
        }
        for (generation, count) in &self.profiles {
            writeln!(f, "generation {generation}: {} profiles", count.profiles)?;
            for (key, unreadable) in &count.unreadable {
                writeln!(
                    f,
                    "generation {generation}: {unreadable} profiles of key `{key}` cannot be read; `fraudstream velocity rebuild` makes them anew"
                )?;
            }
        }
        Ok(())
    }
}

impl Rebuild<'_> {
    /// What a rebuild would read and cost.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub async fn estimate(&self) -> Result<RebuildEstimate, RebuildError> {
        let (decision_items, decision_bytes) =
            self.measure_table(&self.pipeline.decisions_table).await?;
        let (profile_items, profile_bytes) =
            self.measure_table(&self.pipeline.velocity_table).await?;
        let keys = self.mapping.aggregate_keys().iter();
        let keys = keys.filter(|key| key.is_counted()).count();
        let writes = decision_items * keys as u64;
        let scanned = (decision_bytes + 2 * profile_bytes) / READ_UNIT;
        let read_units = scanned + writes + 2 * decision_items;
        let million = 1e6;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let dollars = (read_units as f64 * READ_PRICE + writes as f64 * WRITE_PRICE) / million;
        Ok(RebuildEstimate {
            decision_items,
            decision_bytes,
            profile_items,
            profile_bytes,
            keys,
            read_units,
            write_units: writes,
            dollars,
        })
    }

    async fn measure_table(&self, table: &str) -> Result<(u64, u64), RebuildError> {
        let describe = self.pipeline.clients.dynamodb.describe_table();
        let answer = describe.table_name(table).send().await;
        let answer = answer.map_err(|error| RebuildError::Call {
            what: "read the size of a table",
            code: error_code(&error),
        })?;
        let size = |size: Option<i64>| u64::try_from(size.unwrap_or_default()).unwrap_or_default();
        let table = answer.table;
        let table = table.map(|it| (size(it.item_count), size(it.table_size_bytes)));
        Ok(table.unwrap_or_default())
    }

    /// Which generations there are; with `count`, all profiles are read and counted.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub async fn status(&self, count: bool) -> Result<RebuildStatus, RebuildError> {
        let stored = self.pipeline.profiles().read_generations().await?;
        let generations = stored.generations;
        let progress = self.read_progress().await?;
        let rebuild = progress.map(|progress| {
            let is_active = progress.generation == generations.active;
            RebuildReport::new(&progress, is_active)
        });
        let profiles = if count {
            self.count_profiles().await?
        } else {
            BTreeMap::new()
        };
        Ok(RebuildStatus {
            active: generations.active,
            also: generations.also,
            rebuild,
            profiles,
        })
    }

    async fn count_profiles(&self) -> Result<BTreeMap<u32, ProfileCount>, RebuildError> {
        let profiles = self.pipeline.profiles();
        let mut counts: BTreeMap<u32, ProfileCount> = BTreeMap::new();
        let mut after: Option<ItemKey> = None;
        loop {
            let page = profiles.scan_profiles(self.mapping, after.as_ref()).await?;
            for (_, profile) in page.items {
                let count = counts.entry(profile.generation).or_default();
                count.profiles += 1;
                if profile.problem.is_some() {
                    *count.unreadable.entry(profile.key).or_default() += 1;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(counts);
            }
        }
    }
}

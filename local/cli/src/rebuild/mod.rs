//! Rebuilds the profiles of keys from what is kept of past orders, while orders go on being counted and judged.
//!
//! A new generation of profiles is filled beside the active one, then becomes the active one. Every step is a conditional write
//! of the generations, or of how far the rebuild is; after a kill at any point, the next run continues:
//!
//! 1. The functions begin to count in both generations. What they count is marked in its decision or its event.
//! 2. After the longest invocation that may not know this yet, all past orders without this mark are counted in the new
//!    generation, with what became known of them.
//! 3. The new generation becomes the active one. The old one is written for as long as an invocation may still read it.
//! 4. The old one is no longer written, and when no invocation writes it any more, it is deleted.

mod evidence;
mod past_orders;
mod progress;
mod report;

use std::sync::Arc;
use std::time::Duration;

use event::Timestamp;
use local_aws::local_stack::Pipeline;
use shared::decisions::ItemKey;
use shared::failure::Failure;
use shared::mapping::Mapping;
use shared::profiles::{Generations, StoredGenerations};
use thiserror::Error;

pub use evidence::MissingFact;
pub use progress::{RebuildPhase, RebuildProgress};
pub use report::{ProfileCount, RebuildEstimate, RebuildReport, RebuildStatus};

/// Why profiles were not rebuilt. Running the command again continues.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// A function's table failed.
    #[error("{0}; run the command again to continue")]
    Failure(#[from] Failure),
    /// A call failed.
    #[error("cannot {what}: {code}; run the command again to continue")]
    Call {
        /// What was being done.
        what: &'static str,
        /// AWS's error code.
        code: String,
    },
    /// Another process rebuilds the same profiles.
    #[error("another `velocity rebuild` is running; wait until it has ended")]
    Concurrent,
    /// The item is damaged, or of another release.
    #[error(
        "how far the rebuild is cannot be read by this version; continue it with the version that began it"
    )]
    UnreadableProgress,
    /// The mapping has no aggregates.
    #[error("the mapping has no `aggregates`, so there is nothing to rebuild")]
    NoAggregates,
    /// There is nothing to give up.
    #[error("no rebuild is under way that could be abandoned")]
    NothingToAbandon,
}

/// Rebuilds profiles.
pub struct Rebuild<'a> {
    /// The tables and the service.
    pub pipeline: &'a Pipeline,
    /// The mapping with the aggregates, which all functions have by now.
    pub mapping: &'a Arc<Mapping>,
    /// For how long an invocation may go on with the generations that it began with.
    pub settle: Duration,
    /// Go on if something cannot be rebuilt for some orders.
    pub accept_missing: bool,
    /// The time now.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// Called after each step.
    pub say: &'a (dyn Fn(&RebuildProgress) + Sync),
}

impl Rebuild<'_> {
    /// Begins a rebuild, or continues one, until the new generation is the only one. If something cannot be rebuilt and that
    /// is not accepted, it stops before the new generation becomes the active one.
    ///
    /// # Errors
    /// [`RebuildError`]; another call continues.
    pub async fn run(&self) -> Result<RebuildReport, RebuildError> {
        if self.mapping.aggregate_keys().is_empty() {
            return Err(RebuildError::NoAggregates);
        }
        let mut progress = self.begin().await?;
        if matches!(
            progress.phase,
            RebuildPhase::Decisions | RebuildPhase::Events
        ) {
            self.start_filling(&progress).await?;
            self.count_past_orders(&mut progress).await?;
        }
        if progress.phase == RebuildPhase::Filled {
            let missing = progress.find_missing();
            if !missing.is_empty() && !self.accept_missing {
                return Ok(RebuildReport::new(&progress, false));
            }
            self.make_active(&mut progress).await?;
        }
        self.retire_others(&mut progress).await?;
        Ok(RebuildReport::new(&progress, true))
    }

    /// Gives up a rebuild whose generation is not active yet, and deletes what it filled.
    ///
    /// # Errors
    /// [`RebuildError`]; another call continues.
    pub async fn abandon(&self) -> Result<RebuildReport, RebuildError> {
        let stored = self.pipeline.profiles().read_generations().await?;
        let progress = self.read_progress().await?;
        let Some(mut progress) = progress.filter(|it| {
            it.generation > stored.generations.active && it.phase != RebuildPhase::Ended
        }) else {
            return Err(RebuildError::NothingToAbandon);
        };
        progress.enter_phase(RebuildPhase::Abandoned);
        self.write_progress(&mut progress).await?;
        self.retire_others(&mut progress).await?;
        Ok(RebuildReport::new(&progress, false))
    }

    /// The progress of the rebuild that is under way, or of a new one.
    async fn begin(&self) -> Result<RebuildProgress, RebuildError> {
        let mut last = self.read_progress().await?;
        if let Some(abandoned) = last.as_mut()
            && abandoned.phase == RebuildPhase::Abandoned
        {
            self.retire_others(abandoned).await?;
        }
        let stored = self.pipeline.profiles().read_generations().await?;
        match last {
            Some(last) if last.phase != RebuildPhase::Ended => Ok(last),
            last => {
                // A generation that was abandoned leaves its number unused.
                let before = last.as_ref().map_or(0, |last| last.generation);
                let generation = stored.generations.active.max(before) + 1;
                let mut progress = self.follow(last.as_ref(), generation);
                self.write_progress(&mut progress).await?;
                Ok(progress)
            }
        }
    }

    /// Lets the functions count in the new generation, and waits until all of them do.
    async fn start_filling(&self, progress: &RebuildProgress) -> Result<(), RebuildError> {
        let stored = self.pipeline.profiles().read_generations().await?;
        let from = stored.generations;
        let to = Generations {
            active: from.active,
            also: Some(progress.generation),
        };
        self.go_to(from, to).await
    }

    /// Makes the new generation the active one.
    async fn make_active(&self, progress: &mut RebuildProgress) -> Result<(), RebuildError> {
        let stored = self.pipeline.profiles().read_generations().await?;
        let from = stored.generations;
        // It may be active already, if the last run was killed here.
        if from.active != progress.generation {
            let to = Generations {
                active: progress.generation,
                also: Some(from.active),
            };
            self.change(from, to).await?;
        }
        progress.enter_phase(RebuildPhase::Flipped);
        self.write_progress(progress).await
    }

    /// Ends the writing of all generations but the active one, and deletes them.
    async fn retire_others(&self, progress: &mut RebuildProgress) -> Result<(), RebuildError> {
        if progress.phase == RebuildPhase::Flipped {
            // Invocations that still judge on the old generation need it complete.
            self.wait_until_settled().await?;
        }
        let stored = self.pipeline.profiles().read_generations().await?;
        let from = stored.generations;
        self.go_to(from, Generations { also: None, ..from }).await?;
        self.delete_others(from.active, progress).await?;
        progress.enter_phase(RebuildPhase::Ended);
        self.write_progress(progress).await
    }

    /// Goes to other generations, unless that was done before, and waits until all invocations know it.
    async fn go_to(&self, from: Generations, to: Generations) -> Result<(), RebuildError> {
        if from != to {
            self.change(from, to).await?;
        }
        self.wait_until_settled().await.map(drop)
    }

    async fn change(&self, from: Generations, to: Generations) -> Result<(), RebuildError> {
        let profiles = self.pipeline.profiles();
        if profiles
            .change_generations(from, to, (self.clock)())
            .await?
        {
            return Ok(());
        }
        Err(RebuildError::Concurrent)
    }

    /// Waits until no invocation goes on with other generations than those that are stored.
    async fn wait_until_settled(&self) -> Result<StoredGenerations, RebuildError> {
        let stored = self.pipeline.profiles().read_generations().await?;
        let passed = (self.clock)().epoch_seconds() - stored.since;
        let passed = Duration::from_secs(u64::try_from(passed).unwrap_or_default());
        let left = self.settle.saturating_sub(passed);
        if !left.is_zero() {
            // `since` is a whole second.
            tokio::time::sleep(left + Duration::from_secs(1)).await;
        }
        Ok(stored)
    }

    async fn delete_others(
        &self,
        active: u32,
        progress: &mut RebuildProgress,
    ) -> Result<(), RebuildError> {
        let profiles = self.pipeline.profiles();
        let mut after: Option<ItemKey> = None;
        loop {
            let page = profiles.scan_profiles(self.mapping, after.as_ref()).await?;
            let others = page.items.into_iter();
            let others = others.filter(|(_, profile)| profile.generation != active);
            let others: Vec<ItemKey> = others.map(|(key, _)| key).collect();
            profiles.delete_profiles(&others).await?;
            progress.deleted += others.len() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

//! The binary form of a profile.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::adapt::adapt;
use crate::event::KeyEvent;
use crate::layout::{Kept, Layout};
use crate::profile::Profile;
use crate::{ARRIVALS, LARGEST_PROFILE, MOST_DISTINCT, MOST_FRAUDS, MOST_PARTNERS};

/// The version of the binary form: the first byte.
pub const FORM: u8 = 1;

/// Bytes that are no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnreadableProfile {
    /// They were written by a later release.
    #[error("a profile has form {0}, and this release reads form {FORM}")]
    OtherForm(u8),
    /// They are damaged.
    #[error("a profile is damaged")]
    Damaged,
}

#[derive(Serialize)]
struct Written<'a> {
    kept: &'a Kept,
    profile: &'a Profile,
}

#[derive(Deserialize)]
struct Read {
    kept: Kept,
    profile: Profile,
}

impl Profile {
    /// The binary form, at most [`LARGEST_PROFILE`] bytes. What the layout keeps fits; only revisions that are huge numbers
    /// can make a profile larger, and then the oldest of it is forgotten.
    pub fn to_bytes(&mut self, layout: &Layout) -> Vec<u8> {
        loop {
            let written = Written {
                kept: &layout.kept,
                profile: self,
            };
            // Writing to memory cannot fail.
            let bytes = postcard::to_extend(&written, vec![FORM]).unwrap_or_default();
            if bytes.len() <= LARGEST_PROFILE {
                return bytes;
            }
            self.shrink(layout);
        }
    }

    /// Reads the binary form. What was kept for aggregates that the layout no longer has is dropped; for an aggregate
    /// that it did not have then, nothing is known of the events until then.
    ///
    /// # Errors
    /// [`UnreadableProfile`].
    pub fn from_bytes(layout: &Layout, bytes: &[u8]) -> Result<Self, UnreadableProfile> {
        if bytes.len() > LARGEST_PROFILE {
            return Err(UnreadableProfile::Damaged);
        }
        let (form, rest) = bytes.split_first().ok_or(UnreadableProfile::Damaged)?;
        if *form != FORM {
            return Err(UnreadableProfile::OtherForm(*form));
        }
        let read: Result<(Read, &[u8]), _> = postcard::take_from_bytes(rest);
        let (read, rest) = read.map_err(|_| UnreadableProfile::Damaged)?;
        if !rest.is_empty() || !read.profile.has_form_of(&read.kept) {
            return Err(UnreadableProfile::Damaged);
        }
        if read.kept == layout.kept && read.profile.whole.len() <= layout.limits.whole {
            return Ok(read.profile);
        }
        Ok(adapt(&read.profile, &read.kept, layout))
    }

    /// Whether each part has the length that the slots say, and is sorted.
    fn has_form_of(&self, kept: &Kept) -> bool {
        let buckets = [&self.hours, &self.days];
        let fits = |event: &KeyEvent| {
            event.numbers.len() <= kept.numbers.len() && event.values.len() <= kept.values.len()
        };
        let condition_exists =
            |condition: &Option<usize>| condition.is_none_or(|it| it < kept.conditions.len());
        self.whole.iter().all(fits)
            && self.arrivals.len() <= ARRIVALS
            && self.seen.iter().all(|seen| seen.len() <= MOST_DISTINCT)
            && self.whole.is_sorted_by_key(KeyEvent::order)
            && buckets
                .iter()
                .all(|all| all.is_sorted_by(|one, next| one.index < next.index))
            && buckets
                .iter()
                .flat_map(|all| all.iter())
                .all(|bucket| bucket.cells.len() == kept.series.len())
            && self.seen.len() == kept.value_series.len()
            && self.times.len() == kept.times.len()
            && self.frauds.len() <= usize::from(kept.frauds) * MOST_FRAUDS
            && self.frauds.is_sorted()
            && self.partners.len() <= usize::from(kept.partners) * MOST_PARTNERS
            && kept.series.iter().all(|it| condition_exists(&it.condition))
            && kept
                .value_series
                .iter()
                .all(|it| condition_exists(&it.condition) && it.value < kept.values.len())
            && kept.times.iter().all(condition_exists)
    }
}

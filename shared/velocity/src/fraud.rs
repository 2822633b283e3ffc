//! Events of a key that are known as fraud.

use crate::MOST_FRAUDS;
use crate::event::PartnerKey;
use crate::layout::Layout;
use crate::profile::{KnownFraud, Profile};

impl Profile {
    /// Notes since when an event is known as fraud, in milliseconds since 1970; `None` if it is not, or no longer. `account`
    /// says whose event it is, if links are kept. The event may come later. Of more than [`MOST_FRAUDS`], those that became known last are kept. Returns whether the
    /// profile has changed.
    ///
    /// Nothing is noted of an event that was [taken out](Profile::take_out): a later revision of it has another key.
    pub fn set_fraud(
        &mut self,
        layout: &Layout,
        id: u32,
        known: Option<i64>,
        account: Option<PartnerKey>,
    ) -> bool {
        self.keep_room(layout);
        let known = known.filter(|_| layout.kept.frauds && !self.was_taken_out(id));
        let new = known.map(|millis| KnownFraud {
            known: millis.div_euclid(1_000),
            id,
            account: account
                .filter(|_| layout.kept.partners)
                .map_or(0, |it| it.short()),
        });
        let old = self.frauds.iter().position(|fraud| fraud.id == id);
        if old.map(|at| self.frauds[at]) == new {
            return false;
        }
        old.map(|at| self.frauds.remove(at));
        if let Some(new) = new {
            let at = self.frauds.partition_point(|fraud| *fraud < new);
            self.frauds.insert(at, new);
            let too_many = self.frauds.len().saturating_sub(MOST_FRAUDS);
            self.frauds.drain(..too_many);
        }
        true
    }

    /// Since when the first of the key's events is known as fraud, in milliseconds since 1970; `None` if none was known
    /// before `time`.
    pub fn known_as_fraud_before(&self, time: i64) -> Option<i64> {
        let first = self.frauds.first()?.known.saturating_mul(1_000);
        (first < time).then_some(first)
    }
}

//! What can be told of an order without deciding it.

use std::sync::Arc;

use shared::decisions::Decision;
use shared::failure::Failure;
use shared::records::Record;

use crate::{KnownDecisions, PredictFunction};

impl PredictFunction {
    /// Checks an order without deciding it: whether it can be read, and agrees with the decision on it, which is returned if
    /// there is one. Writes nothing.
    ///
    /// # Errors
    /// [`Failure`], as deciding it would give.
    pub async fn check_order(&self, record: &Record) -> Result<Option<Arc<Decision>>, Failure> {
        let order = self.mapping.map_order(&record.json()?)?;
        let known = KnownDecisions::new(self.read_decisions([&order]).await?);
        let Some(earlier) = known.decision(&self.decision_key(&order)) else {
            return Ok(None);
        };
        let same = self.check_duplicate(earlier, &order)?;
        Ok(Some(Arc::clone(same.decision())))
    }
}

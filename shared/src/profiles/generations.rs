//! Generations of profiles: while one is filled from what is kept of past orders, orders are judged on another.
//!
//! One item says which generations there are. Whoever changes profiles reads it together with them, and writes all
//! generations that it names. Each step leaves one that the step before wrote as well, so that functions which have not seen
//! the new state yet miss nothing.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use event::Timestamp;

use super::ProfileTable;
use crate::failure::{Failure, dependency_failure};
use crate::items::{Item, read_items};

/// Partition key and sort key of the item. Profiles and events have a `#` in their partition key.
const ITEM: &str = "generations";

/// Which generations of profiles are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generations {
    /// The one that orders are judged on.
    pub active: u32,
    /// Another one: a newer one that is being filled, or an older one that was active until just now.
    pub also: Option<u32>,
}

impl Default for Generations {
    /// As long as nothing was rebuilt, there is the first generation and no item.
    fn default() -> Self {
        Self {
            active: 1,
            also: None,
        }
    }
}

impl Generations {
    /// The generation that is being filled.
    pub fn filling(self) -> Option<u32> {
        self.also.filter(|also| *also > self.active)
    }

    pub(super) fn written(self) -> impl Iterator<Item = u32> {
        std::iter::once(self.active).chain(self.also)
    }
}

/// The generations, and since when there are these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredGenerations {
    /// The generations.
    pub generations: Generations,
    /// In seconds since 1970; 0 if nothing was ever rebuilt.
    pub since: i64,
}

/// The generations that were read last, shared by all clones of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownGenerations(Arc<Mutex<Generations>>);

impl KnownGenerations {
    pub(super) fn get(&self) -> Generations {
        self.0.lock().map(|known| *known).unwrap_or_default()
    }

    pub(super) fn set(&self, generations: Generations) {
        if let Ok(mut known) = self.0.lock() {
            *known = generations;
        }
    }
}

/// The key of the item.
pub(super) fn generations_key() -> Item {
    let text = || AttributeValue::S(ITEM.to_owned());
    Item::from([("pk".to_owned(), text()), ("sk".to_owned(), text())])
}

/// The partition key of a profile. The first generation has no prefix, as in releases without generations.
pub(super) fn partition_in(generation: u32, name: &str) -> String {
    match generation {
        1 => name.to_owned(),
        _ => format!("g{generation}/{name}"),
    }
}

/// The generation of a profile with this partition key. The names of keys have no `/`.
pub(super) fn generation_of(pk: &str) -> u32 {
    let prefix = pk.split_once('/').map(|(prefix, _)| prefix);
    let number = prefix.and_then(|prefix| prefix.strip_prefix('g')?.parse().ok());
    number.unwrap_or(1)
}

/// Whether an item is that of the generations.
pub(super) fn is_generations(pk: &str) -> bool {
    pk == ITEM
}

/// Reads the item.
///
/// # Errors
/// [`Failure::Retry`], as a wrong set-up, if it is not readable by this version.
pub(super) fn read_generations(item: Option<&Item>) -> Result<StoredGenerations, Failure> {
    let Some(item) = item else {
        return Ok(StoredGenerations::default());
    };
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
    let generation = |name: &str| u32::try_from(number(name)?).ok();
    let read = || {
        let generations = Generations {
            active: generation("active")?,
            also: generation("also"),
        };
        let is_readable = generations.also.is_some() == item.contains_key("also");
        let since = number("since")?;
        is_readable.then_some(StoredGenerations { generations, since })
    };
    read().ok_or_else(|| {
        Failure::set_up("the item `generations` of the profiles is not readable by this version")
    })
}

impl ProfileTable {
    /// Which generations there are.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn read_generations(&self) -> Result<StoredGenerations, Failure> {
        let items = read_items(&self.client, &self.table, &[generations_key()]).await?;
        let stored = read_generations(items.first())?;
        self.generations.set(stored.generations);
        Ok(stored)
    }

    /// Goes from generations to others; `false` if there are others than `from` by now. Functions see it with the next
    /// batch that they begin.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn change_generations(
        &self,
        from: Generations,
        to: Generations,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let number = |n: i64| AttributeValue::N(n.to_string());
        let mut condition = "active = :was".to_owned();
        if from == Generations::default() {
            condition = format!("(attribute_not_exists(pk) OR {condition})");
        }
        let mut set = "SET active = :active, since = :since".to_owned();
        let update = self.client.update_item().table_name(&self.table);
        let mut update = update
            .set_key(Some(generations_key()))
            .expression_attribute_values(":was", number(from.active.into()))
            .expression_attribute_values(":active", number(to.active.into()))
            .expression_attribute_values(":since", number(now.epoch_seconds()));
        match from.also {
            None => condition.push_str(" AND attribute_not_exists(also)"),
            Some(also) => {
                condition.push_str(" AND also = :was_also");
                update = update.expression_attribute_values(":was_also", number(also.into()));
            }
        }
        match to.also {
            None => set.push_str(" REMOVE also"),
            Some(also) => {
                set.push_str(", also = :also");
                update = update.expression_attribute_values(":also", number(also.into()));
            }
        }
        let update = update
            .update_expression(set)
            .condition_expression(condition)
            .send();
        match update.await {
            Ok(_) => {
                self.generations.set(to);
                Ok(true)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(dependency_failure("UpdateItem", &error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_a_partition_in_each_generation() {
        for (generation, pk) in [(1, "card#00ff"), (2, "g2/card#00ff"), (17, "g17/card#00ff")] {
            assert_eq!(partition_in(generation, "card#00ff"), pk);
            assert_eq!(generation_of(pk), generation);
        }
        assert_eq!(generation_of("g2#00ff"), 1);
    }

    #[test]
    fn an_item_that_another_version_wrote_is_not_guessed() {
        let number = |n: &str| AttributeValue::N(n.to_owned());
        let mut item = generations_key();
        item.insert("active".to_owned(), number("2"));
        assert!(read_generations(Some(&item)).is_err());
        item.insert("since".to_owned(), number("5"));
        assert_eq!(
            read_generations(Some(&item)).unwrap().generations.also,
            None
        );
        item.insert("also".to_owned(), AttributeValue::S("3".to_owned()));
        assert!(read_generations(Some(&item)).is_err());
    }
}

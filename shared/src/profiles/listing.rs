//! Going through all profiles of the table, to count or delete them.

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use velocity::UnreadableProfile;

use super::counted_profile::read_item;
use super::generations::generation_of;
use super::{PROFILE, ProfileTable};
use crate::decisions::{ItemKey, ScannedPage};
use crate::failure::{Failure, dependency_failure};
use crate::items::{BATCH_WRITE, Item, send_writes};
use crate::mapping::Mapping;

/// A profile that is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProfile {
    /// The generation that it belongs to.
    pub generation: u32,
    /// The name of its key.
    pub key: String,
    /// Why it cannot be read, if it cannot; `None` also for a key that the mapping does not have.
    pub problem: Option<UnreadableProfile>,
}

impl ProfileTable {
    /// The profiles in a page of the whole table, in the order of the table, after the item with key `after`.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn scan_profiles(
        &self,
        mapping: &Mapping,
        after: Option<&ItemKey>,
    ) -> Result<ScannedPage<ListedProfile>, Failure> {
        let scan = self.client.scan().table_name(&self.table);
        let scan = scan
            .set_exclusive_start_key(after.map(ItemKey::attributes))
            .filter_expression("sk = :sk")
            .expression_attribute_values(":sk", AttributeValue::S(PROFILE.to_owned()));
        let page = scan.send().await;
        let page = page.map_err(|error| dependency_failure("Scan", &error))?;
        let items = page.items.unwrap_or_default();
        let listed = items.iter().filter_map(|item| {
            let key = ItemKey::read(item)?;
            let profile = list_profile(mapping, key.pk(), item);
            Some((key, profile))
        });
        Ok(ScannedPage {
            items: listed.collect(),
            next: page.last_evaluated_key.as_ref().and_then(ItemKey::read),
        })
    }

    /// Deletes profiles.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn delete_profiles(&self, keys: &[ItemKey]) -> Result<(), Failure> {
        let not_built = |_| Failure::retry("BatchWriteItem: request not built");
        for some in keys.chunks(BATCH_WRITE) {
            let requests = some.iter().map(|key| {
                let delete = DeleteRequest::builder().set_key(Some(key.attributes()));
                let delete = delete.build().map_err(not_built)?;
                Ok(WriteRequest::builder().delete_request(delete).build())
            });
            let requests = requests.collect::<Result<Vec<_>, Failure>>()?;
            send_writes(&self.client, &self.table, requests).await?;
        }
        Ok(())
    }
}

fn list_profile(mapping: &Mapping, pk: &str, item: &Item) -> ListedProfile {
    let name = pk.split_once('/').map_or(pk, |(_, name)| name);
    let key = name.split('#').next().unwrap_or(name);
    let mut keys = mapping.aggregate_keys().iter();
    let known = keys.find(|it| it.name() == key);
    ListedProfile {
        generation: generation_of(pk),
        key: key.to_owned(),
        problem: known.and_then(|known| read_item(known.layout(), item).err()),
    }
}

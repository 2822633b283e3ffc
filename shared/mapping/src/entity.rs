//! The entity of an order: its type and id.

use std::borrow::Cow;
use std::collections::BTreeSet;

use event::hash::to_hex;
use event::{EntityId, EntityTypeName};
use sha2::{Digest as _, Sha256};

use crate::data_quality::DataQualityProblem;
use crate::failure::Failure;
use crate::mapping::Mapping;
use crate::mapping_file::{EntityTypeSource, HashedSource};
use crate::required::read_required;
use crate::short_or_long::ShortOrLong;
use crate::value_source::Document;

impl Mapping {
    pub(crate) fn read_entity_type(
        &self,
        document: &Document<'_>,
    ) -> Result<EntityTypeName, Failure> {
        match &self.file.event.entity.entity_type {
            EntityTypeSource::Fixed(name) => Ok(name.clone()),
            EntityTypeSource::From(source) => {
                EntityTypeName::try_from(read_required(source, document, "entity type")?).map_err(
                    |error| Failure::rejected("bad-entity-type", format!("`{source:?}`: {error}")),
                )
            }
        }
    }

    pub(crate) fn read_entity_id(
        &self,
        document: &Document<'_>,
        quality: &mut Vec<DataQualityProblem>,
    ) -> EntityId {
        for source in &self.file.event.entity.id {
            match read_entity(source, document) {
                Ok(Some(id)) => return id,
                Ok(None) => {}
                Err(problem) => quality.push(DataQualityProblem {
                    undetermined: false,
                    ..DataQualityProblem::undetermined("entity", problem)
                }),
            }
        }
        EntityId::unknown()
    }

    /// All entity ids that `text` may have become, depending on the member of an order that held it. The e-mail address of
    /// a guest, for example, becomes a hash.
    pub fn possible_entity_ids(&self, text: &str) -> BTreeSet<EntityId> {
        let text = text.trim();
        let ids = self.file.event.entity.id.iter();
        ids.filter_map(|source| match source {
            ShortOrLong::Short(_) => {
                Some(EntityId::try_from(text).unwrap_or_else(|_| hash_entity(text)))
            }
            ShortOrLong::Long(hashed) => {
                let normal = hashed.form.apply(Cow::Borrowed(text)).ok()?;
                Some(hash_entity(&normal))
            }
        })
        .collect()
    }
}

fn read_entity(
    source: &ShortOrLong<HashedSource>,
    document: &Document<'_>,
) -> Result<Option<EntityId>, String> {
    match source {
        ShortOrLong::Short(source) => {
            let Some(text) = source.read(document)? else {
                return Ok(None);
            };
            // The hash of an id with characters that the service does not accept is the same each time.
            Ok(Some(
                EntityId::try_from(text.as_ref()).unwrap_or_else(|_| hash_entity(&text)),
            ))
        }
        ShortOrLong::Long(hashed) => {
            let Some(text) = hashed.hash.read(document)? else {
                return Ok(None);
            };
            Ok(Some(hash_entity(&hashed.form.apply(text)?)))
        }
    }
}

fn hash_entity(text: &str) -> EntityId {
    EntityId::try_from(to_hex(&Sha256::digest(text.as_bytes())[..16]))
        .unwrap_or_else(|_| EntityId::unknown())
}

#[cfg(test)]
mod tests {
    use crate::sample::map_sample;

    #[test]
    fn an_entity_is_the_first_that_is_there() {
        let entity = |customer: &str| {
            let text = format!(
                r#"{{"order_id":"1","created_at":"2026-06-01T10:15:30Z","customer":{customer}}}"#
            );
            map_sample(&text).entity.entity_id.as_str().to_owned()
        };
        assert_eq!(
            entity(r#"{"id":"cust-42","email":"jo@example.com"}"#),
            "cust-42"
        );
        let guest = entity(r#"{"email":"Jo@Example.com "}"#);
        assert_eq!(guest, entity(r#"{"id":"","email":"jo@example.com"}"#));
        assert_eq!(guest.len(), 32);
        assert_eq!(entity("{}"), "unknown");
        assert_eq!(entity(r#"{"email":"no address"}"#), "unknown");
        // Not an id the service takes, and the same customer each time all the same.
        assert_eq!(entity(r#"{"id":"a b"}"#), entity(r#"{"id":"a b"}"#));
    }
}

//! Whom a command is about: an order or an entity.

use std::collections::BTreeSet;

use engine::Subject;
use event::EventId;
use shared::mapping::Mapping;

use super::error::SubjectError;

/// An order or an entity, with every name that it may have.
#[derive(Clone)]
pub struct SubjectQuery {
    pub(super) subjects: Vec<Subject>,
    /// In lower case.
    pub(super) names: BTreeSet<String>,
}

impl SubjectQuery {
    /// The order, if one is given, otherwise the entity.
    ///
    /// # Errors
    /// [`SubjectError::Unknown`].
    pub fn resolve(
        mapping: &Mapping,
        order_id: Option<&str>,
        entity: Option<&str>,
    ) -> Result<Self, SubjectError> {
        match order_id {
            Some(order_id) => Ok(Self::order(mapping, order_id)),
            None => Self::entity(mapping, entity.unwrap_or_default()),
        }
    }

    /// The order with this id: the shop's or the event's.
    pub fn order(mapping: &Mapping, order_id: &str) -> Self {
        let event_id = EventId::slug(order_id).to_string();
        Self {
            names: [order_id, &event_id].map(str::to_lowercase).into(),
            subjects: vec![Subject::Event {
                event_type: mapping.event_type().to_string(),
                event_id,
            }],
        }
    }

    /// The entity `TYPE/ID`, or `ID` of type `customer`. A value that the mapping hashes, such as a
    /// guest's e-mail address, names the entity with the hash as its id.
    ///
    /// # Errors
    /// [`SubjectError::Unknown`].
    pub fn entity(mapping: &Mapping, text: &str) -> Result<Self, SubjectError> {
        let (entity_type, entity_id) = text.split_once('/').unwrap_or(("customer", text));
        if entity_id.trim().eq_ignore_ascii_case("unknown") {
            return Err(SubjectError::Unknown);
        }
        let mapped = mapping.possible_entity_ids(entity_id).into_iter();
        let mut ids: BTreeSet<String> = mapped.map(|id| id.as_str().to_owned()).collect();
        ids.insert(entity_id.to_owned());
        Ok(Self {
            names: ids.iter().map(|id| id.to_lowercase()).collect(),
            subjects: ids
                .into_iter()
                .map(|entity_id| Subject::Entity {
                    entity_type: entity_type.to_owned(),
                    entity_id,
                })
                .collect(),
        })
    }
}

//! What a record is about, as the mapping reads it.

use engine::Subject;
use event::{EventId, Timestamp};
use serde_json::Value;
use shared::mapping::Mapping;

/// A record as the mapping reads it: an order, or labels.
pub(crate) struct MappedRecord {
    pub(crate) subjects: Vec<Subject>,
    /// When the order was made; `None` for labels.
    pub(crate) ordered_at: Option<Timestamp>,
    /// The order's id as the shop writes it.
    pub(super) order_id: Option<String>,
    pub(super) variables: Vec<(String, String)>,
    /// Whether it is an order, and not a label.
    pub(super) is_order: bool,
    /// Whether it is an order without a known entity.
    pub(super) is_guest: bool,
}

impl MappedRecord {
    /// Reads a record; `None` if it is neither an order nor a label for the mapping.
    pub(crate) fn new(mapping: &Mapping, value: &Value) -> Option<Self> {
        let event = |event_id: &EventId| Subject::Event {
            event_type: mapping.event_type().to_string(),
            event_id: event_id.to_string(),
        };
        if let Ok(order) = mapping.map_order(value) {
            let names_entity = !order.entity.entity_id.is_unknown();
            let entity = names_entity.then(|| Subject::Entity {
                entity_type: order.entity.entity_type.to_string(),
                entity_id: order.entity.entity_id.as_str().to_owned(),
            });
            let variables = order.variables.iter();
            return Some(Self {
                subjects: [event(&order.event_id)].into_iter().chain(entity).collect(),
                ordered_at: Some(order.timestamp),
                order_id: Some(order.order_id.clone()),
                variables: variables
                    .map(|(name, value)| (name.to_string(), value.expose().to_owned()))
                    .collect(),
                is_order: true,
                is_guest: !names_entity,
            });
        }
        let labels = mapping.map_labels(value).ok()?;
        Some(Self {
            subjects: labels.iter().map(|label| event(&label.event_id)).collect(),
            ordered_at: None,
            order_id: None,
            variables: Vec::new(),
            is_order: false,
            is_guest: false,
        })
    }
}

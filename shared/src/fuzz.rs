//! What the fuzz target `order` does with its input. The tests do the same with payloads of their own.

use std::sync::LazyLock;

use crate::mapping::Mapping;
use crate::records::{Origin, Position, Record};

/// The mapping that is shipped.
static MAPPING: LazyLock<Option<Mapping>> = LazyLock::new(|| {
    Mapping::parse(
        "config/mapping.yaml",
        include_str!("../../config/mapping.yaml"),
    )
    .ok()
});

/// Reads bytes as the payload of a record, and maps what is inside as an order and as a label.
pub fn run(payload: &[u8]) {
    let position = Position {
        origin: Origin::Sqs,
        arn: String::new(),
        id: String::new(),
        sub: 0,
    };
    let record = Record {
        position,
        key: None,
        payload: payload.to_vec(),
    };
    if let (Some(mapping), Ok(value)) = (&*MAPPING, record.json()) {
        let _ = (
            mapping.order(&value),
            mapping.labels(&value),
            mapping.order_key(&value),
        );
    }
}

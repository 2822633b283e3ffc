//! What the fuzz target `order` does with its input; the tests below call it with payloads of their own.

use std::sync::LazyLock;

use crate::mapping::Mapping;
use crate::records::{Origin, Position, Record};

/// The shipped mapping, and as it was with jq filters.
static MAPPINGS: LazyLock<Vec<Mapping>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../../config/mapping.yaml"),
        include_str!("../testdata/with-jq.yaml"),
    ];
    let mappings = texts
        .iter()
        .map(|text| Mapping::parse("mapping.yaml", text));
    mappings.flatten().collect()
});

/// Reads bytes as the payload of a record, and maps each JSON object inside as an order and as a label.
pub fn map_payload(payload: &[u8]) {
    let position = Position::new(Origin::Sqs, "", "");
    let record = Record {
        position,
        key: None,
        payload: payload.to_vec(),
    };
    for record in record.split() {
        let Ok(value) = record.json() else {
            continue;
        };
        for mapping in &*MAPPINGS {
            let _ = (
                mapping.map_order(&value),
                mapping.map_labels(&value),
                mapping.order_key(&value),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORDER: &str = include_str!("../../../events/orders.jsonl");

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            map_payload(&bytes);
        }

        /// Orders with bytes of other places in them.
        #[test]
        fn no_damaged_order_panics(line in 0..500_usize, at in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(), length in 0..60_usize) {
            let mut order = ORDER.lines().nth(line).unwrap_or_default().as_bytes().to_vec();
            let from = from.index(order.len());
            let part = order[from..(from + length).min(order.len())].to_vec();
            let at = at.index(order.len());
            order.splice(at..at, part);
            map_payload(&order);
        }
    }
}

//! A small mapping, for the tests of this crate.

use crate::Mapping;
use crate::order::MappedOrder;

/// The text of the mapping.
pub(crate) const FILE: &str = "event_type: order
detector: orders
event:
  id: /order_id
  timestamp: /created_at
  entity: {type: customer, id: [/customer/id, {hash: /customer/email, as: email}]}
variables:
  email: {from: /customer/email, as: email}
  price:
    from: {amount: /total, currency: /currency, base: USD, rates: {EUR: 1.08}}
    required: true
decision:
  outcome_priority: [review, approve]
  on_undetermined: [review]
  on_no_match: [approve]
";

/// The order in `text`, mapped with it.
pub(crate) fn map_sample(text: &str) -> MappedOrder {
    Mapping::parse("mapping.yaml", FILE)
        .unwrap()
        .map_order(&serde_json::from_str(text).unwrap())
        .unwrap()
}

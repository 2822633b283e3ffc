//! `fraudstream review related`: orders that share a key, or the customer, with an order.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;
use shared::decisions::{Decision, ItemKey};
use shared::mapping::HashedKeys;
use shared::reviews::Reviews;

use super::desk::Desk;
use crate::commands::CommandError;
use crate::commands::output::print_result;
use crate::printable::printable_value;

/// The most cases that are compared with an order.
const MOST_CASES: usize = 2000;
/// The most orders of the same customer.
const OF_ENTITY: usize = 100;
/// The most orders that a table shows.
const ROWS: usize = 50;

/// The arguments of `review related`.
#[derive(Debug, Args)]
pub(super) struct RelatedArgs {
    /// Order id as the shop writes it.
    order_id: String,
    /// Also orders of other customers that wait for nobody; reads the whole table.
    #[arg(long)]
    all: bool,
    /// Print the orders as JSON.
    #[arg(long)]
    json: bool,
}

impl RelatedArgs {
    /// Lists related orders.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let decision = desk.find_case(&self.order_id).await?;
        let scope = if self.all {
            RelatedIn::Decisions
        } else {
            RelatedIn::Waiting
        };
        let related = find_related(desk, &decision, scope).await?;
        print_result(self.json, &related, related_table(&related))
    }
}

/// An order that shares something with another.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RelatedOrder {
    /// Its decision.
    #[serde(skip)]
    pub(super) key: ItemKey,
    /// The id as the shop writes it.
    pub(super) order_id: String,
    /// The revision.
    revision: u64,
    /// When it was made.
    event_timestamp: String,
    /// What the shop acts on.
    outcome: String,
    /// Whether it waits for a verdict.
    pub(super) is_waiting: bool,
    /// The names of the keys that both have, and `customer` for the entity.
    shares: BTreeSet<String>,
}

/// Where related orders are looked for, beside those of the same entity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RelatedIn {
    /// Among the cases that wait and have the largest losses.
    Waiting,
    /// Among all cases that wait.
    AllWaiting,
    /// Among all decisions.
    Decisions,
}

/// The orders that share a key or the entity with an order.
pub(super) async fn find_related(
    desk: &Desk<'_>,
    decision: &Decision,
    scope: RelatedIn,
) -> Result<Vec<RelatedOrder>, CommandError> {
    let mut found: BTreeMap<ItemKey, RelatedOrder> = BTreeMap::new();
    let keys = &decision.velocity_keys;
    let queues = Reviews::queues(&desk.mapping);
    let most = match scope {
        RelatedIn::AllWaiting => usize::MAX,
        RelatedIn::Waiting | RelatedIn::Decisions => MOST_CASES,
    };
    let cases = desk
        .reviews
        .waiting(&desk.mapping, &queues, most, desk.now)
        .await?;
    for case in cases {
        let shares = shared_keys(keys, &case.keys);
        if !shares.is_empty() {
            let related = RelatedOrder {
                key: case.key.clone(),
                order_id: case.order_id,
                revision: case.revision,
                event_timestamp: case.event_timestamp,
                outcome: case.outcome,
                is_waiting: true,
                shares,
            };
            found.insert(case.key, related);
        }
    }
    let decisions = desk.workspace.pipeline.decisions();
    if decision.gsi1pk.is_some() {
        let (entity_type, entity_id) = (&decision.entity_type, &decision.entity_id);
        let of_entity = decisions.decisions_of_entity(entity_type, entity_id, OF_ENTITY);
        for other in of_entity.await? {
            add_decision(&mut found, decision, &other);
        }
    }
    let mut page = None;
    let mut is_left = scope == RelatedIn::Decisions;
    while is_left {
        let scanned = decisions
            .scan_page(desk.mapping.event_type(), page.as_ref())
            .await?;
        for (_, other) in &scanned.items {
            add_decision(&mut found, decision, other);
        }
        page = scanned.next;
        is_left = page.is_some();
    }
    // Revisions of the order itself are no other orders.
    let others = found.into_values();
    let mut others: Vec<RelatedOrder> = others
        .filter(|other| other.key.pk() != decision.pk)
        .collect();
    others.sort_by(|a, b| {
        let order = |it: &RelatedOrder| (it.is_waiting, it.shares.len());
        order(b)
            .cmp(&order(a))
            .then_with(|| b.event_timestamp.cmp(&a.event_timestamp))
    });
    Ok(others)
}

fn add_decision(
    found: &mut BTreeMap<ItemKey, RelatedOrder>,
    decision: &Decision,
    other: &Decision,
) {
    let mut shares = shared_keys(&decision.velocity_keys, &other.velocity_keys);
    if decision.gsi1pk.is_some() && decision.gsi1pk == other.gsi1pk {
        shares.insert(decision.entity_type.clone());
    }
    if shares.is_empty() {
        return;
    }
    let known = found.entry(other.key()).or_insert_with(|| RelatedOrder {
        key: other.key(),
        order_id: other.order_id.clone(),
        revision: other.revision,
        event_timestamp: other.event_timestamp.clone(),
        outcome: other.current_outcome().to_owned(),
        is_waiting: other.is_waiting(),
        shares: BTreeSet::new(),
    });
    known.shares.extend(shares);
}

/// The names of the keys of which both orders have a same value.
fn shared_keys(one: &HashedKeys, other: &HashedKeys) -> BTreeSet<String> {
    let has_same = |name: &String, hashes: &[String]| {
        let others = other.get(name);
        others.is_some_and(|others| hashes.iter().any(|hash| others.contains(hash)))
    };
    let same = one.iter().filter(|(name, hashes)| has_same(name, hashes));
    same.map(|(name, _)| name.clone()).collect()
}

/// Related orders as a table.
pub(super) fn related_table(related: &[RelatedOrder]) -> String {
    if related.is_empty() {
        return "  none\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["order", "revision", "time", "decision", "waits", "shares"]);
    for order in related.iter().take(ROWS) {
        let shares: Vec<&str> = order.shares.iter().map(String::as_str).collect();
        table.add_row([
            printable_value(&order.order_id),
            order.revision.to_string(),
            order.event_timestamp.clone(),
            order.outcome.clone(),
            if order.is_waiting { "yes" } else { "no" }.to_owned(),
            shares.join(", "),
        ]);
    }
    let more = match related.len().saturating_sub(ROWS) {
        0 => String::new(),
        more => format!("and {more} more; --json prints all\n"),
    };
    format!("{table}\n{more}")
}

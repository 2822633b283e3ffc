//! Corrupts orders as real feeds do: typing errors, other versions of the shop, retries.

use serde_json::{Map, Value};

use super::order::{MINUTE, ShopOrder, format_time};
use super::random::RandomStream;
use super::truth::Draft;
use super::world;

/// How many lines of a file of new orders are not the first delivery of a good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CorruptionPlan {
    /// The same bytes once more.
    pub(super) duplicates: usize,
    /// A second revision of an order.
    pub(super) edits: usize,
    /// Another content under the same id and revision: it is unknown which one is right.
    pub(super) changed: usize,
    /// Lines without a readable order, id or time.
    pub(super) broken: usize,
}

impl CorruptionPlan {
    pub(super) fn for_lines(lines: u64) -> Self {
        let share = |permille: u64| usize::try_from(lines * permille / 1000).unwrap_or(0);
        Self {
            duplicates: share(15),
            edits: share(12),
            changed: usize::from(lines > 99),
            broken: share(4),
        }
    }

    pub(super) fn lines(self) -> usize {
        self.duplicates + self.edits + self.changed + self.broken
    }
}

/// The orders as an export has them: one line each, some with typing errors.
pub(super) fn export_orders(drafts: &[Draft], chance: &mut RandomStream) -> Vec<String> {
    let mut lines: Vec<String> = drafts
        .iter()
        .map(|draft| write_line(&draft.order, chance))
        .collect();
    swap_neighbours(&mut lines, chance);
    lines
}

/// The orders as a stream delivers them: some twice, some edited, some broken, some late.
///
/// `broken` are honest orders of which nothing readable arrives.
pub(super) fn stream_orders(
    drafts: &[Draft],
    broken: &[Draft],
    plan: CorruptionPlan,
    chance: &mut RandomStream,
) -> Vec<String> {
    let mut lines: Vec<(i64, String)> = Vec::new();
    for draft in drafts {
        lines.push((draft.order.at, write_line(&draft.order, chance)));
    }
    for _ in 0..plan.duplicates.min(drafts.len()) {
        let (at, line) = lines[chance.index(drafts.len())].clone();
        lines.push((at + chance.between(1, 20 * MINUTE), line));
    }
    for edit in 0..(plan.edits + plan.changed).min(drafts.len()) {
        // One order of each stretch, so that no order is edited twice.
        let stretch = drafts.len() / (plan.edits + plan.changed);
        let draft = &drafts[edit * stretch + chance.index(stretch.max(1))];
        let revision = (edit >= plan.changed).then_some(2);
        let later = draft.order.at + chance.between(2 * MINUTE, 90 * MINUTE);
        lines.push((
            later,
            write_order(&edit_order(&draft.order, revision, chance)),
        ));
    }
    for (kind, draft) in broken.iter().enumerate() {
        lines.push((draft.order.at, write_malformed_order(&draft.order, kind)));
    }
    lines.sort_by_key(|&(at, _)| at);
    let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    swap_neighbours(&mut lines, chance);
    lines
}

/// Swaps some neighbouring lines, because queues do not keep the order exactly.
fn swap_neighbours(lines: &mut [String], chance: &mut RandomStream) {
    for place in 0..lines.len() {
        if chance.permille(40) {
            let other = (place + 1 + chance.index(6)).min(lines.len() - 1);
            lines.swap(place, other);
        }
    }
}

/// The order after a change that the customer asked for.
fn edit_order(order: &ShopOrder, revision: Option<u32>, chance: &mut RandomStream) -> ShopOrder {
    let mut edited = order.clone();
    edited.revision = revision;
    if revision.is_some() && chance.permille(500) {
        edited.shipping.address = format!("{}, back door", edited.shipping.address);
    } else if let Some(item) = edited.items.first_mut() {
        item.quantity += 1;
    }
    edited.add_up();
    edited
}

fn write_line(order: &ShopOrder, chance: &mut RandomStream) -> String {
    if !chance.permille(45) {
        return write_order(order);
    }
    let mut value = serde_json::to_value(order).unwrap_or_default();
    corrupt_member(&mut value, order, chance);
    value.to_string()
}

fn write_order(order: &ShopOrder) -> String {
    serde_json::to_string(order).unwrap_or_default()
}

/// Corrupts one member.
fn corrupt_member(order: &mut Value, clean: &ShopOrder, chance: &mut RandomStream) {
    match chance.below(100) {
        0..8 => set_member(order, "customer", "email", corrupt_email(clean, chance)),
        8..14 => set_member(
            order,
            "customer",
            "email",
            Value::from(clean.customer.email.to_uppercase()),
        ),
        14..30 => set_member(order, "customer", "phone", corrupt_phone(chance)),
        30..42 => lower_case_countries(order, clean),
        42..52 => empty_member(order, chance),
        52..70 => remove_member(order, chance),
        70..80 => set_member(
            order,
            "payment",
            "attempts",
            Value::from(clean.payment.attempts.to_string()),
        ),
        80..88 => corrupt_sign_up(order, clean, chance),
        88..94 => set_member(
            order,
            "shipping",
            "postal_code",
            Value::from(format!("{} ", clean.shipping.postal_code)),
        ),
        94..97 => set_member(order, "client", "ip", corrupt_ip(clean, chance)),
        _ => corrupt_total(order, clean, chance),
    }
}

fn find_group<'a>(order: &'a mut Value, group: &str) -> Option<&'a mut Map<String, Value>> {
    order.get_mut(group)?.as_object_mut()
}

fn set_member(order: &mut Value, group: &str, member: &str, value: Value) {
    if let Some(part) = find_group(order, group) {
        part.insert(member.to_owned(), value);
    }
}

fn corrupt_email(clean: &ShopOrder, chance: &mut RandomStream) -> Value {
    let local = clean.customer.email.split('@').next().unwrap_or_default();
    let email = match chance.below(5) {
        0 => String::new(),
        1 => local.to_owned(),
        2 => format!("{local}@"),
        3 => format!(" {} ", clean.customer.email),
        _ => "n/a".to_owned(),
    };
    Value::from(email)
}

fn corrupt_phone(chance: &mut RandomStream) -> Value {
    let pattern = *chance.pick(&[
        "(415) 555-01##",
        "415-555-01##",
        "001 415 555 01##",
        "415.555.01##",
        "0",
        "",
        "none",
    ]);
    Value::from(world::fill_digits(chance, pattern))
}

fn lower_case_countries(order: &mut Value, clean: &ShopOrder) {
    set_member(
        order,
        "billing",
        "country",
        Value::from(clean.billing.country.to_lowercase()),
    );
    set_member(
        order,
        "shipping",
        "country",
        Value::from(clean.shipping.country.to_lowercase()),
    );
}

/// Members that an older version of the shop leaves empty or out.
const OPTIONAL: &[(&str, &str)] = &[
    ("customer", "phone"),
    ("customer", "signed_up_at"),
    ("client", "user_agent"),
    ("client", "device_id"),
    ("shipping", "state"),
    ("billing", "state"),
    ("payment", "avs"),
    ("payment", "card_bin"),
    ("payment", "card_fingerprint"),
];

fn empty_member(order: &mut Value, chance: &mut RandomStream) {
    let (group, member) = *chance.pick(OPTIONAL);
    set_member(order, group, member, Value::from(""));
}

fn remove_member(order: &mut Value, chance: &mut RandomStream) {
    let (group, member) = *chance.pick(OPTIONAL);
    if let Some(part) = find_group(order, group) {
        part.shift_remove(member);
    }
}

fn corrupt_sign_up(order: &mut Value, clean: &ShopOrder, chance: &mut RandomStream) {
    let Some(at) = clean.customer.signed_up else {
        return;
    };
    let value = match chance.below(3) {
        0 => Value::from("0000-00-00T00:00:00Z"),
        1 => Value::from(at),
        _ => Value::from(format_time(at).replace('T', " ").replace('Z', "")),
    };
    set_member(order, "customer", "signed_up_at", value);
}

fn corrupt_ip(clean: &ShopOrder, chance: &mut RandomStream) -> Value {
    Value::from(match chance.below(3) {
        0 => "unknown".to_owned(),
        1 => format!("{}, 10.0.0.7", clean.client.ip),
        _ => "999.1.2.3".to_owned(),
    })
}

/// The total as a number, with space around it, or with a separator of thousands.
fn corrupt_total(order: &mut Value, clean: &ShopOrder, chance: &mut RandomStream) {
    let total = clean.total.to_string();
    let value = match chance.below(3) {
        0 => serde_json::from_str(&total).unwrap_or_default(),
        1 => Value::from(format!(" {total} ")),
        _ => Value::from(format!("1,{total}")),
    };
    if let Some(member) = order.get_mut("total") {
        *member = value;
    }
}

/// A line that can never become a decision.
fn write_malformed_order(order: &ShopOrder, kind: usize) -> String {
    let text = write_order(order);
    let mut value = serde_json::to_value(order).unwrap_or_default();
    let put = |value: &mut Value, member: &str, to: Value| {
        if let Some(part) = value.as_object_mut() {
            part.insert(member.to_owned(), to);
        }
    };
    match kind % 8 {
        0 => text.chars().take(180).collect(),
        1 => format!("order_id={};total={}", order.id, order.total),
        2 => {
            if let Some(part) = value.as_object_mut() {
                part.shift_remove("order_id");
            }
            value.to_string()
        }
        3 => {
            put(&mut value, "created_at", Value::from("31/06/2026 25:61"));
            value.to_string()
        }
        4 => {
            put(&mut value, "order_id", Value::Null);
            value.to_string()
        }
        5 => format!("[{text}]"),
        6 => {
            put(&mut value, "created_at", Value::from("yesterday"));
            value.to_string()
        }
        _ => {
            if let Some(part) = value.as_object_mut() {
                part.shift_remove("created_at");
            }
            value.to_string()
        }
    }
}

//! What banks, processors and customers report afterwards, and when.

use serde::{Serialize, Serializer};

use super::order::{DAY, HOUR, Money, Seconds, time_text};
use super::random::{Chance, Curve};
use super::truth::Draft;

/// One message about an order, as a payment processor sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chargeback {
    /// As on the order.
    pub order_id: String,
    /// `chargeback`, `early_warning`, `refund` or `reversal`.
    pub kind: &'static str,
    /// The card scheme's code, or the shop's word for a refund.
    pub reason_code: &'static str,
    /// When it was reported.
    #[serde(rename = "label_timestamp", serialize_with = "serialize_report_time")]
    pub at: Said,
    /// All of the order's total or a part of it.
    pub amount: Money,
    /// The order's own.
    pub currency: &'static str,
    /// Who reports it.
    pub source: &'static str,
}

/// A moment: to the second, or only to the day, as some processors report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// Seconds since 1970.
    pub second: Seconds,
    /// Only the day is written.
    pub day_only: bool,
}

fn serialize_report_time<S: Serializer>(at: &Said, serializer: S) -> Result<S::Ok, S::Error> {
    let text = time_text(at.second);
    serializer.serialize_str(match text.get(..10) {
        Some(day) if at.day_only => day,
        _ => &text,
    })
}

/// Days from the order to its chargeback.
const DELAY: &Curve = &[
    (0, 3),
    (250, 14),
    (500, 25),
    (750, 42),
    (950, 84),
    (1000, 120),
];

const FRAUD_CODES: &[(&str, u64)] = &[("10.4", 52), ("4837", 34), ("F29", 9), ("10.5", 5)];
const DISPUTE_CODES: &[(&str, u64)] = &[("13.1", 45), ("13.3", 30), ("4853", 25)];

/// All messages about the orders, in order of time.
pub(super) fn of(drafts: &[Draft], chance: &mut Chance) -> Vec<Chargeback> {
    let mut said = Vec::new();
    for draft in drafts {
        if draft.fraud() {
            of_fraud(draft, chance, &mut said);
        } else {
            of_honest(draft, chance, &mut said);
        }
    }
    said.sort_by(|a, b| (a.at.second, &a.order_id).cmp(&(b.at.second, &b.order_id)));
    said
}

/// Most frauds lead to a chargeback; some are never noticed.
fn of_fraud(draft: &Draft, chance: &mut Chance, said: &mut Vec<Chargeback>) {
    if chance.permille(150) {
        return;
    }
    let delay = delay(chance);
    if chance.permille(180) {
        let sooner = (delay / 3).max(6 * HOUR);
        said.push(message(
            draft,
            chance,
            "early_warning",
            "fraud",
            sooner,
            "scheme",
        ));
        if chance.permille(250) {
            // The shop refunds the money before the bank takes it back.
            said.push(message(
                draft,
                chance,
                "refund",
                "fraud_suspected",
                sooner + DAY,
                "shop",
            ));
            return;
        }
    }
    let code = chance.weighted(FRAUD_CODES);
    said.push(message(
        draft,
        chance,
        "chargeback",
        code,
        delay,
        "processor",
    ));
    if chance.permille(30) {
        let later = delay + chance.between(8 * DAY, 30 * DAY);
        said.push(message(draft, chance, "reversal", code, later, "processor"));
    }
}

/// Returns, disputes about parcels, and customers who deny what they bought.
fn of_honest(draft: &Draft, chance: &mut Chance, said: &mut Vec<Chargeback>) {
    match chance.below(10_000) {
        0..240 => {
            let later = chance.between(2 * DAY, 40 * DAY);
            said.push(message(draft, chance, "refund", "returned", later, "shop"));
        }
        240..340 => {
            let later = chance.between(2 * DAY, 40 * DAY);
            let mut part = message(draft, chance, "refund", "returned_part", later, "shop");
            part.amount.minor = (part.amount.minor * chance.between(15, 70) / 100).max(1);
            said.push(part);
        }
        340..353 => {
            let (code, later) = (chance.weighted(DISPUTE_CODES), delay(chance));
            said.push(message(
                draft,
                chance,
                "chargeback",
                code,
                later,
                "processor",
            ));
        }
        353..359 => friendly(draft, chance, said),
        _ => {}
    }
}

/// Friendly fraud: the customer denies the purchase, and often the shop can prove it.
fn friendly(draft: &Draft, chance: &mut Chance, said: &mut Vec<Chargeback>) {
    let (code, later) = (chance.weighted(FRAUD_CODES), delay(chance));
    said.push(message(
        draft,
        chance,
        "chargeback",
        code,
        later,
        "processor",
    ));
    if chance.permille(400) {
        let won = later + chance.between(10 * DAY, 35 * DAY);
        said.push(message(draft, chance, "reversal", code, won, "processor"));
    }
}

fn delay(chance: &mut Chance) -> Seconds {
    chance.curve(DELAY) * DAY + chance.between(0, DAY - 1)
}

fn message(
    draft: &Draft,
    chance: &mut Chance,
    kind: &'static str,
    reason_code: &'static str,
    later: Seconds,
    source: &'static str,
) -> Chargeback {
    Chargeback {
        order_id: draft.order.id.clone(),
        kind,
        reason_code,
        at: Said {
            second: draft.order.at + later,
            day_only: chance.permille(40),
        },
        amount: draft.order.total,
        currency: draft.order.payment.currency,
        source,
    }
}

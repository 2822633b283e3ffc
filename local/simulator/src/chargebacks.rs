//! What banks, processors and customers report afterwards, and when.

use serde::{Serialize, Serializer};

use super::order::{DAY, HOUR, OrderAmount, Seconds, format_time};
use super::random::{QuantileCurve, RandomStream};
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
    pub at: ReportTime,
    /// All of the order's total or a part of it.
    pub amount: OrderAmount,
    /// The order's own.
    pub currency: &'static str,
    /// Who reports it.
    pub source: &'static str,
}

/// A moment: to the second, or only to the day, as some processors report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportTime {
    /// Seconds since 1970.
    pub second: Seconds,
    /// Only the day is written.
    pub day_only: bool,
}

fn serialize_report_time<S: Serializer>(at: &ReportTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = format_time(at.second);
    serializer.serialize_str(match text.get(..10) {
        Some(day) if at.day_only => day,
        _ => &text,
    })
}

/// Days from the order to its chargeback.
const DELAY: &QuantileCurve = &[
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
pub(super) fn report_chargebacks(drafts: &[Draft], chance: &mut RandomStream) -> Vec<Chargeback> {
    let mut said = Vec::new();
    for draft in drafts {
        if draft.is_fraud() {
            report_fraud(draft, chance, &mut said);
        } else {
            report_honest_order(draft, chance, &mut said);
        }
    }
    said.sort_by(|a, b| (a.at.second, &a.order_id).cmp(&(b.at.second, &b.order_id)));
    said
}

/// Most frauds lead to a chargeback; some are never noticed.
fn report_fraud(draft: &Draft, chance: &mut RandomStream, said: &mut Vec<Chargeback>) {
    if chance.permille(150) {
        return;
    }
    let delay = choose_delay(chance);
    if chance.permille(180) {
        let sooner = (delay / 3).max(6 * HOUR);
        said.push(build_chargeback(
            draft,
            chance,
            "early_warning",
            "fraud",
            sooner,
            "scheme",
        ));
        if chance.permille(250) {
            // The shop refunds the money before the bank takes it back.
            said.push(build_chargeback(
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
    said.push(build_chargeback(
        draft,
        chance,
        "chargeback",
        code,
        delay,
        "processor",
    ));
    if chance.permille(30) {
        let later = delay + chance.between(8 * DAY, 30 * DAY);
        said.push(build_chargeback(
            draft,
            chance,
            "reversal",
            code,
            later,
            "processor",
        ));
    }
}

/// Returns, disputes about parcels, and customers who deny what they bought.
fn report_honest_order(draft: &Draft, chance: &mut RandomStream, said: &mut Vec<Chargeback>) {
    match chance.below(10_000) {
        0..240 => {
            let later = chance.between(2 * DAY, 40 * DAY);
            said.push(build_chargeback(
                draft, chance, "refund", "returned", later, "shop",
            ));
        }
        240..340 => {
            let later = chance.between(2 * DAY, 40 * DAY);
            let mut part =
                build_chargeback(draft, chance, "refund", "returned_part", later, "shop");
            part.amount.minor = (part.amount.minor * chance.between(15, 70) / 100).max(1);
            said.push(part);
        }
        340..353 => {
            let (code, later) = (chance.weighted(DISPUTE_CODES), choose_delay(chance));
            said.push(build_chargeback(
                draft,
                chance,
                "chargeback",
                code,
                later,
                "processor",
            ));
        }
        353..359 => report_friendly_fraud(draft, chance, said),
        _ => {}
    }
}

/// Friendly fraud: the customer denies the purchase, and often the shop can prove it.
fn report_friendly_fraud(draft: &Draft, chance: &mut RandomStream, said: &mut Vec<Chargeback>) {
    let (code, later) = (chance.weighted(FRAUD_CODES), choose_delay(chance));
    said.push(build_chargeback(
        draft,
        chance,
        "chargeback",
        code,
        later,
        "processor",
    ));
    if chance.permille(400) {
        let won = later + chance.between(10 * DAY, 35 * DAY);
        said.push(build_chargeback(
            draft,
            chance,
            "reversal",
            code,
            won,
            "processor",
        ));
    }
}

fn choose_delay(chance: &mut RandomStream) -> Seconds {
    chance.curve(DELAY) * DAY + chance.between(0, DAY - 1)
}

fn build_chargeback(
    draft: &Draft,
    chance: &mut RandomStream,
    kind: &'static str,
    reason_code: &'static str,
    later: Seconds,
    source: &'static str,
) -> Chargeback {
    Chargeback {
        order_id: draft.order.id.clone(),
        kind,
        reason_code,
        at: ReportTime {
            second: draft.order.at + later,
            day_only: chance.permille(40),
        },
        amount: draft.order.total,
        currency: draft.order.payment.currency,
        source,
    }
}

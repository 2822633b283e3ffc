//! The reason codes of chargebacks of four card schemes, in the groups that matter for labels.
//!
//! From the schemes' public guides for merchants: Visa's Dispute Management Guidelines (conditions 10 to 13), Mastercard's
//! Chargeback Guide, American Express's chargeback codes and Discover's Dispute Rules. Of Mastercard's
//! codes those that were retired in favour of 4834 and 4853 are read as well, because old files have them.

use serde::Deserialize;

/// Why a card holder or their bank disputes a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReasonGroup {
    /// The card holder did not order it.
    Fraud,
    /// The payment was not authorized as it should have been.
    Authorization,
    /// Wrong amount, currency or account, paid twice, presented late.
    Processing,
    /// Goods or service: not received, not as described, not refunded.
    Consumer,
}

/// Beginnings of codes: a whole group of Visa's has the same.
const BEGINNINGS: &[(&str, ReasonGroup)] = &[
    ("10.", ReasonGroup::Fraud),
    ("11.", ReasonGroup::Authorization),
    ("12.", ReasonGroup::Processing),
    ("13.", ReasonGroup::Consumer),
];

/// The codes of Mastercard, American Express and Discover.
const CODES: &[(ReasonGroup, &[&str])] = &[
    (
        ReasonGroup::Fraud,
        &[
            "4837", "4840", "4847", "4849", "4862", "4863", "4870", "4871", // Mastercard
            "F10", "F14", "F24", "F29", "F30", "F31", "FR2", "FR4", "FR6", // American Express
            "UA01", "UA02", "UA05", "UA06", "UA10", "UA11", // Discover
        ],
    ),
    (
        ReasonGroup::Authorization,
        &["4807", "4808", "4812", "A01", "A02", "A08", "AT"],
    ),
    (
        ReasonGroup::Processing,
        &[
            "4831", "4834", "4842", "4846", // Mastercard
            "P01", "P03", "P04", "P05", "P07", "P08", "P22", "P23", // American Express
            "AW", "CD", "DP", "IN", "LP", // Discover
        ],
    ),
    (
        ReasonGroup::Consumer,
        &[
            "4841", "4853", "4854", "4855", "4859", "4860", // Mastercard
            "C02", "C04", "C05", "C08", "C14", "C18", "C28", "C31", "C32",
            "M10", // American Express
            "AA", "AP", "NF", "RG", "RM", "RN2", // Discover
        ],
    ),
];

impl ReasonGroup {
    /// The group of a code; `None` if no scheme has it.
    pub(crate) fn of_code(code: &str) -> Option<Self> {
        let code = code.trim();
        let is_code = |known: &&&str| known.eq_ignore_ascii_case(code);
        let of_beginning = BEGINNINGS
            .iter()
            .find(|(beginning, _)| code.starts_with(beginning));
        let of_beginning = of_beginning.map(|(_, group)| *group);
        of_beginning.or_else(|| {
            let mut groups = CODES.iter();
            groups
                .find(|(_, codes)| codes.iter().any(|known| is_code(&known)))
                .map(|(group, _)| *group)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_four_schemes_have_a_group() {
        for (code, want) in [
            ("10.4", Some(ReasonGroup::Fraud)),
            ("13.1", Some(ReasonGroup::Consumer)),
            ("4837", Some(ReasonGroup::Fraud)),
            ("4808", Some(ReasonGroup::Authorization)),
            (" f29 ", Some(ReasonGroup::Fraud)),
            ("P08", Some(ReasonGroup::Processing)),
            ("UA02", Some(ReasonGroup::Fraud)),
            ("RG", Some(ReasonGroup::Consumer)),
            ("100", None),
            ("", None),
        ] {
            assert_eq!(ReasonGroup::of_code(code), want, "{code}");
        }
    }

    #[test]
    fn no_code_is_in_two_groups() {
        let mut codes: Vec<&str> = CODES
            .iter()
            .flat_map(|(_, codes)| codes.iter().copied())
            .collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}

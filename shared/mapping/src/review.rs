//! How people review orders: what a case is worth, how long it may wait, how many a day they can decide.

use std::collections::BTreeMap;

use event::{LabelName, OutcomeName, RuleId, VariableName};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;
use velocity::Window;

use crate::located_error::LocatedError;

/// How long a claim holds where the file does not say it.
const CLAIM: &str = "15m";
/// The risk of an order that has neither a score nor a rule with a risk.
const UNKNOWN_RISK: f64 = 0.5;

/// `decision.review`, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReviewSection {
    amount: Option<Spanned<VariableName>>,
    stoppable_until: Option<Spanned<VariableName>>,
    #[serde(deserialize_with = "read_duration")]
    stoppable_for: Option<Window>,
    risk: BTreeMap<RuleId, Spanned<f64>>,
    sla: BTreeMap<OutcomeName, Spanned<SlaSection>>,
    reviews_per_day: Option<Spanned<u32>>,
    overflow: Option<Spanned<OutcomeName>>,
    #[serde(deserialize_with = "read_duration")]
    claim: Option<Window>,
    recheck: Option<Spanned<f64>>,
    approve: Option<Spanned<VerdictSection>>,
    block: Option<Spanned<VerdictSection>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SlaSection {
    #[serde(default, deserialize_with = "read_duration")]
    within: Option<Window>,
    then: OutcomeName,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VerdictSection {
    outcome: OutcomeName,
    label: LabelName,
}

fn read_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Window>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(|_| {
        de::Error::custom(format!(
            "`{text}` is not a duration; write minutes, hours or days from 1m to 90d, such as 30m or 4h"
        ))
    })
}

/// How people review orders, with what the file leaves out filled in.
#[derive(Clone, Debug)]
pub struct ReviewSettings {
    /// The variable with the money of an order.
    pub amount: Option<VariableName>,
    /// The variable with the time until which an order can be stopped, such as that of its shipment.
    pub stoppable_until: Option<VariableName>,
    /// How long after it was made an order can be stopped, if no variable says it.
    pub stoppable_for: Option<Window>,
    /// The risk of an order without a score, from 0 to 1, by a rule that matched.
    pub risk: BTreeMap<RuleId, f64>,
    /// How long a case may wait, by the outcome that its order has meanwhile.
    pub sla: BTreeMap<OutcomeName, Sla>,
    /// The most cases that wait at a time, and the outcome of the others.
    pub capacity: Option<ReviewCapacity>,
    /// How long a claim holds.
    pub claim: Window,
    /// The share of verdicts that a second person gives again, from 0 to 1.
    pub recheck: f64,
    /// What the verdict `approve` does.
    pub approve: VerdictEffect,
    /// What the verdict `block` does.
    pub block: VerdictEffect,
}

/// How long a case may wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sla {
    /// The time for a verdict.
    pub within: Window,
    /// The outcome afterwards.
    pub then: OutcomeName,
}

/// How many cases people can decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewCapacity {
    /// The most cases that wait at a time: as many as are decided in a day.
    pub reviews_per_day: u32,
    /// The outcome of those that find no place.
    pub overflow: OutcomeName,
}

/// What a verdict does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictEffect {
    /// The outcome that the shop acts on from then on.
    pub outcome: String,
    /// What the order turned out to be.
    pub label: String,
}

impl ReviewSettings {
    /// The risk of an order, from 0 to 1: its highest score of 1000, or else the risk of the rules that matched, or else a
    /// half.
    pub fn risk<'r>(
        &self,
        scores: impl Iterator<Item = f64>,
        matched_rules: impl Iterator<Item = &'r str>,
    ) -> f64 {
        let of_scores = scores.map(|score| (score / 1000.0).clamp(0.0, 1.0));
        let of_rules = matched_rules.filter_map(|rule| {
            let mut known = self.risk.iter();
            known
                .find(|(id, _)| id.as_str() == rule)
                .map(|(_, risk)| *risk)
        });
        of_scores
            .reduce(f64::max)
            .or_else(|| of_rules.reduce(f64::max))
            .unwrap_or(UNKNOWN_RISK)
    }

    /// How long a case may wait whose order has this outcome meanwhile.
    pub fn sla(&self, outcome: &str) -> Option<&Sla> {
        let mut known = self.sla.iter();
        known
            .find(|(name, _)| name.as_str() == outcome)
            .map(|(_, sla)| sla)
    }
}

/// What the rest of the file says, against which the section is checked.
pub(crate) struct Surroundings<'a> {
    pub(crate) outcomes: &'a [OutcomeName],
    pub(crate) reviewable: &'a [OutcomeName],
    pub(crate) is_variable: &'a dyn Fn(&VariableName) -> bool,
    /// The first variable that is an amount of money.
    pub(crate) amount: Option<VariableName>,
}

impl Surroundings<'_> {
    fn check_variable<'s>(
        &self,
        key: &str,
        name: Option<&'s Spanned<VariableName>>,
    ) -> Result<Option<&'s VariableName>, LocatedError> {
        match name {
            Some(name) if !(self.is_variable)(&name.value) => Err(fault(
                name,
                format!(
                    "`{key}` names `{}`, which is not among `variables`",
                    name.value
                ),
            )),
            name => Ok(name.map(|name| &name.value)),
        }
    }

    /// Checks an outcome that a case gets: it is known, and does not wait for people again.
    fn check_outcome<T>(
        &self,
        place: &Spanned<T>,
        key: &str,
        outcome: &OutcomeName,
    ) -> Result<(), LocatedError> {
        self.check_known(place, key, outcome)?;
        if self.reviewable.contains(outcome) {
            let what = format!(
                "`{key}` names `{outcome}`, which is `reviewable`; name an outcome that waits for nobody"
            );
            return Err(fault(place, what));
        }
        Ok(())
    }

    fn check_known<T>(
        &self,
        place: &Spanned<T>,
        key: &str,
        outcome: &OutcomeName,
    ) -> Result<(), LocatedError> {
        if self.outcomes.contains(outcome) {
            return Ok(());
        }
        let known: Vec<_> = self.outcomes.iter().map(|it| format!("`{it}`")).collect();
        let what = format!(
            "`{key}` names `{outcome}`, which `outcome_priority` lacks; it has {}",
            known.join(", ")
        );
        Err(fault(place, what))
    }
}

fn fault<T>(place: &Spanned<T>, what: String) -> LocatedError {
    (place.referenced.line(), place.referenced.column(), what)
}

impl ReviewSection {
    /// Checks the section, and fills in what it leaves out.
    pub(crate) fn check(&self, file: &Surroundings<'_>) -> Result<ReviewSettings, LocatedError> {
        let amount = file.check_variable("amount", self.amount.as_ref())?;
        let until = file.check_variable("stoppable_until", self.stoppable_until.as_ref())?;
        let risk = self.risk.iter();
        let risk = risk.map(|(rule, risk)| Ok((rule.clone(), check_share("risk", risk)?)));
        let claim = CLAIM.parse().map_err(|_| (1, 1, CLAIM.to_owned()))?;
        Ok(ReviewSettings {
            amount: amount.cloned().or_else(|| file.amount.clone()),
            stoppable_until: until.cloned(),
            stoppable_for: self.stoppable_for,
            risk: risk.collect::<Result<_, LocatedError>>()?,
            sla: self.check_sla(file)?,
            capacity: self.check_capacity(file)?,
            claim: self.claim.unwrap_or(claim),
            recheck: match &self.recheck {
                Some(share) => check_share("recheck", share)?,
                None => 0.0,
            },
            approve: check_verdict(file, "approve", "legit", self.approve.as_ref())?,
            block: check_verdict(file, "block", "fraud", self.block.as_ref())?,
        })
    }

    fn check_sla(
        &self,
        file: &Surroundings<'_>,
    ) -> Result<BTreeMap<OutcomeName, Sla>, LocatedError> {
        let sla = self.sla.iter().map(|(outcome, section)| {
            file.check_known(section, "sla", outcome)?;
            file.check_outcome(section, "then", &section.value.then)?;
            let within = section.value.within.ok_or_else(|| {
                let what = "an entry of `sla` needs `within`, such as 4h".to_owned();
                fault(section, what)
            })?;
            let then = section.value.then.clone();
            Ok((outcome.clone(), Sla { within, then }))
        });
        sla.collect()
    }

    fn check_capacity(
        &self,
        file: &Surroundings<'_>,
    ) -> Result<Option<ReviewCapacity>, LocatedError> {
        match (&self.reviews_per_day, &self.overflow) {
            (None, None) => Ok(None),
            (Some(number), None) => {
                let what = "`reviews_per_day` needs `overflow`: the outcome of the others";
                Err(fault(number, what.to_owned()))
            }
            (None, Some(overflow)) => {
                let what = "`overflow` needs `reviews_per_day`: how many people can decide";
                Err(fault(overflow, what.to_owned()))
            }
            (Some(number), Some(overflow)) => {
                file.check_outcome(overflow, "overflow", &overflow.value)?;
                if number.value == 0 {
                    let what = "`reviews_per_day` is 0; write at least 1, or leave it out";
                    return Err(fault(number, what.to_owned()));
                }
                Ok(Some(ReviewCapacity {
                    reviews_per_day: number.value,
                    overflow: overflow.value.clone(),
                }))
            }
        }
    }
}

fn check_share(key: &str, share: &Spanned<f64>) -> Result<f64, LocatedError> {
    if (0.0..=1.0).contains(&share.value) {
        return Ok(share.value);
    }
    let what = format!(
        "`{key}` is {}; write a share from 0 to 1, such as 0.05",
        share.value
    );
    Err(fault(share, what))
}

fn check_verdict(
    file: &Surroundings<'_>,
    name: &str,
    label: &str,
    section: Option<&Spanned<VerdictSection>>,
) -> Result<VerdictEffect, LocatedError> {
    let Some(section) = section else {
        return Ok(VerdictEffect {
            outcome: name.to_owned(),
            label: label.to_owned(),
        });
    };
    file.check_outcome(section, name, &section.value.outcome)?;
    Ok(VerdictEffect {
        outcome: section.value.outcome.to_string(),
        label: section.value.label.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use crate::Mapping;
    use crate::sample::FILE;

    fn parse(review: &str) -> Result<Mapping, String> {
        let text = format!("{FILE}  reviewable: [review]\n  review: {review}\n");
        Mapping::parse("mapping.yaml", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let of_file = Mapping::parse("mapping.yaml", FILE).unwrap();
        for mapping in [of_file, parse("{}").unwrap()] {
            let review = mapping.review();
            assert_eq!(
                review.amount.as_ref().map(ToString::to_string).as_deref(),
                Some("price")
            );
            assert_eq!(review.claim.to_string(), "15m");
            assert_eq!(
                (
                    review.approve.outcome.as_str(),
                    review.block.label.as_str(),
                    review.recheck
                ),
                ("approve", "fraud", 0.0)
            );
            assert!(review.capacity.is_none() && review.sla.is_empty());
        }
    }

    #[test]
    fn the_highest_score_is_the_risk_or_else_that_of_a_rule() {
        let mapping = parse("{risk: {gift_cards: 0.8, new_account: 0.3}}").unwrap();
        for (scores, rules, want) in [
            ([].as_slice(), [].as_slice(), 0.5),
            (&[], &["other"], 0.5),
            (&[], &["new_account", "gift_cards"], 0.8),
            (&[120.0, 910.0], &["gift_cards"], 0.91),
            (&[1200.0], &[], 1.0),
        ] {
            let got = mapping
                .review()
                .risk(scores.iter().copied(), rules.iter().copied());
            assert!((got - want).abs() < 1e-9, "{scores:?} {rules:?} {got}");
        }
    }

    #[test]
    fn a_mistake_says_where_and_what_would_be_right() {
        for (review, want) in [
            (
                "{amount: total}",
                "17:20: `amount` names `total`, which is not among `variables`",
            ),
            (
                "{stoppable_until: ships}",
                "17:29: `stoppable_until` names `ships`, which is not among `variables`",
            ),
            (
                "{claim: soon}",
                "17:19: `soon` is not a duration; write minutes, hours or days from 1m to 90d, such as 30m or 4h",
            ),
            (
                "{recheck: 5}",
                "17:21: `recheck` is 5; write a share from 0 to 1, such as 0.05",
            ),
            (
                "{reviews_per_day: 40}",
                "17:29: `reviews_per_day` needs `overflow`: the outcome of the others",
            ),
            (
                "{overflow: approve}",
                "17:22: `overflow` needs `reviews_per_day`: how many people can decide",
            ),
            (
                "{reviews_per_day: 0, overflow: approve}",
                "17:29: `reviews_per_day` is 0; write at least 1, or leave it out",
            ),
            (
                "{reviews_per_day: 40, overflow: review}",
                "17:43: `overflow` names `review`, which is `reviewable`; name an outcome that waits for nobody",
            ),
            (
                "{sla: {review: {within: 4h, then: block}}}",
                "17:26: `then` names `block`, which `outcome_priority` lacks; it has `review`, `approve`",
            ),
            (
                "{sla: {other: {within: 4h, then: approve}}}",
                "17:25: `sla` names `other`, which `outcome_priority` lacks; it has `review`, `approve`",
            ),
            (
                "{sla: {review: {then: approve}}}",
                "17:26: an entry of `sla` needs `within`, such as 4h",
            ),
            (
                "{block: {outcome: deny, label: fraud}}",
                "17:19: `block` names `deny`, which `outcome_priority` lacks; it has `review`, `approve`",
            ),
            (
                "{per_day: 3}",
                "17:12: unknown field `per_day`, expected one of amount, stoppable_until, stoppable_for, risk, sla, reviews_per_day, overflow, claim, recheck, approve, block",
            ),
        ] {
            assert_eq!(
                parse(review).unwrap_err(),
                format!("mapping.yaml:{want}"),
                "{review}"
            );
        }
    }
}

//! The report for a fraud lead: where the money went, which fraud was missed, and what each rule
//! contributed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::BufRead as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shared::decisions::Decision;

use evaluation::text_table::build_text_table;

/// The truth about one order, as the simulator knows it.
#[derive(Clone, Debug, Deserialize)]
pub struct KnownTruth {
    order_id: String,
    fraud: bool,
    pattern: String,
    why: String,
    amount_usd: String,
}

/// A number of orders and their money.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Volume {
    /// Orders.
    pub orders: u64,
    /// Their total in US cents.
    pub cents: u64,
}

/// The effect of one rule.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleReport {
    /// Orders it matched.
    pub hits: u64,
    /// Those that are fraud.
    pub fraud: u64,
    /// Those that are legitimate.
    pub good: u64,
    /// Frauds that no other rule matched.
    pub fraud_only_here: u64,
    /// Orders that no other rule matched.
    pub only_here: u64,
}

/// Decisions compared with the truth.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OutcomesByTruth {
    /// Fraudulent orders by outcome.
    pub fraud: BTreeMap<String, Volume>,
    /// Legitimate orders by outcome.
    pub good: BTreeMap<String, Volume>,
    /// Fraudulent orders by pattern: all, and those not approved.
    pub patterns: BTreeMap<String, (Volume, Volume)>,
}

/// One decision as an example.
#[derive(Clone, Debug, Serialize)]
pub struct ExampleDecision {
    order_id: String,
    amount: String,
    effective_outcome: String,
    rules: Vec<String>,
    truth: String,
}

/// The whole report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DemoReport {
    /// Orders decided, by effective outcome.
    pub outcomes: BTreeMap<String, Volume>,
    /// Orders with a rule that could not be evaluated.
    pub undetermined: u64,
    /// Records that got no decision and were not rejected: always 0.
    pub undecided: u64,
    /// Orders delivered again and not decided twice.
    pub duplicates: u64,
    /// Compared with the simulated truth.
    pub against: OutcomesByTruth,
    /// By rule.
    pub rules: BTreeMap<String, RuleReport>,
    /// A decision that stopped a fraud.
    pub caught: Option<ExampleDecision>,
    /// A fraud that was approved.
    pub missed: Option<ExampleDecision>,
    /// Rejected records: source position and reason.
    pub rejected: Vec<(String, String)>,
    /// Records a second, decisions on disk.
    pub records_per_second: f64,
}

/// Reads events/truth.jsonl.
///
/// # Errors
/// The file cannot be read, or a line cannot be parsed.
pub fn read_truth(path: &Path) -> std::io::Result<HashMap<String, KnownTruth>> {
    let file = std::fs::File::open(path)?;
    let mut truths = HashMap::new();
    for line in std::io::BufReader::new(file).lines() {
        let truth: KnownTruth = serde_json::from_str(&line?)?;
        truths.insert(truth.order_id.clone(), truth);
    }
    Ok(truths)
}

impl DemoReport {
    /// Adds one decision.
    pub fn add(&mut self, decision: &Decision, truth: Option<&KnownTruth>) {
        let cents = truth.map_or(0, |truth| parse_cents(&truth.amount_usd));
        let outcome = decision.effective_outcome.as_str();
        self.outcomes
            .entry(outcome.to_owned())
            .or_default()
            .add_order(cents);
        self.undetermined += u64::from(decision.undetermined);
        let is_fraud = truth.is_some_and(|truth| truth.fraud);
        let side = if is_fraud {
            &mut self.against.fraud
        } else {
            &mut self.against.good
        };
        side.entry(outcome.to_owned()).or_default().add_order(cents);
        let rules: Vec<String> = decision
            .verdict
            .matched_rules
            .iter()
            .map(|rule| rule.rule_id.clone())
            .collect();
        for rule in &rules {
            let report = self.rules.entry(rule.clone()).or_default();
            report.hits += 1;
            report.fraud += u64::from(is_fraud);
            report.good += u64::from(!is_fraud);
            report.only_here += u64::from(rules.len() == 1);
            report.fraud_only_here += u64::from(rules.len() == 1 && is_fraud);
        }
        if let Some(truth) = truth.filter(|truth| truth.fraud) {
            let (all, caught) = self
                .against
                .patterns
                .entry(truth.pattern.clone())
                .or_default();
            all.add_order(cents);
            if outcome != "approve" {
                caught.add_order(cents);
            }
            self.keep_example(decision, truth, rules);
        }
    }

    /// A fraudulent order that was not approved, as an example.
    pub fn caught_order(&self) -> Option<&str> {
        self.caught.as_ref().map(|story| story.order_id.as_str())
    }

    /// Keeps the stopped fraud with the most rules, and the most expensive one that was approved.
    fn keep_example(&mut self, decision: &Decision, truth: &KnownTruth, rules: Vec<String>) {
        let story = ExampleDecision {
            order_id: decision.order_id.clone(),
            amount: truth.amount_usd.clone(),
            effective_outcome: decision.effective_outcome.clone(),
            rules,
            truth: format!("{}: {}", truth.pattern.replace('_', " "), truth.why),
        };
        if story.effective_outcome == "approve" {
            let dearer = self
                .missed
                .as_ref()
                .is_none_or(|missed| parse_cents(&missed.amount) < parse_cents(&story.amount));
            if dearer {
                self.missed = Some(story);
            }
        } else if self
            .caught
            .as_ref()
            .is_none_or(|caught| caught.rules.len() < story.rules.len())
        {
            self.caught = Some(story);
        }
    }
}

impl Volume {
    fn add_order(&mut self, cents: u64) {
        self.orders += 1;
        self.cents += cents;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            orders: self.orders + other.orders,
            cents: self.cents + other.cents,
        }
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5} orders  {:>12}",
            self.orders,
            format_dollars(self.cents)
        )
    }
}

fn parse_cents(amount: &str) -> u64 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
    let part: String = part.chars().chain("00".chars()).take(2).collect();
    whole.parse::<u64>().unwrap_or(0) * 100 + part.parse::<u64>().unwrap_or(0)
}

fn format_dollars(cents: u64) -> String {
    let whole = (cents / 100).to_string();
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("${grouped}.{:02}", cents % 100)
}

fn format_indented_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let lines: Vec<String> = build_text_table(header, rows)
        .to_string()
        .lines()
        .map(|line| format!("  {}", line.trim_end()))
        .collect();
    lines.join("\n")
}

/// Outcomes, strictest first; others come after them.
const WEIGHT: [&str; 4] = ["block", "review", "challenge", "approve"];

fn sort_by_strictness<T>(map: &BTreeMap<String, T>) -> Vec<(&str, &T)> {
    let mut rows: Vec<(&str, &T)> = map
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    rows.sort_by_key(|(name, _)| {
        WEIGHT
            .iter()
            .position(|known| known == name)
            .unwrap_or(WEIGHT.len())
    });
    rows
}

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self
            .outcomes
            .values()
            .fold(Volume::default(), |sum, volume| sum.plus(*volume));
        writeln!(
            f,
            "{} orders decided, {} in all; undecided {}",
            total.orders,
            format_dollars(total.cents),
            self.undecided
        )?;
        let row = |(name, volume): (&str, &Volume)| {
            vec![
                name.to_owned(),
                volume.orders.to_string(),
                format_share(volume.orders, total.orders),
                format_dollars(volume.cents),
            ]
        };
        writeln!(
            f,
            "{}\n",
            format_indented_table(
                &["outcome", "orders", "share", "money"],
                sort_by_strictness(&self.outcomes).into_iter().map(row)
            )
        )?;
        self.write_against(f)?;
        self.write_rules(f)?;
        self.write_stories(f)?;
        self.write_rejected(f)?;
        writeln!(
            f,
            "{} orders could not be judged wholly (a value was missing or invalid) and went to review as the mapping says",
            self.undetermined
        )?;
        writeln!(
            f,
            "{} records were deliveries of an order that was decided already; none was decided twice",
            self.duplicates
        )?;
        writeln!(
            f,
            "{:.0} orders a second, decisions on disk",
            self.records_per_second
        )
    }
}

fn format_share(part: u64, whole: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let percent = if whole == 0 {
        0.0
    } else {
        part as f64 * 100.0 / whole as f64
    };
    format!("{percent:.1} %")
}

impl DemoReport {
    fn write_against(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |side: &BTreeMap<String, Volume>, outcome: &str| {
            side.get(outcome).copied().unwrap_or_default()
        };
        let fraud = |outcome| of(&self.against.fraud, outcome);
        writeln!(f, "against the simulated truth")?;
        writeln!(f, "  fraud stopped         {}", fraud("block"))?;
        writeln!(f, "  fraud in review       {}", fraud("review"))?;
        writeln!(f, "  fraud challenged      {}", fraud("challenge"))?;
        writeln!(f, "  fraud missed          {}", fraud("approve"))?;
        writeln!(
            f,
            "  good orders blocked   {}",
            of(&self.against.good, "block")
        )?;
        writeln!(
            f,
            "  good orders in review {}\n",
            of(&self.against.good, "review")
        )?;
        let row = |(pattern, (all, caught)): (&String, &(Volume, Volume))| {
            vec![
                pattern.replace('_', " "),
                all.orders.to_string(),
                caught.orders.to_string(),
                format_dollars(all.cents),
                format_dollars(caught.cents),
            ]
        };
        let rows = self.against.patterns.iter().map(row);
        writeln!(
            f,
            "{}\n",
            format_indented_table(
                &[
                    "pattern of fraud",
                    "orders",
                    "not approved",
                    "money",
                    "not approved"
                ],
                rows
            )
        )
    }

    fn write_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |(rule, report): (&String, &RuleReport)| {
            let RuleReport {
                hits,
                fraud,
                good,
                only_here,
                fraud_only_here,
            } = report;
            let mut row = vec![rule.clone()];
            row.extend([hits, fraud, good, only_here, fraud_only_here].map(ToString::to_string));
            row.push(format_share(*fraud, *hits));
            row
        };
        let header = [
            "rule",
            "hits",
            "fraud",
            "good",
            "only this rule",
            "of them fraud",
            "precision",
        ];
        writeln!(
            f,
            "{}\n",
            format_indented_table(&header, self.rules.iter().map(row))
        )
    }

    fn write_stories(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(story) = &self.caught {
            writeln!(
                f,
                "a fraud that was not approved: order {} of ${}",
                story.order_id, story.amount
            )?;
            writeln!(
                f,
                "  decision  {}, by {}",
                story.effective_outcome,
                story.rules.join(", ")
            )?;
            writeln!(f, "  truth     {}\n", story.truth)?;
        }
        if let Some(story) = &self.missed {
            let rules = if story.rules.is_empty() {
                "no rule matched".to_owned()
            } else {
                story.rules.join(", ")
            };
            writeln!(
                f,
                "the dearest miss: order {} of ${}",
                story.order_id, story.amount
            )?;
            writeln!(f, "  decision  {}, {rules}", story.effective_outcome)?;
            writeln!(f, "  truth     {}\n", story.truth)?;
        }
        Ok(())
    }

    fn write_rejected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} records rejected; each is kept whole, with its reason, and can be replayed",
            self.rejected.len()
        )?;
        for (position, reason) in &self.rejected {
            writeln!(f, "  {position}: {reason}")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_readable() {
        let cases = [
            (0, "$0.00"),
            (12_999, "$129.99"),
            (10_000_000, "$100,000.00"),
            (123_456_789, "$1,234,567.89"),
        ];
        for (amount, want) in cases {
            assert_eq!(format_dollars(amount), want);
        }
        assert_eq!(parse_cents("129.99"), 12_999);
        assert_eq!(parse_cents("5"), 500);
        assert_eq!(parse_cents("5.5"), 550);
    }
}

//! The draft as a mapping file, with comments that say what was guessed and why.

use std::fmt::{self, Write as _};

use super::draft::{ChosenField, Draft, OtherKind};
use super::field_samples::FieldSamples;
use super::roles::{Evidence, Role};
use super::status_words::StatusMeaning;
use super::value_shapes::{find_number_form, needs_number_form};
use super::yaml_text::{quote_yaml, strip_forbidden};
use crate::printable::{cut_value, printable_value};

/// Examples of a field's values for a comment, on one line.
pub(super) fn show_examples(field: &FieldSamples) -> String {
    let shown = field.values.iter().take(3);
    let shown = shown.map(|value| cut_value(value, 30));
    shown.collect::<Vec<String>>().join(" | ")
}

impl Draft<'_> {
    /// The text of the mapping file.
    pub(crate) fn write_mapping(&self, source: &str) -> Result<String, fmt::Error> {
        let mut text = String::new();
        writeln!(
            text,
            "# Drafted by `fraudstream init` from {source}: {} records were read.",
            self.samples.records
        )?;
        writeln!(
            text,
            "# Each line says what its field was taken for; lines with `QUESTION` need your answer."
        )?;
        writeln!(
            text,
            "# `fraudstream check FILE` shows what the file becomes. docs/mapping.md explains every key."
        )?;
        writeln!(
            text,
            "# The comments show values of the file, personal data among them: delete them before you share this file."
        )?;
        writeln!(text, "event_type: order\ndetector: orders")?;
        self.write_timezone(&mut text)?;
        self.write_no_value(&mut text)?;
        self.write_formats(&mut text)?;
        self.write_event(&mut text)?;
        self.write_variables(&mut text)?;
        self.write_aggregates(&mut text)?;
        text.push_str(DECISION);
        text.push_str(LABELS);
        Ok(strip_forbidden(&text))
    }

    fn write_timezone(&self, text: &mut String) -> fmt::Result {
        let roles = [Role::OrderTime, Role::SignedUpAt];
        let lacks_zone = roles
            .into_iter()
            .filter_map(|role| self.time_shape(role))
            .any(|shape| shape.lacks_zone);
        if lacks_zone {
            writeln!(
                text,
                "# QUESTION: the times have no zone. Which is it? Such as Europe/Berlin or America/New_York."
            )?;
        }
        writeln!(text, "timezone: UTC")
    }

    fn write_no_value(&self, text: &mut String) -> fmt::Result {
        let guests = self.guest_accounts();
        let Some(field) = self.field(Role::CustomerId).filter(|_| !guests.is_empty()) else {
            return Ok(());
        };
        let guests: Vec<String> = guests.into_iter().map(quote_yaml).collect();
        writeln!(
            text,
            "\n# QUESTION: several orders have the account {}. Is that a guest? Otherwise delete this: all would be one customer.",
            printable_value(&guests.join(", "))
        )?;
        writeln!(
            text,
            "no_value:\n  {}: [{}]",
            quote_yaml(&field.pointer),
            guests.join(", ")
        )
    }

    fn write_formats(&self, text: &mut String) -> fmt::Result {
        let mut lines = String::new();
        for (role, chosen) in &self.chosen {
            self.write_format(&mut lines, *role, chosen.field)?;
        }
        for other in self
            .others
            .iter()
            .filter(|other| other.kind == OtherKind::Number)
        {
            write_number_format(&mut lines, other.field)?;
        }
        if !lines.is_empty() {
            writeln!(
                text,
                "\n# How the feed writes its values\nformats:\n{}",
                lines.trim_end()
            )?;
        }
        Ok(())
    }

    fn write_format(&self, lines: &mut String, role: Role, field: &FieldSamples) -> fmt::Result {
        let pointer = quote_yaml(&field.pointer);
        match role {
            Role::OrderTime | Role::SignedUpAt => {
                let Some(shape) = field.time_shape() else {
                    return Ok(());
                };
                if shape.forms.is_empty() {
                    return Ok(());
                }
                if shape.is_ambiguous {
                    writeln!(
                        lines,
                        "  # QUESTION: day and month could be exchanged. Is %d the month, and %m the day?"
                    )?;
                }
                let forms: Vec<String> = shape
                    .forms
                    .iter()
                    .map(|form| format!("\"{form}\""))
                    .collect();
                writeln!(
                    lines,
                    "  {pointer}: {{time: [{}]}} # {}",
                    forms.join(", "),
                    show_examples(field)
                )
            }
            Role::Amount => write_number_format(lines, field),
            Role::Status => self.write_status(lines, &pointer),
            _ => Ok(()),
        }
    }

    fn write_status(&self, lines: &mut String, pointer: &str) -> fmt::Result {
        let Some(meanings) = self.status_meanings() else {
            return Ok(());
        };
        writeln!(
            lines,
            "  # QUESTION: what do these mean? `fraud` and `legit` are labels, `null` says nothing yet."
        )?;
        writeln!(lines, "  {pointer}:\n    values:")?;
        for (value, meaning) in meanings {
            let label = match meaning {
                StatusMeaning::Fraud => "fraud",
                StatusMeaning::Legit => "legit",
                StatusMeaning::Unknown => "null",
            };
            writeln!(lines, "      {}: {label}", quote_yaml(value))?;
        }
        Ok(())
    }

    fn write_event(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "\nevent:")?;
        let needed = |role: Role, what: &str, question: &str| match self.chosen.get(&role) {
            Some(chosen) => (
                quote_yaml(&chosen.field.pointer),
                describe_choice(what, chosen),
            ),
            None => ("/".to_owned(), format!("QUESTION: {question}")),
        };
        let (id, why) = needed(
            Role::OrderId,
            "the order's id",
            "which field is the order's id? Without it no order is read.",
        );
        writeln!(text, "  id: {id} # {why}")?;
        let (time, why) = needed(
            Role::OrderTime,
            "the time of the order",
            "which field says when the order was made? Without it no order is read.",
        );
        writeln!(text, "  timestamp: {time} # {why}")?;
        writeln!(
            text,
            "  entity:\n    type: customer\n    id: # the first that the order has"
        )?;
        match self.chosen.get(&Role::CustomerId) {
            Some(chosen) => writeln!(
                text,
                "      - {} # {}",
                quote_yaml(&chosen.field.pointer),
                describe_choice("the account", chosen)
            )?,
            None => writeln!(
                text,
                "      # QUESTION: which field names the customer's account?"
            )?,
        }
        match self.field(Role::Email) {
            Some(field) => writeln!(
                text,
                "      - {{hash: {}, as: email}} # a guest is known by the hash of the address",
                quote_yaml(&field.pointer)
            )?,
            None if !self.has(Role::CustomerId) => writeln!(text, "      - /customer_id")?,
            None => {}
        }
        if self.status_meanings().is_some()
            && let Some(field) = self.field(Role::Status)
        {
            writeln!(
                text,
                "  label: {} # for `run ingest`: what became of the order, see `formats`",
                quote_yaml(&field.pointer)
            )?;
        }
        Ok(())
    }

    fn write_variables(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "\nvariables:")?;
        for (role, chosen) in &self.chosen {
            let pointer = quote_yaml(&chosen.field.pointer);
            // What id, time and account could be else is asked in `event`.
            let is_asked = matches!(role, Role::OrderTime | Role::CustomerId);
            let why = match role.variable() {
                Some(variable) if !is_asked => describe_choice(variable.name, chosen),
                _ => show_examples(chosen.field),
            };
            let source = match role {
                Role::Amount => {
                    self.write_price(text, &pointer, &why)?;
                    continue;
                }
                Role::Email => format!("{{from: {pointer}, as: email, on_invalid: omit}}"),
                Role::SignedUpAt => {
                    format!("{{from: {pointer}, type: DATETIME, on_invalid: omit}}")
                }
                Role::OrderTime => format!("{{from: {pointer}, type: DATETIME, required: true}}"),
                Role::Currency | Role::ShippingCountry | Role::BillingCountry => {
                    format!("{{from: {pointer}, as: upper}}")
                }
                Role::CardBin => format!("{{from: {pointer}, as: digits}}"),
                Role::OrderId | Role::Status => continue,
                _ => pointer,
            };
            if let Some(variable) = role.variable() {
                writeln!(text, "  {}: {source} # {why}", variable.name)?;
            }
        }
        self.write_missing_amount(text)?;
        self.write_derived_variables(text)?;
        self.write_other_variables(text)
    }

    fn write_missing_amount(&self, text: &mut String) -> fmt::Result {
        if self.has(Role::Amount) {
            return Ok(());
        }
        let numbers = self.others.iter();
        let numbers = numbers.filter(|other| other.kind == OtherKind::Number);
        let numbers: Vec<String> = numbers
            .take(6)
            .map(|other| printable_value(&other.field.pointer))
            .collect();
        writeln!(
            text,
            "  # QUESTION: which field is the amount of the order? Rules on money need `order_price`. Fields with numbers: {}",
            if numbers.is_empty() {
                "none".to_owned()
            } else {
                numbers.join(", ")
            }
        )
    }

    fn write_price(&self, text: &mut String, pointer: &str, why: &str) -> fmt::Result {
        if self.may_be_cents() {
            writeln!(
                text,
                "  # QUESTION: are these hundredths, such as cents? Then read a hundredth of them with a filter: '.amount / 100'."
            )?;
        }
        let Some((base, others)) = self.currencies() else {
            return writeln!(
                text,
                "  order_price: {{from: {pointer}, type: FLOAT, required: true}} # {why}"
            );
        };
        let currency = self
            .field(Role::Currency)
            .map(|field| quote_yaml(&field.pointer))
            .unwrap_or_default();
        if !others.is_empty() {
            writeln!(
                text,
                "  # QUESTION: what is one {} worth in {base}? Without rates these orders are undetermined.",
                others.join(", one ")
            )?;
        }
        writeln!(text, "  order_price: # {why}")?;
        writeln!(
            text,
            "    from: {{amount: {pointer}, currency: {currency}, base: {base}, rates: {{}}}}"
        )?;
        writeln!(text, "    required: true")
    }

    fn write_derived_variables(&self, text: &mut String) -> fmt::Result {
        if let Some(field) = self.field(Role::Email) {
            writeln!(
                text,
                "  email_domain: {{from: {{domain: {}}}, on_invalid: omit}}",
                quote_yaml(&field.pointer)
            )?;
        }
        if let Some((billing, shipping)) = self.both_streets() {
            writeln!(
                text,
                "  same_address: {{from: {{same: [{}, {}]}}}}",
                quote_yaml(&billing.pointer),
                quote_yaml(&shipping.pointer)
            )?;
        }
        Ok(())
    }

    /// The streets of bill and parcel, if the file has both.
    pub(super) fn both_streets(&self) -> Option<(&FieldSamples, &FieldSamples)> {
        Some((
            self.field(Role::BillingStreet)?,
            self.field(Role::ShippingStreet)?,
        ))
    }

    fn write_other_variables(&self, text: &mut String) -> fmt::Result {
        if !self.others.is_empty() {
            writeln!(
                text,
                "  # what else the file has; delete what says nothing about fraud"
            )?;
        }
        for other in &self.others {
            let pointer = quote_yaml(&other.field.pointer);
            let examples = show_examples(other.field);
            match other.kind {
                OtherKind::Number => writeln!(
                    text,
                    "  {}: {{from: {pointer}, type: FLOAT, on_invalid: omit}} # {examples}",
                    other.name
                )?,
                OtherKind::Category => writeln!(
                    text,
                    "  {}: {pointer} # {} values: {examples}",
                    other.name,
                    other.field.values.len()
                )?,
            }
        }
        for (pointer, members) in &self.samples.lists {
            let pointer = printable_value(pointer);
            let mut members: Vec<String> = members.iter().map(|it| printable_value(it)).collect();
            members.sort_unstable();
            let members = if members.is_empty() {
                String::new()
            } else {
                format!(" of {}", members.join(", "))
            };
            writeln!(
                text,
                "  # {pointer} is a list{members}: see {{count: {{of: {pointer}}}}} and {{sum: …}} in docs/mapping.md"
            )?;
        }
        if let Some(field) = self.field(Role::Status)
            && self.status_meanings().is_none()
        {
            writeln!(
                text,
                "  # {} is left out: a status is known only after the order ({}). If a word of it is fraud, say so with `formats` and \
                 `event.label`.",
                printable_value(&field.pointer),
                show_examples(field)
            )?;
        }
        for (field, why) in &self.left_out {
            writeln!(
                text,
                "  # {} is left out: {why} ({})",
                printable_value(&field.pointer),
                show_examples(field)
            )?;
        }
        Ok(())
    }

    fn write_aggregates(&self, text: &mut String) -> fmt::Result {
        let keys: Vec<_> = self.aggregate_keys().collect();
        if keys.is_empty() {
            return writeln!(
                text,
                "\n# No card, device, address or account was found, so nothing is counted: see docs/velocity.md"
            );
        }
        writeln!(
            text,
            "\n# What happened before with the same customer, card, device or address: docs/velocity.md"
        )?;
        writeln!(text, "aggregates:\n  fraud_labels: [fraud]\n  keys:")?;
        for key in &keys {
            writeln!(text, "    {}: {}", key.name, key.source)?;
        }
        writeln!(text, "  variables:")?;
        for aggregate in self.aggregates() {
            writeln!(text, "    {}: {}", aggregate.name, aggregate.source)?;
        }
        Ok(())
    }
}

fn write_number_format(lines: &mut String, field: &FieldSamples) -> fmt::Result {
    match find_number_form(field) {
        Some(form) if needs_number_form(field) => {
            writeln!(
                lines,
                "  {}: {{number: \"{form}\"}} # {}",
                quote_yaml(&field.pointer),
                show_examples(field)
            )
        }
        _ => Ok(()),
    }
}

/// Values of a chosen field, and which others it could be; `what` is what it was chosen for.
fn describe_choice(what: &str, chosen: &ChosenField<'_>) -> String {
    let mut why = match chosen.evidence {
        Evidence::NameAndValues => show_examples(chosen.field),
        Evidence::Values => format!(
            "guessed by its values alone: {}",
            show_examples(chosen.field)
        ),
    };
    if !chosen.rivals.is_empty() {
        let rivals = chosen.rivals.iter().take(4);
        let rivals: Vec<String> = rivals
            .map(|field| printable_value(&field.pointer))
            .collect();
        let own = printable_value(&chosen.field.pointer);
        // Writing to a string cannot fail.
        let _ = write!(
            why,
            "; QUESTION: {what}: is it {own}, or rather {}?",
            rivals.join(", ")
        );
    }
    why
}

const DECISION: &str = "
decision:
  outcome_priority: [block, review, challenge, approve]
  on_undetermined: [review] # a value was invalid or a rule could not be evaluated
  on_no_match: [approve]
  reviewable: [review]
";

const LABELS: &str = "
# What became of orders: `fraudstream run label FILE` reads chargebacks, see docs/mapping.md#labels. A CSV file with the headers
# EVENT_ID, EVENT_LABEL and LABEL_TIMESTAMP needs no section.
# A date such as 03/04/2026 is read with the month first: say its form in `formats`.
# labels:
#   event_id: /order_id
#   kind: /kind
#   reason_code: /reason_code
#   timestamp: /received_at
#   table:
#     - {kind: chargeback, reason: fraud, label: fraud}
#     - {kind: chargeback, label: null}
";

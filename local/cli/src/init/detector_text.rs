//! The draft as a detector file: the variables that the mapping fills, and a starter set of rules over those that exist.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::draft::{Draft, OtherKind};
use super::roles::Role;
use super::yaml_text::quote_yaml;
use crate::printable::printable_value;

/// A rule of the starter set.
struct RuleDraft {
    id: &'static str,
    outcome: &'static str,
    description: &'static str,
    /// `{high}` and `{highest}` stand for amounts of the file.
    expression: &'static str,
    /// The variables and lists without which it is left out.
    needs: &'static [&'static str],
}

/// What fraud teams begin with: each rule reads only what its description says, so that an analyst can judge it.
const RULES: &[RuleDraft] = &[
    RuleDraft {
        id: "fraud_on_this_card",
        outcome: "block",
        description: "The card was used for an order that is known as fraud",
        expression: "$fraud_per_card_90d > 0",
        needs: &["fraud_per_card_90d"],
    },
    RuleDraft {
        id: "fraud_on_this_device",
        outcome: "block",
        description: "The device was used for an order that is known as fraud",
        expression: "$fraud_per_device_90d > 0",
        needs: &["fraud_per_device_90d"],
    },
    RuleDraft {
        id: "fraud_by_this_account",
        outcome: "block",
        description: "An order of the account is known as fraud",
        expression: "$fraud_per_account_90d > 0",
        needs: &["fraud_per_account_90d"],
    },
    RuleDraft {
        id: "fraud_with_this_email",
        outcome: "block",
        description: "An order with the same e-mail address is known as fraud",
        expression: "$fraud_per_email_90d > 0",
        needs: &["fraud_per_email_90d"],
    },
    RuleDraft {
        id: "fraud_at_this_address",
        outcome: "review",
        description: "An order to the same address is known as fraud",
        expression: "$fraud_per_address_90d > 0",
        needs: &["fraud_per_address_90d"],
    },
    RuleDraft {
        id: "cards_on_one_device",
        outcome: "review",
        description: "Three other cards were used on the same device within a day: somebody tries out stolen cards",
        expression: "$cards_per_device_1d >= 3",
        needs: &["cards_per_device_1d"],
    },
    RuleDraft {
        id: "cards_from_one_connection",
        outcome: "review",
        description: "Four other cards were used from the same IP address within a day",
        expression: "$cards_per_ip_1d >= 4",
        needs: &["cards_per_ip_1d"],
    },
    RuleDraft {
        id: "emails_from_one_connection",
        outcome: "challenge",
        description: "Five other e-mail addresses ordered from the same IP address within a day",
        expression: "$emails_per_ip_1d >= 5",
        needs: &["emails_per_ip_1d"],
    },
    RuleDraft {
        id: "emails_on_one_card",
        outcome: "review",
        description: "The card was used with three other e-mail addresses within a month",
        expression: "$emails_per_card_30d >= 3",
        needs: &["emails_per_card_30d"],
    },
    RuleDraft {
        id: "emails_on_one_device",
        outcome: "challenge",
        description: "Four other e-mail addresses were used on the same device within a month",
        expression: "$emails_per_device_30d >= 4",
        needs: &["emails_per_device_30d"],
    },
    RuleDraft {
        id: "emails_for_one_address",
        outcome: "review",
        description: "Parcels of four other e-mail addresses went to the same address within a month",
        expression: "$emails_per_address_30d >= 4",
        needs: &["emails_per_address_30d"],
    },
    RuleDraft {
        id: "card_used_often",
        outcome: "challenge",
        description: "The card was used five times in the day before",
        expression: "$card_orders_1d >= 5",
        needs: &["card_orders_1d"],
    },
    RuleDraft {
        id: "email_orders_often",
        outcome: "challenge",
        description: "The e-mail address ordered five times in the day before",
        expression: "$email_orders_1d >= 5",
        needs: &["email_orders_1d"],
    },
    RuleDraft {
        id: "unusual_price",
        outcome: "challenge",
        description: "Five times what this customer usually orders for, and a high amount for this shop",
        expression: "$price_to_usual >= 5 and $order_price > {high}",
        needs: &["price_to_usual", "order_price"],
    },
    RuleDraft {
        id: "dear_to_another_country",
        outcome: "review",
        description: "A high amount for this shop, and the parcel goes to another country than the bill",
        expression: "$order_price > {high} and $billing_country != \"\" and $shipping_country != \"\" and $billing_country != $shipping_country",
        needs: &["order_price", "billing_country", "shipping_country"],
    },
    RuleDraft {
        id: "dear_to_another_address",
        outcome: "challenge",
        description: "A high amount for this shop, and the parcel goes to another street than the bill",
        expression: "$order_price > {high} and $same_address == \"no\"",
        needs: &["order_price", "same_address"],
    },
    RuleDraft {
        id: "throw_away_email",
        outcome: "challenge",
        description: "The e-mail address is of a service for addresses that are thrown away",
        expression: "$email_domain in @disposable_email_domains",
        needs: &["email_domain"],
    },
    RuleDraft {
        id: "very_dear",
        outcome: "review",
        description: "One of the two highest amounts in a thousand orders of this shop",
        expression: "$order_price > {highest}",
        needs: &["order_price"],
    },
];

/// A variable of the detector file.
struct VariableDraft<'a> {
    name: &'a str,
    data_type: &'static str,
    variable_type: Option<&'static str>,
    default: &'static str,
    description: String,
}

impl Draft<'_> {
    /// The text of the detector file.
    pub(crate) fn write_detector(&self, source: &str) -> Result<String, fmt::Error> {
        let variables = self.list_variables();
        let mut text = String::new();
        writeln!(
            text,
            "# Drafted by `fraudstream init` from {source}: the variables that config/mapping.yaml fills, and a STARTER SET of"
        )?;
        writeln!(
            text,
            "# rules over them. No rule knows your shop yet: look with `fraudstream check FILE` at what each one does, and change it."
        )?;
        text.push_str(HEAD);
        if variables.contains_key("email_domain") {
            text.push_str(DISPOSABLE_DOMAINS);
        }
        text.push_str(EVENT_TYPE);
        for variable in variables.values() {
            write_variable(&mut text, variable)?;
        }
        text.push_str(DETECTOR);
        let mut count = 0;
        for rule in RULES
            .iter()
            .filter(|rule| rule.needs.iter().all(|name| variables.contains_key(name)))
        {
            self.write_rule(&mut text, rule)?;
            count += 1;
        }
        if count == 0 {
            text.truncate(text.len() - "      Rules:\n".len());
            writeln!(
                text,
                "      # No rule of the starter set has its variables: write your own, see docs/rules.md"
            )?;
            writeln!(text, "      Rules: []")?;
        }
        Ok(text)
    }

    fn list_variables(&self) -> BTreeMap<&str, VariableDraft<'_>> {
        let mut listed: Vec<VariableDraft<'_>> = Vec::new();
        for variable in self.chosen.keys().filter_map(|role| role.variable()) {
            let is_time = ["ordered_at", "signed_up_at"].contains(&variable.name);
            listed.push(VariableDraft {
                name: variable.name,
                data_type: if is_time {
                    "STRING"
                } else {
                    variable.data_type
                },
                variable_type: variable.variable_type,
                default: variable.default,
                description: variable.description.to_owned(),
            });
        }
        if self.has(Role::Email) {
            listed.push(VariableDraft {
                name: "email_domain",
                data_type: "STRING",
                variable_type: Some("CATEGORICAL"),
                default: "",
                description: "What follows the @ of the address, in lower case".to_owned(),
            });
        }
        if self.both_streets().is_some() {
            listed.push(VariableDraft {
                name: "same_address",
                data_type: "STRING",
                variable_type: Some("CATEGORICAL"),
                default: "",
                description: "yes or no: whether bill and parcel go to the same street".to_owned(),
            });
        }
        for other in &self.others {
            let is_number = other.kind == OtherKind::Number;
            listed.push(VariableDraft {
                name: &other.name,
                data_type: if is_number { "FLOAT" } else { "STRING" },
                variable_type: Some(if is_number { "NUMERIC" } else { "CATEGORICAL" }),
                default: if is_number { "0.0" } else { "" },
                description: format!(
                    "{} of the file",
                    printable_value(other.field.pointer.trim_start_matches('/'))
                ),
            });
        }
        for aggregate in self.aggregates() {
            let is_count = aggregate.data_type() == "INTEGER";
            listed.push(VariableDraft {
                name: aggregate.name,
                data_type: aggregate.data_type(),
                variable_type: Some("NUMERIC"),
                default: if is_count { "0" } else { "0.0" },
                description: aggregate.description.to_owned(),
            });
        }
        listed
            .into_iter()
            .map(|variable| (variable.name, variable))
            .collect()
    }

    fn write_rule(&self, text: &mut String, rule: &RuleDraft) -> fmt::Result {
        let amount = |share: f64| self.amount_quantile(share).unwrap_or(500).to_string();
        let expression = rule
            .expression
            .replace("{highest}", &amount(0.998))
            .replace("{high}", &amount(0.95));
        writeln!(text, "        - RuleId: {}", rule.id)?;
        writeln!(
            text,
            "          DetectorId: orders\n          Language: DETECTORPL"
        )?;
        writeln!(text, "          Description: \"{}\"", rule.description)?;
        let outcome = rule.outcome;
        let (first, rest) = outcome.split_at(1);
        writeln!(
            text,
            "          Outcomes:\n            - Arn: !GetAtt {}{rest}.Arn",
            first.to_ascii_uppercase()
        )?;
        writeln!(text, "          Expression: |-\n            {expression}")
    }
}

fn write_variable(text: &mut String, variable: &VariableDraft<'_>) -> fmt::Result {
    writeln!(
        text,
        "        - Inline: true\n          Name: {}\n          DataSource: EVENT",
        variable.name
    )?;
    writeln!(text, "          DataType: {}", variable.data_type)?;
    if let Some(variable_type) = variable.variable_type {
        writeln!(text, "          VariableType: {variable_type}")?;
    }
    let description = quote_yaml(&variable.description);
    writeln!(
        text,
        "          DefaultValue: \"{}\"\n          Description: {description}",
        variable.default
    )
}

const HEAD: &str = r#"# docs/rules.md explains the rules; `fraudstream apply` makes the service decide by them.
AWSTemplateFormatVersion: "2010-09-09"
Description: Fraud decisions on the orders of a shop

Metadata:
  fraudstream:
    EventTypes:
      order: {EventIngestion: ENABLED, EventOrchestration: {EventBridgeEnabled: false}}

Resources:
  Customer:
    Type: AWS::FraudDetector::EntityType
    Properties: {Name: customer, Description: Somebody who orders}

  Fraud:
    Type: AWS::FraudDetector::Label
    Properties: {Name: fraud, Description: The card holder did not order this}
  Legit:
    Type: AWS::FraudDetector::Label
    Properties: {Name: legit, Description: Ordered by whoever pays for it}

  Approve:
    Type: AWS::FraudDetector::Outcome
    Properties: {Name: approve, Description: Ship it}
  Challenge:
    Type: AWS::FraudDetector::Outcome
    Properties: {Name: challenge, Description: Ask the customer to prove who they are}
  Review:
    Type: AWS::FraudDetector::Outcome
    Properties: {Name: review, Description: Hold it until an analyst has looked}
  Block:
    Type: AWS::FraudDetector::Outcome
    Properties: {Name: block, Description: Refuse it}
"#;

const DISPOSABLE_DOMAINS: &str = r"
  DisposableEmailDomains:
    Type: AWS::FraudDetector::List
    Properties:
      Name: disposable_email_domains
      Description: Services for e-mail addresses that are thrown away; add those that you see
      Elements: [guerrillamail.com, mailinator.com, sharklasers.com, temp-mail.org, trashmail.com, wegwerfmail.de, yopmail.com]
";

const EVENT_TYPE: &str = r"
  Order:
    Type: AWS::FraudDetector::EventType
    Properties:
      Name: order
      Description: An order, as config/mapping.yaml reads it
      EntityTypes:
        - Arn: !GetAtt Customer.Arn
      Labels:
        - Arn: !GetAtt Fraud.Arn
        - Arn: !GetAtt Legit.Arn
      EventVariables:
";

const DETECTOR: &str = r"
  Orders:
    Type: AWS::FraudDetector::Detector
    Properties:
      DetectorId: orders
      Description: Decides on orders
      DetectorVersionStatus: ACTIVE
      RuleExecutionMode: ALL_MATCHED
      EventType:
        Arn: !GetAtt Order.Arn
      Rules:
";

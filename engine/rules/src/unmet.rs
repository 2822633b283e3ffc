//! Finds the conditions of a rule that an event does not fulfil.

use crate::{
    ast::{Expr, ExprKind},
    lists::Lists,
    parse::parse_expression,
    rule::{Rule, Verdict},
    schema::Schema,
    value::Value,
};

/// How far an event is from matching a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmetConditions {
    /// How many conditions the rule joins with `and`: 1 if it has no `and` outside of others.
    pub conditions: usize,
    /// Those that are false or unknown, in the order of the text.
    pub unmet: Vec<UnmetCondition>,
}

/// A condition that is false or unknown for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmetCondition {
    /// The condition: `$order_price > 200`.
    pub text: String,
    /// The same with the values of the event: `120.0 > 200`.
    pub with_values: String,
}

impl Rule {
    /// The conditions that the event does not fulfil, of those that the rule joins with `and`. `schema` is that of the
    /// rule, the other arguments are as for [`Rule::evaluate`].
    ///
    /// ```
    /// # use rules::{Lists, Rule, Schema, Type, Value};
    /// let schema = Schema::new([("price".to_owned(), Type::Float), ("new".to_owned(), Type::Boolean)], []);
    /// let rule = Rule::new("$new == true and $price > 200", &schema)?;
    /// let near = rule.unmet_conditions(&schema, &[Value::Float(120.0), Value::Boolean(true)], &Lists::default(), 0);
    /// assert_eq!((near.conditions, near.unmet[0].with_values.as_str()), (2, "120.0 > 200"));
    /// # Ok::<(), rules::Errors>(())
    /// ```
    pub fn unmet_conditions(
        &self,
        schema: &Schema,
        row: &[Value],
        lists: &Lists,
        now_ms: i64,
    ) -> UnmetConditions {
        let mut conditions = Vec::new();
        if let Ok(expr) = parse_expression(self.text()) {
            collect_conditions(&expr, &mut conditions);
        }
        // Printing a part of a rule gives a rule of the same schema.
        let rules = conditions
            .iter()
            .filter_map(|text| Rule::new(text, schema).ok());
        let unmet = rules.filter(|rule| rule.evaluate(row, lists, now_ms) != Verdict::Matched);
        UnmetConditions {
            unmet: unmet
                .map(|rule| UnmetCondition {
                    text: rule.text().to_owned(),
                    with_values: rule.with_values(row),
                })
                .collect(),
            conditions: conditions.len(),
        }
    }
}

fn collect_conditions(expr: &Expr, conditions: &mut Vec<String>) {
    match &expr.kind {
        ExprKind::And(parts) => parts
            .iter()
            .for_each(|part| collect_conditions(part, conditions)),
        _ => conditions.push(expr.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Lists, Rule, Schema, Type, Value};

    #[track_caller]
    fn check_unmet(text: &str, conditions: usize, unmet: &[&str]) {
        let types = [
            ("price", Type::Float),
            ("country", Type::String),
            ("score", Type::Float),
        ];
        let schema = Schema::new(types.map(|(name, ty)| (name.to_owned(), ty)), []);
        let slot = |name: &str| schema.slot(name).unwrap();
        let mut row = vec![Value::Null; schema.len()];
        row[slot("price")] = Value::Float(120.0);
        row[slot("country")] = Value::String("US".into());
        let rule = Rule::new(text, &schema).unwrap();
        let found = rule.unmet_conditions(&schema, &row, &Lists::default(), 0);
        let got: Vec<&str> = found
            .unmet
            .iter()
            .map(|it| it.with_values.as_str())
            .collect();
        assert_eq!(
            (found.conditions, got.as_slice()),
            (conditions, unmet),
            "{text}"
        );
    }

    #[test]
    fn a_rule_is_as_near_as_its_unmet_conditions() {
        check_unmet("$price > 200", 1, &["120.0 > 200"]);
        check_unmet("$price > 100 and $country == \"US\"", 2, &[]);
        check_unmet(
            "$price > 200 and ($country == \"US\" and $price < 100)",
            3,
            &["120.0 > 200", "120.0 < 100"],
        );
        check_unmet(
            "($price > 200 or $country == \"FR\") and $country != \"DE\" # why",
            2,
            &["120.0 > 200 or \"US\" == \"FR\""],
        );
        check_unmet("$score > 900 and $price > 1", 2, &["null > 900"]);
    }
}

//! Properties that hold for every rule, tested with generated rules.
//!
//! A second, simple evaluator ([`evaluate_tree`]) works on the expression tree as
//! `docs/rules.md` describes it: without types, instructions and short circuits. Its
//! results are compared with those of compiled rules.

use proptest::prelude::*;

use crate::{
    Lists, Rule, Schema, Type, Value, Verdict,
    ast::{Arithmetic, Comparison, Expr, ExprKind, ListExpr, Literal, Membership},
    error::Span,
    parse_expression,
};

const NAMES: [(&str, Type); 6] = [
    ("i", Type::Integer),
    ("j", Type::Integer),
    ("f", Type::Float),
    ("s", Type::String),
    ("b", Type::Boolean),
    ("c", Type::Boolean),
];

fn schema() -> Schema {
    Schema::new(NAMES.map(|(name, ty)| (name.to_owned(), ty)), [])
}

fn without_span(kind: ExprKind) -> Expr {
    Expr::new(kind, Span { start: 0, end: 0 })
}

fn variable(name: &str) -> Expr {
    without_span(ExprKind::Variable(name.into()))
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        r#"[a-z"\\ .#$é]{0,6}"#.prop_map(|text| Literal::Text(text.into())),
        any::<i64>().prop_map(Literal::Integer),
        (-5_i64..5).prop_map(Literal::Integer),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(Literal::Float),
        any::<bool>().prop_map(Literal::Boolean),
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ])
}

fn operator() -> impl Strategy<Value = Arithmetic> {
    prop::sample::select(vec![
        Arithmetic::Add,
        Arithmetic::Subtract,
        Arithmetic::Multiply,
        Arithmetic::Divide,
        Arithmetic::Remainder,
    ])
}

/// Any syntactically valid expression, whether or not its types fit.
fn any_expr() -> impl Strategy<Value = Expr> {
    let list = prop_oneof![
        "[a-z_]{1,8}".prop_map(|name| ListExpr::Named(name.into(), Span { start: 0, end: 0 })),
        prop::collection::vec(literal(), 1..4).prop_map(|items| {
            let span = Span { start: 0, end: 0 };
            ListExpr::Inline(items.into_iter().map(|item| (item, span)).collect())
        }),
    ];
    let leaf = prop_oneof![
        Just(without_span(ExprKind::Null)),
        literal().prop_map(|literal| without_span(ExprKind::Literal(literal))),
        "[a-z_][a-z0-9_]{0,8}".prop_map(|name| variable(&name)),
    ];
    leaf.prop_recursive(6, 40, 4, move |inner| {
        let pair = || (inner.clone(), inner.clone()).prop_map(|(a, b)| Box::new([a, b]));
        let many = || prop::collection::vec(inner.clone(), 2..4);
        let membership =
            (any::<bool>(), list.clone()).prop_map(|(negated, list)| Membership { negated, list });
        prop_oneof![
            inner
                .clone()
                .prop_map(|inner| without_span(ExprKind::Not(Box::new(inner)))),
            many().prop_map(|parts| without_span(ExprKind::And(parts))),
            many().prop_map(|parts| without_span(ExprKind::Or(parts))),
            (comparison(), pair())
                .prop_map(|(order, sides)| without_span(ExprKind::Compare(order, sides))),
            (operator(), pair())
                .prop_map(|(sign, sides)| without_span(ExprKind::Arithmetic(sign, sides))),
            (inner.clone(), membership)
                .prop_map(|(subject, list)| without_span(ExprKind::In(Box::new(subject), list))),
            (prop::sample::select(vec!["f", "regex_match"]), many()).prop_map(
                |(function, arguments)| {
                    let name = Span { start: 0, end: 0 };
                    let function = function.into();
                    without_span(ExprKind::Call(crate::ast::CallExpr {
                        function,
                        name,
                        arguments,
                    }))
                }
            ),
        ]
    })
}

/// A number. Small and very large ones are frequent, so that some divisors are 0 and some
/// sums overflow.
fn number() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["i", "j", "f"]).prop_map(variable),
        (-2_i64..3).prop_map(|number| without_span(ExprKind::Literal(Literal::Integer(number)))),
        Just(without_span(ExprKind::Literal(Literal::Integer(i64::MAX)))),
        Just(without_span(ExprKind::Literal(Literal::Float(0.5)))),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        (operator(), inner.clone(), inner)
            .prop_map(|(sign, a, b)| without_span(ExprKind::Arithmetic(sign, Box::new([a, b]))))
    })
}

/// A valid rule for the schema of this file.
fn condition() -> impl Strategy<Value = Expr> {
    let null = || without_span(ExprKind::Null);
    let text = |text: &str| without_span(ExprKind::Literal(Literal::Text(text.into())));
    let compare = |order, a, b| without_span(ExprKind::Compare(order, Box::new([a, b])));
    let equality = || prop::sample::select(vec![Comparison::Equal, Comparison::NotEqual]);
    let items = |numbers: Vec<i64>| {
        let span = Span { start: 0, end: 0 };
        ListExpr::Inline(
            numbers
                .into_iter()
                .map(|n| (Literal::Integer(n), span))
                .collect(),
        )
    };
    let leaf =
        prop_oneof![
            prop::sample::select(vec!["b", "c"]).prop_map(variable),
            any::<bool>()
                .prop_map(|truth| without_span(ExprKind::Literal(Literal::Boolean(truth)))),
            (comparison(), number(), number()).prop_map(move |(order, a, b)| compare(order, a, b)),
            (equality(), prop::sample::select(vec!["x", "y"]))
                .prop_map(move |(order, word)| compare(order, variable("s"), text(word))),
            (equality(), number()).prop_map(move |(order, number)| compare(order, number, null())),
            (
                number(),
                any::<bool>(),
                prop::collection::vec(-2_i64..3, 1..4)
            )
                .prop_map(move |(subject, negated, numbers)| {
                    let membership = Membership {
                        negated,
                        list: items(numbers),
                    };
                    without_span(ExprKind::In(Box::new(subject), membership))
                }),
        ];
    leaf.prop_recursive(5, 30, 3, move |inner| {
        let many = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner
                .clone()
                .prop_map(|inner| without_span(ExprKind::Not(Box::new(inner)))),
            many().prop_map(|parts| without_span(ExprKind::And(parts))),
            many().prop_map(|parts| without_span(ExprKind::Or(parts))),
            (equality(), inner.clone(), inner.clone())
                .prop_map(move |(order, a, b)| compare(order, a, b)),
            (equality(), inner.clone()).prop_map(move |(order, a)| compare(order, a, null())),
        ]
    })
}

fn row() -> impl Strategy<Value = Vec<Value>> {
    let integer = || prop_oneof![Just(Value::Null), (-2_i64..3).prop_map(Value::Integer)];
    let boolean = || prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Boolean)];
    let float = prop_oneof![
        Just(Value::Null),
        prop::sample::select(vec![-0.5, 0.0, 0.5, f64::MAX]).prop_map(Value::Float)
    ];
    let text = prop_oneof![
        Just(Value::Null),
        "[xyz]".prop_map(|text| Value::String(text.into()))
    ];
    (integer(), integer(), float, text, boolean(), boolean())
        .prop_map(|(i, j, f, s, b, c)| vec![i, j, f, s, b, c])
}

/// A row without missing values.
fn full_row() -> impl Strategy<Value = Vec<Value>> {
    let full = [
        Value::Integer(1),
        Value::Integer(0),
        Value::Float(0.5),
        Value::String("x".into()),
        Value::Boolean(true),
        Value::Boolean(false),
    ];
    row().prop_map(move |row| {
        let pairs = row.into_iter().zip(full.clone());
        pairs
            .map(|(value, other)| if value == Value::Null { other } else { value })
            .collect()
    })
}

/// The value of an expression for a row. Every part is evaluated.
fn evaluate_tree(expr: &Expr, row: &[Value]) -> Value {
    let parts: Vec<Value> = expr
        .children()
        .iter()
        .map(|part| evaluate_tree(part, row))
        .collect();
    match (&expr.kind, parts.as_slice()) {
        (ExprKind::Literal(Literal::Text(text)), _) => Value::String(text.clone()),
        (ExprKind::Literal(Literal::Integer(number)), _) => Value::Integer(*number),
        (ExprKind::Literal(Literal::Float(number)), _) => Value::Float(*number),
        (ExprKind::Literal(Literal::Boolean(truth)), _) => Value::Boolean(*truth),
        (ExprKind::Variable(name), _) => {
            let slot = NAMES.iter().position(|(known, _)| **known == **name);
            row[slot.unwrap()].clone()
        }
        (ExprKind::Not(_), [Value::Boolean(truth)]) => Value::Boolean(!truth),
        (ExprKind::And(_), parts) => join_conditions(parts, false),
        (ExprKind::Or(_), parts) => join_conditions(parts, true),
        (ExprKind::Compare(order, sides), [a, b]) => compare_values(*order, sides, a, b),
        (ExprKind::Arithmetic(sign, _), [a, b]) => compute_arithmetic(*sign, a, b),
        (
            ExprKind::In(
                _,
                Membership {
                    negated,
                    list: ListExpr::Inline(items),
                },
            ),
            [subject],
        ) => {
            let equals = |item: &Literal| match (item, subject) {
                (Literal::Integer(item), Value::Integer(number)) => item == number,
                (Literal::Integer(item), number) => {
                    convert_number_to_float(&Value::Integer(*item))
                        == convert_number_to_float(number)
                }
                _ => false,
            };
            match subject {
                Value::Null => Value::Null,
                _ => Value::Boolean(items.iter().any(|(item, _)| equals(item)) != *negated),
            }
        }
        _ => Value::Null,
    }
}

fn join_conditions(parts: &[Value], decisive: bool) -> Value {
    if parts.contains(&Value::Boolean(decisive)) {
        Value::Boolean(decisive)
    } else if parts.contains(&Value::Null) {
        Value::Null
    } else {
        Value::Boolean(!decisive)
    }
}

fn compare_values(order: Comparison, sides: &[Expr; 2], a: &Value, b: &Value) -> Value {
    let against_null = sides.iter().any(|side| side.kind == ExprKind::Null);
    let ordering = match (a, b) {
        _ if against_null => {
            return Value::Boolean((a == b) == (order == Comparison::Equal));
        }
        (Value::Null, _) | (_, Value::Null) => return Value::Null,
        (Value::Integer(a), Value::Integer(b)) => a.partial_cmp(b),
        (Value::String(a), Value::String(b)) => a.partial_cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.partial_cmp(b),
        (a, b) => convert_number_to_float(a).partial_cmp(&convert_number_to_float(b)),
    };
    let ordering = ordering.unwrap();
    Value::Boolean(match order {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    })
}

fn compute_arithmetic(sign: Arithmetic, a: &Value, b: &Value) -> Value {
    let result = match (sign, a, b) {
        (_, Value::Null, _) | (_, _, Value::Null) => None,
        (
            Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Multiply | Arithmetic::Remainder,
            Value::Integer(a),
            Value::Integer(b),
        ) => sign.compute_integers(*a, *b).map(Value::Integer),
        (_, a, b) => {
            let sides = convert_number_to_float(a).zip(convert_number_to_float(b));
            sides
                .and_then(|(a, b)| sign.compute_floats(a, b))
                .map(Value::Float)
        }
    };
    result.unwrap_or(Value::Null)
}

fn convert_number_to_float(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(crate::lists::convert_to_float(*number)),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// Evaluates a rule given as text.
fn evaluate_text(text: &str, row: &[Value]) -> Verdict {
    Rule::new(text, &schema())
        .unwrap()
        .evaluate(row, &Lists::default(), 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn parsing_a_printed_expression_gives_it_back(expr in any_expr()) {
        for printed in [expr.to_string(), format!("{expr:#}")] {
            prop_assert_eq!(&parse_expression(&printed).unwrap(), &expr, "{}", printed);
        }
    }

    #[test]
    fn compiled_rules_agree_with_the_tree(expr in condition(), row in row()) {
        let want = match evaluate_tree(&expr, &row) {
            Value::Boolean(truth) => Some(truth),
            _ => None,
        };
        let text = expr.to_string();
        prop_assert_eq!(evaluate_text(&text, &row), Verdict::from(want), "{}", text);
    }

    #[test]
    fn de_morgans_laws_hold(a in condition(), b in condition(), row in row()) {
        let sides = [
            (format!("!(({a}) and ({b}))"), format!("!({a}) or !({b})")),
            (format!("!(({a}) or ({b}))"), format!("!({a}) and !({b})")),
        ];
        for (left, right) in sides {
            prop_assert_eq!(evaluate_text(&left, &row), evaluate_text(&right, &row), "{}", left);
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter(a in condition(), b in condition(), row in row()) {
        for operator in ["and", "or"] {
            let once = evaluate_text(&format!("({a}) {operator} ({b})"), &row);
            let turned = evaluate_text(&format!("({b}) {operator} ({a})"), &row);
            let twice = evaluate_text(&format!("({a}) {operator} ({b}) {operator} ({a})"), &row);
            prop_assert_eq!(once, turned);
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn a_double_negation_changes_nothing(a in condition(), row in row()) {
        prop_assert_eq!(evaluate_text(&format!("!!({a})"), &row), evaluate_text(&a.to_string(), &row));
    }

    #[test]
    fn replacing_variables_by_values_keeps_the_verdict(a in condition(), row in full_row()) {
        let rule = Rule::new(&a.to_string(), &schema()).unwrap();
        let substituted = rule.with_values(&row);
        prop_assume!(substituted.chars().count() <= crate::MAX_CHARACTERS);
        prop_assert_eq!(evaluate_text(&substituted, &[]), evaluate_text(&a.to_string(), &row));
    }
}

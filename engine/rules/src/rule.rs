//! A compiled rule and its verdict on an event.

use std::fmt::{self, Write};

use crate::{
    ast::Expr,
    check::{CheckedExpression, check_expression},
    error::{Errors, Span},
    eval::run_program,
    facts::Facts,
    ir::Program,
    lint::{LintWarning, find_lint_warnings},
    lists::Lists,
    parse::parse_with_mistakes,
    print::AsLiteral,
    schema::Schema,
    value::Value,
};

/// The result of a rule for one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The expression is true.
    Matched,
    /// The expression is false.
    NotMatched,
    /// The expression is unknown, because a value that it depends on is missing. The rule
    /// does not match, and its negation would not match either.
    Undetermined,
}

impl From<Option<bool>> for Verdict {
    fn from(truth: Option<bool>) -> Self {
        match truth {
            Some(true) => Self::Matched,
            Some(false) => Self::NotMatched,
            None => Self::Undetermined,
        }
    }
}

/// A rule that is checked against a schema and compiled.
///
/// A clone is a deep copy; use an `Arc` to share a rule. `Debug` prints the names of the
/// variables and lists, and hides the text, which may contain an address or a card number.
#[derive(Clone)]
pub struct Rule {
    text: Box<str>,
    program: Program,
    warnings: Vec<LintWarning>,
    /// Each use of a variable: its place in the text and its slot, left to right.
    places: Vec<(Span, u32)>,
    variables: Vec<Box<str>>,
    lists: Vec<Box<str>>,
}

impl Rule {
    /// Parses, checks and compiles `text`.
    ///
    /// # Errors
    /// If the text is not a valid rule for `schema`. [`Errors`] holds all its problems,
    /// except that a syntax error hides those that come after it.
    pub fn new(text: &str, schema: &Schema) -> Result<Self, Errors> {
        let (expr, mut problems) = parse_with_mistakes(text, Some(schema));
        let Some(expr) = expr else {
            return Err(Errors::new(text, problems));
        };
        let mut checked = check_expression(&expr, schema);
        problems.append(&mut checked.problems);
        match checked.program.take() {
            Some(program) if problems.is_empty() => {
                Ok(Self::from_checked(text, program, checked, &expr, schema))
            }
            _ => Err(Errors::new(text, problems)),
        }
    }

    fn from_checked(
        text: &str,
        program: Program,
        checked: CheckedExpression,
        expr: &Expr,
        schema: &Schema,
    ) -> Self {
        let mut variables: Vec<Box<str>> = Vec::new();
        for (_, slot) in &checked.variables {
            let (name, _) = schema.variable(*slot as usize);
            if !variables.iter().any(|known| **known == *name) {
                variables.push(name.into());
            }
        }
        Self {
            text: text.into(),
            program,
            warnings: find_lint_warnings(expr, schema),
            places: checked.variables,
            variables,
            lists: checked.lists,
        }
    }

    /// Evaluates the rule on one event. `row` holds its values by slot, `now_ms` is the
    /// time in milliseconds since 1970.
    ///
    /// This cannot fail. A slot that is missing in the row, or whose value has another type
    /// than in the schema, is null. A list that is missing in `lists` makes its test
    /// unknown. Memory is allocated only to change the case of a text, and to compile a
    /// pattern that is not a literal.
    pub fn evaluate(&self, row: &[Value], lists: &Lists, now_ms: i64) -> Verdict {
        let now_ms = Some(now_ms);
        run_program(&self.program.ops, &Facts { row, lists, now_ms }).into()
    }

    /// The text with each variable replaced by its value: `expressionWithValues` of the API.
    /// A missing value is `null`.
    ///
    /// ```
    /// # use rules::{Rule, Schema, Type, Value};
    /// let schema = Schema::new([("amount".to_owned(), Type::Float)], []);
    /// let rule = Rule::new("$amount > 100 # large", &schema)?;
    /// assert_eq!(rule.with_values(&[Value::Float(250.0)]), "250.0 > 100 # large");
    /// # Ok::<(), rules::Errors>(())
    /// ```
    pub fn with_values(&self, row: &[Value]) -> String {
        let mut out = String::with_capacity(self.text.len() * 2);
        let mut end = 0;
        for (span, slot) in &self.places {
            let value = row.get(*slot as usize).unwrap_or(&Value::Null);
            out.push_str(self.text.get(end..span.start).unwrap_or_default());
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", AsLiteral(value));
            end = span.end;
        }
        out.push_str(self.text.get(end..).unwrap_or_default());
        out
    }

    /// The text of the rule.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variables that the rule uses, without `$`, each once, in the order of the text.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|name| &**name)
    }

    /// The lists that the rule uses, without `@`, each once, in the order of the text.
    pub fn lists(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().map(|name| &**name)
    }

    /// Warnings about parts that may not do what the author expects: `!=` (except
    /// `!= null`), `not in` or `!` on an expression that can be null. That is a model's
    /// score, `/`, `%`, or a function that parses a text.
    ///
    /// A score gives no warning if the same `and` tests it with `!= null`, or the same `or`
    /// with `== null`.
    pub fn lint_warnings(&self) -> Vec<LintWarning> {
        self.warnings.clone()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("variables", &self.variables)
            .field("lists", &self.lists)
            .finish_non_exhaustive()
    }
}

//! A checked rule, and what it says of an event.

use std::fmt::{self, Write};

use crate::{
    ast::Expr,
    check::{Checked, check},
    error::{Errors, Span},
    eval::run,
    facts::Facts,
    ir::Program,
    lint::{Caution, cautions},
    lists::Lists,
    parse::parse_all,
    print::AsLiteral,
    schema::Schema,
    value::Value,
};

/// What a rule says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The expression is true.
    Matched,
    /// The expression is false.
    NotMatched,
    /// The expression is unknown, because a value it depends on is missing: it does not
    /// match, but neither would the opposite rule.
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

/// A rule that fits its event type and is ready to run.
///
/// A clone is a deep copy; share a rule in an `Arc`. `Debug` names the variables and
/// lists, and hides the text, which may hold an address or a card number.
#[derive(Clone)]
pub struct Rule {
    text: Box<str>,
    program: Program,
    cautions: Vec<Caution>,
    /// Where each variable stands in the text, left to right.
    places: Vec<(Span, u32)>,
    variables: Vec<Box<str>>,
    lists: Vec<Box<str>>,
}

impl Rule {
    /// Parses, checks and compiles `text`.
    ///
    /// All problems are found in one go, except that what follows a syntax error is not
    /// looked at. [`Errors`] shows them.
    pub fn new(text: &str, schema: &Schema) -> Result<Self, Errors> {
        let (expr, mut problems) = parse_all(text);
        let Some(expr) = expr else {
            return Err(Errors::new(text, problems));
        };
        let mut checked = check(&expr, schema);
        problems.append(&mut checked.problems);
        match checked.program.take() {
            Some(program) if problems.is_empty() => {
                Ok(Self::checked(text, program, checked, &expr, schema))
            }
            _ => Err(Errors::new(text, problems)),
        }
    }

    fn checked(
        text: &str,
        program: Program,
        checked: Checked,
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
            cautions: cautions(expr, schema),
            places: checked.variables,
            variables,
            lists: checked.lists,
        }
    }

    /// Evaluates the rule on one event: its row of values by slot, the lists as they
    /// are now, and the time in milliseconds since 1970.
    ///
    /// It cannot fail. A slot that the row lacks, or that holds a value of another type
    /// than the schema says, is null; a list that `lists` lacks makes its test unknown.
    /// It allocates only to change the case of a text, and for a pattern that is not a
    /// literal.
    pub fn evaluate(&self, row: &[Value], lists: &Lists, now_ms: i64) -> Verdict {
        let now_ms = Some(now_ms);
        run(&self.program.ops, &Facts { row, lists, now_ms }).into()
    }

    /// The text with the value of each variable in its place: `expressionWithValues`.
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

    /// The text the rule was made from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variables it uses, without `$`, each once, in the order they appear.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|name| &**name)
    }

    /// The lists it uses, without `@`, each once, in the order they appear.
    pub fn lists(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().map(|name| &**name)
    }

    /// Where the rule may not do what its author thinks: a `!=` (other than `!= null`),
    /// `not in` or `!` over what can be null. That is a model's score, `/`, `%`, or a
    /// date function of a text.
    ///
    /// A score that the same `and` tests with `!= null` raises none, nor does one that
    /// the same `or` tests with `== null`.
    pub fn cautions(&self) -> Vec<Caution> {
        self.cautions.clone()
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

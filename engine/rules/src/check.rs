//! Checks an expression against the variables and lists of a schema.
//!
//! Names are looked up, types are checked, and constants are computed. A wrong part is
//! reported and left out, and the rest is still checked, so that all problems are found
//! at once.

use crate::{
    ast::{Arithmetic, CallExpr, Comparison, Expr, ExprKind, ListExpr, Literal, Membership},
    error::{RuleProblem, Span, clip_text},
    functions::{FUNCTIONS, Parameter, ParameterType, find_function},
    ir::{
        Argument, Condition, FloatOperand, IntegerOperand, ListSource, Operand, Program,
        RegexPattern, TextOperand, TimeOperand,
    },
    lists::ListValues,
    pattern,
    schema::Schema,
    suggest::{find_nearest, suggest_name},
    utc_time,
    value::parse_boolean_word,
};

/// How many different lists one rule may use.
pub const MAX_LISTS: usize = 3;

/// The result of checking a rule.
pub(crate) struct CheckedExpression {
    /// `None` if there are problems.
    pub(crate) program: Option<Program>,
    pub(crate) problems: Vec<RuleProblem>,
    /// Each use of a variable: its place in the text and its slot, left to right.
    pub(crate) variables: Vec<(Span, u32)>,
    /// The names of the lists, each once.
    pub(crate) lists: Vec<Box<str>>,
}

pub(crate) fn check_expression(expr: &Expr, schema: &Schema) -> CheckedExpression {
    let mut checker = Checker {
        schema,
        problems: Vec::new(),
        variables: Vec::new(),
        lists: Vec::new(),
    };
    let program = checker.check_rule(expr);
    let Checker {
        problems,
        variables,
        lists,
        ..
    } = checker;
    CheckedExpression {
        program,
        problems,
        variables,
        lists,
    }
}

struct Checker<'a> {
    schema: &'a Schema,
    problems: Vec<RuleProblem>,
    variables: Vec<(Span, u32)>,
    lists: Vec<Box<str>>,
}

impl Checker<'_> {
    fn report<T>(&mut self, span: Span, message: impl Into<String>) -> Option<T> {
        self.problems.push(RuleProblem::new(span, message));
        None
    }

    fn check_rule(&mut self, expr: &Expr) -> Option<Program> {
        match self.check_operand(expr)? {
            Operand::Test(program) => Some(program),
            other => {
                let found = other.describe();
                self.report(expr.span, format!(
                    "a rule must be true or false, but this is {found}; compare it, as in `… > 100`"
                ))
            }
        }
    }

    fn check_operand(&mut self, expr: &Expr) -> Option<Operand> {
        match &expr.kind {
            ExprKind::Null => Some(Operand::Null),
            ExprKind::Literal(literal) => Some(Operand::from_literal(literal)),
            ExprKind::Variable(name) => self.resolve_variable(name, expr.span),
            ExprKind::Not(inner) => Some(Operand::Test(self.check_negation(inner)?.negate())),
            ExprKind::And(parts) => Some(Operand::Test(Program::all_of(
                self.check_conditions(parts, "and")?,
            ))),
            ExprKind::Or(parts) => Some(Operand::Test(Program::any_of(
                self.check_conditions(parts, "or")?,
            ))),
            ExprKind::Compare(order, sides) => self.check_comparison(*order, sides, expr.span),
            ExprKind::Arithmetic(operator, sides) => self.check_arithmetic(*operator, sides),
            ExprKind::In(subject, membership) => self.check_membership(subject, membership),
            ExprKind::Call(call) => self.check_call(call),
        }
    }

    /// Checks both sides, even if the first one is wrong.
    fn check_both_sides(&mut self, sides: &[Expr; 2]) -> Option<(Operand, Operand)> {
        let (a, b) = (self.check_operand(&sides[0]), self.check_operand(&sides[1]));
        a.zip(b)
    }

    fn resolve_variable(&mut self, name: &str, span: Span) -> Option<Operand> {
        let Some(slot) = self.schema.slot(name) else {
            let known = self.schema.variables().map(|(name, _)| name);
            let hint = suggest_name("$", name, known);
            return self.report(
                span,
                format!("there is no variable `${}`{hint}", clip_text(name)),
            );
        };
        let (_, ty) = self.schema.variable(slot);
        let slot = u32::try_from(slot).ok()?;
        self.variables.push((span, slot));
        Some(Operand::from_variable(slot, ty))
    }

    fn check_conditions(&mut self, parts: &[Expr], operator: &str) -> Option<Vec<Program>> {
        // Not one iterator chain: each part must be checked, even if one before it is wrong.
        let tests: Vec<_> = parts
            .iter()
            .map(|part| self.check_condition(part, operator))
            .collect();
        tests.into_iter().collect()
    }

    fn check_condition(&mut self, expr: &Expr, operator: &str) -> Option<Program> {
        match self.check_operand(expr)? {
            Operand::Test(program) => Some(program),
            other => {
                let it = describe_operand(expr, &other);
                self.report(
                    expr.span,
                    format!("`{operator}` joins conditions, but {it}"),
                )
            }
        }
    }

    fn check_negation(&mut self, inner: &Expr) -> Option<Program> {
        match self.check_operand(inner)? {
            Operand::Test(program) => Some(program),
            other => {
                let it = describe_operand(inner, &other);
                self.report(
                    inner.span,
                    format!(
                        "`!` negates a condition and binds tighter than `==` or `+`, but {it}; \
                     write `!(…)` around the whole condition"
                    ),
                )
            }
        }
    }

    fn check_comparison(
        &mut self,
        order: Comparison,
        sides: &[Expr; 2],
        span: Span,
    ) -> Option<Operand> {
        let equality = matches!(order, Comparison::Equal | Comparison::NotEqual);
        let equal = order == Comparison::Equal;
        let condition = match self.check_both_sides(sides)? {
            (Operand::Null, operand) | (operand, Operand::Null) if equality => {
                Condition::Null { is: equal, operand }
            }
            (Operand::Integer(a), Operand::Integer(b)) => Condition::Integers(order, a, b),
            (Operand::Time(a), Operand::Time(b)) => Condition::Times(order, a, b),
            (Operand::Time(a), Operand::Text(b)) => {
                Condition::Times(order, a, self.convert_text_to_time(&sides[1], b)?)
            }
            (Operand::Text(a), Operand::Time(b)) => {
                Condition::Times(order, self.convert_text_to_time(&sides[0], a)?, b)
            }
            (Operand::Text(a), Operand::Text(b)) if equality => Condition::Texts {
                equal,
                sides: [a, b],
            },
            (Operand::Test(a), Operand::Test(b)) if equality => {
                return Some(compare_conditions(equal, a, b));
            }
            (Operand::Test(a), Operand::Text(b)) if equality => {
                return self.compare_with_word(equal, a, b, &sides[1]);
            }
            (Operand::Text(a), Operand::Test(b)) if equality => {
                return self.compare_with_word(equal, b, a, &sides[0]);
            }
            (a, b) => match (a.to_float(), b.to_float()) {
                (Some(a), Some(b)) => Condition::Floats(order, a, b),
                _ => return self.report_mismatch(order, sides, &a, &b, span),
            },
        };
        Some(Operand::Test(Program::from_condition(condition)))
    }

    /// A Boolean equals the word `true` or `false` in any case: Amazon's documentation
    /// writes `isbefore(…) == "False"`.
    fn compare_with_word(
        &mut self,
        equal: bool,
        test: Program,
        other: TextOperand,
        side: &Expr,
    ) -> Option<Operand> {
        let TextOperand::Constant(constant) = &other else {
            let condition = Condition::Word {
                equal,
                test,
                word: other,
            };
            return Some(Operand::Test(Program::from_condition(condition)));
        };
        let Some(truth) = parse_boolean_word(constant) else {
            let found = clip_text(constant);
            let message = format!(
                "`\"{found}\"` can never equal a condition; write `\"true\"` or `\"false\"`"
            );
            return self.report(side.span, message);
        };
        let as_it_is = truth == equal;
        Some(Operand::Test(if as_it_is { test } else { test.negate() }))
    }

    fn report_mismatch(
        &mut self,
        order: Comparison,
        sides: &[Expr; 2],
        a: &Operand,
        b: &Operand,
        span: Span,
    ) -> Option<Operand> {
        let symbol = order.symbol();
        let hint = suggest_correction(symbol, sides, a, b);
        let message = match (a, b) {
            (Operand::Null, _) | (_, Operand::Null) => {
                format!("`null` goes with `==` and `!=` only, not with `{symbol}`")
            }
            (Operand::Text(_), Operand::Text(_)) => format!(
                "`{symbol}` does not order a STRING; compare numbers or times, or test with `==`, `in` or `regex_match`"
            ),
            (Operand::Test(_), _) | (_, Operand::Test(_)) if is_chained_comparison(sides) => {
                format!("comparisons do not chain: write `… {symbol} … and … {symbol} …`")
            }
            _ => {
                let (left, right) = (a.describe(), b.describe());
                format!("`{symbol}` cannot compare {left} with {right}{hint}")
            }
        };
        self.report(span, message)
    }

    /// A text as a time. A literal is parsed now, so that a mistake in it is reported.
    fn convert_text_to_time(&mut self, expr: &Expr, text: TextOperand) -> Option<TimeOperand> {
        let TextOperand::Constant(constant) = &text else {
            return Some(TimeOperand::Parsed(text));
        };
        let Some(millis) = utc_time::parse_utc_time(constant) else {
            let found = clip_text(constant);
            let message = format!(
                "`\"{found}\"` is not a time; write it in UTC as `\"2019-11-30T01:01:01Z\"`"
            );
            return self.report(expr.span, message);
        };
        Some(TimeOperand::Constant(millis))
    }

    fn check_arithmetic(&mut self, operator: Arithmetic, sides: &[Expr; 2]) -> Option<Operand> {
        let (a, b) = (
            self.check_number(operator, &sides[0]),
            self.check_number(operator, &sides[1]),
        );
        let operand = match (a?, b?) {
            (Operand::Integer(a), Operand::Integer(b)) if operator != Arithmetic::Divide => {
                Operand::Integer(IntegerOperand::from_arithmetic(operator, a, b))
            }
            (a, b) => Operand::Float(FloatOperand::from_arithmetic(
                operator,
                a.to_float()?,
                b.to_float()?,
            )),
        };
        Some(operand)
    }

    fn check_number(&mut self, operator: Arithmetic, expr: &Expr) -> Option<Operand> {
        let operand = self.check_operand(expr)?;
        let hint = match &operand {
            Operand::Integer(_) | Operand::Float(_) => return Some(operand),
            Operand::Time(_) => "; use `getepochmilliseconds(…)`",
            Operand::Text(_) => "; strings cannot be joined",
            Operand::Null | Operand::Test(_) => "",
        };
        let (symbol, it) = (operator.symbol(), describe_operand(expr, &operand));
        self.report(
            expr.span,
            format!("`{symbol}` takes numbers, but {it}{hint}"),
        )
    }

    fn check_membership(&mut self, subject: &Expr, membership: &Membership) -> Option<Operand> {
        let operand = self.check_operand(subject);
        let list = match &membership.list {
            ListExpr::Named(name, span) => self.resolve_list(name, *span),
            ListExpr::Inline(items) => operand
                .as_ref()
                .and_then(|operand| self.check_inline_list(operand, items))
                .map(ListSource::Inline),
        };
        let (operand, list) = operand.zip(list)?;
        if matches!(operand, Operand::Null) {
            let message = "`null` is in no list; write `$variable == null`";
            return self.report(subject.span, message);
        }
        let condition = Condition::In {
            inside: !membership.negated,
            operand,
            list,
        };
        Some(Operand::Test(Program::from_condition(condition)))
    }

    fn resolve_list(&mut self, name: &str, span: Span) -> Option<ListSource> {
        if !self.schema.has_list(name) {
            let hint = suggest_name("@", name, self.schema.lists());
            return self.report(
                span,
                format!("there is no list `@{}`{hint}", clip_text(name)),
            );
        }
        if !self.lists.iter().any(|known| **known == *name) {
            self.lists.push(name.into());
            if self.lists.len() > MAX_LISTS {
                let message = format!("`@{name}` is one list too many: a rule may use {MAX_LISTS}");
                return self.report(span, message);
            }
        }
        Some(ListSource::Named(name.into()))
    }

    fn check_inline_list(
        &mut self,
        operand: &Operand,
        items: &[(Literal, Span)],
    ) -> Option<ListValues> {
        let mut list = ListValues::default();
        let known = self.problems.len();
        for (item, span) in items {
            if let Err(problem) = add_to_list(&mut list, operand, item) {
                self.problems.push(RuleProblem::new(*span, problem));
            }
        }
        (self.problems.len() == known).then_some(list)
    }

    fn check_call(&mut self, call: &CallExpr) -> Option<Operand> {
        let arguments: Vec<Option<Operand>> = call
            .arguments
            .iter()
            .map(|argument| self.check_operand(argument))
            .collect();
        let Some(function) = find_function(&call.function) else {
            return self.report_unknown_function(call);
        };
        let (wanted, found) = (function.parameters.len(), arguments.len());
        if wanted != found {
            let wanted = match wanted {
                0 => "no argument".to_owned(),
                1 => "one argument".to_owned(),
                2 => "two arguments".to_owned(),
                _ => format!("{wanted} arguments"),
            };
            let (name, signature) = (function.name, function.signature());
            return self.report(
                call.name,
                format!("`{name}` takes {wanted}, not {found}: write `{signature}`"),
            );
        }
        let operands: Vec<Operand> = arguments.into_iter().collect::<Option<_>>()?;
        let parts = function
            .parameters
            .iter()
            .zip(&call.arguments)
            .zip(operands);
        // Not one iterator chain: each argument must be checked, even if one before it is wrong.
        let arguments: Vec<Option<Argument>> = parts
            .map(|((parameter, expr), operand)| {
                self.check_argument(call, *parameter, expr, operand)
            })
            .collect();
        let arguments = arguments.into_iter().collect::<Option<_>>()?;
        Some(Operand::from_call(function.evaluator, arguments))
    }

    fn report_unknown_function(&mut self, call: &CallExpr) -> Option<Operand> {
        let known = || FUNCTIONS.iter().map(|function| function.name);
        let hint = match find_nearest(&call.function, known()) {
            Some(name) => format!("; did you mean `{name}`?"),
            None => format!("; there are {}", known().collect::<Vec<_>>().join(", ")),
        };
        let name = clip_text(&call.function);
        self.report(call.name, format!("there is no function `{name}`{hint}"))
    }

    fn check_argument(
        &mut self,
        call: &CallExpr,
        parameter: Parameter,
        expr: &Expr,
        operand: Operand,
    ) -> Option<Argument> {
        match (parameter.ty, operand) {
            (ParameterType::Text, Operand::Text(text)) => Some(Argument::Text(text)),
            (ParameterType::Pattern, Operand::Text(text)) => self
                .convert_text_to_pattern(expr.span, text)
                .map(Argument::Pattern),
            (ParameterType::Time, Operand::Time(time)) => Some(Argument::Time(time)),
            (ParameterType::Time, Operand::Text(text)) => {
                self.convert_text_to_time(expr, text).map(Argument::Time)
            }
            (wanted, operand) => {
                let (name, wanted) = (&call.function, wanted.describe());
                let it = describe_operand(expr, &operand);
                self.report(expr.span, format!("`{name}` takes {wanted} here, but {it}"))
            }
        }
    }

    /// A literal is compiled now, so that a mistake in it is reported.
    fn convert_text_to_pattern(&mut self, span: Span, text: TextOperand) -> Option<RegexPattern> {
        let TextOperand::Constant(constant) = &text else {
            return Some(RegexPattern::Computed(text));
        };
        match pattern::compile_literal_pattern(constant) {
            Ok(regex) => Some(RegexPattern::Compiled(regex)),
            Err(reason) => self.report(span, format!("this is not a pattern: {reason}")),
        }
    }
}

/// Says what an operand is, and quotes it if it is one token.
fn describe_operand(expr: &Expr, operand: &Operand) -> String {
    let what = operand.describe();
    match expr.kind {
        ExprKind::Variable(_) | ExprKind::Literal(_) => {
            format!("`{}` is {what}", clip_text(&expr.to_string()))
        }
        _ => format!("this is {what}"),
    }
}

fn compare_conditions(equal: bool, a: Program, b: Program) -> Operand {
    let condition = Condition::Tests {
        equal,
        sides: [a, b],
    };
    Operand::Test(Program::from_condition(condition))
}

/// Adds a literal to the list that `operand` is looked up in. The error says why its type
/// does not fit.
fn add_to_list(list: &mut ListValues, operand: &Operand, item: &Literal) -> Result<(), String> {
    match (operand, item) {
        (Operand::Text(_), Literal::Text(text)) => list.insert(text),
        (Operand::Integer(_) | Operand::Float(_), Literal::Integer(number)) => {
            list.insert_integer(*number);
        }
        (Operand::Integer(_) | Operand::Float(_), Literal::Float(number)) => {
            list.insert_float(*number);
        }
        (Operand::Test(_), Literal::Boolean(truth)) => list.insert(&truth.to_string()),
        (Operand::Test(_), Literal::Text(text)) if parse_boolean_word(text).is_some() => {
            list.insert(text);
        }
        (Operand::Time(_), Literal::Text(text)) if utc_time::parse_utc_time(text).is_some() => {
            list.insert(text);
        }
        _ => return Err(describe_unfit_item(operand, item)),
    }
    Ok(())
}

fn describe_unfit_item(operand: &Operand, item: &Literal) -> String {
    let found = clip_text(&item.to_string());
    let right = match (operand, item) {
        (Operand::Text(_), Literal::Integer(_) | Literal::Float(_)) => format!("`\"{found}\"`"),
        (Operand::Text(_), _) => "strings".to_owned(),
        (Operand::Integer(_) | Operand::Float(_), _) => "numbers, without quotes".to_owned(),
        (Operand::Time(_), _) => "times such as `\"2019-11-30T01:01:01Z\"`".to_owned(),
        (Operand::Test(_) | Operand::Null, _) => "`true` or `false`".to_owned(),
    };
    let what = operand.describe();
    format!("`{found}` cannot equal what is left of `in`, which is {what}; write {right}")
}

/// How to correct a comparison of a literal with a value of another type.
fn suggest_correction(symbol: &str, sides: &[Expr; 2], a: &Operand, b: &Operand) -> String {
    // `<` and its like refuse two texts.
    let takes_texts = matches!(symbol, "==" | "!=");
    let literal = |expr: &Expr| match &expr.kind {
        ExprKind::Literal(literal) => Some(literal.clone()),
        _ => None,
    };
    let is_number = |operand: &Operand| matches!(operand, Operand::Integer(_) | Operand::Float(_));
    let pairs = [(a, literal(&sides[1])), (b, literal(&sides[0]))];
    let hints = pairs
        .into_iter()
        .filter_map(|(operand, literal)| match (operand, literal?) {
            (Operand::Text(_), number @ (Literal::Integer(_) | Literal::Float(_)))
                if takes_texts =>
            {
                Some(format!("; write `\"{}\"`", clip_text(&number.to_string())))
            }
            (operand, Literal::Text(text)) if is_number(operand) && is_written_number(&text) => {
                Some(format!("; write `{}` without quotes", clip_text(&text)))
            }
            (Operand::Time(_), Literal::Integer(_) | Literal::Float(_)) => {
                Some("; write the time as `\"2019-11-30T01:01:01Z\"`".to_owned())
            }
            _ => None,
        });
    hints.last().unwrap_or_default()
}

/// Whether a text without its quotes is a number of the language: digits, with a sign and a fraction or without.
fn is_written_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

/// Whether this is the second comparison of `1 < $a < 5`.
fn is_chained_comparison(sides: &[Expr; 2]) -> bool {
    sides
        .iter()
        .any(|side| matches!(side.kind, ExprKind::Compare(..)))
}

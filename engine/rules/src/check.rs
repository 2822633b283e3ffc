//! Checks an expression against the variables and lists of a schema.
//!
//! Names are looked up, types are checked, and constants are computed. A wrong part is
//! reported and left out, and the rest is still checked, so that all problems are found
//! at once.

use crate::{
    advice::{advise_item, advise_literal, advise_two_comparisons},
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
    suggest::find_nearest,
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
        self.report_problem(RuleProblem::new(span, message))
    }

    fn report_problem<T>(&mut self, problem: RuleProblem) -> Option<T> {
        self.problems.push(problem);
        None
    }

    /// Reports a name that is not known, with the nearest one that is.
    fn report_unknown_name<T>(
        &mut self,
        (kind, sign): (&str, &str),
        name: &str,
        span: Span,
        nearest: Option<&str>,
    ) -> Option<T> {
        let message = format!("there is no {kind} `{sign}{}`", clip_text(name));
        self.report_problem(match nearest.map(|nearest| format!("{sign}{nearest}")) {
            Some(nearest) => {
                let message = format!("{message}; did you mean `{nearest}`?");
                RuleProblem::new(span, message).replacing(span, nearest)
            }
            None => RuleProblem::new(span, message),
        })
    }

    fn check_rule(&mut self, expr: &Expr) -> Option<Program> {
        match self.check_operand(expr)? {
            Operand::Test(program) => Some(program),
            other => {
                let found = other.describe();
                let example = match other {
                    Operand::Text(_) => "… == \"text\"",
                    Operand::Time(_) => "… > \"2019-11-30T01:01:01Z\"",
                    Operand::Null => "$variable == null",
                    Operand::Integer(_) | Operand::Float(_) | Operand::Test(_) => "… > 100",
                };
                self.report(expr.span, format!(
                    "a rule must be true or false, but this is {found}; compare it, as in `{example}`"
                ))
            }
        }
    }

    fn check_operand(&mut self, expr: &Expr) -> Option<Operand> {
        match &expr.kind {
            ExprKind::Null => Some(Operand::Null),
            ExprKind::Literal(literal) => Some(Operand::from_literal(literal)),
            ExprKind::Variable(name) => self.resolve_variable(name, expr.span),
            ExprKind::Not(inner) => Some(Operand::Test(self.check_negation(inner, None)?.negate())),
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
        let a = match &sides[0].kind {
            ExprKind::Not(inner) if sides[0].span.end == inner.span.end => {
                let comparison = sides[0].span.to(sides[1].span);
                let negated = self.check_negation(inner, Some(comparison));
                negated.map(|negated| Operand::Test(negated.negate()))
            }
            _ => self.check_operand(&sides[0]),
        };
        a.zip(self.check_operand(&sides[1]))
    }

    fn resolve_variable(&mut self, name: &str, span: Span) -> Option<Operand> {
        let Some(slot) = self.schema.slot(name) else {
            let known = self.schema.variables().map(|(name, _)| name);
            let nearest = find_nearest(name, known);
            return self.report_unknown_name(("variable", "$"), name, span, nearest);
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

    /// Checks what `!` negates; `comparison` is the one of which it is the left side.
    fn check_negation(&mut self, inner: &Expr, comparison: Option<Span>) -> Option<Program> {
        let other = match self.check_operand(inner)? {
            Operand::Test(program) => return Some(program),
            other => other,
        };
        let it = describe_operand(inner, &other);
        let Some(comparison) = comparison else {
            let message = format!("`!` negates a condition, but {it}");
            return self.report(inner.span, message);
        };
        let message = format!(
            "`!` negates a condition and binds tighter than `==` or `+`, but {it}; \
             write `!(…)` around the whole condition"
        );
        let whole = inner.span.to(comparison);
        self.report_problem(RuleProblem::new(inner.span, message).enclosing(whole, "("))
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
        let message = match (a, b) {
            (Operand::Null, _) | (_, Operand::Null) => {
                format!("`null` goes with `==` and `!=` only, not with `{symbol}`")
            }
            (Operand::Text(_), Operand::Text(_)) => format!(
                "`{symbol}` does not order a STRING; compare numbers or times, or test with `==`, `in` or `regex_match`"
            ),
            (Operand::Test(_), _) | (_, Operand::Test(_)) if is_chained_comparison(sides) => {
                return self.report_problem(advise_two_comparisons(symbol, sides, span));
            }
            _ => {
                let (left, right) = (a.describe(), b.describe());
                let message = format!("`{symbol}` cannot compare {left} with {right}");
                return self.report_problem(advise_literal(message, symbol, sides, a, b, span));
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
        let message = format!("`{symbol}` takes numbers, but {it}{hint}");
        let problem = RuleProblem::new(expr.span, message);
        self.report_problem(match operand {
            Operand::Time(_) => problem.enclosing(expr.span, "getepochmilliseconds("),
            _ => problem,
        })
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
            let nearest = find_nearest(name, self.schema.lists());
            return self.report_unknown_name(("list", "@"), name, span, nearest);
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
            if !add_to_list(&mut list, operand, item) {
                self.problems.push(advise_item(operand, item, *span));
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
        if let Some(nearest) = find_nearest(&call.function, known()) {
            let function = ("function", "");
            return self.report_unknown_name(function, &call.function, call.name, Some(nearest));
        }
        let there_are = known().collect::<Vec<_>>().join(", ");
        let name = clip_text(&call.function);
        self.report(
            call.name,
            format!("there is no function `{name}`; there are {there_are}"),
        )
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

/// Adds a literal to the list that `operand` is looked up in. False if its type does not fit.
fn add_to_list(list: &mut ListValues, operand: &Operand, item: &Literal) -> bool {
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
        _ => return false,
    }
    true
}

/// Whether this is the second comparison of `1 < $a < 5`.
fn is_chained_comparison(sides: &[Expr; 2]) -> bool {
    matches!(sides[0].kind, ExprKind::Compare(..))
}

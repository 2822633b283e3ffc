//! Does a rule fit its event type?
//!
//! Names are looked up, types are checked, and constants are computed. A part that is
//! wrong is reported and left out, and the rest is checked on, so that one look finds
//! all problems.

use std::borrow::Cow;

use crate::{
    ast::{Among, Arithmetic, Call, Comparison, Expr, Kind, Literal, Membership},
    compile::Program,
    error::{Problem, Span, clip},
    eval,
    lists::List,
    pattern,
    rule::MAX_LISTS,
    schema::Schema,
    suggest::{did_you_mean, nearest},
    term::{Condition, Float, Integer, Source, Term, Text, Time},
    time,
    value::word,
};

/// What a rule turned out to be.
pub(crate) struct Checked {
    /// Nothing if there are problems.
    pub(crate) program: Option<Program>,
    pub(crate) problems: Vec<Problem>,
    /// Where each variable stands, left to right.
    pub(crate) variables: Vec<(Span, u32)>,
    /// The names of the lists, each once.
    pub(crate) lists: Vec<Box<str>>,
}

pub(crate) fn check(expr: &Expr, schema: &Schema) -> Checked {
    let mut checker = Checker {
        schema,
        problems: Vec::new(),
        variables: Vec::new(),
        lists: Vec::new(),
    };
    let program = checker.rule(expr);
    let Checker {
        problems,
        variables,
        lists,
        ..
    } = checker;
    Checked {
        program,
        problems,
        variables,
        lists,
    }
}

struct Checker<'a> {
    schema: &'a Schema,
    problems: Vec<Problem>,
    variables: Vec<(Span, u32)>,
    lists: Vec<Box<str>>,
}

#[derive(Clone, Copy)]
enum Function {
    RegexMatch,
    Lowercase,
    Uppercase,
    GetCurrentDateTime,
    IsBefore,
    IsAfter,
    GetEpochMilliseconds,
}

/// Each function with what it takes.
const FUNCTIONS: &[(&str, Function, &str)] = &[
    ("regex_match", Function::RegexMatch, "pattern, text"),
    ("lowercase", Function::Lowercase, "text"),
    ("uppercase", Function::Uppercase, "text"),
    ("getcurrentdatetime", Function::GetCurrentDateTime, ""),
    ("isbefore", Function::IsBefore, "time, time"),
    ("isafter", Function::IsAfter, "time, time"),
    (
        "getepochmilliseconds",
        Function::GetEpochMilliseconds,
        "time",
    ),
];

impl Checker<'_> {
    fn report<T>(&mut self, span: Span, message: impl Into<String>) -> Option<T> {
        self.problems.push(Problem::new(span, message));
        None
    }

    fn rule(&mut self, expr: &Expr) -> Option<Program> {
        match self.term(expr)? {
            Term::Test(program) => Some(program),
            other => {
                let found = other.describe();
                self.report(expr.span, format!(
                    "a rule must be true or false, but this is {found}; compare it, as in `… > 100`"
                ))
            }
        }
    }

    fn term(&mut self, expr: &Expr) -> Option<Term> {
        match &expr.kind {
            Kind::Null => Some(Term::Null),
            Kind::Literal(literal) => Some(constant(literal)),
            Kind::Variable(name) => self.variable(name, expr.span),
            Kind::Not(inner) => Some(Term::Test(self.negated(inner)?.not())),
            Kind::And(parts) => Some(Term::Test(Program::all(self.tests(parts, "and")?))),
            Kind::Or(parts) => Some(Term::Test(Program::any(self.tests(parts, "or")?))),
            Kind::Compare(order, sides) => self.comparison(*order, sides, expr.span),
            Kind::Arithmetic(operator, sides) => self.arithmetic(*operator, sides),
            Kind::In(subject, membership) => self.membership(subject, membership),
            Kind::Call(call) => self.call(call),
        }
    }

    /// Checks both, whether or not the first is wrong.
    fn two(&mut self, sides: &[Expr; 2]) -> Option<(Term, Term)> {
        let (a, b) = (self.term(&sides[0]), self.term(&sides[1]));
        a.zip(b)
    }

    fn variable(&mut self, name: &str, span: Span) -> Option<Term> {
        let Some(slot) = self.schema.slot(name) else {
            let known = self.schema.variables().map(|(name, _)| name);
            let hint = did_you_mean("$", name, known);
            return self.report(
                span,
                format!("there is no variable `${}`{hint}", clip(name)),
            );
        };
        let (_, ty) = self.schema.variable(slot);
        let slot = u32::try_from(slot).ok()?;
        self.variables.push((span, slot));
        Some(Term::variable(slot, ty))
    }

    fn tests(&mut self, parts: &[Expr], operator: &str) -> Option<Vec<Program>> {
        // Not one iterator chain: each part must be checked, whatever came before it.
        let tests: Vec<_> = parts.iter().map(|part| self.test(part, operator)).collect();
        tests.into_iter().collect()
    }

    fn test(&mut self, expr: &Expr, operator: &str) -> Option<Program> {
        match self.term(expr)? {
            Term::Test(program) => Some(program),
            other => {
                let it = name_of(expr, &other);
                self.report(
                    expr.span,
                    format!("`{operator}` joins conditions, but {it}"),
                )
            }
        }
    }

    fn negated(&mut self, inner: &Expr) -> Option<Program> {
        match self.term(inner)? {
            Term::Test(program) => Some(program),
            other => {
                let it = name_of(inner, &other);
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

    fn comparison(&mut self, order: Comparison, sides: &[Expr; 2], span: Span) -> Option<Term> {
        let equality = matches!(order, Comparison::Equal | Comparison::NotEqual);
        let equal = order == Comparison::Equal;
        let condition = match self.two(sides)? {
            (Term::Null, term) | (term, Term::Null) if equality => {
                Condition::Null { is: equal, term }
            }
            (Term::Integer(a), Term::Integer(b)) => Condition::Integers(order, a, b),
            (Term::Time(a), Term::Time(b)) => Condition::Times(order, a, b),
            (Term::Time(a), Term::Text(b)) => {
                Condition::Times(order, a, self.moment(&sides[1], b)?)
            }
            (Term::Text(a), Term::Time(b)) => {
                Condition::Times(order, self.moment(&sides[0], a)?, b)
            }
            (Term::Text(a), Term::Text(b)) if equality => Condition::Texts {
                equal,
                sides: [a, b],
            },
            (Term::Test(a), Term::Test(b)) if equality => return Some(same(equal, a, b)),
            (Term::Test(a), Term::Text(b)) if equality => {
                return self.is_word(equal, a, b, &sides[1]);
            }
            (Term::Text(a), Term::Test(b)) if equality => {
                return self.is_word(equal, b, a, &sides[0]);
            }
            (a, b) => match (float(&a), float(&b)) {
                (Some(a), Some(b)) => Condition::Floats(order, a, b),
                _ => return self.mismatch(order, sides, &a, &b, span),
            },
        };
        Some(Term::Test(Program::condition(condition)))
    }

    /// `isbefore(…) == "False"` is how the documentation writes it: a Boolean equals
    /// its word, in any case.
    fn is_word(&mut self, equal: bool, test: Program, other: Text, side: &Expr) -> Option<Term> {
        let Text::Constant(constant) = &other else {
            let condition = Condition::Word {
                equal,
                test,
                word: other,
            };
            return Some(Term::Test(Program::condition(condition)));
        };
        let Some(truth) = word(constant) else {
            let found = clip(constant);
            let message = format!(
                "`\"{found}\"` can never equal a condition; write `\"true\"` or `\"false\"`"
            );
            return self.report(side.span, message);
        };
        let as_it_is = truth == equal;
        Some(Term::Test(if as_it_is { test } else { test.not() }))
    }

    fn mismatch(
        &mut self,
        order: Comparison,
        sides: &[Expr; 2],
        a: &Term,
        b: &Term,
        span: Span,
    ) -> Option<Term> {
        let symbol = order.symbol();
        let hint = hint(sides, a, b);
        let message = match (a, b) {
            (Term::Null, _) | (_, Term::Null) => {
                format!("`null` goes with `==` and `!=` only, not with `{symbol}`")
            }
            (Term::Text(_), Term::Text(_)) => format!(
                "`{symbol}` does not order a STRING; compare numbers or times, or test with `==`, `in` or `regex_match`"
            ),
            (Term::Test(_), _) | (_, Term::Test(_)) if is_chain(sides) => {
                format!("comparisons do not chain: write `… {symbol} … and … {symbol} …`")
            }
            _ => {
                let (left, right) = (a.describe(), b.describe());
                format!("`{symbol}` cannot compare {left} with {right}{hint}")
            }
        };
        self.report(span, message)
    }

    /// A text where a time is meant. A literal is read now, so that a slip shows.
    fn moment(&mut self, expr: &Expr, text: Text) -> Option<Time> {
        let Text::Constant(constant) = &text else {
            return Some(Time::Read(text));
        };
        let Some(millis) = time::parse(constant) else {
            let found = clip(constant);
            let message = format!(
                "`\"{found}\"` is not a time; write it in UTC as `\"2019-11-30T01:01:01Z\"`"
            );
            return self.report(expr.span, message);
        };
        Some(Time::Constant(millis))
    }

    fn arithmetic(&mut self, operator: Arithmetic, sides: &[Expr; 2]) -> Option<Term> {
        let (a, b) = (
            self.number(operator, &sides[0]),
            self.number(operator, &sides[1]),
        );
        let term = match (a?, b?) {
            (Term::Integer(a), Term::Integer(b)) if operator != Arithmetic::Divide => {
                Term::Integer(integers(operator, a, b))
            }
            (a, b) => Term::Float(floats(operator, float(&a)?, float(&b)?)),
        };
        Some(term)
    }

    fn number(&mut self, operator: Arithmetic, expr: &Expr) -> Option<Term> {
        let term = self.term(expr)?;
        let hint = match &term {
            Term::Integer(_) | Term::Float(_) => return Some(term),
            Term::Time(_) => "; use `getepochmilliseconds(…)`",
            Term::Text(_) => "; strings cannot be joined",
            Term::Null | Term::Test(_) => "",
        };
        let (symbol, it) = (operator.symbol(), name_of(expr, &term));
        self.report(
            expr.span,
            format!("`{symbol}` takes numbers, but {it}{hint}"),
        )
    }

    fn membership(&mut self, subject: &Expr, membership: &Membership) -> Option<Term> {
        let term = self.term(subject);
        let list = match &membership.list {
            Among::Named(name, span) => self.named(name, *span),
            Among::Inline(items) => term
                .as_ref()
                .and_then(|term| self.inline(term, items))
                .map(Source::Inline),
        };
        let (term, list) = term.zip(list)?;
        if matches!(term, Term::Null) {
            let message = "`null` is in no list; write `$variable == null`";
            return self.report(subject.span, message);
        }
        let condition = Condition::In {
            inside: !membership.negated,
            term,
            list,
        };
        Some(Term::Test(Program::condition(condition)))
    }

    fn named(&mut self, name: &str, span: Span) -> Option<Source> {
        if !self.schema.has_list(name) {
            let hint = did_you_mean("@", name, self.schema.lists());
            return self.report(span, format!("there is no list `@{}`{hint}", clip(name)));
        }
        if !self.lists.iter().any(|known| **known == *name) {
            self.lists.push(name.into());
            if self.lists.len() > MAX_LISTS {
                let message = format!("`@{name}` is one list too many: a rule may use {MAX_LISTS}");
                return self.report(span, message);
            }
        }
        Some(Source::Named(name.into()))
    }

    fn inline(&mut self, term: &Term, items: &[(Literal, Span)]) -> Option<List> {
        let mut list = List::default();
        let known = self.problems.len();
        for (item, span) in items {
            if let Err(problem) = add(&mut list, term, item) {
                self.problems.push(Problem::new(*span, problem));
            }
        }
        (self.problems.len() == known).then_some(list)
    }

    fn call(&mut self, call: &Call) -> Option<Term> {
        let arguments: Vec<Option<Term>> = call
            .arguments
            .iter()
            .map(|argument| self.term(argument))
            .collect();
        let name = &*call.function;
        let Some((_, function, takes)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            return self.unknown_function(call);
        };
        let wanted = takes.split_terminator(", ").count();
        if wanted != arguments.len() {
            let found = arguments.len();
            let wanted = match wanted {
                0 => "no argument",
                1 => "one argument",
                _ => "two arguments",
            };
            return self.report(
                call.name,
                format!("`{name}` takes {wanted}, not {found}: write `{name}({takes})`"),
            );
        }
        let arguments: Option<Vec<Term>> = arguments.into_iter().collect();
        self.apply(*function, call, arguments?)
    }

    fn unknown_function(&mut self, call: &Call) -> Option<Term> {
        let known = || FUNCTIONS.iter().map(|(name, ..)| *name);
        let hint = match nearest(&call.function, known()) {
            Some(name) => format!("; did you mean `{name}`?"),
            None => format!("; there are {}", known().collect::<Vec<_>>().join(", ")),
        };
        let name = clip(&call.function);
        self.report(call.name, format!("there is no function `{name}`{hint}"))
    }

    fn apply(&mut self, function: Function, call: &Call, arguments: Vec<Term>) -> Option<Term> {
        let exprs = &call.arguments;
        let mut arguments = exprs.iter().zip(arguments);
        let mut next = || arguments.next();
        match function {
            Function::GetCurrentDateTime => Some(Term::Time(Time::Now)),
            Function::Lowercase => {
                let text = self.text(call, next()?)?;
                Some(Term::Text(changed(text, eval::lowercase, Text::Lowercase)))
            }
            Function::Uppercase => {
                let text = self.text(call, next()?)?;
                Some(Term::Text(changed(text, eval::uppercase, Text::Uppercase)))
            }
            Function::GetEpochMilliseconds => {
                let time = self.time(call, next()?)?;
                Some(Term::Integer(Integer::EpochMillis(Box::new(time))))
            }
            Function::IsBefore => self.order(call, Comparison::Less, next()?, next()?),
            Function::IsAfter => self.order(call, Comparison::Greater, next()?, next()?),
            Function::RegexMatch => self.regex_match(call, next()?, next()?),
        }
    }

    fn text(&mut self, call: &Call, (expr, term): (&Expr, Term)) -> Option<Text> {
        match term {
            Term::Text(text) => Some(text),
            other => self.wrong_argument(call, expr, &other, "a STRING"),
        }
    }

    fn time(&mut self, call: &Call, (expr, term): (&Expr, Term)) -> Option<Time> {
        match term {
            Term::Time(time) => Some(time),
            Term::Text(text) => self.moment(expr, text),
            other => self.wrong_argument(call, expr, &other, "a DATETIME or a STRING"),
        }
    }

    fn wrong_argument<T>(
        &mut self,
        call: &Call,
        expr: &Expr,
        term: &Term,
        wanted: &str,
    ) -> Option<T> {
        let (name, it) = (&call.function, name_of(expr, term));
        self.report(expr.span, format!("`{name}` takes {wanted} here, but {it}"))
    }

    fn order(
        &mut self,
        call: &Call,
        order: Comparison,
        a: (&Expr, Term),
        b: (&Expr, Term),
    ) -> Option<Term> {
        let (a, b) = (self.time(call, a), self.time(call, b));
        Some(Term::Test(Program::condition(Condition::Times(
            order, a?, b?,
        ))))
    }

    fn regex_match(
        &mut self,
        call: &Call,
        pattern: (&Expr, Term),
        subject: (&Expr, Term),
    ) -> Option<Term> {
        let span = pattern.0.span;
        let (pattern, subject) = (self.text(call, pattern), self.text(call, subject));
        let condition = match (pattern?, subject?) {
            (Text::Constant(pattern), subject) => match pattern::written(&pattern) {
                Ok(pattern) => Condition::Matches { pattern, subject },
                Err(reason) => {
                    return self.report(span, format!("this is not a pattern: {reason}"));
                }
            },
            (pattern, subject) => Condition::MatchesComputed { pattern, subject },
        };
        Some(Term::Test(Program::condition(condition)))
    }
}

/// Says what an operand is, quoting it if it is one token.
fn name_of(expr: &Expr, term: &Term) -> String {
    let what = term.describe();
    match expr.kind {
        Kind::Variable(_) | Kind::Literal(_) => {
            format!("`{}` is {what}", clip(&expr.to_string()))
        }
        _ => format!("this is {what}"),
    }
}

fn constant(literal: &Literal) -> Term {
    match literal {
        Literal::Text(text) => Term::Text(Text::Constant(text.clone())),
        Literal::Integer(number) => Term::Integer(Integer::Constant(*number)),
        Literal::Float(number) => Term::Float(Float::Constant(*number)),
        Literal::Boolean(truth) => Term::Test(Program::condition(Condition::Known(*truth))),
    }
}

/// A number as a float.
fn float(term: &Term) -> Option<Float> {
    match term {
        Term::Float(float) => Some(float.clone()),
        Term::Integer(integer) => Some(integer.clone().into()),
        _ => None,
    }
}

fn integers(operator: Arithmetic, a: Integer, b: Integer) -> Integer {
    if let (Integer::Constant(a), Integer::Constant(b)) = (&a, &b)
        && let Some(number) = operator.integers(*a, *b)
    {
        return Integer::Constant(number);
    }
    Integer::Arithmetic(operator, Box::new([a, b]))
}

fn floats(operator: Arithmetic, a: Float, b: Float) -> Float {
    if let (Float::Constant(a), Float::Constant(b)) = (&a, &b)
        && let Some(number) = operator.floats(*a, *b)
    {
        return Float::Constant(number);
    }
    Float::Arithmetic(operator, Box::new([a, b]))
}

fn changed(
    text: Text,
    change: fn(Cow<'_, str>) -> Cow<'_, str>,
    later: fn(Box<Text>) -> Text,
) -> Text {
    match text {
        Text::Constant(text) => Text::Constant(change(Cow::Borrowed(&text)).into()),
        other => later(Box::new(other)),
    }
}

fn same(equal: bool, a: Program, b: Program) -> Term {
    let condition = Condition::Tests {
        equal,
        sides: [a, b],
    };
    Term::Test(Program::condition(condition))
}

/// Adds a literal to the list that `term` is looked up in, or says why it does not fit.
fn add(list: &mut List, term: &Term, item: &Literal) -> Result<(), String> {
    match (term, item) {
        (Term::Text(_), Literal::Text(text)) => list.insert(text),
        (Term::Integer(_) | Term::Float(_), Literal::Integer(number)) => {
            list.insert_integer(*number);
        }
        (Term::Integer(_) | Term::Float(_), Literal::Float(number)) => list.insert_float(*number),
        (Term::Test(_), Literal::Boolean(truth)) => list.insert(&truth.to_string()),
        (Term::Test(_), Literal::Text(text)) if word(text).is_some() => list.insert(text),
        (Term::Time(_), Literal::Text(text)) if time::parse(text).is_some() => list.insert(text),
        _ => return Err(unfit(term, item)),
    }
    Ok(())
}

fn unfit(term: &Term, item: &Literal) -> String {
    let found = clip(&item.to_string());
    let right = match (term, item) {
        (Term::Text(_), Literal::Integer(_) | Literal::Float(_)) => format!("`\"{found}\"`"),
        (Term::Text(_), _) => "strings".to_owned(),
        (Term::Integer(_) | Term::Float(_), _) => "numbers, without quotes".to_owned(),
        (Term::Time(_), _) => "times such as `\"2019-11-30T01:01:01Z\"`".to_owned(),
        (Term::Test(_) | Term::Null, _) => "`true` or `false`".to_owned(),
    };
    let what = term.describe();
    format!("`{found}` cannot equal what is left of `in`, which is {what}; write {right}")
}

/// What would be right, where a text meets a number.
fn hint(sides: &[Expr; 2], a: &Term, b: &Term) -> String {
    let literal = |expr: &Expr| match &expr.kind {
        Kind::Literal(literal) => Some(literal.clone()),
        _ => None,
    };
    let is_number = |term: &Term| matches!(term, Term::Integer(_) | Term::Float(_));
    let pairs = [(a, literal(&sides[1])), (b, literal(&sides[0]))];
    let hints = pairs
        .into_iter()
        .filter_map(|(term, literal)| match (term, literal?) {
            (Term::Text(_), number @ (Literal::Integer(_) | Literal::Float(_))) => {
                Some(format!("; write `\"{}\"`", clip(&number.to_string())))
            }
            (term, Literal::Text(text)) if is_number(term) && text.parse::<f64>().is_ok() => {
                Some(format!("; write `{}` without quotes", clip(&text)))
            }
            (Term::Time(_), Literal::Integer(_) | Literal::Float(_)) => {
                Some("; write the time as `\"2019-11-30T01:01:01Z\"`".to_owned())
            }
            _ => None,
        });
    hints.last().unwrap_or_default()
}

/// Whether this is the second comparison of `1 < $a < 5`.
fn is_chain(sides: &[Expr; 2]) -> bool {
    sides
        .iter()
        .any(|side| matches!(side.kind, Kind::Compare(..)))
}

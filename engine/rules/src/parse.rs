//! Parses the text of a rule into an expression.

use crate::{
    advice::{
        advise_brackets, advise_difference, advise_list_of_one, advise_negation, correct_number,
        means_null, quote_text, translate_call,
    },
    ast::{Arithmetic, CallExpr, Expr, ExprKind, ListExpr, Literal, Membership},
    error::{Errors, RuleProblem, Span, clip_text},
    lex::{Lexeme, Token, lex_rule},
    operators::{COMPARE, NOT, OPERATORS, Operator},
    schema::Schema,
    suggest::find_nearest,
};

/// The maximum length of a rule, in characters: the limit of `CreateRule`.
pub const MAX_CHARACTERS: usize = 4096;

/// The maximum nesting of groups, calls and chains of arithmetic. It bounds the recursion
/// of all functions that visit an expression. A chain of `and` or of `or` is one level.
pub const MAX_DEPTH: usize = 64;

/// Parses an expression. Names are not looked up and types are not checked:
/// [`Rule::new`](crate::Rule::new) does both.
///
/// # Errors
/// If the text is longer than [`MAX_CHARACTERS`], nests deeper than [`MAX_DEPTH`], or is
/// not an expression.
/// ```
/// assert!(rules::parse_expression("$score > 900 and $country in [\"US\", \"CA\"]").is_ok());
/// assert_eq!(
///     rules::parse_expression("($score > 900").unwrap_err().messages(),
///     ["at 1:14: expected `)`, found the end of the rule"],
/// );
/// ```
pub fn parse_expression(text: &str) -> Result<Expr, Errors> {
    match parse_with_mistakes(text, None) {
        (Some(expr), problems) if problems.is_empty() => Ok(expr),
        (_, problems) => Err(Errors::new(text, problems)),
    }
}

/// As [`parse_expression`], but also returns the expression if the problems are mistakes
/// whose meaning is clear, so that it can be checked further. The names of `schema` tell what a
/// word without a sign means.
pub(crate) fn parse_with_mistakes(
    text: &str,
    schema: Option<&Schema>,
) -> (Option<Expr>, Vec<RuleProblem>) {
    let mut problems = Vec::new();
    if let Some(problem) = check_length(text) {
        return (None, vec![problem]);
    }
    let lexemes = lex_rule(text, &mut problems);
    let mut parser = Parser {
        text,
        lexemes: &lexemes,
        at: 0,
        nesting: 0,
        schema,
        problems: &mut problems,
    };
    let parsed = parser.parse_whole();
    match parsed {
        Ok(expr) => (Some(expr), problems),
        Err(problem) => {
            // A syntax error next to an error of the lexer is only its consequence.
            if !problems
                .iter()
                .any(|known| spans_touch(known.span, problem.span))
            {
                problems.push(problem);
            }
            (None, problems)
        }
    }
}

fn spans_touch(a: Span, b: Span) -> bool {
    a.start <= b.end && b.start <= a.end
}

fn check_length(text: &str) -> Option<RuleProblem> {
    let count = text.chars().count();
    let start = text.char_indices().nth(MAX_CHARACTERS)?.0;
    let span = Span {
        start,
        end: text.len(),
    };
    let message = format!("the rule has {count} characters, at most {MAX_CHARACTERS} are allowed");
    Some(RuleProblem::new(span, message))
}

type ParseResult<T> = Result<T, RuleProblem>;

struct Parser<'a> {
    text: &'a str,
    lexemes: &'a [Lexeme],
    at: usize,
    nesting: usize,
    schema: Option<&'a Schema>,
    /// Mistakes that are read as what was meant.
    problems: &'a mut Vec<RuleProblem>,
}

impl<'a> Parser<'a> {
    fn parse_whole(&mut self) -> ParseResult<Expr> {
        if self.is_at_end() {
            let message = "the rule is empty; write a condition such as `$amount > 100`";
            return Err(self.problem_here(message));
        }
        let expr = self.parse_expr(0)?;
        if self.is_at_end() {
            return Ok(expr);
        }
        Err(self.expected_problem("an operator such as `and`"))
    }

    /// Parses operands and all operators whose binding power is at least `min`.
    fn parse_expr(&mut self, min: u8) -> ParseResult<Expr> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return Err(self.problem_here(describe_nesting_limit()));
        }
        let left = self.parse_operand()?;
        let whole = self.parse_operations(left, min)?;
        self.nesting -= 1;
        Ok(whole)
    }

    /// Parses the operators after `left` whose binding power is at least `min`, with what they join.
    fn parse_operations(&mut self, mut left: Expr, min: u8) -> ParseResult<Expr> {
        while self.eat_symbol(".") {
            left = self.parse_method(left)?;
        }
        while let Some((operator, power)) = self.peek_operator().filter(|&(_, power)| power >= min)
        {
            left = self.parse_operation(left, operator, power)?;
        }
        Ok(left)
    }

    fn peek_operator(&self) -> Option<(Operator, u8)> {
        let Token::Symbol(symbol) = self.peek().token else {
            return None;
        };
        let known = OPERATORS.iter().find(|(known, ..)| *known == symbol);
        known.map(|&(_, operator, power)| (operator, power))
    }

    fn parse_operation(&mut self, left: Expr, operator: Operator, power: u8) -> ParseResult<Expr> {
        match operator {
            Operator::Or => self.parse_chain(left, "or", power, ExprKind::Or),
            Operator::And => self.parse_chain(left, "and", power, ExprKind::And),
            Operator::In => self.parse_membership(left),
            Operator::Compare(comparison) => {
                self.parse_binary(left, power, |sides| ExprKind::Compare(comparison, sides))
            }
            Operator::Arithmetic(arithmetic) => {
                self.parse_binary(left, power, |sides| ExprKind::Arithmetic(arithmetic, sides))
            }
        }
    }

    /// Parses `a and b and c` as one node, so that a long rule does not nest deep.
    fn parse_chain(
        &mut self,
        left: Expr,
        symbol: &'static str,
        power: u8,
        kind: fn(Vec<Expr>) -> ExprKind,
    ) -> ParseResult<Expr> {
        let start = left.span;
        let mut parts = vec![left];
        while self.eat_symbol(symbol) {
            parts.push(self.parse_expr(power + 1)?);
        }
        let end = parts.last().map_or(start, |last| last.span);
        build_expr(kind(parts), start.to(end))
    }

    fn parse_binary(
        &mut self,
        left: Expr,
        power: u8,
        kind: impl FnOnce(Box<[Expr; 2]>) -> ExprKind,
    ) -> ParseResult<Expr> {
        self.at += 1;
        let right = self.parse_expr(power + 1)?;
        let span = left.span.to(right.span);
        build_expr(kind(Box::new([left, right])), span)
    }

    fn parse_membership(&mut self, subject: Expr) -> ParseResult<Expr> {
        let negated = self.eat_symbol("not");
        if !self.eat_symbol("in") {
            return Err(self.expected_problem("`in` after `not`"));
        }
        let (list, end) = self.parse_list()?;
        let span = subject.span.to(end);
        build_expr(
            ExprKind::In(Box::new(subject), Membership { negated, list }),
            span,
        )
    }

    fn parse_list(&mut self) -> ParseResult<(ListExpr, Span)> {
        let span = self.peek().span;
        if self.peek().token == Token::List {
            self.at += 1;
            return Ok((ListExpr::Named(self.read_name(span), span), span));
        }
        let closing = match self.peek().token {
            Token::Symbol("[") => "]",
            Token::Symbol("(") => ")",
            Token::Word | Token::Text(_) | Token::Number => return self.read_unmarked_list(),
            _ => return Err(self.expected_problem("a list such as `[1, 2]` or `@list_name`")),
        };
        self.at += 1;
        let mut items = vec![self.parse_list_item()?];
        while self.eat_symbol(",") {
            items.push(self.parse_list_item()?);
        }
        let end = self.expect_symbol(closing)?;
        if closing == ")" {
            self.problems.push(advise_brackets(&items, span, end));
        }
        Ok((ListExpr::Inline(items), span.to(end)))
    }

    /// A name without `@`, or a value without brackets, where a list is expected.
    fn read_unmarked_list(&mut self) -> ParseResult<(ListExpr, Span)> {
        let span = self.peek().span;
        if self.peek().token == Token::Word {
            let lists = self.schema.map(Schema::lists).into_iter().flatten();
            let Some(near) = find_nearest(span.slice(self.text), lists) else {
                return Err(self.expected_problem("a list such as `[1, 2]` or `@list_name`"));
            };
            self.at += 1;
            let message = format!("a list is written with `@`: write `@{near}`");
            let problem = RuleProblem::new(span, message).replacing(span, format!("@{near}"));
            self.problems.push(problem);
            return Ok((ListExpr::Named(near.into(), span), span));
        }
        let item = self.parse_list_item()?;
        self.problems.push(advise_list_of_one(&item.0, span));
        Ok((ListExpr::Inline(vec![item]), span))
    }

    fn parse_list_item(&mut self) -> ParseResult<(Literal, Span)> {
        let item = self.parse_list_operand()?;
        match item.kind {
            ExprKind::Literal(literal) => Ok((literal, item.span)),
            ExprKind::Null => Err(RuleProblem::new(
                item.span,
                "a list cannot hold `null`; test it apart: `$variable == null or …`",
            )),
            _ => Err(RuleProblem::new(
                item.span,
                "a list holds strings and numbers only",
            )),
        }
    }

    fn parse_list_operand(&mut self) -> ParseResult<Expr> {
        let next = |token: &Token| {
            self.lexemes
                .get(self.at + 1)
                .is_some_and(|one| one.token == *token)
        };
        match &self.peek().token {
            Token::Symbol(closing @ ("]" | ")")) => Err(self.problem_here(format!(
                "a list holds at least one value, found `{closing}`"
            ))),
            Token::Word if !next(&Token::Symbol("(")) => self.read_word_as_text(),
            Token::Text(_) | Token::Number | Token::Symbol("null" | "true" | "false") => {
                self.parse_operand()
            }
            Token::Symbol("-") if next(&Token::Number) => self.parse_operand(),
            _ => Err(self.problem_here("a list holds strings and numbers only")),
        }
    }

    fn parse_operand(&mut self) -> ParseResult<Expr> {
        let lexeme = self.peek();
        let kind = match &lexeme.token {
            Token::Variable => ExprKind::Variable(self.read_name(lexeme.span)),
            Token::Text(text) => ExprKind::Literal(Literal::Text(text.clone())),
            Token::Number => ExprKind::Literal(self.parse_number(lexeme.span)?),
            Token::Symbol("null") => ExprKind::Null,
            Token::Symbol("true") => ExprKind::Literal(Literal::Boolean(true)),
            Token::Symbol("false") => ExprKind::Literal(Literal::Boolean(false)),
            Token::Symbol("!") => return self.parse_negation(),
            Token::Symbol("not") => return self.parse_not(),
            Token::Symbol("(") => return self.parse_group(),
            Token::Symbol("-") => return self.parse_negative(),
            Token::Word => return self.parse_call(),
            _ => return Err(self.describe_missing_operand()),
        };
        self.at += 1;
        build_expr(kind, lexeme.span)
    }

    fn describe_missing_operand(&self) -> RuleProblem {
        match self.peek().token {
            Token::List | Token::Symbol("[") => {
                self.problem_here("a list may only stand to the right of `in` or `not in`")
            }
            Token::Symbol(".") => self.problem_here("`.` has no meaning here"),
            _ => self.expected_problem("a value"),
        }
    }

    fn parse_negation(&mut self) -> ParseResult<Expr> {
        let start = self.peek().span;
        self.at += 1;
        let inner = self.parse_expr(NOT)?;
        let span = start.to(inner.span);
        build_expr(ExprKind::Not(Box::new(inner)), span)
    }

    fn parse_group(&mut self) -> ParseResult<Expr> {
        let start = self.peek().span;
        self.at += 1;
        let mut group = self.parse_expr(0)?;
        group.span = start.to(self.expect_symbol(")")?);
        Ok(group)
    }

    /// Reads `not` before a condition as the `!` that it means. It binds looser than `!`.
    fn parse_not(&mut self) -> ParseResult<Expr> {
        let word = self.peek().span;
        self.at += 1;
        let operand = self.parse_expr(NOT)?;
        let end = self.at;
        let inner = self.parse_operations(operand, COMPARE)?;
        let is_group = self.at == end;
        let span = word.to(inner.span);
        let negation = build_expr(ExprKind::Not(Box::new(inner)), span)?;
        let found = word.slice(self.text);
        self.problems
            .push(advise_negation(found, word, &negation, is_group));
        Ok(negation)
    }

    /// A negative number. Another value with `-` before it is read as the difference that it means.
    fn parse_negative(&mut self) -> ParseResult<Expr> {
        let sign = self.peek().span;
        let digits = self.lexemes.get(self.at + 1);
        if let Some(digits) = digits.filter(|next| next.token == Token::Number) {
            let span = sign.to(digits.span);
            let literal = self.parse_number(span)?;
            self.at += 2;
            return build_expr(ExprKind::Literal(literal), span);
        }
        self.at += 1;
        let operand = self.parse_expr(NOT)?;
        let span = sign.to(operand.span);
        let zero = Expr::new(ExprKind::Literal(Literal::Integer(0)), sign);
        let sides = Box::new([zero, operand]);
        let difference = build_expr(ExprKind::Arithmetic(Arithmetic::Subtract, sides), span)?;
        self.problems.push(advise_difference(sign, &difference));
        Ok(difference)
    }

    /// Reads `$email.contains("x")`, of which the `.` has been read, as the call that it means.
    fn parse_method(&mut self, subject: Expr) -> ParseResult<Expr> {
        let name = self.peek().span;
        let is_call = self.peek().token == Token::Word && {
            self.at += 1;
            self.eat_symbol("(")
        };
        let argument = match &self.peek().token {
            Token::Text(text) if is_call => Some(text.clone()),
            _ => None,
        };
        self.at += usize::from(argument.is_some());
        let end = self.peek().span;
        let translation = translate_call(name.slice(self.text), argument.as_deref());
        let Some(translation) = translation.filter(|_| is_call && self.eat_symbol(")")) else {
            let message = "values have no members and no methods; a function stands before its \
                           values, as in `lowercase($email)`";
            return Err(RuleProblem::new(name, message));
        };
        let whole = subject.span.to(end);
        let call = build_checked(translation.build_call(subject, whole))?;
        let right = call.to_string();
        let message = format!("values have no methods: write `{}`", clip_text(&right));
        let problem = RuleProblem::new(name.to(end), message).replacing(whole, right);
        self.problems.push(problem);
        Ok(call)
    }

    /// A function of another language, of which the arguments have been read.
    fn read_foreign_call(&mut self, call: &CallExpr, span: Span) -> ParseResult<Option<Expr>> {
        let (subject, argument) = match call.arguments.as_slice() {
            [subject] => (subject, None),
            [
                subject,
                Expr {
                    kind: ExprKind::Literal(Literal::Text(text)),
                    ..
                },
            ] => (subject, Some(&**text)),
            _ => return Ok(None),
        };
        let Some(translation) = translate_call(&call.function, argument) else {
            return Ok(None);
        };
        let translated = build_checked(translation.build_call(subject.clone(), span))?;
        let right = translated.to_string();
        let message = format!(
            "there is no function `{}`; write `{}`",
            call.function,
            clip_text(&right)
        );
        self.problems
            .push(RuleProblem::new(call.name, message).replacing(span, right));
        Ok(Some(translated))
    }

    /// A name without a sign, as the variable, text or `null` that it means.
    fn read_word(&mut self) -> ParseResult<Expr> {
        let span = self.peek().span;
        let name = span.slice(self.text);
        let shown = clip_text(name);
        let Some(schema) = self.schema else {
            let message = format!(
                "`{shown}` is not a value: a variable is written `${shown}`, text `\"{shown}\"`"
            );
            return Err(RuleProblem::new(span, message));
        };
        let known = schema.variables().map(|(name, _)| name);
        let (kind, right) = if means_null(name) {
            (ExprKind::Null, "null".to_owned())
        } else if let Some(near) = find_nearest(name, known) {
            (ExprKind::Variable(near.into()), format!("${near}"))
        } else {
            return self.read_word_as_text();
        };
        self.at += 1;
        let message = format!("`{shown}` is not a value; write `{right}`");
        self.problems
            .push(RuleProblem::new(span, message).replacing(span, right));
        build_expr(kind, span)
    }

    /// A name that is no variable, as text.
    fn read_word_as_text(&mut self) -> ParseResult<Expr> {
        let span = self.peek().span;
        let name = span.slice(self.text);
        let right = quote_text(name);
        let shown = clip_text(name);
        let message = format!(
            "`{shown}` is not a value; text is written `{}`, a variable `${shown}`",
            clip_text(&right)
        );
        self.problems
            .push(RuleProblem::new(span, message).replacing(span, right));
        self.at += 1;
        build_expr(ExprKind::Literal(Literal::Text(name.into())), span)
    }

    fn parse_call(&mut self) -> ParseResult<Expr> {
        let name = self.peek().span;
        let next = self.lexemes.get(self.at + 1);
        if next.is_none_or(|next| next.token != Token::Symbol("(")) {
            return self.read_word();
        }
        self.at += 2;
        let mut arguments = Vec::new();
        if self.peek().token != Token::Symbol(")") {
            arguments.push(self.parse_expr(0)?);
            while self.eat_symbol(",") {
                arguments.push(self.parse_expr(0)?);
            }
        }
        let end = self.expect_symbol(")")?;
        let call = CallExpr {
            function: name.slice(self.text).into(),
            name,
            arguments,
        };
        let span = name.to(end);
        match self.read_foreign_call(&call, span)? {
            Some(translated) => Ok(translated),
            None => build_expr(ExprKind::Call(call), span),
        }
    }

    /// Parses digits, which may have `-` and space before them.
    fn parse_number(&self, span: Span) -> ParseResult<Literal> {
        let digits: String = span.slice(self.text).split_whitespace().collect();
        let (sign, unsigned) = match digits.strip_prefix('-') {
            Some(unsigned) => ("-", unsigned),
            None => ("", digits.as_str()),
        };
        let is_plain = !unsigned.starts_with('.')
            && unsigned.ends_with(|c: char| c.is_ascii_digit())
            && unsigned.bytes().all(|c| c.is_ascii_digit() || c == b'.');
        let digits = match correct_number(unsigned) {
            Some(right) if !is_plain => format!("{sign}{right}"),
            _ => digits,
        };
        let shown = clip_text(&digits);
        if !digits.contains('.') {
            return digits.parse().map(Literal::Integer).map_err(|_| {
                let limits = "a whole number has 64 bits; write it with `.0`";
                RuleProblem::new(span, format!("`{shown}` is too large: {limits}"))
                    .replacing(span.after(), ".0")
            });
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Literal::Float(number)),
            _ => Err(RuleProblem::new(span, format!("`{shown}` is too large"))),
        }
    }

    /// The name in `$name` or `@name`.
    fn read_name(&self, span: Span) -> Box<str> {
        span.slice(self.text).get(1..).unwrap_or_default().into()
    }

    fn peek(&self) -> &'a Lexeme {
        const END: &Lexeme = &Lexeme {
            token: Token::End,
            span: Span { start: 0, end: 0 },
        };
        self.lexemes.get(self.at).unwrap_or(END)
    }

    fn is_at_end(&self) -> bool {
        self.peek().token == Token::End
    }

    fn eat_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek().token, Token::Symbol(found) if found == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> ParseResult<Span> {
        let span = self.peek().span;
        if self.eat_symbol(symbol) {
            Ok(span)
        } else {
            Err(self.expected_problem(&format!("`{symbol}`")))
        }
    }

    fn problem_here(&self, message: impl Into<String>) -> RuleProblem {
        RuleProblem::new(self.peek().span, message)
    }

    fn expected_problem(&self, what: &str) -> RuleProblem {
        let span = self.peek().span;
        match self.peek().token {
            Token::End => self.problem_here(format!("expected {what}, found the end of the rule")),
            _ => self.problem_here(format!(
                "expected {what}, found `{}`",
                clip_text(span.slice(self.text))
            )),
        }
    }
}

fn build_expr(kind: ExprKind, span: Span) -> ParseResult<Expr> {
    build_checked(Expr::new(kind, span))
}

fn build_checked(expr: Expr) -> ParseResult<Expr> {
    let span = expr.span;
    if expr.depth() > MAX_DEPTH {
        return Err(RuleProblem::new(span, describe_nesting_limit()));
    }
    Ok(expr)
}

fn describe_nesting_limit() -> String {
    format!("the rule nests too deep, at most {MAX_DEPTH} levels are allowed")
}

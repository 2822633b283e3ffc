//! Parses the text of a rule into an expression.

use crate::{
    ast::{Arithmetic, CallExpr, Comparison, Expr, ExprKind, ListExpr, Literal, Membership},
    error::{Errors, RuleProblem, Span, clip_text},
    lex::{Lexeme, Token, lex_rule},
};

/// The maximum length of a rule, in characters: the limit of `CreateRule`.
pub const MAX_CHARACTERS: usize = 4096;

/// The maximum nesting of groups, calls and chains of arithmetic. It bounds the recursion
/// of all functions that visit an expression. A chain of `and` or of `or` is one level.
pub const MAX_DEPTH: usize = 64;

#[derive(Clone, Copy)]
enum Operator {
    Or,
    And,
    Compare(Comparison),
    In,
    Arithmetic(Arithmetic),
}

/// The binding power of each operator, lowest first. All associate to the left.
/// `not` is the first word of `not in`.
const OPERATORS: &[(&str, Operator, u8)] = &[
    ("or", Operator::Or, OR),
    ("and", Operator::And, AND),
    ("==", Operator::Compare(Comparison::Equal), COMPARE),
    ("!=", Operator::Compare(Comparison::NotEqual), COMPARE),
    ("<", Operator::Compare(Comparison::Less), COMPARE),
    ("<=", Operator::Compare(Comparison::LessOrEqual), COMPARE),
    (">", Operator::Compare(Comparison::Greater), COMPARE),
    (">=", Operator::Compare(Comparison::GreaterOrEqual), COMPARE),
    ("in", Operator::In, COMPARE),
    ("not", Operator::In, COMPARE),
    ("+", Operator::Arithmetic(Arithmetic::Add), ADD),
    ("-", Operator::Arithmetic(Arithmetic::Subtract), ADD),
    ("*", Operator::Arithmetic(Arithmetic::Multiply), MULTIPLY),
    ("/", Operator::Arithmetic(Arithmetic::Divide), MULTIPLY),
    ("%", Operator::Arithmetic(Arithmetic::Remainder), MULTIPLY),
];

pub(crate) const OR: u8 = 1;
pub(crate) const AND: u8 = 2;
pub(crate) const COMPARE: u8 = 3;
pub(crate) const ADD: u8 = 4;
pub(crate) const MULTIPLY: u8 = 5;
pub(crate) const NOT: u8 = 6;

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
    match parse_with_mistakes(text) {
        (Some(expr), problems) if problems.is_empty() => Ok(expr),
        (_, problems) => Err(Errors::new(text, problems)),
    }
}

/// As [`parse_expression`], but also returns the expression if the problems are mistakes
/// whose meaning is clear, so that it can be checked further.
pub(crate) fn parse_with_mistakes(text: &str) -> (Option<Expr>, Vec<RuleProblem>) {
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
    };
    match parser.parse_whole() {
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
        let mut left = self.parse_operand()?;
        while let Some((operator, power)) = self.peek_operator().filter(|&(_, power)| power >= min)
        {
            left = self.parse_operation(left, operator, power)?;
        }
        self.nesting -= 1;
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
        if !self.eat_symbol("[") {
            return Err(self.expected_problem("a list such as `[1, 2]` or `@list_name`"));
        }
        let mut items = vec![self.parse_list_item()?];
        while self.eat_symbol(",") {
            items.push(self.parse_list_item()?);
        }
        let end = self.expect_symbol("]")?;
        Ok((ListExpr::Inline(items), span.to(end)))
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
        match self.peek().token {
            Token::Symbol("]") => {
                Err(self.problem_here("a list holds at least one value, found `]`"))
            }
            Token::Symbol("(" | "!") | Token::Word => {
                Err(self.problem_here("a list holds strings and numbers only"))
            }
            _ => self.parse_operand(),
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
            Token::Symbol("(") => return self.parse_group(),
            Token::Symbol("-") => return self.parse_negative_number(),
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
            Token::Symbol("not") => self
                .problem_here("`not` stands in `not in` only; to negate a condition write `!(…)`"),
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

    fn parse_negative_number(&mut self) -> ParseResult<Expr> {
        let start = self.peek().span;
        let digits = self.lexemes.get(self.at + 1);
        let Some(digits) = digits.filter(|next| next.token == Token::Number) else {
            return Err(self.problem_here("`-` may only stand before a number; write `0 - …`"));
        };
        let span = start.to(digits.span);
        let literal = self.parse_number(span)?;
        self.at += 2;
        build_expr(ExprKind::Literal(literal), span)
    }

    fn parse_call(&mut self) -> ParseResult<Expr> {
        let name = self.peek().span;
        self.at += 1;
        if !self.eat_symbol("(") {
            let word = clip_text(name.slice(self.text));
            let message = format!(
                "`{word}` is not a value: a variable is written `${word}`, text `\"{word}\"`"
            );
            return Err(RuleProblem::new(name, message));
        }
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
        build_expr(ExprKind::Call(call), name.to(end))
    }

    /// Parses digits, which may have `-` and space before them.
    fn parse_number(&self, span: Span) -> ParseResult<Literal> {
        let digits: String = span.slice(self.text).split_whitespace().collect();
        if !digits.contains('.') {
            return digits.parse().map(Literal::Integer).map_err(|_| {
                let limits = "a whole number has 64 bits; write it with `.0`";
                RuleProblem::new(
                    span,
                    format!("`{}` is too large: {limits}", clip_text(&digits)),
                )
            });
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Literal::Float(number)),
            _ => Err(RuleProblem::new(
                span,
                format!("`{}` is too large", clip_text(&digits)),
            )),
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
    let expr = Expr::new(kind, span);
    if expr.depth() > MAX_DEPTH {
        return Err(RuleProblem::new(span, describe_nesting_limit()));
    }
    Ok(expr)
}

fn describe_nesting_limit() -> String {
    format!("the rule nests too deep, at most {MAX_DEPTH} levels are allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_parsed(text: &str, want: &str) {
        let got = match parse_expression(text) {
            Ok(expr) => format!("{expr:#}"),
            Err(errors) => errors.messages().join("; "),
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn precedence() {
        check_parsed("$a + 2 * 3", "($a + (2 * 3))");
        check_parsed("$a * 2 % 3 / 4", "((($a * 2) % 3) / 4)");
        check_parsed("$a - 1 - 2", "(($a - 1) - 2)");
        check_parsed("$a + 1 < $b", "(($a + 1) < $b)");
        check_parsed("$a + 1 not in [1]", "(($a + 1) not in [1])");
        check_parsed(
            "$a > 1 and $b > 2 or $c > 3",
            "((($a > 1) and ($b > 2)) or ($c > 3))",
        );
        check_parsed("$a or $b and $c or $d", "($a or ($b and $c) or $d)");
        check_parsed("!$a == $b", "((!$a) == $b)");
        check_parsed("!!$a and $b", "((!(!$a)) and $b)");
        check_parsed("!$a + 1", "((!$a) + 1)");
        check_parsed("$a < $b == true", "(($a < $b) == true)");
    }

    #[test]
    fn parentheses_group() {
        check_parsed("($a or $b) and $c", "(($a or $b) and $c)");
        check_parsed("$a and ($b and $c)", "($a and ($b and $c))");
        check_parsed("($a + 1) * 2", "(($a + 1) * 2)");
        check_parsed("!($a > 1)", "(!($a > 1))");
    }

    #[test]
    fn numbers_may_carry_a_minus() {
        check_parsed("$a - -5", "($a - -5)");
        check_parsed("$a -5", "($a - 5)");
        check_parsed("-1.5 * - 2", "(-1.5 * -2)");
        check_parsed("$a in [-1, 2.0]", "($a in [-1, 2.0])");
        check_parsed("-9223372036854775808 < 0", "(-9223372036854775808 < 0)");
        check_parsed(
            "-$a < 1",
            "at 1:1: `-` may only stand before a number; write `0 - …`",
        );
    }

    #[test]
    fn errors_point_at_the_text() {
        check_parsed(
            "$a > ",
            "at 1:6: expected a value, found the end of the rule",
        );
        check_parsed("($a > 1", "at 1:8: expected `)`, found the end of the rule");
        check_parsed(
            "$a > 1 $b",
            "at 1:8: expected an operator such as `and`, found `$b`",
        );
        check_parsed(
            "$a in 5",
            "at 1:7: expected a list such as `[1, 2]` or `@list_name`, found `5`",
        );
        check_parsed(
            "$a in []",
            "at 1:8: a list holds at least one value, found `]`",
        );
        check_parsed(
            "$a in [$b]",
            "at 1:8: a list holds strings and numbers only",
        );
        check_parsed(
            "$a in [1, (2)]",
            "at 1:11: a list holds strings and numbers only",
        );
        check_parsed("$a not 5", "at 1:8: expected `in` after `not`, found `5`");
        check_parsed(
            "@l == 5",
            "at 1:1: a list may only stand to the right of `in` or `not in`",
        );
        check_parsed(
            "",
            "at 1:1: the rule is empty; write a condition such as `$amount > 100`",
        );
        check_parsed(
            "$a in [null]",
            "at 1:8: a list cannot hold `null`; test it apart: `$variable == null or …`",
        );
        check_parsed(
            "not $a",
            "at 1:1: `not` stands in `not in` only; to negate a condition write `!(…)`",
        );
        check_parsed(
            "a > 1",
            "at 1:1: `a` is not a value: a variable is written `$a`, text `\"a\"`",
        );
        check_parsed(
            "9223372036854775808 > 1",
            "at 1:1: `9223372036854775808` is too large: a whole number has 64 bits; write it with `.0`",
        );
        check_parsed(
            "\"open",
            "at 1:1: this string has no closing `\"` on its line",
        );
    }

    #[test]
    fn at_most_4096_characters() {
        let longest = format!("{}$é", " ".repeat(MAX_CHARACTERS - 2));
        assert!(parse_expression(&longest).unwrap_err().messages()[0].contains("expected a name"));
        let message = "at 1:4097: the rule has 4097 characters, at most 4096 are allowed";
        check_parsed(&format!(" {longest}"), message);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |open: &str, close: &str| {
            let levels = MAX_CHARACTERS / (open.len() + close.len()) - 1;
            format!("{}1{}", open.repeat(levels), close.repeat(levels))
        };
        for text in [
            deep("(", ")"),
            deep("!", ""),
            deep("f(", ")"),
            deep("", "+1"),
            deep("1+(", ")"),
        ] {
            let message = &parse_expression(&text).unwrap_err().messages()[0];
            assert!(
                message.ends_with("nests too deep, at most 64 levels are allowed"),
                "{message}"
            );
        }
        assert!(
            parse_expression(&deep("$a or ", "")).is_ok(),
            "a long chain is not deep"
        );
    }
}

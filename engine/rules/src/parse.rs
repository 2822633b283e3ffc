//! Parses the text of a rule into an expression.

use crate::{
    ast::{Arithmetic, CallExpr, Comparison, Expr, ExprKind, ListExpr, Literal, Membership},
    error::{Errors, Problem, Span, clip},
    lex::{Lexeme, Token, lex},
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
pub(crate) fn parse_with_mistakes(text: &str) -> (Option<Expr>, Vec<Problem>) {
    let mut problems = Vec::new();
    if let Some(problem) = too_long(text) {
        return (None, vec![problem]);
    }
    let lexemes = lex(text, &mut problems);
    let mut parser = Parser {
        text,
        lexemes: &lexemes,
        at: 0,
        nesting: 0,
    };
    match parser.whole() {
        Ok(expr) => (Some(expr), problems),
        Err(problem) => {
            // A syntax error next to an error of the lexer is only its consequence.
            if !problems
                .iter()
                .any(|known| touches(known.span, problem.span))
            {
                problems.push(problem);
            }
            (None, problems)
        }
    }
}

fn touches(a: Span, b: Span) -> bool {
    a.start <= b.end && b.start <= a.end
}

fn too_long(text: &str) -> Option<Problem> {
    let count = text.chars().count();
    let start = text.char_indices().nth(MAX_CHARACTERS)?.0;
    let span = Span {
        start,
        end: text.len(),
    };
    let message = format!("the rule has {count} characters, at most {MAX_CHARACTERS} are allowed");
    Some(Problem::new(span, message))
}

type Parsed<T> = Result<T, Problem>;

struct Parser<'a> {
    text: &'a str,
    lexemes: &'a [Lexeme],
    at: usize,
    nesting: usize,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Parsed<Expr> {
        if self.is_at_end() {
            let message = "the rule is empty; write a condition such as `$amount > 100`";
            return Err(self.problem(message));
        }
        let expr = self.expr(0)?;
        if self.is_at_end() {
            return Ok(expr);
        }
        Err(self.expected("an operator such as `and`"))
    }

    /// Parses operands and all operators whose binding power is at least `min`.
    fn expr(&mut self, min: u8) -> Parsed<Expr> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return Err(self.problem(too_deep()));
        }
        let mut left = self.operand()?;
        while let Some((operator, power)) = self.operator().filter(|&(_, power)| power >= min) {
            left = self.operation(left, operator, power)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let Token::Symbol(symbol) = self.peek().token else {
            return None;
        };
        let known = OPERATORS.iter().find(|(known, ..)| *known == symbol);
        known.map(|&(_, operator, power)| (operator, power))
    }

    fn operation(&mut self, left: Expr, operator: Operator, power: u8) -> Parsed<Expr> {
        match operator {
            Operator::Or => self.chain(left, "or", power, ExprKind::Or),
            Operator::And => self.chain(left, "and", power, ExprKind::And),
            Operator::In => self.membership(left),
            Operator::Compare(comparison) => {
                self.binary(left, power, |sides| ExprKind::Compare(comparison, sides))
            }
            Operator::Arithmetic(arithmetic) => {
                self.binary(left, power, |sides| ExprKind::Arithmetic(arithmetic, sides))
            }
        }
    }

    /// Parses `a and b and c` as one node, so that a long rule does not nest deep.
    fn chain(
        &mut self,
        left: Expr,
        symbol: &'static str,
        power: u8,
        kind: fn(Vec<Expr>) -> ExprKind,
    ) -> Parsed<Expr> {
        let start = left.span;
        let mut parts = vec![left];
        while self.eat(symbol) {
            parts.push(self.expr(power + 1)?);
        }
        let end = parts.last().map_or(start, |last| last.span);
        build(kind(parts), start.to(end))
    }

    fn binary(
        &mut self,
        left: Expr,
        power: u8,
        kind: impl FnOnce(Box<[Expr; 2]>) -> ExprKind,
    ) -> Parsed<Expr> {
        self.at += 1;
        let right = self.expr(power + 1)?;
        let span = left.span.to(right.span);
        build(kind(Box::new([left, right])), span)
    }

    fn membership(&mut self, subject: Expr) -> Parsed<Expr> {
        let negated = self.eat("not");
        if !self.eat("in") {
            return Err(self.expected("`in` after `not`"));
        }
        let (list, end) = self.list()?;
        let span = subject.span.to(end);
        build(
            ExprKind::In(Box::new(subject), Membership { negated, list }),
            span,
        )
    }

    fn list(&mut self) -> Parsed<(ListExpr, Span)> {
        let span = self.peek().span;
        if self.peek().token == Token::List {
            self.at += 1;
            return Ok((ListExpr::Named(self.name(span), span), span));
        }
        if !self.eat("[") {
            return Err(self.expected("a list such as `[1, 2]` or `@list_name`"));
        }
        let mut items = vec![self.item()?];
        while self.eat(",") {
            items.push(self.item()?);
        }
        let end = self.close("]")?;
        Ok((ListExpr::Inline(items), span.to(end)))
    }

    fn item(&mut self) -> Parsed<(Literal, Span)> {
        let item = self.operand_in_list()?;
        match item.kind {
            ExprKind::Literal(literal) => Ok((literal, item.span)),
            ExprKind::Null => Err(Problem::new(
                item.span,
                "a list cannot hold `null`; test it apart: `$variable == null or …`",
            )),
            _ => Err(Problem::new(
                item.span,
                "a list holds strings and numbers only",
            )),
        }
    }

    fn operand_in_list(&mut self) -> Parsed<Expr> {
        match self.peek().token {
            Token::Symbol("]") => Err(self.problem("a list holds at least one value, found `]`")),
            Token::Symbol("(" | "!") | Token::Word => {
                Err(self.problem("a list holds strings and numbers only"))
            }
            _ => self.operand(),
        }
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let lexeme = self.peek();
        let kind = match &lexeme.token {
            Token::Variable => ExprKind::Variable(self.name(lexeme.span)),
            Token::Text(text) => ExprKind::Literal(Literal::Text(text.clone())),
            Token::Number => ExprKind::Literal(self.number(lexeme.span)?),
            Token::Symbol("null") => ExprKind::Null,
            Token::Symbol("true") => ExprKind::Literal(Literal::Boolean(true)),
            Token::Symbol("false") => ExprKind::Literal(Literal::Boolean(false)),
            Token::Symbol("!") => return self.negation(),
            Token::Symbol("(") => return self.group(),
            Token::Symbol("-") => return self.negative(),
            Token::Word => return self.call(),
            _ => return Err(self.not_an_operand()),
        };
        self.at += 1;
        build(kind, lexeme.span)
    }

    fn not_an_operand(&self) -> Problem {
        match self.peek().token {
            Token::List => self.problem("a list may only stand to the right of `in` or `not in`"),
            Token::Symbol("[") => {
                self.problem("a list may only stand to the right of `in` or `not in`")
            }
            Token::Symbol("not") => {
                self.problem("`not` stands in `not in` only; to negate a condition write `!(…)`")
            }
            _ => self.expected("a value"),
        }
    }

    fn negation(&mut self) -> Parsed<Expr> {
        let start = self.peek().span;
        self.at += 1;
        let inner = self.expr(NOT)?;
        let span = start.to(inner.span);
        build(ExprKind::Not(Box::new(inner)), span)
    }

    fn group(&mut self) -> Parsed<Expr> {
        let start = self.peek().span;
        self.at += 1;
        let mut group = self.expr(0)?;
        group.span = start.to(self.close(")")?);
        Ok(group)
    }

    fn negative(&mut self) -> Parsed<Expr> {
        let start = self.peek().span;
        let digits = self.lexemes.get(self.at + 1);
        let Some(digits) = digits.filter(|next| next.token == Token::Number) else {
            return Err(self.problem("`-` may only stand before a number; write `0 - …`"));
        };
        let span = start.to(digits.span);
        let literal = self.number(span)?;
        self.at += 2;
        build(ExprKind::Literal(literal), span)
    }

    fn call(&mut self) -> Parsed<Expr> {
        let name = self.peek().span;
        self.at += 1;
        if !self.eat("(") {
            let word = clip(name.of(self.text));
            let message = format!(
                "`{word}` is not a value: a variable is written `${word}`, text `\"{word}\"`"
            );
            return Err(Problem::new(name, message));
        }
        let mut arguments = Vec::new();
        if self.peek().token != Token::Symbol(")") {
            arguments.push(self.expr(0)?);
            while self.eat(",") {
                arguments.push(self.expr(0)?);
            }
        }
        let end = self.close(")")?;
        let call = CallExpr {
            function: name.of(self.text).into(),
            name,
            arguments,
        };
        build(ExprKind::Call(call), name.to(end))
    }

    /// Parses digits, which may have `-` and space before them.
    fn number(&self, span: Span) -> Parsed<Literal> {
        let digits: String = span.of(self.text).split_whitespace().collect();
        if !digits.contains('.') {
            return digits.parse().map(Literal::Integer).map_err(|_| {
                let limits = "a whole number has 64 bits; write it with `.0`";
                Problem::new(span, format!("`{}` is too large: {limits}", clip(&digits)))
            });
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Literal::Float(number)),
            _ => Err(Problem::new(
                span,
                format!("`{}` is too large", clip(&digits)),
            )),
        }
    }

    /// The name in `$name` or `@name`.
    fn name(&self, span: Span) -> Box<str> {
        span.of(self.text).get(1..).unwrap_or_default().into()
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

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek().token, Token::Symbol(found) if found == symbol);
        self.at += usize::from(found);
        found
    }

    fn close(&mut self, symbol: &str) -> Parsed<Span> {
        let span = self.peek().span;
        if self.eat(symbol) {
            Ok(span)
        } else {
            Err(self.expected(&format!("`{symbol}`")))
        }
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.peek().span, message)
    }

    fn expected(&self, what: &str) -> Problem {
        let span = self.peek().span;
        match self.peek().token {
            Token::End => self.problem(format!("expected {what}, found the end of the rule")),
            _ => self.problem(format!(
                "expected {what}, found `{}`",
                clip(span.of(self.text))
            )),
        }
    }
}

fn build(kind: ExprKind, span: Span) -> Parsed<Expr> {
    let expr = Expr::new(kind, span);
    if expr.depth() > MAX_DEPTH {
        return Err(Problem::new(span, too_deep()));
    }
    Ok(expr)
}

fn too_deep() -> String {
    format!("the rule nests too deep, at most {MAX_DEPTH} levels are allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let got = match parse_expression(text) {
            Ok(expr) => format!("{expr:#}"),
            Err(errors) => errors.messages().join("; "),
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn precedence() {
        check("$a + 2 * 3", "($a + (2 * 3))");
        check("$a * 2 % 3 / 4", "((($a * 2) % 3) / 4)");
        check("$a - 1 - 2", "(($a - 1) - 2)");
        check("$a + 1 < $b", "(($a + 1) < $b)");
        check("$a + 1 not in [1]", "(($a + 1) not in [1])");
        check(
            "$a > 1 and $b > 2 or $c > 3",
            "((($a > 1) and ($b > 2)) or ($c > 3))",
        );
        check("$a or $b and $c or $d", "($a or ($b and $c) or $d)");
        check("!$a == $b", "((!$a) == $b)");
        check("!!$a and $b", "((!(!$a)) and $b)");
        check("!$a + 1", "((!$a) + 1)");
        check("$a < $b == true", "(($a < $b) == true)");
    }

    #[test]
    fn parentheses_group() {
        check("($a or $b) and $c", "(($a or $b) and $c)");
        check("$a and ($b and $c)", "($a and ($b and $c))");
        check("($a + 1) * 2", "(($a + 1) * 2)");
        check("!($a > 1)", "(!($a > 1))");
    }

    #[test]
    fn numbers_may_carry_a_minus() {
        check("$a - -5", "($a - -5)");
        check("$a -5", "($a - 5)");
        check("-1.5 * - 2", "(-1.5 * -2)");
        check("$a in [-1, 2.0]", "($a in [-1, 2.0])");
        check("-9223372036854775808 < 0", "(-9223372036854775808 < 0)");
        check(
            "-$a < 1",
            "at 1:1: `-` may only stand before a number; write `0 - …`",
        );
    }

    #[test]
    fn errors_point_at_the_text() {
        check(
            "$a > ",
            "at 1:6: expected a value, found the end of the rule",
        );
        check("($a > 1", "at 1:8: expected `)`, found the end of the rule");
        check(
            "$a > 1 $b",
            "at 1:8: expected an operator such as `and`, found `$b`",
        );
        check(
            "$a in 5",
            "at 1:7: expected a list such as `[1, 2]` or `@list_name`, found `5`",
        );
        check(
            "$a in []",
            "at 1:8: a list holds at least one value, found `]`",
        );
        check(
            "$a in [$b]",
            "at 1:8: a list holds strings and numbers only",
        );
        check(
            "$a in [1, (2)]",
            "at 1:11: a list holds strings and numbers only",
        );
        check("$a not 5", "at 1:8: expected `in` after `not`, found `5`");
        check(
            "@l == 5",
            "at 1:1: a list may only stand to the right of `in` or `not in`",
        );
        check(
            "",
            "at 1:1: the rule is empty; write a condition such as `$amount > 100`",
        );
        check(
            "$a in [null]",
            "at 1:8: a list cannot hold `null`; test it apart: `$variable == null or …`",
        );
        check(
            "not $a",
            "at 1:1: `not` stands in `not in` only; to negate a condition write `!(…)`",
        );
        check(
            "a > 1",
            "at 1:1: `a` is not a value: a variable is written `$a`, text `\"a\"`",
        );
        check(
            "9223372036854775808 > 1",
            "at 1:1: `9223372036854775808` is too large: a whole number has 64 bits; write it with `.0`",
        );
        check(
            "\"open",
            "at 1:1: this string has no closing `\"` on its line",
        );
    }

    #[test]
    fn at_most_4096_characters() {
        let longest = format!("{}$é", " ".repeat(MAX_CHARACTERS - 2));
        assert!(parse_expression(&longest).unwrap_err().messages()[0].contains("expected a name"));
        let message = "at 1:4097: the rule has 4097 characters, at most 4096 are allowed";
        check(&format!(" {longest}"), message);
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

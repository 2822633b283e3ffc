//! Splits the text of a rule into tokens.

use std::sync::Arc;

use crate::error::{Problem, Span, clip};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// `$name`
    Variable,
    /// `@name`
    List,
    /// `"text"`, after its escapes are resolved.
    Text(Arc<str>),
    /// `100` or `100.0`, without a sign.
    Number,
    /// A name without `$` or `@`: a function, or a mistake.
    Word,
    /// An operator, a keyword, a bracket or a comma.
    Symbol(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Span,
}

const KEYWORDS: &[&str] = &["and", "or", "in", "not", "null", "true", "false"];

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: &[&str] = &[
    "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",",
];

/// Operators of other languages, longest first, each with the operator to write here.
const SLIPS: &[(&str, &str)] = &[
    ("===", "=="),
    ("!==", "!="),
    ("&&", "and"),
    ("||", "or"),
    ("<>", "!="),
    ("=>", ">="),
    ("=<", "<="),
    ("&", "and"),
    ("|", "or"),
];

/// Splits `text` into tokens, the last of which is [`Token::End`].
///
/// A mistake whose meaning is clear is reported and read as what was meant, so that the
/// other errors of the rule are found too.
pub(crate) fn lex(text: &str, problems: &mut Vec<Problem>) -> Vec<Lexeme> {
    let mut lexer = Lexer {
        text,
        at: 0,
        problems,
    };
    let mut lexemes = Vec::with_capacity(text.len() / 4 + 1);
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let token = lexer.token();
        let end = token == Some(Token::End);
        let span = lexer.since(start);
        lexemes.extend(token.map(|token| Lexeme { token, span }));
        if end {
            return lexemes;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    fn skip_blank(&mut self) {
        loop {
            self.skip(char::is_whitespace);
            if self.peek() != Some('#') {
                return;
            }
            self.skip(|c| c != '\n');
        }
    }

    fn since(&self, start: usize) -> Span {
        Span {
            start,
            end: self.at,
        }
    }

    fn problem(&mut self, start: usize, message: impl Into<String>) {
        let span = self.since(start);
        self.problems.push(Problem::new(span, message));
    }

    /// The next token. `None` if there was none: the text is skipped and reported.
    fn token(&mut self) -> Option<Token> {
        let Some(first) = self.peek() else {
            return Some(Token::End);
        };
        match first {
            '$' => self.name(Token::Variable),
            '@' => self.name(Token::List),
            '"' => self.text(),
            '\'' => Some(self.single_quoted()),
            '0'..='9' => Some(self.number()),
            'a'..='z' | 'A'..='Z' | '_' => Some(self.word()),
            _ => self
                .slip()
                .or_else(|| self.symbol())
                .or_else(|| self.stranger(first)),
        }
    }

    fn name(&mut self, token: Token) -> Option<Token> {
        let start = self.at;
        self.at += 1;
        self.skip(is_name);
        if self.at == start + 1 {
            let sign = &self.text[start..self.at];
            self.problem(start, format!("expected a name right after `{sign}`"));
            return None;
        }
        Some(token)
    }

    /// A string ends on its line, so that a missing quote does not hide the rest of the rule.
    fn text(&mut self) -> Option<Token> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let mut chars = rest.char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Some(Token::Text(unescape(&rest[..offset])));
                }
                '\n' | '\r' => break,
                '\\' if !chars.as_str().starts_with(['\n', '\r']) => {
                    chars.next();
                }
                _ => {}
            }
        }
        self.skip(|c| c != '\n' && c != '\r');
        self.problem(start, "this string has no closing `\"` on its line");
        None
    }

    fn single_quoted(&mut self) -> Token {
        let start = self.at;
        self.at += 1;
        self.skip(|c| !matches!(c, '\'' | '\n'));
        let inner = self.since(start + 1).of(self.text);
        self.at += usize::from(self.peek() == Some('\''));
        self.problem(start, "a string stands in double quotes: write `\"…\"`");
        Token::Text(unescape(inner))
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        self.skip(|c| c.is_ascii_digit());
        let fraction = self.rest().strip_prefix('.');
        if fraction.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.at += 1;
            self.skip(|c| c.is_ascii_digit());
        }
        if self.peek().is_some_and(|c| is_name(c) || c == '.') {
            self.skip(|c| is_name(c) || c == '.');
            let found = clip(self.since(start).of(self.text));
            let message =
                format!("`{found}` is not a number; write digits, such as `100` or `0.5`");
            self.problem(start, message);
        }
        Token::Number
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        self.skip(is_name);
        let word = self.since(start).of(self.text);
        let keyword = KEYWORDS
            .iter()
            .find(|keyword| keyword.eq_ignore_ascii_case(word));
        let Some(&keyword) = keyword else {
            return Token::Word;
        };
        if word != keyword {
            let message = format!("`{word}` is a keyword in lower case: write `{keyword}`");
            self.problem(start, message);
        }
        Token::Symbol(keyword)
    }

    fn slip(&mut self) -> Option<Token> {
        let rest = self.rest();
        let single = rest.starts_with('=') && !rest.starts_with("==");
        let slip = SLIPS.iter().find(|(slip, _)| rest.starts_with(slip));
        let &(wrong, right) = slip.or(single.then_some(&("=", "==")))?;
        let start = self.at;
        self.at += wrong.len();
        self.problem(
            start,
            format!("`{wrong}` is not an operator; write `{right}`"),
        );
        Some(Token::Symbol(right))
    }

    fn symbol(&mut self) -> Option<Token> {
        let symbol = SYMBOLS
            .iter()
            .find(|symbol| self.rest().starts_with(**symbol))?;
        self.at += symbol.len();
        Some(Token::Symbol(symbol))
    }

    fn stranger(&mut self, found: char) -> Option<Token> {
        let start = self.at;
        self.at += found.len_utf8();
        let message = match found {
            '“' | '”' | '„' => {
                format!("`{found}` is not a quote here; write a straight `\"`")
            }
            '.' => "a number starts with a digit: write `0.5`".to_owned(),
            _ => format!("`{}` has no meaning here", clip(&found.to_string())),
        };
        self.problem(start, message);
        None
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// `\"` is a quote and `\\` a backslash. Any other backslash is kept, because the
/// documented patterns are written so: `"\."`, `".*\+1"`.
fn unescape(inner: &str) -> Arc<str> {
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next @ ('"' | '\\')) if c == '\\' => {
                text.push(next);
                chars.next();
            }
            _ => text.push(c),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let mut problems = Vec::new();
        let lexemes = lex(text, &mut problems);
        let mut got: Vec<String> = lexemes.iter().map(|lexeme| show(lexeme, text)).collect();
        got.extend(
            problems
                .iter()
                .map(|problem| format!("error: {}", problem.message)),
        );
        assert_eq!(got.join(" "), want, "{text}");
    }

    fn show(lexeme: &Lexeme, text: &str) -> String {
        let source = lexeme.span.of(text);
        match &lexeme.token {
            Token::Text(text) => format!("text<{text}>"),
            Token::Number => format!("number<{source}>"),
            Token::Word => format!("word<{source}>"),
            Token::Variable | Token::List => source.to_owned(),
            Token::Symbol(symbol) => (*symbol).to_owned(),
            Token::End => ".".to_owned(),
        }
    }

    #[test]
    fn tokens() {
        check(
            "$a>=1.50 and orange",
            "$a >= number<1.50> and word<orange> .",
        );
        check("$a not in @l # @m\n!$b", "$a not in @l ! $b .");
        check("[-1,2]", "[ - number<1> , number<2> ] .");
        check("", ".");
        check("# only a comment", ".");
    }

    #[test]
    fn strings_keep_what_the_regex_needs() {
        check(r#""\." "\+1""#, r"text<\.> text<\+1> .");
        check(r#""a\"b" "c\\""#, r#"text<a"b> text<c\> ."#);
        check(r#""a # b""#, "text<a # b> .");
        check(
            r#""open"#,
            ". error: this string has no closing `\"` on its line",
        );
        check(
            "\"a\nb\"",
            "word<b> . error: this string has no closing `\"` on its line \
               error: this string has no closing `\"` on its line",
        );
    }

    #[test]
    fn slips_are_read_and_reported() {
        check(
            "$a = 1",
            "$a == number<1> . error: `=` is not an operator; write `==`",
        );
        check(
            "$a && $b",
            "$a and $b . error: `&&` is not an operator; write `and`",
        );
        check(
            "$a OR $b",
            "$a or $b . error: `OR` is a keyword in lower case: write `or`",
        );
        check(
            "'US'",
            "text<US> . error: a string stands in double quotes: write `\"…\"`",
        );
        check(
            "1e5",
            "number<1e5> . error: `1e5` is not a number; write digits, such as `100` or `0.5`",
        );
        check(
            "$ ?",
            ". error: expected a name right after `$` error: `?` has no meaning here",
        );
    }
}

//! Splits the text of a rule into tokens.

use std::sync::Arc;

use crate::error::{RuleProblem, Span, clip_text};

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
const MISTAKES: &[(&str, &str)] = &[
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
pub(crate) fn lex_rule(text: &str, problems: &mut Vec<RuleProblem>) -> Vec<Lexeme> {
    let mut lexer = Lexer {
        text,
        at: 0,
        problems,
    };
    let mut lexemes = Vec::with_capacity(text.len() / 4 + 1);
    loop {
        lexer.skip_blanks_and_comments();
        let start = lexer.at;
        let token = lexer.next_token();
        let end = token == Some(Token::End);
        let span = lexer.span_since(start);
        lexemes.extend(token.map(|token| Lexeme { token, span }));
        if end {
            return lexemes;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    problems: &'a mut Vec<RuleProblem>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            self.skip_while(char::is_whitespace);
            if self.peek() != Some('#') {
                return;
            }
            self.skip_while(|c| c != '\n');
        }
    }

    fn span_since(&self, start: usize) -> Span {
        Span {
            start,
            end: self.at,
        }
    }

    fn report(&mut self, start: usize, message: impl Into<String>) {
        let span = self.span_since(start);
        self.problems.push(RuleProblem::new(span, message));
    }

    /// The next token. `None` if there was none: the text is skipped and reported.
    fn next_token(&mut self) -> Option<Token> {
        let Some(first) = self.peek() else {
            return Some(Token::End);
        };
        match first {
            '$' => self.lex_name(Token::Variable),
            '@' => self.lex_name(Token::List),
            '"' => self.lex_string(),
            '\'' => Some(self.lex_single_quoted_string()),
            '0'..='9' => Some(self.lex_number()),
            'a'..='z' | 'A'..='Z' | '_' => Some(self.lex_word()),
            _ => self
                .lex_mistake()
                .or_else(|| self.lex_symbol())
                .or_else(|| self.report_unknown_character(first)),
        }
    }

    fn lex_name(&mut self, token: Token) -> Option<Token> {
        let start = self.at;
        self.at += 1;
        self.skip_while(is_name_character);
        if self.at == start + 1 {
            let sign = &self.text[start..self.at];
            self.report(start, format!("expected a name right after `{sign}`"));
            return None;
        }
        Some(token)
    }

    /// A string ends on its line, so that a missing quote does not hide the rest of the rule.
    fn lex_string(&mut self) -> Option<Token> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let mut chars = rest.char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Some(Token::Text(unescape_string(&rest[..offset])));
                }
                '\n' | '\r' => break,
                '\\' if !chars.as_str().starts_with(['\n', '\r']) => {
                    chars.next();
                }
                _ => {}
            }
        }
        self.skip_while(|c| c != '\n' && c != '\r');
        self.report(start, "this string has no closing `\"` on its line");
        None
    }

    fn lex_single_quoted_string(&mut self) -> Token {
        let start = self.at;
        self.at += 1;
        self.skip_while(|c| !matches!(c, '\'' | '\n'));
        let inner = self.span_since(start + 1).slice(self.text);
        self.at += usize::from(self.peek() == Some('\''));
        self.report(start, "a string stands in double quotes: write `\"…\"`");
        Token::Text(unescape_string(inner))
    }

    fn lex_number(&mut self) -> Token {
        let start = self.at;
        self.skip_while(|c| c.is_ascii_digit());
        let fraction = self.rest().strip_prefix('.');
        if fraction.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.at += 1;
            self.skip_while(|c| c.is_ascii_digit());
        }
        if self
            .peek()
            .is_some_and(|c| is_name_character(c) || c == '.')
        {
            self.skip_while(|c| is_name_character(c) || c == '.');
            let found = clip_text(self.span_since(start).slice(self.text));
            let message =
                format!("`{found}` is not a number; write digits, such as `100` or `0.5`");
            self.report(start, message);
        }
        Token::Number
    }

    fn lex_word(&mut self) -> Token {
        let start = self.at;
        self.skip_while(is_name_character);
        let word = self.span_since(start).slice(self.text);
        let keyword = KEYWORDS
            .iter()
            .find(|keyword| keyword.eq_ignore_ascii_case(word));
        let Some(&keyword) = keyword else {
            return Token::Word;
        };
        if word != keyword {
            // `not` alone is refused as well, so it must not be suggested before anything else than `in`.
            let message = if keyword == "not" && !self.is_before_word("in") {
                format!("`{word}` is not an operator; to negate a condition write `!(…)`")
            } else {
                format!("`{word}` is a keyword in lower case: write `{keyword}`")
            };
            self.report(start, message);
        }
        Token::Symbol(keyword)
    }

    /// Whether `word`, in any case, comes next.
    fn is_before_word(&self, word: &str) -> bool {
        let next = self.rest().trim_start();
        let end = next.find(|c| !is_name_character(c)).unwrap_or(next.len());
        next.get(..end)
            .is_some_and(|next| next.eq_ignore_ascii_case(word))
    }

    fn lex_mistake(&mut self) -> Option<Token> {
        let rest = self.rest();
        let single = rest.starts_with('=') && !rest.starts_with("==");
        let slip = MISTAKES.iter().find(|(slip, _)| rest.starts_with(slip));
        let &(wrong, right) = slip.or(single.then_some(&("=", "==")))?;
        let start = self.at;
        self.at += wrong.len();
        self.report(
            start,
            format!("`{wrong}` is not an operator; write `{right}`"),
        );
        Some(Token::Symbol(right))
    }

    fn lex_symbol(&mut self) -> Option<Token> {
        let symbol = SYMBOLS
            .iter()
            .find(|symbol| self.rest().starts_with(**symbol))?;
        self.at += symbol.len();
        Some(Token::Symbol(symbol))
    }

    fn report_unknown_character(&mut self, found: char) -> Option<Token> {
        let start = self.at;
        self.at += found.len_utf8();
        let message = match found {
            '“' | '”' | '„' => {
                format!("`{found}` is not a quote here; write a straight `\"`")
            }
            '.' => match self.peek() {
                Some(next) if next.is_ascii_digit() => {
                    "a number starts with a digit: write `0.5`".to_owned()
                }
                _ => "`.` has no meaning here: values have no members and no methods; a function \
                      stands before its values, as in `lowercase($email)`"
                    .to_owned(),
            },
            _ => format!("`{}` has no meaning here", clip_text(&found.to_string())),
        };
        self.report(start, message);
        None
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// `\"` is a quote and `\\` a backslash. Any other backslash is kept, because the
/// documented patterns are written so: `"\."`, `".*\+1"`.
fn unescape_string(inner: &str) -> Arc<str> {
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
    fn check_tokens(text: &str, want: &str) {
        let mut problems = Vec::new();
        let lexemes = lex_rule(text, &mut problems);
        let mut got: Vec<String> = lexemes
            .iter()
            .map(|lexeme| format_lexeme(lexeme, text))
            .collect();
        got.extend(
            problems
                .iter()
                .map(|problem| format!("error: {}", problem.message)),
        );
        assert_eq!(got.join(" "), want, "{text}");
    }

    fn format_lexeme(lexeme: &Lexeme, text: &str) -> String {
        let source = lexeme.span.slice(text);
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
        check_tokens(
            "$a>=1.50 and orange",
            "$a >= number<1.50> and word<orange> .",
        );
        check_tokens("$a not in @l # @m\n!$b", "$a not in @l ! $b .");
        check_tokens("[-1,2]", "[ - number<1> , number<2> ] .");
        check_tokens("", ".");
        check_tokens("# only a comment", ".");
    }

    #[test]
    fn strings_keep_what_the_regex_needs() {
        check_tokens(r#""\." "\+1""#, r"text<\.> text<\+1> .");
        check_tokens(r#""a\"b" "c\\""#, r#"text<a"b> text<c\> ."#);
        check_tokens(r#""a # b""#, "text<a # b> .");
        check_tokens(
            r#""open"#,
            ". error: this string has no closing `\"` on its line",
        );
        check_tokens(
            "\"a\nb\"",
            "word<b> . error: this string has no closing `\"` on its line \
               error: this string has no closing `\"` on its line",
        );
    }

    #[test]
    fn mistakes_are_read_and_reported() {
        check_tokens(
            "$a = 1",
            "$a == number<1> . error: `=` is not an operator; write `==`",
        );
        check_tokens(
            "$a && $b",
            "$a and $b . error: `&&` is not an operator; write `and`",
        );
        check_tokens(
            "$a OR $b",
            "$a or $b . error: `OR` is a keyword in lower case: write `or`",
        );
        check_tokens(
            "$a NOT IN",
            "$a not in . error: `NOT` is a keyword in lower case: write `not` \
             error: `IN` is a keyword in lower case: write `in`",
        );
        check_tokens(
            "NOT $a",
            "not $a . error: `NOT` is not an operator; to negate a condition write `!(…)`",
        );
        check_tokens(
            ".5",
            "number<5> . error: a number starts with a digit: write `0.5`",
        );
        check_tokens(
            "$a.b",
            "$a word<b> . error: `.` has no meaning here: values have no members and no methods; \
             a function stands before its values, as in `lowercase($email)`",
        );
        check_tokens(
            "'US'",
            "text<US> . error: a string stands in double quotes: write `\"…\"`",
        );
        check_tokens(
            "1e5",
            "number<1e5> . error: `1e5` is not a number; write digits, such as `100` or `0.5`",
        );
        check_tokens(
            "$ ?",
            ". error: expected a name right after `$` error: `?` has no meaning here",
        );
    }
}

//! Splits the text of a rule into tokens.

use std::sync::Arc;

use crate::{
    advice::{CURLY_QUOTES, FOREIGN_OPERATORS, SINGLE_QUOTES, correct_number, quote_text},
    error::{RuleProblem, Span, clip_text},
};

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
    "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".",
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

    /// Reports what has been read since `start`, with what is right in its place.
    fn report_correction(&mut self, start: usize, message: impl Into<String>, right: &str) {
        let span = self.span_since(start);
        let problem = RuleProblem::new(span, message).replacing(span, right);
        self.problems.push(problem);
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
            '\'' => Some(self.lex_foreign_string(&['\''])),
            _ if CURLY_QUOTES.contains(&first) => Some(self.lex_foreign_string(&CURLY_QUOTES)),
            _ if SINGLE_QUOTES.contains(&first) => Some(self.lex_foreign_string(&SINGLE_QUOTES)),
            '0'..='9' => Some(self.lex_number()),
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                Some(self.lex_number())
            }
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
        self.at = start;
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        if rest[..end].contains(CURLY_QUOTES) {
            return Some(self.lex_foreign_string(&CURLY_QUOTES));
        }
        self.skip_while(|c| c != '\n' && c != '\r');
        self.report(start, "this string has no closing `\"` on its line");
        None
    }

    /// A string in other quotes than `"`. `closing` are those that may end it.
    fn lex_foreign_string(&mut self, closing: &[char]) -> Token {
        let start = self.at;
        let opening = self.peek().map_or(0, char::len_utf8);
        self.at += opening;
        let ends_here =
            |c: char| closing.contains(&c) || (c == '"' && closing.len() == CURLY_QUOTES.len());
        self.skip_while(|c| !ends_here(c) && c != '\n' && c != '\r');
        let text = unescape_string(self.span_since(start + opening).slice(self.text));
        match self.peek().filter(|c| ends_here(*c)) {
            Some(quote) => {
                self.at += quote.len_utf8();
                let right = quote_text(&text);
                let shown = clip_text(&right);
                let message = format!("a string stands in straight double quotes: write `{shown}`");
                self.report_correction(start, message, &right);
            }
            None => self.report(
                start,
                "a string stands in straight double quotes, and this one does not end on its line",
            ),
        }
        Token::Text(text)
    }

    fn lex_number(&mut self) -> Token {
        let start = self.at;
        self.skip_while(|c| c.is_ascii_digit());
        let fraction = self.rest().strip_prefix('.');
        if fraction.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.at += 1;
            self.skip_while(|c| c.is_ascii_digit());
        }
        let is_part = |c: char| is_name_character(c) || c == '.';
        let has_digit_first = self
            .span_since(start)
            .slice(self.text)
            .starts_with(|c| c != '.');
        if has_digit_first && !self.peek().is_some_and(is_part) {
            return Token::Number;
        }
        self.skip_while(is_part);
        self.skip_signed_exponent(start);
        let found = self.span_since(start).slice(self.text);
        let shown = clip_text(found);
        match correct_number(found) {
            Some(right) => {
                let message = format!("`{shown}` is not a number here; write `{right}`");
                self.report_correction(start, message, &right);
            }
            None => self.report(
                start,
                format!("`{shown}` is not a number; write digits, such as `100` or `0.5`"),
            ),
        }
        Token::Number
    }

    /// Skips the `-5` of `1e-5`.
    fn skip_signed_exponent(&mut self, start: usize) {
        let read = self.span_since(start).slice(self.text);
        let rest = self.rest().strip_prefix(['-', '+']);
        let is_exponent = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_exponent && read.ends_with(['e', 'E']) {
            self.at += 1;
            self.skip_while(|c| c.is_ascii_digit());
        }
    }

    fn lex_word(&mut self) -> Token {
        let start = self.at;
        self.skip_while(is_name_character);
        let word = self.span_since(start).slice(self.text);
        let keyword = KEYWORDS
            .iter()
            .find(|keyword| keyword.eq_ignore_ascii_case(word));
        let Some(&keyword) = keyword else {
            return self.lex_is(start).unwrap_or(Token::Word);
        };
        // The parser reports a `not` that negates a condition, in capitals or not.
        if word != keyword && (keyword != "not" || self.is_before_word("in")) {
            let message = format!("`{word}` is a keyword in lower case: write `{keyword}`");
            self.report_correction(start, message, keyword);
        }
        Token::Symbol(keyword)
    }

    /// Reads SQL's `is` and `is not`, of which the word `is` has been read.
    fn lex_is(&mut self, start: usize) -> Option<Token> {
        let word = self.span_since(start).slice(self.text);
        let next = self.rest().trim_start();
        if !word.eq_ignore_ascii_case("is") || next.is_empty() || next.starts_with(['(', ',', ']'])
        {
            return None;
        }
        let right = if self.is_before_word("not") {
            self.skip_while(char::is_whitespace);
            self.skip_while(is_name_character);
            "!="
        } else {
            "=="
        };
        let found = self.span_since(start).slice(self.text);
        let message = format!("`{found}` is not an operator; write `{right}`");
        self.report_correction(start, message, right);
        Some(Token::Symbol(right))
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
        let slip = FOREIGN_OPERATORS
            .iter()
            .find(|(slip, _)| rest.starts_with(slip));
        let &(wrong, right) = slip.or(single.then_some(&("=", "==")))?;
        let start = self.at;
        if rest.starts_with("=~") {
            self.at += 2;
            let message = "`=~` is not an operator; write `regex_match(pattern, text)`";
            self.report(start, message);
            return Some(Token::Symbol("=="));
        }
        self.at += wrong.len();
        let message = format!("`{wrong}` is not an operator; write `{right}`");
        self.report_correction(start, message, right);
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
        if found == ';' && self.rest().trim_start().is_empty() {
            self.report_correction(start, "a rule ends without `;`: leave it out", "");
            return None;
        }
        let found = clip_text(&found.to_string());
        self.report(start, format!("`{found}` has no meaning here"));
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
        check_tokens("NOT $a", "not $a .");
        check_tokens(
            ".5",
            "number<.5> . error: `.5` is not a number here; write `0.5`",
        );
        check_tokens("$a.b", "$a . word<b> .");
        check_tokens(
            "'US'",
            "text<US> . error: a string stands in straight double quotes: write `\"US\"`",
        );
        check_tokens(
            "1e5",
            "number<1e5> . error: `1e5` is not a number here; write `100000`",
        );
        check_tokens(
            "$ ?",
            ". error: expected a name right after `$` error: `?` has no meaning here",
        );
    }
}

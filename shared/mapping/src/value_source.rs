//! The source of a value: a JSON pointer or a jq filter that is applied to an order.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use jaq_json::Val;
use serde::{Deserialize, de};
use serde_json::Value;

use crate::jq::{BudgetedValue, JqFilter, WORK};
use crate::json::BROKEN;

/// The longest text that a filter may give, in bytes: twice the longest variable value, so that it can be trimmed.
const LONGEST_OUTPUT: usize = 16 * 1024;
/// The most values of a source that may give several.
const MOST_VALUES: usize = 1000;

/// One order, with its form for jq, which is made when a filter first needs it.
pub struct Document<'a> {
    value: &'a Value,
    for_jq: OnceCell<Option<BudgetedValue>>,
    /// The budget of work that filters have left for this order.
    work: Cell<u64>,
}

impl<'a> Document<'a> {
    /// Wraps a parsed order.
    pub fn new(value: &'a Value) -> Self {
        Self {
            value,
            for_jq: OnceCell::new(),
            work: Cell::new(WORK),
        }
    }

    /// Whether the filters have used up the budget of work for this order.
    pub fn is_used_up(&self) -> bool {
        self.work.get() == 0
    }

    /// The order.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    fn for_jq(&self) -> Option<&BudgetedValue> {
        self.for_jq
            .get_or_init(|| BudgetedValue::new(self.value))
            .as_ref()
    }
}

/// A JSON pointer (`/customer/email`) or a jq filter (`[.items[].quantity] | add`).
///
/// Text that starts with `/` is a pointer; all other text is a jq filter. It is compiled when the mapping is read, so that
/// an invalid filter is found at start.
pub struct ValueSource {
    text: String,
    filter: Option<JqFilter>,
}

impl std::fmt::Debug for ValueSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ValueSource {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl ValueSource {
    /// Compiles `text`.
    ///
    /// # Errors
    /// A sentence that says why the filter is invalid, and what a source looks like.
    pub fn new(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "a source is empty; write a JSON pointer such as `/customer/email`".to_owned(),
            );
        }
        let filter = if text.starts_with('/') {
            None
        } else {
            Some(JqFilter::compile(&text).map_err(|why| {
                format!(
                    "`{text}` is neither a JSON pointer (`/customer/email`) nor a jq filter: {why}"
                )
            })?)
        };
        Ok(Self { text, filter })
    }

    /// The text of the value; `None` if it is absent, null or blank.
    ///
    /// # Errors
    /// A phrase that says why the value is not one text, number or Boolean. It quotes no value.
    pub fn read<'a>(&self, document: &Document<'a>) -> Result<Option<Cow<'a, str>>, String> {
        let Some(filter) = &self.filter else {
            return document
                .value
                .pointer(&self.text)
                .map_or(Ok(None), read_scalar);
        };
        let mut outputs = run_filter(filter, document, 2)?;
        if outputs.len() > 1 {
            return Err("has more than one value after the jq filter".to_owned());
        }
        Ok(outputs.pop().flatten().map(Cow::Owned))
    }

    /// The texts of all values that a filter gives, without those that are null or blank.
    ///
    /// # Errors
    /// As [`Self::read`], and if there are more than 1000.
    pub fn read_all(&self, document: &Document<'_>) -> Result<Vec<String>, String> {
        let Some(filter) = &self.filter else {
            return Ok(self
                .read(document)?
                .map(Cow::into_owned)
                .into_iter()
                .collect());
        };
        let outputs = run_filter(filter, document, MOST_VALUES + 1)?;
        if outputs.len() > MOST_VALUES {
            return Err(format!(
                "has more than {MOST_VALUES} values after the jq filter"
            ));
        }
        Ok(outputs.into_iter().flatten().collect())
    }
}

fn run_filter(
    filter: &JqFilter,
    document: &Document<'_>,
    most: usize,
) -> Result<Vec<Option<String>>, String> {
    let input = document.for_jq().ok_or("cannot be read by jq")?;
    filter.outputs(input, &document.work, most, read_jq_scalar)
}

/// The text of a value that a filter gave; `None` if it is null or blank.
fn read_jq_scalar(value: &Val) -> Result<Option<String>, String> {
    match value {
        Val::Null => Ok(None),
        Val::Bool(flag) => Ok(Some(flag.to_string())),
        Val::Num(_) => Ok(Some(value.to_string())),
        Val::TStr(text) | Val::BStr(text) if text.len() > LONGEST_OUTPUT => Err(format!(
            "is longer than {LONGEST_OUTPUT} bytes after the jq filter"
        )),
        Val::TStr(text) | Val::BStr(text) => {
            let text = std::str::from_utf8(text).map_err(|_| HOLDS_BROKEN_TEXT)?;
            Ok(trim_text(text)?.map(str::to_owned))
        }
        Val::Arr(_) => Err(IS_LIST.to_owned()),
        Val::Obj(_) => Err(IS_OBJECT.to_owned()),
    }
}

const IS_LIST: &str = "is a list, and should be text, a number or a Boolean";
const IS_OBJECT: &str = "is an object, and should be text, a number or a Boolean";
/// Stands in an order for a text that is not written as `formats` of the mapping says. Unicode guarantees that this code
/// point is never a character (Unicode 16.0, 23.7).
pub(crate) const NOT_AS_WRITTEN: &str = "\u{FDD1}";
const IS_NOT_AS_WRITTEN: &str = "is not written as `formats` of the mapping says";
const HOLDS_BROKEN_TEXT: &str = "holds bytes that are not UTF-8, or half of a surrogate pair";

/// The text of a JSON value; `None` if it is null or blank.
///
/// # Errors
/// A phrase that says why it is no text, number or Boolean.
pub(crate) fn read_scalar(value: &Value) -> Result<Option<Cow<'_, str>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(Cow::Borrowed(if *flag { "true" } else { "false" }))),
        Value::Number(number) => Ok(Some(Cow::Owned(number.to_string()))),
        Value::String(text) => Ok(trim_text(text)?.map(Cow::Borrowed)),
        Value::Array(_) => Err(IS_LIST.to_owned()),
        Value::Object(_) => Err(IS_OBJECT.to_owned()),
    }
}

/// The text without white space at its ends; `None` if nothing is left.
fn trim_text(text: &str) -> Result<Option<&str>, String> {
    if text.contains(BROKEN) {
        return Err(HOLDS_BROKEN_TEXT.to_owned());
    }
    if text.contains(NOT_AS_WRITTEN) {
        return Err(IS_NOT_AS_WRITTEN.to_owned());
    }
    let text = text.trim();
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, order: &str, want: &str) {
        let order = crate::json::parse_json(order.as_bytes()).unwrap();
        let got = match ValueSource::new(source.to_owned()) {
            Err(error) => format!("broken: {error}"),
            Ok(source) => match source.read(&Document::new(&order)) {
                Ok(Some(text)) => text.into_owned(),
                Ok(None) => "-".to_owned(),
                Err(error) => format!("error: {error}"),
            },
        };
        assert_eq!(got, want, "{source}");
    }

    #[test]
    fn pointers() {
        check("/a/b", r#"{"a":{"b":"x"}}"#, "x");
        check("/a/b", r#"{"a":{"b":" "}}"#, "-");
        check("/a/b", r#"{"a":null}"#, "-");
        check("/n", r#"{"n":12.50}"#, "12.5");
        check("/l/0", r#"{"l":[true]}"#, "true");
        check(
            "/l",
            r#"{"l":[1]}"#,
            "error: is a list, and should be text, a number or a Boolean",
        );
    }

    #[test]
    fn filters() {
        check(
            "[.items[].quantity] | add",
            r#"{"items":[{"quantity":2},{"quantity":3}]}"#,
            "5",
        );
        check("[.items[].quantity] | add", r#"{"items":[]}"#, "-");
        check(".a == .b", r#"{"a":1,"b":1}"#, "true");
        check(".a | ascii_downcase", r#"{"a":"X"}"#, "x");
        check(".a + 1", r#"{"a":"x"}"#, "error: makes the jq filter fail");
        check(
            ".a | nonsense",
            "{}",
            "broken: `.a | nonsense` is neither a JSON pointer (`/customer/email`) nor a jq filter: it does not know `nonsense`",
        );
        check(
            ".a |",
            "{}",
            "broken: `.a |` is neither a JSON pointer (`/customer/email`) nor a jq filter: it does not parse",
        );
        check(
            "\"x\" * 20000",
            "{}",
            "error: is longer than 16384 bytes after the jq filter",
        );
    }

    #[test]
    fn a_mapping_cannot_read_the_environment() {
        check(
            "env.HOME",
            "{}",
            "broken: `env.HOME` is neither a JSON pointer (`/customer/email`) nor a jq filter: `env` reaches beyond the order, on which a value must depend alone",
        );
        check(".env.now", r#"{"env":{"now":"x"}}"#, "x");
    }

    /// A filter over an order with a long text, a large number and many values.
    #[track_caller]
    fn check_ends(source: &str, want: &str) {
        let many: Vec<Value> = (0..30_000).map(Value::from).collect();
        let order = serde_json::json!({
            "text": "x".repeat(9_000), "n": 150_000, "big": "9".repeat(900_000), "many": many,
            "nested": "[".repeat(60_000), "words": "a b ".repeat(100_000),
            // Brackets in strings and comments close nothing.
            "hidden": format!("{}\"{}\",", "[".repeat(500), "]".repeat(500)).repeat(60),
            "comment": format!("{}#{}\n", "[".repeat(500), "]".repeat(500)).repeat(60),
        });
        let source = ValueSource::new(source.to_owned()).unwrap();
        let got = match source.read(&Document::new(&order)) {
            Ok(text) => text.map_or(0, |text| text.len()).to_string(),
            Err(error) => error,
        };
        assert_eq!(got, want, "{source:?}");
    }

    #[test]
    fn what_an_order_may_make_a_filter_do_is_bounded() {
        let used_up = "makes the filters of the mapping do more than 250000 steps of work";
        for filter in [
            // Texts that grow.
            ".text * .n",
            ".n * .text",
            "reduce range(40) as $i (.text; . + .) | length",
            "[range(.n)] | map(tostring) | join(\",\") | length",
            ".words | gsub(\"a\"; \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\") | length",
            ".words | explode | implode | length",
            // Numbers that grow.
            ".big | tonumber",
            "reduce range(40) as $i (3; . * .) | tostring | length",
            // Lists that grow, and values that are shared and look large.
            "[limit(.n * 10; repeat(\"x\"))] | length",
            "reduce range(60) as $i ([1]; . + .) | length",
            "reduce range(60) as $i (1; [., .]) | tojson | length",
            "reduce range(60) as $i (1; [., .]) | . == [.] | tostring",
            "reduce range(60) as $i ({}; {a: ., b: .}) | . as $all | contains($all)",
            // Values that are deep: freeing one takes stack.
            "reduce range(.n) as $i (0; [.]) | length",
            "reduce range(.n) as $i (0; {a: .}) | length",
            // Loops.
            "last(range(.n * 1000))",
            "[.many[] as $a | .many[] | select(. == $a)] | length",
            ".many | map(. as $x | {($x | tostring): [range(20)]}) | add | length",
            ".many | [combinations(3)] | length",
            "until(false; . + {})",
            "last(repeat(1))",
            "last(repeat(.))",
            "[.many[] | tostring | test(\"^[0-9]+$\")] | length",
            "[.many[] | tostring | @html] | length",
            // What is collected or compared before it is paid for.
            ".words | gsub(\"[^x]\"; \"\") | length",
            ".many[:3000] | (map([]) + [[1]]) as $all | map([1]) as $part | $all | contains($part)",
            // Texts that are looked through and not copied.
            "[.many[] as $n | .words | ltrimstr(\"b\")] | length",
            "[.many[] as $n | .words | startswith(\"a b\")] | length",
            // An error that is caught does not give the work back.
            "try (.text * .n) catch \"caught\"",
            "[.many[] | try error(.) catch .] | (.[0] // 1) | [limit(1e9; repeat(.))]",
        ] {
            check_ends(filter, used_up);
        }
        for text in ["nested", "hidden", "comment"] {
            check_ends(&format!(".{text} | tonumber"), "makes the jq filter fail");
        }
        // What orders have is far from it.
        check_ends(".many | add", "9");
        check_ends(".text | ascii_upcase | .[:10]", "10");
        check_ends("[.many[:20000][] | select(. < 100)] | length", "3");
        check_ends(".words | split(\" \") | .[0]", "1");
    }

    #[test]
    fn the_bound_is_for_all_filters_of_an_order_together() {
        let order = serde_json::json!({ "n": 20_000 });
        let document = Document::new(&order);
        let source = ValueSource::new("[range(.n)] | length".to_owned()).unwrap();
        let ends: Vec<bool> = (0..8).map(|_| source.read(&document).is_ok()).collect();
        assert!(ends[0] && !ends[7], "{ends:?}");
        assert!(source.read(&Document::new(&order)).is_ok());
    }

    #[test]
    fn several_values_are_not_cut_to_the_first() {
        let order = r#"{"a":["x",null,"y"]}"#;
        check(
            ".a[]",
            order,
            "error: has more than one value after the jq filter",
        );
        check(".a[0]", order, "x");
        check("empty", order, "-");
        let order = crate::json::parse_json(order.as_bytes()).unwrap();
        let all = |text: &str| {
            ValueSource::new(text.to_owned())
                .unwrap()
                .read_all(&Document::new(&order))
        };
        assert_eq!(all(".a[]"), Ok(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(all("/a/0"), Ok(vec!["x".to_owned()]));
        assert_eq!(all("empty"), Ok(vec![]));
        assert_eq!(
            all("range(2000)"),
            Err("has more than 1000 values after the jq filter".to_owned())
        );
    }

    #[test]
    fn ids_are_exact_and_broken_text_is_no_value() {
        check(
            "/id",
            r#"{"id":4200000123202401011234567891}"#,
            "4200000123202401011234567891",
        );
        check(
            ".id",
            r#"{"id":4200000123202401011234567891}"#,
            "4200000123202401011234567891",
        );
        let broken = "error: holds bytes that are not UTF-8, or half of a surrogate pair";
        check("/a", r#"{"a":"x\ud800"}"#, broken);
        check(".a", r#"{"a":"x\ud800"}"#, broken);
        check(".a | @base64d", r#"{"a":"/w=="}"#, broken);
        check("/b", r#"{"a":"x\ud800","b":"y"}"#, "y");
    }

    /// What the library does for its own values is done for bounded ones.
    #[test]
    fn functions_of_jq() {
        let order = r#"{"l":[3,1,2],"o":{"a":1,"b":{"c":[1,2]}},"t":"a,b,,c","u":"ünï","n":-5,"f":2.5,"s":"10"}"#;
        for (filter, want) in [
            (".l | sort | tojson", "[1,2,3]"),
            (".l | length", "3"),
            (".u | length", "3"),
            (".n | length", "5"),
            (".o | length", "2"),
            (".o | has(\"b\")", "true"),
            (".l | has(3)", "false"),
            (".l | contains([2])", "true"),
            (".o | contains({b: {c: [2]}})", "true"),
            (".t | contains(\",b\")", "true"),
            (".l | index(2)", "2"),
            (".t | indices(\",\") | tojson", "[1,3,4]"),
            (".u | indices(\"n\") | tojson", "[1]"),
            (".l | sort | bsearch(2)", "1"),
            (".l | bsearch(0)", "-1"),
            (".s | tonumber + 1", "11"),
            (".t | split(\",\") | length", "4"),
            (".t | [splits(\",+\")] | join(\"-\")", "a-b-c"),
            (".t | gsub(\",\"; \";\")", "a;b;;c"),
            (".u | .[1:]", "nï"),
            (".l | .[-1]", "2"),
            (".l | .[1:] | tojson", "[1,2]"),
            (".l | .[1:] |= map(. * 2) | tojson", "[3,2,4]"),
            (".l | .[:2] |= [9] | tojson", "[9,2]"),
            (".l | .[2:1] |= [9] | tojson", "[3,1,9,2]"),
            (".l | .[0] |= empty | tojson", "[1,2]"),
            (".l | map(. + 1) | add", "9"),
            (".l[1] += 5 | .l | tojson", "[3,6,2]"),
            (".o | .b.c[0] = 7 | tojson", r#"{"a":1,"b":{"c":[7,2]}}"#),
            (".o | del(.b) | tojson", r#"{"a":1}"#),
            (".o | to_entries | map(.key) | join(\",\")", "a,b"),
            (".o | with_entries(.value |= tostring) | .a", "1"),
            (".o | [paths] | length", "5"),
            (".o | [.. | numbers] | tojson", "[1,1,2]"),
            (".o * {b: {d: 1}} | .b | tojson", r#"{"c":[1,2],"d":1}"#),
            (".l - [1] | tojson", "[3,2]"),
            (".l | group_by(. > 1) | tojson", "[[1],[3,2]]"),
            (".l | min, max | tostring | select(. == \"3\")", "3"),
            (".l | unique | tojson", "[1,2,3]"),
            (".l | any(. > 2)", "true"),
            (".f * 2", "5.0"),
            ("\"x\" * 3", "xxx"),
            (".n % 3", "-2"),
            (".t | test(\"^a\")", "true"),
            (".t | @base64 | @base64d", "a,b,,c"),
            (".t | @html", "a,b,,c"),
            (".t | @uri", "a%2Cb%2C%2Cc"),
            ("{\"a\": 1, b: .n} | tojson", r#"{"a":1,"b":-5}"#),
            ("[limit(2; .l[])] | tojson", "[3,1]"),
            ("first(.l[])", "3"),
            ("[range(0; 6; 2)] | tojson", "[0,2,4]"),
            (".l | flatten | reverse | tojson", "[2,1,3]"),
            ("\"2026-06-01T10:15:30Z\" | fromdate", "1780308930"),
            ("try error(\"x\") catch .", "x"),
            (".missing // \"none\"", "none"),
            (".l | transpose? // \"no\"", "no"),
            (
                "[.l[] | if . > 1 then \"big\" else \"small\" end] | join(\" \")",
                "big small big",
            ),
            ("\"[1,{\\\"a\\\":2}]\" | fromjson | .[1].a", "2"),
            (".t | ltrimstr(\"a\") | ascii_upcase", ",B,,C"),
            (".t | explode | implode", "a,b,,c"),
            (".l | tobytes | length", "3"),
        ] {
            check(filter, order, want);
        }
    }
}

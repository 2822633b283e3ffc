//! Where a value comes from: a JSON pointer or a jq filter over one order.

use std::borrow::Cow;
use std::cell::OnceCell;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::Val;
use serde::{Deserialize, de};
use serde_json::Value;

/// The longest text a filter may produce: the service's longest variable value, with room to trim.
const LONGEST_OUTPUT: usize = 16 * 1024;

type Filter = jaq_core::compile::Filter<jaq_core::Native<data::JustLut<Val>>>;

/// One order, and its form for jq, made only when a filter first asks for it.
pub struct Document<'a> {
    value: &'a Value,
    for_jq: OnceCell<Option<Val>>,
}

impl<'a> Document<'a> {
    /// A document over a parsed order.
    pub fn new(value: &'a Value) -> Self {
        Self {
            value,
            for_jq: OnceCell::new(),
        }
    }

    fn for_jq(&self) -> Option<Val> {
        self.for_jq
            .get_or_init(|| Val::deserialize(self.value).ok())
            .clone()
    }
}

/// A JSON pointer (`/customer/email`) or a jq filter (`[.items[].quantity] | add`).
///
/// Text that starts with `/` is a pointer, all other text is jq; it is compiled when the mapping is
/// read, so that a broken filter fails at start.
pub struct Source {
    text: String,
    filter: Option<Filter>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Source {
    /// Compiles `text`.
    ///
    /// # Errors
    /// A sentence that says why the filter is none, and what a source looks like.
    pub fn new(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "a source is empty; write a JSON pointer such as `/customer/email`".to_owned(),
            );
        }
        let filter = if text.starts_with('/') {
            None
        } else {
            Some(compile(&text)?)
        };
        Ok(Self { text, filter })
    }

    /// The value's text, or `None` where the order has none: absent, null or blank.
    ///
    /// # Errors
    /// A phrase that says why the value is no text, number or Boolean; it quotes no value.
    pub fn read<'a>(&self, document: &Document<'a>) -> Result<Option<Cow<'a, str>>, String> {
        match &self.filter {
            None => document.value.pointer(&self.text).map_or(Ok(None), scalar),
            Some(filter) => {
                let value = first_output(filter, document)?;
                let text = scalar(&value)?.map(|text| Cow::Owned(text.into_owned()));
                Ok(text)
            }
        }
    }
}

fn compile(text: &str) -> Result<Filter, String> {
    let what = |why: &str| {
        format!("`{text}` is neither a JSON pointer (`/customer/email`) nor a jq filter: {why}")
    };
    let defs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    if let Some(name) = outside(text) {
        return Err(what(&format!(
            "`{name}` reaches beyond the order, on which a value must depend alone"
        )));
    }
    let funs = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(defs)
        .load(
            &arena,
            File {
                code: text,
                path: (),
            },
        )
        .map_err(|_| what("it does not parse"))?;
    Compiler::default()
        .with_funs(funs)
        .compile(modules)
        .map_err(|errors| {
            let names = errors
                .iter()
                .flat_map(|(_, undefined)| undefined)
                .map(|(name, _)| (*name).to_owned());
            what(&format!(
                "it does not know `{}`",
                names.collect::<Vec<_>>().join("`, `")
            ))
        })
}

/// A function of jq that reads or writes something else than its input, if `text` calls one.
fn outside(text: &str) -> Option<&str> {
    const NAMES: [&str; 13] = [
        "env",
        "ENV",
        "now",
        "input",
        "inputs",
        "input_line_number",
        "input_filename",
        "debug",
        "stderr",
        "halt",
        "halt_error",
        "get_search_list",
        "localtime",
    ];
    let mut before = ' ';
    for word in text.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_')) {
        let name = word.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
        // `.now` is a member of the order.
        if before != '.' && NAMES.contains(&name) {
            return Some(name);
        }
        before = word.chars().next_back().unwrap_or(' ');
    }
    None
}

fn first_output(filter: &Filter, document: &Document<'_>) -> Result<Value, String> {
    let Some(input) = document.for_jq() else {
        return Err("cannot be read by jq".to_owned());
    };
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut outputs = filter.id.run((context, input)).map(unwrap_valr);
    match outputs.next() {
        None => Ok(Value::Null),
        // The text of a jq error quotes the order.
        Some(Err(_)) => Err("makes the jq filter fail".to_owned()),
        Some(Ok(value)) => plain(&value),
    }
}

fn plain(value: &Val) -> Result<Value, String> {
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(flag) => Value::Bool(*flag),
        Val::Arr(_) => Value::Array(Vec::new()),
        Val::Obj(_) => Value::Object(serde_json::Map::new()),
        Val::TStr(text) | Val::BStr(text) if text.len() > LONGEST_OUTPUT => {
            return Err(format!(
                "is longer than {LONGEST_OUTPUT} bytes after the jq filter"
            ));
        }
        Val::TStr(text) | Val::BStr(text) => {
            Value::String(String::from_utf8_lossy(text).into_owned())
        }
        Val::Num(_) => Value::String(value.to_string()),
    })
}

fn scalar(value: &Value) -> Result<Option<Cow<'_, str>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(Cow::Borrowed(if *flag { "true" } else { "false" }))),
        Value::Number(number) => Ok(Some(Cow::Owned(number.to_string()))),
        Value::String(text) => {
            let text = text.trim();
            Ok((!text.is_empty()).then_some(Cow::Borrowed(text)))
        }
        Value::Array(_) => Err("is a list, and should be text, a number or a Boolean".to_owned()),
        Value::Object(_) => {
            Err("is an object, and should be text, a number or a Boolean".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, order: &str, want: &str) {
        let order: Value = serde_json::from_str(order).unwrap();
        let got = match Source::new(source.to_owned()) {
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
            "[limit(20000; repeat(\"x\"))] | add",
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
}

//! YAML as CloudFormation reads it: every scalar is a text, and `!Ref X` is the same as `{Ref: X}`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned, Tagged};

use super::problem::{LineColumn, TemplateProblem};
use super::text_part::TextPart;

/// A value in a template, with its place.
#[derive(Clone, Debug)]
pub(crate) struct YamlNode {
    pub(crate) at: LineColumn,
    pub(crate) value: NodeValue,
}

/// The value of a node.
#[derive(Clone, Debug)]
pub(crate) enum NodeValue {
    Null,
    /// Any scalar, as it is written: `0.0` stays `0.0`, and the country `NO` stays a text.
    Text(String),
    List(Vec<YamlNode>),
    Map(Vec<NodeEntry>),
    /// A function of CloudFormation: its name without `Fn::`, and its argument. Evaluation replaces it.
    Call(String, Box<YamlNode>),
    /// The ARN of the resource with this logical id: what `!Ref X` and `!GetAtt X.Arn` return.
    ResourceArn(String),
    /// A text with parts that only a deployment knows.
    Partial(Vec<TextPart>),
    /// A function with a problem, which has been reported.
    Refused,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct NodeEntry {
    pub(crate) key: String,
    pub(crate) at: LineColumn,
    pub(crate) node: YamlNode,
}

impl YamlNode {
    /// Parses one YAML document.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateProblem> {
        let raw: RawNode =
            serde_saphyr::from_str(text).map_err(|error| describe_parse_error(&error))?;
        Ok(raw.into_node(text))
    }

    /// The entries of a map.
    pub(crate) fn entries(&self) -> Option<&[NodeEntry]> {
        match &self.value {
            NodeValue::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&YamlNode> {
        find_entry(self.entries()?, key)
    }

    /// The text, if this is a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The value of `key`.
pub(crate) fn find_entry<'a>(entries: &'a [NodeEntry], key: &str) -> Option<&'a YamlNode> {
    entries
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.node)
}

/// The problems of keys that are not in `known`; `what` is an article and a noun.
pub(crate) fn find_unknown_keys<'e>(
    entries: impl IntoIterator<Item = &'e NodeEntry>,
    known: &[&str],
    what: &str,
) -> Vec<TemplateProblem> {
    let unknown = |entry: &&NodeEntry| !known.contains(&entry.key.as_str());
    let problem = |entry: &NodeEntry| {
        let message = format!(
            "`{}` is not {what}; expected {}",
            entry.key,
            known.join(", ")
        );
        TemplateProblem::new(entry.at, message)
    };
    entries.into_iter().filter(unknown).map(problem).collect()
}

fn describe_parse_error(error: &serde_saphyr::Error) -> TemplateProblem {
    let at = error
        .location()
        .map_or(LineColumn { line: 1, column: 1 }, convert_location);
    let text = error.without_snippet().to_string();
    TemplateProblem::new(at, text.lines().next().unwrap_or("this is no YAML"))
}

fn convert_location(location: Location) -> LineColumn {
    LineColumn {
        line: location.line(),
        column: location.column(),
    }
}

/// A node as the YAML parser returns it. The source text of a scalar is looked up afterwards.
struct RawNode(Spanned<Tagged<RawNodeValue>>);

enum RawNodeValue {
    Null,
    /// A number or a Boolean, formatted; used if the source text cannot be found.
    Plain(String),
    Text(String),
    List(Vec<RawNode>),
    Map(Vec<(Spanned<String>, RawNode)>),
}

impl RawNode {
    fn into_node(self, source: &str) -> YamlNode {
        let Self(Spanned {
            value: Tagged(value, tag),
            referenced,
            defined,
        }) = self;
        let at = convert_location(referenced);
        let value = match value {
            RawNodeValue::Null => NodeValue::Null,
            RawNodeValue::Text(text) => NodeValue::Text(text),
            RawNodeValue::Plain(text) => {
                NodeValue::Text(find_source_text(source, defined).unwrap_or(text))
            }
            RawNodeValue::List(items) => NodeValue::List(
                items
                    .into_iter()
                    .map(|item| item.into_node(source))
                    .collect(),
            ),
            RawNodeValue::Map(entries) => parse_long_form(
                entries
                    .into_iter()
                    .map(|entry| convert_entry(entry, source))
                    .collect(),
            ),
        };
        parse_short_form(tag.as_deref(), YamlNode { at, value })
    }
}

fn convert_entry((key, raw): (Spanned<String>, RawNode), source: &str) -> NodeEntry {
    NodeEntry {
        at: convert_location(key.referenced),
        key: key.value,
        node: raw.into_node(source),
    }
}

/// The source text of a scalar.
fn find_source_text(source: &str, location: Location) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    (!text.is_empty() && !text.starts_with('!')).then(|| text.to_owned())
}

/// `{"Fn::GetAtt": …}` and `{Ref: …}` are calls.
fn parse_long_form(mut entries: Vec<NodeEntry>) -> NodeValue {
    let function = match entries.as_slice() {
        [only] if only.key == "Ref" => Some(only.key.clone()),
        [only] => only.key.strip_prefix("Fn::").map(str::to_owned),
        _ => None,
    };
    match (function, entries.pop()) {
        (Some(function), Some(only)) => NodeValue::Call(function, Box::new(only.node)),
        (_, last) => {
            entries.extend(last);
            NodeValue::Map(entries)
        }
    }
}

/// `!GetAtt …` is a call; a tag of YAML itself, such as `!!str`, has been applied already.
fn parse_short_form(tag: Option<&str>, node: YamlNode) -> YamlNode {
    match tag.and_then(|tag| tag.strip_prefix('!')) {
        Some(function) if !function.is_empty() => YamlNode {
            at: node.at,
            value: NodeValue::Call(function.to_owned(), Box::new(node)),
        },
        _ => node,
    }
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawNodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = RawNodeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<RawNodeValue, E> {
        Ok(RawNodeValue::Null)
    }

    fn visit_none<E: Error>(self) -> Result<RawNodeValue, E> {
        Ok(RawNodeValue::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<RawNodeValue, E> {
        Ok(RawNodeValue::Plain(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<RawNodeValue, E> {
        Ok(RawNodeValue::Plain(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<RawNodeValue, E> {
        Ok(RawNodeValue::Plain(value.to_string()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<RawNodeValue, E> {
        Ok(RawNodeValue::Plain(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<RawNodeValue, E> {
        Ok(RawNodeValue::Plain(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<RawNodeValue, E> {
        // `Debug` keeps the `.0` of a whole number.
        Ok(RawNodeValue::Plain(format!("{value:?}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<RawNodeValue, E> {
        Ok(RawNodeValue::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawNodeValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawNodeValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawNodeValue, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RawNodeValue::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &YamlNode) -> String {
        match &node.value {
            NodeValue::Null => "null".to_owned(),
            NodeValue::Text(text) => format!("{text:?}"),
            NodeValue::Call(function, argument) => format!("{function}({})", show(argument)),
            NodeValue::ResourceArn(_) | NodeValue::Partial(_) | NodeValue::Refused => {
                panic!("the parser does not evaluate")
            }
            NodeValue::List(items) => format!(
                "[{}]",
                items.iter().map(show).collect::<Vec<_>>().join(", ")
            ),
            NodeValue::Map(entries) => {
                let entry = |entry: &NodeEntry| format!("{}: {}", entry.key, show(&entry.node));
                format!(
                    "{{{}}}",
                    entries.iter().map(entry).collect::<Vec<_>>().join(", ")
                )
            }
        }
    }

    #[track_caller]
    fn check(yaml: &str, want: &str) {
        let got = match YamlNode::parse(yaml) {
            Ok(node) => show(&node),
            Err(problem) => format!("{}: {}", problem.at, problem.message),
        };
        assert_eq!(got, want, "{yaml}");
    }

    #[test]
    fn scalars_keep_their_spelling() {
        check("0.0", r#""0.0""#);
        check("1.50 # price", r#""1.50""#);
        check(
            "[NO, yes, True, 007, 0x1F, 1e3]",
            r#"["NO", "yes", "True", "007", "0x1F", "1e3"]"#,
        );
        check("'0'", r#""0""#);
        check("2010-09-09", r#""2010-09-09""#);
        check("{a: , b: ~, c: ''}", r#"{a: null, b: null, c: ""}"#);
        check("a: &x 1.0\nb: *x", r#"{a: "1.0", b: "1.0"}"#);
    }

    #[test]
    fn long_and_short_functions_are_one() {
        check("!Ref A", r#"Ref("A")"#);
        check("{Ref: A}", r#"Ref("A")"#);
        check("!GetAtt A.Arn", r#"GetAtt("A.Arn")"#);
        check("!GetAtt [A, Arn]", r#"GetAtt(["A", "Arn"])"#);
        check("{'Fn::GetAtt': [A, Arn]}", r#"GetAtt(["A", "Arn"])"#);
        check(
            "a:\n  - Arn: !Sub '${A.Arn}'",
            r#"{a: [{Arn: Sub("${A.Arn}")}]}"#,
        );
        check("!!str 1", r#""1""#);
    }

    #[test]
    fn places_are_of_the_value() {
        let node = YamlNode::parse("a:\n  - b\n  - Arn: !Ref C\n").unwrap();
        let NodeValue::List(items) = &node.get("a").unwrap().value else {
            panic!()
        };
        assert_eq!(items[0].at.to_string(), "2:5");
        assert_eq!(items[1].at.to_string(), "3:5");
        assert_eq!(items[1].get("Arn").unwrap().at.line, 3);
    }

    #[test]
    fn what_is_no_yaml_has_a_place() {
        assert_eq!(YamlNode::parse("a: [1, 2").unwrap_err().at.line, 1);
        assert_eq!(YamlNode::parse("a: 1\na: 2").unwrap_err().at.line, 2);
    }
}

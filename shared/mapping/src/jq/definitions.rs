//! Functions that are written in jq itself. They are made of functions that are paid for, so they need no rule of their
//! own.

/// Functions that pay before something is compiled. The flags of a regular expression may be null, as in jq.
pub(super) const PAID: &str = r#"
def matches($re; $flags): pay_to_compile | compiled_matches($re; $flags // "");
def split_matches($re; $flags): pay_to_compile | compiled_split_matches($re; $flags // "");
def split_($re; $flags): pay_to_compile | compiled_split_($re; $flags // "");
def escape_html: pay_to_compile | compiled_escape_html;
def unescape_html: pay_to_compile | compiled_unescape_html;
"#;

/// Functions of jq 1.7 that jaq lacks.
pub(super) const ADDED: &str = r#"
def IN(set): any(set == .; .);
def IN(members; set): any(members == set; .);
def INDEX(rows; name): reduce rows as $row ({}; . + {($row | name | tostring): $row});
def INDEX(name): INDEX(.[]; name);
def JOIN($index; name): [.[] | [., $index[name]]];
def JOIN($index; rows; name): rows | [., $index[name]];
def JOIN($index; rows; name; combine): rows | [., $index[name]] | combine;

def toarray: if isarray then . else [.] end;
def leaf_paths: paths(scalars);
def recurse_down: recurse;
def ascii: [.] | implode;
def have_literal_numbers: true;
def have_decnum: false;

def date: todate;
def dateadd($unit; $seconds): . + $seconds;
def datesub($unit; $seconds): . - $seconds;

def tostream:
  def from($path):
    if (isarray or isobject) and length > 0 then
      key_values as $members
      | ($members[] as [$key, $value] | $value | from($path + [$key])),
        [$path + [$members[-1][0]]]
    else [$path, .] end;
  from([]);
def fromstream(events):
  def put($path; $value):
    if $path == [] then $value
    else $path[0] as $key
      | if $key | isstring then (. // {}) as $all | $all + {($key): ($all[$key] | put($path[1:]; $value))}
        else (. // []) as $all | $all[:$key] + [$all[$key] | put($path[1:]; $value)] + $all[$key + 1:] end
    end;
  foreach events as $event
    ( null
    ; (if .done then null else .value end)
      | if ($event | length) == 2
        then {value: put($event[0]; $event[1]), done: ($event[0] == [])}
        else {value: ., done: (($event[0] | length) == 1)} end
    ; if .done then .value else empty end );
def truncate_stream(events): . as $depth | events | select(.[0] | length > $depth) | [.[0][$depth:]] + .[1:];
def truncate_stream($depth; events): $depth | truncate_stream(events);

def row(text; $name):
  if isarray then .
  else error("only a list becomes a row of \($name)") end
  | map(
      if isstring then text
      elif . == null then ""
      elif isarray or isobject then error("a row of \($name) has no lists and no objects")
      else tostring end );
def @csv: row("\"" + (split("\"") | join("\"\"")) + "\""; "CSV") | join(",");
def @tsv:
  row(split("\\") | join("\\\\") | split("\t") | join("\\t") | split("\n") | join("\\n") | split("\r") | join("\\r"); "TSV")
  | join("\t");
def format($name):
  if $name == "text" then @text
  elif $name == "json" then @json
  elif $name == "html" then @html
  elif $name == "uri" then @uri
  elif $name == "csv" then @csv
  elif $name == "tsv" then @tsv
  elif $name == "sh" then @sh
  elif $name == "base64" then @base64
  elif $name == "base64d" then @base64d
  else error("is not a known format") end;
"#;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crate::jq::{BudgetedValue, JqFilter, WORK};
    use crate::json::parse_json;

    /// All outputs of a filter, as JSON.
    fn run(filter: &str, input: &str) -> String {
        let filter = match JqFilter::compile(filter) {
            Ok(filter) => filter,
            Err(why) => return why,
        };
        let input = BudgetedValue::new(&parse_json(input.as_bytes()).unwrap()).unwrap();
        let outputs = filter.outputs(&input, &Cell::new(WORK), 100, |value| Ok(value.to_string()));
        outputs.map_or_else(|why| why, |outputs| outputs.join(" "))
    }

    /// A filter, its input and its outputs.
    const ADDED: &[(&str, &str, &str)] = &[
        (r#"IN("jpy", "krw")"#, r#""krw""#, "true"),
        (r#"IN("jpy", "krw")"#, r#""usd""#, "false"),
        (".a | IN(1, 2)", r#"{"a":2}"#, "true"),
        ("IN(.a[]; .b[])", r#"{"a":[1,2],"b":[2,3]}"#, "true"),
        ("IN(.a[]; .b[])", r#"{"a":[1],"b":[2,3]}"#, "false"),
        ("map(select(IN(1, 3)))", "[1,2,3]", "[1,3]"),
        (
            "INDEX(.id)",
            r#"[{"id":1,"n":"a"},{"id":2,"n":"b"}]"#,
            r#"{"1":{"id":1,"n":"a"},"2":{"id":2,"n":"b"}}"#,
        ),
        (
            "INDEX(.l[]; .k) | .x.n",
            r#"{"l":[{"k":"x","n":1},{"k":"x","n":2}]}"#,
            "2",
        ),
        (
            "JOIN({a: 1}; .k)",
            r#"[{"k":"a"},{"k":"b"}]"#,
            r#"[[{"k":"a"},1],[{"k":"b"},null]]"#,
        ),
        (
            "JOIN({a: 1}; .[]; .k)",
            r#"[{"k":"a"}]"#,
            r#"[{"k":"a"},1]"#,
        ),
        (
            "JOIN({a: 1}; .[]; .k; .[1])",
            r#"[{"k":"a"},{"k":"b"}]"#,
            "1 null",
        ),
        ("toarray", "1", "[1]"),
        ("toarray", "[1]", "[1]"),
        ("toarray", "null", "[null]"),
        (
            "[leaf_paths]",
            r#"{"a":[1,{"b":2}]}"#,
            r#"[["a",0],["a",1,"b"]]"#,
        ),
        ("[recurse_down | numbers]", "[1,[2]]", "[1,2]"),
        ("ascii", "65", "\"A\""),
        ("have_literal_numbers, have_decnum", "null", "true false"),
        ("date", "1793491200", "\"2026-11-01T00:00:00Z\""),
        (
            r#"dateadd("seconds"; 60) | todate"#,
            "1793491200",
            "\"2026-11-01T00:01:00Z\"",
        ),
        (r#"datesub("seconds"; 60)"#, "1793491200", "1793491140"),
        (
            "[tostream]",
            r#"{"a":[1,{"b":2}]}"#,
            r#"[[["a",0],1],[["a",1,"b"],2],[["a",1,"b"]],[["a",1]],[["a"]]]"#,
        ),
        (
            "[tostream]",
            r#"[1,[],{"a":{}}]"#,
            r#"[[[0],1],[[1],[]],[[2,"a"],{}],[[2,"a"]],[[2]]]"#,
        ),
        ("[tostream]", "3", "[[[],3]]"),
        ("[tostream]", "[]", "[[[],[]]]"),
        (
            "fromstream(tostream)",
            r#"{"a":[1,{"b":null}],"c":[[],{}]}"#,
            r#"{"a":[1,{"b":null}],"c":[[],{}]}"#,
        ),
        ("[fromstream(tostream, tostream)]", "[1]", "[[1],[1]]"),
        ("fromstream(tostream)", "false", "false"),
        (
            "[1 | truncate_stream([[0],1], [[1,0],2], [[1,0]], [[1]])]",
            "null",
            "[[[0],2],[[0]]]",
        ),
        (
            "fromstream(truncate_stream(1; [[0],1], [[1,0],2], [[1,0]], [[1]]))",
            "null",
            "[2]",
        ),
        (
            "@csv",
            r#"[1,"a\"b",null,true,"c,d",1.5]"#,
            r#""1,\"a\"\"b\",,true,\"c,d\",1.5""#,
        ),
        ("@csv", "[]", "\"\""),
        ("@csv", r#"[""]"#, r#""\"\"""#),
        ("@csv", "[[1]]", "makes the jq filter fail"),
        ("@csv", "1", "makes the jq filter fail"),
        (r#"@csv "x\(.)""#, "[1,2]", "\"x1,2\""),
        (
            "@tsv",
            r#"[1,"a\tb\\\n",null,false]"#,
            r#""1\ta\\tb\\\\\\n\t\tfalse""#,
        ),
        (
            r#"format("csv"), format("json"), format("base64")"#,
            "[1]",
            r#""1" "[1]" "WzFd""#,
        ),
        (r#"test("a"; null)"#, "\"A\"", "false"),
        (
            r#"[splits(", *"; null)]"#,
            r#""a, b,c""#,
            r#"["a","b","c"]"#,
        ),
        (r#"gsub("a"; "b"; null)"#, "\"aa\"", "\"bb\""),
        (r#"[scan("a"; "i")] | length"#, "\"aA\"", "2"),
    ];

    #[test]
    fn functions_that_are_added() {
        for (filter, input, want) in ADDED.iter().copied() {
            assert_eq!(run(filter, input), want, "{filter} of {input}");
        }
    }

    #[test]
    fn what_is_added_is_paid_for() {
        let used_up = format!("makes the filters of the mapping do more than {WORK} steps of work");
        for filter in [
            "[range(1000000)] | @csv",
            "IN(range(1000000))",
            "INDEX(range(1000000); .)",
            "[range(100000)] | [tostream] | length",
            "fromstream(repeat([[0], 1]))",
            "reduce range(60) as $i (1; [., .]) | [tostream] | length",
        ] {
            assert_eq!(run(filter, "null"), used_up, "{filter}");
        }
    }

    /// The functions, formats and variables of the manual of jq 1.7, each in a filter that uses it.
    const MANUAL: &[&str] = &[
        "abs",
        "acos",
        "acosh",
        "add",
        "all",
        "all(.)",
        "all(.[]; .)",
        "any",
        "any(.)",
        "any(.[]; .)",
        "arrays",
        "ascii",
        "ascii_downcase",
        "ascii_upcase",
        "asin",
        "asinh",
        "atan",
        "atan2(1; 1)",
        "atanh",
        "booleans",
        "bsearch(1)",
        "builtins",
        "capture(\"a\")",
        "capture(\"a\"; \"g\")",
        "cbrt",
        "ceil",
        "combinations",
        "combinations(2)",
        "contains(1)",
        "copysign(1; 1)",
        "cos",
        "cosh",
        "date",
        "dateadd(\"seconds\"; 1)",
        "datesub(\"seconds\"; 1)",
        "debug",
        "debug(1)",
        "del(.a)",
        "delpaths([])",
        "drem(1; 1)",
        "empty",
        "endswith(\"a\")",
        "env",
        "$ENV",
        "error",
        "error(1)",
        "exp",
        "exp10",
        "exp2",
        "explode",
        "expm1",
        "fabs",
        "finites",
        "first",
        "first(.[])",
        "flatten",
        "flatten(1)",
        "floor",
        "fma(1; 1; 1)",
        "fmin(1; 1)",
        "fmax(1; 1)",
        "fmod(1; 1)",
        "format(\"csv\")",
        "frexp",
        "from_entries",
        "fromdate",
        "fromdateiso8601",
        "fromjson",
        "fromstream(.[])",
        "gamma",
        "get_search_list",
        "getpath([])",
        "gmtime",
        "group_by(.)",
        "gsub(\"a\"; \"b\")",
        "gsub(\"a\"; \"b\"; \"g\")",
        "halt",
        "halt_error",
        "halt_error(1)",
        "has(1)",
        "have_decnum",
        "have_literal_numbers",
        "hypot(1; 1)",
        "implode",
        "IN(1)",
        "IN(1; 2)",
        "in({})",
        "INDEX(.)",
        "INDEX(.[]; .)",
        "index(1)",
        "indices(1)",
        "infinite",
        "input",
        "input_filename",
        "input_line_number",
        "inputs",
        "inside(1)",
        "isempty(.)",
        "isfinite",
        "isinfinite",
        "isnan",
        "isnormal",
        "iterables",
        "j0",
        "j1",
        "JOIN({}; .)",
        "JOIN({}; .[]; .)",
        "JOIN({}; .[]; .; .)",
        "join(\",\")",
        "keys",
        "keys_unsorted",
        "label $x | break $x",
        "last",
        "last(.[])",
        "ldexp(1; 1)",
        "leaf_paths",
        "length",
        "lgamma",
        "lgamma_r",
        "limit(1; .)",
        "$__loc__",
        "localtime",
        "log",
        "log10",
        "log1p",
        "log2",
        "logb",
        "ltrimstr(\"a\")",
        "map(.)",
        "map_values(.)",
        "match(\"a\")",
        "match(\"a\"; \"g\")",
        "max",
        "max_by(.)",
        "min",
        "min_by(.)",
        "mktime",
        "modf",
        "modulemeta",
        "nan",
        "nearbyint",
        "nextafter(1; 1)",
        "nexttoward(1; 1)",
        "normals",
        "not",
        "now",
        "nth(1)",
        "nth(1; .[])",
        "nulls",
        "numbers",
        "objects",
        "path(.)",
        "paths",
        "paths(.)",
        "pick(.a)",
        "pow(1; 1)",
        "pow10",
        "range(1)",
        "range(1; 2)",
        "range(1; 2; 1)",
        "recurse",
        "recurse(.)",
        "recurse(.; .)",
        "recurse_down",
        "repeat(.)",
        "reverse",
        "rindex(1)",
        "rint",
        "round",
        "rtrimstr(\"a\")",
        "scalars",
        "scalb(1; 1)",
        "scalbln(1; 1)",
        "scan(\"a\")",
        "scan(\"a\"; \"g\")",
        "select(.)",
        "setpath([]; 1)",
        "significand",
        "sin",
        "sinh",
        "sort",
        "sort_by(.)",
        "split(\",\")",
        "split(\",\"; \"g\")",
        "splits(\",\")",
        "splits(\",\"; \"g\")",
        "sqrt",
        "startswith(\"a\")",
        "stderr",
        "strflocaltime(\"\")",
        "strftime(\"\")",
        "strings",
        "strptime(\"\")",
        "sub(\"a\"; \"b\")",
        "sub(\"a\"; \"b\"; \"g\")",
        "tan",
        "tanh",
        "test(\"a\")",
        "test(\"a\"; \"g\")",
        "tgamma",
        "to_entries",
        "toarray",
        "todate",
        "todateiso8601",
        "tojson",
        "tonumber",
        "tostream",
        "tostring",
        "transpose",
        "trunc",
        "truncate_stream(1; .[])",
        "type",
        "unique",
        "unique_by(.)",
        "until(.; .)",
        "utf8bytelength",
        "values",
        "walk(.)",
        "while(.; .)",
        "with_entries(.)",
        "y0",
        "y1",
        "@base32",
        "@base32d",
        "@base64",
        "@base64d",
        "@csv",
        "@html",
        "@json",
        "@sh",
        "@text",
        "@tsv",
        "@uri",
        ". as [$a] ?// $a | $a",
        "include \"a\"; .",
        "import \"a\" as a; .",
        "reduce .[] as $x (0; .)",
        "foreach .[] as $x (0; .)",
        "foreach .[] as $x (0; .; .)",
        "try . catch .",
        "ltrimstr(1)?",
        ".a // 1",
        ".a //= 1",
        "if . then 1 end",
        "def f(x): x; f(.)",
        "limit(3; repeat(1))",
        "..",
        "getpath([\"a\"])",
        "splits(\"a\"; null)",
        "tojson",
        "env.HOME",
        "input_line_number",
        "ascii",
        "@json \"x\\(.)\"",
        "trim",
        "ltrim",
        "rtrim",
    ];

    #[test]
    fn the_guide_lists_what_is_missing() {
        let is_missing = |filter: &&&str| JqFilter::compile(filter).is_err();
        let missing: Vec<&str> = MANUAL.iter().filter(is_missing).copied().collect();
        let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mapping.md");
        let guide = std::fs::read_to_string(guide).unwrap();
        let list = guide.split_once("## What of jq there is").unwrap().1;
        let list = list.split("\n## ").next().unwrap();
        for filter in &missing {
            let name = filter
                .split(['(', ' ', '.'])
                .find(|name| !name.is_empty())
                .unwrap();
            let name = if filter.contains("?//") { "?//" } else { name };
            assert!(
                list.contains(&format!("`{name}`")),
                "{name} is missing, of {missing:?}"
            );
        }
        let listed = list.split('`').skip(1).step_by(2);
        let is_known = |name: &&str| {
            MANUAL
                .iter()
                .any(|filter| !missing.contains(filter) && filter == name)
        };
        assert_eq!(
            listed.filter(is_known).collect::<Vec<_>>(),
            Vec::<&str>::new(),
            "are not missing"
        );
    }
}

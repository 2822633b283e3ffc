//! The items that `PartiQL` statements insert.

use serde_json::{Map, Value};

/// The item that a statement inserts into `table`, as DynamoDB's JSON. `parameters` are the statement's, as JSON, too.
/// `Ok(None)` for any other statement.
///
/// # Errors
/// What is wrong, if a value is a literal: the database does not say what a statement has inserted, and only parameters
/// can be read without parsing values.
pub fn read_inserted_item(
    statement: &str,
    parameters: &[Value],
    table: &str,
) -> Result<Option<Map<String, Value>>, String> {
    let Some(value) = find_value(statement, table) else {
        return Ok(None);
    };
    let names = read_parameter_names(value).filter(|names| names.len() == parameters.len());
    let names = names.ok_or_else(|| {
        format!(
            "Here, an INSERT into {table} has parameters only: INSERT INTO \"{table}\" VALUE {{'pk': ?, 'sk': ?}}"
        )
    })?;
    let names = names.into_iter().map(str::to_owned);
    Ok(Some(names.zip(parameters.iter().cloned()).collect()))
}

/// What follows `INSERT INTO "table" VALUE`.
fn find_value<'s>(statement: &'s str, table: &str) -> Option<&'s str> {
    let rest = strip_word(statement, "INSERT")?;
    let rest = strip_word(rest, "INTO")?.trim_start();
    let rest = match rest.strip_prefix('"') {
        Some(quoted) => quoted.strip_prefix(table)?.strip_prefix('"')?,
        None => rest.strip_prefix(table)?,
    };
    strip_word(rest, "VALUE")
}

fn strip_word<'s>(text: &'s str, word: &str) -> Option<&'s str> {
    let text = text.trim_start();
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

/// The names in `{'a': ?, 'b': ?}`.
fn read_parameter_names(value: &str) -> Option<Vec<&str>> {
    let pairs = value.trim().strip_prefix('{')?.strip_suffix('}')?;
    pairs
        .split(',')
        .map(|pair| {
            let (name, value) = pair.split_once(':')?;
            let name = name.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (value.trim() == "?").then_some(name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_insert_is_read_from_its_parameters() {
        #[track_caller]
        fn check(statement: &str, want: &str) {
            let parameters = [json!({"S": "order#1"}), json!({"N": "7"})];
            let got = match read_inserted_item(statement, &parameters, "Decisions") {
                Ok(Some(item)) => Value::Object(item).to_string(),
                Ok(None) => "none".to_owned(),
                Err(reason) => reason,
            };
            assert_eq!(got, want, "{statement}");
        }
        let item = r#"{"pk":{"S":"order#1"},"n":{"N":"7"}}"#;
        check(r#"INSERT INTO "Decisions" VALUE {'pk': ?, 'n': ?}"#, item);
        check("insert into Decisions value {'pk':?,'n':?}", item);
        check(r#"INSERT INTO "Events" VALUE {'pk': ?, 'n': ?}"#, "none");
        check(r#"DELETE FROM "Decisions" WHERE pk = ? AND n = ?"#, "none");
        let refusal = "Here, an INSERT into Decisions has parameters only: INSERT INTO \"Decisions\" VALUE {'pk': ?, 'sk': ?}";
        check(
            r#"INSERT INTO "Decisions" VALUE {'pk': 'a', 'n': ?}"#,
            refusal,
        );
        check(r#"INSERT INTO "Decisions" VALUE {'pk': ?}"#, refusal);
    }
}

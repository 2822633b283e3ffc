//! Checks for any bytes at all, shared by the tests and the fuzz target.

use crate::{Model, infer_types};

/// Reads the bytes as an artifact and as a table of values. Must not panic, whatever they are.
pub fn read_artifact(data: &[u8]) {
    if let Ok(model) = Model::from_bytes(data) {
        let values = vec![Some("1"); model.variables().len()];
        let _ = (model.score(&values, None, &[]), model.importance());
    }
    // Also with a correct checksum, as an attacker would write it.
    let _ = Model::from_bytes(&crate::artifact::seal_body(data));
    let text = String::from_utf8_lossy(data);
    let rows: Vec<Vec<Option<&str>>> = text
        .lines()
        .map(|line| line.split(',').map(Some).collect())
        .collect();
    let _ = infer_types(&["a", "zip", "price", "id"], &rows);
    for text in text.split([',', '\n']) {
        let _ = (
            crate::parse_number(text),
            crate::parse_date(text, false),
            crate::parse_date(text, true),
        );
    }
}

//! Checks for any bytes at all, shared by the tests and the fuzz target.

use super::Forest;

/// Reads the bytes as a forest. Must not panic, whatever they are.
///
/// # Panics
/// If a forest changes when it is written and read again.
pub fn read_forest(data: &[u8]) {
    let Ok(forest) = Forest::from_bytes(data) else {
        return;
    };
    let bytes = forest.to_bytes();
    assert!(Forest::from_bytes(&bytes).is_ok_and(|again| again.to_bytes() == bytes));
    let row = vec![0.5; forest.features().min(64)];
    let mut contributions = vec![0.0; forest.features().min(64)];
    forest.contributions(&row, &mut contributions);
    let _ = (
        forest.log_odds(&row),
        forest.log_odds(&[]),
        forest.shapley(&row),
        forest.importance(),
    );
}

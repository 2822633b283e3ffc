//! What becomes of an order with a value that is not of its form.

use serde::Deserialize;

/// `on_invalid` of a variable or a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnInvalid {
    /// The value is left out and noted, and the order is undetermined.
    #[default]
    Undetermined,
    /// The value is left out and noted.
    Omit,
}

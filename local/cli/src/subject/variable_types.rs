//! Which variable types have values that belong to a person.

use std::collections::BTreeMap;

/// Variable types whose values identify one person.
pub(super) const NAMING: [&str; 7] = [
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "BILLING_PHONE",
    "SHIPPING_PHONE",
    "FINGERPRINT",
    "SESSION_ID",
    "ORDER_ID",
];
/// Variable types whose values belong to a person, and perhaps to others in the same household or
/// network. Postal codes, countries and user agents are shared by many: they belong to nobody.
pub(super) const BELONGING: [&str; 8] = [
    "IP_ADDRESS",
    "BILLING_NAME",
    "BILLING_ADDRESS_L1",
    "BILLING_ADDRESS_L2",
    "SHIPPING_NAME",
    "SHIPPING_ADDRESS_L1",
    "SHIPPING_ADDRESS_L2",
    "AUTH_CODE",
];
/// Variable types of lists that may have any elements.
pub(super) const ANYTHING: [&str; 2] = ["CATEGORICAL", "FREE_FORM_TEXT"];

/// The type of every variable, by its name.
pub(crate) type VariableTypes = BTreeMap<String, String>;

/// Whether the values of a variable type belong to a person.
pub(super) fn is_personal(ty: &str) -> bool {
    NAMING.contains(&ty) || BELONGING.contains(&ty)
}

//! The variable types of the service, and the data types allowed for each.

const TEXTS: &[&str] = &["STRING"];

const NUMBERS: &[&str] = &["FLOAT", "INTEGER"];

/// The variable types, each with its data types.
pub const VARIABLE_TYPES: &[(&str, &[&str])] = &[
    ("ARE_CREDENTIALS_VALID", &["BOOLEAN"]),
    ("AUTH_CODE", TEXTS),
    ("AVS", TEXTS),
    ("BILLING_ADDRESS_L1", TEXTS),
    ("BILLING_ADDRESS_L2", TEXTS),
    ("BILLING_CITY", TEXTS),
    ("BILLING_COUNTRY", TEXTS),
    ("BILLING_NAME", TEXTS),
    ("BILLING_PHONE", TEXTS),
    ("BILLING_STATE", TEXTS),
    ("BILLING_ZIP", TEXTS),
    ("CARD_BIN", &["STRING", "INTEGER"]),
    ("CATEGORICAL", &["STRING", "BOOLEAN", "INTEGER"]),
    ("CURRENCY_CODE", TEXTS),
    ("DATETIME", &["DATETIME"]),
    ("EMAIL_ADDRESS", TEXTS),
    ("FINGERPRINT", TEXTS),
    ("FRAUD_LABEL", &["STRING", "BOOLEAN", "INTEGER"]),
    ("FREE_FORM_TEXT", TEXTS),
    ("IP_ADDRESS", TEXTS),
    ("NUMERIC", NUMBERS),
    ("ORDER_ID", TEXTS),
    ("PAYMENT_TYPE", TEXTS),
    ("PHONE_NUMBER", TEXTS),
    ("PRICE", &["FLOAT", "INTEGER", "STRING"]),
    ("PRODUCT_CATEGORY", TEXTS),
    ("SESSION_ID", TEXTS),
    ("SHIPPING_ADDRESS_L1", TEXTS),
    ("SHIPPING_ADDRESS_L2", TEXTS),
    ("SHIPPING_CITY", TEXTS),
    ("SHIPPING_COUNTRY", TEXTS),
    ("SHIPPING_NAME", TEXTS),
    ("SHIPPING_PHONE", TEXTS),
    ("SHIPPING_STATE", TEXTS),
    ("SHIPPING_ZIP", TEXTS),
    ("USERAGENT", TEXTS),
];

/// Whether a list may have this variable type: only texts can be listed.
pub fn is_text_type(variable_type: &str) -> bool {
    VARIABLE_TYPES
        .iter()
        .any(|(known, types)| *known == variable_type && types.contains(&"STRING"))
}

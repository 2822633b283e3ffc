//! The variables that roles become.

use super::roles::Role;

/// The variable of a role, as the detector file defines it.
pub(crate) struct RoleVariable {
    pub(crate) name: &'static str,
    pub(crate) data_type: &'static str,
    pub(crate) variable_type: Option<&'static str>,
    pub(crate) default: &'static str,
    pub(crate) description: &'static str,
}

/// The variables of roles; what is absent is none.
const ROLE_VARIABLES: &[(Role, RoleVariable)] = &[
    (
        Role::OrderTime,
        text_variable("ordered_at", None, "When the order was placed"),
    ),
    (
        Role::CustomerId,
        text_variable("customer_id", None, "The account"),
    ),
    (
        Role::Email,
        text_variable(
            "email_address",
            Some("EMAIL_ADDRESS"),
            "Where the customer gets mail, in lower case",
        ),
    ),
    (
        Role::Phone,
        text_variable(
            "phone_number",
            Some("PHONE_NUMBER"),
            "As the customer typed it",
        ),
    ),
    (
        Role::IpAddress,
        text_variable(
            "ip_address",
            Some("IP_ADDRESS"),
            "Where the order came from",
        ),
    ),
    (
        Role::UserAgent,
        text_variable(
            "user_agent",
            Some("USERAGENT"),
            "The browser, in its own words",
        ),
    ),
    (
        Role::DeviceId,
        text_variable("device_id", Some("FINGERPRINT"), "The device"),
    ),
    (
        Role::Amount,
        RoleVariable {
            name: "order_price",
            data_type: "FLOAT",
            variable_type: Some("PRICE"),
            default: "0.0",
            description: "The total",
        },
    ),
    (
        Role::Currency,
        text_variable(
            "currency_code",
            Some("CURRENCY_CODE"),
            "What the customer pays in",
        ),
    ),
    (
        Role::CardFingerprint,
        text_variable("card_fingerprint", Some("FINGERPRINT"), "The card"),
    ),
    (
        Role::CardBin,
        text_variable(
            "card_bin",
            Some("CARD_BIN"),
            "The first digits of the card's number: whose card it is",
        ),
    ),
    (
        Role::PaymentMethod,
        text_variable("payment_method", Some("PAYMENT_TYPE"), "How it is paid"),
    ),
    (
        Role::SignedUpAt,
        text_variable("signed_up_at", None, "When the account was opened"),
    ),
    (
        Role::ShippingStreet,
        text_variable(
            "shipping_address",
            Some("SHIPPING_ADDRESS_L1"),
            "Street of the parcel",
        ),
    ),
    (
        Role::ShippingCity,
        text_variable("shipping_city", Some("SHIPPING_CITY"), "City of the parcel"),
    ),
    (
        Role::ShippingZip,
        text_variable(
            "shipping_zip",
            Some("SHIPPING_ZIP"),
            "Postal code of the parcel",
        ),
    ),
    (
        Role::ShippingCountry,
        text_variable(
            "shipping_country",
            Some("SHIPPING_COUNTRY"),
            "Country of the parcel",
        ),
    ),
    (
        Role::BillingStreet,
        text_variable(
            "billing_address",
            Some("BILLING_ADDRESS_L1"),
            "Street of the bill",
        ),
    ),
    (
        Role::BillingCity,
        text_variable("billing_city", Some("BILLING_CITY"), "City of the bill"),
    ),
    (
        Role::BillingZip,
        text_variable(
            "billing_zip",
            Some("BILLING_ZIP"),
            "Postal code of the bill",
        ),
    ),
    (
        Role::BillingCountry,
        text_variable(
            "billing_country",
            Some("BILLING_COUNTRY"),
            "Country of the bill",
        ),
    ),
];

const fn text_variable(
    name: &'static str,
    variable_type: Option<&'static str>,
    description: &'static str,
) -> RoleVariable {
    RoleVariable {
        name,
        data_type: "STRING",
        variable_type,
        default: "",
        description,
    }
}

impl Role {
    /// The variable of the role; `None` if it is part of the event and no variable.
    pub(crate) fn variable(self) -> Option<&'static RoleVariable> {
        let mut variables = ROLE_VARIABLES.iter();
        variables
            .find(|(role, _)| *role == self)
            .map(|(_, variable)| variable)
    }

    /// The names that the variables of roles have, and those that are derived from them.
    pub(crate) fn all_variable_names() -> impl Iterator<Item = &'static str> {
        let derived = ["email_domain", "same_address"];
        ROLE_VARIABLES
            .iter()
            .map(|(_, variable)| variable.name)
            .chain(derived)
    }
}

//! Variables: their names and types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A column of the training data that a model may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The name, as the event type or the header of the file has it.
    pub name: String,
    /// What its values mean.
    #[serde(rename = "type")]
    pub kind: VariableType,
}

impl Variable {
    /// A variable of that name and type.
    pub fn new(name: impl Into<String>, kind: VariableType) -> Self {
        Self {
            name: name.into(),
            kind,
        }
    }
}

macro_rules! variable_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Amazon's variable types (API reference, `CreateVariable`), and `DATETIME`, which is only a data type there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum VariableType {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl VariableType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in Amazon's API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

variable_types! {
    /// IPv4 or IPv6.
    IpAddress = "IP_ADDRESS",
    /// A browser's `User-Agent`.
    UserAgent = "USERAGENT",
    /// Device fingerprint.
    Fingerprint = "FINGERPRINT",
    /// Session id.
    SessionId = "SESSION_ID",
    /// Whether the password of a log-in was correct.
    AreCredentialsValid = "ARE_CREDENTIALS_VALID",
    /// An e-mail address.
    EmailAddress = "EMAIL_ADDRESS",
    /// A telephone number.
    PhoneNumber = "PHONE_NUMBER",
    /// Billing name.
    BillingName = "BILLING_NAME",
    /// Billing telephone number.
    BillingPhone = "BILLING_PHONE",
    /// First line of the billing address.
    BillingAddressL1 = "BILLING_ADDRESS_L1",
    /// Second line of the billing address.
    BillingAddressL2 = "BILLING_ADDRESS_L2",
    /// City of the billing address.
    BillingCity = "BILLING_CITY",
    /// State of the billing address.
    BillingState = "BILLING_STATE",
    /// Country of the billing address.
    BillingCountry = "BILLING_COUNTRY",
    /// Postal code of the billing address.
    BillingZip = "BILLING_ZIP",
    /// Shipping name.
    ShippingName = "SHIPPING_NAME",
    /// Shipping telephone number.
    ShippingPhone = "SHIPPING_PHONE",
    /// First line of the shipping address.
    ShippingAddressL1 = "SHIPPING_ADDRESS_L1",
    /// Second line of the shipping address.
    ShippingAddressL2 = "SHIPPING_ADDRESS_L2",
    /// City of the shipping address.
    ShippingCity = "SHIPPING_CITY",
    /// State of the shipping address.
    ShippingState = "SHIPPING_STATE",
    /// Country of the shipping address.
    ShippingCountry = "SHIPPING_COUNTRY",
    /// Postal code of the shipping address.
    ShippingZip = "SHIPPING_ZIP",
    /// Order id.
    OrderId = "ORDER_ID",
    /// Currency code (ISO 4217).
    CurrencyCode = "CURRENCY_CODE",
    /// Payment method.
    PaymentType = "PAYMENT_TYPE",
    /// Authorisation code of the payment.
    AuthCode = "AUTH_CODE",
    /// Result of the address verification.
    Avs = "AVS",
    /// The first six or eight digits of a card.
    CardBin = "CARD_BIN",
    /// An amount of money.
    Price = "PRICE",
    /// Product category.
    ProductCategory = "PRODUCT_CATEGORY",
    /// A number.
    Numeric = "NUMERIC",
    /// A category: one of several words, ids or groups.
    Categorical = "CATEGORICAL",
    /// Free text, or a URL.
    FreeFormText = "FREE_FORM_TEXT",
    /// The label. Never a feature.
    FraudLabel = "FRAUD_LABEL",
    /// A date, with or without a time of day.
    DateTime = "DATETIME",
}

impl VariableType {
    /// Whether values are kept as numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Numeric | Self::Price)
    }
}

impl fmt::Display for VariableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that does not name a variable type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no variable type; write one of Amazon's, such as IP_ADDRESS or NUMERIC, or DATETIME"
)]
pub struct UnknownVariableType(String);

impl FromStr for VariableType {
    type Err = UnknownVariableType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownVariableType(text.to_owned()))
    }
}

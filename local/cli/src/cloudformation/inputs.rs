//! What a template is given from outside: the values of its parameters, and of CloudFormation's own.

use super::text_part::UnknownValue;

/// Parameters that CloudFormation defines in every template.
const PSEUDO_PARAMETERS: &[&str] = &[
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// The values of a template's parameters.
///
/// `AWS::Region`, `AWS::AccountId` and the other pseudo parameters can be given like parameters of the template.
#[derive(Clone, Debug, Default)]
pub struct TemplateInputs {
    /// Name and value, in the order given.
    pub parameters: Vec<(String, String)>,
    /// The region of the service, if it is known.
    pub region: Option<String>,
}

impl TemplateInputs {
    /// The values of `parameters` in a template for any region.
    pub fn new(parameters: Vec<(String, String)>) -> Self {
        Self {
            parameters,
            region: None,
        }
    }

    /// The value given for a parameter.
    pub(crate) fn find_parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a pseudo parameter; `None` if CloudFormation has none of that name.
    pub(crate) fn find_pseudo_parameter(&self, name: &str) -> Option<Result<String, UnknownValue>> {
        if !PSEUDO_PARAMETERS.contains(&name) {
            return None;
        }
        let given = self.find_parameter(name).map(str::to_owned);
        let region = || {
            self.find_parameter("AWS::Region")
                .or(self.region.as_deref())
        };
        let value = given.or_else(|| match name {
            "AWS::Region" => region().map(str::to_owned),
            "AWS::Partition" => region().map(|region| partition_of(region).to_owned()),
            "AWS::URLSuffix" => region().map(|region| url_suffix_of(region).to_owned()),
            _ => None,
        });
        Some(value.ok_or_else(|| UnknownValue::pseudo_parameter(name)))
    }
}

/// One `Name=Value` of the command line.
pub(crate) fn parse_parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a name and a value, such as `Stage=prod`".to_owned()),
    }
}

fn partition_of(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn url_suffix_of(region: &str) -> &'static str {
    match partition_of(region) {
        "aws-cn" => "amazonaws.com.cn",
        _ => "amazonaws.com",
    }
}

//! Which service a request is for.

use crate::service::Service;

/// The services on the port.
#[derive(Clone, Debug)]
pub struct Services {
    /// The engine.
    pub frauddetector: Service,
    /// The embedded DynamoDB.
    pub dynamodb: Service,
    /// The folder that stands in for S3.
    pub s3: Service,
    /// The file that stands in for EventBridge.
    pub eventbridge: Service,
}

impl Services {
    /// The service that a request is for, and its name in signatures.
    pub(super) fn find<B>(&self, request: &http::Request<B>) -> Option<(&Service, &'static str)> {
        let Some(target) = request.headers().get("x-amz-target") else {
            return (!is_json_request(request)).then_some((&self.s3, "s3"));
        };
        match target.to_str().ok()?.rsplit_once('.')?.0 {
            "AWSHawksNestServiceFacade" => Some((&self.frauddetector, "frauddetector")),
            "DynamoDB_20120810" => Some((&self.dynamodb, "dynamodb")),
            "AWSEvents" => Some((&self.eventbridge, "events")),
            _ => None,
        }
    }
}

/// Whether a client of a JSON service sent the request; S3's requests have other media types.
fn is_json_request<B>(request: &http::Request<B>) -> bool {
    let media_type = request.headers().get(http::header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let is_json = media_type.is_some_and(|text| text.starts_with("application/x-amz-json-"));
    is_json && request.uri().path() == "/"
}

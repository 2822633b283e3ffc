//! Posts messages to a receiver.

use std::fmt;
use std::time::Duration;

use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use jiff::Timestamp;
use thiserror::Error;

use crate::message::WebhookMessage;
use crate::secrets::SigningSecrets;

/// Who the receiver sees.
const USER_AGENT: &str = concat!("fraudstream/", env!("CARGO_PKG_VERSION"));

/// The address of the receiver is not used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReceiverUrlError {
    /// It is no URL.
    #[error("the receiver's URL should be like https://shop.example/webhooks/decisions")]
    Malformed,
    /// Anyone on the way could read the messages.
    #[error("the receiver's URL should begin with https://; http:// is only for this machine")]
    Plain,
    /// It has a name and a password, which would be in logs on the way.
    #[error("the receiver's URL should have no user name; messages are signed")]
    UserName,
}

/// The address of a receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiverUrl(String);

/// Shows the host; a path or a query may hold a secret.
impl fmt::Debug for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri: Option<Uri> = self.0.parse().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        write!(f, "ReceiverUrl({host})")
    }
}

impl std::str::FromStr for ReceiverUrl {
    type Err = ReceiverUrlError;

    fn from_str(text: &str) -> Result<Self, ReceiverUrlError> {
        let uri: Uri = text.parse().map_err(|_| ReceiverUrlError::Malformed)?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or(ReceiverUrlError::Malformed)?;
        if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err(ReceiverUrlError::UserName);
        }
        let is_this_machine = host == "localhost"
            || (host.trim_matches(['[', ']']).parse())
                .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        match uri.scheme_str() {
            Some("https") => Ok(Self(text.to_owned())),
            Some("http") if is_this_machine => Ok(Self(text.to_owned())),
            Some("http") => Err(ReceiverUrlError::Plain),
            _ => Err(ReceiverUrlError::Malformed),
        }
    }
}

/// Why a message did not arrive, or may not have. It is worth sending again, whatever it is: see
/// docs/decisions/0032-webhooks.md.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Undelivered {
    /// The receiver answered with a status other than 2xx. Redirects are not followed.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The receiver did not answer in time.
    #[error("timeout")]
    TimedOut,
    /// There was no connection, or it ended before the answer.
    #[error("no connection")]
    NoConnection,
    /// The id of the message is nothing that a header can hold.
    #[error("request not built")]
    NotBuilt,
}

/// Posts messages to one receiver.
#[derive(Clone, Debug)]
pub struct WebhookSender {
    connector: SharedHttpConnector,
    url: ReceiverUrl,
    timeout: Duration,
}

impl WebhookSender {
    /// A sender that waits so long for an answer, connecting included.
    pub fn new(url: ReceiverUrl, timeout: Duration) -> Self {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let connector = Connector::builder().tls_provider(ring).build();
        Self {
            connector: SharedHttpConnector::new(connector),
            url,
            timeout,
        }
    }

    /// Posts a message once, signed at this time.
    ///
    /// # Errors
    /// [`Undelivered`]. The receiver may have got the message all the same; its id is the same next time.
    pub async fn send(
        &self,
        message: &WebhookMessage,
        secrets: &SigningSecrets,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        let request = self.build_request(message, secrets, now.as_second())?;
        let answer = tokio::time::timeout(self.timeout, self.connector.call(request)).await;
        let answer = answer.map_err(|_| Undelivered::TimedOut)?;
        let answer = answer.map_err(|error| {
            if error.is_timeout() {
                Undelivered::TimedOut
            } else {
                Undelivered::NoConnection
            }
        })?;
        // The body is not read: only the status matters, and a receiver cannot make it large.
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(Undelivered::Status(status.as_u16()))
        }
    }

    fn build_request(
        &self,
        message: &WebhookMessage,
        secrets: &SigningSecrets,
        timestamp: i64,
    ) -> Result<HttpRequest, Undelivered> {
        let mut request = HttpRequest::new(SdkBody::from(message.body.as_str()));
        let built =
            request.set_method("POST").is_ok() && request.set_uri(self.url.0.as_str()).is_ok();
        if !built {
            return Err(Undelivered::NotBuilt);
        }
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", USER_AGENT.to_owned()),
            ("webhook-id", message.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            (
                "webhook-signature",
                secrets.sign(&message.id, timestamp, &message.body),
            ),
        ];
        for (name, value) in headers {
            let added = request.headers_mut().try_insert(name, value);
            added.map_err(|_| Undelivered::NotBuilt)?;
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_encrypted_on_their_way() {
        let cases = [
            (
                "https://shop.example/hooks?key=1",
                "ReceiverUrl(shop.example)",
            ),
            ("http://127.0.0.1:8080/", "ReceiverUrl(127.0.0.1)"),
            ("http://[::1]:8080/", "ReceiverUrl([::1])"),
            ("http://localhost/x", "ReceiverUrl(localhost)"),
            (
                "http://shop.example/",
                "the receiver's URL should begin with https://; http:// is only for this machine",
            ),
            (
                "http://127.0.0.1.example/",
                "the receiver's URL should begin with https://; http:// is only for this machine",
            ),
            (
                "https://me:secret@shop.example/",
                "the receiver's URL should have no user name; messages are signed",
            ),
            (
                "ftp://shop.example/",
                "the receiver's URL should be like https://shop.example/webhooks/decisions",
            ),
            (
                "shop.example",
                "the receiver's URL should be like https://shop.example/webhooks/decisions",
            ),
            (
                "",
                "the receiver's URL should be like https://shop.example/webhooks/decisions",
            ),
        ];
        for (text, want) in cases {
            let got = match text.parse::<ReceiverUrl>() {
                Ok(url) => format!("{url:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, want, "{text}");
        }
    }
}

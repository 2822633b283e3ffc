//! Signature Version 4, as AWS checks it: `serve --credentials`.
//!
//! The keys come from a file in the form of `~/.aws/credentials`. A request is checked in two
//! steps: [`SigningKeys::claim`] checks what can be checked by the head, before the body is read; at S3
//! that is the whole signature, because the head has the hash of the body. [`SignatureClaim::verify`]
//! checks the rest once the body is there. The signature is computed again by AWS's own signer, so
//! it covers what AWS's clients sign.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use shared::hash::to_hex;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::{s3, service};

/// The largest difference between the clocks of client and server, at S3 and elsewhere.
const S3_SKEW: SignedDuration = SignedDuration::from_mins(15);
const SKEW: SignedDuration = SignedDuration::from_mins(5);

const ALGORITHM: &str = "AWS4-HMAC-SHA256 ";
const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";
const CONTENT: &str = "x-amz-content-sha256";
/// What an S3 client sends instead of a hash if it does not sign the body.
const UNSIGNED: [&str; 2] = ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"];

/// The file of keys cannot be used.
#[derive(Debug, Error)]
pub enum SigningKeysError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    /// A line is neither a profile nor a setting nor a comment.
    #[error("{0}:{1}: expected `[profile]` or `name = value`")]
    Line(String, usize),
    /// A profile has only one of key id and secret.
    #[error("{0}: profile `{1}` needs both aws_access_key_id and aws_secret_access_key")]
    Half(String, String),
    /// The file has no key.
    #[error("{0} has no key: write aws_access_key_id and aws_secret_access_key under `[default]`")]
    Empty(String),
}

/// Keys that may sign requests.
#[derive(Default)]
pub struct SigningKeys(HashMap<String, SigningKey>);

#[derive(Default)]
struct SigningKey {
    id: String,
    secret: String,
    token: String,
}

/// Shows how many there are, and nothing of the keys.
impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} keys", self.0.len())
    }
}

impl SigningKeys {
    /// Every profile of a file in the form of `~/.aws/credentials`.
    pub fn read(path: &Path) -> Result<Self, SigningKeysError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| SigningKeysError::Read(name.clone(), error))?;
        Self::parse(&name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, SigningKeysError> {
        let mut keys = Self::default();
        let mut profile = "default".to_owned();
        let mut key = SigningKey::default();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let section = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'));
            if let Some(section) = section {
                keys.add(name, &profile, std::mem::take(&mut key))?;
                section.trim().clone_into(&mut profile);
                continue;
            }
            let (setting, value) = line
                .split_once('=')
                .ok_or_else(|| SigningKeysError::Line(name.to_owned(), number))?;
            let value = value.trim().to_owned();
            match setting.trim() {
                "aws_access_key_id" => key.id = value,
                "aws_secret_access_key" => key.secret = value,
                "aws_session_token" => key.token = value,
                _ => {}
            }
        }
        keys.add(name, &profile, key)?;
        if keys.0.is_empty() {
            return Err(SigningKeysError::Empty(name.to_owned()));
        }
        Ok(keys)
    }

    fn add(&mut self, name: &str, profile: &str, key: SigningKey) -> Result<(), SigningKeysError> {
        match (key.id.is_empty(), key.secret.is_empty()) {
            (true, true) => {}
            (false, false) => drop(self.0.insert(key.id.clone(), key)),
            _ => return Err(SigningKeysError::Half(name.to_owned(), profile.to_owned())),
        }
        Ok(())
    }

    /// Checks the head of a request: its key, its time, the `service` that it was signed for (by its
    /// name in signatures), and the signature itself if [it does not need the body](SignatureClaim::needs_body).
    pub fn claim(
        &self,
        head: &Parts,
        service: &str,
        now: Timestamp,
    ) -> Result<SignatureClaim<'_>, SignatureRefusal> {
        let claim = || {
            let claim = self.read_claim(head, service)?;
            claim.check_time(now)?;
            if !claim.needs_body() {
                claim.check_signature(head, &[])?;
            }
            Ok(claim)
        };
        claim().map_err(|problem| SignatureRefusal::new(service, problem))
    }

    fn read_claim(
        &self,
        head: &Parts,
        service: &str,
    ) -> Result<SignatureClaim<'_>, SignatureProblem> {
        let header = header_text(head, "authorization").ok_or(SignatureProblem::Missing)?;
        let fields = header.strip_prefix(ALGORITHM).ok_or_else(|| {
            SignatureProblem::incomplete("Authorization header must be AWS4-HMAC-SHA256.")
        })?;
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            let value = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            value.ok_or_else(|| {
                SignatureProblem::incomplete(format!(
                    "Authorization header requires '{name}' parameter."
                ))
            })
        };
        let (credential, signed, signature) = (
            field("Credential")?,
            field("SignedHeaders")?,
            field("Signature")?,
        );
        let date = header_text(head, DATE).ok_or_else(|| {
            SignatureProblem::incomplete(
                "Authorization header requires existence of a 'X-Amz-Date' header.",
            )
        })?;
        let time = parse_basic_time(date).ok_or_else(|| {
            SignatureProblem::incomplete(
                "Date must be in ISO-8601 'basic format', such as 20260601T101530Z.",
            )
        })?;
        let mut scope = credential.split('/');
        let mut part = || scope.next().unwrap_or_default();
        let (id, day, region, named, end) = (part(), part(), part(), part(), part());
        if end != "aws4_request" || scope.next().is_some() {
            return Err(SignatureProblem::incomplete(
                "Credential must have 5 parts separated by '/' and end with 'aws4_request'.",
            ));
        }
        if named != service {
            return Err(SignatureProblem::invalid(format!(
                "Credential should be scoped to correct service: '{service}'."
            )));
        }
        if !date.starts_with(day) || day.len() != 8 {
            return Err(SignatureProblem::invalid(
                "Date in Credential scope does not match the date of 'X-Amz-Date'.",
            ));
        }
        let signed: Vec<String> = signed.split(';').map(str::to_owned).collect();
        check_signed_headers(head, &signed)?;
        let key = self.0.get(id).ok_or(SignatureProblem::Unknown)?;
        let token = header_text(head, TOKEN).unwrap_or_default();
        if !is_equal_in_constant_time(token, &key.token) {
            return Err(SignatureProblem::Unknown);
        }
        Ok(SignatureClaim {
            key,
            service: service.to_owned(),
            region: region.to_owned(),
            time,
            signed,
            signature: signature.to_owned(),
        })
    }
}

/// Checks that `host` and every header of AWS is signed.
fn check_signed_headers(head: &Parts, signed: &[String]) -> Result<(), SignatureProblem> {
    let mut names = head.headers.keys().map(http::HeaderName::as_str);
    let unsigned = names.find(|name| {
        (*name == "host" || name.starts_with("x-amz-")) && !signed.iter().any(|s| s == name)
    });
    match unsigned {
        None => Ok(()),
        Some(name) => Err(SignatureProblem::invalid(format!(
            "'{name}' must be a signed header."
        ))),
    }
}

/// The key and the time that a request claims to be signed with: the key exists, the time is close.
pub struct SignatureClaim<'k> {
    key: &'k SigningKey,
    service: String,
    region: String,
    time: Timestamp,
    signed: Vec<String>,
    signature: String,
}

/// Shows nothing of the key.
impl fmt::Debug for SignatureClaim<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a claim for {} at {}", self.service, self.time)
    }
}

impl SignatureClaim<'_> {
    fn check_time(&self, now: Timestamp) -> Result<(), SignatureProblem> {
        let skew = largest_skew(&self.service);
        let (signed, here) = (format_basic_time(self.time), format_basic_time(now));
        let apart = now.duration_since(self.time);
        let minutes = skew.as_mins();
        if apart > skew {
            return Err(SignatureProblem::Skewed(format!(
                "Signature expired: {signed} is now earlier than {} ({here} - {minutes} min.)",
                format_basic_time(now - skew)
            )));
        }
        if apart < -skew {
            return Err(SignatureProblem::Skewed(format!(
                "Signature not yet current: {signed} is still later than {} ({here} + {minutes} min.)",
                format_basic_time(now + skew)
            )));
        }
        Ok(())
    }

    /// Whether the signature can only be checked with the body. At S3 it covers the hash in the
    /// head, at the other services the body itself.
    pub fn needs_body(&self) -> bool {
        self.service != "s3"
    }

    /// Checks what [`SigningKeys::claim`] could not: that the key signed exactly this request.
    pub fn verify(&self, head: &Parts, body: &[u8]) -> Result<(), SignatureRefusal> {
        let checked = if self.needs_body() {
            self.check_signature(head, body)
        } else {
            check_content_hash(head, body)
        };
        checked.map_err(|problem| SignatureRefusal::new(&self.service, problem))
    }

    fn check_signature(&self, head: &Parts, body: &[u8]) -> Result<(), SignatureProblem> {
        let signature = self.sign(head, body).ok_or(SignatureProblem::Mismatch)?;
        if is_equal_in_constant_time(&signature, &self.signature) {
            Ok(())
        } else {
            Err(SignatureProblem::Mismatch)
        }
    }

    /// Signs the request again with the key; `None` if it cannot be signed.
    fn sign(&self, head: &Parts, body: &[u8]) -> Option<String> {
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        let content = if self.needs_body() {
            SignableBody::Bytes(body)
        } else {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            SignableBody::Precomputed(header_text(head, CONTENT)?.to_owned())
        };
        let mut headers = Vec::with_capacity(self.signed.len());
        for name in &self.signed {
            headers.push((name.as_str(), header_text(head, name)?));
        }
        let host = header_text(head, "host")?;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = SignableRequest::new(
            head.method.as_str(),
            format!("http://{host}{path}"),
            headers.into_iter(),
            content,
        );
        let SigningKey { id, secret, .. } = self.key;
        let identity = Credentials::new(id, secret, None, None, "file").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::from(self.time))
            .settings(settings)
            .build()
            .ok()?;
        let signed = sign(request.ok()?, &parameters.into()).ok()?;
        Some(signed.signature().to_owned())
    }
}

/// Checks that the body has the hash that the head gives.
fn check_content_hash(head: &Parts, body: &[u8]) -> Result<(), SignatureProblem> {
    let said = header_text(head, CONTENT).unwrap_or_default();
    if UNSIGNED.contains(&said) || is_equal_in_constant_time(said, &to_hex(&Sha256::digest(body))) {
        Ok(())
    } else {
        Err(SignatureProblem::Content)
    }
}

fn header_text<'h>(head: &'h Parts, name: &str) -> Option<&'h str> {
    head.headers.get(name)?.to_str().ok()
}

/// Compares in constant time, so that the time tells nothing about the secret.
fn is_equal_in_constant_time(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn largest_skew(service: &str) -> SignedDuration {
    if service == "s3" { S3_SKEW } else { SKEW }
}

const BASIC: &str = "%Y%m%dT%H%M%SZ";

fn format_basic_time(time: Timestamp) -> String {
    time.strftime(BASIC).to_string()
}

fn parse_basic_time(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(BASIC, text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[derive(Debug)]
enum SignatureProblem {
    Missing,
    Incomplete(String),
    Invalid(String),
    Skewed(String),
    Unknown,
    Mismatch,
    Content,
}

impl SignatureProblem {
    fn incomplete(message: impl Into<String>) -> Self {
        Self::Incomplete(message.into())
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}

/// Why a request is refused, with AWS's codes and messages.
#[derive(Debug)]
pub struct SignatureRefusal {
    s3: bool,
    problem: SignatureProblem,
}

impl SignatureRefusal {
    fn new(service: &str, problem: SignatureProblem) -> Self {
        let s3 = service == "s3";
        Self { s3, problem }
    }

    /// The response: XML from S3, JSON from the others.
    pub fn response(&self) -> Response<Bytes> {
        let (status, json, xml) = match self.problem {
            SignatureProblem::Missing => {
                (403, "MissingAuthenticationTokenException", "AccessDenied")
            }
            SignatureProblem::Incomplete(_) => (
                400,
                "IncompleteSignatureException",
                "AuthorizationHeaderMalformed",
            ),
            SignatureProblem::Unknown => (400, "UnrecognizedClientException", "InvalidAccessKeyId"),
            SignatureProblem::Skewed(_) => {
                (400, "InvalidSignatureException", "RequestTimeTooSkewed")
            }
            SignatureProblem::Content => (
                400,
                "InvalidSignatureException",
                "XAmzContentSHA256Mismatch",
            ),
            SignatureProblem::Invalid(_) | SignatureProblem::Mismatch => {
                (400, "InvalidSignatureException", "SignatureDoesNotMatch")
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        if self.s3 {
            s3::error_response(StatusCode::FORBIDDEN, xml, self.message())
        } else {
            service::exception_response(status, json, self.message())
        }
    }

    fn message(&self) -> &str {
        match &self.problem {
            SignatureProblem::Missing => "Missing Authentication Token",
            SignatureProblem::Unknown => "The security token included in the request is invalid.",
            SignatureProblem::Mismatch => {
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details."
            }
            SignatureProblem::Content => "The body is not the one whose hash was signed.",
            SignatureProblem::Incomplete(message)
            | SignatureProblem::Invalid(message)
            | SignatureProblem::Skewed(message) => message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SigningKeys, String> {
        SigningKeys::parse("keys", text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_keys_of_a_file() {
        let text = "# shop\n[default]\naws_access_key_id = AKID\naws_secret_access_key= a=b\n\n\
                    [other]\naws_access_key_id=ASIA\naws_secret_access_key=c\naws_session_token=t\nregion=x\n";
        let keys = parse(text).unwrap().0;
        assert_eq!(keys["AKID"].secret, "a=b");
        assert_eq!(
            (keys["ASIA"].secret.as_str(), keys["ASIA"].token.as_str()),
            ("c", "t")
        );
        let cases = [
            (
                "[a]\naws_access_key_id=A\n[b]",
                "keys: profile `a` needs both aws_access_key_id and aws_secret_access_key",
            ),
            (
                "[a]\nsecret",
                "keys:2: expected `[profile]` or `name = value`",
            ),
            (
                "",
                "keys has no key: write aws_access_key_id and aws_secret_access_key under `[default]`",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text).unwrap_err(), want);
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = parse("aws_access_key_id=AKID\naws_secret_access_key=hidden").unwrap();
        assert_eq!(format!("{keys:?}"), "1 keys");
    }
}

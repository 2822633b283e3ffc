//! The secrets that messages are signed with, in the form of "Standard Webhooks" (www.standardwebhooks.com).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use shared::aws_json::AwsJsonClient;
use shared::failure::Failure;
use thiserror::Error;
use tokio::time::Instant;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// The fewest and the most bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Codes of a service that fails, and may answer the next time.
const FAILURES: [&str; 4] = [
    "timeout",
    "no connection",
    "ThrottlingException",
    "InternalServiceError",
];
/// How long secrets from Secrets Manager are kept: a rotation is complete after so long.
const KEPT: Duration = Duration::from_mins(5);

/// The secrets are not written as they should be. The text quotes nothing of them.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SecretsError {
    /// There is none.
    #[error("there is no secret; write whsec_ and 24 to 64 random bytes in base64")]
    None,
    /// One has another form.
    #[error("secret {0} should be whsec_ and 24 to 64 bytes in base64")]
    Malformed(usize),
}

/// Secrets, all of which sign: while one is replaced, the receiver knows the old one or the new one.
pub struct SigningSecrets(Vec<Vec<u8>>);

/// Shows how many there are.
impl fmt::Debug for SigningSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl SigningSecrets {
    /// Reads secrets with blanks or line breaks between them.
    ///
    /// # Errors
    /// [`SecretsError`], which says which one is wrong.
    pub fn parse(text: &str) -> Result<Self, SecretsError> {
        let read = |(number, secret): (usize, &str)| {
            let bytes = secret.strip_prefix(PREFIX);
            let bytes = bytes.and_then(|text| BASE64.decode(text).ok());
            let bytes = bytes.filter(|bytes| BYTES.contains(&bytes.len()));
            bytes.ok_or(SecretsError::Malformed(number))
        };
        let secrets: Result<Vec<_>, _> = (1..).zip(text.split_whitespace()).map(read).collect();
        let secrets = secrets?;
        if secrets.is_empty() {
            return Err(SecretsError::None);
        }
        Ok(Self(secrets))
    }

    /// The value of the header `webhook-signature`: a signature by each secret. `timestamp` is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let content = format!("{id}.{timestamp}.{body}");
        let signatures = self.0.iter().filter_map(|secret| {
            // A key of any length is accepted.
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
            mac.update(content.as_bytes());
            Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

/// The secrets of a function, from Secrets Manager.
#[derive(Debug)]
pub struct SecretStore {
    client: AwsJsonClient,
    region: String,
    name: String,
    kept: Mutex<Option<(Instant, Arc<SigningSecrets>)>>,
}

impl SecretStore {
    /// The secret with this name, in the region of the configuration.
    pub fn new(config: &SdkConfig, name: &str) -> Self {
        let region = config.region().map(ToString::to_string);
        Self {
            client: AwsJsonClient::secrets_manager(config),
            region: region.unwrap_or_default(),
            name: name.to_owned(),
            kept: Mutex::default(),
        }
    }

    /// The secrets, at most five minutes old; older ones while Secrets Manager fails.
    ///
    /// # Errors
    /// [`Failure::Retry`]: they cannot be read, or are not written as they should be.
    pub async fn read(&self) -> Result<Arc<SigningSecrets>, Failure> {
        if let Some((read_at, secrets)) = &*self.lock()
            && read_at.elapsed() < KEPT
        {
            return Ok(Arc::clone(secrets));
        }
        let operation = "GetSecretValue";
        let input = json!({"SecretId": self.name});
        let answer = self.client.call(&self.region, operation, &input).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let code = error.code.as_str();
                if !FAILURES.contains(&code) {
                    return Err(Failure::set_up(format!("{operation}: {code}")));
                }
                let kept = self.lock().as_ref().map(|(_, kept)| Arc::clone(kept));
                return kept.ok_or_else(|| Failure::retry(format!("{operation}: {code}")));
            }
        };
        let text = answer["SecretString"].as_str().unwrap_or_default();
        let secrets = SigningSecrets::parse(text);
        let secrets = secrets.map_err(|error| Failure::set_up(error.to_string()))?;
        let secrets = Arc::new(secrets);
        *self.lock() = Some((Instant::now(), Arc::clone(&secrets)));
        Ok(secrets)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<SigningSecrets>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_one_form() {
        let long = format!("whsec_{}", BASE64.encode([1; 65]));
        let good = format!("whsec_{}", BASE64.encode([1; 24]));
        let cases = [
            (good.clone(), "1 secrets"),
            (format!(" {good}\n{good} "), "2 secrets"),
            (
                String::new(),
                "there is no secret; write whsec_ and 24 to 64 random bytes in base64",
            ),
            (
                format!("{good} hunter2"),
                "secret 2 should be whsec_ and 24 to 64 bytes in base64",
            ),
            (
                "whsec_c2hvcnQ=".to_owned(),
                "secret 1 should be whsec_ and 24 to 64 bytes in base64",
            ),
            (
                long,
                "secret 1 should be whsec_ and 24 to 64 bytes in base64",
            ),
        ];
        for (text, want) in cases {
            let got = match SigningSecrets::parse(&text) {
                Ok(secrets) => format!("{secrets:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, want, "{text}");
        }
    }

    /// Computed with Python: `hmac.digest(bytes([1] * 24), b"order#1#1.1780308931.{}", "sha256")`.
    #[test]
    fn each_secret_signs() {
        let secrets = [[1; 24], [2; 24]].map(|bytes| format!("whsec_{}", BASE64.encode(bytes)));
        let secrets = SigningSecrets::parse(&secrets.join(" ")).unwrap();
        let want = "v1,/iTiL7eC6PrT+fWVCRWUXXysLd7zhvf3zvoZiYR4M4k= v1,G/QG67P824gq8R1xmsRRzrsXgj7DBPj2VF/qe0jlcgc=";
        assert_eq!(secrets.sign("order#1#1", 1_780_308_931, "{}"), want);
    }
}

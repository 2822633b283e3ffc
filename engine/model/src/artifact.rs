//! Models as bytes, with a version, a checksum and a limit on their size.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::categories::Categories;
use crate::features::crosses::Cross;
use crate::features::linear::{TextModel, TokenBucket};
use crate::features::nearness::BadAddresses;
use crate::features::rates::{KeyRates, RateTable};
use crate::features::variable_encoder::VariableEncoder;
use crate::features::{Encoder, Feature};
use crate::history::TrackedFields;
use crate::model::{Encoding, Model, ScoreScale};
use crate::trees::{self, Forest};
use crate::value_reader::ValueReader;
use crate::variable::Variable;

/// What every artifact begins with. The last character is the version of the format.
const MAGIC: &[u8; 8] = b"fs-mod 1";

/// The largest artifact that is read, in bytes.
const LARGEST_ARTIFACT: usize = 64 << 20;

const DIGEST: usize = 32;

/// Why bytes cannot be read as a model.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// They do not begin as a model of a known version does.
    #[error(
        "this is no model of a version that is known here; it would begin with `{}`",
        String::from_utf8_lossy(MAGIC)
    )]
    Format,
    /// They are too many. Holds how many they are.
    #[error("the model has {0} bytes; at most {LARGEST_ARTIFACT} are read")]
    TooLarge(usize),
    /// They were changed after they were written.
    #[error("the model is damaged: its checksum does not match")]
    Damaged,
    /// A part is missing or has an impossible value.
    #[error("the model is broken: {0}")]
    Broken(&'static str),
    /// The trees cannot be read.
    #[error("the model's trees are broken: {0}")]
    Trees(#[from] trees::TreeError),
}

/// The part that is written as JSON. Tables, weights and trees follow as bytes.
#[derive(Serialize, Deserialize)]
struct ArtifactHead {
    variables: Vec<Variable>,
    scale: ScoreScale,
    encoder: Option<EncoderHead>,
    /// The values of the categorical features of an imported model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<Option<Categories>>,
}

#[derive(Serialize, Deserialize)]
struct EncoderHead {
    readings: Vec<Option<ValueReader>>,
    crosses: Vec<Cross>,
    features: Vec<Feature>,
    muted: Vec<bool>,
    #[serde(rename = "watched", default, skip_serializing_if = "Option::is_none")]
    tracked: Option<TrackedFields>,
    linear_bits: Option<u32>,
    /// Whether the addresses of known fraud follow the tables of each variable that holds IP addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    nearness: bool,
}

impl Model {
    /// The model as bytes. The same model gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let head = self.head();
        // It holds only texts and finite numbers, which serde_json always writes.
        let json = serde_json::to_vec(&head).unwrap_or_default();
        push_block(&mut body, &json);
        if let Encoding::Learnt(encoder) = &self.encoding {
            for encoder in encoder.encoders.iter().flatten() {
                push_variable(&mut body, encoder);
            }
            if let Some(linear) = &encoder.linear {
                body.extend(linear.scale.to_le_bytes());
                for bucket in &linear.buckets {
                    body.extend(bucket.weight.to_le_bytes());
                    body.extend([bucket.rarity, bucket.owner]);
                }
            }
        }
        push_block(&mut body, &self.forest.to_bytes());
        seal_body(&body)
    }

    /// Reads a model that [`Model::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ArtifactError`], in a sentence, whatever the bytes are.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        if bytes.len() > LARGEST_ARTIFACT {
            return Err(ArtifactError::TooLarge(bytes.len()));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(ArtifactError::Format)?;
        let (digest, body) = rest
            .split_at_checked(DIGEST)
            .ok_or(ArtifactError::Broken("it ends in its checksum"))?;
        if Sha256::digest(body).as_slice() != digest {
            return Err(ArtifactError::Damaged);
        }
        Self::from_body(&mut ArtifactReader(body))
    }

    fn head(&self) -> ArtifactHead {
        ArtifactHead {
            variables: self.variables().to_vec(),
            scale: self.scale.clone(),
            categories: match &self.encoding {
                Encoding::Imported(imported) => imported.categories.clone(),
                Encoding::Learnt(_) => Vec::new(),
            },
            encoder: match &self.encoding {
                Encoding::Imported(_) => None,
                Encoding::Learnt(encoder) => Some(EncoderHead {
                    readings: encoder
                        .encoders
                        .iter()
                        .map(|encoder| encoder.as_ref().map(|encoder| encoder.reading))
                        .collect(),
                    crosses: encoder.crosses.clone(),
                    features: encoder.features.clone(),
                    muted: encoder.muted.clone(),
                    tracked: encoder.tracked.clone(),
                    linear_bits: encoder.linear.as_ref().map(|linear| linear.bits),
                    nearness: encoder
                        .encoders
                        .iter()
                        .flatten()
                        .any(|encoder| encoder.bad_addresses.is_some()),
                }),
            },
        }
    }

    fn from_body(body: &mut ArtifactReader<'_>) -> Result<Self, ArtifactError> {
        let head: ArtifactHead = serde_json::from_slice(body.block()?)
            .map_err(|_| ArtifactError::Broken("its head cannot be read"))?;
        if let ScoreScale::Measured(calibration) = &head.scale
            && !calibration.is_sound()
        {
            return Err(ArtifactError::Broken("its calibration does not rise"));
        }
        let encoder = head
            .encoder
            .map(|encoder| read_encoder(body, head.variables.clone(), encoder))
            .transpose()?;
        let forest = Forest::from_bytes(body.block()?)?;
        if !body.0.is_empty() {
            return Err(ArtifactError::Broken("something follows its trees"));
        }
        let Some(encoder) = encoder else {
            let mut model = Self::from_forest(head.variables, forest, None).map_err(|_| {
                ArtifactError::Broken("it has not as many variables as its trees have features")
            })?;
            model.scale = head.scale;
            return Ok(model.with_categories(head.categories));
        };
        if forest.features() != encoder.features.len() {
            return Err(ArtifactError::Broken(
                "it has not as many features as its trees",
            ));
        }
        Ok(Self {
            encoding: Encoding::Learnt(Box::new(encoder)),
            forest,
            scale: head.scale,
        })
    }
}

/// Puts the format and the checksum before a body.
pub(crate) fn seal_body(body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(Sha256::digest(body));
    bytes.extend(body);
    bytes
}

fn read_encoder(
    body: &mut ArtifactReader<'_>,
    variables: Vec<Variable>,
    head: EncoderHead,
) -> Result<Encoder, ArtifactError> {
    if head.readings.len() != variables.len() {
        return Err(ArtifactError::Broken(
            "it has not as many readings as variables",
        ));
    }
    let mut encoders = Vec::new();
    for reading in head.readings {
        encoders.push(
            reading
                .map(|reading| read_variable(body, reading, head.nearness))
                .transpose()?,
        );
    }
    let linear = head
        .linear_bits
        .map(|bits| read_linear(body, bits))
        .transpose()?;
    let encoder = Encoder {
        variables,
        encoders,
        crosses: head.crosses,
        linear,
        features: head.features,
        muted: head.muted,
        tracked: head.tracked,
    };
    if encoder.is_sound() {
        Ok(encoder)
    } else {
        Err(ArtifactError::Broken(
            "its features do not fit its variables",
        ))
    }
}

fn push_block(body: &mut Vec<u8>, block: &[u8]) {
    push_count(body, block.len());
    body.extend(block);
}

fn push_count(body: &mut Vec<u8>, count: usize) {
    body.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn push_variable(body: &mut Vec<u8>, encoder: &VariableEncoder) {
    for table in &encoder.tables {
        let mut entries: Vec<_> = table.entries.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| **key);
        push_count(body, entries.len());
        for (key, known) in entries {
            body.extend(key.to_le_bytes());
            body.extend(known.lift.to_le_bytes());
            body.extend(known.frequency.to_le_bytes());
        }
    }
    let mut codes: Vec<_> = encoder.codes.iter().collect();
    codes.sort_unstable();
    push_count(body, codes.len());
    for (key, code) in codes {
        body.extend(key.to_le_bytes());
        body.push(*code);
    }
    if let Some(bad) = &encoder.bad_addresses {
        push_count(body, bad.as_slice().len());
        for address in bad.as_slice() {
            body.extend(address.to_le_bytes());
        }
    }
}

fn read_variable(
    body: &mut ArtifactReader<'_>,
    reading: ValueReader,
    nearness: bool,
) -> Result<VariableEncoder, ArtifactError> {
    let mut tables = Vec::new();
    for _ in reading.level_names() {
        let count = body.count(12)?;
        let mut entries = FxHashMap::with_capacity_and_hasher(count, rustc_hash::FxBuildHasher);
        for _ in 0..count {
            let key = u32::from_le_bytes(body.array()?);
            let (lift, frequency) = (
                f32::from_le_bytes(body.array()?),
                f32::from_le_bytes(body.array()?),
            );
            entries.insert(key, KeyRates { lift, frequency });
        }
        tables.push(RateTable { entries });
    }
    let count = body.count(5)?;
    let mut codes = FxHashMap::with_capacity_and_hasher(count, rustc_hash::FxBuildHasher);
    for _ in 0..count {
        let key = u32::from_le_bytes(body.array()?);
        let [code] = body.array()?;
        codes.insert(key, code);
    }
    let bad_addresses = (nearness && reading == ValueReader::Ip)
        .then(|| read_bad_addresses(body))
        .transpose()?;
    Ok(VariableEncoder {
        reading,
        tables,
        codes,
        bad_addresses,
    })
}

fn read_bad_addresses(body: &mut ArtifactReader<'_>) -> Result<BadAddresses, ArtifactError> {
    let count = body.count(4)?;
    let mut addresses = Vec::with_capacity(count);
    for _ in 0..count {
        addresses.push(u32::from_le_bytes(body.array()?));
    }
    BadAddresses::from_sorted(addresses)
        .ok_or(ArtifactError::Broken("its IP addresses are not in order"))
}

fn read_linear(body: &mut ArtifactReader<'_>, bits: u32) -> Result<TextModel, ArtifactError> {
    if !(1..=24).contains(&bits) {
        return Err(ArtifactError::Broken("its words have an impossible table"));
    }
    let scale = f32::from_le_bytes(body.array()?);
    let (places, _) = body.take(4 << bits)?.as_chunks::<4>();
    let bucket = |place: &[u8; 4]| TokenBucket {
        weight: i16::from_le_bytes([place[0], place[1]]),
        rarity: place[2],
        owner: place[3],
    };
    Ok(TextModel {
        bits,
        scale,
        buckets: places.iter().map(bucket).collect(),
    })
}

/// Reads bytes from the front.
struct ArtifactReader<'a>(&'a [u8]);

impl<'a> ArtifactReader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ArtifactError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(ArtifactError::Broken("it ends too soon"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ArtifactError> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(ArtifactError::Broken("it ends too soon"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Reads a number of entries, each of `size` bytes, and checks that so many bytes follow.
    fn count(&mut self, size: usize) -> Result<usize, ArtifactError> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        if count.saturating_mul(size) > self.0.len() {
            return Err(ArtifactError::Broken("it ends too soon"));
        }
        Ok(count)
    }

    fn block(&mut self) -> Result<&'a [u8], ArtifactError> {
        let length = self.count(1)?;
        self.take(length)
    }
}

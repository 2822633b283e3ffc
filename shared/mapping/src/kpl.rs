//! Aggregates of the Kinesis Producer Library: several user records in one Kinesis record.
//!
//! Layout: the magic `F3 89 9A C2`, a protobuf message, and the MD5 of that message. Producers such
//! as Fluent Bit write it by default, so it must be expected. Data whose digest is wrong is not an aggregate.

use md5::{Digest as _, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;
/// What Kinesis takes as a partition key: 256 Unicode characters (API reference, `PutRecord`).
const LONGEST_KEY: usize = 4 * 256;

/// One user record of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its partition key.
    pub partition_key: String,
    /// Its payload.
    pub data: Vec<u8>,
}

/// The user records of an aggregate; `None` if `bytes` is not an aggregate.
pub fn deaggregate(bytes: &[u8]) -> Option<Vec<Part>> {
    let body = bytes.strip_prefix(&MAGIC)?;
    let (message, digest) = body.split_at_checked(body.len().checked_sub(DIGEST_BYTES)?)?;
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    parts(message)
}

/// Field numbers of `AggregatedRecord` and of `Record` inside it.
const PARTITION_KEY_TABLE: u64 = 1;
const RECORDS: u64 = 3;
const RECORD_PARTITION_KEY_INDEX: u64 = 1;
const RECORD_DATA: u64 = 3;

fn parts(message: &[u8]) -> Option<Vec<Part>> {
    let mut keys = Vec::new();
    let mut records = Vec::new();
    for field in Fields(message) {
        match field? {
            (PARTITION_KEY_TABLE, Field::Bytes(key)) => {
                // The key is copied for every record that names it, so its length must be limited.
                if key.len() > LONGEST_KEY {
                    return None;
                }
                keys.push(String::from_utf8(key.to_vec()).ok()?);
            }
            (RECORDS, Field::Bytes(record)) => records.push(record),
            _ => {}
        }
    }
    records
        .into_iter()
        .map(|record| part(record, &keys))
        .collect()
}

fn part(record: &[u8], keys: &[String]) -> Option<Part> {
    let (mut key, mut data) = (None, None);
    for field in Fields(record) {
        match field? {
            (RECORD_PARTITION_KEY_INDEX, Field::Number(index)) => {
                key = keys.get(usize::try_from(index).ok()?);
            }
            (RECORD_DATA, Field::Bytes(bytes)) => data = Some(bytes.to_vec()),
            _ => {}
        }
    }
    Some(Part {
        partition_key: key?.clone(),
        data: data?,
    })
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message: the two wire types that the library writes.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.field())
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let field = self.try_field();
        if field.is_none() {
            // Ends the iteration, which would otherwise return the same error for ever.
            self.0 = &[];
        }
        field
    }

    fn try_field(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Field::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap());
        field.extend_from_slice(bytes);
        field
    }

    fn aggregate(parts: &[Part]) -> Vec<u8> {
        let mut message = Vec::new();
        for part in parts {
            message.extend(bytes_field(1, part.partition_key.as_bytes()));
        }
        for (index, part) in parts.iter().enumerate() {
            let mut record = vec![1 << 3, u8::try_from(index).unwrap()];
            record.extend(bytes_field(3, &part.data));
            message.extend(bytes_field(3, &record));
        }
        let digest = Md5::digest(&message);
        [&MAGIC[..], &message, digest.as_slice()].concat()
    }

    #[test]
    fn plain_data_and_damaged_aggregates_are_plain() {
        assert_eq!(deaggregate(b"{}"), None);
        assert_eq!(deaggregate(&MAGIC), None);
        let mut damaged = aggregate(&[Part {
            partition_key: "k".into(),
            data: b"{}".to_vec(),
        }]);
        damaged[6] ^= 1;
        assert_eq!(deaggregate(&damaged), None);
    }

    proptest! {
        #[test]
        fn what_was_aggregated_comes_out(parts in prop::collection::vec(("[a-z]{1,9}", prop::collection::vec(any::<u8>(), 0..300)), 0..20)) {
            let parts: Vec<Part> = parts.into_iter().map(|(partition_key, data)| Part { partition_key, data }).collect();
            prop_assert_eq!(deaggregate(&aggregate(&parts)), Some(parts));
        }

        #[test]
        fn no_bytes_panic(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let digest = Md5::digest(&message);
            let _ = deaggregate(&[&MAGIC[..], &message, digest.as_slice()].concat());
        }
    }
}

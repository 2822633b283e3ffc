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
pub struct UserRecord {
    /// Its partition key.
    pub partition_key: String,
    /// Its payload.
    pub data: Vec<u8>,
}

/// The user records of an aggregate; `None` if `bytes` is not an aggregate.
pub fn deaggregate(bytes: &[u8]) -> Option<Vec<UserRecord>> {
    let body = bytes.strip_prefix(&MAGIC)?;
    let (message, digest) = body.split_at_checked(body.len().checked_sub(DIGEST_BYTES)?)?;
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    read_user_records(message)
}

/// Field numbers of `AggregatedRecord` and of `Record` inside it.
const PARTITION_KEY_TABLE: u64 = 1;
const RECORDS: u64 = 3;
const RECORD_PARTITION_KEY_INDEX: u64 = 1;
const RECORD_DATA: u64 = 3;

fn read_user_records(message: &[u8]) -> Option<Vec<UserRecord>> {
    let mut keys = Vec::new();
    let mut records = Vec::new();
    for field in ProtobufFields(message) {
        match field? {
            (PARTITION_KEY_TABLE, ProtobufField::Bytes(key)) => {
                // The key is copied for every record that names it, so its length must be limited.
                if key.len() > LONGEST_KEY {
                    return None;
                }
                keys.push(String::from_utf8(key.to_vec()).ok()?);
            }
            (RECORDS, ProtobufField::Bytes(record)) => records.push(record),
            _ => {}
        }
    }
    records
        .into_iter()
        .map(|record| read_user_record(record, &keys))
        .collect()
}

fn read_user_record(record: &[u8], keys: &[String]) -> Option<UserRecord> {
    let (mut key, mut data) = (None, None);
    for field in ProtobufFields(record) {
        match field? {
            (RECORD_PARTITION_KEY_INDEX, ProtobufField::Number(index)) => {
                key = keys.get(usize::try_from(index).ok()?);
            }
            (RECORD_DATA, ProtobufField::Bytes(bytes)) => data = Some(bytes.to_vec()),
            _ => {}
        }
    }
    Some(UserRecord {
        partition_key: key?.clone(),
        data: data?,
    })
}

enum ProtobufField<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message: the two wire types that the library writes.
struct ProtobufFields<'a>(&'a [u8]);

impl<'a> Iterator for ProtobufFields<'a> {
    type Item = Option<(u64, ProtobufField<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.read_field())
    }
}

impl<'a> ProtobufFields<'a> {
    fn read_field(&mut self) -> Option<(u64, ProtobufField<'a>)> {
        let field = self.try_read_field();
        if field.is_none() {
            // Ends the iteration, which would otherwise return the same error for ever.
            self.0 = &[];
        }
        field
    }

    fn try_read_field(&mut self) -> Option<(u64, ProtobufField<'a>)> {
        let tag = self.read_varint()?;
        let value = match tag & 7 {
            0 => ProtobufField::Number(self.read_varint()?),
            2 => {
                let length = usize::try_from(self.read_varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                ProtobufField::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn read_varint(&mut self) -> Option<u64> {
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

    fn aggregate(parts: &[UserRecord]) -> Vec<u8> {
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
        let mut damaged = aggregate(&[UserRecord {
            partition_key: "k".into(),
            data: b"{}".to_vec(),
        }]);
        damaged[6] ^= 1;
        assert_eq!(deaggregate(&damaged), None);
    }

    proptest! {
        #[test]
        fn what_was_aggregated_comes_out(parts in prop::collection::vec(("[a-z]{1,9}", prop::collection::vec(any::<u8>(), 0..300)), 0..20)) {
            let parts: Vec<UserRecord> = parts.into_iter().map(|(partition_key, data)| UserRecord { partition_key, data }).collect();
            prop_assert_eq!(deaggregate(&aggregate(&parts)), Some(parts));
        }

        #[test]
        fn no_bytes_panic(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let digest = Md5::digest(&message);
            let _ = deaggregate(&[&MAGIC[..], &message, digest.as_slice()].concat());
        }
    }
}

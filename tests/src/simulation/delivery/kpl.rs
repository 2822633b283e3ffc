//! Aggregates of the Kinesis Producer Library, as a producer writes them.
//!
//! `docs.aws.amazon.com/streams/latest/dev/kinesis-record-deaggregation.html`: user records arrive in Lambda still
//! aggregated. The layout is `aggregation-format.md` of the library's repository, awslabs/amazon-kinesis-producer: a
//! magic number, a protobuf message and the MD5 of that message.

use md5::{Digest as _, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// The field numbers of `AggregatedRecord` and of the `Record` in it.
const PARTITION_KEY_TABLE: u64 = 1;
const RECORDS: u64 = 3;
const RECORD_PARTITION_KEY_INDEX: u64 = 1;
const RECORD_DATA: u64 = 3;

/// The data of one Kinesis record with several user records, each with a partition key and bytes. A key that several of
/// them have is in the key table once.
pub fn aggregate(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut table: Vec<&str> = Vec::new();
    let mut records = Vec::new();
    for &(key, data) in parts {
        let index = table.iter().position(|&known| known == key);
        let index = index.unwrap_or_else(|| {
            table.push(key);
            table.len() - 1
        });
        let mut record = number_field(RECORD_PARTITION_KEY_INDEX, index as u64);
        record.extend(bytes_field(RECORD_DATA, data));
        records.extend(bytes_field(RECORDS, &record));
    }
    let keys = table
        .into_iter()
        .flat_map(|key| bytes_field(PARTITION_KEY_TABLE, key.as_bytes()));
    let message: Vec<u8> = keys.chain(records).collect();
    let digest = Md5::digest(&message);
    [&MAGIC[..], &message, digest.as_slice()].concat()
}

fn number_field(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes_field(field: u64, bytes: &[u8]) -> Vec<u8> {
    [&varint(field << 3 | 2), &varint(bytes.len() as u64), bytes].concat()
}

/// A number in groups of seven bits, the lowest first; all but the last have the high bit set.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            bytes.push(low & 0x7f);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_varints() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [0x7f]);
        assert_eq!(varint(128), [0x80, 1]);
        assert_eq!(varint(300), [0xac, 2]);
        assert_eq!(varint(1 << 14), [0x80, 0x80, 1]);
    }

    #[test]
    fn an_aggregate_is_magic_message_and_digest() {
        let bytes = aggregate(&[("k", b"ab"), ("l", b"c"), ("k", b"")]);
        let message = [
            &b"\x0a\x01k\x0a\x01l"[..],
            b"\x1a\x06\x08\x00\x1a\x02ab",
            b"\x1a\x05\x08\x01\x1a\x01c",
            b"\x1a\x04\x08\x00\x1a\x00",
        ]
        .concat();
        assert_eq!(bytes[..4], MAGIC);
        assert_eq!(bytes[4..bytes.len() - 16], message);
        assert_eq!(
            bytes[bytes.len() - 16..],
            Md5::digest(&message).as_slice()[..]
        );
    }

    #[test]
    fn no_parts_are_an_empty_message() {
        assert_eq!(aggregate(&[]).len(), 4 + 16);
    }
}

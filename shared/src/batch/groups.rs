//! Which records of a batch must be processed one after the other.

use std::collections::HashMap;

use crate::records::Record;

/// Groups the records, by index: two records are in the same group if they share a key or a subject, directly or
/// through other records. Each group keeps the order of the batch.
pub(super) fn group_records(
    records: &[Record],
    subjects: impl Fn(usize) -> Vec<String>,
) -> Vec<Vec<usize>> {
    // A disjoint-set forest: following `first` from a record ends at the first record of its group.
    let mut first: Vec<usize> = (0..records.len()).collect();
    let root = |first: &[usize], mut index: usize| {
        while first[index] != index {
            index = first[index];
        }
        index
    };
    let mut seen: HashMap<(bool, String), usize> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let key = record.key.clone().map(|key| (true, key));
        let shared = key
            .into_iter()
            .chain(subjects(index).into_iter().map(|subject| (false, subject)));
        for name in shared {
            let other = *seen.entry(name).or_insert(index);
            let (a, b) = (root(&first, index), root(&first, other));
            first[a.max(b)] = a.min(b);
        }
    }
    let mut groups: Vec<Vec<usize>> = Vec::with_capacity(records.len());
    let mut places: HashMap<usize, usize> = HashMap::new();
    for index in 0..records.len() {
        let place = *places.entry(root(&first, index)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::super::tests::records;
    use super::*;
    use crate::records::Origin;

    #[test]
    fn records_of_one_key_or_one_event_are_in_one_group() {
        #[track_caller]
        fn check(lines: &[&str], want: &str) {
            let records = records(Origin::Kinesis, lines);
            let subjects = |index: usize| {
                let payload = String::from_utf8(records[index].payload.clone()).unwrap();
                payload.split_whitespace().map(str::to_owned).collect()
            };
            assert_eq!(format!("{:?}", group_records(&records, subjects)), want);
        }
        check(&["a:1", "b:2", "a:3"], "[[0, 2], [1]]");
        check(&["a:1", "b:2", "c:1"], "[[0, 2], [1]]");
        check(&[":1", ":1", ":2"], "[[0, 1], [2]]");
        // A record that is about two events joins their groups.
        check(&[":1", ":2", ":3", ":2 1", ":3"], "[[0, 1, 3], [2, 4]]");
        // A key and an event id with the same text do not join records.
        check(&["x:1", "1:x"], "[[0], [1]]");
        check(&["a:1", "b:2", "c:3", "c:2", "b:1"], "[[0, 1, 2, 3, 4]]");
    }
}

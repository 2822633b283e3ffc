//! One page of a list of objects.

use s3s::dto::{CommonPrefix, ListObjectsV2Input, ListObjectsV2Output, Object};

/// The most entries of a page, and how many it has if the request does not say.
const LARGEST_PAGE: i32 = 1000;

/// What a page holds: an object, or a prefix that stands for all objects below it.
enum Entry {
    Object(Box<Object>),
    Prefix(String),
}

/// The page that a request asks for. `objects` are sorted by their keys and begin with the request's prefix.
pub(super) fn make_page(input: ListObjectsV2Input, objects: Vec<Object>) -> ListObjectsV2Output {
    let after = input
        .continuation_token
        .clone()
        .max(input.start_after.clone());
    let size = input
        .max_keys
        .unwrap_or(LARGEST_PAGE)
        .clamp(0, LARGEST_PAGE);
    let room = usize::try_from(size).unwrap_or_default();
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let mut entries = group_by_delimiter(objects, prefix, input.delimiter.as_deref());
    entries.retain(|entry| Some(name_entry(entry)) > after.as_deref());
    let is_truncated = room > 0 && entries.len() > room;
    entries.truncate(room);
    let next = entries.last().filter(|_| is_truncated);
    let next = next.map(|entry| name_entry(entry).to_owned());
    let count = i32::try_from(entries.len()).unwrap_or(LARGEST_PAGE);
    let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Object(object) => contents.push(*object),
            Entry::Prefix(prefix) => prefixes.push(CommonPrefix {
                prefix: Some(prefix),
            }),
        }
    }
    ListObjectsV2Output {
        key_count: Some(count),
        max_keys: Some(size),
        is_truncated: Some(is_truncated),
        contents: (!contents.is_empty()).then_some(contents),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        continuation_token: input.continuation_token,
        next_continuation_token: next,
        delimiter: input.delimiter,
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        prefix: input.prefix,
        start_after: input.start_after,
        ..ListObjectsV2Output::default()
    }
}

/// The entries in order: objects, and instead of those whose key has the delimiter after the prefix, what they have in
/// common up to it.
fn group_by_delimiter(objects: Vec<Object>, prefix: &str, delimiter: Option<&str>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for object in objects {
        let key = object.key.as_deref().unwrap_or_default();
        let rest = key.strip_prefix(prefix).unwrap_or_default();
        let place = delimiter.filter(|delimiter| !delimiter.is_empty());
        let place = place.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
        let Some(end) = place else {
            entries.push(Entry::Object(Box::new(object)));
            continue;
        };
        let common = format!("{prefix}{}", &rest[..end]);
        let is_known = entries
            .last()
            .is_some_and(|entry| matches!(entry, Entry::Prefix(last) if *last == common));
        if !is_known {
            entries.push(Entry::Prefix(common));
        }
    }
    entries
}

fn name_entry(entry: &Entry) -> &str {
    match entry {
        Entry::Object(object) => object.key.as_deref().unwrap_or_default(),
        Entry::Prefix(prefix) => prefix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = ["a", "a/", "a/1", "a/b/2", "b", "c/3"];

    /// The pages of a list, each as its keys and prefixes.
    fn pages(prefix: &str, delimiter: Option<&str>, size: i32) -> Vec<String> {
        let mut input = ListObjectsV2Input {
            bucket: "orders".to_owned(),
            prefix: Some(prefix.to_owned()),
            delimiter: delimiter.map(str::to_owned),
            max_keys: Some(size),
            ..ListObjectsV2Input::default()
        };
        let keys = KEYS.iter().filter(|key| key.starts_with(prefix));
        let object = |key: &&str| Object {
            key: Some((*key).to_owned()),
            ..Object::default()
        };
        let objects: Vec<Object> = keys.map(object).collect();
        let mut pages = Vec::new();
        loop {
            let page = make_page(input.clone(), objects.clone());
            let keys = page.contents.unwrap_or_default().into_iter();
            let prefixes = page.common_prefixes.unwrap_or_default().into_iter();
            let names = keys.filter_map(|object| object.key);
            let names = names.chain(prefixes.filter_map(|prefix| prefix.prefix));
            pages.push(names.collect::<Vec<_>>().join(" "));
            input.continuation_token = page.next_continuation_token;
            if input.continuation_token.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn a_list_in_pages() {
        assert_eq!(pages("", None, 1000), ["a a/ a/1 a/b/2 b c/3"]);
        assert_eq!(pages("", None, 4), ["a a/ a/1 a/b/2", "b c/3"]);
        assert_eq!(pages("a", None, 6), ["a a/ a/1 a/b/2"]);
        assert_eq!(pages("x", None, 6), [""]);
    }

    #[test]
    fn a_delimiter_groups_keys() {
        assert_eq!(pages("", Some("/"), 1000), ["a b a/ c/"]);
        assert_eq!(pages("", Some("/"), 2), ["a a/", "b c/"]);
        assert_eq!(pages("", Some("/"), 1), ["a", "a/", "b", "c/"]);
        assert_eq!(pages("a/", Some("/"), 1000), ["a/ a/1 a/b/"]);
    }
}

//! Allow and deny lists: a base in chunks, and a log of later edits.
//!
//! A small edit is one small item, and a function that has the list at some generation reads only the edits since then.
//! When the log is long, or an edit is large, a new base is written under a new name, so that a reader never sees an
//! incomplete one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use protocol::{Error, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::Change;
use crate::records::tags::Tags;
use crate::table::{Key, KeyRange, StoredRecord, Table};
use crate::value_normalization;

/// The largest edit in the log, in bytes, because it has to fit into an item. A larger one becomes a new base.
pub const MAX_EDIT_BYTES: usize = 200 * 1024;
/// The most edits in the log.
pub const MAX_LOG_EDITS: u64 = 50;
/// How often a list is read before giving up, because its base can be replaced during the read.
pub const MAX_READ_ATTEMPTS: usize = 5;

/// One element. It may be personal data, such as a card number, so `Debug` hides it. Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ListElement(Arc<str>);

impl fmt::Debug for ListElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListElement(..)")
    }
}

impl From<String> for ListElement {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<ListElement> for String {
    fn from(element: ListElement) -> Self {
        (*element.0).to_owned()
    }
}

impl AsRef<str> for ListElement {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Data about an element besides its text. Amazon's API does not have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementNote {
    /// When the element expires and is no longer in the list, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// An element with its note, as stored. An element without a note is stored as its text only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoredElement {
    Plain(ListElement),
    Noted {
        text: ListElement,
        #[serde(flatten)]
        note: Arc<ElementNote>,
    },
}

impl StoredElement {
    pub fn new(text: ListElement, note: Option<Arc<ElementNote>>) -> Self {
        match note {
            Some(note) => Self::Noted { text, note },
            None => Self::Plain(text),
        }
    }

    pub fn into_parts(self) -> (ListElement, Option<Arc<ElementNote>>) {
        match self {
            Self::Plain(text) => (text, None),
            Self::Noted { text, note } => (text, Some(note)),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Self::Plain(text) => text.0.len() + 4,
            Self::Noted { text, note } => {
                let texts = [&note.reason, &note.author];
                let notes: usize = texts.into_iter().flatten().map(String::len).sum();
                text.0.len() + notes + 64
            }
        }
    }
}

/// The elements of a list with their notes, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<StoredElement>", into = "Vec<StoredElement>")]
pub struct ListElements(BTreeMap<ListElement, Option<Arc<ElementNote>>>);

impl From<Vec<StoredElement>> for ListElements {
    fn from(entries: Vec<StoredElement>) -> Self {
        Self(entries.into_iter().map(StoredElement::into_parts).collect())
    }
}

impl From<ListElements> for Vec<StoredElement> {
    fn from(elements: ListElements) -> Self {
        let entries = elements.0.into_iter();
        entries
            .map(|(text, note)| StoredElement::new(text, note))
            .collect()
    }
}

impl FromIterator<ListElement> for ListElements {
    fn from_iter<I: IntoIterator<Item = ListElement>>(elements: I) -> Self {
        Self(elements.into_iter().map(|text| (text, None)).collect())
    }
}

impl ListElements {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn contains(&self, element: &ListElement) -> bool {
        self.0.contains_key(element)
    }

    /// The elements after `after`, sorted.
    pub fn iter_after(&self, after: Option<ListElement>) -> impl Iterator<Item = &ListElement> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.0.range::<ListElement, _>((start, Bound::Unbounded));
        rest.map(|(element, _)| element)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ListElement> {
        self.0.keys()
    }

    pub fn notes(&self) -> impl Iterator<Item = (&ListElement, Option<&ElementNote>)> {
        self.0
            .iter()
            .map(|(element, note)| (element, note.as_deref()))
    }

    /// The elements that expire, with the time in seconds since 1970.
    pub fn expiries(&self) -> impl Iterator<Item = (&ListElement, i64)> {
        let expiry = |(element, note): (_, Option<&ElementNote>)| Some((element, note?.expires?));
        self.notes().filter_map(expiry)
    }

    /// The elements that have expired.
    pub fn find_expired(&self, now: i64) -> Vec<ListElement> {
        let expired = self.expiries().filter(|(_, expires)| *expires <= now);
        expired.map(|(element, _)| element.clone()).collect()
    }
}

/// A list as stored, without its elements.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListHead {
    pub name: String,
    /// The id of this list. If the list is deleted, another with the same name gets a new id.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable_type: Option<String>,
    /// The number of edits.
    pub generation: u64,
    pub base: ListBase,
    pub updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// The base: where the elements are stored as of one generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListBase {
    pub name: String,
    pub chunks: usize,
    pub generation: u64,
}

impl StoredRecord for ListHead {
    fn key(&self) -> Key {
        list_head_key(&self.name)
    }
}

pub fn list_head_key(name: &str) -> Key {
    Key::new("list", name)
}

/// What one edit added and removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListEdit {
    pub added: Vec<StoredElement>,
    pub removed: Vec<ListElement>,
}

impl ListEdit {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    pub fn bytes(&self) -> usize {
        let removed = self.removed.iter().map(|element| element.0.len() + 4);
        self.added
            .iter()
            .map(StoredElement::bytes)
            .chain(removed)
            .sum()
    }

    /// Makes the edit in `elements`.
    pub fn apply_to(&self, elements: &mut ListElements) {
        for element in &self.removed {
            elements.0.remove(element);
        }
        let added = self.added.iter().cloned();
        elements.0.extend(added.map(StoredElement::into_parts));
    }
}

/// An edit as stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListEditRecord {
    pub list: String,
    pub generation: u64,
    #[serde(flatten)]
    pub edit: ListEdit,
}

impl StoredRecord for ListEditRecord {
    fn key(&self) -> Key {
        edit_key(&self.list, self.generation)
    }
}

pub fn edit_partition(list: &str) -> String {
    format!("list-edit#{list}")
}

pub fn edit_key(list: &str, generation: u64) -> Key {
    Key::new(edit_partition(list), format!("{generation:020}"))
}

/// A list with its elements, as of one generation and one time.
#[derive(Clone, Debug)]
pub struct List {
    pub id: String,
    pub generation: u64,
    /// Expired elements are still included; the next edit removes them.
    pub elements: Arc<ListElements>,
    pub rules: Arc<rules::ListValues>,
    /// When the first of the elements that rules see now expires.
    pub expires: Option<i64>,
    /// The variable type, which decides how rules compare elements.
    pub variable_type: Option<String>,
}

impl List {
    pub fn new(head: &ListHead, elements: ListElements, now: i64) -> Self {
        let expired: BTreeSet<ListElement> = elements.find_expired(now).into_iter().collect();
        let seen = elements.iter().filter(|element| !expired.contains(element));
        let normal = head
            .variable_type
            .as_deref()
            .and_then(value_normalization::find_normalizer);
        let rules = match normal {
            Some(normal) => rules::ListValues::normalized(normal, seen),
            None => seen.collect(),
        };
        let times = elements.expiries().map(|(_, expires)| expires);
        Self {
            id: head.id.clone(),
            generation: head.generation,
            rules: Arc::new(rules),
            expires: times.filter(|expires| *expires > now).min(),
            elements: Arc::new(elements),
            variable_type: head.variable_type.clone(),
        }
    }

    /// Whether it is the list that rules should see now.
    pub fn is_current(&self, head: &ListHead, now: i64) -> bool {
        self.generation == head.generation
            && self.variable_type == head.variable_type
            && self.expires.is_none_or(|expires| expires > now)
    }
}

/// A list that is to be created.
pub struct NewList {
    pub name: String,
    pub description: Option<String>,
    pub variable_type: Option<String>,
    pub tags: Tags,
    pub now: String,
}

/// Writes the base of a new list. Returns its head, which the caller has to write.
pub async fn create_list_head(
    table: &Table,
    new: NewList,
    elements: &ListElements,
) -> Result<ListHead> {
    let base = put_list_base(table, elements, 1).await?;
    let NewList {
        name,
        description,
        variable_type,
        tags,
        now,
    } = new;
    Ok(ListHead {
        name,
        id: Uuid::new_v4().to_string(),
        description,
        variable_type,
        generation: 1,
        base,
        updated_time: now.clone(),
        created_time: now,
        tags,
    })
}

/// Writes the elements as a new base.
pub async fn put_list_base(
    table: &Table,
    elements: &ListElements,
    generation: u64,
) -> Result<ListBase> {
    // Each attempt has a name of its own, so that two writers do not overwrite each other's chunks.
    let name = format!("list#{}", Uuid::new_v4());
    let chunks = table.put_chunks(&name, elements).await?;
    Ok(ListBase {
        name,
        chunks,
        generation,
    })
}

/// Adds an edit to a list, to the log or as a new base. `elements` is the list after the edit.
pub async fn record_edit(
    table: &Table,
    change: &mut Change<'_>,
    head: &mut ListHead,
    edit: ListEdit,
    elements: &ListElements,
) -> Result<()> {
    head.generation += 1;
    let long = head.generation - head.base.generation > MAX_LOG_EDITS;
    if long || edit.bytes() > MAX_EDIT_BYTES {
        head.base = put_list_base(table, elements, head.generation).await?;
    } else {
        change.put(&ListEditRecord {
            list: head.id.clone(),
            generation: head.generation,
            edit,
        })?;
    }
    Ok(())
}

/// Deletes what a list no longer needs, after the change that replaced it was committed. If it fails, some items remain
/// that are never read.
pub async fn delete_replaced_base(table: &Table, before: &ListHead, after: Option<&ListHead>) {
    let kept = after.is_some_and(|after| after.base.name == before.base.name);
    if !kept && delete_list_data(table, before).await.is_err() {
        tracing::warn!("chunks of a list that nobody reads could not be deleted");
    }
}

/// Writes a new base and an empty log, so that no earlier content is stored any more.
pub async fn rewrite_list(
    table: &Table,
    head: &mut ListHead,
    elements: &ListElements,
) -> Result<()> {
    head.generation += 1;
    head.base = put_list_base(table, elements, head.generation).await?;
    Ok(())
}

/// Every element that is stored for a list, also those that an edit in the log removed. `None` if its base has been
/// replaced by a newer one.
pub async fn load_stored_elements(
    table: &Table,
    head: &ListHead,
) -> Result<Option<BTreeSet<ListElement>>> {
    let base: Option<ListElements> = table.get_chunks(&head.base.name, head.base.chunks).await?;
    let Some(base) = base else {
        return Ok(None);
    };
    let mut stored: BTreeSet<ListElement> = base.iter().cloned().collect();
    for record in load_edits(table, head, head.base.generation).await? {
        let added = record.edit.added.into_iter();
        stored.extend(added.map(|entry| entry.into_parts().0));
        stored.extend(record.edit.removed);
    }
    Ok(Some(stored))
}

/// Deletes the base and the log that a rewritten list had before.
pub async fn delete_list_data(table: &Table, list: &ListHead) -> Result<()> {
    table
        .delete_chunks(&list.base.name, list.base.chunks)
        .await?;
    for generation in list.base.generation + 1..=list.generation {
        table.delete(&edit_key(&list.id, generation)).await?;
    }
    Ok(())
}

/// Reads a list, starting from a cached version of it if there is one.
pub async fn load_list(
    table: &Table,
    name: &str,
    known: Option<&List>,
    now: Timestamp,
) -> Result<Option<List>> {
    for _ in 0..MAX_READ_ATTEMPTS {
        let Some(head) = table.get::<ListHead>(&list_head_key(name)).await? else {
            return Ok(None);
        };
        if let Some(list) = load_list_at(table, &head, known, now).await? {
            return Ok(Some(list));
        }
    }
    Err(Error::internal("a list changes faster than it can be read"))
}

/// The list as of `head`; `None` if its base or edits have been replaced by a newer base.
pub async fn load_list_at(
    table: &Table,
    head: &ListHead,
    known: Option<&List>,
    now: Timestamp,
) -> Result<Option<List>> {
    let now = now.as_second();
    let known = known.filter(|list| list.id == head.id && list.generation <= head.generation);
    if let Some(list) = known.filter(|list| list.is_current(head, now)) {
        return Ok(Some(list.clone()));
    }
    let recent = known.filter(|list| list.generation >= head.base.generation);
    let (mut elements, from) = match recent {
        Some(list) => ((*list.elements).clone(), list.generation),
        None => match table.get_chunks(&head.base.name, head.base.chunks).await? {
            Some(elements) => (elements, head.base.generation),
            None => return Ok(None),
        },
    };
    let edits = load_edits(table, head, from).await?;
    if edits.len() as u64 != head.generation - from {
        return Ok(None);
    }
    for record in edits {
        record.edit.apply_to(&mut elements);
    }
    Ok(Some(List::new(head, elements, now)))
}

/// The edits in the log after generation `from`, up to the generation of `head`.
pub async fn load_edits(table: &Table, head: &ListHead, from: u64) -> Result<Vec<ListEditRecord>> {
    if from == head.generation {
        return Ok(Vec::new());
    }
    let after = edit_key(&head.id, from);
    let range = KeyRange::all(&after.pk).after(Some(&after.sk));
    let mut edits: Vec<ListEditRecord> = table.query(range).await?;
    edits.retain(|record| record.generation <= head.generation);
    Ok(edits)
}

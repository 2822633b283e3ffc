//! Allow and deny lists: a base in chunks, and a log of edits after it.
//!
//! A small edit costs one small item, and a function that knows the list as of some generation
//! reads only the edits since. When the log has grown, or an edit is large, a new base is
//! written under a new name, so that no reader ever sees half of one.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::operations::Tags;
use crate::store::{Change, Key, Range, Record, Table};

/// An edit with more bytes than this becomes a new base: it has to fit an item.
const LARGEST_EDIT: usize = 200 * 1024;
/// So many edits are read one after the other at most.
const LONGEST_LOG: u64 = 50;
/// A base can be replaced while it is read; then the list is read again.
const ATTEMPTS: usize = 5;

/// One element. It may be a card number or an address, so `Debug` hides it; a clone shares it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) struct Element(Arc<str>);

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Element(..)")
    }
}

impl From<String> for Element {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Element> for String {
    fn from(element: Element) -> Self {
        (*element.0).to_owned()
    }
}

impl AsRef<str> for Element {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The elements of a list, in their order.
pub(crate) type Elements = BTreeSet<Element>;

/// A list as stored, without its elements.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head {
    pub(crate) name: String,
    /// Another list of the same name, after this one is deleted, has another id.
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variable_type: Option<String>,
    /// Counts the edits.
    pub(crate) generation: u64,
    base: Base,
    pub(crate) updated_time: String,
    pub(crate) created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
}

/// Where the elements are as of one generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Base {
    name: String,
    chunks: usize,
    generation: u64,
}

impl Record for Head {
    fn key(&self) -> Key {
        head_key(&self.name)
    }
}

pub(crate) fn head_key(name: &str) -> Key {
    Key::new("list", name)
}

/// What one edit added and removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub(crate) added: Vec<Element>,
    pub(crate) removed: Vec<Element>,
}

impl Edit {
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    fn bytes(&self) -> usize {
        self.added
            .iter()
            .chain(&self.removed)
            .map(|element| element.0.len() + 4)
            .sum()
    }

    pub(crate) fn apply(&self, elements: &mut Elements) {
        for element in &self.removed {
            elements.remove(element);
        }
        elements.extend(self.added.iter().cloned());
    }
}

/// An edit as stored.
#[derive(Debug, Serialize, Deserialize)]
struct EditRecord {
    list: String,
    generation: u64,
    #[serde(flatten)]
    edit: Edit,
}

impl Record for EditRecord {
    fn key(&self) -> Key {
        edit_key(&self.list, self.generation)
    }
}

fn edit_partition(list: &str) -> String {
    format!("list-edit#{list}")
}

fn edit_key(list: &str, generation: u64) -> Key {
    Key::new(edit_partition(list), format!("{generation:020}"))
}

/// A list with its elements, as of one generation.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) id: String,
    pub(crate) generation: u64,
    pub(crate) elements: Arc<Elements>,
    pub(crate) rules: Arc<rules::List>,
}

impl List {
    fn new(head: &Head, elements: Elements) -> Self {
        Self {
            id: head.id.clone(),
            generation: head.generation,
            rules: Arc::new(elements.iter().collect()),
            elements: Arc::new(elements),
        }
    }
}

/// A list that is to be created.
pub(crate) struct New {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) variable_type: Option<String>,
    pub(crate) tags: Tags,
    pub(crate) now: String,
}

pub(crate) async fn create(table: &Table, new: New, elements: &Elements) -> Result<Head> {
    let base = put_base(table, elements, 1).await?;
    let New {
        name,
        description,
        variable_type,
        tags,
        now,
    } = new;
    Ok(Head {
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

async fn put_base(table: &Table, elements: &Elements, generation: u64) -> Result<Base> {
    // A name of its own for each attempt: two writers must not write each other's chunks.
    let name = format!("list#{}", Uuid::new_v4());
    let chunks = table.put_chunks(&name, elements).await?;
    Ok(Base {
        name,
        chunks,
        generation,
    })
}

/// Adds an edit to a list, in the log or as a new base. `elements` is the list after the edit.
pub(crate) async fn record(
    table: &Table,
    change: &mut Change<'_>,
    head: &mut Head,
    edit: Edit,
    elements: &Elements,
) -> Result<()> {
    head.generation += 1;
    let long = head.generation - head.base.generation > LONGEST_LOG;
    if long || edit.bytes() > LARGEST_EDIT {
        head.base = put_base(table, elements, head.generation).await?;
    } else {
        change.put(&EditRecord {
            list: head.id.clone(),
            generation: head.generation,
            edit,
        })?;
    }
    Ok(())
}

/// Removes what a list no longer needs, after the change that made it so has landed. Should it
/// fail, some items stay that nobody reads.
pub(crate) async fn sweep(table: &Table, before: &Head, after: Option<&Head>) {
    let kept = after.is_some_and(|after| after.base.name == before.base.name);
    if !kept && remove(table, before).await.is_err() {
        tracing::warn!("chunks of a list that nobody reads could not be deleted");
    }
}

async fn remove(table: &Table, list: &Head) -> Result<()> {
    table
        .delete_chunks(&list.base.name, list.base.chunks)
        .await?;
    for generation in list.base.generation + 1..=list.generation {
        table.delete(&edit_key(&list.id, generation)).await?;
    }
    Ok(())
}

/// Reads a list, starting from what is known of it.
pub(crate) async fn load(table: &Table, name: &str, known: Option<&List>) -> Result<Option<List>> {
    for _ in 0..ATTEMPTS {
        let Some(head) = table.get::<Head>(&head_key(name)).await? else {
            return Ok(None);
        };
        if let Some(list) = at(table, &head, known).await? {
            return Ok(Some(list));
        }
    }
    Err(Error::internal("a list changes faster than it can be read"))
}

/// The list as of `head`; `None` if its base or edits are gone, because there is a newer base.
pub(crate) async fn at(table: &Table, head: &Head, known: Option<&List>) -> Result<Option<List>> {
    let known = known.filter(|list| list.id == head.id && list.generation <= head.generation);
    if let Some(list) = known.filter(|list| list.generation == head.generation) {
        return Ok(Some(list.clone()));
    }
    let recent = known.filter(|list| list.generation >= head.base.generation);
    let (mut elements, from) = match recent {
        Some(list) => ((*list.elements).clone(), list.generation),
        None => match table.chunks(&head.base.name, head.base.chunks).await? {
            Some(elements) => (elements, head.base.generation),
            None => return Ok(None),
        },
    };
    let edits = edits(table, head, from).await?;
    if edits.len() as u64 != head.generation - from {
        return Ok(None);
    }
    for record in edits {
        record.edit.apply(&mut elements);
    }
    Ok(Some(List::new(head, elements)))
}

async fn edits(table: &Table, head: &Head, from: u64) -> Result<Vec<EditRecord>> {
    if from == head.generation {
        return Ok(Vec::new());
    }
    let after = edit_key(&head.id, from);
    let range = Range::all(&after.pk).after(Some(&after.sk));
    let mut edits: Vec<EditRecord> = table.query(range).await?;
    edits.retain(|record| record.generation <= head.generation);
    Ok(edits)
}

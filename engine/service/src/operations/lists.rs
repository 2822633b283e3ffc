//! Lists: elements that rules test with `in @name`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::operations::{ByName, Empty};
use crate::services::Services;
use protocol::page::{Page, Paging};
use protocol::page_token::Scope;
use protocol::variable_types::is_text_type;
use protocol::wire::validate_and_read_input;
use protocol::{Error, Operation, Result, page, page_token, text};
use serde::{Deserialize, Serialize};
use store::backoff::retry_on_write_conflict;
use store::change::Change;
use store::listing::Listing;
use store::records::list;
use store::records::list::{
    Edit, Element, Elements, List, ListHead, New, Note, StoredElement, list_head_key,
};
use store::records::rule::all_rules;
use store::records::tags::{Tag, Tags};
use store::table::Range;

const USUAL_ELEMENTS: usize = 1000;

/// The names of all lists.
pub(crate) async fn names(change: &Change<'_>) -> Result<Vec<String>> {
    let heads: Vec<ListHead> = change.query(Range::all("list")).await?;
    Ok(heads.into_iter().map(|head| head.name).collect())
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("List '{name}' does not exist."))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    name: String,
    #[serde(default)]
    elements: Vec<Element>,
    variable_type: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(crate) async fn create(services: &Services, input: Create) -> Result<Empty> {
    check_type(input.variable_type.as_deref())?;
    let elements: Elements = input.elements.into_iter().collect();
    check_size(services, &elements)?;
    let mut change = services.account.change().await?;
    if change
        .get::<ListHead>(&list_head_key(&input.name))
        .await?
        .is_some()
    {
        return Err(Error::validation(format!(
            "List '{}' already exists.",
            input.name
        )));
    }
    change.count("list", 1, services.account.options.quotas.lists)?;
    let new = New {
        name: input.name,
        description: input.description,
        variable_type: input.variable_type,
        tags: Tags::new(input.tags)?,
        now: text::milliseconds(services.account.now()),
    };
    let head = list::create(&services.account.definitions, new, &elements).await?;
    change.put(&head)?;
    services.account.commit(change).await.map(|()| Empty {})
}

fn check_type(variable_type: Option<&str>) -> Result<()> {
    match variable_type {
        Some(variable_type) if !is_text_type(variable_type) => Err(Error::validation(format!(
            "'{variable_type}' is not a variable type of data type STRING, which lists are for."
        ))),
        _ => Ok(()),
    }
}

fn check_size(services: &Services, elements: &Elements) -> Result<()> {
    let most = services.account.options.quotas.list_elements;
    if elements.len() <= most {
        return Ok(());
    }
    Err(Error::validation(format!(
        "A list may have at most {most} elements."
    )))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum UpdateMode {
    Replace,
    Append,
    Remove,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Update {
    name: String,
    elements: Option<Vec<Element>>,
    description: Option<String>,
    update_mode: Option<UpdateMode>,
    variable_type: Option<String>,
}

pub(crate) async fn update(services: &Services, input: Update) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let head: Option<ListHead> = change.get(&list_head_key(&input.name)).await?;
    let before = head.ok_or_else(|| missing(&input.name))?;
    let mut head = before.clone();
    settle_type(&mut head, input.variable_type)?;
    head.description = input.description.or(head.description);
    head.updated_time = text::milliseconds(services.account.now());
    match (input.elements, input.update_mode) {
        (Some(elements), Some(mode)) => {
            edit(services, &mut change, &mut head, elements, mode).await?;
        }
        (None, None) => {}
        _ => {
            return Err(Error::validation(
                "Give elements and updateMode together, or neither.",
            ));
        }
    }
    change.put(&head)?;
    services.account.commit(change).await?;
    list::sweep(&services.account.definitions, &before, Some(&head)).await;
    Ok(Empty {})
}

/// Sets the variable type of a list, which cannot be changed later.
fn settle_type(head: &mut ListHead, variable_type: Option<String>) -> Result<()> {
    check_type(variable_type.as_deref())?;
    match (&head.variable_type, variable_type) {
        (Some(before), Some(after)) if *before != after => Err(Error::validation(format!(
            "List '{}' is of variable type {before}, which cannot be changed.",
            head.name
        ))),
        (None, Some(after)) => {
            head.variable_type = Some(after);
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn edit(
    services: &Services,
    change: &mut Change<'_>,
    head: &mut ListHead,
    given: Vec<Element>,
    mode: UpdateMode,
) -> Result<()> {
    let list = current(services, head).await?;
    let (alive, expired) = without_expired(services, &list);
    let mut edit = difference(&alive, given, mode);
    edit.removed.extend(expired);
    write(services, change, head, &list, edit).await
}

async fn current(services: &Services, head: &ListHead) -> Result<List> {
    let known = services.definition_cache.list(&head.name);
    let list = list::at(
        &services.account.definitions,
        head,
        known.as_deref(),
        services.account.now(),
    )
    .await?;
    // The base is missing only if another process has changed the list since.
    list.ok_or_else(Error::write_conflict)
}

/// The current elements of the list, and the expired ones.
fn without_expired(services: &Services, list: &List) -> (Arc<Elements>, Vec<Element>) {
    let expired = list.elements.expired(services.account.now().as_second());
    if expired.is_empty() {
        return (Arc::clone(&list.elements), expired);
    }
    let removal = Edit {
        added: Vec::new(),
        removed: expired.clone(),
    };
    let mut alive = (*list.elements).clone();
    removal.apply(&mut alive);
    (Arc::new(alive), expired)
}

async fn write(
    services: &Services,
    change: &mut Change<'_>,
    head: &mut ListHead,
    list: &List,
    edit: Edit,
) -> Result<()> {
    if edit.is_empty() {
        return Ok(());
    }
    let mut elements = (*list.elements).clone();
    edit.apply(&mut elements);
    check_size(services, &elements)?;
    list::record(&services.account.definitions, change, head, edit, &elements).await
}

/// The elements that an update adds and removes; elements that exist are not added again.
fn difference(before: &Elements, given: Vec<Element>, mode: UpdateMode) -> Edit {
    let given: Elements = given.into_iter().collect();
    let added = || {
        let new = given.iter().filter(|element| !before.contains(element));
        new.cloned().map(StoredElement::Plain).collect()
    };
    let those = |elements: &Elements, other: &Elements, both: bool| {
        let some = elements.iter().filter(|e| other.contains(e) == both);
        some.cloned().collect()
    };
    match mode {
        UpdateMode::Append => Edit {
            added: added(),
            removed: Vec::new(),
        },
        UpdateMode::Remove => Edit {
            added: Vec::new(),
            removed: those(&given, before, true),
        },
        UpdateMode::Replace => Edit {
            added: added(),
            removed: those(before, &given, false),
        },
    }
}

/// An element of a list with its note, which the API does not have.
#[derive(Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// The element. It may be personal data.
    pub element: String,
    /// When it expires and is no longer in the list.
    pub expires: Option<jiff::Timestamp>,
    /// Why it was added.
    pub reason: Option<String>,
    /// Who added it.
    pub author: Option<String>,
}

/// Adds entries to a list, or changes the notes of entries that exist. In the API they are ordinary elements until they
/// expire.
///
/// # Errors
/// As `UpdateList`.
pub(crate) async fn put_list_entries(
    services: &Services,
    list: &str,
    entries: &[ListEntry],
) -> Result<()> {
    retry_on_write_conflict(|| Box::pin(put_entries(services, list, entries))).await
}

/// The entries of a list that have not expired.
///
/// # Errors
/// As `GetListElements`.
pub(crate) async fn list_entries(services: &Services, name: &str) -> Result<Vec<ListEntry>> {
    let list = list::load(
        &services.account.definitions,
        name,
        None,
        services.account.now(),
    )
    .await?;
    let list = list.ok_or_else(|| missing(name))?;
    let (alive, _) = without_expired(services, &list);
    let entry = |(element, note): (&Element, Option<&Note>)| {
        let note = note.cloned().unwrap_or_default();
        let expires = note.expires;
        ListEntry {
            element: element.clone().into(),
            expires: expires.and_then(|time| jiff::Timestamp::from_second(time).ok()),
            reason: note.reason,
            author: note.author,
        }
    };
    Ok(alive.notes().map(entry).collect())
}

/// Finds stored elements, by list: `is_wanted` gets the list's variable type and an element. Elements that were removed
/// or have expired are found as long as the list's log or base contains them.
///
/// # Errors
/// The table fails.
pub(crate) async fn find_list_elements(
    services: &Services,
    is_wanted: impl Fn(Option<&str>, &str) -> bool,
) -> Result<BTreeMap<String, Vec<String>>> {
    let heads: Vec<ListHead> = services
        .account
        .definitions
        .query(Range::all("list"))
        .await?;
    let mut found = BTreeMap::new();
    for head in heads {
        let Some((head, stored)) = stored(services, &head.name).await? else {
            continue;
        };
        let ty = head.variable_type.as_deref();
        let wanted = stored.into_iter().map(String::from);
        let wanted: Vec<String> = wanted.filter(|element| is_wanted(ty, element)).collect();
        if !wanted.is_empty() {
            found.insert(head.name, wanted);
        }
    }
    Ok(found)
}

/// Removes elements from a list and from its stored earlier contents.
///
/// # Errors
/// There is no such list, or the table fails.
pub(crate) async fn erase_list_elements(
    services: &Services,
    list: &str,
    elements: &[String],
) -> Result<()> {
    retry_on_write_conflict(|| Box::pin(erase(services, list, elements))).await
}

/// The head of a list, and all its stored elements, also removed ones.
async fn stored(services: &Services, name: &str) -> Result<Option<(ListHead, BTreeSet<Element>)>> {
    retry_on_write_conflict(async || {
        let Some(head) = services
            .account
            .definitions
            .get::<ListHead>(&list_head_key(name))
            .await?
        else {
            return Ok(None);
        };
        let stored = list::stored(&services.account.definitions, &head).await?;
        // The base is missing only if another process has rewritten the list.
        stored.map_or_else(
            || Err(Error::write_conflict()),
            |stored| Ok(Some((head, stored))),
        )
    })
    .await
}

async fn erase(services: &Services, name: &str, gone: &[String]) -> Result<()> {
    let mut change = services.account.change().await?;
    let head: Option<ListHead> = change.get(&list_head_key(name)).await?;
    let before = head.ok_or_else(|| missing(name))?;
    let mut head = before.clone();
    head.updated_time = text::milliseconds(services.account.now());
    let list = current(services, &head).await?;
    let edit = Edit {
        added: Vec::new(),
        removed: gone.iter().cloned().map(Element::from).collect(),
    };
    let mut elements = (*list.elements).clone();
    edit.apply(&mut elements);
    list::rewrite(&services.account.definitions, &mut head, &elements).await?;
    change.put(&head)?;
    services.account.commit(change).await?;
    // If this fails, erased elements would still be stored, so it is an error.
    list::remove(&services.account.definitions, &before).await
}

async fn put_entries(services: &Services, name: &str, entries: &[ListEntry]) -> Result<()> {
    let elements: Vec<&str> = entries.iter().map(|entry| entry.element.as_str()).collect();
    let request = serde_json::json!({"name": name, "elements": elements, "updateMode": "APPEND"});
    validate_and_read_input::<Update>(Operation::UpdateList, &request)?;
    let mut change = services.account.change().await?;
    let head: Option<ListHead> = change.get(&list_head_key(name)).await?;
    let before = head.ok_or_else(|| missing(name))?;
    let mut head = before.clone();
    head.updated_time = text::milliseconds(services.account.now());
    let list = current(services, &head).await?;
    let added = entries.iter().cloned().map(|entry| StoredElement::Noted {
        text: entry.element.into(),
        note: Arc::new(Note {
            expires: entry.expires.map(jiff::Timestamp::as_second),
            reason: entry.reason,
            author: entry.author,
        }),
    });
    let edit = Edit {
        added: added.collect(),
        removed: without_expired(services, &list).1,
    };
    write(services, &mut change, &mut head, &list, edit).await?;
    change.put(&head)?;
    services.account.commit(change).await?;
    list::sweep(&services.account.definitions, &before, Some(&head)).await;
    Ok(())
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetElements {
    name: String,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ElementsOutput {
    elements: Vec<Element>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A page of elements in sorted order, so that edits between two pages do not skip or repeat elements that stay in the
/// list.
pub(crate) async fn elements(services: &Services, input: GetElements) -> Result<ElementsOutput> {
    let scope = Scope::new("GetListElements", &input.name);
    let token = input.paging.next_token.as_deref();
    let after: Option<Element> = page_token::decode(&scope, token, services.account.now())?;
    let known = services.definition_cache.list(&input.name);
    let list = list::load(
        &services.account.definitions,
        &input.name,
        known.as_deref(),
        services.account.now(),
    )
    .await?;
    let list: List = list.ok_or_else(|| missing(&input.name))?;
    let size = input.paging.max_results.unwrap_or(USUAL_ELEMENTS);
    let (alive, _) = without_expired(services, &list);
    let mut rest = alive.after(after).cloned();
    let elements: Vec<Element> = rest.by_ref().take(size).collect();
    let end = elements.last().filter(|_| rest.next().is_some());
    let next_token = end
        .map(|end| page_token::encode(&scope, end, services.account.now()))
        .transpose()?;
    services
        .definition_cache
        .keep_list(&input.name, list.clone());
    Ok(ElementsOutput {
        elements,
        next_token,
    })
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetMetadata {
    name: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable_type: Option<String>,
    created_time: String,
    updated_time: String,
    arn: String,
}

pub(crate) async fn metadata(
    services: &Services,
    input: GetMetadata,
) -> Result<impl Serialize + use<>> {
    let page: Page<ListHead> = if let Some(name) = &input.name {
        let found = services
            .account
            .definitions
            .get(&list_head_key(name))
            .await?;
        Page::one(found.ok_or_else(|| missing(name))?)
    } else {
        let listing = Listing {
            operation: "GetListsMetadata",
            filters: "",
            pk: "list",
            prefix: "",
            usual: 50,
        };
        listing.page(&services.account, &input.paging).await?
    };
    let row = |head: ListHead| Metadata {
        arn: services.account.arn("list", &head.name),
        name: head.name,
        description: head.description,
        variable_type: head.variable_type,
        created_time: head.created_time,
        updated_time: head.updated_time,
    };
    Ok(page::output("lists", page.map(row)))
}

/// Deletes a list. Rejected while a rule version uses it.
pub(crate) async fn delete(services: &Services, input: ByName) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let Some(head) = change.get::<ListHead>(&list_head_key(&input.name)).await? else {
        return Ok(Empty {});
    };
    let rules = all_rules(&change).await?;
    if let Some(user) = rules.iter().find(|rule| rule.lists.contains(&input.name)) {
        let message = format!("List '{}' is used by rule '{}'.", input.name, user.rule_id);
        return Err(Error::conflict(message));
    }
    change.count("list", -1, usize::MAX)?;
    change.delete(list_head_key(&input.name));
    services.account.commit(change).await?;
    list::sweep(&services.account.definitions, &head, None).await;
    Ok(Empty {})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Vec<Element> {
        text.split_whitespace()
            .map(str::to_owned)
            .map(Element::from)
            .collect()
    }

    #[track_caller]
    fn check(before: &str, given: &str, mode: UpdateMode, want: &str) {
        let mut list: Elements = elements(before).into_iter().collect();
        difference(&list, elements(given), mode).apply(&mut list);
        let texts: Vec<&str> = list.iter().map(AsRef::as_ref).collect();
        assert_eq!(texts.join(" "), want);
    }

    #[test]
    fn updates() {
        check("a b", "c b c", UpdateMode::Append, "a b c");
        check("a b", "b z", UpdateMode::Remove, "a");
        check("a b", "c a", UpdateMode::Replace, "a c");
        check("a b", "", UpdateMode::Replace, "");
    }

    #[test]
    fn an_update_that_changes_nothing_is_no_edit() {
        let list: Elements = elements("a b").into_iter().collect();
        assert!(difference(&list, elements("a"), UpdateMode::Append).is_empty());
        assert!(difference(&list, elements("c"), UpdateMode::Remove).is_empty());
        assert!(difference(&list, elements("b a"), UpdateMode::Replace).is_empty());
    }
}

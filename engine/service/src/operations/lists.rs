//! Lists: elements that rules test with `in @name`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::page::{Page, PageRequest};
use protocol::page_token::TokenScope;
use protocol::variable_types::is_text_type;
use protocol::wire::validate_and_read_input;
use protocol::{Error, Operation, Result, page, page_token, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::conflict_retry::retry_on_write_conflict;
use store::listing::Listing;
use store::records::list;
use store::records::list::{
    ElementNote, List, ListEdit, ListElement, ListElements, ListHead, NewList, StoredElement,
    list_head_key,
};
use store::records::rule::list_rules;
use store::records::tags::{Tag, Tags};
use store::table::KeyRange;

use crate::operations::{EmptyOutput, NameInput};
use crate::services::EngineServices;

const DEFAULT_PAGE_SIZE: usize = 1000;

/// The names of all lists.
pub(crate) async fn load_list_names(change: &Change<'_>) -> Result<Vec<String>> {
    let heads: Vec<ListHead> = change.query(KeyRange::all("list")).await?;
    Ok(heads.into_iter().map(|head| head.name).collect())
}

fn missing_list(name: &str) -> Error {
    Error::not_found(format!("List '{name}' does not exist."))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateListInput {
    name: String,
    #[serde(default)]
    elements: Vec<ListElement>,
    variable_type: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(crate) async fn create_list(
    services: &EngineServices,
    input: CreateListInput,
) -> Result<EmptyOutput> {
    check_type(input.variable_type.as_deref())?;
    let elements: ListElements = input.elements.into_iter().collect();
    check_size(services, &elements)?;
    let mut change = services.account.begin_change().await?;
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
    change.count_resources("list", 1, services.account.options.quotas.lists)?;
    let new = NewList {
        name: input.name,
        description: input.description,
        variable_type: input.variable_type,
        tags: Tags::new(input.tags)?,
        now: text::format_milliseconds(services.account.now()),
    };
    let head = list::create_list_head(&services.account.definitions, new, &elements).await?;
    change.put(&head)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

fn check_type(variable_type: Option<&str>) -> Result<()> {
    match variable_type {
        Some(variable_type) if !is_text_type(variable_type) => Err(Error::validation(format!(
            "'{variable_type}' is not a variable type of data type STRING, which lists are for."
        ))),
        _ => Ok(()),
    }
}

fn check_size(services: &EngineServices, elements: &ListElements) -> Result<()> {
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
enum ListUpdateMode {
    Replace,
    Append,
    Remove,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateListInput {
    name: String,
    elements: Option<Vec<ListElement>>,
    description: Option<String>,
    update_mode: Option<ListUpdateMode>,
    variable_type: Option<String>,
}

pub(crate) async fn update_list(
    services: &EngineServices,
    input: UpdateListInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let head: Option<ListHead> = change.get(&list_head_key(&input.name)).await?;
    let before = head.ok_or_else(|| missing_list(&input.name))?;
    let mut head = before.clone();
    settle_type(&mut head, input.variable_type)?;
    head.description = input.description.or(head.description);
    head.updated_time = text::format_milliseconds(services.account.now());
    match (input.elements, input.update_mode) {
        (Some(elements), Some(mode)) => {
            edit_list(services, &mut change, &mut head, elements, mode).await?;
        }
        (None, None) => {}
        _ => {
            return Err(Error::validation(
                "Give elements and updateMode together, or neither.",
            ));
        }
    }
    change.put(&head)?;
    services.account.commit_change(change).await?;
    list::delete_replaced_base(&services.account.definitions, &before, Some(&head)).await;
    Ok(EmptyOutput {})
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

async fn edit_list(
    services: &EngineServices,
    change: &mut Change<'_>,
    head: &mut ListHead,
    given: Vec<ListElement>,
    mode: ListUpdateMode,
) -> Result<()> {
    let list = load_current_list(services, head).await?;
    let (alive, expired) = split_off_expired(services, &list);
    let mut edit = compute_edit(&alive, given, mode);
    edit.removed.extend(expired);
    write_edit(services, change, head, &list, edit).await
}

async fn load_current_list(services: &EngineServices, head: &ListHead) -> Result<List> {
    let known = services.definition_cache.cached_list(&head.name);
    let list = list::load_list_at(
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
fn split_off_expired(
    services: &EngineServices,
    list: &List,
) -> (Arc<ListElements>, Vec<ListElement>) {
    let expired = list
        .elements
        .find_expired(services.account.now().as_second());
    if expired.is_empty() {
        return (Arc::clone(&list.elements), expired);
    }
    let removal = ListEdit {
        added: Vec::new(),
        removed: expired.clone(),
    };
    let mut alive = (*list.elements).clone();
    removal.apply_to(&mut alive);
    (Arc::new(alive), expired)
}

async fn write_edit(
    services: &EngineServices,
    change: &mut Change<'_>,
    head: &mut ListHead,
    list: &List,
    edit: ListEdit,
) -> Result<()> {
    if edit.is_empty() {
        return Ok(());
    }
    let mut elements = (*list.elements).clone();
    edit.apply_to(&mut elements);
    check_size(services, &elements)?;
    list::record_edit(&services.account.definitions, change, head, edit, &elements).await
}

/// The elements that an update adds and removes; elements that exist are not added again.
fn compute_edit(before: &ListElements, given: Vec<ListElement>, mode: ListUpdateMode) -> ListEdit {
    let given: ListElements = given.into_iter().collect();
    let added = || {
        let new = given.iter().filter(|element| !before.contains(element));
        new.cloned().map(StoredElement::Plain).collect()
    };
    let those = |elements: &ListElements, other: &ListElements, both: bool| {
        let some = elements.iter().filter(|e| other.contains(e) == both);
        some.cloned().collect()
    };
    match mode {
        ListUpdateMode::Append => ListEdit {
            added: added(),
            removed: Vec::new(),
        },
        ListUpdateMode::Remove => ListEdit {
            added: Vec::new(),
            removed: those(&given, before, true),
        },
        ListUpdateMode::Replace => ListEdit {
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
    services: &EngineServices,
    list: &str,
    entries: &[ListEntry],
) -> Result<()> {
    retry_on_write_conflict(|| Box::pin(put_entries_once(services, list, entries))).await
}

/// The entries of a list that have not expired.
///
/// # Errors
/// As `GetListElements`.
pub(crate) async fn load_list_entries(
    services: &EngineServices,
    name: &str,
) -> Result<Vec<ListEntry>> {
    let list = list::load_list(
        &services.account.definitions,
        name,
        None,
        services.account.now(),
    )
    .await?;
    let list = list.ok_or_else(|| missing_list(name))?;
    let (alive, _) = split_off_expired(services, &list);
    let entry = |(element, note): (&ListElement, Option<&ElementNote>)| {
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
    services: &EngineServices,
    is_wanted: impl Fn(Option<&str>, &str) -> bool,
) -> Result<BTreeMap<String, Vec<String>>> {
    let heads: Vec<ListHead> = services
        .account
        .definitions
        .query(KeyRange::all("list"))
        .await?;
    let mut found = BTreeMap::new();
    for head in heads {
        let Some((head, stored)) = find_stored_list(services, &head.name).await? else {
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
    services: &EngineServices,
    list: &str,
    elements: &[String],
) -> Result<()> {
    retry_on_write_conflict(|| Box::pin(erase_elements_once(services, list, elements))).await
}

/// The head of a list, and all its stored elements, also removed ones.
async fn find_stored_list(
    services: &EngineServices,
    name: &str,
) -> Result<Option<(ListHead, BTreeSet<ListElement>)>> {
    retry_on_write_conflict(async || {
        let Some(head) = services
            .account
            .definitions
            .get::<ListHead>(&list_head_key(name))
            .await?
        else {
            return Ok(None);
        };
        let stored = list::load_stored_elements(&services.account.definitions, &head).await?;
        // The base is missing only if another process has rewritten the list.
        stored.map_or_else(
            || Err(Error::write_conflict()),
            |stored| Ok(Some((head, stored))),
        )
    })
    .await
}

async fn erase_elements_once(services: &EngineServices, name: &str, gone: &[String]) -> Result<()> {
    let mut change = services.account.begin_change().await?;
    let head: Option<ListHead> = change.get(&list_head_key(name)).await?;
    let before = head.ok_or_else(|| missing_list(name))?;
    let mut head = before.clone();
    head.updated_time = text::format_milliseconds(services.account.now());
    let list = load_current_list(services, &head).await?;
    let edit = ListEdit {
        added: Vec::new(),
        removed: gone.iter().cloned().map(ListElement::from).collect(),
    };
    let mut elements = (*list.elements).clone();
    edit.apply_to(&mut elements);
    list::rewrite_list(&services.account.definitions, &mut head, &elements).await?;
    change.put(&head)?;
    services.account.commit_change(change).await?;
    // If this fails, erased elements would still be stored, so it is an error.
    list::delete_list_data(&services.account.definitions, &before).await
}

async fn put_entries_once(
    services: &EngineServices,
    name: &str,
    entries: &[ListEntry],
) -> Result<()> {
    let elements: Vec<&str> = entries.iter().map(|entry| entry.element.as_str()).collect();
    let request = serde_json::json!({"name": name, "elements": elements, "updateMode": "APPEND"});
    validate_and_read_input::<UpdateListInput>(Operation::UpdateList, &request)?;
    let mut change = services.account.begin_change().await?;
    let head: Option<ListHead> = change.get(&list_head_key(name)).await?;
    let before = head.ok_or_else(|| missing_list(name))?;
    let mut head = before.clone();
    head.updated_time = text::format_milliseconds(services.account.now());
    let list = load_current_list(services, &head).await?;
    let added = entries.iter().cloned().map(|entry| StoredElement::Noted {
        text: entry.element.into(),
        note: Arc::new(ElementNote {
            expires: entry.expires.map(jiff::Timestamp::as_second),
            reason: entry.reason,
            author: entry.author,
        }),
    });
    let edit = ListEdit {
        added: added.collect(),
        removed: split_off_expired(services, &list).1,
    };
    write_edit(services, &mut change, &mut head, &list, edit).await?;
    change.put(&head)?;
    services.account.commit_change(change).await?;
    list::delete_replaced_base(&services.account.definitions, &before, Some(&head)).await;
    Ok(())
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetListElementsInput {
    name: String,
    #[serde(flatten)]
    paging: PageRequest,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetListElementsOutput {
    elements: Vec<ListElement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A page of elements in sorted order, so that edits between two pages do not skip or repeat elements that stay in the
/// list.
pub(crate) async fn get_list_elements(
    services: &EngineServices,
    input: GetListElementsInput,
) -> Result<GetListElementsOutput> {
    let scope = TokenScope::new("GetListElements", &input.name);
    let token = input.paging.next_token.as_deref();
    let after: Option<ListElement> =
        page_token::decode_page_token(&scope, token, services.account.now())?;
    let known = services.definition_cache.cached_list(&input.name);
    let list = list::load_list(
        &services.account.definitions,
        &input.name,
        known.as_deref(),
        services.account.now(),
    )
    .await?;
    let list: List = list.ok_or_else(|| missing_list(&input.name))?;
    let size = input.paging.max_results.unwrap_or(DEFAULT_PAGE_SIZE);
    let (alive, _) = split_off_expired(services, &list);
    let mut rest = alive.iter_after(after).cloned();
    let elements: Vec<ListElement> = rest.by_ref().take(size).collect();
    let end = elements.last().filter(|_| rest.next().is_some());
    let next_token = end
        .map(|end| page_token::encode_page_token(&scope, end, services.account.now()))
        .transpose()?;
    services
        .definition_cache
        .keep_list(&input.name, list.clone());
    Ok(GetListElementsOutput {
        elements,
        next_token,
    })
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetListsMetadataInput {
    name: Option<String>,
    #[serde(flatten)]
    paging: PageRequest,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadataOutput {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable_type: Option<String>,
    created_time: String,
    updated_time: String,
    arn: String,
}

pub(crate) async fn get_lists_metadata(
    services: &EngineServices,
    input: GetListsMetadataInput,
) -> Result<impl Serialize + use<>> {
    let page: Page<ListHead> = if let Some(name) = &input.name {
        let found = services
            .account
            .definitions
            .get(&list_head_key(name))
            .await?;
        Page::of_one_row(found.ok_or_else(|| missing_list(name))?)
    } else {
        let listing = Listing {
            operation: "GetListsMetadata",
            filters: "",
            pk: "list",
            prefix: "",
            default_size: 50,
        };
        listing.read_page(&services.account, &input.paging).await?
    };
    let row = |head: ListHead| ListMetadataOutput {
        arn: services.account.arn("list", &head.name),
        name: head.name,
        description: head.description,
        variable_type: head.variable_type,
        created_time: head.created_time,
        updated_time: head.updated_time,
    };
    Ok(page::make_page_output("lists", page.map_rows(row)))
}

/// Deletes a list. Rejected while a rule version uses it.
pub(crate) async fn delete_list(
    services: &EngineServices,
    input: NameInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let Some(head) = change.get::<ListHead>(&list_head_key(&input.name)).await? else {
        return Ok(EmptyOutput {});
    };
    let rules = list_rules(&change).await?;
    if let Some(user) = rules.iter().find(|rule| rule.lists.contains(&input.name)) {
        let message = format!("List '{}' is used by rule '{}'.", input.name, user.rule_id);
        return Err(Error::conflict(message));
    }
    change.count_resources("list", -1, usize::MAX)?;
    change.delete(list_head_key(&input.name));
    services.account.commit_change(change).await?;
    list::delete_replaced_base(&services.account.definitions, &head, None).await;
    Ok(EmptyOutput {})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Vec<ListElement> {
        text.split_whitespace()
            .map(str::to_owned)
            .map(ListElement::from)
            .collect()
    }

    #[track_caller]
    fn check(before: &str, given: &str, mode: ListUpdateMode, want: &str) {
        let mut list: ListElements = elements(before).into_iter().collect();
        compute_edit(&list, elements(given), mode).apply_to(&mut list);
        let texts: Vec<&str> = list.iter().map(AsRef::as_ref).collect();
        assert_eq!(texts.join(" "), want);
    }

    #[test]
    fn updates() {
        check("a b", "c b c", ListUpdateMode::Append, "a b c");
        check("a b", "b z", ListUpdateMode::Remove, "a");
        check("a b", "c a", ListUpdateMode::Replace, "a c");
        check("a b", "", ListUpdateMode::Replace, "");
    }

    #[test]
    fn an_update_that_changes_nothing_is_no_edit() {
        let list: ListElements = elements("a b").into_iter().collect();
        assert!(compute_edit(&list, elements("a"), ListUpdateMode::Append).is_empty());
        assert!(compute_edit(&list, elements("c"), ListUpdateMode::Remove).is_empty());
        assert!(compute_edit(&list, elements("b a"), ListUpdateMode::Replace).is_empty());
    }
}

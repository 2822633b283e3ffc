//! Lists: elements that rules test with `in @name`.

use serde::{Deserialize, Serialize};

use super::page::{Listing, Page, Paging};
use super::tags::{Tag, Tags};
use super::{ByName, Empty, page, rules, variables};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::lists::{self, Edit, Element, Elements, Head, List, New, head_key};
use crate::store::{Change, Range};
use crate::text;
use crate::token::{self, Scope};

const USUAL_ELEMENTS: usize = 1000;

/// The names of all lists.
pub(crate) async fn names(change: &Change<'_>) -> Result<Vec<String>> {
    let heads: Vec<Head> = change.query(Range::all("list")).await?;
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

pub(crate) async fn create(engine: &Engine, input: Create) -> Result<Empty> {
    check_type(input.variable_type.as_deref())?;
    let elements: Elements = input.elements.into_iter().collect();
    check_size(engine, &elements)?;
    let mut change = engine.change().await?;
    if change.get::<Head>(&head_key(&input.name)).await?.is_some() {
        return Err(Error::validation(format!(
            "List '{}' already exists.",
            input.name
        )));
    }
    change.count("list", 1, engine.options.limits.lists)?;
    let new = New {
        name: input.name,
        description: input.description,
        variable_type: input.variable_type,
        tags: Tags::new(input.tags)?,
        now: text::milliseconds(engine.now()),
    };
    let head = lists::create(&engine.definitions, new, &elements).await?;
    change.put(&head)?;
    engine.commit(change).await.map(|()| Empty {})
}

fn check_type(variable_type: Option<&str>) -> Result<()> {
    match variable_type {
        Some(variable_type) if !variables::is_text_type(variable_type) => {
            Err(Error::validation(format!(
                "'{variable_type}' is not a variable type of data type STRING, which lists are for."
            )))
        }
        _ => Ok(()),
    }
}

fn check_size(engine: &Engine, elements: &Elements) -> Result<()> {
    let most = engine.options.limits.list_elements;
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

pub(crate) async fn update(engine: &Engine, input: Update) -> Result<Empty> {
    let mut change = engine.change().await?;
    let head: Option<Head> = change.get(&head_key(&input.name)).await?;
    let before = head.ok_or_else(|| missing(&input.name))?;
    let mut head = before.clone();
    settle_type(&mut head, input.variable_type)?;
    head.description = input.description.or(head.description);
    head.updated_time = text::milliseconds(engine.now());
    match (input.elements, input.update_mode) {
        (Some(elements), Some(mode)) => {
            edit(engine, &mut change, &mut head, elements, mode).await?;
        }
        (None, None) => {}
        _ => {
            return Err(Error::validation(
                "Give elements and updateMode together, or neither.",
            ));
        }
    }
    change.put(&head)?;
    engine.commit(change).await?;
    lists::sweep(&engine.definitions, &before, Some(&head)).await;
    Ok(Empty {})
}

/// A variable type is set once and never changed.
fn settle_type(head: &mut Head, variable_type: Option<String>) -> Result<()> {
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
    engine: &Engine,
    change: &mut Change<'_>,
    head: &mut Head,
    given: Vec<Element>,
    mode: UpdateMode,
) -> Result<()> {
    let known = engine.cache.list(&head.name);
    let list = lists::at(&engine.definitions, head, known.as_deref()).await?;
    // The base is gone only if another process has changed the list since.
    let list = list.ok_or_else(Error::lost)?;
    let edit = difference(&list.elements, given, mode);
    if edit.is_empty() {
        return Ok(());
    }
    let mut elements = (*list.elements).clone();
    edit.apply(&mut elements);
    check_size(engine, &elements)?;
    lists::record(&engine.definitions, change, head, edit, &elements).await
}

/// What an update adds and removes; elements that are there already are not added again.
fn difference(before: &Elements, given: Vec<Element>, mode: UpdateMode) -> Edit {
    let given: Elements = given.into_iter().collect();
    let added = || given.difference(before).cloned().collect();
    match mode {
        UpdateMode::Append => Edit {
            added: added(),
            removed: Vec::new(),
        },
        UpdateMode::Remove => Edit {
            added: Vec::new(),
            removed: given.intersection(before).cloned().collect(),
        },
        UpdateMode::Replace => Edit {
            added: added(),
            removed: before.difference(&given).cloned().collect(),
        },
    }
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

/// A page of elements, in their order, so that edits between two pages skip and repeat nothing
/// that stays.
pub(crate) async fn elements(engine: &Engine, input: GetElements) -> Result<ElementsOutput> {
    let scope = Scope::new("GetListElements", &input.name);
    let token = input.paging.next_token.as_deref();
    let after: Option<Element> = token::decode(&scope, token, engine.now())?;
    let known = engine.cache.list(&input.name);
    let list = lists::load(&engine.definitions, &input.name, known.as_deref()).await?;
    let list: List = list.ok_or_else(|| missing(&input.name))?;
    let size = input.paging.max_results.unwrap_or(USUAL_ELEMENTS);
    let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    let mut rest = list
        .elements
        .range::<Element, _>((start, std::ops::Bound::Unbounded))
        .cloned();
    let elements: Vec<Element> = rest.by_ref().take(size).collect();
    let end = elements.last().filter(|_| rest.next().is_some());
    let next_token = end
        .map(|end| token::encode(&scope, end, engine.now()))
        .transpose()?;
    engine.cache.keep_list(&input.name, list.clone());
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
    engine: &Engine,
    input: GetMetadata,
) -> Result<impl Serialize + use<>> {
    let page: Page<Head> = if let Some(name) = &input.name {
        let found = engine.definitions.get(&head_key(name)).await?;
        Page::one(found.ok_or_else(|| missing(name))?)
    } else {
        let listing = Listing {
            operation: "GetListsMetadata",
            filters: "",
            pk: "list",
            prefix: "",
            usual: 50,
        };
        listing.page(engine, &input.paging).await?
    };
    let row = |head: Head| Metadata {
        arn: engine.arn("list", &head.name),
        name: head.name,
        description: head.description,
        variable_type: head.variable_type,
        created_time: head.created_time,
        updated_time: head.updated_time,
    };
    Ok(page::output("lists", page.map(row)))
}

/// Refused while a rule version uses it.
pub(crate) async fn delete(engine: &Engine, input: ByName) -> Result<Empty> {
    let mut change = engine.change().await?;
    let Some(head) = change.get::<Head>(&head_key(&input.name)).await? else {
        return Ok(Empty {});
    };
    let rules = rules::all(&change).await?;
    if let Some(user) = rules.iter().find(|rule| rule.lists.contains(&input.name)) {
        let message = format!("List '{}' is used by rule '{}'.", input.name, user.rule_id);
        return Err(Error::conflict(message));
    }
    change.count("list", -1, usize::MAX)?;
    change.delete(head_key(&input.name));
    engine.commit(change).await?;
    lists::sweep(&engine.definitions, &head, None).await;
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
        assert_eq!(
            list.into_iter()
                .map(String::from)
                .collect::<Vec<_>>()
                .join(" "),
            want
        );
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

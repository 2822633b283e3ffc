//! Pages: `nextToken` and `maxResults`, over the items of one partition.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::store::{self, Item, Range};
use protocol::Result;
use protocol::page_token::{self, Scope};

/// The paging members of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Paging {
    pub(crate) next_token: Option<String>,
    pub(crate) max_results: Option<usize>,
}

/// The rows of one page, and the token of the next.
#[derive(Debug)]
pub(crate) struct Page<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) next_token: Option<String>,
}

impl<R> Page<R> {
    pub(crate) fn one(row: R) -> Self {
        Self {
            rows: vec![row],
            next_token: None,
        }
    }

    pub(crate) fn map<T>(self, row: impl FnMut(R) -> T) -> Page<T> {
        Page {
            rows: self.rows.into_iter().map(row).collect(),
            next_token: self.next_token,
        }
    }
}

/// What is read page by page: an operation's rows in a partition, and their usual number.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) operation: &'a str,
    /// The other members of the request that choose rows.
    pub(crate) filters: &'a str,
    pub(crate) pk: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) usual: usize,
}

impl Listing<'_> {
    /// Reads one page. One row more than the page is asked for, so that the last page is known
    /// to be the last.
    pub(crate) async fn page<R: DeserializeOwned>(
        &self,
        engine: &Engine,
        paging: &Paging,
    ) -> Result<Page<R>> {
        let scope = Scope::new(self.operation, &(self.filters, self.pk, self.prefix));
        let token = paging.next_token.as_deref();
        let after: Option<String> = page_token::decode(&scope, token, engine.now())?;
        let size = paging.max_results.unwrap_or(self.usual);
        let range = Range::all(self.pk)
            .prefix(self.prefix)
            .after(after.as_deref())
            .limit(size + 1);
        let mut items = engine.definitions.query_items(range).await?;
        let more = items.len() > size;
        items.truncate(size);
        let last = items.last().and_then(sort_key).filter(|_| more);
        let next_token = last
            .map(|sk| page_token::encode(&scope, &sk, engine.now()))
            .transpose()?;
        let rows = items.into_iter().map(store::read).collect::<Result<_>>()?;
        Ok(Page { rows, next_token })
    }
}

fn sort_key(item: &Item) -> Option<String> {
    item.get("sk")
        .and_then(|sk: &AttributeValue| sk.as_s().ok())
        .cloned()
}

/// A page on the wire; the last one has no `nextToken`.
///
/// The member that holds the rows has another name in each operation, so it is a parameter.
pub(crate) fn output<R: Serialize>(member: &'static str, page: Page<R>) -> impl Serialize {
    PageOutput { member, page }
}

struct PageOutput<R> {
    member: &'static str,
    page: Page<R>,
}

impl<R: Serialize> Serialize for PageOutput<R> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.member, &self.page.rows)?;
        if let Some(token) = &self.page.next_token {
            map.serialize_entry("nextToken", token)?;
        }
        map.end()
    }
}

//! Reading a page of the items of one partition.

use aws_sdk_dynamodb::types::AttributeValue;
use protocol::Result;
use protocol::page::{Page, Paging};
use protocol::page_token::{self, Scope};
use serde::de::DeserializeOwned;

use crate::account::Account;
use crate::table::{Item, Range, read};

/// What is read page by page: an operation's rows in a partition, and their usual number.
#[derive(Debug)]
pub struct Listing<'a> {
    /// The operation, which binds its page tokens.
    pub operation: &'a str,
    /// The other members of the request that choose rows.
    pub filters: &'a str,
    /// The partition.
    pub pk: &'a str,
    /// What the sort keys begin with.
    pub prefix: &'a str,
    /// Rows of a page where the request does not say how many.
    pub usual: usize,
}

impl Listing<'_> {
    /// Reads one page. One row more than the page is asked for, so that the last page is known
    /// to be the last.
    pub async fn page<R: DeserializeOwned>(
        &self,
        account: &Account,
        paging: &Paging,
    ) -> Result<Page<R>> {
        let scope = Scope::new(self.operation, &(self.filters, self.pk, self.prefix));
        let token = paging.next_token.as_deref();
        let after: Option<String> = page_token::decode(&scope, token, account.now())?;
        let size = paging.max_results.unwrap_or(self.usual);
        let range = Range::all(self.pk)
            .prefix(self.prefix)
            .after(after.as_deref())
            .limit(size + 1);
        let mut items = account.definitions.query_items(range).await?;
        let more = items.len() > size;
        items.truncate(size);
        let last = items.last().and_then(sort_key).filter(|_| more);
        let next_token = last
            .map(|sk| page_token::encode(&scope, &sk, account.now()))
            .transpose()?;
        let rows = items.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Page { rows, next_token })
    }
}

fn sort_key(item: &Item) -> Option<String> {
    item.get("sk")
        .and_then(|sk: &AttributeValue| sk.as_s().ok())
        .cloned()
}

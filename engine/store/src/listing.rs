//! Reading one page of the items of a partition.

use protocol::Result;
use protocol::page::{Page, PageRequest};
use protocol::page_token::{self, TokenScope};
use serde::de::DeserializeOwned;

use crate::account::Account;
use crate::table::{KeyRange, decode_item, text_attribute};

/// A listing of an operation: the rows of a partition, and the default size of a page.
#[derive(Debug)]
pub struct Listing<'a> {
    /// The operation, which binds its page tokens.
    pub operation: &'a str,
    /// The other members of the request that select rows.
    pub filters: &'a str,
    /// The partition.
    pub pk: &'a str,
    /// The prefix of the sort keys.
    pub prefix: &'a str,
    /// The number of rows of a page if the request gives none.
    pub default_size: usize,
}

impl Listing<'_> {
    /// Reads one page. It asks for one row more than the page has, so that the last page is recognized as the last.
    pub async fn read_page<R: DeserializeOwned>(
        &self,
        account: &Account,
        paging: &PageRequest,
    ) -> Result<Page<R>> {
        let scope = TokenScope::new(self.operation, &(self.filters, self.pk, self.prefix));
        let token = paging.next_token.as_deref();
        let after: Option<String> = page_token::decode_page_token(&scope, token, account.now())?;
        let size = paging.max_results.unwrap_or(self.default_size);
        let range = KeyRange::all(self.pk)
            .prefix(self.prefix)
            .after(after.as_deref())
            .limit(size + 1);
        let mut items = account.definitions.query_items(range).await?;
        let more = items.len() > size;
        items.truncate(size);
        let last = items
            .last()
            .and_then(|item| text_attribute(item, "sk"))
            .filter(|_| more)
            .cloned();
        let next_token = last
            .map(|sk| page_token::encode_page_token(&scope, &sk, account.now()))
            .transpose()?;
        let rows = items.into_iter().map(decode_item).collect::<Result<_>>()?;
        Ok(Page { rows, next_token })
    }
}

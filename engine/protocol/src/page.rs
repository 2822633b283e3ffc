//! Pages: the members `nextToken` and `maxResults` of a request, and the rows of an answer.

use serde::{Deserialize, Serialize};

/// The paging members of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageRequest {
    /// Where the page starts; `None` for the first.
    pub next_token: Option<String>,
    /// The most rows of the page.
    pub max_results: Option<usize>,
}

/// The rows of one page, and the token of the next.
#[derive(Debug)]
pub struct Page<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Where the next page starts; `None` where this one is the last.
    pub next_token: Option<String>,
}

impl<R> Page<R> {
    /// A single page with one row.
    pub fn of_one_row(row: R) -> Self {
        Self {
            rows: vec![row],
            next_token: None,
        }
    }

    /// A single page with the row, if there is one.
    pub fn of_at_most_one_row(row: Option<R>) -> Self {
        Self {
            rows: row.into_iter().collect(),
            next_token: None,
        }
    }

    /// The same page with each row converted.
    pub fn map_rows<T>(self, row: impl FnMut(R) -> T) -> Page<T> {
        Page {
            rows: self.rows.into_iter().map(row).collect(),
            next_token: self.next_token,
        }
    }
}

/// A page on the wire; the last one has no `nextToken`.
///
/// Each operation has its own name for the member with the rows, so it is a parameter.
pub fn make_page_output<R: Serialize>(member: &'static str, page: Page<R>) -> impl Serialize {
    PageOutput { member, page }
}

struct PageOutput<R> {
    member: &'static str,
    page: Page<R>,
}

impl<R: Serialize> Serialize for PageOutput<R> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.member, &self.page.rows)?;
        if let Some(token) = &self.page.next_token {
            map.serialize_entry("nextToken", token)?;
        }
        map.end()
    }
}

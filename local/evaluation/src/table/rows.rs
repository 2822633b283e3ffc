//! The rows of a file as events.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use model::history::TrackedEvent;
use model::{Dataset, EventRow};

use super::columns::{EVENT_ID, EventColumns};
use super::csv_file::{csv_error_in, open_csv, present_value};
use super::decimal_commas::write_decimal_point;
use super::error::TableError;
use super::row_notes::RowNotes;

/// A row of the file.
pub struct TableEvent<'a> {
    /// Its place in the file, from 1.
    pub number: usize,
    /// Its `EVENT_ID`, if there is one.
    pub id: Option<&'a str>,
    /// The row as the model takes it.
    pub row: EventRow<'a>,
    cells: &'a [Cow<'a, str>],
}

impl TableEvent<'_> {
    /// The value in a column, by its place in the header; `None` for an empty cell.
    pub fn cell(&self, place: usize) -> Option<&str> {
        present_value(self.cells.get(place).map(AsRef::as_ref))
    }
}

/// A file, read by the columns that were found.
pub struct EventTable<'a> {
    path: &'a Path,
    columns: &'a EventColumns,
}

impl EventColumns {
    /// The rows of `path`, read by these columns.
    pub fn table<'a>(&'a self, path: &'a Path) -> EventTable<'a> {
        EventTable {
            path,
            columns: self,
        }
    }
}

impl EventTable<'_> {
    /// The headers of the file, in their order.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read_headers(&self) -> Result<Vec<String>, TableError> {
        Ok(open_csv(self.path)?.header().names.clone())
    }

    /// Calls `each` with every row; returns which were left out because they do not have the header's columns.
    ///
    /// # Errors
    /// [`TableError`], or whatever `each` returns.
    pub fn for_each_event<E: From<TableError>>(
        &self,
        mut each: impl FnMut(TableEvent<'_>) -> Result<(), E>,
    ) -> Result<RowNotes, E> {
        let mut reader = open_csv(self.path)?;
        let columns = reader.header().names.len();
        let places = ColumnPlaces::find(self.path, &reader.header().names, self.columns)?;
        let mut notes = RowNotes::default();
        while let Some(row) = reader.read_row().map_err(csv_error_in(self.path))? {
            let fields = match &row.content {
                Ok(fields) => fields,
                Err(broken) => {
                    notes.add_broken(row.number, broken);
                    continue;
                }
            };
            notes.add_whole();
            if let Some(place) = places.event_time {
                let cell = present_value(fields.get(place));
                if self.columns.read_time(cell).is_none() {
                    notes.add_without_time(row.number, cell);
                    continue;
                }
            }
            let mut cells: Vec<Cow<'_, str>> = fields.iter().map(Cow::Borrowed).collect();
            for place in &places.decimal_commas {
                cells[*place] = write_decimal_point(&cells[*place]).into();
            }
            let values: Vec<Option<&str>> = places
                .variables
                .iter()
                .map(|place| present_value(cells.get(*place).map(AsRef::as_ref)))
                .collect();
            let number = usize::try_from(row.number).unwrap_or(usize::MAX);
            let tracked = self.build_tracked_event(number, &places, &cells, &values);
            each(self.read_event(number, &places, &cells, &values, tracked.as_ref()))?;
        }
        let decoded = reader.decoded_rows();
        Ok(notes.finish(self.path, columns, decoded)?)
    }

    fn read_event_time(&self, places: &ColumnPlaces<'_>, cells: &[Cow<'_, str>]) -> Option<i64> {
        let cell = cells.get(places.event_time?).map(AsRef::as_ref);
        self.columns.read_time(present_value(cell))
    }

    /// A row as histories keep it, if it has a time.
    fn build_tracked_event(
        &self,
        number: usize,
        places: &ColumnPlaces<'_>,
        cells: &[Cow<'_, str>],
        values: &[Option<&str>],
    ) -> Option<TrackedEvent> {
        let tracked_fields = self.columns.tracked_fields.as_ref()?;
        let time = self.read_event_time(places, cells)?;
        let value = |name: &str| values[*places.values.get(name)?];
        let entity = read_entity(places, cells).map(str::to_owned);
        let id = format!("{}#{number}", self.path.display());
        Some(tracked_fields.build_event(&id, time, entity.as_slice(), value))
    }

    /// A row as the model takes it. `values` are those of the variables, in their order.
    fn read_event<'e>(
        &self,
        number: usize,
        places: &ColumnPlaces<'_>,
        cells: &'e [Cow<'e, str>],
        values: &'e [Option<&'e str>],
        tracked: Option<&'e TrackedEvent>,
    ) -> TableEvent<'e> {
        let columns = self.columns;
        let cell = |place: usize| present_value(cells.get(place).map(AsRef::as_ref));
        let event_time = self.read_event_time(places, cells);
        TableEvent {
            number,
            cells,
            id: places.event_id.and_then(cell),
            row: EventRow {
                values,
                event_time,
                entity: read_entity(places, cells),
                tracked,
                label: columns.read_label(cell(places.label)),
                label_time: places
                    .label_time
                    .and_then(|place| columns.read_time(cell(place)))
                    .or_else(|| event_time?.checked_add(columns.label_delay?)),
                ..EventRow::default()
            },
        }
    }

    /// All rows as the model takes them, and which were left out.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read_dataset(&self) -> Result<(Dataset, RowNotes), TableError> {
        let mut dataset = self.columns.empty_dataset();
        let notes =
            self.for_each_event(|event| dataset.push(&event.row).map_err(TableError::from))?;
        Ok((dataset, notes))
    }
}

/// The entity of a row; `None` for the unknown one, which has no history in service either.
fn read_entity<'e>(places: &ColumnPlaces<'_>, cells: &'e [Cow<'e, str>]) -> Option<&'e str> {
    let entity = present_value(cells.get(places.entity?).map(AsRef::as_ref));
    entity.filter(|entity| !model::is_nobody(entity))
}

/// Where a file has the columns.
struct ColumnPlaces<'a> {
    label: usize,
    event_time: Option<usize>,
    label_time: Option<usize>,
    entity: Option<usize>,
    event_id: Option<usize>,
    decimal_commas: Vec<usize>,
    variables: Vec<usize>,
    /// The place of each variable among the variables.
    values: HashMap<&'a str, usize>,
}

impl<'a> ColumnPlaces<'a> {
    fn find(
        path: &Path,
        headers: &[String],
        columns: &'a EventColumns,
    ) -> Result<Self, TableError> {
        let place = |name: &str, what| {
            headers
                .iter()
                .position(|header| header == name)
                .ok_or_else(|| TableError::NoColumn {
                    path: path.display().to_string(),
                    name: name.to_owned(),
                    what,
                    columns: headers.to_vec(),
                })
        };
        let optional =
            |name: &Option<String>, what| name.as_deref().map(|name| place(name, what)).transpose();
        let label = place(&columns.label, "the label")?;
        let event_time = optional(&columns.event_time, "the event's time")?;
        // A file of today's events may not have the time of their labels.
        let label_time = columns
            .label_time
            .as_deref()
            .and_then(|name| place(name, "").ok());
        let entity = optional(&columns.entity, "the entity")?;
        let is_decimal = |place: &usize| columns.decimal_commas.contains(&headers[*place]);
        let variables = columns
            .variables
            .iter()
            .map(|variable| place(&variable.name, "a variable"))
            .collect::<Result<Vec<usize>, TableError>>()?;
        let names = columns
            .variables
            .iter()
            .map(|variable| variable.name.as_str());
        Ok(Self {
            label,
            event_time,
            label_time,
            entity,
            event_id: headers.iter().position(|header| header == EVENT_ID),
            decimal_commas: (0..headers.len()).filter(is_decimal).collect(),
            variables,
            values: names.zip(0..).collect(),
        })
    }
}

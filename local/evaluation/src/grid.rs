//! Tables for people: names on the left, numbers on the right, no lines.

use comfy_table::{CellAlignment, Table, presets::NOTHING};

/// A table of these rows under these headers.
pub fn grid(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut grid = Table::new();
    grid.load_style(NOTHING)
        .set_header(header.iter().copied())
        .add_rows(rows);
    for column in grid.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    grid
}

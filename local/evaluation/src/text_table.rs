//! Tables for people: names are left-aligned, numbers right-aligned, and there are no lines.

use comfy_table::{CellAlignment, Table, presets::NOTHING};

/// A table of these rows under these headers; all columns but the first are right-aligned.
pub fn build_text_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut grid = Table::new();
    grid.load_style(NOTHING)
        .set_header(header.iter().copied())
        .add_rows(rows);
    for column in grid.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    grid
}

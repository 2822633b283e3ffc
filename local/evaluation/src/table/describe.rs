//! The columns of a file as text.

use comfy_table::{Table as Grid, presets::NOTHING};
use model::VariableType;

use super::columns::EventColumns;

impl EventColumns {
    /// The columns and their inferred types, as text.
    pub fn describe(&self) -> String {
        let time = match &self.event_time {
            Some(name) => format!("time `{name}`"),
            None => "no time".to_owned(),
        };
        let entity = self.entity.iter().map(|name| format!("entity `{name}`"));
        let roles: Vec<String> = [format!("label `{}`", self.label), time]
            .into_iter()
            .chain(entity)
            .collect();
        let mut grid = Grid::new();
        grid.load_style(NOTHING)
            .set_header(["column", "taken for", "because"]);
        for column in &self.inferred {
            let kind = column.kind.map_or("left out", VariableType::as_str);
            grid.add_row([column.name.as_str(), kind, column.why.as_str()]);
        }
        let roles = roles.join(", ");
        format!("{roles}\n\n{grid}\n\nTo take a column for something else: --type COLUMN=TYPE\n")
    }
}

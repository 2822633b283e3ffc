//! The columns of a file as text.

use comfy_table::{Table as Grid, presets::NOTHING};
use model::{InferredColumn, VariableType};

use super::columns::EventColumns;
use super::label_values::{LabelMeaning, LabelValue};

impl EventColumns {
    /// For each value of the label that is neither fraud nor legitimate, how many rows were left out.
    pub fn left_out_notes(&self) -> Vec<String> {
        write_left_out_notes(&self.label, &self.label_values())
    }

    /// Says that no column was taken for the event's time, and which could be.
    fn describe_missing_time(&self) -> String {
        let could_be = |column: &&InferredColumn| column.kind == Some(VariableType::DateTime);
        let names: Vec<String> = self
            .inferred
            .iter()
            .filter(could_be)
            .map(|column| format!("--timestamp {}", column.name))
            .collect();
        if names.is_empty() {
            "no time".to_owned()
        } else {
            format!("no time: {} would make one", names.join(" or "))
        }
    }

    /// The columns and their inferred types, as text.
    pub fn describe(&self) -> String {
        let time = match &self.event_time {
            Some(name) => format!("time `{name}`"),
            None => self.describe_missing_time(),
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
        let labels = describe_labels(&self.label_values());
        format!(
            "{roles}\n{labels}\n\n{grid}\n\nTo take a column for something else: --type COLUMN=TYPE\n"
        )
    }
}

/// For each value of the label that is neither fraud nor legitimate, how many rows were left out.
pub(crate) fn write_left_out_notes(label: &str, values: &[LabelValue]) -> Vec<String> {
    let left_out = values.iter();
    let left_out = left_out.filter(|value| value.taken_as == LabelMeaning::LeftOut);
    let note = |LabelValue { value, rows, .. }: &LabelValue| {
        format!(
            "{rows} rows whose `{label}` is `{value}` were left out: neither --legit nor --fraud names it."
        )
    };
    left_out.map(note).collect()
}

/// What the values of the label are taken for, with their counts.
fn describe_labels(values: &[LabelValue]) -> String {
    let kinds = [
        (LabelMeaning::Legit, "legitimate"),
        (LabelMeaning::Fraud, "fraud"),
        (LabelMeaning::LeftOut, "left out"),
    ];
    let describe = |(kind, name): (LabelMeaning, &str)| {
        let values = values.iter().filter(|value| value.taken_as == kind);
        let listed: Vec<String> = values
            .map(|value| format!("`{}` ({} rows)", value.value, value.rows))
            .collect();
        (!listed.is_empty()).then(|| format!("{name}: {}", listed.join(", ")))
    };
    let parts: Vec<String> = kinds.into_iter().filter_map(describe).collect();
    parts.join("; ")
}

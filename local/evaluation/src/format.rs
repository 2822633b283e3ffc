//! Figures as people read them.

pub(crate) fn format_percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(crate) fn format_figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
pub(crate) fn to_megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

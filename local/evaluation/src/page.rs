//! The HTML page of an evaluation: one file that loads nothing else.

use comfy_table::Table as Grid;

use crate::result::EvaluationResult;

/// Light, or dark where the reader's screen is: pictures have the same colours, and a rule changes each of them.
const STYLE: &str = include_str!("page.css");

/// The page with its pictures inside.
pub(crate) fn render_page(
    evaluation: &EvaluationResult,
    pictures: &[(&'static str, String)],
) -> String {
    let measures = &evaluation.measures;
    let summary = escape_html(&evaluation.summary.join(" "));
    let headlines = join_rendered(evaluation.headlines(), |(name, value)| {
        let (name, value) = (escape_html(name), escape_html(&value));
        format!("<tr><td>{name}</td><td>{value}</td></tr>")
    });
    let figures = join_rendered(pictures, |(title, svg)| {
        let title = escape_html(title);
        format!("<figure><figcaption>{title}</figcaption>{svg}</figure>")
    });
    let mut tables = render_section("What a threshold does", &evaluation.thresholds_table());
    if let Some(rules) = &evaluation.rules_only {
        let title = format!("What the rules of {} do", rules.detector);
        tables.push_str(&render_section(&title, &rules.table()));
    }
    if measures.months.len() > 1 {
        tables.push_str(&render_section("By month", &evaluation.months_table()));
    }
    if !measures.keys.is_empty() {
        tables.push_str(&render_section(
            "Keys that training had seen, and new ones",
            &evaluation.keys_table(),
        ));
    }
    tables.push_str(&render_section(
        "What the model looks at",
        &evaluation.importance_table(),
    ));
    let notes = join_rendered(evaluation.notes(), |note| {
        format!("<li>{}</li>", escape_html(&note))
    });
    let notes = if notes.is_empty() {
        notes
    } else {
        format!("<h2>Notes</h2><ul>{notes}</ul>")
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
<title>Evaluation of {train}</title><style>{STYLE}</style></head><body><h1>Evaluation of a model trained on {train}</h1>\
<p class=\"summary\">{summary}</p><div class=\"wide facts\"><table>{headlines}</table></div>\
<h2>Pictures</h2><div class=\"grid\">{figures}</div>{tables}{notes}</body></html>\n",
        train = escape_html(&evaluation.train),
    )
}

fn render_section(title: &str, grid: &Grid) -> String {
    let row = |cells: Vec<String>, tag: &str| {
        let cells = join_rendered(cells, |cell| {
            format!("<{tag}>{}</{tag}>", escape_html(&cell))
        });
        format!("<tr>{cells}</tr>")
    };
    let header = grid
        .header()
        .map(|header| header.cell_iter().map(comfy_table::Cell::content).collect());
    let header = header.map(|cells| row(cells, "th")).unwrap_or_default();
    let body: String = grid
        .row_iter()
        .map(|line| {
            row(
                line.cell_iter().map(comfy_table::Cell::content).collect(),
                "td",
            )
        })
        .collect();
    format!(
        "<h2>{}</h2><div class=\"wide\"><table>{header}{body}</table></div>",
        escape_html(title)
    )
}

fn join_rendered<T>(parts: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    parts.into_iter().map(text).collect()
}

/// Escapes text for HTML: headers of a file are not ours.
fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

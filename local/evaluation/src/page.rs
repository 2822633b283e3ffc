//! The HTML page of an evaluation: one file that loads nothing else.

use comfy_table::Table as Grid;

use crate::result::EvaluationResult;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:84rem;padding:0 1rem;color:#222}\
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p.on{color:#666;margin-top:.2rem}\
table{border-collapse:collapse}td,th{padding:.2rem 1rem .2rem 0;text-align:right;font-variant-numeric:tabular-nums}\
td:first-child,th:first-child{text-align:left}tr+tr td{border-top:1px solid #eee}\
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1.5rem}\
figure{margin:0;border:1px solid #ddd;border-radius:.4rem;padding:.6rem}figure svg{width:100%;height:auto}\
figcaption{font-weight:600;margin-bottom:.3rem}li{margin:.2rem 0}";

/// The page with its pictures inside.
pub(crate) fn render_page(
    evaluation: &EvaluationResult,
    pictures: &[(&'static str, String)],
) -> String {
    let measures = &evaluation.measures;
    let on = evaluation
        .test
        .as_deref()
        .or(evaluation.divided)
        .unwrap_or_default();
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
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>Evaluation of {train}</title><style>{STYLE}</style></head><body><h1>Evaluation of a model trained on {train}</h1>\
<p class=\"on\">measured on {events} events, {fraud} of them fraud ({on})</p><table>{headlines}</table>\
<h2>Pictures</h2><div class=\"grid\">{figures}</div>{tables}{notes}</body></html>\n",
        train = escape_html(&evaluation.train),
        events = measures.events,
        fraud = measures.fraud,
        on = escape_html(on),
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
        "<h2>{}</h2><table>{header}{body}</table>",
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

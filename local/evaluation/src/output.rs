//! The files that an evaluation writes: scores, page and pictures.

use std::path::Path;

use model::Model;
use model::metrics::Ranking;

use crate::error::{EvaluateError, io_error_in};
use crate::measures::ScoredEvent;
use crate::result::EvaluationResult;
use crate::{page, pictures};

/// Writes the score of every measured event as CSV.
pub(crate) fn write_scores(path: &Path, scored: &[ScoredEvent]) -> Result<(), EvaluateError> {
    let wrong = |source| EvaluateError::Csv {
        path: path.display().to_string(),
        source,
    };
    let mut writer = csv::Writer::from_path(path).map_err(wrong)?;
    writer
        .write_record(["row", "fraud", "score", "log_odds"])
        .map_err(wrong)?;
    for event in scored {
        let fraud = if event.fraud { "1" } else { "0" };
        let row = [
            event.number.to_string(),
            fraud.to_owned(),
            event.score.to_string(),
            event.log_odds.to_string(),
        ];
        writer.write_record(row).map_err(wrong)?;
    }
    writer.flush().map_err(io_error_in(path))
}

/// Writes the page and its pictures into `folder`; returns their names.
pub(crate) fn write_report(
    folder: &Path,
    evaluation: &EvaluationResult,
    scored: &[ScoredEvent],
    model: &Model,
) -> Result<Vec<String>, EvaluateError> {
    std::fs::create_dir_all(folder).map_err(io_error_in(folder))?;
    let ranked = scored.iter().map(|event| event.ranked_by(event.log_odds));
    let curve = Ranking::of_events(ranked).curve();
    let mut importance = model.importance();
    importance.retain(|importance| importance.share > 0.0);
    let rules = evaluation
        .rules_only
        .iter()
        .flat_map(|rules| &rules.outcomes);
    let rules: Vec<(f64, f64)> = rules.map(|row| (row.fpr, row.recall)).collect();
    let drawn = pictures::PictureData {
        curve: &curve,
        rules: &rules,
        scored,
        recall: evaluation.measures.recall_at_1_percent_fpr,
        importance: &importance,
    };
    let page = folder.join("report.html");
    std::fs::write(
        &page,
        page::render_page(evaluation, &pictures::draw_svgs(&drawn)?),
    )
    .map_err(io_error_in(&page))?;
    let pngs = pictures::write_pngs(&drawn, folder)?
        .into_iter()
        .map(|name| folder.join(name));
    Ok(std::iter::once(page)
        .chain(pngs)
        .map(|path| path.display().to_string())
        .collect())
}

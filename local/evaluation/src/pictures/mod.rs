//! Pictures of an evaluation, as SVG for the page and as PNG files beside it, by the same drawing code.

mod bitmap;
mod draw;
mod names;
mod plot;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Once;

use model::Importance;
use model::metrics::{ConfidenceRange, RocPoint};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use thiserror::Error;

use crate::measures::ScoredEvent;
use bitmap::{FineBitmap, allocate_fine, write_png};
use plot::{FONT, PictureArea};

/// The width of every picture in pixels.
const WIDTH: u32 = 1200;
/// The height of all but the picture of importance, which is as high as its names need.
const HEIGHT: u32 = 700;

/// A picture could not be drawn.
#[derive(Debug, Error)]
#[error("the picture `{name}` cannot be drawn: {why}")]
pub struct PictureError {
    name: &'static str,
    why: String,
}

/// What is drawn.
pub struct PictureData<'a> {
    /// The ROC curve.
    pub curve: &'a [RocPoint],
    /// False positives and recall of the rules of a detector file, if one was given.
    pub rules: &'a [(f64, f64)],
    /// The events.
    pub scored: &'a [ScoredEvent],
    /// The recall at 1 % false positives.
    pub recall: ConfidenceRange,
    /// Variables and their importance, most first.
    pub importance: &'a [Importance],
}

/// A picture: its file's name, what it is called on the page, and how it is drawn.
struct Picture {
    name: &'static str,
    title: &'static str,
    draw: PictureKind,
}

#[derive(Clone, Copy)]
enum PictureKind {
    Roc,
    PrecisionRecall,
    Scores,
    Calibration,
    Importance,
}

const PICTURES: [Picture; 5] = [
    Picture {
        name: "roc",
        title: "Fraud found against false positives (ROC)",
        draw: PictureKind::Roc,
    },
    Picture {
        name: "precision-recall",
        title: "Precision and recall",
        draw: PictureKind::PrecisionRecall,
    },
    Picture {
        name: "scores",
        title: "Scores of fraud and of legitimate events",
        draw: PictureKind::Scores,
    },
    Picture {
        name: "calibration",
        title: "Expected and actual share of fraud",
        draw: PictureKind::Calibration,
    },
    Picture {
        name: "importance",
        title: "What the model looks at",
        draw: PictureKind::Importance,
    },
];

type DrawError = Box<dyn std::error::Error>;

impl Picture {
    fn size(&self, drawn: &PictureData<'_>) -> Result<(u32, u32), DrawError> {
        Ok(match self.draw {
            PictureKind::Importance => (WIDTH, draw::importance_height(drawn.importance)?),
            _ => (WIDTH, HEIGHT),
        })
    }

    fn draw_on<B: DrawingBackend>(
        &self,
        area: &PictureArea<B>,
        drawn: &PictureData<'_>,
    ) -> Result<(), DrawError>
    where
        B::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
        match self.draw {
            PictureKind::Roc => draw::draw_roc(area, drawn)?,
            PictureKind::PrecisionRecall => draw::draw_precision_recall(area, drawn)?,
            PictureKind::Scores => draw::draw_scores(area, drawn.scored)?,
            PictureKind::Calibration => draw::draw_calibration(area, drawn.scored)?,
            PictureKind::Importance => draw::draw_importance(area, drawn.importance)?,
        }
        area.present()?;
        Ok(())
    }

    fn draw_svg(&self, drawn: &PictureData<'_>) -> Result<String, DrawError> {
        let size = self.size(drawn)?;
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        self.draw_on(&area, drawn)?;
        drop(area);
        Ok(svg)
    }

    fn write_png(&self, path: &Path, drawn: &PictureData<'_>) -> Result<(), DrawError> {
        let size = self.size(drawn)?;
        let mut bytes = allocate_fine(size);
        let area = FineBitmap::new(&mut bytes, size)?.into_drawing_area();
        self.draw_on(&area, drawn)?;
        drop(area);
        write_png(path, &bytes, size)
    }

    fn failed(&self, why: &DrawError) -> PictureError {
        PictureError {
            name: self.name,
            why: why.to_string(),
        }
    }
}

/// The pictures as SVG: title and drawing.
///
/// # Errors
/// [`PictureError`].
pub fn draw_svgs(drawn: &PictureData<'_>) -> Result<Vec<(&'static str, String)>, PictureError> {
    register_fonts();
    PICTURES
        .iter()
        .map(|picture| {
            let svg = picture.draw_svg(drawn);
            Ok((picture.title, svg.map_err(|why| picture.failed(&why))?))
        })
        .collect()
}

/// Writes the pictures as PNG files into `folder`; returns their names.
///
/// # Errors
/// [`PictureError`].
pub fn write_pngs(drawn: &PictureData<'_>, folder: &Path) -> Result<Vec<String>, PictureError> {
    register_fonts();
    PICTURES
        .iter()
        .map(|picture| {
            let name = format!("{}.png", picture.name);
            let written = picture.write_png(&folder.join(&name), drawn);
            written.map_err(|why| picture.failed(&why))?;
            Ok(name)
        })
        .collect()
}

/// Registers the font for plotters, which asks for one even where it only writes SVG.
fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Only an unreadable font fails, and a test reads this one.
        drop(register_font(
            FONT,
            FontStyle::Normal,
            epaint_default_fonts::UBUNTU_LIGHT,
        ));
    });
}

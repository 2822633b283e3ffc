//! Pictures of an evaluation, as SVG for the page and as PNG files beside it.

use std::path::Path;
use std::sync::Once;

use model::Importance;
use model::metrics::RocPoint;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use thiserror::Error;

use crate::measures::ScoredEvent;

/// Width and height of a picture in pixels.
const SIZE: (u32, u32) = (640, 440);
const FRAUD: RGBColor = RGBColor(200, 60, 40);
const LEGIT: RGBColor = RGBColor(50, 110, 170);
const MARK: RGBColor = RGBColor(40, 140, 70);
const GREY: RGBColor = RGBColor(150, 150, 150);
const FONT: &str = "sans-serif";

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
        title: "Fraud found against false alarms (ROC)",
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

type PictureArea<'a, B> = DrawingArea<B, Shift>;
type DrawError = Box<dyn std::error::Error>;

/// The pictures as SVG: title and drawing.
///
/// # Errors
/// [`PictureError`].
pub fn draw_svgs(drawn: &PictureData<'_>) -> Result<Vec<(&'static str, String)>, PictureError> {
    PICTURES
        .iter()
        .map(|picture| {
            let mut svg = String::new();
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            draw_picture(picture, &area, drawn)?;
            drop(area);
            Ok((picture.title, svg))
        })
        .collect()
}

/// Writes the pictures as PNG files into `folder`; returns their names.
///
/// # Errors
/// [`PictureError`].
pub fn write_pngs(drawn: &PictureData<'_>, folder: &Path) -> Result<Vec<String>, PictureError> {
    PICTURES
        .iter()
        .map(|picture| {
            let name = format!("{}.png", picture.name);
            let path = folder.join(&name);
            let area = BitMapBackend::new(&path, SIZE).into_drawing_area();
            draw_picture(picture, &area, drawn)?;
            Ok(name)
        })
        .collect()
}

fn draw_picture<B: DrawingBackend>(
    picture: &Picture,
    area: &PictureArea<'_, B>,
    drawn: &PictureData<'_>,
) -> Result<(), PictureError>
where
    B::ErrorType: 'static,
{
    register_fonts();
    let failed = |why: DrawError| PictureError {
        name: picture.name,
        why: why.to_string(),
    };
    let drawn_well = || -> Result<(), DrawError> {
        area.fill(&WHITE)?;
        match picture.draw {
            PictureKind::Roc => draw_roc(area, drawn.curve, drawn.rules)?,
            PictureKind::PrecisionRecall => draw_precision_recall(area, drawn.curve)?,
            PictureKind::Scores => draw_scores(area, drawn.scored)?,
            PictureKind::Calibration => draw_calibration(area, drawn.scored)?,
            PictureKind::Importance => draw_importance(area, drawn.importance)?,
        }
        area.present()?;
        Ok(())
    };
    drawn_well().map_err(failed)
}

/// Registers a font that is linked in, for PNG: a machine may have no fonts.
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

/// A name for the legend, a colour, and the points.
type ChartLine<'a> = (&'a str, RGBColor, Vec<(f64, f64)>);

/// Draws a chart with axes from 0 to 1, with lines and with the points of rules.
fn draw_share_chart<B: DrawingBackend>(
    area: &PictureArea<'_, B>,
    (x, y): (&str, &str),
    lines: &[ChartLine<'_>],
    marks: &[(f64, f64)],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    let percent = |share: &f64| format!("{:.0} %", share * 100.0);
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&percent)
        .y_label_formatter(&percent)
        .label_style((FONT, 15))
        .axis_desc_style((FONT, 16))
        .draw()?;
    for (name, colour, points) in lines {
        let colour = *colour;
        chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(2),
            ))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    if !marks.is_empty() {
        let circle = |at: (f64, f64)| Circle::new(at, 5, MARK.filled());
        chart
            .draw_series(marks.iter().copied().map(circle))?
            .label("the rules alone")
            .legend(|(x, y)| Circle::new((x + 9, y), 5, MARK.filled()));
    }
    if lines.len() > 1 {
        draw_legend(&mut chart, SeriesLabelPosition::LowerRight)?;
    }
    Ok(())
}

fn draw_legend<'a, B, X, Y>(
    chart: &mut ChartContext<'a, B, Cartesian2d<X, Y>>,
    position: SeriesLabelPosition,
) -> Result<(), DrawError>
where
    B: DrawingBackend + 'a,
    B::ErrorType: 'static,
    X: Ranged,
    Y: Ranged,
{
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.8))
        .border_style(GREY)
        .label_font((FONT, 15))
        .draw()?;
    Ok(())
}

fn draw_roc<B: DrawingBackend>(
    area: &PictureArea<'_, B>,
    curve: &[RocPoint],
    rules: &[(f64, f64)],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let points =
        std::iter::once((0.0, 0.0)).chain(curve.iter().map(|point| (point.fpr, point.tpr)));
    let lines = [
        ("the model", FRAUD, points.collect()),
        ("chance", GREY, vec![(0.0, 0.0), (1.0, 1.0)]),
    ];
    draw_share_chart(
        area,
        ("legitimate events called fraud", "fraud found"),
        &lines,
        rules,
    )
}

fn draw_precision_recall<B: DrawingBackend>(
    area: &PictureArea<'_, B>,
    curve: &[RocPoint],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let points = curve
        .iter()
        .map(|point| (point.tpr, point.precision))
        .collect();
    draw_share_chart(
        area,
        (
            "fraud found (recall)",
            "fraud among those called fraud (precision)",
        ),
        &[("", FRAUD, points)],
        &[],
    )
}

/// Draws how many scores lie in each fiftieth of the scale, as a share of their kind.
fn draw_scores<B: DrawingBackend>(
    area: &PictureArea<'_, B>,
    scored: &[ScoredEvent],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    const BINS: usize = 50;
    let count = |fraud: bool| {
        let mut bins = [0_u32; BINS];
        let mut all = 0_u32;
        for event in scored.iter().filter(|event| event.fraud == fraud) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "scores are from 0 to 1000"
            )]
            let bin = (event.score / 1000.0 * 50.0) as usize;
            bins[bin.min(BINS - 1)] += 1;
            all += 1;
        }
        bins.map(|bin| f64::from(bin) / f64::from(all.max(1)))
    };
    let kinds = [
        ("legitimate", LEGIT, count(false)),
        ("fraud", FRAUD, count(true)),
    ];
    let highest = kinds
        .iter()
        .flat_map(|(.., bins)| bins)
        .fold(0.02_f64, |highest, bin| highest.max(*bin));
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..1000.0, 0.0..highest * 1.08)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("score")
        .y_desc("share of the events")
        .x_label_formatter(&|score| format!("{score:.0}"))
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .label_style((FONT, 15))
        .axis_desc_style((FONT, 16))
        .draw()?;
    for (name, colour, bins) in kinds {
        let bar = |(bin, share): (u32, &f64)| {
            let left = f64::from(bin) * 20.0;
            Rectangle::new(
                [(left, 0.0), (left + 20.0, *share)],
                colour.mix(0.5).filled(),
            )
        };
        chart
            .draw_series((0..).zip(&bins).map(bar))?
            .label(name)
            .legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.mix(0.5).filled())
            });
    }
    draw_legend(&mut chart, SeriesLabelPosition::UpperMiddle)
}

/// Draws the expected share of fraud against the actual one, for each twentieth of the events.
fn draw_calibration<B: DrawingBackend>(
    area: &PictureArea<'_, B>,
    scored: &[ScoredEvent],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let mut events: Vec<(f64, bool)> = scored
        .iter()
        .map(|event| (1.0 / (1.0 + (-event.log_odds).exp()), event.fraud))
        .collect();
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    #[expect(clippy::cast_precision_loss, reason = "counts of events")]
    let mean = |events: &[(f64, bool)]| {
        let all = events.len().max(1) as f64;
        let promised: f64 = events.iter().map(|event| event.0).sum();
        (
            promised / all,
            events.iter().filter(|event| event.1).count() as f64 / all,
        )
    };
    let points: Vec<(f64, f64)> = events
        .chunks(events.len().div_ceil(20).max(1))
        .map(mean)
        .collect();
    let lines = [
        ("twentieths of the events", FRAUD, points),
        ("as promised", GREY, vec![(0.0, 0.0), (1.0, 1.0)]),
    ];
    draw_share_chart(
        area,
        (
            "share of fraud that the model expects",
            "actual share of fraud",
        ),
        &lines,
        &[],
    )
}

fn draw_importance<B: DrawingBackend>(
    area: &PictureArea<'_, B>,
    importance: &[Importance],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let shown = &importance[..importance.len().min(15)];
    let most = shown.first().map_or(1.0, |first| first.share.max(0.01));
    let rows = i32::try_from(shown.len().max(1))?;
    let name = |row: &i32| {
        let place = usize::try_from(rows - 1 - row).ok();
        let name = place.and_then(|place| shown.get(place))?.name();
        Some(name.chars().take(24).collect::<String>())
    };
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(190)
        .build_cartesian_2d(0.0..most * 1.05, (0..rows - 1).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(WHITE)
        .x_desc("share of what all splits gained")
        .y_labels(shown.len().max(1))
        .x_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .y_label_formatter(&|row| match row {
            SegmentValue::CenterOf(row) | SegmentValue::Exact(row) => name(row).unwrap_or_default(),
            SegmentValue::Last => String::new(),
        })
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 16))
        .draw()?;
    let bar = |(row, importance): (i32, &Importance)| {
        let row = rows - 1 - row;
        let mut bar = Rectangle::new(
            [
                (0.0, SegmentValue::Exact(row)),
                (importance.share, SegmentValue::Exact(row + 1)),
            ],
            LEGIT.mix(0.7).filled(),
        );
        bar.set_margin(3, 3, 0, 0);
        bar
    };
    chart.draw_series((0..).zip(shown).map(bar))?;
    Ok(())
}

//! What each picture shows.

use model::Importance;
use model::metrics::{ConfidenceRange, RocPoint};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::bitmap::{measure_text, picture_font};
use super::names::break_name;
use super::plot::{
    Axis, FRAUD, Frame, GAP, GREY, INK, LEGIT, MARK, PictureArea, Plot, TEXT, draw_text,
    format_tick,
};
use super::{DrawError, PictureData, WIDTH};
use crate::measures::ScoredEvent;

/// A precision of fewer events than this is chance: the curve begins where so many are called fraud.
const FEWEST_CALLED: usize = 20;
/// The height of a line of a name.
const LINE: u32 = 32;
/// Between two bars.
const BAR_SPACE: u32 = 14;
/// A browser may draw a text wider than the font by which it was measured.
const BROWSER_SLACK: f64 = 1.15;
/// At most so much of the picture's width is for names.
const MOST_NAME: f64 = 560.0;
/// So many variables are shown.
const MOST_VARIABLES: usize = 15;

/// Draws the whole ROC curve, and its first 5 % beside it: the part that is used.
pub(super) fn draw_roc<B: DrawingBackend>(
    area: &PictureArea<B>,
    drawn: &PictureData<'_>,
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let found = |name: &str| Axis::of_shares(name, 1.0, 5);
    let panels = [
        (110, 560, 1.0, "fraud found"),
        (710, 1150, 0.05, "the first 5 %, magnified"),
    ];
    for (left, right, most, name) in panels {
        let frame = Frame {
            left,
            top: 80,
            right,
            bottom: 590,
        };
        let x = Axis::of_shares("legitimate events called fraud", most, 5);
        let plot = Plot::new(area, frame, &x, &found(name))?;
        let is_whole = most >= 1.0;
        if is_whole {
            plot.outline((0.0, 0.0), (0.05, 1.0))?;
        }
        plot.line([(0.0, 0.0), (1.0, 1.0)], GREY)?;
        let start = std::iter::once((0.0, 0.0));
        let points = drawn.curve.iter().map(|point| (point.fpr, point.tpr));
        plot.line(start.chain(points), FRAUD)?;
        for rules in drawn.rules.iter().filter(|rules| rules.0 <= most) {
            plot.point(*rules, MARK)?;
        }
        let mut key = Vec::new();
        if is_whole {
            key.extend([("the model", FRAUD), ("chance", GREY)]);
            if !drawn.rules.is_empty() {
                key.push(("the rules alone", MARK));
            }
        } else {
            plot.range(0.01, (drawn.recall.low, drawn.recall.high), INK)?;
            plot.point((0.01, drawn.recall.value), INK)?;
            key.push(("recall at 1 %, with its range", INK));
        }
        plot.key(&key, HPos::Right)?;
    }
    Ok(())
}

/// Draws precision against recall, from where [`FEWEST_CALLED`] events are called fraud: before that, each event makes
/// a spike.
pub(super) fn draw_precision_recall<B: DrawingBackend>(
    area: &PictureArea<B>,
    drawn: &PictureData<'_>,
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let fraud = drawn.scored.iter().filter(|event| event.fraud).count();
    let legit = drawn.scored.len() - fraud;
    #[expect(clippy::cast_precision_loss, reason = "counts of events")]
    let (fraud, legit, fewest) = (fraud as f64, legit as f64, FEWEST_CALLED.min(fraud) as f64);
    let frame = Frame {
        left: 120,
        top: 80,
        right: 1150,
        bottom: 590,
    };
    let y = Axis::of_shares("fraud among the events called fraud (precision)", 1.0, 5);
    let x = Axis::of_shares("fraud found (recall)", 1.0, 10);
    let plot = Plot::new(area, frame, &x, &y)?;
    let rate = fraud / (fraud + legit).max(1.0);
    plot.line([(0.0, rate), (1.0, rate)], GREY)?;
    let is_enough = |point: &&RocPoint| point.tpr * fraud + point.fpr * legit + 0.5 >= fewest;
    let points = drawn.curve.iter().filter(is_enough);
    plot.line(points.map(|point| (point.tpr, point.precision)), FRAUD)?;
    plot.key(&[("the model", FRAUD), ("chance", GREY)], HPos::Left)
}

/// Draws how many scores lie in each fortieth of the scale, as a share of their kind, one kind above the other.
pub(super) fn draw_scores<B: DrawingBackend>(
    area: &PictureArea<B>,
    scored: &[ScoredEvent],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    const BARS: usize = 40;
    const BAR: f64 = 25.0;
    for (top, fraud, name, colour) in [
        (80, true, "fraud", FRAUD),
        (400, false, "legitimate", LEGIT),
    ] {
        let mut bars = [0_usize; BARS];
        let events = scored.iter().filter(|event| event.fraud == fraud);
        for event in events.clone() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "scores are from 0 to 1000"
            )]
            let bar = (event.score / BAR) as usize;
            bars[bar.min(BARS - 1)] += 1;
        }
        let all = events.count();
        #[expect(clippy::cast_precision_loss, reason = "counts of events")]
        let shares = bars.map(|bar| bar as f64 / all.max(1) as f64);
        let highest = shares
            .iter()
            .fold(0.0_f64, |highest, bar| highest.max(*bar));
        let frame = Frame {
            left: 120,
            top,
            right: 1150,
            bottom: top + 190,
        };
        let score = |score: u32| (f64::from(score), score.to_string());
        let x = Axis {
            name: if fraud {
                String::new()
            } else {
                "score".to_owned()
            },
            range: (0.0, 1000.0),
            ticks: (0..=10).map(|tenth| score(tenth * 100)).collect(),
        };
        let name = format!("{name}, {all} events");
        let plot = Plot::new(
            area,
            frame,
            &x,
            &Axis::of_shares(&name, round_up(highest), 2),
        )?;
        let mut from = 0.0;
        for share in shares {
            plot.bar((from, from + BAR), share, colour)?;
            from += BAR;
        }
    }
    Ok(())
}

/// The next of 1, 2, 5 and 10 times a power of ten, at least one percent and at most all.
fn round_up(share: f64) -> f64 {
    let steps = [0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 0.8];
    steps.into_iter().find(|step| share <= *step).unwrap_or(1.0)
}

/// A group of events with neighbouring scores: what the model expects of it, and what it was.
struct Group {
    expected: f64,
    actual: ConfidenceRange,
}

/// Twentieths of the events by score, the highest of them divided by five again, because most fraud is there.
fn group_events(scored: &[ScoredEvent]) -> Vec<Group> {
    let mut events: Vec<(f64, bool)> = scored
        .iter()
        .map(|event| (1.0 / (1.0 + (-event.log_odds).exp()), event.fraud))
        .collect();
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = events.len().div_ceil(20).max(1);
    let highest = events.len().saturating_sub(size);
    let (low, high) = events.split_at(highest);
    // A group of less than 20 events has a range over half the picture.
    let part = (size / 5).max(20);
    let group = |events: &[(f64, bool)]| {
        let fraud = events.iter().filter(|event| event.1).count();
        #[expect(clippy::cast_precision_loss, reason = "counts of events")]
        let expected = events.iter().map(|event| event.0).sum::<f64>() / events.len() as f64;
        let actual = ConfidenceRange::of_share(fraud, events.len())?;
        Some(Group { expected, actual })
    };
    low.rchunks(size)
        .chain(high.rchunks(part))
        .filter_map(group)
        .collect()
}

/// Draws the expected share of fraud against the actual one, both as powers of ten down to a tenth of the rate of fraud:
/// where one event in a hundred is fraud, all but the last point of a linear scale are in its corner.
pub(super) fn draw_calibration<B: DrawingBackend>(
    area: &PictureArea<B>,
    scored: &[ScoredEvent],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let fraud = scored.iter().filter(|event| event.fraud).count();
    let rate = ConfidenceRange::of_share(fraud.max(1), scored.len().max(1));
    let lowest = rate.map_or(-3.0, |rate| (rate.value / 10.0).log10().floor());
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a power of ten of a share of events"
    )]
    let first = lowest.clamp(-8.0, -2.0) as i32;
    let ticks = || {
        (first..=0).map(|power| {
            let text = format_tick(10_f64.powi(power));
            let text = if power == first {
                format!("≤ {text}")
            } else {
                text
            };
            (f64::from(power), text)
        })
    };
    let axis = |name: &str| Axis {
        name: name.to_owned(),
        range: (f64::from(first), 0.0),
        ticks: ticks().collect(),
    };
    let frame = Frame {
        left: 150,
        top: 80,
        right: 1150,
        bottom: 590,
    };
    let x = axis("share of fraud that the model expects");
    let plot = Plot::new(
        area,
        frame,
        &x,
        &axis("actual share of fraud, with its range"),
    )?;
    plot.line([(f64::from(first), f64::from(first)), (0.0, 0.0)], GREY)?;
    let on_scale = |share: f64| share.max(1e-12).log10();
    for group in group_events(scored) {
        let across = on_scale(group.expected).max(f64::from(first));
        let ends = (on_scale(group.actual.low), on_scale(group.actual.high));
        plot.range(across, ends, FRAUD)?;
        plot.point((across, on_scale(group.actual.value)), FRAUD)?;
    }
    let key = [
        ("a group of the events by score", FRAUD),
        ("as expected", GREY),
    ];
    plot.key(&key, HPos::Right)
}

/// The names of the variables that are shown, broken into lines, and the width of the widest.
fn break_names(importance: &[Importance]) -> Result<(Vec<Vec<String>>, f64), DrawError> {
    let font = picture_font()?;
    let width = |text: &str| measure_text(&font, text, TEXT) * BROWSER_SLACK;
    let names: Vec<Vec<String>> = importance
        .iter()
        .take(MOST_VARIABLES)
        .map(|importance| break_name(&importance.name(), MOST_NAME, width))
        .collect();
    let widest = names.iter().flatten().map(|line| width(line));
    let widest = widest.fold(0.0, f64::max);
    Ok((names, widest))
}

/// How high the picture of importance is.
pub(super) fn importance_height(importance: &[Importance]) -> Result<u32, DrawError> {
    let (names, _) = break_names(importance)?;
    let lines = u32::try_from(names.iter().map(Vec::len).sum::<usize>())?;
    let bars = u32::try_from(names.len())?;
    Ok(160 + lines * LINE + bars * BAR_SPACE)
}

/// Draws the importance of the variables as bars, with their whole names.
pub(super) fn draw_importance<B: DrawingBackend>(
    area: &PictureArea<B>,
    importance: &[Importance],
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let (names, widest) = break_names(importance)?;
    let height = importance_height(importance)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a width of at most MOST_NAME"
    )]
    let left = (widest.ceil() as i32 + 3 * GAP).max(100);
    let frame = Frame {
        left,
        top: 20,
        right: i32::try_from(WIDTH)? - 60,
        bottom: i32::try_from(height)? - 120,
    };
    let most = importance.first().map_or(0.0, |first| first.share);
    let x = Axis::of_shares("share of what all splits gained", round_up(most), 2);
    let pixels = f64::from(frame.bottom - frame.top);
    let y = Axis {
        name: String::new(),
        range: (0.0, pixels),
        ticks: Vec::new(),
    };
    let plot = Plot::new(area, frame, &x, &y)?;
    let (line, space) = (i32::try_from(LINE)?, i32::try_from(BAR_SPACE)?);
    let mut top = frame.top;
    for (name, importance) in names.iter().zip(importance) {
        let lines = i32::try_from(name.len())?;
        let bottom = top + lines * line + space;
        let (right, _) = plot.at((importance.share, 0.0));
        let middle = i32::midpoint(top, bottom);
        let corners = [
            (frame.left + 1, middle - 14),
            (right.max(frame.left + 2), middle + 14),
        ];
        area.draw(&Rectangle::new(corners, LEGIT.filled()))?;
        let mut down = middle - (lines - 1) * line / 2;
        for text in name {
            let at = (frame.left - GAP, down);
            draw_text(area, text, at, (HPos::Right, VPos::Center), INK)?;
            down += line;
        }
        top = bottom;
    }
    Ok(())
}

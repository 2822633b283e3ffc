//! A plot: a frame with two axes, and what is drawn in it.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::DrawError;

pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
pub(super) const FAINT: RGBColor = RGBColor(225, 225, 225);
pub(super) const GREY: RGBColor = RGBColor(140, 140, 140);
pub(super) const FRAUD: RGBColor = RGBColor(200, 60, 40);
pub(super) const LEGIT: RGBColor = RGBColor(50, 110, 170);
pub(super) const MARK: RGBColor = RGBColor(40, 140, 70);
pub(super) const FONT: &str = "sans-serif";
/// The size of all text, as plotters means it: the height of a line in pixels.
pub(super) const TEXT: f64 = 28.0;
/// Between a text and what it belongs to.
pub(super) const GAP: i32 = 10;

pub(super) type PictureArea<B> = DrawingArea<B, Shift>;

/// An axis: what it shows, from where to where, and its ticks with their texts.
pub(super) struct Axis {
    pub name: String,
    pub range: (f64, f64),
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis of shares from 0 with a tick at each of `steps` steps.
    pub fn of_shares(name: &str, most: f64, steps: u32) -> Self {
        let at = |step: u32| most * f64::from(step) / f64::from(steps);
        Self {
            name: name.to_owned(),
            range: (0.0, most),
            ticks: (0..=steps)
                .map(|step| (at(step), format_tick(at(step))))
                .collect(),
        }
    }
}

/// A share as percents with as few digits as it needs.
pub(super) fn format_tick(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The frame of a plot in pixels.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

/// A frame with axes.
pub(super) struct Plot<'a, B: DrawingBackend> {
    area: &'a PictureArea<B>,
    frame: Frame,
    x: (f64, f64),
    y: (f64, f64),
}

/// Draws a text at a place; `across` and `down` say which of its points is there.
pub(super) fn draw_text<B: DrawingBackend>(
    area: &PictureArea<B>,
    text: &str,
    at: (i32, i32),
    (across, down): (HPos, VPos),
    colour: RGBColor,
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    if text.is_empty() {
        return Ok(());
    }
    let style = TextStyle::from((FONT, TEXT).into_font())
        .color(&colour)
        .pos(Pos::new(across, down));
    area.draw_text(text, &style, at)?;
    Ok(())
}

impl<'a, B: DrawingBackend> Plot<'a, B>
where
    B::ErrorType: 'static,
{
    /// Draws the axes with their ticks: the name of `y` above the frame, that of `x` below.
    pub fn new(
        area: &'a PictureArea<B>,
        frame: Frame,
        x: &Axis,
        y: &Axis,
    ) -> Result<Self, DrawError> {
        let plot = Self {
            area,
            frame,
            x: x.range,
            y: y.range,
        };
        for (value, text) in &y.ticks {
            let (_, height) = plot.at((x.range.0, *value));
            area.draw(&PathElement::new(
                [(frame.left, height), (frame.right, height)],
                FAINT.stroke_width(1),
            ))?;
            let at = (frame.left - GAP, height);
            draw_text(area, text, at, (HPos::Right, VPos::Center), INK)?;
        }
        for (value, text) in &x.ticks {
            let (across, _) = plot.at((*value, y.range.0));
            area.draw(&PathElement::new(
                [(across, frame.bottom), (across, frame.bottom + GAP / 2)],
                INK.stroke_width(1),
            ))?;
            let at = (across, frame.bottom + GAP);
            draw_text(area, text, at, (HPos::Center, VPos::Top), INK)?;
        }
        let corners = [
            (frame.left, frame.top),
            (frame.left, frame.bottom),
            (frame.right, frame.bottom),
        ];
        area.draw(&PathElement::new(corners, INK.stroke_width(1)))?;
        let above = (GAP * 2, frame.top - 2 * GAP);
        let above = (above.0.max(frame.left - 9 * GAP), above.1);
        draw_text(area, &y.name, above, (HPos::Left, VPos::Bottom), INK)?;
        let below = (frame.right, frame.bottom + 5 * GAP);
        draw_text(area, &x.name, below, (HPos::Right, VPos::Top), INK)?;
        Ok(plot)
    }

    /// The pixel of a point; one outside is put at the edge.
    #[expect(clippy::cast_possible_truncation, reason = "a pixel of the frame")]
    pub fn at(&self, (x, y): (f64, f64)) -> (i32, i32) {
        let part = |value: f64, (low, high): (f64, f64)| {
            let part = (value - low) / (high - low);
            if part.is_nan() {
                0.0
            } else {
                part.clamp(0.0, 1.0)
            }
        };
        let Frame {
            left,
            top,
            right,
            bottom,
        } = self.frame;
        let across = f64::from(right - left) * part(x, self.x);
        let up = f64::from(bottom - top) * part(y, self.y);
        (left + across.round() as i32, bottom - up.round() as i32)
    }

    /// Draws a line through points whose x does not fall; it ends at the right edge.
    pub fn line(
        &self,
        points: impl IntoIterator<Item = (f64, f64)>,
        colour: RGBColor,
    ) -> Result<(), DrawError> {
        let mut pixels: Vec<(i32, i32)> = Vec::new();
        let mut last: Option<(f64, f64)> = None;
        for point in points {
            let end = self.x.1;
            let is_outside = point.0 > end;
            let point = match last {
                Some((x, y)) if is_outside => (end, y + (point.1 - y) * (end - x) / (point.0 - x)),
                _ => point,
            };
            // A file of many events has many points at one pixel.
            let pixel = self.at(point);
            if pixels.last() != Some(&pixel) {
                pixels.push(pixel);
            }
            last = Some(point);
            if is_outside {
                break;
            }
        }
        self.area
            .draw(&PathElement::new(pixels, colour.stroke_width(3)))?;
        Ok(())
    }

    /// Draws a point.
    pub fn point(&self, at: (f64, f64), colour: RGBColor) -> Result<(), DrawError> {
        self.area
            .draw(&Circle::new(self.at(at), 8, colour.filled()))?;
        Ok(())
    }

    /// Draws a range from `low` to `high` at `x`.
    pub fn range(
        &self,
        x: f64,
        (low, high): (f64, f64),
        colour: RGBColor,
    ) -> Result<(), DrawError> {
        let ends = [self.at((x, low)), self.at((x, high))];
        self.area
            .draw(&PathElement::new(ends, colour.stroke_width(3)))?;
        for (across, height) in ends {
            let end = [(across - 7, height), (across + 7, height)];
            self.area
                .draw(&PathElement::new(end, colour.stroke_width(3)))?;
        }
        Ok(())
    }

    /// Draws a bar from the bottom.
    pub fn bar(&self, (from, to): (f64, f64), y: f64, colour: RGBColor) -> Result<(), DrawError> {
        let (left, bottom) = self.at((from, self.y.0));
        let (right, top) = self.at((to, y));
        if top < bottom {
            let corners = [(left + 1, top), (right - 1, bottom)];
            self.area.draw(&Rectangle::new(corners, colour.filled()))?;
        }
        Ok(())
    }

    /// Draws an unfilled rectangle between two points.
    pub fn outline(&self, from: (f64, f64), to: (f64, f64)) -> Result<(), DrawError> {
        let ((left, bottom), (right, top)) = (self.at(from), self.at(to));
        let corners = [
            (left, bottom),
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
        ];
        self.area
            .draw(&PathElement::new(corners, GREY.stroke_width(2)))?;
        Ok(())
    }

    /// Writes what the colours mean, line by line above the bottom, at the left or at the right.
    pub fn key(&self, lines: &[(&str, RGBColor)], side: HPos) -> Result<(), DrawError> {
        const LINE: i32 = 36;
        let count = i32::try_from(lines.len())?;
        let mut height = self.frame.bottom - count * LINE - 2 * GAP;
        let across = match side {
            HPos::Left => self.frame.left + 2 * GAP,
            _ => self.frame.right - GAP,
        };
        for (text, colour) in lines {
            draw_text(
                self.area,
                text,
                (across, height),
                (side, VPos::Center),
                *colour,
            )?;
            height += LINE;
        }
        Ok(())
    }
}

//! Pictures as PNG: drawn three times as large and made smaller, so that edges and letters are smooth.
//!
//! Text is laid out here, glyph by glyph at fractions of a pixel: plotters leaves out the space at the left of each
//! letter and rounds its place, which looks uneven.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _, point};
use plotters::prelude::BitMapBackend;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

use super::DrawError;

/// A pixel is drawn as so many by so many.
const FINE: i32 = 3;
/// plotters means by the size of a text the height of a line; this is its part that is one em.
const LINE_PER_EM: f64 = 1.24;

/// The font of the pictures; it is linked in, because a machine may have none.
pub(super) fn picture_font() -> Result<FontRef<'static>, ab_glyph::InvalidFont> {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)
}

/// The width of a text of this size, in pixels.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a width of at most some thousand pixels"
)]
pub(super) fn measure_text(font: &FontRef<'_>, text: &str, size: f64) -> f64 {
    let font = font.as_scaled(PxScale::from(size as f32));
    let mut width = 0.0;
    let mut last = None;
    for letter in text.chars() {
        let glyph = font.glyph_id(letter);
        width += last.map_or(0.0, |last| font.kern(last, glyph)) + font.h_advance(glyph);
        last = Some(glyph);
    }
    f64::from(width)
}

/// A backend of plotters that draws finely.
pub(super) struct FineBitmap<'a> {
    pixels: BitMapBackend<'a>,
    font: FontRef<'static>,
}

/// A line as wide as another is on the large picture.
struct FineStyle(BackendColor, u32);

impl BackendStyle for FineStyle {
    fn color(&self) -> BackendColor {
        self.0
    }

    fn stroke_width(&self) -> u32 {
        self.1
    }
}

fn finer<S: BackendStyle>(style: &S) -> FineStyle {
    FineStyle(style.color(), style.stroke_width() * FINE.unsigned_abs())
}

fn enlarge((x, y): BackendCoord) -> BackendCoord {
    (x * FINE, y * FINE)
}

/// The bytes of a picture of this size on the large scale, three for each pixel.
pub(super) fn allocate_fine((width, height): (u32, u32)) -> Vec<u8> {
    let fine = FINE.unsigned_abs() as usize;
    vec![255; width as usize * fine * height as usize * fine * 3]
}

impl<'a> FineBitmap<'a> {
    /// Draws into bytes of [`allocate_fine`].
    pub(super) fn new(bytes: &'a mut [u8], (width, height): (u32, u32)) -> Result<Self, DrawError> {
        let fine = FINE.unsigned_abs();
        Ok(Self {
            pixels: BitMapBackend::with_buffer(bytes, (width * fine, height * fine)),
            font: picture_font()?,
        })
    }
}

type Drawn<'a> = Result<(), DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

impl<'a> DrawingBackend for FineBitmap<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.pixels.get_size();
        (width / FINE.unsigned_abs(), height / FINE.unsigned_abs())
    }

    fn ensure_prepared(&mut self) -> Drawn<'a> {
        self.pixels.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<'a> {
        self.pixels.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, colour: BackendColor) -> Drawn<'a> {
        let (x, y) = enlarge(at);
        let opposite = (x + FINE - 1, y + FINE - 1);
        self.pixels.draw_rect((x, y), opposite, &colour, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn<'a> {
        self.pixels
            .draw_line(enlarge(from), enlarge(to), &finer(style))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn<'a> {
        self.pixels
            .draw_rect(enlarge(from), enlarge(to), &finer(style), fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn<'a> {
        self.pixels
            .draw_path(path.into_iter().map(enlarge), &finer(style))
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn<'a> {
        let radius = radius * FINE.unsigned_abs();
        self.pixels
            .draw_circle(enlarge(centre), radius, &finer(style), fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Drawn<'a> {
        self.pixels
            .fill_polygon(corners.into_iter().map(enlarge), &finer(style))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "places on a picture of some thousand pixels"
    )]
    fn draw_text<T: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &T,
        at: BackendCoord,
    ) -> Drawn<'a> {
        let size = style.size() * f64::from(FINE);
        let (x, y) = enlarge(at);
        let width = measure_text(&self.font, text, size);
        let anchor = style.anchor();
        let left = match anchor.h_pos {
            HPos::Left => 0.0,
            HPos::Center => width / 2.0,
            HPos::Right => width,
        };
        // The same places as in an SVG of plotters.
        let below = match anchor.v_pos {
            VPos::Top => 0.76,
            VPos::Center => 0.25,
            VPos::Bottom => -0.25,
        };
        let baseline = (f64::from(y) + below * size / LINE_PER_EM) as f32;
        let mut x = (f64::from(x) - left) as f32;
        let scale = PxScale::from(size as f32);
        let font = self.font.as_scaled(scale);
        let mut last = None;
        for letter in text.chars() {
            let glyph = font.glyph_id(letter);
            x += last.map_or(0.0, |last| font.kern(last, glyph));
            let placed = glyph.with_scale_and_position(scale, point(x, baseline));
            if let Some(outline) = font.outline_glyph(placed) {
                let corner = outline.px_bounds().min;
                let mut covered = Vec::new();
                outline.draw(|x, y, share| covered.push((x as i32, y as i32, share)));
                for (x, y, share) in covered {
                    let at = (corner.x as i32 + x, corner.y as i32 + y);
                    let colour = style.color().mix(f64::from(share.min(1.0)));
                    self.pixels.draw_pixel(at, colour)?;
                }
            }
            x += font.h_advance(glyph);
            last = Some(glyph);
        }
        Ok(())
    }
}

/// Writes the bytes of [`allocate_fine`] as PNG of this size: each pixel is the mean of those that it was drawn as.
pub(super) fn write_png(path: &Path, fine: &[u8], size: (u32, u32)) -> Result<(), DrawError> {
    let (width, height) = (size.0 as usize, size.1 as usize);
    let times = FINE.unsigned_abs() as usize;
    let mut bytes = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let of = |n: usize| {
                    let (row, column) = (y * times + n / times, x * times + n % times);
                    u32::from(fine[(row * width * times + column) * 3 + channel])
                };
                let sum: u32 = (0..times * times).map(of).sum();
                bytes.push(u8::try_from(sum / (FINE * FINE).unsigned_abs())?);
            }
        }
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&bytes)?;
    writer.finish()?;
    Ok(())
}

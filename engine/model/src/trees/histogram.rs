//! Sums of gradients and hessians by bin.
//!
//! Gradients are integers: scaled so that their total just fits, rounded once, and packed with the hessian into one
//! `i64`. One addition adds both. Sums do not depend on the order, so the same trees grow whatever the number of
//! threads, and the histogram of a leaf's sibling is exactly the difference from their parent. The rounding error is
//! 2^-32 of the sum over all rows.

use rayon::prelude::*;

use super::binned::LANES;

/// How many rows one training may have. With more, the rounding error of a row would not be small against its share of
/// the sum.
pub(super) const MAX_ROWS: usize = 1 << 28;

/// How many rows one task processes at least.
const ROWS_PER_TASK: usize = 4096;

/// For how many rows gradients are gathered before the blocks are processed: they fit into the first-level cache.
const ROWS_AT_ONCE: usize = 512;

/// Packed sums of each bin of the columns of one block.
pub(super) type HistogramBlock = [[i64; 256]; LANES];

/// Packed sums of each bin of each column.
pub(super) type Histogram = Vec<HistogramBlock>;

/// A gradient and a hessian, or sums of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct GradientSums {
    pub gradient: f64,
    pub hessian: f64,
}

/// The factors by which gradients and hessians are multiplied before they are rounded and packed.
#[derive(Clone, Copy)]
pub(super) struct GradientScale {
    gradient: f64,
    hessian: f64,
    per_gradient: f64,
    per_hessian: f64,
}

impl GradientScale {
    /// The scale for so many rows. `absolute` are the sums of the absolute gradients and of the hessians over all of
    /// them. `None` if there is nothing left to learn.
    #[expect(clippy::cast_precision_loss, reason = "at most MAX_ROWS")]
    pub fn new(rows: usize, absolute: GradientSums) -> Option<Self> {
        // Each row may be rounded up by one half.
        let room = 2_f64.powi(31) - 2.0 - rows as f64;
        let gradient = room / absolute.gradient;
        let hessian = 2.0 * room / absolute.hessian;
        let usable = gradient.is_finite() && hessian.is_finite();
        usable.then_some(Self {
            gradient,
            hessian,
            per_gradient: gradient.recip(),
            per_hessian: hessian.recip(),
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "within 32 bits, by the scale"
    )]
    pub fn pack(self, gradient: f64, hessian: f64) -> i64 {
        let gradient = (gradient * self.gradient).round_ties_even() as i64;
        let hessian = (hessian * self.hessian).round_ties_even() as i64;
        gradient.wrapping_shl(32).wrapping_add(hessian)
    }

    #[expect(clippy::cast_precision_loss, reason = "each half has 32 bits")]
    pub fn unpack(self, packed: i64) -> GradientSums {
        GradientSums {
            gradient: (packed >> 32) as f64 * self.per_gradient,
            hessian: (packed & 0xffff_ffff) as f64 * self.per_hessian,
        }
    }
}

/// Sums the packed gradients of the rows, by bin, into `out`, which must be zero.
pub(super) fn fill_histogram(
    blocks: &[Vec<[u8; LANES]>],
    lanes: &[usize],
    packed: &[i64],
    rows: &[u32],
    out: &mut Histogram,
) {
    let tasks = (rows.len() / ROWS_PER_TASK).min(rayon::current_num_threads());
    if tasks < 2 {
        return add_rows(blocks, lanes, packed, rows, out);
    }
    let chunk = rows.len().div_ceil(tasks);
    let parts: Vec<Histogram> = rows
        .par_chunks(chunk)
        .map(|rows| {
            let mut part = zero_histogram(out.len());
            add_rows(blocks, lanes, packed, rows, &mut part);
            part
        })
        .collect();
    for part in parts {
        combine_histograms(out, &part, i64::wrapping_add);
    }
}

/// An empty histogram.
pub(super) fn zero_histogram(blocks: usize) -> Histogram {
    vec![[[0; 256]; LANES]; blocks]
}

/// Subtracts a child's sums from those of its parent. The rest are the sums of the other child.
pub(super) fn subtract_histogram(parent: &mut Histogram, child: &Histogram) {
    combine_histograms(parent, child, i64::wrapping_sub);
}

fn combine_histograms(into: &mut Histogram, other: &Histogram, with: fn(i64, i64) -> i64) {
    let into = into.as_flattened_mut().as_flattened_mut();
    for (sum, other) in into.iter_mut().zip(other.as_flattened().as_flattened()) {
        *sum = with(*sum, *other);
    }
}

fn add_rows(
    blocks: &[Vec<[u8; LANES]>],
    lanes: &[usize],
    packed: &[i64],
    rows: &[u32],
    out: &mut Histogram,
) {
    let mut gathered = [0; ROWS_AT_ONCE];
    for rows in rows.chunks(ROWS_AT_ONCE) {
        for (to, row) in gathered.iter_mut().zip(rows) {
            *to = packed[*row as usize];
        }
        for ((bins, out), lanes) in blocks.iter().zip(out.iter_mut()).zip(lanes) {
            match lanes {
                0 => {}
                1 => add_lanes::<1>(bins, rows, &gathered, out),
                2 => add_lanes::<2>(bins, rows, &gathered, out),
                3 => add_lanes::<3>(bins, rows, &gathered, out),
                4 => add_lanes::<4>(bins, rows, &gathered, out),
                5 => add_lanes::<5>(bins, rows, &gathered, out),
                6 => add_lanes::<6>(bins, rows, &gathered, out),
                7 => add_lanes::<7>(bins, rows, &gathered, out),
                _ => add_lanes::<LANES>(bins, rows, &gathered, out),
            }
        }
    }
}

#[inline]
fn add_lanes<const N: usize>(
    bins: &[[u8; LANES]],
    rows: &[u32],
    packed: &[i64],
    out: &mut HistogramBlock,
) {
    for (row, packed) in rows.iter().zip(packed) {
        let bins = bins[*row as usize];
        for lane in 0..N {
            let sum = &mut out[lane][bins[lane] as usize];
            *sum = sum.wrapping_add(*packed);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Packed sums equal the sums but for rounding, and subtracting gives the rest exactly.
        #[test]
        fn packing_keeps_sums(pairs in prop::collection::vec((-1.0..1.0, 1e-9..0.25), 2..200)) {
            let absolute = pairs.iter().fold(GradientSums::default(), |sums, (g, h): &(f64, f64)| GradientSums {
                gradient: sums.gradient + g.abs(),
                hessian: sums.hessian + h,
            });
            let scale = GradientScale::new(pairs.len(), absolute).unwrap();
            let packed: Vec<i64> = pairs.iter().map(|(g, h)| scale.pack(*g, *h)).collect();
            let all = packed.iter().fold(0, |a: i64, b| a.wrapping_add(*b));
            let sums = scale.unpack(all);
            let gradient: f64 = pairs.iter().map(|(g, _)| g).sum();
            prop_assert!((sums.gradient - gradient).abs() <= absolute.gradient * 1e-7);
            prop_assert!((sums.hessian - absolute.hessian).abs() <= absolute.hessian * 1e-7);
            let rest = packed[1..].iter().fold(0, |a: i64, b| a.wrapping_add(*b));
            prop_assert_eq!(scale.unpack(all.wrapping_sub(packed[0])), scale.unpack(rest));
        }
    }
}

//! The training matrix: each value is replaced by the number of its bin.

use rayon::prelude::*;

use super::{TreeError, layout};

/// How many bins a column has, at most, besides the bin of missing values.
pub const MAX_BINS: usize = 255;

/// The bin of missing values.
pub(super) const MISSING: u8 = 255;

/// How many columns form a block. The bins of a row in a block are adjacent in memory and read at once.
pub(super) const LANES: usize = 8;

/// Cut points are found on a sample of this many rows, as in LightGBM (`bin_construct_sample_cnt`).
const SAMPLE: usize = 200_000;

/// A column's name and its cut points.
pub(super) struct BinnedColumn {
    pub name: String,
    /// The cut points, ascending. A value `x` is in the first bin `b` with `x <= cuts[b]`, or else in the last.
    pub cuts: Vec<f64>,
    /// Whether the rows are in more than one bin. Otherwise, no split can separate them.
    pub varies: bool,
}

impl BinnedColumn {
    fn bin(&self, value: f64) -> u8 {
        if value.is_nan() {
            return MISSING;
        }
        // At most 254 cuts, so the bin is at most 254.
        u8::try_from(self.cuts.partition_point(|cut| *cut < value)).unwrap_or(MISSING - 1)
    }

    /// The number of bins, without the bin of missing values.
    pub(super) fn bins(&self) -> usize {
        self.cuts.len() + 1
    }
}

/// The training matrix, built one column at a time.
///
/// Only bins are kept: one byte a value, in blocks of eight columns. A column has at most [`MAX_BINS`] bins of about
/// the same number of rows, and one bin for missing values (`NaN`). Infinity is a value like any other: it lies beyond
/// every cut point.
pub struct BinnedMatrix {
    rows: usize,
    pub(super) columns: Vec<BinnedColumn>,
    pub(super) blocks: Vec<Vec<[u8; LANES]>>,
}

impl BinnedMatrix {
    /// An empty matrix of so many rows.
    pub fn new(rows: usize) -> Self {
        Self {
            rows,
            columns: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Adds a column: one value a row, `NaN` where it is missing.
    ///
    /// # Errors
    /// [`TreeError::Length`] if there is not one value for each row, [`TreeError::TooManyColumns`].
    pub fn push<T>(&mut self, name: impl Into<String>, values: &[T]) -> Result<(), TreeError>
    where
        T: Copy + Into<f64> + Sync,
    {
        let name = name.into();
        if values.len() != self.rows {
            return Err(TreeError::Length {
                what: format!("column `{name}`"),
                expected: self.rows,
                found: values.len(),
            });
        }
        if self.columns.len() >= layout::MAX_FEATURES {
            return Err(TreeError::TooManyColumns {
                columns: self.columns.len() + 1,
                most: layout::MAX_FEATURES,
            });
        }
        let lane = self.columns.len() % LANES;
        if lane == 0 {
            self.blocks.push(vec![[0; LANES]; self.rows]);
        }
        let cuts = find_cut_points(sample_values(values));
        let missing = values.iter().filter(|value| (**value).into().is_nan());
        let missing = missing.count();
        let column = BinnedColumn {
            name,
            varies: !cuts.is_empty() || (missing > 0 && missing < self.rows),
            cuts,
        };
        if let Some(block) = self.blocks.last_mut() {
            let pairs = block.par_iter_mut().zip(values);
            pairs
                .with_min_len(4096)
                .for_each(|(bins, value)| bins[lane] = column.bin((*value).into()));
        }
        self.columns.push(column);
        Ok(())
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// The columns' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The matrix's size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let cuts: usize = self.columns.iter().map(|c| c.cuts.len() * 8).sum();
        cuts + self.blocks.len() * self.rows * LANES
    }

    pub(super) fn bin(&self, row: u32, feature: usize) -> u8 {
        self.blocks[feature / LANES][row as usize][feature % LANES]
    }
}

/// The values that are not missing, sorted; of many values, only every n-th.
fn sample_values<T: Copy + Into<f64>>(values: &[T]) -> Vec<f64> {
    // The stride is odd, so that a repeating pattern of even length is sampled evenly.
    let stride = (values.len() / SAMPLE).max(1) | 1;
    let mut sample: Vec<f64> = values
        .iter()
        .step_by(stride)
        .map(|value| (*value).into())
        .filter(|value| !value.is_nan())
        .collect();
    sample.par_sort_unstable_by(f64::total_cmp);
    sample
}

/// Finds cut points for a sorted sample. Few distinct values get a bin each. Many get bins of about the same number of
/// rows, where a value that is frequent enough to fill a bin has its own (as LightGBM does).
fn find_cut_points(sorted: Vec<f64>) -> Vec<f64> {
    let mut distinct: Vec<(f64, usize)> = Vec::new();
    let total = sorted.len();
    for value in sorted {
        match distinct.last_mut() {
            Some((last, count)) if *last >= value => *count += 1,
            _ => distinct.push((value, 1)),
        }
    }
    if distinct.len() <= MAX_BINS {
        return distinct
            .windows(2)
            .map(|pair| find_number_between(pair[0].0, pair[1].0))
            .collect();
    }
    let full = |count: usize| count * MAX_BINS >= total;
    let big = distinct.iter().filter(|(_, count)| full(*count));
    let (big_values, big_rows) = big.fold((0, 0), |(n, rows), (_, count)| (n + 1, rows + count));
    let mut bins_left = MAX_BINS - big_values;
    let mut rows_left = total - big_rows;
    let mut cuts = Vec::with_capacity(MAX_BINS - 1);
    let mut in_bin = 0;
    for pair in distinct.windows(2) {
        let [(value, count), (next, next_count)] = [pair[0], pair[1]];
        in_bin += count;
        if !full(count) {
            rows_left -= count;
        }
        // Before a frequent value, a bin is closed early if it is at least half full.
        let is_full = in_bin * bins_left.max(1) >= rows_left + in_bin;
        let half = in_bin * 2 * bins_left.max(1) >= rows_left + in_bin;
        if full(count) || is_full || (full(next_count) && half) {
            if cuts.len() + 1 == MAX_BINS {
                break;
            }
            cuts.push(find_number_between(value, next));
            if !full(count) {
                bins_left = bins_left.saturating_sub(1);
            }
            in_bin = 0;
        }
    }
    cuts
}

/// A number in `[a, b)`, in the middle if possible.
fn find_number_between(a: f64, b: f64) -> f64 {
    let middle = a.max(f64::MIN).midpoint(b.min(f64::MAX));
    if middle < b { middle } else { a }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cuts(values: &[f64]) -> Vec<f64> {
        let mut matrix = BinnedMatrix::new(values.len());
        matrix.push("x", values).unwrap();
        matrix.columns[0].cuts.clone()
    }

    #[test]
    fn few_values_have_a_bin_each() {
        assert_eq!(cuts(&[3.0, 1.0, f64::NAN, 1.0, 2.0]), [1.5, 2.5]);
        assert!(cuts(&[7.0, 7.0]).is_empty());
        assert!(cuts(&[f64::NAN]).is_empty());
        assert!(cuts(&[]).is_empty());
    }

    #[test]
    fn infinities_are_values() {
        let found = cuts(&[f64::NEG_INFINITY, 0.0, f64::INFINITY]);
        assert_eq!(found, [f64::MIN / 2.0, f64::MAX / 2.0]);
        let next = 1.0_f64.next_up();
        assert_eq!(cuts(&[1.0, next]), [1.0]);
    }

    #[test]
    fn a_frequent_value_has_a_bin_of_its_own() {
        let values: Vec<f64> = (0..10_000)
            .map(|i| if i % 2 == 0 { 500.5 } else { f64::from(i) })
            .collect();
        let found = cuts(&values);
        assert!(
            found.len() > 200 && found.len() < MAX_BINS,
            "{}",
            found.len()
        );
        let bin = found.partition_point(|cut| *cut < 500.5);
        assert!(found[bin - 1] >= 499.0 && found[bin] < 502.0);
    }

    #[test]
    fn a_column_of_another_length_is_refused() {
        let error = BinnedMatrix::new(2).push("amount", &[1.0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column `amount` has 1 values, but the matrix has 2 rows"
        );
    }

    proptest! {
        /// A value's bin tells on which side of every cut the value is.
        #[test]
        fn bins_follow_cuts(values in prop::collection::vec(prop_oneof![
            any::<f64>(), (0..50i32).prop_map(f64::from), (-1e3..1e3)
        ], 1..1500)) {
            let mut matrix = BinnedMatrix::new(values.len());
            matrix.push("x", &values).unwrap();
            let cuts = &matrix.columns[0].cuts;
            prop_assert!(cuts.len() < MAX_BINS);
            prop_assert!(cuts.windows(2).all(|pair| pair[0] < pair[1]));
            for (row, value) in (0..).zip(&values) {
                let bin = matrix.bin(row, 0);
                prop_assert_eq!(bin == MISSING, value.is_nan());
                if !value.is_nan() {
                    for (b, cut) in cuts.iter().enumerate() {
                        prop_assert_eq!(*value <= *cut, usize::from(bin) <= b);
                    }
                }
            }
        }
    }
}

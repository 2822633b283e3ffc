//! Columns whose numbers are written `1.234,5`.

use super::csv_file::RowCells;

/// Finds the columns of such numbers, and rewrites their cells in the sample with a decimal point.
pub(super) fn replace_decimal_commas(headers: &[String], sample: &mut [RowCells]) -> Vec<String> {
    let mut found = Vec::new();
    for (column, header) in headers.iter().enumerate() {
        if !has_decimal_commas(sample.iter().filter_map(|row| row.get(column)?.as_deref())) {
            continue;
        }
        found.push(header.clone());
        let cells = sample
            .iter_mut()
            .filter_map(|row| row.get_mut(column)?.as_mut());
        for cell in cells {
            *cell = write_decimal_point(cell);
        }
    }
    found
}

/// Whether nearly all values are numbers with a comma before the decimals, as in `1.234,5`, and at least one is so
/// without doubt: in `1,234` the comma may separate thousands.
pub(super) fn has_decimal_commas<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = |text: &str| {
        let mut thousands = text.trim_start_matches('-').split('.');
        thousands.next().is_some_and(digits)
            && thousands.all(|part| part.len() == 3 && digits(part))
    };
    let (mut many, mut fitting, mut certain) = (0_usize, 0_usize, false);
    for value in values {
        many += 1;
        fitting += usize::from(match value.split_once(',') {
            None => is_whole(value),
            Some((whole, decimals)) => {
                let fits = is_whole(whole) && digits(decimals);
                certain |= fits && (decimals.len() != 3 || whole == "0");
                fits
            }
        });
    }
    certain && fitting * 100 >= many * 98
}

/// Rewrites `1.234,5` as `1234.5`.
pub(super) fn write_decimal_point(number: &str) -> String {
    number.replace('.', "").replace(',', ".")
}

//! Values and numbers as a person may read them.

/// A value of an order as a person may read it. What a customer typed at a checkout must not move the cursor of the
/// reader's terminal.
pub(crate) fn printable_value(value: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    value.chars().map(plain).collect()
}

/// As [`printable_value`], cut after `longest` characters.
pub(crate) fn cut_value(value: &str, longest: usize) -> String {
    let mut text: String = printable_value(value).chars().take(longest).collect();
    if value.chars().nth(longest).is_some() {
        text.push('…');
    }
    text
}

/// A whole number with commas between thousands.
pub(crate) fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(group_thousands(number), want);
        }
    }
}

//! Names that are broken into lines, so that they are whole whatever their length.

/// Breaks a name into lines of at most `most` as `width` measures them: after a space, a comma or a mark such as `_`
/// where there is one in the second half of the line, otherwise where the line is full.
pub(super) fn break_name(name: &str, most: f64, width: impl Fn(&str) -> f64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = name.chars().collect();
    while !rest.is_empty() {
        let fits = |letters: usize| width(&rest[..letters].iter().collect::<String>()) <= most;
        // A line has a letter at least, however narrow it is.
        let full = (2..=rest.len())
            .take_while(|letters| fits(*letters))
            .last()
            .unwrap_or(1);
        let is_mark = |place: &usize| matches!(rest[place - 1], ' ' | ',' | '_' | '.' | '-' | '/');
        let end = if full == rest.len() {
            full
        } else {
            (full / 2 + 1..=full).rev().find(is_mark).unwrap_or(full)
        };
        let line: String = rest.drain(..end).collect();
        lines.push(line.trim().to_owned());
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole() {
        #[expect(clippy::cast_precision_loss, reason = "a few letters")]
        let letters = |text: &str| text.chars().count() as f64;
        for (name, lines) in [
            ("amount", &["amount"][..]),
            ("", &[""]),
            ("shipping_country_code", &["shipping_", "country_code"]),
            ("history of entity", &["history of", "entity"]),
            ("abcdefghijklmnopqrstuvw", &["abcdefghijkl", "mnopqrstuvw"]),
            ("прибыль_магазина", &["прибыль_", "магазина"]),
        ] {
            assert_eq!(break_name(name, 12.0, letters), lines, "{name}");
        }
    }
}

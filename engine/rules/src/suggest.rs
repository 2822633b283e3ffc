//! Suggestions for misspelt names.

/// The known name closest to `name`, if it is close enough to be a typing error.
pub(crate) fn find_nearest<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    // A third of the letters may differ: `scor` means `score`, but `city` does not mean `avs`.
    let allowed = (name.len() / 3).max(1);
    known
        .map(|known| (strsim::osa_distance(&name, known), known))
        .filter(|&(distance, _)| distance <= allowed)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_nearest(name: &str, want: Option<&str>) {
        let known = ["amount", "score", "email", "email_domain", "ip"];
        assert_eq!(find_nearest(name, known.into_iter()), want, "{name}");
    }

    #[test]
    fn typing_errors() {
        check_nearest("scor", Some("score"));
        check_nearest("amuont", Some("amount"));
        check_nearest("EMAIL", Some("email"));
        check_nearest("email_domian", Some("email_domain"));
        check_nearest("phone", None);
        check_nearest("", None);
    }
}

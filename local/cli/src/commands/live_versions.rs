//! Which versions of a detector judge live orders, for people and for programs.

use engine::{LiveVersions, VersionRollout};
use serde_json::json;

use super::CommandError;
use super::output::print_result;

/// Prints which versions of a detector judge.
pub(super) fn print_live_versions(
    json: bool,
    detector: &str,
    live: &LiveVersions,
) -> Result<(), CommandError> {
    let rollout = live.rollout.as_ref().map(|rollout| {
        json!({ "version": rollout.version, "share": f64::from(rollout.share) / f64::from(VersionRollout::BUCKETS) })
    });
    let value = json!({
        "detector": detector, "active": live.active, "shadow": live.shadow, "rollout": rollout,
    });
    let text = format!("detector {detector}: {}\n", describe_live_versions(live));
    print_result(json, &value, text)
}

/// Which versions judge, in one line.
pub(super) fn describe_live_versions(live: &LiveVersions) -> String {
    let active = live.active.map_or("none".to_owned(), |it| it.to_string());
    let shadow = live.shadow.map_or("none".to_owned(), |it| it.to_string());
    let decides = match &live.rollout {
        None => format!("version {active} decides"),
        Some(VersionRollout { version, share }) => {
            let share = format_percent(*share);
            format!(
                "version {version} decides on {share} of the entities, version {active} on the others"
            )
        }
    };
    format!("{decides}; shadow: {shadow}")
}

/// A share of 10,000 as percent: `12.5 %`.
pub(super) fn format_percent(share: u32) -> String {
    format!("{} %", f64::from(share) / 100.0)
}

/// Parses a share such as `10%` or `0.5%` to how many of 10,000 it is.
pub(super) fn parse_share(text: &str) -> Result<u32, String> {
    let invalid = || {
        format!("`{text}` is no share: write a number of percent from 0.01% to 100%, such as 10%")
    };
    let number = text.trim().strip_suffix('%').ok_or_else(invalid)?.trim();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 3
        || part.len() > 2
        || !is_number(whole)
        || !is_number(part)
    {
        return Err(invalid());
    }
    let share: u32 = format!("{whole}{part:0<2}")
        .parse()
        .map_err(|_| invalid())?;
    if (1..=VersionRollout::BUCKETS).contains(&share) {
        Ok(share)
    } else {
        Err(invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        for (text, want) in [
            ("1%", Some(100)),
            ("10 %", Some(1_000)),
            ("0.5%", Some(50)),
            ("12.25%", Some(1_225)),
            ("100%", Some(10_000)),
            ("0%", None),
            ("0.001%", None),
            ("100.01%", None),
            ("10", None),
            ("-1%", None),
            ("%", None),
            ("ten%", None),
        ] {
            assert_eq!(parse_share(text).ok(), want, "{text}");
        }
        assert_eq!(format_percent(1_225), "12.25 %");
        assert_eq!(format_percent(1_000), "10 %");
    }
}

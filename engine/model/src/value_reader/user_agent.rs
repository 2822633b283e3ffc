//! User agents of browsers and programs.

use super::measure::{ReadValue, count_to_f64, flag_to_f64};
use crate::hash::hash_with_salt;

/// What tells the operating system. The first that fits counts: specific ones come before general ones.
const SYSTEMS: [&str; 14] = [
    "Windows Phone",
    "Windows NT 10",
    "Windows",
    "Android",
    "iPhone",
    "iPad",
    "iPod",
    "CrOS",
    "Mac OS X",
    "Macintosh",
    "Linux",
    "X11",
    "Darwin",
    "Java",
];

/// What tells the browser. The first that fits counts.
const BROWSERS: [&str; 16] = [
    "Edg",
    "OPR/",
    "Opera",
    "SamsungBrowser",
    "CriOS",
    "FxiOS",
    "Chrome/",
    "Firefox/",
    "Trident",
    "MSIE",
    "Safari/",
    "Dalvik",
    "okhttp",
    "curl",
    "python",
    "AppleWebKit",
];

pub(super) fn read_user_agent(text: &str, into: &mut ReadValue) {
    let first = |marks: &[&str]| marks.iter().position(|mark| text.contains(mark));
    let system = first(&SYSTEMS);
    let browser = first(&BROWSERS);
    let version = browser.and_then(|at| find_major_version(text, BROWSERS[at]));
    let mobile = ["Mobile", "Android", "iPhone", "iPad", "iPod"]
        .iter()
        .any(|mark| text.contains(mark));
    let bot = [
        "bot", "spider", "crawl", "Headless", "python", "curl", "Bot",
    ]
    .iter()
    .any(|mark| text.contains(mark));
    into.numbers.extend([
        count_to_f64(text.len()),
        version.unwrap_or(f64::NAN),
        flag_to_f64(mobile),
        flag_to_f64(bot),
    ]);
    let code = |place: Option<usize>| {
        u8::try_from(place.map_or(255, |place| place.min(254))).unwrap_or(255)
    };
    let (system, browser) = (code(system), code(browser));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a version; saturates"
    )]
    let version = version.unwrap_or(0.0) as u32;
    let mut whole = vec![system, browser];
    whole.extend(version.to_le_bytes());
    into.keys.extend([
        hash_with_salt(13, &[system]),
        hash_with_salt(14, &[system, browser]),
        hash_with_salt(15, &whole),
        hash_with_salt(16, text.as_bytes()),
    ]);
}

/// The number after a browser's name.
fn find_major_version(text: &str, browser: &str) -> Option<f64> {
    // Safari tells its version elsewhere.
    let mark = if browser == "Safari/" {
        "Version/"
    } else {
        browser
    };
    let rest = &text[text.find(mark)? + mark.len()..];
    let start = rest.find(|c: char| c.is_ascii_digit())?;
    let digits: String = rest[start..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse::<f64>().ok().filter(|_| start < 8)
}

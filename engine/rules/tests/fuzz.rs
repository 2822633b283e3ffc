//! Random rules for two seconds on every run. The fuzz target `rule` can run longer: `tests/fuzz.sh 60 rule`.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// A small generator (xorshift), so that a run can be repeated by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

const SCRAPS: &[&str] = &[
    "$s",
    "$i",
    "$f",
    "$b",
    "$d",
    "@l",
    "\"",
    "\\",
    "(",
    ")",
    "[",
    "]",
    ",",
    "-",
    "!",
    "and",
    "or",
    "in",
    "not in",
    "==",
    "!=",
    "<",
    ">=",
    "+",
    "%",
    "/",
    "null",
    "true",
    "1",
    "0.0",
    "9223372036854775807",
    "-9223372036854775808",
    "regex_match(",
    "lowercase(",
    "isbefore(",
    "getepochmilliseconds(",
    "getcurrentdatetime()",
    "\"2019-11-30T01:01:01Z\"",
    "#",
    "\n",
    "é",
    "\".*\\d\"",
    "\u{0}",
    "=",
    "&&",
    "'",
];

fn read_seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect()
}

fn random_bytes(random: &mut Random) -> Vec<u8> {
    let length = random.below(200);
    (0..length)
        .map(|_| u8::try_from(random.below(256)).unwrap())
        .collect()
}

fn random_scraps(random: &mut Random) -> Vec<u8> {
    let count = random.below(14);
    let words: Vec<&str> = (0..count).map(|_| *random.pick(SCRAPS)).collect();
    words.join(" ").into_bytes()
}

fn mutate_seed(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.pick(seeds).clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + random.below(4)).min(bytes.len());
        let scrap = random.pick(SCRAPS).bytes();
        bytes.splice(at..end, scrap);
    }
    bytes
}

#[test]
fn nothing_panics() {
    let seeds = read_seeds();
    let now = Instant::now();
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() | 1;
    let mut random = Random(seed);
    while now.elapsed() < Duration::from_secs(2) {
        let data = match random.below(3) {
            0 => random_bytes(&mut random),
            1 => random_scraps(&mut random),
            _ => mutate_seed(&mut random, &seeds),
        };
        let result = std::panic::catch_unwind(|| rules::fuzz::check_bytes(&data));
        assert!(
            result.is_ok(),
            "seed {seed}: {:?}",
            String::from_utf8_lossy(&data)
        );
    }
}

#[test]
fn the_longest_and_deepest_rules() {
    for scrap in SCRAPS {
        for text in [
            scrap.repeat(4096 / scrap.len()),
            format!("{scrap} ").repeat(500),
        ] {
            rules::fuzz::check_bytes(text.as_bytes());
        }
    }
    for (open, close) in [
        ("(", ")"),
        ("!(", ")"),
        ("lowercase(", ")"),
        ("1 + (", ")"),
        ("$b or $b and (", ")"),
    ] {
        for levels in [10, 60, 64, 65, 200] {
            let text = format!("{}$b{}", open.repeat(levels), close.repeat(levels));
            rules::fuzz::check_bytes(text.as_bytes());
        }
    }
}

//! A column of texts, each distinct one kept once.

use rustc_hash::FxHashMap;

use crate::hash::hash_bytes;

/// Texts, each distinct one kept once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    /// For each row the number of its text, [`Texts::MISSING`] if it has none.
    pub codes: Vec<u32>,
    joined: String,
    ends: Vec<usize>,
    places: FxHashMap<u64, u32>,
}

impl Texts {
    /// Stands for a missing text.
    pub const MISSING: u32 = u32::MAX;

    /// Appends a row.
    pub fn push(&mut self, text: Option<&str>) {
        let code = text.map_or(Self::MISSING, |text| self.intern(text));
        self.codes.push(code);
    }

    fn intern(&mut self, text: &str) -> u32 {
        let mut hash = hash_bytes(text.as_bytes());
        loop {
            match self.places.get(&hash) {
                None => {
                    let place = u32::try_from(self.ends.len()).unwrap_or(Self::MISSING);
                    self.joined.push_str(text);
                    self.ends.push(self.joined.len());
                    self.places.insert(hash, place);
                    return place;
                }
                Some(&place) if self.get(place as usize) == text => return place,
                Some(_) => hash = hash.wrapping_add(1),
            }
        }
    }

    /// How many distinct texts there are.
    pub fn distinct_count(&self) -> usize {
        self.ends.len()
    }

    /// The text of this number.
    pub fn get(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.joined[start..self.ends[place]]
    }

    /// The distinct texts, by number.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.distinct_count()).map(|place| self.get(place))
    }

    /// The text of a row.
    pub fn text_of_row(&self, row: usize) -> Option<&str> {
        let code = self.codes[row];
        (code != Self::MISSING).then(|| self.get(code as usize))
    }
}

//! Places of events: pairs of variables with coordinates, and how far and how fast a key moves.

use serde::{Deserialize, Serialize};

use crate::names::split_words;
use crate::variable::Variable;

/// How many places are kept of an event, such as where the customer lives and where the shop is.
pub const PLACES: usize = 2;

/// The features of one place: see [`compute_place_features`].
pub(super) const PLACE_FEATURES: [&str; 3] = ["km from usual", "km from last", "km/h from last"];

/// Words for a latitude, and for the longitude that belongs to it, in lower case.
const LATITUDES: [&str; 4] = ["lat", "latitude", "breitengrad", "latitud"];
const LONGITUDES: [&str; 6] = ["lon", "lng", "long", "longitude", "laengengrad", "longitud"];

/// Cells in one degree: a cell has at most 1.1 km in each direction, so that a history stays small.
const CELLS_PER_DEGREE: f64 = 100.0;
/// Cells around the equator.
const CELLS_AROUND: u32 = 36_000;
/// The mean radius of the earth.
const EARTH_KM: f64 = 6371.0;
const SECONDS_PER_HOUR: f64 = 3600.0;

/// A point on the earth, to a hundredth of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(u32);

impl Place {
    /// The place with these coordinates in degrees. `None` outside -90 to 90 and -180 to 180, and for 0, 0, which stands
    /// for coordinates that are not known.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let is_known = latitude != 0.0 || longitude != 0.0;
        let is_valid = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        if !(is_known && is_valid) {
            return None;
        }
        let cell = |degrees: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "at most 36,000 and not negative"
            )]
            let cell = (degrees * CELLS_PER_DEGREE).round() as u32;
            cell
        };
        Some(Self(
            cell(latitude + 90.0) * CELLS_AROUND + cell(longitude + 180.0) % CELLS_AROUND,
        ))
    }

    /// Latitude and longitude, in degrees.
    fn degrees(self) -> (f64, f64) {
        let degrees = |cell: u32| f64::from(cell) / CELLS_PER_DEGREE;
        (
            degrees(self.0 / CELLS_AROUND) - 90.0,
            degrees(self.0 % CELLS_AROUND) - 180.0,
        )
    }

    /// The distance to another place along the earth's surface.
    pub(super) fn km_to(self, other: Self) -> f64 {
        let (latitude, longitude) = other.degrees();
        self.km_to_degrees(latitude, longitude)
    }

    /// The distance to these coordinates, by the haversine formula.
    fn km_to_degrees(self, latitude: f64, longitude: f64) -> f64 {
        let (own_latitude, own_longitude) = self.degrees();
        let half_sine = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let across = own_latitude.to_radians().cos() * latitude.to_radians().cos();
        let chord =
            half_sine(latitude - own_latitude) + across * half_sine(longitude - own_longitude);
        2.0 * EARTH_KM * chord.clamp(0.0, 1.0).sqrt().asin()
    }

    /// The distance to the middle of some places: the median of their latitudes and of their longitudes, which a single
    /// journey does not move.
    fn km_to_middle(self, places: &[Self]) -> Option<f64> {
        let (_, own_longitude) = self.degrees();
        let mut latitudes = Vec::with_capacity(places.len());
        // Seen from here, so that places on both sides of the date line are near each other.
        let mut eastward = Vec::with_capacity(places.len());
        for place in places {
            let (latitude, longitude) = place.degrees();
            latitudes.push(latitude);
            eastward.push((longitude - own_longitude + 540.0).rem_euclid(360.0) - 180.0);
        }
        let (latitude, east) = (take_median(latitudes)?, take_median(eastward)?);
        Some(self.km_to_degrees(latitude, own_longitude + east))
    }
}

fn take_median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The features of a place of an event at `time`: the distance from the middle of the earlier places, the distance from
/// the last of them, and the speed that it takes to come from there. `before` are the times in seconds and the places of
/// earlier events, the oldest first. `NaN` where nothing is known.
pub(super) fn compute_place_features(
    time: i64,
    place: Option<Place>,
    before: &[(i64, Place)],
) -> [f64; PLACE_FEATURES.len()] {
    let (Some(place), Some((last_time, last))) = (place, before.last()) else {
        return [f64::NAN; PLACE_FEATURES.len()];
    };
    let places: Vec<Place> = before.iter().map(|(_, place)| *place).collect();
    let usual = place.km_to_middle(&places).unwrap_or(f64::NAN);
    let moved = place.km_to(*last);
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let seconds = time.saturating_sub(*last_time).max(1) as f64;
    [usual, moved, moved / seconds * SECONDS_PER_HOUR]
}

/// The two variables that tell where something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceVariables {
    /// The variable with the latitude in degrees.
    pub latitude: String,
    /// The variable with the longitude in degrees.
    pub longitude: String,
}

/// Finds pairs of variables that are named as the latitude and the longitude of the same thing, such as `ip_lat` and
/// `ip_lon`: at most [`PLACES`], in the order of the variables.
pub(super) fn find_places(variables: &[&Variable]) -> Vec<PlaceVariables> {
    let of_kind = |words: &'static [&'static str]| {
        variables
            .iter()
            .filter_map(move |variable| Some((name_rest(&variable.name, words)?, &variable.name)))
    };
    let longitudes: Vec<_> = of_kind(&LONGITUDES).collect();
    of_kind(&LATITUDES)
        .filter_map(|(rest, latitude)| {
            let (_, longitude) = longitudes.iter().find(|(other, _)| *other == rest)?;
            Some(PlaceVariables {
                latitude: latitude.clone(),
                longitude: (*longitude).clone(),
            })
        })
        .take(PLACES)
        .collect()
}

/// The words of a name without the one of `words` that is among them; `None` if none is.
fn name_rest(name: &str, words: &[&str]) -> Option<Vec<String>> {
    let mut rest = split_words(name);
    let at = rest
        .iter()
        .position(|word| words.contains(&word.as_str()))?;
    rest.remove(at);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::variable::VariableType;

    fn place(latitude: f64, longitude: f64) -> Place {
        Place::new(latitude, longitude).unwrap()
    }

    #[test]
    fn places_are_found_by_their_names() {
        for (names, expected) in [
            ("lat long", "lat+long"),
            ("ip_lon ip_lat", "ip_lat+ip_lon"),
            (
                "lat long merch_lat merch_long",
                "lat+long merch_lat+merch_long",
            ),
            ("homeLatitude homeLongitude", "homeLatitude+homeLongitude"),
            ("Breitengrad Längengrad", "Breitengrad+Längengrad"),
            ("home_lat shop_lon", ""),
            ("flat platform long_text", ""),
        ] {
            let variables: Vec<Variable> = names
                .split(' ')
                .map(|name| Variable::new(name, VariableType::Numeric))
                .collect();
            let found = find_places(&variables.iter().collect::<Vec<_>>());
            let found: Vec<String> = found
                .into_iter()
                .map(|place| format!("{}+{}", place.latitude, place.longitude))
                .collect();
            assert_eq!(found.join(" "), expected, "{names}");
        }
    }

    #[test]
    fn distances() {
        let berlin = place(52.52, 13.405);
        for (other, km) in [
            (place(48.137, 11.575), 504.0),
            (place(40.713, -74.006), 6385.0),
            (berlin, 0.0),
        ] {
            let found = berlin.km_to(other);
            assert!((found - km).abs() <= 2.0, "{found} is not {km}");
        }
        let [usual, moved, speed] = compute_place_features(
            7200,
            Some(place(0.0, 179.9)),
            &[(0, place(0.0, -179.9)), (3600, place(0.0, -179.8))],
        );
        assert!((usual - 33.0).abs() < 2.0, "{usual}");
        assert!((moved - 33.0).abs() < 2.0 && (speed - moved).abs() < 1e-9);
    }

    #[test]
    fn coordinates_that_are_none() {
        for (latitude, longitude) in [
            (0.0, 0.0),
            (90.1, 0.0),
            (0.0, -180.1),
            (f64::NAN, 1.0),
            (1.0, f64::INFINITY),
        ] {
            assert_eq!(Place::new(latitude, longitude), None);
        }
    }

    proptest! {
        #[test]
        fn a_place_is_near_its_coordinates(latitude in -90.0..=90.0_f64, longitude in -180.0..=180.0_f64) {
            if let Some(place) = Place::new(latitude, longitude) {
                let km = place.km_to_degrees(latitude, longitude);
                prop_assert!(km < 0.8, "{km}");
                prop_assert!(place.km_to(place).abs() < 1e-6);
            }
        }

        #[test]
        fn a_distance_is_the_same_both_ways(one in any::<(i8, i8)>(), other in any::<(i8, i8)>()) {
            let place = |(latitude, longitude): (i8, i8)| Place::new(f64::from(latitude) / 2.0, f64::from(longitude));
            if let (Some(one), Some(other)) = (place(one), place(other)) {
                prop_assert!((one.km_to(other) - other.km_to(one)).abs() < 1e-6);
                prop_assert!(one.km_to(other) <= EARTH_KM * std::f64::consts::PI + 1e-6);
            }
        }
    }
}

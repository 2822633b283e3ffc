//! Variables made from an IP address with the IP location files of the operator.

use std::net::IpAddr;

use serde::Deserialize;

use crate::locations::{GeoPoint, Locations};
use crate::short_or_long::ShortOrLong;
use crate::value_source::{Document, ValueSource};

/// What a variable gets of an IP address.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AddressLookup {
    /// The code of its country.
    Country,
    /// The number of its autonomous system.
    Asn,
    /// The distance to another address, or to coordinates in the order, in kilometres.
    KmTo(ShortOrLong<CoordinateSources>),
}

/// `{latitude, longitude}`, in degrees.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoordinateSources {
    latitude: ValueSource,
    longitude: ValueSource,
}

impl AddressLookup {
    /// The value for `address`; `None` if the files do not know it or the order has nothing to measure the distance to.
    ///
    /// # Errors
    /// A phrase that says what is not an address or not coordinates, or which file is missing. It quotes no value.
    pub(crate) fn read(
        &self,
        address: &str,
        document: &Document<'_>,
        locations: &Locations,
    ) -> Result<Option<String>, String> {
        let address = parse_ip(address)?;
        let told = match self {
            Self::Country => locations
                .country(address)
                .map(|code| code.map(str::to_owned)),
            Self::Asn => locations
                .asn(address)
                .map(|number| number.map(|number| number.to_string())),
            Self::KmTo(to) => {
                let from = locations
                    .coordinates(address)
                    .map_err(|error| error.to_string())?;
                let to = read_point(to, document, locations)?;
                // Whole kilometres: the location of an address is no more precise than a city.
                Ok(from
                    .zip(to)
                    .map(|(from, to)| format!("{:.0}", from.km_to(to))))
            }
        };
        told.map_err(|error| error.to_string())
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "is not an IP address".to_owned())
}

fn read_point(
    to: &ShortOrLong<CoordinateSources>,
    document: &Document<'_>,
    locations: &Locations,
) -> Result<Option<GeoPoint>, String> {
    match to {
        ShortOrLong::Short(source) => match source.read(document)? {
            Some(text) => locations
                .coordinates(parse_ip(&text)?)
                .map_err(|error| error.to_string()),
            None => Ok(None),
        },
        ShortOrLong::Long(CoordinateSources {
            latitude,
            longitude,
        }) => {
            let (latitude, longitude) = (latitude.read(document)?, longitude.read(document)?);
            let Some((latitude, longitude)) = latitude.zip(longitude) else {
                return Ok(None);
            };
            let degrees = |text: &str| text.parse().ok();
            degrees(&latitude)
                .zip(degrees(&longitude))
                .and_then(|(latitude, longitude)| GeoPoint::new(latitude, longitude))
                .map(Some)
                .ok_or_else(|| {
                    "has no latitude from -90 to 90 and longitude from -180 to 180".to_owned()
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::mapping::Mapping;

    fn mapping(variable: &str) -> Result<Mapping, String> {
        let text = format!(
            "event_type: order
detector: orders
event: {{id: /id, timestamp: /at, entity: {{type: customer, id: [/customer]}}}}
variables:
  x: {variable}
decision: {{outcome_priority: [review], on_undetermined: [review], on_no_match: [review]}}
"
        );
        Mapping::parse("mapping.yaml", &text).map_err(|error| error.to_string())
    }

    fn locations(names: &[&str]) -> Arc<Locations> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/locations");
        let paths: Vec<_> = names
            .iter()
            .map(|name| format!("{folder}/{name}.mmdb"))
            .collect();
        Arc::new(Locations::read(&paths).unwrap())
    }

    fn tell(mapping: &Mapping, order: &str) -> String {
        let mut value: Value = serde_json::from_str(order).unwrap();
        value["id"] = "1".into();
        value["at"] = "2026-06-01T10:15:30Z".into();
        let order = mapping.map_order(&value).unwrap();
        match (order.variables.get("x"), order.data_quality.as_slice()) {
            (Some(value), []) => value.expose().to_owned(),
            (None, []) => "-".to_owned(),
            (None, [quality]) if quality.undetermined => {
                format!("undetermined: {}", quality.problem)
            }
            (None, [quality]) => format!("omitted: {}", quality.problem),
            (value, quality) => format!("{value:?} {quality:?}"),
        }
    }

    #[track_caller]
    fn check(variable: &str, order: &str, want: &str) {
        let got = match mapping(variable) {
            Ok(mapping) => tell(&mapping.with_locations(locations(&["city", "asn"])), order),
            Err(error) => error,
        };
        assert_eq!(got, want, "{variable} {order}");
    }

    #[test]
    fn country_and_asn() {
        let country = "{from: /ip, locate: country}";
        check(country, r#"{"ip":"198.18.3.4"}"#, "US");
        check(country, r#"{"ip":"2001:db8::1"}"#, "JP");
        check(country, r#"{"ip":" 198.19.0.1 "}"#, "DE");
        check(
            "{from: /ip, locate: asn}",
            r#"{"ip":"198.18.3.4"}"#,
            "64496",
        );
        check(
            "{from: /ip, locate: asn, type: INTEGER}",
            r#"{"ip":"198.18.3.4"}"#,
            "64496",
        );
        check(
            "{from: '.ips | split(\", \") | .[0]', locate: country}",
            r#"{"ips":"203.0.113.7, 10.0.0.1"}"#,
            "GB",
        );
    }

    #[test]
    fn kilometres() {
        let address = "{from: /ip, locate: {km_to: /last_ip}}";
        check(
            address,
            r#"{"ip":"198.19.0.1","last_ip":"203.0.113.7"}"#,
            "932",
        );
        check(
            address,
            r#"{"ip":"198.19.0.1","last_ip":"198.19.9.9"}"#,
            "0",
        );
        check(address, r#"{"ip":"198.19.0.1"}"#, "-");
        check(address, r#"{"ip":"198.19.0.1","last_ip":"10.0.0.1"}"#, "-");
        check(
            address,
            r#"{"ip":"198.19.0.1","last_ip":"home"}"#,
            "undetermined: is not an IP address",
        );
        let point = "{from: /ip, locate: {km_to: {latitude: /lat, longitude: .lon}}, type: FLOAT}";
        check(
            point,
            r#"{"ip":"198.19.0.1","lat":51.5074,"lon":"-0.1278"}"#,
            "932",
        );
        check(point, r#"{"ip":"198.19.0.1","lat":51.5074}"#, "-");
        check(point, r#"{"ip":"192.0.2.1","lat":51.5,"lon":0}"#, "-");
        for lat in [r#""north""#, "91", r#""NaN""#] {
            check(
                point,
                &format!(r#"{{"ip":"198.19.0.1","lat":{lat},"lon":0}}"#),
                "undetermined: has no latitude from -90 to 90 and longitude from -180 to 180",
            );
        }
    }

    #[test]
    fn an_address_that_no_file_knows_is_an_absent_value() {
        check("{from: /ip, locate: country}", r#"{"ip":"10.0.0.1"}"#, "-");
        check("{from: /ip, locate: country}", "{}", "-");
        check(
            "{from: /ip, locate: country, required: true}",
            r#"{"ip":"10.0.0.1"}"#,
            "undetermined: is required and absent",
        );
    }

    #[test]
    fn what_is_no_address_is_an_invalid_value() {
        for text in [
            "203.0.113",
            "203.0.113.7:443",
            "localhost",
            "203.0.113.7, 10.0.0.1",
        ] {
            let order = format!(r#"{{"ip":"{text}"}}"#);
            check(
                "{from: /ip, locate: asn}",
                &order,
                "undetermined: is not an IP address",
            );
            check(
                "{from: /ip, locate: asn, on_invalid: omit}",
                &order,
                "omitted: is not an IP address",
            );
        }
    }

    #[test]
    fn without_a_file_nothing_fails_open() {
        let order = r#"{"ip":"198.18.3.4","last_ip":"198.18.3.4"}"#;
        let none = mapping("{from: /ip, locate: country}").unwrap();
        assert_eq!(
            tell(&none, order),
            "undetermined: needs an IP location file of type City or Country, and none is given"
        );
        let distance = mapping("{from: /ip, locate: {km_to: /last_ip}}").unwrap();
        assert_eq!(
            tell(&distance.with_locations(locations(&["asn"])), order),
            "undetermined: needs an IP location file of type City, and none is given"
        );
    }

    #[test]
    fn a_broken_mapping_says_what_would_be_right() {
        check(
            "{from: /ip, locate: city}",
            "{}",
            "mapping.yaml:5:26: unknown variant `city`, expected one of country, asn, km_to",
        );
        check(
            "{from: /ip, locate: {km_to: {lat: /lat, lon: /lon}}}",
            "{}",
            "mapping.yaml:5:35: unknown field `lat`, expected one of latitude, longitude",
        );
    }

    #[test]
    fn other_files_are_another_mapping() {
        let hash = |names: &[&str]| {
            let mapping = mapping("{from: /ip, locate: country}").unwrap();
            mapping.with_locations(locations(names)).hash().to_owned()
        };
        assert_eq!(
            hash(&[]),
            mapping("{from: /ip, locate: country}").unwrap().hash()
        );
        assert_eq!(hash(&["city"]), hash(&["city"]));
        assert_ne!(hash(&["city"]), hash(&[]));
        assert_ne!(hash(&["city"]), hash(&["city", "asn"]));
    }
}

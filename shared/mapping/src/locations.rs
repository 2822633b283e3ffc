//! Looks up IP addresses in location files in MaxMind's format (.mmdb). None is shipped: the operator provides them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{MaxMindDbError, PathElement, Reader};
use serde::Deserialize;
use thiserror::Error;

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum LocationsError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not in MaxMind's format, or damaged.
    #[error("{}: is no IP location file (.mmdb), or a broken one: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MaxMindDbError,
    },
    /// It has other information about addresses.
    #[error("{}: is of type `{kind}`, which tells no country and no ASN; give files of type City, Country or ASN", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// Its type, as it names itself.
        kind: String,
    },
}

/// Why an address could not be looked up. It does not quote the address.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum LookUpError {
    /// No file has this information.
    #[error("needs an IP location file of type {0}, and none is given")]
    NoFile(&'static str),
    /// The record of the address is damaged.
    #[error("stands in an IP location file that is broken there")]
    Broken,
}

/// IP location files, held in memory.
#[derive(Debug, Default)]
pub struct Locations {
    files: Vec<(LocationFileKind, Reader<Vec<u8>>)>,
}

/// The information that a file has about addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LocationFileKind {
    /// Country and coordinates.
    City,
    /// Country.
    Country,
    /// Number of the autonomous system, which is the network of a provider.
    Asn,
}

impl LocationFileKind {
    /// MaxMind's and DB-IP's types hold one of these words: `GeoLite2-City`, `DBIP-ASN-Lite (compat=GeoLite2-ASN)`.
    fn of(database_type: &str) -> Option<Self> {
        [
            ("City", Self::City),
            ("Enterprise", Self::City),
            ("Country", Self::Country),
            ("ASN", Self::Asn),
            ("ISP", Self::Asn),
        ]
        .into_iter()
        .find_map(|(word, kind)| database_type.contains(word).then_some(kind))
    }
}

impl Locations {
    /// Reads the files into memory. If several have the same information, the first that knows an address is used.
    ///
    /// # Errors
    /// [`LocationsError`], which names the file.
    pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<Self, LocationsError> {
        let open = |path: &P| {
            let path = path.as_ref();
            let unreadable = |source| LocationsError::Unreadable {
                path: path.to_owned(),
                source,
            };
            let invalid = |source| LocationsError::Invalid {
                path: path.to_owned(),
                source,
            };
            let content = std::fs::read(path).map_err(unreadable)?;
            let reader = Reader::from_source(content).map_err(invalid)?;
            let database_type = &reader.metadata().database_type;
            match LocationFileKind::of(database_type) {
                Some(kind) => Ok((kind, reader)),
                None => Err(LocationsError::WrongKind {
                    path: path.to_owned(),
                    kind: database_type.clone(),
                }),
            }
        };
        let files = paths.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { files })
    }

    /// Type and build time of each file, because a newer file may place the same address elsewhere.
    pub fn versions(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|(_, reader)| {
            let metadata = reader.metadata();
            format!("{} {}", metadata.database_type, metadata.build_epoch)
        })
    }

    /// The code of the country (ISO 3166-1); `None` if no file knows the address.
    ///
    /// # Errors
    /// [`LookUpError`].
    pub fn country(&self, address: IpAddr) -> Result<Option<&str>, LookUpError> {
        self.find(
            "City or Country",
            &[LocationFileKind::City, LocationFileKind::Country],
            address,
            &[PathElement::Key("country"), PathElement::Key("iso_code")],
        )
    }

    /// The number of the autonomous system; `None` if no file knows the address.
    ///
    /// # Errors
    /// [`LookUpError`].
    pub fn asn(&self, address: IpAddr) -> Result<Option<u32>, LookUpError> {
        self.find(
            "ASN",
            &[LocationFileKind::Asn],
            address,
            &[PathElement::Key("autonomous_system_number")],
        )
    }

    /// The coordinates; `None` if no file knows them.
    ///
    /// # Errors
    /// [`LookUpError`].
    pub fn coordinates(&self, address: IpAddr) -> Result<Option<GeoPoint>, LookUpError> {
        let place: Option<StoredCoordinates> = self.find(
            "City",
            &[LocationFileKind::City],
            address,
            &[PathElement::Key("location")],
        )?;
        Ok(place.and_then(|place| GeoPoint::new(place.latitude?, place.longitude?)))
    }

    fn find<'a, T: Deserialize<'a>>(
        &'a self,
        wanted: &'static str,
        kinds: &[LocationFileKind],
        address: IpAddr,
        path: &[PathElement<'_>],
    ) -> Result<Option<T>, LookUpError> {
        // An address of version 4 is often written as one of version 6.
        let address = address.to_canonical();
        let mut known = Err(LookUpError::NoFile(wanted));
        for (_, reader) in self.files.iter().filter(|(kind, _)| kinds.contains(kind)) {
            known = Ok(None);
            if address.is_ipv6() && reader.metadata().ip_version == 4 {
                continue;
            }
            let found = reader.lookup(address).and_then(|at| at.decode_path(path));
            if let Some(found) = found.map_err(|_| LookUpError::Broken)? {
                return Ok(Some(found));
            }
        }
        known
    }
}

/// Coordinates as a file stores them.
#[derive(Deserialize)]
struct StoredCoordinates {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

/// A point on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoPoint {
    latitude: f64,
    longitude: f64,
}

impl GeoPoint {
    /// Mean radius of the earth, in kilometres.
    const EARTH: f64 = 6371.0088;

    /// A point; `None` if the latitude is not in -90 to 90 or the longitude not in -180 to 180.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let exists = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        exists.then_some(Self {
            latitude,
            longitude,
        })
    }

    /// The distance to `other` along the great circle, in kilometres, by the haversine formula.
    pub fn km_to(self, other: Self) -> f64 {
        let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
        let across = self.latitude.to_radians().cos() * other.latitude.to_radians().cos();
        let chord =
            half(self.latitude, other.latitude) + across * half(self.longitude, other.longitude);
        // For opposite points rounding may give a little more than 1.
        2.0 * Self::EARTH * chord.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/locations");

    fn file(name: &str) -> PathBuf {
        Path::new(FOLDER).join(name)
    }

    fn bytes(name: &str) -> Vec<u8> {
        std::fs::read(file(name)).unwrap()
    }

    fn in_memory(kind: LocationFileKind, bytes: Vec<u8>) -> Option<Locations> {
        let reader = Reader::from_source(bytes).ok()?;
        Some(Locations {
            files: vec![(kind, reader)],
        })
    }

    #[track_caller]
    fn check(locations: &Locations, address: &str, want: &str) {
        fn text<T: std::fmt::Debug>(told: Result<Option<T>, LookUpError>) -> String {
            match told {
                Ok(Some(told)) => format!("{told:?}"),
                Ok(None) => "-".to_owned(),
                Err(error) => error.to_string(),
            }
        }
        let address = address.parse().unwrap();
        let place = locations.coordinates(address);
        let place = place.map(|place| place.map(|at| (at.latitude, at.longitude)));
        let got = [
            text(locations.country(address)),
            text(locations.asn(address)),
            text(place),
        ];
        assert_eq!(got.join("; "), want);
    }

    #[test]
    fn what_is_known_of_an_address() {
        let files = Locations::read(&[file("city.mmdb"), file("asn.mmdb")]).unwrap();
        let files = &files;
        check(files, "198.18.3.4", "\"US\"; 64496; (39.5296, -119.8138)");
        check(files, "198.19.3.4", "\"DE\"; 64497; (52.52, 13.405)");
        check(files, "::ffff:198.19.3.4", "\"DE\"; 64497; (52.52, 13.405)");
        // The file of networks knows addresses of version 4 only.
        check(files, "2001:db8::7", "\"JP\"; -; (35.6762, 139.6503)");
        check(files, "192.0.2.1", "\"FR\"; -; -");
        check(files, "198.51.100.1", "-; -; -");
        check(files, "10.0.0.1", "-; -; -");
        check(files, "::1", "-; -; -");
        check(files, "0.0.0.0", "-; -; -");
    }

    #[test]
    fn the_first_file_that_knows_an_address_is_believed() {
        // A country's code as the file has it: a text of two bytes.
        let mut other = bytes("city.mmdb");
        let at = other.windows(3).position(|text| text == b"\x42US").unwrap();
        other[at + 1..at + 3].copy_from_slice(b"CA");
        let mut files = in_memory(LocationFileKind::Country, other).unwrap();
        let city = Locations::read(&[file("city.mmdb")]).unwrap();
        files.files.extend(city.files);
        check(
            &files,
            "198.18.3.4",
            "\"CA\"; needs an IP location file of type ASN, and none is given; (39.5296, -119.8138)",
        );
    }

    #[test]
    fn what_no_file_tells() {
        check(
            &Locations::default(),
            "198.18.3.4",
            "needs an IP location file of type City or Country, and none is given; \
             needs an IP location file of type ASN, and none is given; \
             needs an IP location file of type City, and none is given",
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = std::env::temp_dir().join(format!("locations-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let broken = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            let error = Locations::read(&[file("city.mmdb"), path]).unwrap_err();
            error.to_string().replace(&folder.display().to_string(), "")
        };
        let city = bytes("city.mmdb");
        assert_eq!(
            broken("text.mmdb", b"country,ip\n"),
            "/text.mmdb: is no IP location file (.mmdb), or a broken one: invalid database: could not find MaxMind DB metadata in file"
        );
        assert_eq!(
            broken("half.mmdb", &city[..city.len() / 2]),
            "/half.mmdb: is no IP location file (.mmdb), or a broken one: invalid database: could not find MaxMind DB metadata in file"
        );
        let kind = city.windows(12).position(|text| text == b"Made-Up-City");
        let mut other = city.clone();
        other[kind.unwrap()..][..12].copy_from_slice(b"Made-Up-Tors");
        assert_eq!(
            broken("tors.mmdb", &other),
            "/tors.mmdb: is of type `Made-Up-Tors`, which tells no country and no ASN; give files of type City, Country or ASN"
        );
        std::fs::remove_dir_all(&folder).unwrap();
        let error = Locations::read(&[folder.join("none.mmdb")]).unwrap_err();
        assert!(
            error.to_string().contains("none.mmdb: No such file"),
            "{error}"
        );
    }

    #[test]
    fn types_by_maxmind_and_others() {
        for (name, want) in [
            ("GeoLite2-City", Some(LocationFileKind::City)),
            ("GeoIP2-Enterprise", Some(LocationFileKind::City)),
            (
                "DBIP-Location-ISP (compat=Enterprise)",
                Some(LocationFileKind::City),
            ),
            ("DBIP-Country-Lite", Some(LocationFileKind::Country)),
            (
                "DBIP-ASN-Lite (compat=GeoLite2-ASN)",
                Some(LocationFileKind::Asn),
            ),
            ("GeoIP2-ISP", Some(LocationFileKind::Asn)),
            ("GeoIP2-Anonymous-IP", None),
        ] {
            assert_eq!(LocationFileKind::of(name), want, "{name}");
        }
    }

    #[track_caller]
    fn distance(from: (f64, f64), to: (f64, f64), want: &str) {
        let place = |(latitude, longitude)| GeoPoint::new(latitude, longitude).unwrap();
        let got = place(from).km_to(place(to));
        assert_eq!(format!("{got:.0}"), want);
    }

    #[test]
    fn distances() {
        let (berlin, london, reno) = ((52.52, 13.405), (51.5074, -0.1278), (39.5296, -119.8138));
        distance(berlin, london, "932");
        distance(reno, london, "8329");
        // A degree of a meridian, half the equator, from pole to pole, across the date line.
        distance((0.0, 0.0), (1.0, 0.0), "111");
        distance((0.0, 0.0), (0.0, 180.0), "20015");
        distance((90.0, 0.0), (-90.0, 77.0), "20015");
        distance((0.0, 179.5), (0.0, -179.5), "111");
        assert_eq!(GeoPoint::new(90.1, 0.0), None);
        assert_eq!(GeoPoint::new(0.0, f64::NAN), None);
        assert_eq!(GeoPoint::new(0.0, f64::INFINITY), None);
    }

    fn places() -> impl Strategy<Value = GeoPoint> {
        (-90.0..=90.0_f64, -180.0..=180.0_f64).prop_map(|(latitude, longitude)| GeoPoint {
            latitude,
            longitude,
        })
    }

    proptest! {
        #[test]
        fn a_distance_is_one(a in places(), b in places(), c in places()) {
            prop_assert!(a.km_to(a).abs() < 1e-6);
            prop_assert!((a.km_to(b) - b.km_to(a)).abs() < 1e-6);
            prop_assert!((0.0..=20_016.0).contains(&a.km_to(b)));
            prop_assert!(a.km_to(c) <= a.km_to(b) + b.km_to(c) + 1e-3);
        }

        #[test]
        fn no_broken_file_ends_in_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
            address: u32,
            high: u128,
        ) {
            let mut content = bytes("city.mmdb");
            for (at, byte) in changes {
                let length = content.len();
                content[at.index(length)] = byte;
            }
            if let Some(files) = in_memory(LocationFileKind::City, content) {
                let known = 0xC612_0000 | (address & 0xffff); // 198.18.0.0/16
                for address in [IpAddr::V4(known.into()), IpAddr::V4(address.into()), IpAddr::V6(high.into())] {
                    let _ = (files.country(address), files.coordinates(address));
                }
            }
        }
    }
}

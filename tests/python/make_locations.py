"""Writes tests/locations/*.mmdb: small files in MaxMind's format, over the addresses of the sample orders.

    .venv/tools/bin/python tests/python/make_locations.py          writes the files
    .venv/tools/bin/python tests/python/make_locations.py --check  fails where a file is not what would be written

None of it is true: the addresses are those reserved for documentation and benchmarks. The same script gives the
same bytes.
"""

import pathlib
import sys
import tempfile
from unittest import mock

from mmdb_writer import MMDBWriter, MmdbU32
from netaddr import IPSet

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "locations"
BUILT = 1_780_000_000


def place(country, latitude=None, longitude=None):
    record = {"country": {"iso_code": country, "names": {"en": country}}} if country else {"continent": {"code": "EU"}}
    return record if latitude is None else record | {"location": {"latitude": latitude, "longitude": longitude}}


RENO, BERLIN, LONDON, TOKYO = (39.5296, -119.8138), (52.52, 13.405), (51.5074, -0.1278), (35.6762, 139.6503)

CITY = {
    "198.18.0.0/16": place("US", *RENO),
    "198.19.0.0/16": place("DE", *BERLIN),
    "203.0.113.0/24": place("GB", *LONDON),
    "192.0.2.0/24": place("FR"),  # somewhere in France
    "198.51.100.0/24": place(None),  # somewhere in Europe
    "2001:db8::/32": place("JP", *TOKYO),
}

ASN = {
    "198.18.0.0/16": {"autonomous_system_number": MmdbU32(64496), "autonomous_system_organization": "Example Cable"},
    "198.19.0.0/16": {"autonomous_system_number": MmdbU32(64497), "autonomous_system_organization": "Example Hosting"},
}


def content(name, kind, networks, version):
    writer = MMDBWriter(version, kind, description=f"Made up for tests: {name}", ipv4_compatible=version == 6)
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    with tempfile.TemporaryDirectory() as folder, mock.patch("time.time", return_value=BUILT):
        path = pathlib.Path(folder) / name
        writer.to_db_file(str(path))
        return path.read_bytes()


def main(arguments):
    # As an old file may be, the one of networks knows addresses of version 4 only.
    files = {"city.mmdb": content("city.mmdb", "Made-Up-City", CITY, 6), "asn.mmdb": content("asn.mmdb", "Made-Up-ASN", ASN, 4)}
    stale = []
    for name, wanted in files.items():
        path = FOLDER / name
        if arguments != ["--check"]:
            path.write_bytes(wanted)
        elif not path.is_file() or path.read_bytes() != wanted:
            stale.append(name)
    if stale:
        sys.exit(f"not what make_locations.py writes: {', '.join(stale)}; run it without --check")


if __name__ == "__main__":
    main(sys.argv[1:])

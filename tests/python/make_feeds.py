"""Orders of four shops as their own systems write them, for the tests of the first hour. No shop is real.

    python3 tests/python/make_feeds.py feeds/    # writes them, to follow docs/first-hour.md
"""

import csv
import io
import json
import pathlib
import random
import sys
from datetime import datetime, timedelta

CITIES = [("Köln", "50667"), ("München", "80331"), ("Würzburg", "97070"), ("Bremen", "28195"), ("Lübeck", "23552")]
STREETS = ["Hauptstraße", "Am Bächle", "Königsallee", "Mühlgasse", "Lindenweg"]
NAMES = ["mueller", "schmidt", "yilmaz", "kowalski", "jansen", "rossi"]
AGENTS = ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/139.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)"]
START = datetime(2026, 1, 5, 8, 30)


def german_number(amount):
    whole, cents = f"{amount:,.2f}".split(".")
    return whole.replace(",", ".") + "," + cents


def german_shop(count=3000, seed=7):
    """A shop's export: semicolons, Windows-1252, decimal commas, dates of three kinds, its status as the label."""
    random.seed(seed)
    text = io.StringIO()
    write = csv.writer(text, delimiter=";", lineterminator="\r\n").writerow
    write([
        "Bestellnummer", "Bestelldatum", "Kundennummer", "E-Mail", "Telefon", "Gesamtbetrag", "Währung", "Zahlungsart",
        "Rechnungsstraße", "Rechnungs-PLZ", "Rechnungsort", "Rechnungsland", "Lieferstraße", "Liefer-PLZ", "Lieferort",
        "Lieferland", "IP-Adresse", "Gerätekennung", "Artikelanzahl", "Warengruppe", "Status", "Bemerkung",
    ])
    forms = ["%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%d.%m.%y"]
    for number in range(count):
        is_fraud = random.random() < 0.06
        time = START + timedelta(minutes=37 * number)
        customer = f"K9{random.randrange(40):04}" if is_fraud else f"K{random.randrange(400):05}"
        city, postal = random.choice(CITIES)
        street = f"{random.choice(STREETS)} {random.randrange(1, 90)}"
        country = "DE"
        delivery = [street, postal, city, country]
        amount = random.lognormvariate(4, 0.7)
        device, ip = f"d-{customer}", f"91.{random.randrange(200)}.{random.randrange(200)}.7"
        email = f"{random.choice(NAMES)}{customer.lower()}@example.com"
        if is_fraud:
            amount *= 4
            delivery = [f"Packstation {random.randrange(100, 120)}", "10115", "Berlin", random.choice(["DE", "PL", "LT"])]
            device, ip = f"d-x{random.randrange(12)}", f"185.220.101.{random.randrange(9)}"
            email = f"{random.randrange(10**6)}@mailinator.com"
        status = "Betrug" if is_fraud else random.choice(["bezahlt"] * 9 + ["storniert"])
        write([
            f"B-{100000 + number}", time.strftime(forms[number % 3]), customer, email, f"0{random.randrange(10**9)}",
            german_number(amount), "EUR", random.choice(["Kreditkarte", "Rechnung", "Lastschrift"]), street, postal, city, country,
            *delivery, ip, device, random.randrange(1, 5), random.choice(["Schuhe", "Jacken", "Elektronik", "Bücher"]), status, "",
        ])
    return text.getvalue().encode("cp1252")


def webhook_shop(count=300, seed=8):
    """Webhooks of a hosted shop: nested JSON, one message a line."""
    random.seed(seed)
    lines = []
    for number in range(count):
        customer = random.randrange(90)
        address = {"address1": f"{random.randrange(900)} Elm St", "city": "Springfield", "zip": "62704", "country_code": "US"}
        time = START + timedelta(minutes=11 * number)
        order = {
            "id": 5_000_000_000_000 + number,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%S-05:00"),
            "total_price": f"{random.lognormvariate(4, 0.6):.2f}",
            "currency": "USD",
            "financial_status": random.choice(["paid", "pending", "refunded"]),
            "browser_ip": f"203.0.113.{random.randrange(250)}",
            "customer": {"id": customer, "email": f"buyer{customer}@example.com", "created_at": "2025-03-01T10:00:00-05:00"},
            "client_details": {"user_agent": random.choice(AGENTS)},
            "billing_address": address,
            "shipping_address": {**address, "country_code": random.choice(["US", "US", "CA"])},
            "payment_gateway_names": ["card"],
            "line_items": [{"sku": f"S{random.randrange(50)}", "quantity": 1 + number % 3, "price": "10.00"}],
        }
        lines.append(json.dumps(order))
    return "\n".join(lines).encode()


def payment_provider(count=400, seed=9):
    """A payment provider's settlement file, and its file of disputes over some of these payments."""
    random.seed(seed)
    settlement, disputes = io.StringIO(), io.StringIO()
    write = csv.writer(settlement).writerow
    dispute = csv.writer(disputes).writerow
    write(["PSP Reference", "Merchant Reference", "Creation Date", "Shopper Email", "Shopper IP", "Card Fingerprint", "Card BIN",
           "Payment Method", "Amount", "Currency", "Shopper Country"])
    dispute(["Psp Reference", "Merchant Reference", "Record Type", "Reason Code", "Record Date", "Dispute Amount", "Dispute Currency"])
    for number in range(count):
        time = START + timedelta(minutes=23 * number)
        reference = f"M-{70000 + number}"
        write([f"{880000000000 + number}", reference, time.strftime("%Y-%m-%d %H:%M:%S"), f"s{number % 120}@example.org",
               f"198.51.100.{number % 200}", f"f{number % 150:08x}", f"{random.choice([411111, 545454, 371449])}",
               random.choice(["visa", "mc", "amex"]), f"{random.lognormvariate(3.5, 0.6):.2f}", random.choice(["EUR"] * 8 + ["GBP", "CHF"]),
               random.choice(["NL", "BE", "FR"])])
        if number % 40 == 0:
            day = (time + timedelta(days=30)).strftime("%Y-%m-%d %H:%M:%S")
            dispute([f"{880000000000 + number}", reference, "Chargeback", random.choice(["10.4", "4837", "13.1"]), day, "20.00", "EUR"])
    return settlement.getvalue().encode(), disputes.getvalue().encode()


def travel_bookings(count=300, seed=10):
    """Bookings of a travel site: tabs, camelCase, times in milliseconds."""
    random.seed(seed)
    lines = ["bookingReference\tbookedAt\tuserId\tcontactEmail\tcontactPhone\tgrandTotal\tcurrencyCode\tcardToken\tdeviceId\tclientIp\tpaymentMethod\troute\tpassengers"]
    for number in range(count):
        time = int((START + timedelta(minutes=5 * number)).timestamp() * 1000)
        user = random.randrange(80)
        lines.append("\t".join(map(str, [
            f"PNR{number:05}", time, f"u-{user}", f"u{user}@example.net", f"+3120{random.randrange(10**7):07}",
            f"{random.lognormvariate(6, 0.5):.2f}", "EUR", f"tok_{user}", f"dev-{user % 60}", f"2001:db8::{user:x}", "card",
            random.choice(["AMS-LIS", "AMS-JFK", "BER-PMI"]), random.randrange(1, 5),
        ])))
    return "\n".join(lines).encode()


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    settlement, disputes = payment_provider()
    header, *rows = german_shop().splitlines(keepends=True)
    feeds = {
        "bestellungen.csv": header + b"".join(rows),
        "bestellungen-alt.csv": header + b"".join(rows[:2700]),
        "bestellungen-neu.csv": header + b"".join(rows[2700:]),
        "rueckbuchungen.csv": b"EVENT_ID,EVENT_LABEL,LABEL_TIMESTAMP\nB-102750,fraud,2026-05-01T00:00:00Z\n",
        "webhooks.jsonl": webhook_shop(),
        "settlement.csv": settlement,
        "disputes.csv": disputes,
        "bookings.tsv": travel_bookings(),
    }
    for name, content in feeds.items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()

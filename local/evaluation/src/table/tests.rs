use std::path::Path;

use model::EventLabel;

use super::decimal_commas::has_decimal_commas;
use super::*;

fn columns(csv: &str, said: &ColumnOptions) -> Result<EventColumns, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    std::fs::write(&path, csv).unwrap();
    let named = |error: TableError| error.to_string().replace(path.to_str().unwrap(), "a.csv");
    EventColumns::find(&path, said).map_err(named)
}

fn said(label: Option<&str>, legit: &[&str], types: &[&str]) -> ColumnOptions {
    ColumnOptions {
        label: label.map(str::to_owned),
        legit: legit.iter().map(ToString::to_string).collect(),
        types: types.iter().map(ToString::to_string).collect(),
        ..ColumnOptions::default()
    }
}

#[track_caller]
fn refused(csv: &str, said: &ColumnOptions, want: &str) {
    assert_eq!(columns(csv, said).unwrap_err(), want);
}

#[test]
fn what_cannot_be_guessed_is_asked_for() {
    refused(
        "a,b\n1,2\n",
        &said(None, &[], &[]),
        "a.csv: which column is the label? Say --label COLUMN; it has a, b",
    );
    refused(
        "a,b\n1,2\n",
        &said(Some("c"), &[], &[]),
        "a.csv: there is no column `c` for the label; it has a, b",
    );
    refused(
        "a,kind\n1,new\n2,used\n",
        &said(Some("kind"), &[], &[]),
        "a.csv: which value of `kind` is legitimate? Say --legit VALUE or --fraud VALUE; it has `new` (1), `used` (1)",
    );
    refused(
        "a,fraud\n1,0\n2,1\n",
        &said(None, &[], &["a=MONEY"]),
        "--type a=MONEY: `MONEY` is no variable type; write one of Amazon's, such as IP_ADDRESS or NUMERIC, or DATETIME",
    );
    refused(
        "a,fraud\n1,yes\n2,yes\n",
        &said(None, &[], &[]),
        "a.csv: `fraud` holds nothing but `yes`; events of two kinds are needed to tell one from the other",
    );
    refused(
        "a,fraud\n1,\n2,NA\n",
        &said(None, &[], &[]),
        "a.csv: `fraud` holds nothing; events of two kinds are needed to tell one from the other",
    );
    refused(
        "a,fraud\n",
        &said(None, &[], &[]),
        "a.csv: there are no rows under the header",
    );
    refused(
        "a,b,fraud,b\n1,2,0,3\n4,5,1,6\n",
        &said(None, &[], &[]),
        "a.csv: there are two columns `b`; rename one of them",
    );
}

#[test]
fn the_rest_is_guessed() {
    let csv =
        "Timestamp,amt,isFraud,note\n2024-01-01 10:00:00,1.50,0,x\n2024-01-02 11:00:00,2.00,1,y\n";
    let found = columns(csv, &said(None, &[], &["note=ignore"])).unwrap();
    assert_eq!(found.label, "isFraud");
    assert_eq!(found.event_time.as_deref(), Some("Timestamp"));
    assert_eq!(found.read_label(Some("0.0")), EventLabel::Legit);
    assert_eq!(found.read_label(Some("1")), EventLabel::Fraud);
    assert_eq!(found.read_label(None), EventLabel::Unlabelled);
    assert_eq!(
        found.read_time(Some("1704103200")),
        found.read_time(Some("2024-01-01T10:00:00Z"))
    );
    assert_eq!(found.read_time(Some("1704103200000")), Some(1_704_103_200));
    let names: Vec<&str> = found
        .variables
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    assert_eq!(names, ["amt"]);
}

/// The values of the first row as a model gets them.
fn first_row(csv: &[u8]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    std::fs::write(&path, csv).unwrap();
    let found = EventColumns::find(&path, &ColumnOptions::default()).unwrap();
    let mut first = Vec::new();
    found
        .table(&path)
        .for_each_event(|event| {
            if event.number == 1 {
                let values = event.row.values.iter();
                first.extend(values.map(|value| value.unwrap_or("-").to_owned()));
            }
            Ok::<(), TableError>(())
        })
        .unwrap();
    first
}

#[test]
fn files_are_written_in_many_ways() {
    let cases: [(&[u8], &[&str]); 7] = [
        (
            b"price,city,fraud\n1.50,Oslo,0\n2.25,Rome,1\n",
            &["1.50", "Oslo"],
        ),
        (
            b"price;city;fraud\r\n1,50;Oslo;0\r\n2.100,25;Rome;1\r\n",
            &["1.50", "Oslo"],
        ),
        (
            b"price\tcity\tfraud\n1.50\tOslo, Norway\t0\n2.25\tRome\t1\n",
            &["1.50", "Oslo, Norway"],
        ),
        (
            b"\"price\"|\"city, or; town\"|\"fraud\"\n1.50|Oslo|0\n2.25|Rome|1\n",
            &["1.50", "Oslo"],
        ),
        (
            b"\xef\xbb\xbfprice,city,fraud\n1.50,Oslo,0\n2.25,Rome,1\n",
            &["1.50", "Oslo"],
        ),
        (
            b"price,city,fraud\n1.50,K\xf6ln,0\n2.25,Rome,1\n",
            &["1.50", "K\u{f6}ln"],
        ),
        (
            b"price,city,fraud\n\"1,500\",Oslo,0\n\"2,250\",Rome,1\n",
            &["1,500", "Oslo"],
        ),
    ];
    for (csv, want) in cases {
        assert_eq!(first_row(csv), want, "{}", String::from_utf8_lossy(csv));
    }
}

#[test]
fn the_comma_of_decimals_is_told_from_that_of_thousands() {
    for (values, want) in [
        (&["1,5", "2,25", "12"][..], true),
        (&["1.234,5", "-0,125"], true),
        (&["1,234", "5,678"], false),
        (&["1,234.5", "12"], false),
        (&["1,2,3", "4,5"], false),
        (&["12", "13"], false),
        (&["Rome, Italy"], false),
        (&[], false),
    ] {
        assert_eq!(
            has_decimal_commas(values.iter().copied()),
            want,
            "{values:?}"
        );
    }
}

#[test]
fn what_is_no_csv_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    for (begin, want) in [
        (&b"PK\x03\x04"[..], "a ZIP or Excel file"),
        (b"PAR1", "a Parquet file"),
        (b"\x1f\x8b\x08", "cannot be unpacked from gzip"),
    ] {
        std::fs::write(&path, begin).unwrap();
        let error = EventColumns::find(&path, &ColumnOptions::default()).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn many_rows_left_out_are_named_up_to_five_and_another_encoding_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let whole = b"K\xf6ln,0\nRome,1\n".repeat(500);
    std::fs::write(
        &path,
        [b"a,fraud\n", &whole[..], &b"1\n".repeat(7)].concat(),
    )
    .unwrap();
    let found = EventColumns::find(&path, &ColumnOptions::default()).unwrap();
    let (_, notes) = found.table(&path).read_dataset().unwrap();
    let mut want: Vec<String> = (1001..=1005)
        .map(|row| {
            format!("a.csv: row {row} was left out. The row has 1 fields, the header has 2.")
        })
        .collect();
    want.push("a.csv: 2 more rows like these were left out.".to_owned());
    want.push(
        "a.csv: rows that are not UTF-8 were read as Windows-1252: 500, the first is row 1."
            .to_owned(),
    );
    assert_eq!(notes.describe(Path::new("a.csv")), want);
}

#[test]
fn an_event_time_may_be_a_number() {
    let csv = "EVENT_TIMESTAMP,a,fraud\n1704103200,1,0\n1704103260,2,1\n";
    let found = columns(csv, &said(None, &[], &[])).unwrap();
    assert_eq!(found.event_time.as_deref(), Some("EVENT_TIMESTAMP"));
}

#[test]
fn a_cut_row_is_left_out_and_many_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let rows = "1,0\n2,1\n".repeat(150);
    std::fs::write(&path, format!("a,fraud\n{rows}12")).unwrap();
    let found = EventColumns::find(&path, &ColumnOptions::default()).unwrap();
    let (dataset, notes) = found.table(&path).read_dataset().unwrap();
    assert_eq!((dataset.len(), notes.broken), (300, 1));
    assert_eq!(
        notes.describe(Path::new("a.csv")),
        ["a.csv: row 301 was left out. The row has 1 fields, the header has 2."]
    );
    std::fs::write(&path, "a,fraud\n1,0\n2,1\n3\n4\n").unwrap();
    let error = found.table(&path).read_dataset().unwrap_err().to_string();
    assert!(
        error.contains("2 of 4 rows do not have the 2 columns of the header (the first is row 3)"),
        "{error}"
    );
}

/// A column of labels: `bezahlt` 3 times, `storniert` twice, `offen` once.
const THREE_LABELS: &str = "status\nbezahlt\nbezahlt\nBEZAHLT\nstorniert\nstorniert\noffen\n";
const TWO_LABELS: &str = "status\nbezahlt\nbezahlt\nstorniert\n";

/// The labels of a column as `VALUE ROWS MEANING`, or the error.
fn labels(csv: &str, legit: &[&str], fraud: &[&str]) -> String {
    let said = ColumnOptions {
        fraud: fraud.iter().map(ToString::to_string).collect(),
        ..said(Some("status"), legit, &[])
    };
    let describe = |found: EventColumns| {
        let values = found.label_values().into_iter();
        let values =
            values.map(|value| format!("{} {} {:?}", value.value, value.rows, value.taken_as));
        values.collect::<Vec<String>>().join(", ")
    };
    columns(csv, &said).map_or_else(|error| error, describe)
}

#[test]
fn every_value_of_the_label_is_accounted_for() {
    let two = "bezahlt 2 Legit, storniert 1 Fraud";
    let many = "a.csv: `status` has more than two values: `BEZAHLT` (3), `offen` (1), `storniert` (2). Say";
    let rest = "; rows with a value that is neither --legit nor --fraud are left out";
    let all_fraud = format!(
        "{many} --fraud for each that is meant, such as --legit bezahlt --fraud offen --fraud storniert{rest}"
    );
    let all_legit = format!(
        "{many} --legit for each that is meant, such as --fraud storniert --legit BEZAHLT --legit offen{rest}"
    );
    for (csv, legit, fraud, want) in [
        (TWO_LABELS, &["bezahlt"][..], &[][..], two),
        (TWO_LABELS, &[], &["storniert"], two),
        (TWO_LABELS, &["bezahlt"], &["storniert"], two),
        ("status\n0\n1\n1.0\n", &[], &[], "0 1 Legit, 1 2 Fraud"),
        (
            THREE_LABELS,
            &["bezahlt", "offen"],
            &[],
            "BEZAHLT 3 Legit, offen 1 Legit, storniert 2 Fraud",
        ),
        (
            THREE_LABELS,
            &["bezahlt"],
            &["storniert"],
            "BEZAHLT 3 Legit, storniert 2 Fraud, offen 1 LeftOut",
        ),
        (THREE_LABELS, &["bezahlt"], &[], &all_fraud),
        (THREE_LABELS, &[], &["storniert"], &all_legit),
        (
            "status\nlegit\nfraud\nin dispute\n",
            &[],
            &[],
            "a.csv: `status` has more than two values: `fraud` (1), `in dispute` (1), `legit` (1). Say --fraud for each that is meant, such as --legit legit --fraud fraud --fraud 'in dispute'; rows with a value that is neither --legit nor --fraud are left out",
        ),
        (
            THREE_LABELS,
            &["bezalt"],
            &["storniert"],
            "a.csv: --legit bezalt: `status` has no such value; it has `BEZAHLT` (3), `offen` (1), `storniert` (2)",
        ),
        (
            TWO_LABELS,
            &["bezahlt"],
            &["Bezahlt"],
            "--legit and --fraud both name `Bezahlt`; a value is one or the other",
        ),
    ] {
        assert_eq!(labels(csv, legit, fraud), want, "{legit:?} {fraud:?}");
    }
}

#[test]
fn a_third_value_is_neither_fraud_nor_legitimate() {
    let said = ColumnOptions {
        fraud: vec!["storniert".to_owned()],
        ..said(Some("status"), &["bezahlt"], &[])
    };
    let found = columns(THREE_LABELS, &said).unwrap();
    assert_eq!(found.read_label(Some("Storniert")), EventLabel::Fraud);
    assert_eq!(found.read_label(Some("offen")), EventLabel::Unknown);
    assert_eq!(found.read_label(Some("geliefert")), EventLabel::Unknown);
}

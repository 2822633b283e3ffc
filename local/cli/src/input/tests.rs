use event::EventTypeName;

use super::*;

fn options() -> CsvOptions {
    CsvOptions {
        event_type: "registration".try_into().unwrap(),
        detector: "registrations".to_owned(),
        entity_type: "customer".try_into().unwrap(),
        labels: BTreeMap::from([("1.0".to_owned(), "fraud".to_owned())]),
    }
}

fn show_records(mut input: RecordInput) -> Vec<String> {
    std::iter::from_fn(|| input.read_record().unwrap())
        .map(|record| {
            let bytes = String::from_utf8_lossy(&record.bytes).into_owned();
            match record.rejection {
                None => bytes,
                Some(rejection) => format!("{rejection} [{bytes}]"),
            }
        })
        .collect()
}

/// Writes a file and calls `read` with its path, which is shown as `a.csv`.
fn read_file<T>(csv: &[u8], read: impl FnOnce(&str) -> Result<T, InputError>) -> Result<T, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    std::fs::write(&path, csv).unwrap();
    let path = path.to_str().unwrap();
    read(path).map_err(|error| error.to_string().replace(path, "a.csv"))
}

#[track_caller]
fn check(csv: impl AsRef<[u8]>, want: &[&str]) {
    let got = read_file(csv.as_ref(), |path| {
        RecordInput::from_event_rows(path, open_csv_file(path)?, options())
    })
    .map_or_else(|error| vec![error], |(input, _)| show_records(input));
    assert_eq!(got, want);
}

#[test]
fn rows_become_objects() {
    let want = r#"{"ip":"1.2.3.4","EVENT_TIMESTAMP":"2022-05-30T00:00:18Z","EVENT_LABEL":"fraud","EVENT_ID":"844adaf0fca9d37d5f8d841e8c96dbbf","ENTITY_TYPE":"customer"}"#;
    check(
        "ip,EVENT_TIMESTAMP,EVENT_LABEL\n1.2.3.4,2022-05-30T00:00:18Z,1.0\n",
        &[want],
    );
    check(
        "\u{feff}ip;EVENT_TIMESTAMP;EVENT_LABEL\r\n1.2.3.4;2022-05-30T00:00:18Z;1.0\r\n",
        &[want],
    );
    check(
        b"EVENT_ID,ENTITY_TYPE,EVENT_TIMESTAMP,name\n1,c,2,Jos\xe9\n",
        &[r#"{"EVENT_ID":"1","ENTITY_TYPE":"c","EVENT_TIMESTAMP":"2","name":"José"}"#],
    );
    check(
        "ip,EVENT_TIMESTAMP,ip\n1,2,3\n",
        &["a.csv: two columns have the name `ip`; rename one of them"],
    );
    check(
        "PK\x03\x04",
        &["a.csv: the file is a ZIP or Excel file; unpack it, or save it as CSV"],
    );
}

#[test]
fn a_row_of_other_fields_is_refused_and_shifts_nothing() {
    check(
        "EVENT_ID,ENTITY_TYPE,EVENT_TIMESTAMP,agent\n1,c,2,\"a, b\"\n2,c,3,a, b\n3,c\n",
        &[
            r#"{"EVENT_ID":"1","ENTITY_TYPE":"c","EVENT_TIMESTAMP":"2","agent":"a, b"}"#,
            "row 2: The row has 5 fields, the header has 4. [2,c,3,a, b]",
            "row 3: The row has 2 fields, the header has 4. [3,c]",
        ],
    );
}

#[test]
fn labels_under_amazons_headers() {
    let read = |csv: &str| {
        read_file(csv.as_bytes(), |path| {
            let reader = open_csv_file(path)?;
            let is_amazons = has_label_headers(reader.header());
            let renames = options().labels;
            let input = if is_amazons {
                RecordInput::from_label_rows(reader, renames)
            } else {
                RecordInput::from_message_rows(reader)
            };
            Ok((is_amazons, show_records(input)))
        })
        .unwrap()
    };
    let object = |text: &str| vec![text.to_owned()];
    // Neither an event id nor a label is made up.
    assert_eq!(
        read("EVENT_ID,EVENT_TIMESTAMP,EVENT_LABEL\n,2026-06-01,1.0\n"),
        (
            true,
            object(
                r#"{"EVENT_ID":"","EVENT_TIMESTAMP":"2026-06-01","EVENT_LABEL":"fraud","LABEL_TIMESTAMP":"2026-06-01"}"#
            )
        )
    );
    assert_eq!(
        read("Order,Type,Code\no-1,Chargeback,\n"),
        (false, object(r#"{"Order":"o-1","Type":"Chargeback"}"#))
    );
    assert!(!read("EVENT_ID,EVENT_LABEL\n1,fraud\n").0);
}

const MAPPING: &str = "
event_type: order
detector: shop
event: {id: /id, timestamp: /time, entity: {type: customer, id: [/customer]}}
variables: {price: /price}
decision: {outcome_priority: [block, approve], on_undetermined: [block], on_no_match: [approve]}
";

#[track_caller]
fn check_sources(kind: MessageKind, labels: &str, csv: &str, want: Result<(), &str>) {
    let mapping = Mapping::parse("m.yaml", &format!("{MAPPING}{labels}")).unwrap();
    let got = read_file(csv.as_bytes(), |path| {
        check_row_sources(path, Path::new("m.yaml"), &mapping, kind)
    });
    assert_eq!(got, want.map_err(str::to_owned));
}

#[test]
fn a_mapping_for_other_messages_is_noticed_at_once() {
    use MessageKind::Label;
    let labels = "labels: {event_id: /Order, kind: /Type, timestamp: '.at[0].time', table: []}";
    check_sources(Label, labels, "Order,Type,at\no-1,Chargeback,\n", Ok(()));
    // A first row without an order may be a total.
    check_sources(
        Label,
        labels,
        "Order,Type\n,Total\no-1,Chargeback\n",
        Ok(()),
    );
    check_sources(Label, labels, "Order,Type\n", Ok(()));
    check_sources(
        Label,
        labels,
        "Reference;Type\no-1;Chargeback\no-2;\n",
        Err(
            "a.csv: `labels` in m.yaml finds no event_id (`/Order`), no timestamp (`.at[0].time`) in the first rows; name \
             columns there, such as `event_id: \"/Reference\"`, or use Amazon's headers; the columns are Reference, Type",
        ),
    );
    check_sources(
        Label,
        "",
        "Order,Type\no-1,x\n",
        Err(
            "a.csv: m.yaml has no section `labels`, which says what the columns mean; Amazon's headers need none; the columns \
             are Order, Type",
        ),
    );
}

#[test]
fn a_mapping_for_other_orders_is_noticed_at_once() {
    use MessageKind::Order;
    check_sources(Order, "", "id,time,price\no-1,2026-06-01,\n", Ok(()));
    check_sources(Order, "", "id,time\n,\no-1,2026-06-01\n", Ok(()));
    check_sources(
        Order,
        "",
        "Bestellnummer;Betrag\no-1;12,50\n",
        Err(
            "a.csv: `event` in m.yaml finds no id (`/id`), no timestamp (`/time`), no entity.id (`/customer`) in the first \
             rows; name columns there, such as `id: \"/Bestellnummer\"`, let `fraudstream init` draft a mapping of the file, or \
             use Amazon's headers; the columns are Bestellnummer, Betrag",
        ),
    );
}

#[test]
fn the_mapping_of_labels_under_amazons_headers() {
    let row = serde_json::json!({"EVENT_ID": "o-1", "EVENT_LABEL": "fraud", "LABEL_TIMESTAMP": "2026-06-01"});
    let base = || Mapping::parse("m.yaml", MAPPING).unwrap();
    for (base, event_type) in [(Some(base()), "order"), (None, "registration")] {
        let mapping = make_label_mapping(base, &options()).unwrap();
        let want: EventTypeName = event_type.try_into().unwrap();
        assert_eq!(mapping.event_type(), &want);
        let labels = mapping.map_labels(&row).unwrap();
        assert_eq!(labels.len(), 1);
        assert_eq!(labels[0].event_id.as_str(), "o-1");
        assert_eq!(labels[0].label.as_ref().unwrap().as_str(), "fraud");
    }
    assert_ne!(
        make_label_mapping(Some(base()), &options()).unwrap().hash(),
        base().hash()
    );
}

#[test]
fn which_names_are_csv() {
    for (name, want) in [
        ("a.csv", true),
        ("a.CSV.GZ", true),
        ("a.tsv", true),
        ("a.jsonl.gz", false),
        ("csv", false),
        ("-", false),
    ] {
        assert_eq!(is_csv(name), want, "{name}");
    }
}

#[test]
fn blank_lines_are_no_records() {
    let input = RecordInput::Lines(Box::new(io::Cursor::new("{}\n\n  \r\n{\"a\":1}")));
    assert_eq!(show_records(input), ["{}", "{\"a\":1}"]);
}

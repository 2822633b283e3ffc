use super::*;

/// Drafts from a file with this name and content; an error is its sentence, without the folder.
fn draft(name: &str, content: &[u8]) -> Result<ConfigDraft, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    let folder = format!("{}/", dir.path().display());
    ConfigDraft::from_path(path.to_str().unwrap())
        .map_err(|error| error.to_string().replace(&folder, ""))
}

/// The lines of a mapping without comments and without what every draft has.
#[track_caller]
fn check_mapping(name: &str, content: &str, want: &str) {
    let mapping = draft(name, content.as_bytes()).unwrap().mapping;
    let (mapping, _) = mapping.split_once("\ndecision:").unwrap();
    let lines = mapping
        .lines()
        .map(|line| {
            line.split_once(" # ")
                .map_or(line, |(line, _)| line)
                .trim_end()
        })
        .filter(|line| !line.trim_start().starts_with('#') && !line.is_empty());
    let lines: Vec<&str> = lines.skip(2).collect();
    let want: Vec<&str> = want.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, want);
}

#[test]
fn a_german_export_is_understood() {
    check_mapping(
        "export.csv",
        "Bestellnummer;Bestelldatum;Kundennummer;E-Mail;Gesamtbetrag;Währung;Lieferstraße;Liefer-PLZ;Status\n\
         B-1;01.06.2026 10:15;K1;a@example.com;1.083,50;EUR;Hauptstraße 1;50667;bezahlt\n\
         B-2;29.06.26;K2;b@example.com;83,59;EUR;Lindenweg 2;80331;Betrug\n\
         B-3;30.06.26;K1;a@example.com;7,00;EUR;Hauptstraße 1;50667;bezahlt\n",
        "
timezone: UTC
formats:
  /Bestelldatum: {time: [\"%d.%m.%y\", \"%d.%m.%Y %H:%M\"]}
  /Gesamtbetrag: {number: \"1.234,56\"}
  /Status:
    values:
      bezahlt: legit
      Betrug: fraud
event:
  id: /Bestellnummer
  timestamp: /Bestelldatum
  entity:
    type: customer
    id:
      - /Kundennummer
      - {hash: /E-Mail, as: email}
  label: /Status
variables:
  ordered_at: {from: /Bestelldatum, type: DATETIME, required: true}
  customer_id: /Kundennummer
  email_address: {from: /E-Mail, as: email, on_invalid: omit}
  order_price:
    from: {amount: /Gesamtbetrag, currency: \"/Währung\", base: EUR, rates: {}}
    required: true
  currency_code: {from: \"/Währung\", as: upper}
  shipping_address: \"/Lieferstraße\"
  shipping_zip: /Liefer-PLZ
  email_domain: {from: {domain: /E-Mail}, on_invalid: omit}
aggregates:
  fraud_labels: [fraud]
  keys:
    account: /Kundennummer
    email: {from: /E-Mail, as: email, on_invalid: omit}
    address: {from: {joined: [\"/Lieferstraße\", /Liefer-PLZ]}, as: letters_and_digits}
  variables:
    address_orders_7d: {count: {by: address, within: 7d}}
    emails_per_address_30d: {distinct: {of: email, by: address, within: 30d}}
    fraud_per_address_90d: {fraud: {by: address, within: 90d}}
    email_orders_1d: {count: {by: email, within: 1d}}
    fraud_per_email_90d: {fraud: {by: email, within: 90d}}
    account_orders_90d: {count: {by: account, within: 90d}}
    fraud_per_account_90d: {fraud: {by: account, within: 90d}}
    price_to_usual: {ratio_to_usual: {of: order_price, by: account, within: 90d}}
",
    );
}

#[test]
fn members_of_json_are_found_by_their_path() {
    check_mapping(
        "orders.jsonl",
        "{\"id\":1,\"created_at\":\"2026-06-01T10:15:30Z\",\"total\":12.5,\"customer\":{\"id\":7,\"ip\":\"203.0.113.7\"},\"items\":[{\"sku\":\"a\"}]}\n\
         {\"id\":2,\"created_at\":\"2026-06-01T10:16:30Z\",\"total\":8,\"customer\":{\"id\":8,\"ip\":\"203.0.113.8\"},\"items\":[]}\n",
        "
timezone: UTC
event:
  id: /id
  timestamp: /created_at
  entity:
    type: customer
    id:
      - /customer/id
variables:
  ordered_at: {from: /created_at, type: DATETIME, required: true}
  customer_id: /customer/id
  ip_address: /customer/ip
  order_price: {from: /total, type: FLOAT, required: true}
aggregates:
  fraud_labels: [fraud]
  keys:
    account: /customer/id
    ip: /customer/ip
  variables:
    ip_orders_1h: {count: {by: ip, within: 1h}}
    account_orders_90d: {count: {by: account, within: 90d}}
    fraud_per_account_90d: {fraud: {by: account, within: 90d}}
    price_to_usual: {ratio_to_usual: {of: order_price, by: account, within: 90d}}
",
    );
}

#[test]
fn what_cannot_be_guessed_is_a_question() {
    let drafted = draft("a.csv", b"colour,size\nred,1\nred,2\nblue,1\n").unwrap();
    let summary = drafted.summarize(Vec::new());
    assert_eq!(
        summary.questions,
        [
            "which field is the order's id? Without it no order is read.",
            "which field says when the order was made? Without it no order is read.",
            "which field names the customer's account?",
            "which field is the amount of the order? Rules on money need `order_price`. Fields with numbers: /size",
        ]
    );
    assert_eq!((summary.variables, summary.rules), (2, 0));
}

#[test]
fn day_and_month_that_can_be_exchanged_are_a_question() {
    let drafted = |second: &str| {
        let csv = format!("order_id,order_date\n1,03/04/2026\n2,{second}\n");
        draft("a.csv", csv.as_bytes()).unwrap().mapping
    };
    let question = "day and month could be exchanged";
    assert!(drafted("05/06/2026").contains(question));
    assert!(!drafted("25/06/2026").contains(question));
    assert!(drafted("25/06/2026").contains("{time: [\"%d/%m/%Y\"]}"));
    let dashes = draft(
        "a.csv",
        b"order_id,order_date\n1,06-01-2026\n2,06-02-2026\n",
    )
    .unwrap();
    assert!(dashes.mapping.contains(question), "{}", dashes.mapping);
    let american = drafted("06/25/2026");
    assert!(american.contains("{time: [\"%m/%d/%Y\"]}"), "{american}");
}

/// The line of a draft that begins with this, without its comment.
fn line_of(mapping: &str, beginning: &str) -> String {
    let mut lines = mapping.lines();
    let line = lines.find(|line| line.trim_start().starts_with(beginning));
    let line = line.unwrap_or_default();
    line.split_once(" # ")
        .map_or(line, |(line, _)| line)
        .trim()
        .to_owned()
}

#[test]
fn a_field_that_is_no_account_is_not_taken_for_one() {
    let mapping = |header: &str, value: &str| {
        let row = |number: u32| format!("{number},2026-06-01,{value},{number}\n");
        let csv = format!(
            "order_id,order_date,{header},amount\n{}{}",
            row(10),
            row(11)
        );
        draft("a.csv", csv.as_bytes()).unwrap().mapping
    };
    for (header, value) in [
        ("Shopper Country", "NL"),
        ("Company Account", "MyCo"),
        ("client_ip", "10.0.0.9:443"),
        ("customer_group", "retail"),
    ] {
        assert_eq!(
            line_of(&mapping(header, value), "customer_id:"),
            "",
            "{header}"
        );
    }
}

#[test]
fn guests_are_asked_about() {
    let csv = "order_id,order_date,customer_id,amount\n1,2026-06-01,0,5\n2,2026-06-02,0,6\n3,2026-06-03,77,7\n";
    let mapping = draft("a.csv", csv.as_bytes()).unwrap().mapping;
    assert!(
        mapping.contains("no_value:\n  /customer_id: [\"0\"]\n"),
        "{mapping}"
    );
}

#[test]
fn an_address_is_one_address() {
    let csv = "Commande;Date;Adresse de livraison;Code postal;Ville;Montant TTC;Montant HT\n\
               1;2026-06-01;Rue A 1;75001;Paris;12,00;10,00\n2;2026-06-02;Rue B 2;69001;Lyon;24,00;20,00\n";
    let mapping = draft("a.csv", csv.as_bytes()).unwrap().mapping;
    assert_eq!(
        line_of(&mapping, "shipping_zip:"),
        "shipping_zip: \"/Code postal\""
    );
    assert_eq!(
        line_of(&mapping, "order_price:"),
        "order_price: {from: \"/Montant TTC\", type: FLOAT, required: true}"
    );
    let csv = "order_id,order_date,billing_address_1,billing_postcode\n1,2026-06-01,Main St 5,10001\n2,2026-06-02,Elm St 6,10002\n";
    let mapping = draft("a.csv", csv.as_bytes()).unwrap().mapping;
    assert_eq!(
        line_of(&mapping, "billing_zip:"),
        "billing_zip: /billing_postcode"
    );
}

#[test]
fn ids_are_no_times_and_no_numbers() {
    let json = r#"{"data":{"id":1772352300,"created":1772352300}}"#;
    let other = json.replace("1772352300", "1772352999");
    let mapping = draft("a.jsonl", format!("{json}\n{other}\n").as_bytes())
        .unwrap()
        .mapping;
    assert_eq!(line_of(&mapping, "id:"), "id: /data/id");
    assert_eq!(line_of(&mapping, "timestamp:"), "timestamp: /data/created");
    let csv = "order_id,order_date,customer_id,reference\n1,2026-06-01,1000000000,ORD-30000\n2,2026-06-02,1000000007,ORD-30001\n";
    let mapping = draft("a.csv", csv.as_bytes()).unwrap().mapping;
    assert_eq!(
        line_of(&mapping, "customer_id:"),
        "customer_id: /customer_id"
    );
    assert!(!mapping.contains("number:"), "{mapping}");
}

#[test]
fn names_that_would_break_the_draft_do_not() {
    for csv in [
        "order_id,null,card_orders_1d\n1,a,5\n2,b,6\n",
        "order_id,a\u{90}b,\u{ffff}\n1,\u{85}x,5\n2,\u{ffff}y,6\n",
        "order_id,\"free\ntext\"\n1,a\n2,b\n",
        "order_id,\"evil\nevent_type: hacked\n#\"\n1,a\n2,b\n",
    ] {
        let mapping = draft("a.csv", csv.as_bytes()).unwrap().mapping;
        assert!(!mapping.contains("\nevent_type: hacked"), "{mapping}");
    }
}

#[test]
fn a_file_without_anything_to_judge_by_gets_a_sentence() {
    let error = draft("a.csv", b"order_id,note\n1,a\n2,a\n").unwrap_err();
    assert_eq!(
        error,
        "no field of a.csv tells orders apart, so there is nothing that rules could read; its fields are /order_id, /note"
    );
}

#[test]
fn what_is_known_later_is_no_variable() {
    let csv = "order_id,order_date,disputed,last name,amount\n1,2026-06-01,true,Doe,5\n2,2026-06-02,false,Roe,6\n3,2026-06-03,false,Doe,7\n";
    let mapping = draft("a.csv", csv.as_bytes()).unwrap().mapping;
    assert!(!mapping.contains("\n  disputed:"), "{mapping}");
    assert!(
        mapping.contains("/last name is left out: the name of a person"),
        "{mapping}"
    );
}

#[test]
fn a_folder_of_two_kinds_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "order_id,amount\n1,5\n").unwrap();
    fs::write(dir.path().join("b.csv"), "dispute,reason,opened\nx,y,z\n").unwrap();
    let error = ConfigDraft::from_path(dir.path().to_str().unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("have different fields"),
        "{error}"
    );
    fs::write(dir.path().join("b.csv"), "order_id,amount\n2,6\n").unwrap();
    assert_eq!(
        ConfigDraft::from_path(dir.path().to_str().unwrap())
            .unwrap()
            .records,
        2
    );
}

#[test]
fn files_that_are_no_orders_get_a_sentence() {
    let refused = |name: &str, content: &[u8]| draft(name, content).unwrap_err();
    assert_eq!(
        refused("a.csv", b"id,total\n"),
        "a.csv has no records: only a header, or nothing at all"
    );
    assert_eq!(
        refused("a.jsonl", b""),
        "a.jsonl has no records: only a header, or nothing at all"
    );
    assert_eq!(
        refused("a.jsonl", b"\x00\x01\x02binary\n\xff\xfe\n"),
        "a.jsonl: none of the first 2 records could be read; it should be CSV (named .csv or .tsv) or one JSON object in each line \
         (`jq -c '.[]'` makes that of a list)"
    );
    assert_eq!(
        refused("a.csv", b"id,total,id\n1,2,3\n"),
        "a.csv: two columns have the name `id`; rename one of them"
    );
    let wide: Vec<String> = (0..10_000).map(|number| format!("c{number}")).collect();
    let wide = format!("{0}\n{0}\n", wide.join(","));
    assert_eq!(
        refused("a.csv", wide.as_bytes()),
        "a.csv has 10000 columns, and at most 2000 are read; is it a table of orders?"
    );
    assert_eq!(
        refused("a.csv", b"\x8f\x03\x90,\x7f\nrest"),
        "a.csv: the file is no text: its header has control characters; save the table as CSV"
    );
    assert_eq!(
        refused("a.csv", b"PK\x03\x04"),
        "a.csv: the file is a ZIP or Excel file; unpack it, or save it as CSV"
    );
}

/// A link that leads nowhere is somebody's file, too, although it does not exist for those who follow it.
#[cfg(unix)]
#[test]
fn what_cannot_be_created_is_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let drafted = draft("a.csv", b"order_id,amount\n1,5\n2,6\n").unwrap();
    let link = dir.path().join("detector.yaml");
    std::os::unix::fs::symlink(dir.path().join("nowhere"), &link).unwrap();
    let error = drafted.write_files(dir.path()).unwrap_err().to_string();
    assert!(error.contains("detector.yaml cannot be written"), "{error}");
    assert!(fs::symlink_metadata(&link).is_ok());
    assert!(!dir.path().join("mapping.yaml").exists());
}

#[test]
fn a_column_may_have_the_name_of_a_key() {
    let csv = "order_id,order_date,card,card_token,amount\n1,2026-06-01,visa,tok_1,5\n2,2026-06-02,mc,tok_2,6\n3,2026-06-03,mc,tok_2,7\n";
    let mapping = draft("a.csv", csv.as_bytes()).unwrap().mapping;
    assert_eq!(line_of(&mapping, "card_2:"), "card_2: /card");
}

#[test]
fn nothing_is_overwritten_and_nothing_is_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let drafted = draft("a.csv", b"order_id,amount\n1,5\n2,6\n").unwrap();
    fs::write(dir.path().join("detector.yaml"), "mine").unwrap();
    let error = drafted.write_files(dir.path()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "detector.yaml exists, and nothing is overwritten; name another folder with --out"
        ),
        "{error}"
    );
    assert!(!dir.path().join("mapping.yaml").exists());
    let fresh = dir.path().join("drafts");
    let summary = drafted.write_files(&fresh).unwrap();
    assert_eq!(
        summary.written,
        [fresh.join("mapping.yaml"), fresh.join("detector.yaml")]
    );
}

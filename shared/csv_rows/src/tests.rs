use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use crate::{CsvError, CsvHeader, CsvReader, CsvRow, DecodedRows, LONGEST_ROW};

fn open(file: &[u8]) -> Result<CsvReader, CsvError> {
    CsvReader::open(Box::new(Cursor::new(file.to_vec())))
}

fn pack(file: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(file).unwrap();
    packed.finish().unwrap()
}

fn to_utf_16(text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    [mark.to_vec(), text.encode_utf16().flat_map(bytes).collect()].concat()
}

fn show_row(row: &CsvRow) -> String {
    let number = row.number;
    match &row.content {
        Ok(fields) => format!("{number}: {}", fields.iter().collect::<Vec<_>>().join("|")),
        Err(broken) => {
            let bytes = broken.bytes.escape_ascii();
            format!("{number}! {} [{bytes}]", broken.fault)
        }
    }
}

/// Header and rows, a line each; or the error that ends them.
fn show_file(file: &[u8]) -> Vec<String> {
    let mut reader = match open(file) {
        Ok(reader) => reader,
        Err(error) => return vec![error.to_string()],
    };
    let mut shown = vec![reader.header().names.join("|")];
    loop {
        match reader.read_row() {
            Ok(None) => return shown,
            Ok(Some(row)) => shown.push(show_row(&row)),
            Err(error) => {
                shown.push(error.to_string());
                return shown;
            }
        }
    }
}

#[track_caller]
fn check(file: impl AsRef<[u8]>, want: &[&str]) {
    assert_eq!(show_file(file.as_ref()), want);
}

#[test]
fn separators() {
    check("a,b\n1,2\n", &["a|b", "1: 1|2"]);
    check("a;b\n1,5;2\n", &["a|b", "1: 1,5|2"]);
    check("a\tb\n1,5\t2\n", &["a|b", "1: 1,5|2"]);
    check("a|b\n1,5|2\n", &["a|b", "1: 1,5|2"]);
    // What is within quotation marks separates nothing.
    check("\"a;;;\",b\n1,2\n", &["a;;;|b", "1: 1|2"]);
    check("\n\na;b\n1;2\n", &["a|b", "1: 1|2"]);
    check(
        "a\n1,5\n",
        &["a", "1! The row has 2 fields, the header has 1. [1,5]"],
    );
}

#[test]
fn ends_of_lines_and_space() {
    check("a,b\r\n1,2\r\n", &["a|b", "1: 1|2"]);
    check("a,b\r1,2\r", &["a|b", "1: 1|2"]);
    check("a,b\n1,2", &["a|b", "1: 1|2"]);
    check("a,b\r\n\r\n\r\n1,2\r\n", &["a|b", "1: 1|2"]);
    check(" a , b \n 1 , 2 \n", &["a|b", "1:  1 | 2 "]);
    check("a,b\n", &["a|b"]);
    check("", &["the file is empty"]);
    check("\r\n", &["the file is empty"]);
}

#[test]
fn quotation_marks() {
    check("a,b\n\"1,5\",\"x\"\"y\"\n", &["a|b", "1: 1,5|x\"y"]);
    check("a,b\n1,\"x\ny\"\n2,z\n", &["a|b", "1: 1|x\ny", "2: 2|z"]);
    check("a,b\n1,5\" screen\n", &["a|b", "1: 1|5\" screen"]);
    let open =
        "The row has a quotation mark that is not closed, so it goes on to the end of the file.";
    check(
        "a,b\n1,\"x\n2,y\n",
        &["a|b", &format!("1! {open} [1,\\\"x\\n2,y]")],
    );
    check("a,b\n1,\"x\n", &["a|b", &format!("1! {open} [1,\\\"x]")]);
    check(
        "a,\"b\n1,2\n",
        &["a quotation mark in the header is not closed"],
    );
}

#[test]
fn fields_are_those_of_the_header() {
    check(
        "a,b\r\n1,2,3\r\n\r\n4,5\r\n6\r\n",
        &[
            "a|b",
            "1! The row has 3 fields, the header has 2. [1,2,3]",
            "2: 4|5",
            "3! The row has 1 fields, the header has 2. [6]",
        ],
    );
    // All bytes of a broken row are kept, whatever they are.
    check(
        b"a,b\n\xe9,2,\"3\"",
        &[
            "a|b",
            r#"1! The row has 3 fields, the header has 2. [\xe9,2,\"3\"]"#,
        ],
    );
}

#[test]
fn encodings() {
    let text = "näme,b\nJosé,5 €\n";
    let want = ["näme|b", "1: José|5 €"];
    check(text, &want);
    check(format!("\u{feff}{text}"), &want);
    check(b"n\xe4me,b\nJos\xe9,5 \x80\n", &want);
    check(to_utf_16(text, b"\xff\xfe", u16::to_le_bytes), &want);
    check(to_utf_16(text, b"\xfe\xff", u16::to_be_bytes), &want);
    check(pack(text.as_bytes()), &want);
    check(pack(&to_utf_16(text, b"\xff\xfe", u16::to_le_bytes)), &want);
    check(
        [pack(b"a,b\n1,"), pack(b"2\n")].concat(),
        &["a|b", "1: 1|2"],
    );
}

#[test]
fn what_is_no_text() {
    check(
        b"PK\x03\x04rest",
        &["the file is a ZIP or Excel file; unpack it, or save it as CSV"],
    );
    check(
        b"\x8f\x03\x90,\x7f\nrest",
        &["the file is no text: its header has control characters; save the table as CSV"],
    );
    check(
        pack(b"PAR1"),
        &["the file is a Parquet file; write it as CSV"],
    );
    check(
        to_utf_16("a,b\n", b"", u16::to_le_bytes),
        &["the file is written in UTF-16 without a byte order mark; save it as UTF-8"],
    );
    check(
        b"\xff\xfe\0\0a\0\0\0",
        &["the file is written in UTF-32; save it as UTF-8"],
    );
    let packed = pack(b"a,b\n1,2\n");
    let cut = &packed[..packed.len() - 8];
    assert!(
        show_file(cut)
            .pop()
            .unwrap()
            .starts_with("the file cannot be unpacked from gzip: ")
    );
}

#[test]
fn rows_in_windows_1252_are_counted() {
    let decoded = |file: &[u8]| {
        let mut reader = open(file).unwrap();
        while reader.read_row().unwrap().is_some() {}
        reader.decoded_rows()
    };
    assert_eq!(decoded("a\né\n".as_bytes()), None);
    let want = DecodedRows { count: 2, first: 2 };
    assert_eq!(decoded(b"a\nx\n\xe9\ny\n\xe8\n"), Some(want));
}

#[test]
fn repeated_names() {
    let header = |text: &str| open(text.as_bytes()).unwrap().header().clone();
    assert_eq!(header("a,b,c\n").find_repeated_names(), Vec::<&str>::new());
    assert_eq!(header("a,b,a,\"b \",a\n").find_repeated_names(), ["a", "b"]);
}

#[test]
fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
    let file = format!("a\n1\n\"2\n{}", "3\n".repeat(LONGEST_ROW));
    check(
        file,
        &[
            "a",
            "1: 1",
            "row 2 has more than 1048576 bytes: a quote may not be closed",
        ],
    );
    let long = "x".repeat(LONGEST_ROW / 2);
    check(
        format!("a\n{long}\n{long}\n{long}\n"),
        &[
            "a",
            &format!("1: {long}"),
            &format!("2: {long}"),
            &format!("3: {long}"),
        ],
    );
}

#[test]
fn reading_goes_on_after_any_row() {
    for file in [
        "a,b\n1,x\n2,\"y\ny\"\n\u{feff}3,z\n",
        "\u{feff}a;b\r\n1;x\r\n\r\n2;\"y\"\"y\"\r\n3,z",
    ] {
        let mut whole = open(file.as_bytes()).unwrap();
        let header: CsvHeader = whole.header().clone();
        let mut rows = Vec::new();
        let mut places = Vec::new();
        while let Some(row) = whole.read_row().unwrap() {
            rows.push(row);
            places.push(usize::try_from(whole.position()).unwrap());
        }
        assert_eq!(rows.len(), 3);
        for (done, place) in (1..).zip(places) {
            let rest = Box::new(Cursor::new(file.as_bytes()[place..].to_vec()));
            let mut rest = CsvReader::resume(rest, header.clone(), done, place as u64);
            let mut read = Vec::new();
            while let Some(row) = rest.read_row().unwrap() {
                read.push(row);
            }
            assert_eq!(read, rows[usize::try_from(done).unwrap()..]);
            assert_eq!(rest.position(), file.len() as u64);
        }
    }
}

proptest! {
    /// Any fields, written as a CSV writer writes them, are read back.
    #[test]
    fn any_field_is_read_back(
        rows in prop::collection::vec(prop::collection::vec(any::<String>(), 3), 1..8),
        separator in prop::sample::select(b",;\t|".to_vec()),
        packed in any::<bool>(),
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let file = writer.into_inner().unwrap();
        let file = if packed { pack(&file) } else { file };
        let mut reader = open(&file).unwrap();
        for row in &rows {
            let read = reader.read_row().unwrap().unwrap().content.unwrap();
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), row.iter().collect::<Vec<_>>());
        }
        prop_assert_eq!(reader.read_row().unwrap(), None);
    }

    #[test]
    fn any_bytes_are_a_file(data in prop::collection::vec(prop::sample::select(b"ab1,;\"\n\r\\\xff\xef\xbb\xbf\0 ".to_vec()), 0..200)) {
        crate::fuzz::check_csv_bytes(&data);
    }
}

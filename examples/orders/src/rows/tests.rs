use std::io::{Seek, Write};

use flate2::{Compression, write::GzEncoder};

use super::{BadRow, FileError, Row, Rows};
use crate::domain::{Cents, OrderId};

fn rows(bytes: &[u8]) -> Vec<Result<Row, BadRow>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Rows::open(Some(file.path())).unwrap().map(Result::unwrap).collect()
}

fn bad(line: u64, reason: &str) -> Result<Row, BadRow> {
    Err(BadRow { line, reason: reason.to_owned() })
}

#[test]
fn the_bundled_file_has_every_order() {
    let rows: Vec<Row> = Rows::open(None).unwrap().map(|row| row.unwrap().unwrap()).collect();
    let cents = rows.iter().map(|row| row.dollars).fold(Cents(0), Cents::plus);
    let cds: u32 = rows.iter().map(|row| row.cds).sum();
    assert_eq!((rows.len(), cds, cents.to_string().as_str()), (69_659, 167_881, "2500315.63"));
    assert_eq!(rows.iter().filter(|row| row.dollars == Cents(0)).count(), 80);
    let last = rows.last().unwrap();
    assert_eq!((last.order, last.line()), (OrderId(69_659), 69_660));
    assert_eq!(Rows::open(None).unwrap().left().unwrap(), 69_659);
}

#[test]
fn bad_rows_are_reported_with_line_and_reason_and_the_rest_goes_on() {
    let read = rows(
        b"customer,date,cds,dollars\n\
          00001,1997-01-01,1,11.77\n\
          1,1997-01-01,1,11.77\n\
          00001,1997-02-30,1,11.77\n\
          00001,1997-01-01,one,11.77\n\
          00001,1997-01-01,1,11.7\n\
          00001,1997-01-01,1\n\
          00001,1997-01-01,1,11.77,more\n\
          \"0001,1997-01-01,1,11.77\n\
          \xff\xfe,1997-01-01,1,11.77\n\
          00004,1997-01-01,2,29.33\n",
    );
    let (good, bad_rows): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    let good: Vec<_> = good.into_iter().map(|row| row.unwrap()).map(|row| (row.order.0, row.line())).collect();
    assert_eq!(good, [(1, 2), (10, 11)]);
    assert_eq!(
        bad_rows,
        [
            bad(3, "`1` is not a customer: five digits"),
            bad(4, "`1997-02-30` is not a day such as 1997-01-31"),
            bad(5, "`one` is not a number of CDs"),
            bad(6, "`11.7` is not an amount of dollars such as 11.77"),
            bad(7, "it has 3 fields; 4 are needed: customer,date,cds,dollars"),
            bad(8, "it has 5 fields; 4 are needed: customer,date,cds,dollars"),
            bad(9, "`\"0001` is not a customer: five digits"),
            bad(10, "`\u{fffd}\u{fffd}` is not a customer: five digits"),
        ]
    );
}

#[test]
fn windows_line_ends_blank_lines_and_spaces_are_no_harm() {
    let read = rows(
        b"\xef\xbb\xbfcustomer, date, cds, dollars\r\n00001, 1997-01-01, 1, 11.77\r\n\r\n00004,1997-01-01,2,29.33\r\n",
    );
    let places: Vec<_> = read.into_iter().map(|row| row.unwrap()).map(|row| (row.order.0, row.line())).collect();
    assert_eq!(places, [(1, 2), (3, 4)]);
}

#[test]
fn gzip_is_recognised_by_its_bytes_and_a_cut_file_is_an_error() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(b"customer,date,cds,dollars\n00001,1997-01-01,1,11.77\n").unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(rows(&packed).len(), 1);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&packed[..packed.len() - 12]).unwrap();
    let read: Result<Vec<_>, FileError> = Rows::open(Some(file.path())).and_then(Iterator::collect);
    assert!(matches!(read, Err(FileError::Io { .. })), "{read:?}");
}

#[test]
fn another_kind_of_file_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"id,name\n1,Bob\n").unwrap();
    let error = Rows::open(Some(file.path())).err().unwrap().to_string();
    assert!(error.ends_with("begins with `id,name`; the heading `customer,date,cds,dollars` is needed"), "{error}");
    file.write_all(&[b'1'; 5000]).unwrap();
    file.as_file_mut().rewind().unwrap();
    file.write_all(b"customer,date,cds,dollars\n").unwrap();
    let read: Result<Vec<_>, FileError> = Rows::open(Some(file.path())).and_then(Iterator::collect);
    assert!(matches!(read, Err(FileError::EndlessLine { line: 2, .. })), "{read:?}");
    let missing = Rows::open(Some("no/such/file.csv".as_ref())).err().unwrap().to_string();
    assert_eq!(missing, "cannot read no/such/file.csv");
}

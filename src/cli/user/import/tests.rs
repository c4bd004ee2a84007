//! The readers: what becomes of a row, and on which line it stands. What is wrong with rows is in
//! `tests/it/importing/hostile.rs`.

use super::*;

fn lines_of(mut rows: impl Rows) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| rows.next_row().unwrap()).map(|(line, row)| (line, row.is_ok())).collect()
}

fn text(text: &str) -> Box<dyn BufRead> {
    // Piece by piece, so that nothing depends on where the pieces end.
    Box::new(std::io::BufReader::with_capacity(7, std::io::Cursor::new(text.to_owned())))
}

#[test]
fn rows_of_json_lines_have_the_number_of_their_line() {
    let good = r#"{"username":"ada","no_password":true}"#;
    let rows = json_lines::JsonLines::new(text(&format!("\n{good}\r\n \t\n{{}}\n\n{good}")));
    assert_eq!(lines_of(rows), [(2, true), (4, false), (6, true)]);
}

#[test]
fn rows_of_csv_have_the_number_of_the_line_that_they_begin_on() {
    let rows =
        csv::Csv::new(text("username,password\r\nada,x\r\n\"gr\nace\",\"y\n\"\r\n\r\nalan\nzoe,z")).unwrap();
    assert_eq!(lines_of(rows), [(2, true), (3, true), (7, false), (8, true)]);
}

#[test]
fn a_time_is_read_in_every_spelling_that_is_named() {
    for (written, millis) in [
        ("", None),
        ("0", Some(0)),
        ("1234567890", Some(1_234_567_890_000)),
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1970-01-01 01:00:00.25+01:00", Some(250)),
        ("1969-12-31T23:59:59.999Z", Some(-1)),
    ] {
        let read = fields::created_at(written).unwrap();
        assert_eq!(read.map(|time| time.0), millis, "{written}");
    }
    for bad in ["x", "1970-01-01", "1970-01-01T00:00:00", "-1", "１", "99999999999999999999"] {
        assert!(fields::created_at(bad).is_err(), "{bad}");
    }
}

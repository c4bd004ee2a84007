//! Some hundred rows that are wrong, each in its own way, among rows that are not: each is refused with its line and why,
//! no other is, and nothing of them is repeated that might be a password.

use serde_json::{Value, json};

use super::{BCRYPT, Data, summary};

/// A hash of each format that is taken.
fn hashes() -> Vec<(String, String)> {
    let mut seen = std::collections::BTreeMap::new();
    for line in include_str!("../../fixtures/password_hashes/made.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let (origin, hash) = (vector["origin"].as_str().unwrap(), vector["hash"].as_str().unwrap());
        seen.entry(origin.to_owned()).or_insert_with(|| hash.to_owned());
    }
    seen.into_iter().collect()
}

/// A row that is wrong: as a line of JSON, with the reason and, where the reason does not tell it, the field.
struct Wrong {
    line: Vec<u8>,
    reason: &'static str,
    field: Option<&'static str>,
}

fn wrong(row: &Value, reason: &'static str, field: &'static str) -> Wrong {
    Wrong { line: row.to_string().into_bytes(), reason, field: Some(field) }
}

fn unreadable(line: impl Into<Vec<u8>>) -> Wrong {
    Wrong { line: line.into(), reason: "INVALID_FIELD", field: None }
}

/// Hashes that were cut off, or have something in the middle that does not belong there.
fn damaged_hashes() -> Vec<Wrong> {
    let mut rows = Vec::new();
    for (_, hash) in hashes() {
        // A hash may well be one without its last character; without its last third none is.
        let cut: String = hash.chars().take(hash.chars().count() * 2 / 3).collect();
        let with_nul = format!("{}\0{}", &cut, &hash[cut.len()..]);
        let with_line = format!("{hash}\n{hash}");
        for bad in [cut, with_nul, with_line] {
            // A salt in braces may be any text, this one too.
            if bad.contains('\n') && bad.contains("}{") {
                continue;
            }
            let row = json!({"username": "hostile", "password_hash": bad});
            rows.push(wrong(&row, "PASSWORD_HASH_REFUSED", "password_hash"));
        }
    }
    rows
}

fn wrong_hashes() -> Vec<Wrong> {
    let costly = [
        BCRYPT.replace("$10$", "$15$"),
        BCRYPT.replace("$10$", "$31$"),
        BCRYPT.replace("$10$", "$99$"),
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "$argon2id$v=19$m=65536,t=21,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "$argon2id$v=19$m=18446744073709551616,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "$argon2i$v=19$m=262144,t=20,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "pbkdf2_sha256$4000001$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
        "scrypt:4194304:8:1$salt$00".to_owned(),
        "$6$rounds=1000001$salt$x".to_owned(),
        format!("$P$Z12345678{}", "x".repeat(22)),
    ];
    let other = [
        "",
        " ",
        "x",
        "NULL",
        "********",
        "!",
        "$",
        "$$",
        "{}",
        "{\"secretData\":1}",
        "{SSHA}",
        "{SSHA}!!!!",
        "{SSHA}AAAA",
        "{MD5}zz",
        "{unknown}x",
        "$1$salt$x",
        "$2x$10$GQ7RuMmPHUEuo0LB4oFQHODrYQxm7Y8Oo9rZPZeJ1uuxWYV4nXBRu",
        "$2b$10$GQ7RuMmPHUEuo0LB4oFQHODrYQxm7Y8Oo9rZPZeJ1uuxWYV4nXBR!",
        "$2b$1$GQ7RuMmPHUEuo0LB4oFQHODrYQxm7Y8Oo9rZPZeJ1uuxWYV4nXBRu",
        "$wrapped$v=1$",
        "$wrapped$v=1$md5$password$$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
        "$wrapped$v=2$x",
        "$none$",
        "md5:password::zz",
        "md5:password:salt:e10adc3949ba59abbe56e057f20f883e",
        "md5:elsewhere::e10adc3949ba59abbe56e057f20f883e",
        "sha3:password::00",
        "e10adc3949ba59abbe56e057f20f883e",
        "plain:",
        "пароль",
        "\u{202e}$2b$10$",
    ];
    let large =
        ["x".repeat(2049), format!("plain:{}", "x".repeat(1025)), format!("{BCRYPT}{}", " ".repeat(40_000))];
    costly
        .into_iter()
        .chain(other.map(str::to_owned))
        .chain(large)
        .map(|hash| {
            let row = json!({"username": "hostile", "password_hash": hash});
            wrong(&row, "PASSWORD_HASH_REFUSED", "password_hash")
        })
        .collect()
}

fn wrong_fields() -> Vec<Wrong> {
    let mut rows = Vec::new();
    let mut add = |change: Value, field| {
        let mut row = json!({"username": "hostile", "password_hash": BCRYPT});
        for (name, value) in change.as_object().unwrap() {
            row[name] = value.clone();
        }
        rows.push(wrong(&row, "INVALID_FIELD", field));
    };
    for username in [
        json!(""),
        json!(" "),
        json!("a b"),
        json!("a\0b"),
        json!("a\nb"),
        json!("\u{202e}x"),
        json!("\u{301}x"),
        json!("x".repeat(129)),
        json!("x".repeat(10_000)),
        json!(7),
        json!([]),
        json!({}),
        json!(true),
        json!(null),
        json!("\u{feff}x"),
        json!("\u{fdd0}"),
    ] {
        add(json!({"username": username}), "username");
    }
    for id in [
        "1",
        "x",
        "0190A5B0-7F3C-7E55-8A44-0D5F2B6F6C01",
        "0190a5b07f3c7e558a440d5f2b6f6c01",
        "{0190a5b0-7f3c-7e55-8a44-0d5f2b6f6c01}",
        " 0190a5b0-7f3c-7e55-8a44-0d5f2b6f6c01",
    ] {
        add(json!({"user_id": id}), "user_id");
    }
    add(json!({"user_id": 7}), "user_id");
    for id in [
        json!(" 7"),
        json!("7 "),
        json!("7\n"),
        json!("\0"),
        json!("x".repeat(129)),
        json!(1.5),
        json!([7]),
        json!(true),
    ] {
        add(json!({"external_id": id}), "external_id");
    }
    rows
}

fn wrong_values() -> Vec<Wrong> {
    let mut rows = Vec::new();
    let mut add = |change: Value, field| {
        let mut row = json!({"username": "hostile", "password_hash": BCRYPT});
        for (name, value) in change.as_object().unwrap() {
            row[name] = value.clone();
        }
        rows.push(wrong(&row, "INVALID_FIELD", field));
    };
    for roles in [
        json!("admin"),
        json!([7]),
        json!([null]),
        json!([""]),
        json!(["a b"]),
        json!(["ä"]),
        json!({"a": 1}),
        json!(["x".repeat(65)]),
        json!(["countersign:god"]),
        json!((0..65).map(|n| format!("role{n}")).collect::<Vec<_>>()),
        json!((0..64).map(|n| format!("{n:060}")).collect::<Vec<_>>()),
    ] {
        add(json!({"roles": roles}), "roles");
    }
    for claims in [
        json!("{}"),
        json!([]),
        json!(7),
        json!({"sub": "x"}),
        json!({"ext": 1}),
        json!({"": 1}),
        json!({"a": {"b": {"c": {"d": {"e": {}}}}}}),
        json!({"n": 9_007_199_254_740_993_u64}),
        json!({"a": "x".repeat(2100)}),
    ] {
        add(json!({"custom_claims": claims}), "custom_claims");
    }
    for flag in [json!("true"), json!(1), json!("")] {
        add(json!({"disabled": flag}), "disabled");
    }
    for time in [
        json!("yesterday"),
        json!("2019-13-01T00:00:00Z"),
        json!("2019-01-01"),
        json!("2019-01-01T00:00:00"),
        json!(-1),
        json!(1e30),
        json!(99_999_999_999_999_u64),
        json!("x".repeat(1000)),
        json!("９"),
        json!("1969-12-31T23:59:59Z"),
        json!("10000-01-01T00:00:00Z"),
    ] {
        add(json!({"created_at": time}), "created_at");
    }
    add(json!({"password": "x"}), "password_hash");
    add(json!({"no_password": true}), "password_hash");
    for password in [json!(""), json!("x".repeat(1025))] {
        rows.push(wrong(&json!({"username": "hostile", "password": password}), "INVALID_FIELD", "password"));
    }
    rows.push(wrong(&json!({"username": "hostile", "password": 123_456}), "INVALID_FIELD", "password"));
    rows.push(wrong(&json!({"username": "hostile"}), "INVALID_FIELD", "password_hash"));
    rows
}

fn unreadable_lines() -> Vec<Wrong> {
    let good = json!({"username": "hostile", "password_hash": BCRYPT}).to_string();
    let mut rows: Vec<Wrong> = [
        "{",
        "}",
        "{}x",
        "null",
        "7",
        "\"text\"",
        "[1]",
        "{\"username\"",
        "{\"username\":}",
        "{'username':'x'}",
        "username=x",
        "{\"username\":\"\u{1}\"}",
        "{\"username\":\"x\"} {\"username\":\"y\"}",
        "// x",
        "{\"a\":1,}",
        "{\"usrname\":\"x\"}",
        "{\"username\":\"\\ud800\"}",
        "{\"x\":NaN}",
    ]
    .map(unreadable)
    .into();
    let nested = format!("{{\"custom_claims\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    rows.push(unreadable(nested));
    rows.push(unreadable(&good.as_bytes()[..good.len() - 1]));
    rows.push(unreadable([good.as_bytes(), b"\0"].concat()));
    // Latin-1, Shift-JIS, GBK, an overlong NUL, a surrogate: none is UTF-8.
    for name in [&b"J\xFCrgen"[..], b"\x83\x65\x83\x58", b"\xB1\xB1\xBE\xA9", b"\xC0\x80", b"\xED\xA0\x80"] {
        let line = [b"{\"username\":\"", name, b"\",\"no_password\":true}"].concat();
        rows.push(unreadable(line));
    }
    // Larger than a row may be, one of them by far.
    for bytes in [70_000, 10_000_000] {
        let row = json!({"username": "hostile", "password_hash": "x".repeat(bytes)});
        rows.push(unreadable(row.to_string()));
    }
    let twice = format!("{{\"username\":\"x\",{}", &good[1..]);
    rows.push(Wrong { line: twice.into_bytes(), reason: "INVALID_FIELD", field: Some("username") });
    rows
}

#[tokio::test]
async fn each_hostile_row_is_refused_with_its_line_and_why_and_the_others_go_in() {
    let rows: Vec<Wrong> = damaged_hashes()
        .into_iter()
        .chain(wrong_hashes())
        .chain(wrong_fields())
        .chain(wrong_values())
        .chain(unreadable_lines())
        .collect();
    assert!(rows.len() > 200, "{}", rows.len());
    let mut file = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let good = json!({"username": format!("good{number:03}"), "password_hash": BCRYPT});
        file.extend_from_slice(good.to_string().as_bytes());
        file.push(b'\n');
        file.extend_from_slice(&row.line);
        file.extend_from_slice(if number % 2 == 0 { b"\n" } else { b"\r\n" });
    }
    let data = Data::new().await;
    let report = data.path().join("refused.jsonl");
    let arguments = ["-", "--format", "jsonl", "--refused", report.to_str().unwrap()];
    for first in [true, false] {
        let done = data.import(&arguments, &file);
        let many = rows.len();
        let (created, unchanged) = if first { (many, 0) } else { (0, many) };
        let expected = format!("{} rows: {created} created, {unchanged} unchanged, {many} refused", 2 * many);
        let refused: Vec<Value> = std::fs::read_to_string(&report)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let lines: Vec<u64> = refused.iter().map(|refused| refused["line"].as_u64().unwrap()).collect();
        let odd: Vec<String> = rows
            .iter()
            .enumerate()
            .filter(|(number, _)| !lines.contains(&(2 * *number as u64 + 2)))
            .map(|(_, row)| String::from_utf8_lossy(&row.line[..row.line.len().min(200)]).into_owned())
            .collect();
        assert!(odd.is_empty(), "these were taken: {odd:#?}");
        assert_eq!((done.code, summary(&done.out)), (3, expected.as_str()), "{}", done.err);
        for (row, refused) in rows.iter().zip(&refused) {
            let shown = String::from_utf8_lossy(&row.line[..row.line.len().min(200)]).into_owned();
            assert_eq!(refused["reason"], row.reason, "{shown}: {refused}");
            let fields = row.field.map_or_else(|| json!([]), |field| json!([field]));
            assert_eq!(refused["fields"], fields, "{shown}: {refused}");
            let description = refused["description"].as_str().unwrap();
            assert!(!description.is_empty() && description.len() <= 300, "{shown}: {refused}");
            assert!(!refused.to_string().contains(BCRYPT), "{shown}: {refused}");
        }
    }
    let users = data.usernames();
    assert!(users.len() == rows.len() && users.iter().all(|name| name.starts_with("good")), "{users:?}");
}

#[tokio::test]
async fn a_hostile_row_of_csv_is_refused_with_its_line_and_the_others_go_in() {
    let large = "x".repeat(10_000_000);
    let columns = "x,".repeat(5000);
    let rows: [(&[u8], &str); 9] = [
        (b"hostile", "1 fields"),
        (b"hostile,x,y,z", "4 fields"),
        (b"hostile,,", "there must be"),
        (b"h\xFFstile,,123456", "UTF-8"),
        (b"hostile,x\0,", "not known"),
        (b"\"host\nile\",,123456", "control"),
        (large.as_bytes(), "larger than 65536 bytes"),
        (columns.as_bytes(), "64 columns"),
        (b"hostile,\"plain:x\ny\",123456", "no other of them"),
    ];
    let mut file = b"username,password_hash,password\n".to_vec();
    let (mut line, mut expected) = (2, Vec::new());
    for (number, (row, what)) in rows.iter().enumerate() {
        file.extend_from_slice(format!("good{number},,123456\n").as_bytes());
        file.extend_from_slice(row);
        file.extend_from_slice(b"\r\n");
        expected.push((line + 1, *what));
        line += 2 + row.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
    }
    // A quote that is never closed takes the rest of the file with it, and says so.
    file.extend_from_slice(b"good9,,123456\nhostile,\"x,y\n");
    file.extend_from_slice("lost,,123456\n".repeat(10_000).as_bytes());
    expected.push((line + 1, "perhaps a quote is never closed"));

    let data = Data::new().await;
    let report = data.path().join("refused.jsonl");
    let done = data.import(&["-", "--refused", report.to_str().unwrap()], &file);
    assert_eq!(
        (done.code, summary(&done.out)),
        (3, "20 rows: 10 created, 0 unchanged, 10 refused"),
        "{}",
        done.err
    );
    let report = std::fs::read_to_string(&report).unwrap();
    for (refused, (line, what)) in report.lines().zip(expected) {
        let refused: Value = serde_json::from_str(refused).unwrap();
        assert_eq!(refused["line"], line, "{refused}");
        assert!(refused["description"].as_str().unwrap().contains(what), "{what} in {refused}");
    }
}

//! `countersign user import` and `user export`, as the real binary does them.

use std::path::Path;

use countersign::model::SystemClock;
use countersign::store::UserStore as _;
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cli::{Outcome, run, run_with_input};

mod hostile;
mod killed;
mod measured;

/// A well-formed bcrypt hash.
const BCRYPT: &str = "$2b$10$GQ7RuMmPHUEuo0LB4oFQHODrYQxm7Y8Oo9rZPZeJ1uuxWYV4nXBRu";

/// Hashes that are not weaker than what is taken as it is, and no dearer: this is no test of Argon2.
const CHEAP: [(&str, &str); 3] = [
    ("COUNTERSIGN__PASSWORDS__MEMORY_KIB", "16384"),
    ("COUNTERSIGN__PASSWORDS__ITERATIONS", "1"),
    ("COUNTERSIGN__LOG__LEVEL", "error"),
];

/// A data directory as `dev` makes it, with an empty database.
struct Data(TempDir);

impl Data {
    async fn new() -> Self {
        let data = TempDir::new().unwrap();
        let options = SqliteOptions::new(data.path().join("countersign.db"));
        let store = SqliteStore::open(options, std::sync::Arc::new(SystemClock::new())).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await;
        Self(data)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn import(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let directory = self.path().to_str().unwrap();
        let arguments = [&["user", "import", "--data-dir", directory], arguments].concat();
        run_with_input(&arguments, &CHEAP, input)
    }

    /// Every user as an export has them.
    fn exported(&self, arguments: &[&str]) -> Vec<Value> {
        let directory = self.path().to_str().unwrap();
        let arguments = [&["user", "export", "--data-dir", directory], arguments].concat();
        let Outcome { code, out, err } = run(&arguments, &CHEAP);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn usernames(&self) -> Vec<String> {
        let users = self.exported(&[]);
        users.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
    }

    async fn stored(&self, username: &str) -> String {
        let options = SqliteOptions::new(self.path().join("countersign.db"));
        let store = SqliteStore::open(options, std::sync::Arc::new(SystemClock::new())).await.unwrap();
        let username = countersign::model::Username::parse(username).unwrap();
        let found = store.credential(&username).await.unwrap().unwrap();
        store.close().await;
        found.password_hash.as_phc().to_owned()
    }
}

fn summary(out: &str) -> &str {
    out.lines().last().unwrap_or_default()
}

/// JSON Lines.
fn lines_of(rows: &[Value]) -> String {
    rows.iter().flat_map(|row| [row.to_string(), "\n".to_owned()]).collect()
}

#[tokio::test]
async fn a_file_is_imported_once_however_often_it_is_given() {
    let data = Data::new().await;
    let file = data.path().join("users.jsonl");
    let rows = [
        json!({"username": "Ada", "password_hash": BCRYPT, "roles": ["ops", "admin"], "external_id": 42,
               "custom_claims": {"tenant": "acme"}, "created_at": "2019-03-01 10:00:00.5+01:00"}),
        json!({"username": "grace", "password": "123456", "user_id": "0190a5b0-7f3c-7e55-8a44-0d5f2b6f6c01"}),
        json!({"username": "alan", "no_password": true, "disabled": true, "created_at": 1_234_567_890}),
        json!({"username": "edsger", "password_hash": "md5:password::e10adc3949ba59abbe56e057f20f883e"}),
    ];
    let lines = lines_of(&rows);
    std::fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();

    let dry = data.import(&[file, "--dry-run"], b"");
    assert_eq!((dry.code, dry.err.as_str()), (0, ""), "{}", dry.out);
    assert_eq!(dry.out, "dry run, nothing is stored: 4 rows: 4 created, 0 unchanged, 0 refused\n");
    assert_eq!(data.usernames(), [""; 0]);

    let first = data.import(&[file], b"");
    assert_eq!((first.code, first.out.as_str()), (0, "4 rows: 4 created, 0 unchanged, 0 refused\n"));
    let users = data.exported(&["--with-hashes"]);
    let ada = users.iter().find(|user| user["username"] == "ada").unwrap();
    assert_eq!((&ada["roles"], &ada["external_id"]), (&json!(["admin", "ops"]), &json!("42")));
    assert_eq!(
        (&ada["password_hash"], &ada["created_at"]),
        (&json!(BCRYPT), &json!("2019-03-01T09:00:00.500Z"))
    );
    let alan = users.iter().find(|user| user["username"] == "alan").unwrap();
    assert_eq!((&alan["no_password"], &alan["disabled"]), (&json!(true), &json!(true)));
    assert!(data.stored("edsger").await.starts_with("$wrapped$v=1$md5"));
    assert!(data.stored("grace").await.starts_with("$argon2id$v=19$m=16384,t=1,p=1$"));

    for arguments in [&[file][..], &[file, "--dry-run"]] {
        let again = data.import(arguments, b"");
        assert_eq!(
            (again.code, summary(&again.out).ends_with("0 created, 4 unchanged, 0 refused")),
            (0, true)
        );
    }
    assert_eq!(data.exported(&["--with-hashes"]), users, "nothing has changed");

    let other = json!({"username": "ada", "password_hash": BCRYPT, "roles": ["ops"], "external_id": "42"});
    let differs = data.import(&["-", "--format", "jsonl"], other.to_string().as_bytes());
    assert_eq!((differs.code, differs.err.as_str()), (3, "error: rows refused: 1\n"));
    assert!(differs.out.starts_with("line 1: USER_DIFFERS: roles, custom_claims: "), "{}", differs.out);
    assert_eq!(data.exported(&["--with-hashes"]), users, "nothing is overwritten");
}

#[tokio::test]
async fn an_export_is_imported_elsewhere_as_it_is() {
    let (here, there) = (Data::new().await, Data::new().await);
    let rows: Vec<Value> = (0..1200)
        .map(|number| match number % 4 {
            0 => json!({"username": format!("user{number}"), "password_hash": BCRYPT, "external_id": number}),
            1 => json!({"username": format!("user{number}"), "no_password": true, "roles": ["a", "b"]}),
            2 => json!({"username": format!("ü{number}"), "password_hash": BCRYPT, "custom_claims": {"n": [number]}}),
            _ => json!({"username": format!("user{number}"), "password_hash": BCRYPT, "disabled": true}),
        })
        .chain([
            json!({"username": "wrapped", "password_hash": "md5:password::e10adc3949ba59abbe56e057f20f883e"}),
            json!({"username": "plain", "password": "123456"}),
        ])
        .collect();
    let lines = lines_of(&rows);
    assert_eq!(here.import(&["-"], lines.as_bytes()).code, 0);
    let users = here.exported(&["--with-hashes"]);
    assert_eq!(users.len(), 1202);
    let lines = lines_of(&users);
    let moved = there.import(&["-"], lines.as_bytes());
    assert_eq!((moved.code, moved.out.as_str()), (0, "1202 rows: 1202 created, 0 unchanged, 0 refused\n"));
    assert_eq!(there.exported(&["--with-hashes"]), users, "byte by byte");
    let same = here.import(&["-"], lines.as_bytes());
    assert_eq!(same.out, "1202 rows: 0 created, 1202 unchanged, 0 refused\n");

    // Without hashes there is nothing in it to try passwords against.
    let without = here.exported(&[]);
    assert!(without.iter().all(|user| user["password_hash"].is_null() && user["no_password"] == true));
}

#[tokio::test]
async fn csv_is_read_as_databases_and_spreadsheets_write_it() {
    let data = Data::new().await;
    let csv = [
        "\u{feff}username,password_hash,password,no_password,roles,custom_claims,user_id,external_id,disabled,created_at",
        &format!(
            "ada,{BCRYPT},,,\"ops,admin\",\"{{\"\"tenant\"\":\"\"a,b\"\"}}\",,42,t,2019-03-01 09:00:00+00"
        ),
        "",
        "grace,,\" quoted \"\"pass\"\",\nword \",false,{ops;x},,,007,FALSE,1234567890",
        "alan,,,yes,,,0190a5b0-7f3c-7e55-8a44-0d5f2b6f6c01,,0,",
        "\"北京\",,123456,,a b,{},,,,",
    ];
    let refused = data.path().join("refused.jsonl");
    let done = data.import(&["-", "--refused", refused.to_str().unwrap()], csv.join("\r\n").as_bytes());
    let report = std::fs::read_to_string(&refused).unwrap();
    // The time zone of the first is not what RFC 3339 writes.
    assert_eq!((done.code, summary(&done.out)), (3, "4 rows: 3 created, 0 unchanged, 1 refused"), "{report}");
    let line: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&line["line"], &line["reason"], &line["fields"]),
        (&json!(2), &json!("INVALID_FIELD"), &json!(["created_at"]))
    );
    let users = data.exported(&[]);
    let find = |name: &str| users.iter().find(|user| user["username"] == name).unwrap();
    let grace = find("grace");
    assert_eq!((&grace["roles"], &grace["external_id"]), (&json!(["ops", "x"]), &json!("007")));
    assert_eq!(grace["created_at"], "2009-02-13T23:31:30Z");
    assert_eq!(find("alan")["user_id"], "0190a5b0-7f3c-7e55-8a44-0d5f2b6f6c01");
    assert_eq!(find("北京")["roles"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_as_a_whole_with_what_is_wrong() {
    let data = Data::new().await;
    for (input, arguments, what) in [
        (&b""[..], &["-"][..], "not even the names of the columns"),
        (b"[{\"username\":\"ada\"}]", &["-"], "jq -c '.[]'"),
        (b"\xFF\xFEu\0s\0", &["-"], "UTF-16"),
        (b"user,password\nada,x\n", &["-"], "there is no column \"user\""),
        (b"username;password\nada;x\n", &["-"], "there is no column \"username;password\""),
        (b"password\nx\n", &["-"], "there is no column username"),
        (b"username,roles,roles\nx\n", &["-"], "the column roles stands there twice"),
        (b"", &["absent.jsonl"], "absent.jsonl"),
        (b"{}", &["-", "--refused", "/nowhere/x"], "cannot write /nowhere/x"),
    ] {
        let refused = data.import(arguments, input);
        assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{arguments:?}: {}", refused.err);
        assert!(refused.err.contains(what), "{what} in {}", refused.err);
    }
    assert_eq!(data.usernames(), [""; 0]);
}

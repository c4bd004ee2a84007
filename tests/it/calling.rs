//! docs/calling.md: the programs that it shows are those in `examples/clients`, and each runs against the real binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::Dev;
use crate::support::tool;

/// A language of the page.
struct Language {
    folder: &'static str,
    /// The program, and what the page says in which language its block is.
    program: (&'static str, &'static str),
    /// What else the page shows or the program is built from.
    others: &'static [&'static str],
    /// The line that runs it, in its folder.
    run: &'static str,
}

const LANGUAGES: [Language; 5] = [
    Language { folder: "bash", program: ("main.sh", "bash"), others: &[], run: "bash main.sh" },
    Language {
        folder: "go",
        program: ("main.go", "go"),
        others: &["build.sh", "go.mod", "go.sum"],
        run: "./main",
    },
    Language {
        folder: "java",
        program: ("src/main/java/Main.java", "java"),
        others: &["build.sh", "pom.xml"],
        run: "java -cp 'target/classes:target/lib/*' Main",
    },
    Language {
        folder: "node",
        program: ("main.mjs", "js"),
        others: &["build.sh", "package.json", "package-lock.json"],
        run: "node main.mjs",
    },
    Language {
        folder: "python",
        program: ("main.py", "python"),
        others: &["build.sh", "requirements.txt"],
        run: ".venv/bin/python main.py",
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Language {
    fn source(&self, file: &str) -> String {
        let path = root().join("examples/clients").join(self.folder).join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Where it is built, from the sources that are there now.
    fn built(&self, test: &str) -> Option<PathBuf> {
        if self.others.is_empty() {
            tool::find("grpcurl", test)?;
            return Some(root().join("examples/clients").join(self.folder));
        }
        let folder = tool::example_client(self.folder, test)?;
        for file in self.others.iter().chain([&self.program.0]) {
            let copy = fs::read_to_string(folder.join(file)).unwrap_or_default();
            assert_eq!(copy, self.source(file), "{file} has changed since: `make tools` builds it anew");
        }
        Some(folder)
    }

    /// What it prints, and its exit code.
    fn print(&self, folder: &Path, address: &str, password: &str) -> (Vec<String>, Option<i32>) {
        let output = Command::new("bash")
            .args(["-c", self.run])
            .current_dir(folder)
            .env("PATH", tool::path_with_tools())
            .envs([("ADDRESS", address), ("PASSWORD", password)])
            .env_remove("ACCOUNT")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.is_empty(), "{}: {}", self.folder, String::from_utf8_lossy(&output.stderr));
        (text.lines().map(str::to_owned).collect(), output.status.code())
    }
}

#[test]
fn the_page_shows_the_examples_as_they_are() {
    let page = fs::read_to_string(root().join("docs/calling.md")).unwrap();
    for language in LANGUAGES {
        let (program, fence) = language.program;
        let mut blocks = vec![
            format!("```{fence}\n{}```\n", language.source(program)),
            format!("```sh\n{}\n```\n", language.run),
        ];
        if language.others.contains(&"build.sh") {
            blocks.push(format!("```sh\n{}```\n", language.source("build.sh")));
        }
        for block in blocks {
            assert!(page.contains(&block), "docs/calling.md does not show this:\n{block}");
        }
    }
}

/// All of them print the same lines: for a session, for a wrong password, and where no service listens.
#[test]
fn every_example_client_logs_in_verifies_refreshes_and_logs_out() {
    const TEST: &str = "every_example_client_logs_in_verifies_refreshes_and_logs_out";
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let (address, password) = (dev.grpc.to_string(), dev.password().unwrap());
    for language in LANGUAGES {
        let Some(folder) = language.built(TEST) else { continue };
        let (printed, code) = language.print(&folder, &address, &password);
        let [login, verified, refreshed, logout, refused] = printed.as_slice() else {
            panic!("{}: {printed:?}", language.folder)
        };
        assert_eq!([login.as_str(), verified, logout], ["logged in: admin", "verified: admin", "logged out"]);
        let seconds = refreshed.strip_prefix("refreshed: the access token is good for ").unwrap();
        let seconds: u32 = seconds.strip_suffix(" s").unwrap().parse().unwrap();
        assert!((200..=300).contains(&seconds), "{}: {seconds}", language.folder);
        assert_eq!(refused, "refused: SESSION_REVOKED (the session is over: forget the tokens)");
        assert_eq!(code, Some(0), "{}", language.folder);

        let (printed, code) = language.print(&folder, &address, "not \"the\\ password");
        assert_eq!(printed, ["refused: INVALID_CREDENTIALS (keep any tokens)"], "{}", language.folder);
        assert_eq!(code, Some(1), "{}", language.folder);

        let (printed, code) = language.print(&folder, "127.0.0.1:1", &password);
        assert!(
            printed[0].starts_with("refused: ") && printed[0].ends_with("(keep any tokens)"),
            "{printed:?}"
        );
        assert_eq!((printed.len(), code), (1, Some(1)), "{}", language.folder);
    }
}

/// `buf.gen.yaml`, in which a generator has the version that the examples have.
#[test]
fn buf_generates_stubs_with_the_versions_that_the_examples_use() {
    const TEST: &str = "buf_generates_stubs_with_the_versions_that_the_examples_use";
    let template = fs::read_to_string(root().join("buf.gen.yaml")).unwrap();
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&template).unwrap();
    let plugins = yaml["plugins"].as_sequence().unwrap();
    assert_eq!(plugins.len(), 6);
    let [go, java, _, python] = [1, 2, 3, 4].map(|index| &LANGUAGES[index]);
    for plugin in plugins {
        let words = if plugin["local"].is_null() { &plugin["protoc_path"] } else { &plugin["local"] };
        let words: Vec<_> = words.as_sequence().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let pinned = words.iter().find(|word| word.contains(|c: char| c.is_ascii_digit())).unwrap();
        let (package, version) = pinned.rsplit_once(['@', ':', '=']).unwrap();
        let name = package.trim_end_matches('=').rsplit(['/', ':']).next().unwrap();
        let (source, same) = match name {
            "protoc-gen-go" => (go.source("go.mod"), format!("google.golang.org/protobuf {version}\n")),
            "protoc-gen-go-grpc" => (go.source("go.mod"), format!("{package} {version} ")),
            "protoc" => (java.source("pom.xml"), format!("<protobuf.version>{version}<")),
            "protoc-gen-grpc-java" => (java.source("pom.xml"), format!("<grpc.version>{version}<")),
            "grpcio-tools" => (python.source("requirements.txt"), format!("{name}=={version}\n")),
            "protoc-gen-es" => continue,
            other => panic!("{other} is not known"),
        };
        assert!(source.contains(&same), "{pinned} is not what the example has");
    }
    for program in ["buf", "go", "npx", "python3", "mvn"] {
        if tool::find(program, TEST).is_none() {
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("buf")
        .arg("generate")
        .arg("--output")
        .arg(folder.path())
        .current_dir(root())
        .env("PATH", tool::path_with_tools())
        .env("npm_config_prefer_offline", "true")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for path in [
        "go/countersign/v1/auth_service_grpc.pb.go",
        "java/dev/countersign/v1/AuthServiceGrpc.java",
        "java/dev/countersign/v1/LoginRequest.java",
        "python/countersign/v1/auth_service_pb2.pyi",
        "python/countersign/v1/auth_service_pb2_grpc.py",
        "typescript/countersign/v1/auth_service_pb.ts",
    ] {
        assert!(folder.path().join("gen").join(path).is_file(), "{path}");
    }
}

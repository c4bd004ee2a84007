//! README's Deployment, as it stands there: the block that makes a service on PostgreSQL, and the line for grpcurl.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::cli::{Outcome, run};
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::process::Dev;
use crate::support::tool;

/// The blocks of shell under the heading `## Deployment`.
fn blocks() -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("\n## Deployment\n").nth(1).unwrap().split("\n#").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

fn path_with_the_binary() -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_countersign"));
    let folders =
        [binary.parent().unwrap().to_owned(), Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin")];
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = folders.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap().into_string().unwrap()
}

/// A shell that works through a block, and what it has started; all of it ends with this.
struct Pasted {
    shell: Child,
    /// What was logged until the service listened.
    log: String,
    grpc: Option<String>,
}

impl Drop for Pasted {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", "--", &format!("-{}", self.shell.id())]).status();
        let _ = self.shell.wait();
    }
}

/// Pastes the block into this shell, in this directory, and waits until the last command of it serves.
fn paste(shell: &Path, block: &str, directory: &Path, postgres: &str) -> Pasted {
    let address = postgres.split('@').nth(1).unwrap().split('/').next().unwrap();
    let (host, port) = address.split_once(':').unwrap();
    let free =
        ["GRPC", "EDGE", "OPERATIONS"].map(|port| (format!("COUNTERSIGN__{port}__LISTEN"), "127.0.0.1:0"));
    let mut shell = Command::new(shell)
        .args(["-e", "-c", block])
        .current_dir(directory)
        .env_clear()
        .env("PATH", path_with_the_binary())
        // Where PostgreSQL is, as every client of it takes it; on a fresh machine it is where they look by themselves.
        .envs([("PGHOST", host), ("PGPORT", port), ("PGUSER", "postgres")])
        .envs(free)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let lines = BufReader::new(shell.stderr.take().unwrap()).lines();
    let mut pasted = Pasted { shell, log: String::new(), grpc: None };
    for line in lines.map_while(Result::ok) {
        pasted.log.push_str(&line);
        pasted.log.push('\n');
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if event["message"] == "listening" {
            pasted.grpc = event["grpc"].as_str().map(str::to_owned);
            break;
        }
    }
    pasted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_block_that_deploys_works_as_it_stands_and_so_does_the_line_for_grpcurl() {
    const TEST: &str = "the_block_that_deploys_works_as_it_stands_and_so_does_the_line_for_grpcurl";
    let [deploy, grpcurl] = <[String; 2]>::try_from(blocks()).expect("two blocks");
    for program in ["createdb", "openssl", "grpcurl"] {
        if tool::find(program, TEST).is_none() {
            return;
        }
    }
    for (shell, _) in tool::SHELLS {
        let Some(shell) = tool::find(shell, TEST) else { continue };
        let Some(postgres) = Postgres::start_with(TEST, &["fsync=off"]) else { return };
        postgres.ready().await;
        let folder = tempfile::tempdir().unwrap();
        let pasted = paste(&shell, &deploy, folder.path(), &postgres.url("postgres"));
        let Some(grpc) = &pasted.grpc else { panic!("{}: {}", shell.display(), pasted.log) };

        // In the repository, or where its `proto` is.
        std::os::unix::fs::symlink(
            concat!(env!("CARGO_MANIFEST_DIR"), "/proto"),
            folder.path().join("proto"),
        )
        .unwrap();
        let call = |line: &str| {
            let line = line.replace("127.0.0.1:50051", grpc);
            let mut command = Command::new(&shell);
            command.args(["-c", &line]).current_dir(folder.path()).env("PATH", path_with_the_binary());
            let output = command.output().unwrap();
            let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
            out + &err
        };
        let login = call(&grpcurl);
        assert!(login.contains("\"accessToken\""), "{}: {login}", shell.display());
        let refused = call(&grpcurl.replace("$(cat ada.password)", "a wrong password"));
        assert!(refused.contains("\"reason\": \"INVALID_CREDENTIALS\""), "details in words: {refused}");
    }
}

/// As every client of PostgreSQL does; the driver would be "anonymous".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_user_the_url_means_the_one_who_runs_the_service() {
    const TEST: &str = "without_a_user_the_url_means_the_one_who_runs_the_service";
    let Some(postgres) = Postgres::start_with(TEST, &["fsync=off"]) else { return };
    let name = postgres.create_database().await;
    let address = postgres.url(&name).split('@').nth(1).unwrap().to_owned();
    let url = format!("postgres://{address}");
    let migrate = |user: &[(&str, &str)]| {
        let url = [("COUNTERSIGN__DATABASE__URL", url.as_str()), ("COUNTERSIGN__KEYS__DIRECTORY", "keys")];
        run(&["migrate"], &[&url[..], user].concat())
    };
    for user in
        [&[("USER", "postgres")][..], &[("LOGNAME", "postgres")], &[("PGUSER", "postgres"), ("USER", "ada")]]
    {
        let migrated = migrate(user);
        assert_eq!(migrated.code, 0, "{user:?}: {}", migrated.err);
    }
    let refused = migrate(&[("USER", "ada")]);
    assert!(refused.code == 1 && refused.err.contains("\"ada\""), "{}", refused.err);
}

/// What is wrong with keys is known before the start, and what to do about it is said.
#[test]
fn config_check_looks_at_keys_and_says_what_to_do() {
    const FIRST: &str = "make the first keys with: countersign key init";
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("keys");
    let variables = [
        ("COUNTERSIGN__DATABASE__URL", "postgres://127.0.0.1:1/countersign"),
        ("COUNTERSIGN__KEYS__DIRECTORY", directory.to_str().unwrap()),
    ];
    let command = |arguments: &[&str]| run(arguments, &variables);
    let refused = |what: &str| {
        let Outcome { code, out, err } = command(&["config", "check"]);
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{what}: {err}");
        assert!(err.starts_with("error: keys.directory: ") && err.contains(what), "{what}: {err}");
        // What serves says the same.
        let served = command(&["serve"]);
        assert_eq!(served.code, 1, "{}", served.err);
        assert!(served.err.contains("keys.directory: ") && served.err.contains(what), "{}", served.err);
        err
    };
    refused(FIRST);
    let listed = command(&["key", "list"]);
    assert!(listed.code == 1 && listed.err.contains(FIRST), "{}", listed.err);
    assert_eq!(command(&["config", "check", "--skip-files"]).code, 0);

    let made = command(&["key", "init"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.out.contains("signing  current") && made.out.contains("refresh  current"), "{}", made.out);
    assert_eq!(command(&["config", "check"]).err, "");
    assert_eq!(command(&["key", "init"]).out, made.out, "what is there is not touched");

    open_to_others(&directory, 0o755);
    refused("chmod 700");
    open_to_others(&directory, 0o700);
    let stray = directory.join("signing/notes.txt");
    fs::write(&stray, "").unwrap();
    refused("notes.txt");
    fs::remove_file(stray).unwrap();
    let key = only_file(&directory.join("refresh"));
    open_to_others(&key, 0o644);
    refused("chmod 600");
    fs::remove_file(&key).unwrap();
    refused(FIRST);
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    refused("ot a directory");
}

/// Where the first start makes them, none need be there; what is there must be good all the same.
#[test]
fn config_check_misses_no_keys_where_the_first_start_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("keys");
    let variables = [
        ("COUNTERSIGN__DATABASE__URL", "sqlite:test.db"),
        ("COUNTERSIGN__KEYS__DIRECTORY", directory.to_str().unwrap()),
    ];
    assert_eq!(run(&["config", "check"], &variables).code, 0);
    assert!(!directory.exists(), "it makes nothing");
    fs::create_dir(&directory).unwrap();
    open_to_others(&directory, 0o755);
    let refused = run(&["config", "check"], &variables);
    assert!(refused.code == 2 && refused.err.contains("chmod 700"), "{}", refused.err);
}

fn open_to_others(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn only_file(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.last().unwrap()
}

/// A tool that asks for the description hears why there is none; grpcurl says so in words of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_asks_a_service_without_reflection_hears_which_setting_it_is() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start_with_env(data.path(), &[("COUNTERSIGN__GRPC__REFLECTION", "false")]);
    for version in ["v1", "v1alpha"] {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", dev.grpc)).unwrap();
        let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
        client.ready().await.unwrap();
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let request = tonic::Request::new(tokio_stream::empty());
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let refused = client.streaming(request, path.parse().unwrap(), codec).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unimplemented);
        assert!(refused.message().contains("grpc.reflection = true"), "{refused:?}");
    }
    let log = dev.log();
    let lines = log.lines().filter(|line| line.contains("grpc.reflection")).count();
    assert_eq!(lines, 1, "said once: {log}");
}

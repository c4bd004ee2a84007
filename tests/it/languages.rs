//! The contract for other languages: the files that their generators need, and nothing that an older protoc refuses.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::tool;

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")
}

/// All files below `proto`, as imports name them.
fn files() -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![proto()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(proto()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

fn generated(folder: &Path, path: &str) -> bool {
    folder.join(path).is_file()
}

#[test]
fn debians_protoc_makes_code_of_every_file_for_every_language_that_it_knows() {
    let test = "debians_protoc_makes_code_of_every_file_for_every_language_that_it_knows";
    let Some(protoc) = tool::find("protoc", test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = |kind: &str| format!("--{kind}_out={}", folder.path().display());
    let kinds = ["cpp", "csharp", "java", "objc", "php", "pyi", "python", "ruby"].map(out);
    let made =
        Command::new(protoc).arg("--proto_path").arg(proto()).args(kinds).args(files()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for path in [
        // A type for each message, in a package of its own, and not all within one class.
        "dev/countersign/v1/LoginRequest.java",
        "dev/countersign/v1/VerifiedToken.java",
        "com/google/rpc/Status.java",
        "countersign/v1/auth_service_pb2.py",
        // What generators for TypeScript import, and Node decodes grpc-status-details-bin with.
        "google/api/annotations_pb2.py",
        "google/rpc/status_pb2.py",
        "google/rpc/error_details_pb2.py",
    ] {
        assert!(generated(folder.path(), path), "{path}");
    }
}

#[test]
fn every_file_of_the_contract_names_its_packages() {
    let ours = files().into_iter().filter(|file| file.starts_with("countersign/"));
    for file in ours {
        let text = std::fs::read_to_string(proto().join(&file)).unwrap();
        for option in ["go_package", "java_package", "java_multiple_files", "csharp_namespace"] {
            assert!(text.contains(&format!("option {option} = ")), "{file} lacks {option}");
        }
    }
}

/// `google.rpc.Status` as it comes in `grpc-status-details-bin`, read by the contract's own descriptors.
#[test]
fn an_errors_details_can_be_read_by_the_contract_alone() {
    use prost_reflect::{DescriptorPool, DynamicMessage};

    let pool = DescriptorPool::decode(countersign::transport::DESCRIPTORS).unwrap();
    let status = pool.get_message_by_name("google.rpc.Status").expect("it is among the files");
    let details = tonic_types::ErrorDetails::with_error_info("EXAMPLE", "countersign", []);
    let error = <tonic::Status as tonic_types::StatusExt>::with_error_details(
        tonic::Code::Unavailable,
        "later",
        details,
    );
    let read = DynamicMessage::decode(status, error.details()).unwrap();
    let json = serde_json::to_value(&read).unwrap();
    assert_eq!(json["details"][0]["reason"], "EXAMPLE", "{json}");
}

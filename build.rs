//! Generates the gRPC code from `proto/`, without `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

/// Messages with a field that holds a password or a token: their `Debug` is written by hand, in `src/grpc/redact.rs`. (The
/// option `debug_redact` would say so in the contract; protoc 3.21, which Debian 12 has, refuses a file that uses it.)
const REDACTED: [&str; 22] = [
    "countersign.v1.LoginRequest",
    "countersign.v1.RefreshRequest",
    "countersign.v1.LogoutRequest",
    "countersign.v1.LogoutRequest.token",
    "countersign.v1.VerifyAccessTokenRequest",
    "countersign.v1.BatchVerifyAccessTokensRequest",
    "countersign.v1.VerifyStreamRequest",
    "countersign.v1.Tokens",
    "countersign.v1.CreateUserRequest",
    "countersign.v1.CreateUserRequest.credential",
    "countersign.v1.ImportRow",
    "countersign.v1.ImportRow.credential",
    "countersign.v1.CheckPasswordHashRequest",
    "countersign.v1.SetPasswordRequest",
    "countersign.v1.ChangePasswordRequest",
    "countersign.v1.ResetPasswordRequest",
    "countersign.v1.IssueServiceTokenRequest",
    "countersign.v1.IssueServiceTokenResponse",
    "countersign.v1.CreatePasswordResetResponse",
    "countersign.v1.ListOwnSessionsRequest",
    "countersign.v1.RevokeOwnSessionsRequest",
    "countersign.v1.CreateKeyResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    // sqlx embeds the migrations, and does not notice a new file by itself.
    println!("cargo::rerun-if-changed=migrations");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files([
        "countersign/v1/audit_service.proto",
        "countersign/v1/auth_service.proto",
        "countersign/v1/key_service.proto",
        "countersign/v1/revocation_service.proto",
        "countersign/v1/service_account_service.proto",
        "countersign/v1/session_service.proto",
        "countersign/v1/user_service.proto",
        // What errors carry: whoever shows them, such as a transcoding gateway or grpcurl, looks for it here.
        "google/rpc/error_details.proto",
        "google/rpc/status.proto",
    ])?;

    // Reflection serves the whole set, with the options that only the encoded form keeps.
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;

    // The annotations are options and not types that a service uses, and tonic-types has the details: no code is made
    // of either.
    let mut files = compiler.file_descriptor_set();
    files.file.retain(|file| !["google.api", "google.rpc"].contains(&file.package()));
    tonic_prost_build::configure().skip_debug(REDACTED).compile_fds(files)?;
    authorization();
    if env::var_os("CARGO_FEATURE_TEST_SERVER").is_some() {
        test_service()?;
    }
    Ok(())
}

/// `countersign.test.v1`, with descriptors of its own: no other server must describe it.
fn test_service() -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(["countersign/test/v1/test_service.proto"])?;
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("test_descriptors.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    // The one message with a token in it: `src/grpc/redact.rs` shows the rest of it.
    let secret = ["countersign.test.v1.MintTokenResponse"];
    tonic_prost_build::configure().skip_debug(secret).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// `envoy.service.auth.v3.Authorization`, over messages that are written by hand: see `src/grpc/ext_authz/wire.rs`.
fn authorization() {
    use tonic_prost_build::manual::{Builder, Method, Service};

    let check = Method::builder()
        .name("check")
        .route_name("Check")
        .input_type("crate::grpc::ext_authz::wire::CheckRequest")
        .output_type("crate::grpc::ext_authz::wire::CheckResponse")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let service =
        Service::builder().name("Authorization").package("envoy.service.auth.v3").method(check).build();
    Builder::new().build_client(false).compile(&[service]);
}

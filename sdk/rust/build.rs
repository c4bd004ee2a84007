//! Generates the client's code from the contract, without `protoc`; nothing without the feature `client`.

use std::error::Error;

#[cfg(not(feature = "client"))]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

#[cfg(feature = "client")]
fn main() -> Result<(), Box<dyn Error>> {
    use std::path::Path;

    // In a package the contract is beside this file. In the repository a symbolic link is, where the checkout can have one.
    let proto = if Path::new("proto/countersign").is_dir() { "proto" } else { "../../proto" };
    println!("cargo::rerun-if-changed={proto}");
    let mut files = vec!["countersign/v1/auth_service.proto", "countersign/v1/revocation_service.proto"];
    if cfg!(feature = "testing") {
        files.extend(["countersign/v1/user_service.proto", "countersign/test/v1/test_service.proto"]);
    }
    let mut files = protox::compile(files, [proto])?;
    // The annotations are options and not types that a service uses: no code is made of them.
    files.file.retain(|file| file.package() != "google.api");
    // Some of the messages hold tokens: none of them can be shown.
    tonic_prost_build::configure().build_server(false).skip_debug(["."]).compile_fds(files)?;
    Ok(())
}

//! docs/service-tokens.md, pasted line by line into a shell beside the real binary.

use std::path::Path;

use crate::support::process::Dev;
use crate::support::tool;

#[test]
fn every_line_of_the_page_does_what_the_page_says() {
    const TEST: &str = "service_tokens::every_line_of_the_page_does_what_the_page_says";
    if tool::find("grpcurl", TEST).is_none() || tool::find("curl", TEST).is_none() {
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/service-tokens.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines: Vec<&str> = blocks.flat_map(str::lines).collect();
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    // What the page writes into files is not to stay here.
    let files = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    let mut script = format!("export PATH=\"{}:$PATH\"\ncd {}\n", programs.display(), files.path().display());
    for line in &lines {
        let line = line.replace("127.0.0.1:50051", &dev.grpc.to_string());
        let line = line.replace("127.0.0.1:8080", &dev.http.to_string());
        script += &line.replace("--data-dir DATA", &format!("--data-dir {}", data.path().display()));
        script += "\necho \"next-line $?\"\n";
    }
    for (shell, arguments) in tool::SHELLS {
        let Some(path) = tool::find(shell, TEST) else { continue };
        let (printed, complaints) = tool::type_into(&path, arguments, &script);
        let answers: Vec<&str> = printed.split("next-line ").collect();
        assert_eq!(answers.len(), lines.len() + 1, "{shell}: {printed}\n{complaints}");
        for (line, answer) in lines.iter().zip(&answers[1..]) {
            assert!(answer.starts_with('0'), "{shell}: {line}\n{printed}\n{complaints}");
        }
        let after = |marker: &str, number: usize| {
            let place = lines.iter().enumerate().filter(|(_, line)| line.contains(marker)).nth(number);
            answers[place.unwrap_or_else(|| panic!("{marker} {number}")).0]
        };
        let verified = after("VerifyAccessToken", 0);
        assert!(
            verified.contains("SUBJECT_KIND_SERVICE") && verified.contains("warehouse:read"),
            "{verified}"
        );
        for number in 0..2 {
            let got = after("/oauth2/token", number);
            assert!(got.contains("\"token_type\":\"Bearer\""), "{shell}: {got}\n{complaints}");
        }
        let ended = after("VerifyAccessToken", 1);
        assert!(ended.contains("INVALID_REASON_REVOKED"), "{shell}: {printed}\n{complaints}");
    }
    assert_eq!(dev.terminate(), Some(0));
}

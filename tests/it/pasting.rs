//! What the documents show to be pasted works in the shells that people paste into. An interactive zsh takes `#` for a
//! word of the command, and dash has no `<<<`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::tool;

/// A fenced block of a document.
struct Block {
    place: String,
    language: String,
    text: String,
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.to_owned(), root.join("docs"), root.join("sdk/rust"), root.join("sdk/web")];
    found.push(root.join("examples/gateways"));
    let files = found.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect()
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let mut open: Option<Block> = None;
        for (line, number) in text.lines().zip(1..) {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    let place = format!("{}:{number}", document.display());
                    open = Some(Block { place, language: language.to_owned(), text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
    }
    blocks
}

/// What is typed in a block: all of a script, or what stands behind the prompts of a transcript.
fn commands(block: &Block) -> Option<String> {
    match block.language.as_str() {
        "sh" => Some(block.text.clone()),
        "" | "text" | "console" => {
            let typed = block.text.lines().filter_map(|line| line.strip_prefix("$ "));
            let typed: Vec<_> = typed.collect();
            (!typed.is_empty()).then(|| typed.join("\n") + "\n")
        }
        _ => None,
    }
}

#[test]
fn what_is_shown_to_be_pasted_is_understood_by_every_shell() {
    const TEST: &str = "what_is_shown_to_be_pasted_is_understood_by_every_shell";
    let blocks = blocks();
    let commands: Vec<_> = blocks.iter().filter_map(|block| Some((&block.place, commands(block)?))).collect();
    assert!(commands.len() > 10, "the blocks are found");
    let mut wrong = Vec::new();
    for (place, text) in &commands {
        for line in text.lines().filter(|line| line.contains(" #") || line.contains("<<<")) {
            wrong.push(format!("{place}: not everywhere understood: {line}"));
        }
    }
    for (shell, _) in tool::SHELLS {
        let Some(path) = tool::find(shell, TEST) else { continue };
        for (place, text) in &commands {
            let checked = Command::new(&path).args(["-n", "-c", text]).output().unwrap();
            if !checked.status.success() || !checked.stderr.is_empty() {
                wrong.push(format!("{place}: {shell}: {}", String::from_utf8_lossy(&checked.stderr)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// So that the test above sees it.
#[test]
fn what_is_shown_to_be_pasted_is_marked_as_a_script() {
    const PROGRAMS: [&str; 13] = [
        "countersign ",
        "helm ",
        "kubectl ",
        "make ",
        "grpcurl ",
        "curl ",
        "cargo ",
        "sed ",
        "scripts/",
        "export ",
        "IMAGE=",
        "openssl ",
        "npm ",
    ];
    for block in blocks().iter().filter(|block| block.language.is_empty()) {
        let begins = |line: &str| PROGRAMS.iter().any(|program| line.starts_with(program));
        let line = block.text.lines().find(|line| begins(line));
        assert!(line.is_none(), "{}: is no ```sh block: {line:?}", block.place);
    }
}

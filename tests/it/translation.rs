//! `README.zh-CN.md` says what `README.md` says: the same blocks, and as many headings, table rows and links.

use std::fs;
use std::path::Path;

/// A README, taken apart.
struct Readme {
    text: String,
    /// What stands between fences, with them.
    blocks: Vec<String>,
    /// The lines that do not.
    prose: Vec<String>,
}

fn readme(name: &str) -> Readme {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let (mut blocks, mut prose, mut open) = (Vec::new(), Vec::new(), None::<String>);
    for line in text.lines() {
        let fence = line.starts_with("```");
        match &mut open {
            None if fence => open = Some(format!("{line}\n")),
            None => prose.push(line.to_owned()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
                if fence {
                    blocks.extend(open.take());
                }
            }
        }
    }
    assert!(open.is_none(), "{name}: a block has no end");
    Readme { text, blocks, prose }
}

impl Readme {
    /// The levels of the headings, in their order.
    fn headings(&self) -> Vec<usize> {
        let level = |line: &String| line.find(' ').filter(|_| line.starts_with('#'));
        self.prose.iter().filter_map(level).collect()
    }

    fn count(&self, start: &str) -> usize {
        self.prose.iter().filter(|line| line.starts_with(start)).count()
    }

    /// Where its links lead, in any order.
    fn links(&self) -> Vec<&str> {
        let links = self.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let mut links: Vec<_> = links.filter(|link| !link.starts_with("README")).collect();
        links.sort_unstable();
        links
    }
}

#[test]
fn the_chinese_readme_has_the_blocks_headings_and_links_of_the_english_one() {
    let [english, chinese] = ["README.md", "README.zh-CN.md"].map(readme);
    for (ours, theirs) in english.blocks.iter().zip(&chinese.blocks) {
        assert_eq!(theirs, ours, "README.zh-CN.md has the blocks of README.md, word for word");
    }
    assert_eq!(chinese.blocks.len(), english.blocks.len());
    assert!(english.blocks.len() > 10);
    assert_eq!(chinese.headings(), english.headings());
    for start in ["|", "- "] {
        assert_eq!(chinese.count(start), english.count(start), "lines that start with {start:?}");
    }
    assert_eq!(chinese.links(), english.links());
}

#[test]
fn each_readme_leads_to_the_other() {
    let [english, chinese] = ["README.md", "README.zh-CN.md"].map(readme);
    assert_eq!(english.prose[2], "English | [简体中文](README.zh-CN.md)");
    assert_eq!(chinese.prose[2], "[English](README.md) | 简体中文");
}

//! The rooms of the rules stand on each other in one order: no file uses a room above its own.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up.
const ROOMS: [&str; 7] = ["ground", "stake", "admin", "training", "court", "money", "network"];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            into.push(path);
        }
    }
}

/// What a file's code says: no comments, and no tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that code names, as `crate::room` or as a branch of `crate::{…}`.
fn named(code: &str) -> Vec<&'static str> {
    let mut named = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        let branches: Vec<&str> = match rest.strip_prefix('{') {
            Some(tree) => branches(tree),
            None => vec![rest],
        };
        for branch in branches {
            let word = branch.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next();
            named.extend(ROOMS.iter().find(|room| Some(**room) == word));
        }
    }
    named
}

/// The branches of a use tree, from behind its brace on.
fn branches(tree: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, character) in tree.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&tree[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&tree[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn no_file_uses_a_room_above_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (floor, room) in ROOMS.iter().enumerate() {
        let mut files = Vec::new();
        sources(&root.join(room), &mut files);
        assert!(!files.is_empty(), "{room} is empty");
        for file in files {
            for used in named(&code(&fs::read_to_string(&file).unwrap())) {
                arrows += 1;
                if ROOMS.iter().position(|known| *known == used).unwrap() > floor {
                    wrong.push(format!("{} uses {used}", file.strip_prefix(&root).unwrap().display()));
                }
            }
        }
    }
    assert!(arrows > 100, "only {arrows} uses were read");
    assert!(wrong.is_empty(), "a room is used from below:\n{}", wrong.join("\n"));
}

#[test]
fn use_trees_are_read_branch_by_branch() {
    assert_eq!(named("use crate::{Error, stake::{pool::{Pool, X}, lock}, court::y};"), ["stake", "court"]);
    assert_eq!(named("crate::money::emission::ONE + self::court"), ["money"]);
    assert_eq!(code("use a;\n// crate::court\n#[cfg(test)]\nmod tests { use crate::money; }"), "use a;");
}

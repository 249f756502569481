//! The conformance vectors in `vectors/proof`, computed anew and compared with the committed files. To write them:
//!
//!     cargo test --release -p sip-node --test node vectors:: -- --ignored
//!
//! `vectors/README.md` says what they hold; `vectors/verify.py` checks them without any code of this workspace.

mod arithmetic;
mod cases;
mod commitments;
mod compressed;
mod court;
mod disputes;
mod manifest;
mod operators;
mod places;
mod small;
mod steps;
mod table;
mod transcript;
mod trees;
mod updates;

use serde_json::{Map, Value};
use sip_proof::{HostSha256, Sha256};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Computes a file of vectors.
type Compute = fn() -> Map<String, Value>;

/// The files by name.
const FILES: [(&str, Compute); 10] = [
    ("arithmetic", arithmetic::vectors),
    ("operators", operators::vectors),
    ("trees", trees::vectors),
    ("commitments", commitments::vectors),
    ("updates", updates::vectors),
    ("manifest", manifest::vectors),
    ("steps", steps::vectors),
    ("disputes", disputes::vectors),
    ("court", court::vectors),
    ("cases", cases::vectors),
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../vectors/proof/{name}.json"))
}

/// One line per vector, so that a change shows where it is.
fn text(vectors: &Map<String, Value>) -> String {
    let mut text = String::from("{");
    for (number, (name, value)) in vectors.iter().enumerate() {
        let _ = write!(text, "{}\n\"{name}\":", if number == 0 { "" } else { "," });
        match value {
            Value::Array(items) => {
                text += "[";
                for (number, item) in items.iter().enumerate() {
                    let _ = write!(text, "{}\n{item}", if number == 0 { "" } else { "," });
                }
                text += "\n]";
            }
            other => text += &other.to_string(),
        }
    }
    text + "\n}\n"
}

#[test]
fn the_committed_vectors_are_what_the_code_computes() {
    let mut bytes = 0;
    let mut sums = String::new();
    for (name, vectors) in FILES {
        let committed = std::fs::read_to_string(path(name)).expect("the file is there");
        let computed = text(&vectors());
        sums += &checksum(name, &computed);
        let differs = committed.lines().zip(computed.lines()).position(|(one, other)| one != other);
        assert!(
            committed == computed,
            "vectors/proof/{name}.json differs, first in line {}",
            differs.map_or(committed.lines().count().min(computed.lines().count()), |line| line) + 1
        );
        bytes += computed.len();
    }
    assert!(bytes < 3_000_000, "the vectors have {bytes} bytes");
    let committed = std::fs::read_to_string(sums_path()).expect("the file is there");
    assert_eq!(committed, sums, "vectors/proof/SHA256SUMS is of other files");
}

#[test]
fn every_file_of_vectors_is_computed_here_and_checked_by_the_second_program() {
    let verifier = std::fs::read_to_string(sums_path().with_file_name("../verify.py")).expect("the file is there");
    let checks = verifier.lines().find_map(|line| line.strip_prefix("CHECKS = [")).expect("a list of checks");
    let mut checks: Vec<&str> = checks.trim_end_matches(']').split(", ").collect();
    let mut known: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let entries = std::fs::read_dir(sums_path().parent().expect("a folder")).expect("the folder is there");
    let mut there: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.retain(|name| name != "SHA256SUMS");
    let mut there: Vec<&str> = there.iter().map(|name| name.strip_suffix(".json").unwrap_or(name)).collect();
    for names in [&mut checks, &mut known, &mut there] {
        names.sort_unstable();
    }
    assert_eq!(there, known, "files that no test computes, or that are missing");
    assert_eq!(checks, known, "files that vectors/verify.py does not check, or that are missing");
}

/// Writes the files.
#[test]
#[ignore = "writes vectors/proof"]
fn write() {
    let mut sums = String::new();
    for (name, vectors) in FILES {
        let computed = text(&vectors());
        sums += &checksum(name, &computed);
        std::fs::write(path(name), computed).expect("vectors/proof can be written");
    }
    std::fs::write(sums_path(), sums).expect("vectors/proof can be written");
}

fn sums_path() -> PathBuf {
    path("trees").with_file_name("SHA256SUMS")
}

/// A line as `sha256sum` writes it.
fn checksum(name: &str, text: &str) -> String {
    format!("{}  {name}.json\n", hex(&HostSha256::hashv(&[text.as_bytes()])))
}

/// Hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Numbers that follow from a seed.
struct Random(sip_testing::Random);

impl Random {
    fn new(seed: u64) -> Random {
        Random(sip_testing::Random::new(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.next()
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.0.below(limit)
    }

    fn hash(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.next() as u8)
    }

    /// Bits of an f32: any, near 1, a small integer, or special.
    fn float(&mut self) -> u32 {
        match self.below(8) {
            0 => self.next() as u32,
            1 => arithmetic::SPECIAL[self.below(16) as usize],
            2 => (self.below(17) as f32 - 8.0).to_bits(),
            3 => (self.next() as u32 & 0x807F_FFFF) | ((100 + self.below(56)) << 23),
            _ => (self.next() as i32 as f32 / i32::MAX as f32).to_bits(),
        }
    }
}

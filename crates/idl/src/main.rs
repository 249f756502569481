//! Writes what the declarations say into the repository, or says where it differs.

use std::path::Path;
use std::process::ExitCode;

use sip_idl::{Made, made, silent_changes};

/// Writes a change of a layout whose version stays: only before anything is deployed.
const BREAK: &str = "--break-layouts";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if arguments.iter().any(|argument| argument != "--write" && argument != BREAK) {
        eprintln!("usage: sip-idl [--write [{BREAK}]]");
        return ExitCode::from(2);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = made();
    let read = |file: &Made| std::fs::read_to_string(root.join(&file.path)).unwrap_or_default();
    let committed: Vec<Made> = files.iter().map(|file| Made { path: file.path.clone(), text: read(file) }).collect();
    let changed = silent_changes(&committed);
    if has("--write") && !changed.is_empty() && !has(BREAK) {
        eprintln!(
            "the layout of {} changed, and its version did not: raise it in AccountKind::version and write a migration, or \
             before anything is deployed run with {BREAK}",
            changed.join(", ")
        );
        return ExitCode::FAILURE;
    }
    for (file, committed) in files.iter().zip(&committed).filter(|(file, committed)| file != committed) {
        println!("{}: {}", file.path, if has("--write") { "written" } else { "differs; run with --write" });
        if has("--write")
            && let Err(error) = write(&root.join(&committed.path), &file.text)
        {
            eprintln!("{} cannot be written: {error}", file.path);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, text)
}

//! Where results may go: never onto what they are made of, never among what others wrote, and never where another process writes.

use anyhow::{Context, Result, bail};
use sip_data::shown_path;
use std::fs::{self, File, TryLockError};
use std::path::{Component, Path, PathBuf};

/// The file that a process holds locked as long as it writes into a folder.
const LOCK: &str = ".lock";
/// Names of what lies in a folder that are told.
const NAMES_TOLD: usize = 3;

/// Refuses results at a place that is one of the inputs, holds one, or lies in one. Each input has the option that names it.
///
/// # Errors
/// Which it is, in words.
pub fn keep_apart<'a>(out: &Path, inputs: impl IntoIterator<Item = (&'static str, &'a Path)>) -> Result<()> {
    let place = resolved(out);
    for (option, input) in inputs {
        let (found, shown) = (resolved(input), shown_path(input));
        let how = if place == found {
            "is"
        } else if found.starts_with(&place) {
            "holds"
        } else if place.starts_with(&found) {
            "lies in"
        } else {
            continue;
        };
        bail!(
            "--out {} {how} {shown}, which {option} names and the run reads; choose another folder with --out",
            shown_path(out)
        );
    }
    Ok(())
}

/// A path without links and dots; what does not exist yet is taken as it is written.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut all = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(all.pop()),
            part => all.push(part),
        }
        // Links are followed before the dots behind them.
        if let Ok(real) = all.canonicalize() {
            all = real;
        }
    }
    all
}

/// What lies in a folder and is not `known`, in words; nothing where there is none.
pub fn foreign(folder: &Path, is_known: &dyn Fn(&str) -> bool) -> Option<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != LOCK && !is_known(name))
        .collect();
    names.sort_unstable();
    // What is in sight says more than what is hidden.
    names.sort_by_key(|name| name.starts_with('.'));
    let more = names.len().saturating_sub(NAMES_TOLD);
    let told: Vec<String> = names.iter().take(NAMES_TOLD).map(|name| sip_data::shown(name)).collect();
    match (told.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(told.join(", ")),
        _ => Some(format!("{} and {more} more", told.join(", "))),
    }
}

/// A path as a shell reads it back.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+,:@%=".contains(char);
    let needs_quotes = !text.chars().all(is_plain) || text.starts_with('-') || text.is_empty();
    match needs_quotes {
        false => shown_path(path),
        true => format!("'{}'", shown_path(path).replace('\'', "'\\''")),
    }
}

/// A folder that no other process writes into as long as this is held.
pub struct Held {
    folder: PathBuf,
    lock: File,
}

/// Takes a folder for this process, and makes it where it is missing.
///
/// # Errors
/// Where another process holds it, or nobody may write there.
pub fn hold(folder: &Path, command: &str) -> Result<Held> {
    hold_of(folder, command, "--out")
}

/// As [`hold`], of a folder that another option names.
///
/// # Errors
/// As [`hold`].
pub fn hold_of(folder: &Path, command: &str, option: &str) -> Result<Held> {
    let shown = shown_path(folder);
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {shown}"))?;
    let lock = (File::options().create(true).truncate(false).write(true).open(folder.join(LOCK)))
        .with_context(|| format!("cannot write into the folder {shown}"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Held { folder: folder.to_owned(), lock }),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another process runs \"sip {command}\" in {shown}; wait for it, or choose another folder with {option}"
            )
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock the folder {shown}")),
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A run that was refused leaves nothing; a folder that holds anything keeps its lock for the next.
        if foreign(&self.folder, &|_| false).is_none() {
            let _ = fs::remove_file(self.folder.join(LOCK));
            let _ = fs::remove_dir(&self.folder);
        }
        let _ = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_go_neither_onto_inputs_nor_around_nor_into_them() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |path: &str| scratch.path().join(path);
        fs::create_dir_all(at("base/model")).unwrap();
        fs::create_dir_all(at("other")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("base"), at("link")).unwrap();
        let said =
            |out: &str| keep_apart(&at(out), [("--model", &*at("base/model"))]).err().map(|error| error.to_string());
        for (out, how) in [
            ("base/model", "is"),
            ("other/../base/./model", "is"),
            ("base/none/../model", "is"),
            ("base", "holds"),
            (".", "holds"),
            ("base/model/new/run", "lies in"),
            #[cfg(unix)]
            ("link", "holds"),
            #[cfg(unix)]
            ("link/model/new", "lies in"),
        ] {
            assert!(said(out).is_some_and(|said| said.contains(&format!(" {how} "))), "{out}: {:?}", said(out));
        }
        for out in ["other", "base/model2", "base/mod", "new"] {
            assert_eq!(said(out), None, "{out}");
        }
    }

    #[test]
    fn a_folder_is_held_by_one_and_left_as_it_was() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("run");
        let held = hold(&folder, "train").unwrap();
        let said = hold(&folder, "train").err().unwrap().to_string();
        assert!(said.starts_with("another process runs \"sip train\" in "), "{said}");
        drop(held);
        assert!(!folder.exists());
        let held = hold(&folder, "train").unwrap();
        fs::write(folder.join("kept"), "").unwrap();
        drop(held);
        drop(hold(&folder, "train").unwrap());
        assert_eq!(foreign(&folder, &|_| false).as_deref(), Some("kept"));
    }

    #[test]
    fn a_folder_is_quoted_where_a_shell_would_split_it() {
        let said = |path: &str| quoted(Path::new(path));
        assert_eq!(said("runs/a-1.b"), "runs/a-1.b");
        assert_eq!(said("my runs/1"), "'my runs/1'");
        assert_eq!(said("a'b"), "'a'\\''b'");
        assert_eq!(said("$(x)"), "'$(x)'");
    }

    #[test]
    fn what_lies_in_a_folder_is_named_and_counted() {
        let scratch = tempfile::tempdir().unwrap();
        for name in [".git", "b\u{1b}.txt", "a.txt", "c", "d", "known"] {
            fs::write(scratch.path().join(name), "").unwrap();
        }
        let found = foreign(scratch.path(), &|name| name == "known");
        assert_eq!(found.as_deref(), Some("a.txt, b\\u{1b}.txt, c and 2 more"));
        assert_eq!(foreign(&scratch.path().join("none"), &|_| false), None);
    }
}

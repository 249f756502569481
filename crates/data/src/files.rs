//! Crash-safe files: a reader sees the old content or the new content, never a part.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Replaces `path` by what `write` puts into the temporary file it is given.
///
/// The temporary file lies in the same folder (a rename is atomic only within a file system), is flushed to the
/// disk before it takes the final name, and the folder is flushed after. On failure `path` is untouched and the
/// temporary file is removed. Concurrent writers of one path within a process or between processes do not mix:
/// the last rename wins.
///
/// # Errors
/// The error of `write`, or of the file system; a `path` without a file name is `InvalidInput`.
pub fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    Staged::write(path, write)?.commit()
}

/// A file that is on the disk in full, but does not yet have its name: several of them take their names together, after
/// the last of them could still fail for want of space.
#[derive(Debug)]
#[must_use = "a file that is not committed is removed"]
pub struct Staged {
    path: PathBuf,
    temporary: PathBuf,
}

impl Staged {
    /// Writes and flushes the temporary file; dropping it removes it, and `path` stays as it is.
    ///
    /// # Errors
    /// As [`write_atomically`].
    pub fn write(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Staged> {
        let staged = Staged { path: path.to_owned(), temporary: temporary_path(path)? };
        write(&staged.temporary)?;
        File::options().write(true).open(&staged.temporary)?.sync_all()?;
        Ok(staged)
    }

    /// The name that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, in place of the file that has it.
    ///
    /// # Errors
    /// The file system's.
    pub fn commit(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        sync_folder(&self.path)
    }
}

/// Gives files that belong together their names, and removes those of `stale` that are there. The last one is the one without
/// which readers take the others for nothing: what has its name is removed before anything else happens, and it gets its name
/// last, so that a process that is stopped in between never leaves a mixture of old and new files that reads as one.
///
/// # Errors
/// The file system's, with the path that it is about.
pub fn commit_together(stale: &[PathBuf], staged: Vec<Staged>) -> Result<(), (PathBuf, io::Error)> {
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_folder(path)).map_err(|error| (path.to_owned(), error)),
    };
    if let Some(last) = staged.last() {
        remove(&last.path)?;
    }
    stale.iter().try_for_each(|path| remove(path))?;
    for file in staged {
        let path = file.path.clone();
        file.commit().map_err(|error| (path, error))?;
    }
    Ok(())
}

impl Drop for Staged {
    fn drop(&mut self) {
        // The first error is the one worth reporting; after a rename this finds nothing.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}-{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(temporary))
}

/// The name that a temporary file was to get, if a name is that of one.
pub fn final_name(temporary: &str) -> Option<&str> {
    let (name, numbers) = temporary.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let (process, write) = numbers.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(process) && is_number(write) && !name.is_empty()).then_some(name)
}

/// Removes the temporary files that a process left in `folder` when it was killed while it wrote: those whose final name
/// `is_ours`. A failure to remove costs nothing but space.
pub fn remove_cut_off(folder: &Path, is_ours: &dyn Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(final_name).is_some_and(is_ours) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes the rename itself durable. Windows cannot open a folder as a file; NTFS journals the rename.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_content_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.bin");
        write_atomically(&path, |temporary| fs::write(temporary, b"old")).unwrap();
        let failed = write_atomically(&path, |temporary| {
            fs::write(temporary, b"ne")?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_atomically(&path, |temporary| fs::write(temporary, b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_that_belong_together_never_read_as_one_half_done() {
        let folder = tempfile::tempdir().unwrap();
        let stage = |name: &str, text: &str| {
            Staged::write(&folder.path().join(name), |temporary| fs::write(temporary, text)).unwrap()
        };
        commit_together(&[], vec![stage("weights", "old"), stage("index", "old")]).unwrap();
        // A folder in the way of one file: it stops there, as a crash would.
        fs::create_dir_all(folder.path().join("more/inside")).unwrap();
        let again = || vec![stage("weights", "new"), stage("more", "new"), stage("index", "new")];
        let (path, _) = commit_together(&[], again()).unwrap_err();
        assert_eq!(path, folder.path().join("more"));
        assert!(!folder.path().join("index").exists(), "new weights under the old index");
        fs::remove_dir_all(folder.path().join("more")).unwrap();
        // What is stale goes before a name is given: it cannot be removed here, so none is.
        fs::create_dir_all(folder.path().join("stale")).unwrap();
        let (path, _) = commit_together(&[folder.path().join("stale")], again()).unwrap_err();
        assert_eq!(path, folder.path().join("stale"));
        assert!(!folder.path().join("more").exists() && !folder.path().join("index").exists());
        fs::remove_dir(folder.path().join("stale")).unwrap();
        fs::write(folder.path().join("stale"), b"old").unwrap();
        commit_together(&[folder.path().join("stale")], again()).unwrap();
        assert_eq!(fs::read(folder.path().join("index")).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_a_killed_process_left_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let staged = Staged::write(&folder.path().join("a.bin"), |temporary| fs::write(temporary, b"part")).unwrap();
        let name = staged.temporary.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(final_name(&name), Some("a.bin"));
        // Killed here: nothing is dropped.
        std::mem::forget(staged);
        for other in [".b.bin.1-2.tmp", ".a.bin.tmp", ".a.bin.1-x.tmp", "a.bin.1-2.tmp", "a.bin"] {
            fs::write(folder.path().join(other), b"x").unwrap();
        }
        remove_cut_off(folder.path(), &|name| name == "a.bin");
        assert!(!folder.path().join(&name).exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
        remove_cut_off(&folder.path().join("none"), &|_| true);
    }

    #[test]
    fn a_path_without_a_file_name_is_an_error() {
        let error = write_atomically(Path::new("/"), |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

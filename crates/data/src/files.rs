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

/// Gives files that belong together their names. The last one is the one without which readers take the others for nothing: what
/// has its name is removed first, and it gets its name last, so that whoever is stopped in between never leaves a mixture of old and
/// new files that reads as one.
///
/// # Errors
/// The file system's, with the path that it is about.
pub fn commit_together(staged: Vec<Staged>) -> Result<(), (PathBuf, io::Error)> {
    if let Some(last) = staged.last() {
        let error = |error| (last.path.clone(), error);
        match fs::remove_file(&last.path) {
            Err(found) if found.kind() == io::ErrorKind::NotFound => {}
            removed => removed.and_then(|()| sync_folder(&last.path)).map_err(error)?,
        }
    }
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
        commit_together(vec![stage("weights", "old"), stage("index", "old")]).unwrap();
        // A folder in the way of one file: it stops there, as a crash would.
        fs::create_dir_all(folder.path().join("more/inside")).unwrap();
        let (path, _) =
            commit_together(vec![stage("weights", "new"), stage("more", "new"), stage("index", "new")]).unwrap_err();
        assert_eq!(path, folder.path().join("more"));
        assert!(!folder.path().join("index").exists(), "new weights under the old index");
        fs::remove_dir_all(folder.path().join("more")).unwrap();
        commit_together(vec![stage("weights", "new"), stage("more", "new"), stage("index", "new")]).unwrap();
        assert_eq!(fs::read(folder.path().join("index")).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_path_without_a_file_name_is_an_error() {
        let error = write_atomically(Path::new("/"), |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

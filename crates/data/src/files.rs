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

    /// Gives the file its name, in place of the file that has it.
    ///
    /// # Errors
    /// The file system's.
    pub fn commit(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        sync_folder(&self.path)
    }
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
    fn a_path_without_a_file_name_is_an_error() {
        let error = write_atomically(Path::new("/"), |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

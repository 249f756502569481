//! Files of a shelf: read and written at offsets, allocated before they are written, given their names when they are whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Reads exactly these bytes from an offset.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < bytes.len() {
            match std::os::windows::fs::FileExt::seek_read(file, &mut bytes[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }
}

/// Writes all of these bytes at an offset.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < bytes.len() {
            done += std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], offset + done as u64)?;
        }
        Ok(())
    }
}

/// Gives a file its length and takes the room on the disk, where the file system can; elsewhere the length alone.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if bytes > 0 {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => return file.set_len(bytes),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    file.set_len(bytes)
}

/// Takes the room of a file's first bytes on the disk, where the file system can; its length stays. Where the disk has not so much,
/// nothing is taken: what a file system gives before it finds that out, it keeps.
pub(crate) fn take_room(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{FallocateFlags, fallocate, fstat, fstatvfs};
        use rustix::io::Errno;
        let (disk, taken) = (fstatvfs(file)?, fstat(file)?.st_blocks as u64 * 512);
        if bytes.saturating_sub(taken) > disk.f_bavail.saturating_mul(disk.f_frsize) {
            return Err(Errno::NOSPC.into());
        }
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let _ = (file, bytes);
    Ok(())
}

/// Whether an error says that the disk, or what this user may have of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Makes names that were given in a folder durable. Windows cannot open a folder as a file; NTFS journals names.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A file that is written under another name until it is whole. Dropped before it is [`New::name`]d, it is removed.
#[derive(Debug)]
pub(crate) struct New {
    path: PathBuf,
    temporary: PathBuf,
}

impl New {
    /// Writes it; nothing is flushed yet.
    pub(crate) fn write(folder: &Path, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<New> {
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".{name}.{}-{number}.tmp", std::process::id()));
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        let new = New { path: folder.join(name), temporary };
        write(&mut file)?;
        Ok(new)
    }

    /// Brings it to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::options().write(true).open(&self.temporary)?.sync_data()
    }

    /// Gives it its name; the name is durable once its folder is [synced](sync_folder).
    pub(crate) fn name(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // After a rename this finds nothing.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Writes a small file, whole or not at all.
pub(crate) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = New::write(folder, name, |file| file.write_all(bytes))?;
    new.sync()?;
    new.name()?;
    sync_folder(folder)
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

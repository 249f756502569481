//! A disk that is full, by others or by us: a small one in memory, where this user may mount one.

use crate::common::{Desk, bytes, fetch, peer, serve};
use sip_net::{FetchError, Item, Shelf, ShelfError};
use std::path::Path;
use std::process::Command;

/// A disk of 24 MiB; dropping it lets go of it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().ok()?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "none"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.path()).output();
    }
}

/// Takes all that is left, as another program would.
fn fill(disk: &SmallDisk) -> std::path::PathBuf {
    let path = disk.path().join("others");
    let mut file = std::fs::File::create(&path).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    path
}

#[test]
fn a_full_disk_is_said_and_what_lies_there_stays_whole() {
    let Some(disk) = SmallDisk::mount() else { return };
    let shelf = Shelf::open(&disk.path().join("shelf")).unwrap();
    let owed = shelf.put_bytes(&bytes(1 << 20, 1)).unwrap();
    let one = Desk::new();
    let large = Item::blob(one.shelf.put_bytes(&bytes(40 << 20, 2)).unwrap(), 40 << 20);
    let small = Item::blob(one.shelf.put_bytes(&bytes(6 << 20, 3)).unwrap(), 6 << 20);
    let server = serve(&one.shelf);
    let get = |item: &Item| fetch(&shelf, item, &[peer(1, &server)], 20.0).result;
    let error = get(&large).unwrap_err();
    assert!(matches!(error, FetchError::Disk(ShelfError::DiskFull { .. })), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    assert!(matches!(shelf.reserve(64 << 20), Err(ShelfError::DiskFull { .. })));
    // What is reserved is there, if others fill the rest.
    shelf.forget(&large.root).unwrap();
    shelf.reserve(8 << 20).unwrap();
    let others = fill(&disk);
    get(&small).unwrap();
    assert_eq!(shelf.read(&small.root, 6 << 20).unwrap(), bytes(6 << 20, 3));
    let error = shelf.put_bytes(&bytes(2 << 20, 4)).unwrap_err();
    assert!(matches!(error, ShelfError::Full { .. }), "{error}");
    drop(shelf);
    // The reservation goes with the process; on the full disk nothing new is begun, and nothing is lost.
    let shelf = Shelf::open(&disk.path().join("shelf")).unwrap();
    std::fs::OpenOptions::new()
        .append(true)
        .open(&others)
        .map(|mut file| while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {})
        .unwrap();
    let error = shelf.put_bytes(&bytes(2 << 20, 4)).unwrap_err();
    assert!(matches!(error, ShelfError::DiskFull { .. }), "{error}");
    assert_eq!(shelf.read(&owed, 1 << 20).unwrap(), bytes(1 << 20, 1));
    std::fs::remove_file(others).unwrap();
    shelf.put_bytes(&bytes(2 << 20, 4)).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_size_that_somebody_says_takes_no_room_before_a_frame_came() {
    use std::os::unix::fs::MetadataExt;
    let two = Desk::new();
    let on_disk = |shelf_folder: &Path| -> u64 {
        let folders = ["blobs", "parts"].map(|kind| std::fs::read_dir(shelf_folder.join(kind)).unwrap());
        folders.into_iter().flatten().map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512).sum()
    };
    let said = Item::blob([7; 32], 256 << 20);
    assert!(fetch(&two.shelf, &said, &[], 0.2).result.is_err());
    assert!(on_disk(two.folder.path()) < 1 << 20, "{}", on_disk(two.folder.path()));
    // What is reserved stays free all the while, and more than that is not begun.
    two.shelf.reserve(300 << 20).unwrap();
    let room = || std::fs::metadata(two.folder.path().join("room")).map_or(0, |found| found.len());
    let free = room();
    assert!(fetch(&two.shelf, &said, &[], 0.2).result.is_err());
    assert_eq!(room(), free);
    let during = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| fetch(&two.shelf, &said, &[], 1.0).result);
        std::thread::sleep(std::time::Duration::from_millis(500));
        let during = room();
        assert!(fetching.join().unwrap().is_err());
        during
    });
    assert_eq!(during, free);
    let error = fetch(&two.shelf, &Item::blob([8; 32], 512 << 20), &[], 0.2).result.unwrap_err();
    assert!(matches!(error, FetchError::Disk(ShelfError::Full { .. })), "{error}");
}

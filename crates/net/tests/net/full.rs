//! A disk that is full, by others or by us: a small one in memory, where this user may mount one.

use crate::common::{Desk, bytes, fetch, peer, serve};
use crate::liar::{Liar, has_not, head};
use sip_net::{FetchError, Item, Peer, Request, Shelf, ShelfError};
use std::io::Write;
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
    while file.write_all(&[1; 4096]).is_ok() {}
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
        .map(|mut file| while file.write_all(&[1; 4096]).is_ok() {})
        .unwrap();
    let error = shelf.put_bytes(&bytes(2 << 20, 4)).unwrap_err();
    assert!(matches!(error, ShelfError::DiskFull { .. }), "{error}");
    assert_eq!(shelf.read(&owed, 1 << 20).unwrap(), bytes(1 << 20, 1));
    std::fs::remove_file(others).unwrap();
    shelf.put_bytes(&bytes(2 << 20, 4)).unwrap();
}

/// What the blobs of a shelf, whole or in part, take from the disk.
#[cfg(target_os = "linux")]
fn on_disk(shelf_folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let folders = ["blobs", "parts"].map(|kind| std::fs::read_dir(shelf_folder.join(kind)).unwrap());
    folders.into_iter().flatten().map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512).sum()
}

#[cfg(target_os = "linux")]
#[test]
fn one_frame_under_a_root_takes_room_for_a_part_of_what_is_said_to_lie_under_it() {
    let (one, two) = (Desk::new(), Desk::new());
    let size = 320 << 20;
    let item = Item::blob(one.shelf.put_bytes(&bytes(size as usize, 9)).unwrap(), size);
    // It has the first frame and nothing else, as one who made a root for it.
    let liar = Liar::start(&one.shelf, |request, right, stream| {
        let Request::Groups { first: 0, .. } = request else { return has_not(stream) };
        let answer = right.unwrap();
        head(stream, answer.len() as u64)?;
        stream.write_all(&answer[..(1 << 20) + 8192])
    });
    two.shelf.reserve(400 << 20).unwrap();
    let room = || std::fs::metadata(two.folder.path().join("room")).map_or(0, |found| found.len());
    let free = room();
    let peers = [Peer { id: [66; 32], address: liar.address.to_string() }];
    assert!(fetch(&two.shelf, &item, &peers, 3.0).result.is_err());
    let sip_net::Held::Part { bytes, .. } = two.shelf.held(&item) else { panic!("no frame came") };
    assert!((1 << 20..=2 << 20).contains(&bytes), "{bytes}");
    let taken = on_disk(two.folder.path());
    assert!((16 << 20..66 << 20).contains(&taken), "{taken} bytes");
    assert!(free - room() <= 66 << 20);
    // An honest peer brings the rest, and all that was reserved is accounted for, to some blocks.
    let server = serve(&one.shelf);
    fetch(&two.shelf, &item, &[peer(1, &server)], 60.0).result.unwrap();
    assert!((room() + two.shelf.room().used).abs_diff(400 << 20) <= 64 << 10);
}

#[cfg(target_os = "linux")]
#[test]
fn a_size_that_somebody_says_takes_no_room_before_a_frame_came() {
    let two = Desk::new();
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

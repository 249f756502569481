use crate::common::{Desk, bytes, words};
use sip_net::{Held, Item, Shelf, ShelfError};
use std::path::Path;

fn file(desk: &Desk, kind: &str, root: &[u8; 32]) -> std::path::PathBuf {
    desk.folder.path().join(kind).join(sip_data::hex(root))
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn what_was_put_is_read_back_also_after_a_restart() {
    let desk = Desk::new();
    let blobs: Vec<Vec<u8>> = [0, 1, 16384, 16385, 3_000_000].map(|len| bytes(len, len as u64)).to_vec();
    let roots: Vec<_> = blobs.iter().map(|blob| desk.shelf.put_bytes(blob).unwrap()).collect();
    let entries = [words(5, 1), words(300_000, 2), Vec::new(), words(5, 1)];
    let state = desk.shelf.put_state(&entries.each_ref().map(|entry| &entry[..])).unwrap();
    let Desk { folder, shelf } = desk;
    let used = shelf.room().used;
    drop(shelf);
    let shelf = Shelf::open(folder.path()).unwrap();
    assert_eq!(shelf.room().used, used);
    for (root, blob) in roots.iter().zip(&blobs) {
        assert_eq!(*root, *blake3::hash(blob).as_bytes());
        assert_eq!(shelf.read(root, blob.len() as u64).unwrap(), *blob);
        assert!(shelf.is_whole(root));
    }
    let item = Item::blob(roots[4], 3_000_000);
    assert_eq!(shelf.read_range(&item, 16_000..2_000_003).unwrap(), blobs[4][16_000..2_000_003]);
    assert_eq!(shelf.read_state(&state).unwrap(), entries);
    assert_eq!(shelf.held(&state), Held::Whole);
    for other in [&[5, 300_000, 0, 6][..], &[5, 300_000, 0], &[5, 300_000, 0, 5, 5]] {
        assert_ne!(shelf.held(&Item::state(state.root, other)), Held::Whole, "{other:?}");
    }
    assert!(matches!(shelf.read(&roots[3], 16384), Err(ShelfError::Missing { .. })), "of another size");
    assert!(matches!(shelf.read_range(&item, 5..3_000_001), Err(ShelfError::Missing { .. })));
}

#[test]
fn a_states_root_is_the_roots_tree_over_its_entries_and_equal_entries_lie_there_once() {
    let desk = Desk::new();
    let (same, first, second) = (words(40_000, 1), words(40_000, 2), words(40_000, 3));
    let one = desk.shelf.put_state(&[&same, &first]).unwrap();
    let two = desk.shelf.put_state(&[&same, &second]).unwrap();
    let roots = [&same, &first].map(|entry| sip_proof::tensor_root(entry));
    assert_eq!(one.root, sip_proof::roots_tree(&roots).root());
    // Each of three blobs and its tree.
    assert_eq!(count(&desk.folder.path().join("blobs")), 6);
    desk.shelf.forget(&one.root).unwrap();
    assert_eq!(count(&desk.folder.path().join("blobs")), 4);
    assert_eq!(desk.shelf.held(&one), Held::None);
    assert_eq!(desk.shelf.read_state(&two).unwrap(), [same, second]);
    desk.shelf.forget(&two.root).unwrap();
    desk.shelf.forget(&two.root).unwrap();
    assert_eq!((desk.shelf.room().used, count(&desk.folder.path().join("blobs"))), (0, 0));
}

#[test]
fn a_blob_that_a_list_and_somebody_alone_keep_stays_until_both_let_go() {
    let desk = Desk::new();
    let entry = words(10, 1);
    let state = desk.shelf.put_state(&[&entry]).unwrap();
    let blob = desk.shelf.put_bytes(&sip_proof::tensor_bytes(&entry)).unwrap();
    desk.shelf.forget(&state.root).unwrap();
    assert!(desk.shelf.is_whole(&blob));
    desk.shelf.forget(&blob).unwrap();
    assert!(!desk.shelf.is_whole(&blob) && desk.shelf.kept().is_empty());
}

#[test]
fn two_processes_do_not_share_a_shelf() {
    let desk = Desk::new();
    assert!(matches!(Shelf::open(desk.folder.path()), Err(ShelfError::Busy { .. })));
}

#[test]
fn a_flipped_bit_on_the_disk_is_seen_and_only_its_group_is_missing_then() {
    let desk = Desk::new();
    let content = bytes(200_000, 1);
    let root = desk.shelf.put_bytes(&content).unwrap();
    let path = file(&desk, "blobs", &root);
    let mut spoilt = std::fs::read(&path).unwrap();
    spoilt[40_000] ^= 1;
    std::fs::write(&path, spoilt).unwrap();
    let item = Item::blob(root, 200_000);
    // Where it is not, it does not matter.
    assert_eq!(desk.shelf.read_range(&item, 100_000..100_100).unwrap(), content[100_000..100_100]);
    assert!(matches!(desk.shelf.read_range(&item, 40_100..40_101), Err(ShelfError::Damaged { .. })));
    assert_eq!(desk.shelf.held(&item), Held::Part { bytes: 12 * 16384, of: 200_000 });
    assert_eq!(desk.shelf.read_range(&item, 0..32_768).unwrap(), content[..32_768]);
    assert!(matches!(desk.shelf.read(&root, 200_000), Err(ShelfError::Missing { .. })));
    // Another group of the part.
    let path = file(&desk, "parts", &root);
    let mut spoilt = std::fs::read(&path).unwrap();
    spoilt[3] ^= 1;
    std::fs::write(&path, spoilt).unwrap();
    assert!(matches!(desk.shelf.read_range(&item, 0..1), Err(ShelfError::Damaged { .. })));
    assert!(matches!(desk.shelf.read_range(&item, 0..1), Err(ShelfError::Missing { .. })));
    assert_eq!(desk.shelf.read_range(&item, 16384..32_768).unwrap(), content[16384..32_768]);
}

#[test]
fn a_small_blob_that_is_damaged_is_missing() {
    let desk = Desk::new();
    let root = desk.shelf.put_bytes(b"manifest").unwrap();
    std::fs::write(file(&desk, "blobs", &root), b"manifesT").unwrap();
    assert!(matches!(desk.shelf.read(&root, 8), Err(ShelfError::Damaged { .. })));
    assert!(matches!(desk.shelf.read(&root, 8), Err(ShelfError::Missing { .. })));
    desk.shelf.put_bytes(b"manifest").unwrap();
    assert_eq!(desk.shelf.read(&root, 8).unwrap(), b"manifest");
}

#[test]
fn what_a_killed_process_left_is_taken_up_or_removed() {
    let desk = Desk::new();
    let content = bytes(100_000, 1);
    let root = desk.shelf.put_bytes(&content).unwrap();
    let Desk { folder, shelf } = desk;
    drop(shelf);
    let at = |name: &str| folder.path().join(name);
    // A tree that is lost is made again; what nothing keeps, and what is half written, goes.
    std::fs::remove_file(at("blobs").join(sip_data::hex(&root)).with_extension("tree")).unwrap();
    for name in [
        format!("blobs/{}", "ab".repeat(32)),
        format!("blobs/{}.tree", "cd".repeat(32)),
        format!("blobs/.{}.77-3.tmp", "ef".repeat(32)),
        format!("parts/{}", "ab".repeat(32)),
        format!("parts/{}.map", "ee".repeat(32)),
        format!("lists/{}", "ab".repeat(32)),
        format!("alone/{}", "ab".repeat(32)),
    ] {
        std::fs::write(at(&name), b"x").unwrap();
    }
    let shelf = Shelf::open(folder.path()).unwrap();
    assert_eq!(shelf.read_range(&Item::blob(root, 100_000), 7..99_000).unwrap(), content[7..99_000]);
    assert_eq!(shelf.kept().len(), 1);
    assert_eq!(count(&at("blobs")), 2);
    assert_eq!(count(&at("parts")) + count(&at("lists")), 0);
}

#[test]
fn a_shelf_takes_no_more_than_was_reserved_and_keeps_what_it_has() {
    let desk = Desk::new();
    desk.shelf.reserve(300_000).unwrap();
    let room = || std::fs::metadata(desk.folder.path().join("room")).map_or(0, |file| file.len());
    assert_eq!(room(), 300_000);
    let first = desk.shelf.put_bytes(&bytes(200_000, 1)).unwrap();
    assert_eq!(room() + desk.shelf.room().used, 300_000);
    let error = desk.shelf.put_bytes(&bytes(200_000, 2)).unwrap_err();
    assert!(matches!(error, ShelfError::Full { limit: 300_000, .. }), "{error}");
    assert!(error.to_string().contains("forget what nobody is owed any more"));
    assert_eq!(desk.shelf.read(&first, 200_000).unwrap(), bytes(200_000, 1));
    assert_eq!(room() + desk.shelf.room().used, 300_000);
    assert!(matches!(desk.shelf.reserve(100_000), Err(ShelfError::Full { .. })));
    desk.shelf.forget(&first).unwrap();
    assert_eq!(room(), 300_000);
    desk.shelf.put_bytes(&bytes(200_000, 2)).unwrap();
}

#[test]
fn more_than_the_disk_has_cannot_be_reserved() {
    let desk = Desk::new();
    let error = desk.shelf.reserve(1 << 60).unwrap_err();
    assert!(matches!(error, ShelfError::DiskFull { .. }), "{error}");
    assert_eq!(desk.shelf.room().limit, None);
    desk.shelf.put_bytes(b"goes on").unwrap();
}

#[test]
fn a_file_is_copied_under_its_hash() {
    let desk = Desk::new();
    let content = bytes(2_500_000, 9);
    let path = desk.folder.path().join("tokens");
    std::fs::write(&path, &content).unwrap();
    let item = desk.shelf.put_file(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(item, Item::tokens(*blake3::hash(&content).as_bytes(), 625_000));
    assert_eq!(desk.shelf.read(&item.root, 2_500_000).unwrap(), content);
    assert!(matches!(desk.shelf.put_file(&path), Err(ShelfError::Io { .. })));
}

#[test]
fn a_tree_that_a_power_cut_left_empty_is_made_again_and_its_blob_stays() {
    let desk = Desk::new();
    let content = bytes(200_000, 1);
    let root = desk.shelf.put_bytes(&content).unwrap();
    let item = Item::blob(root, 200_000);
    let used = desk.shelf.room().used;
    let tree = file(&desk, "blobs", &root).with_extension("tree");
    let right = std::fs::read(&tree).unwrap();
    let lose = || std::fs::write(&tree, vec![0; right.len()]).unwrap();
    lose();
    let Desk { folder, shelf } = desk;
    drop(shelf);
    let shelf = Shelf::open(folder.path()).unwrap();
    assert_eq!(shelf.read_range(&item, 40_000..90_000).unwrap(), content[40_000..90_000]);
    assert_eq!((shelf.held(&item), shelf.room().used), (Held::Whole, used));
    assert_eq!(std::fs::read(&tree).unwrap(), right);
    // Those who are served get it as well, at the second time of asking.
    lose();
    let (server, two) = (crate::common::serve(&shelf), Desk::new());
    crate::common::fetch(&two.shelf, &item, &[crate::common::peer(1, &server)], 10.0).result.unwrap();
    assert_eq!(two.shelf.read(&root, 200_000).unwrap(), content);
    assert_eq!((shelf.held(&item), std::fs::read(&tree).unwrap()), (Held::Whole, right.clone()));
    // Where bytes are wrong as well, what is right of them cannot be told.
    lose();
    let blob = tree.with_extension("");
    let mut spoilt = content.clone();
    spoilt[40_000] ^= 1;
    std::fs::write(&blob, spoilt).unwrap();
    assert!(matches!(shelf.read_range(&item, 0..1), Err(ShelfError::Damaged { .. })));
    assert_eq!(shelf.held(&item), Held::None);
}

#[test]
fn a_blob_of_which_nothing_is_missing_is_whole_after_a_kill_before_it_was_named() {
    let desk = Desk::new();
    let content = bytes(200_000, 1);
    let root = desk.shelf.put_bytes(&content).unwrap();
    let used = desk.shelf.room().used;
    let (whole, part) = (file(&desk, "blobs", &root), file(&desk, "parts", &root));
    let Desk { folder, shelf } = desk;
    drop(shelf);
    std::fs::rename(&whole, &part).unwrap();
    std::fs::rename(whole.with_extension("tree"), part.with_extension("tree")).unwrap();
    // All 13 groups came; whether they reached the disk is not known.
    std::fs::write(part.with_extension("map"), [0, 0, 0xff, 0x1f]).unwrap();
    let shelf = Shelf::open(folder.path()).unwrap();
    assert_eq!((shelf.held(&Item::blob(root, 200_000)), shelf.room().used), (Held::Whole, used));
    assert_eq!(shelf.read(&root, 200_000).unwrap(), content);
    assert_eq!(count(&folder.path().join("parts")), 0);
}

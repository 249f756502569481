use crate::common::{Desk, bytes, fetch_over, id};
use proptest::prelude::*;
use sip_net::{InProcess, Item, Peer};
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn ranges_of_blobs_by_chance_are_what_plain_slices_are(
        len in prop_oneof![0usize..70_000, 0usize..3_000_000],
        seed: u64,
        ranges in proptest::collection::vec((any::<u32>(), 0u64..40_000), 1..8),
        is_served_in_part: bool,
    ) {
        let (one, two, three) = (Desk::new(), Desk::new(), Desk::new());
        let content = bytes(len, seed);
        let item = Item::blob(one.shelf.put_bytes(&content).unwrap(), len as u64);
        let ranges: Vec<_> = ranges.into_iter().map(|(start, count)| {
            let start = u64::from(start) % (len as u64 + 1);
            start..(start + count).min(len as u64)
        }).collect();
        let network = Arc::new(InProcess::new());
        network.add("one", &one.shelf);
        network.add("two", &two.shelf);
        let get = |desk: &Desk, from: &'static str, ranges: Option<&[_]>| {
            let peers = || vec![Peer { id: id(1), address: from.into() }];
            fetch_over(network.clone(), &desk.shelf, &item, ranges, &peers, 20.0).result.map(|fetched| fetched.bytes)
        };
        let came = get(&two, "one", Some(&ranges)).unwrap();
        prop_assert!(came <= len as u64);
        prop_assert_eq!(get(&two, "one", Some(&ranges)).unwrap(), 0);
        let last = if is_served_in_part { &three } else { &two };
        if is_served_in_part {
            get(&three, "two", Some(&ranges)).unwrap();
        }
        for range in &ranges {
            let expected = &content[range.start as usize..range.end as usize];
            prop_assert_eq!(&last.shelf.read_range(&item, range.clone()).unwrap()[..], expected);
        }
        get(last, "one", None).unwrap();
        prop_assert_eq!(last.shelf.read(&item.root, len as u64).unwrap(), content);
        last.shelf.forget(&item.root).unwrap();
        prop_assert_eq!(last.shelf.room().used, 0);
    }
}

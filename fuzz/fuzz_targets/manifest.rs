//! A manifest from any bytes, or an example with changes: it is refused, or it is written as it was read, and says what a job commits.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use sip_manifest::example;
use sip_manifest::value::Manifest;
use sip_protocol::training::data::Dataset;
use std::sync::LazyLock;

/// Without compressed updates, and with them.
static EXAMPLES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| [false, true].map(|kind| example::manifest(kind).to_bytes()));

/// Nothing is registered of its data.
const NO_DATA: &[Option<Box<Dataset>>] = &[];

/// `commits` says whether what it commits is computed as well: that takes twice as long as reading it.
fn check(bytes: &[u8], commits: bool) {
    let Ok(manifest) = Manifest::from_bytes(bytes) else { return };
    assert_eq!(manifest.to_bytes(), bytes, "the bytes are the only ones for their manifest");
    if commits {
        let commits = manifest.commits().expect("every graph was read");
        assert_eq!(manifest.check(&commits, NO_DATA).expect("every graph was read"), None);
    }
}

/// The example with some bytes changed, most of them outside of its graphs.
fn changed(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = input.choose(&*EXAMPLES)?.clone();
    for _ in 0..input.int_in_range(1..=6)? {
        let most = if input.arbitrary()? { bytes.len() } else { 600 };
        let at = input.int_in_range(0..=most - 1)?;
        bytes[at] = input.arbitrary()?;
    }
    let len = bytes.len();
    Ok(match input.int_in_range(0..=7u8)? {
        0 => bytes[..input.int_in_range(0..=len)?].to_vec(),
        1 => [bytes, input.bytes(input.len().min(8))?.to_vec()].concat(),
        _ => bytes,
    })
}

fuzz_target!(|bytes: &[u8]| {
    // The first byte says whether the rest is the manifest or says how an example is changed, and how far it is looked at.
    let Some((&first, rest)) = bytes.split_first() else { return };
    let commits = first < 32;
    if first & 1 == 0 {
        check(rest, commits);
    } else if let Ok(bytes) = changed(&mut Unstructured::new(rest)) {
        check(&bytes, commits);
    }
});

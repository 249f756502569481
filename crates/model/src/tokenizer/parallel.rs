//! Texts in parts, for all processors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::TokenizerError;

/// Texts are cut into parts of about this many bytes for the threads.
pub(super) const PART_BYTES: usize = 32 << 10;

pub(super) fn thread_count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Cuts a text into parts of at least [`PART_BYTES`] that are tokenized alone exactly as within the whole.
///
/// A part ends where ASCII whitespace follows a visible ASCII character. Every piece of the byte-level pattern begins
/// anew there: only a piece's first character may be whitespace unless it is all whitespace, and the pattern never
/// looks behind. The document token holds no whitespace, so it is not cut either.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        let boundary = (PART_BYTES..bytes.len())
            .find(|&at| bytes[at].is_ascii_whitespace() && bytes[at - 1].is_ascii_graphic())
            .unwrap_or(bytes.len());
        let (part, after) = rest.split_at(boundary);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// Applies `work` to every part on up to `threads` threads; results are in the order of the parts.
pub(super) fn in_parallel<T: Send>(
    parts: &[&str],
    threads: usize,
    work: impl Fn(&str) -> Result<T, TokenizerError> + Sync,
) -> Result<Vec<T>, TokenizerError> {
    if threads.min(parts.len()) <= 1 {
        return parts.iter().map(|part| work(part)).collect();
    }
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<(usize, Result<T, TokenizerError>)> = thread::scope(|scope| {
        for _ in 0..threads.min(parts.len()) {
            let (next, work, sender) = (&next, &work, sender.clone());
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(part) = parts.get(at) else { break };
                    if sender.send((at, work(part))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        receiver.into_iter().collect()
    });
    results.sort_unstable_by_key(|&(at, _)| at);
    results.into_iter().map(|(_, result)| result).collect()
}

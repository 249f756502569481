//! Answers from a shelf, without any transport.

use crate::shelf::{Shelf, ShelfError, Source};
use crate::wire::{Has, Hello, Request};
use std::io;
use std::ops::Range;

/// Bytes of an answer that are made at once.
pub(crate) const SLICE_BYTES: usize = 128 << 10;

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is not here, or not with this size.
    NotHeld,
    /// The shelf fails.
    Broken(ShelfError),
}

/// An answer, made slice by slice.
#[derive(Debug)]
pub(crate) struct Answer {
    pub bytes: u64,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Bytes(Vec<u8>),
    Frames(Frames),
}

/// Frames that are still to come, and what is left of the one that has begun.
#[derive(Debug)]
struct Frames {
    shelf: Shelf,
    source: Source,
    waiting: Range<u32>,
    content: Range<u64>,
}

/// The answer to a question that [`Request::parse`] let through.
pub(crate) fn answer(shelf: &Shelf, request: &Request) -> Result<Answer, Refusal> {
    let whole = |bytes: Vec<u8>| Answer { bytes: bytes.len() as u64, next: Next::Bytes(bytes) };
    match request {
        Request::Hello => Ok(whole(Hello::OWN.encode().to_vec())),
        Request::Have { roots } => {
            let has = |root| match (shelf.is_whole(root), shelf.is_there(root)) {
                (true, _) => Has::All,
                (_, true) => Has::Some,
                _ => Has::Nothing,
            };
            Ok(whole(roots.iter().map(|root| has(root) as u8).collect()))
        }
        Request::List { root, count } => {
            let entries = shelf.list(root).filter(|entries| entries.len() == *count as usize);
            entries.map(|entries| whole(entries.into_flattened())).ok_or(Refusal::NotHeld)
        }
        Request::Groups { root, bytes, first, count } => {
            let source = shelf.source(root).map_err(Refusal::Broken)?;
            let source = source.filter(|source| source.geometry.bytes == *bytes).ok_or(Refusal::NotHeld)?;
            let waiting = *first..first.saturating_add(*count);
            if !source.has(&waiting) {
                return Err(Refusal::NotHeld);
            }
            let bytes = request.answer_bytes().ok_or(Refusal::NotHeld)?;
            Ok(Answer { bytes, next: Next::Frames(Frames { shelf: shelf.clone(), source, waiting, content: 0..0 }) })
        }
    }
}

impl Answer {
    /// Puts the next slice into `slice`, which is empty at the end.
    pub(crate) fn next(&mut self, slice: &mut Vec<u8>) -> io::Result<()> {
        slice.clear();
        match &mut self.next {
            Next::Bytes(bytes) => {
                std::mem::swap(slice, bytes);
                Ok(())
            }
            Next::Frames(frames) => frames.next(slice),
        }
    }
}

impl Frames {
    fn next(&mut self, slice: &mut Vec<u8>) -> io::Result<()> {
        if self.content.is_empty() && !self.waiting.is_empty() {
            let geometry = &self.source.geometry;
            let Some(frame) = geometry.frames(self.waiting.clone()).next() else { return Ok(()) };
            self.content = geometry.bytes_of(&frame);
            self.waiting.start = frame.end;
            // What is wrong here is mended for who asks next.
            let opening = self.source.opening(&frame)?;
            *slice = opening.ok_or_else(|| io::Error::other(self.shelf.mend(&self.source)))?;
        }
        let opening = slice.len();
        let count = (self.content.end - self.content.start).min(SLICE_BYTES as u64);
        slice.resize(opening + count as usize, 0);
        self.source.read(&mut slice[opening..], self.content.start)?;
        self.content.start += count;
        Ok(())
    }
}

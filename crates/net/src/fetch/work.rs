//! What is done with one peer.

use super::board::{Board, Stripe};
use crate::network::{Failure, Link, Peer};
use crate::shelf::Shelf;
use crate::tree::check_frame;
use crate::wire::Request;
use crate::{Hash, hex};
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

/// Questions that wait for their answers; and stripes' worth of bytes, so that there is always one to answer.
const MOST_ASKED: usize = 16;
const MOST_ASKED_STRIPES: u64 = 2;

/// The entries of a list.
pub(super) fn list(root: &Hash, count: u32, link: &mut dyn Link) -> Result<Vec<Hash>, Failure> {
    link.ask(&Request::List { root: *root, count })?;
    link.begin()?;
    let mut entries = vec![[0; 32]; count as usize];
    link.read(entries.as_flattened_mut())?;
    match sip_proof::roots_tree(&entries).root() == *root {
        true => Ok(entries),
        false => Err(Failure::Wrong(format!("another list than {}", hex(root)))),
    }
}

/// A question that was asked.
struct Asked {
    stripe: Stripe,
    groups: Range<u32>,
    bytes: u64,
    /// Whether nothing more of the stripe was asked for.
    is_last: bool,
}

/// A peer, at work.
struct Worker<'a, 'b> {
    board: &'a Board,
    shelf: &'a Shelf,
    peer: &'a Peer,
    link: &'a mut (dyn Link + 'b),
    /// Whether the peer leaves, or another stream of it gave wrong bytes.
    is_over: &'a dyn Fn() -> bool,
    asked: VecDeque<Asked>,
    /// Stripes that this worker is at.
    own: BTreeSet<u64>,
    /// Stripes that the peer has not got whole.
    unheld: BTreeSet<u64>,
    content: Vec<u8>,
    opening: Vec<u8>,
}

/// Asks a peer for stripes as long as there are any.
pub(super) fn blobs(
    board: &Board,
    shelf: &Shelf,
    peer: &Peer,
    link: &mut dyn Link,
    is_over: &dyn Fn() -> bool,
) -> Result<(), Failure> {
    let (asked, own, unheld) = (VecDeque::new(), BTreeSet::new(), BTreeSet::new());
    let mut worker =
        Worker { board, shelf, peer, link, is_over, asked, own, unheld, content: Vec::new(), opening: Vec::new() };
    let ended = worker.run();
    worker.own.iter().for_each(|number| board.give_back(&peer.id, *number));
    ended
}

impl Worker<'_, '_> {
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            if (self.is_over)() {
                return Err(Failure::Stopped);
            }
            self.ask()?;
            match self.asked.pop_front() {
                Some(asked) => self.receive(&asked)?,
                None if self.board.is_done() => return Ok(()),
                None if !self.board.has_more(&self.unheld) => return Err(Failure::NotHeld),
                None => {
                    self.board.wait();
                    // A link that is not used is closed by its other end: the one who waits long enough dials again.
                }
            }
        }
    }

    /// Asks for as much as may be under way.
    fn ask(&mut self) -> Result<(), Failure> {
        while self.asked.len() < MOST_ASKED
            && self.asked.iter().map(|asked| asked.bytes).sum::<u64>() < self.board.stripe_bytes * MOST_ASKED_STRIPES
            && let Some(stripe) = self.board.take(&self.peer.id, [&self.own, &self.unheld])
        {
            let wanted = self.board.blob(&stripe);
            let missing = wanted.still_missing(self.shelf, &stripe.groups);
            let Some(last) = missing.len().checked_sub(1) else {
                self.board.done(&stripe);
                continue;
            };
            self.own.insert(stripe.number);
            for (index, groups) in missing.into_iter().enumerate() {
                let (root, bytes) = (wanted.root, wanted.geometry.bytes);
                let request = Request::Groups { root, bytes, first: groups.start, count: groups.len() as u32 };
                self.link.ask(&request)?;
                let bytes = request.answer_bytes().unwrap_or_default();
                self.asked.push_back(Asked { stripe: stripe.clone(), groups, bytes, is_last: index == last });
            }
        }
        Ok(())
    }

    fn receive(&mut self, asked: &Asked) -> Result<(), Failure> {
        let number = asked.stripe.number;
        match self.link.begin() {
            Err(Failure::NotHeld) => {
                self.unheld.insert(number);
            }
            begun => {
                begun?;
                self.frames(asked)?;
            }
        }
        if asked.is_last {
            self.own.remove(&number);
            match self.unheld.contains(&number) {
                true => self.board.give_back(&self.peer.id, number),
                false => self.board.done(&asked.stripe),
            }
        }
        Ok(())
    }

    /// The frames of an answer, each checked before it is kept.
    fn frames(&mut self, asked: &Asked) -> Result<(), Failure> {
        let wanted = self.board.blob(&asked.stripe);
        let geometry = &wanted.geometry;
        for frame in geometry.frames(asked.groups.clone()) {
            let at = geometry.bytes_of(&frame);
            self.opening.resize(geometry.outside(&frame).len() * 32, 0);
            self.content.resize((at.end - at.start) as usize, 0);
            self.link.read(&mut self.opening)?;
            self.link.read(&mut self.content)?;
            let learned = check_frame(geometry, &wanted.root, &frame, &self.opening, &self.content);
            let learned = learned.ok_or_else(|| {
                Failure::Wrong(format!(
                    "groups {} to {} of {} do not stand under it",
                    frame.start,
                    frame.end - 1,
                    hex(&wanted.root)
                ))
            })?;
            if !self.board.keep(self.shelf, &self.peer.id, &asked.stripe, &frame, &self.content, &learned) {
                return Err(Failure::Stopped);
            }
        }
        Ok(())
    }
}

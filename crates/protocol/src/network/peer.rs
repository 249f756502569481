//! Peers: where a pool's operator, or the creator of a job, is reached.
//!
//! A record is written by those who work for the pool, or by the job's creator and a key that it names. Each write says which one it follows, and the program
//! numbers it: so two processes with one key notice each other, and the one whose write another has followed stops. Nothing that a peer serves is believed for
//! its record: bytes prove themselves by roots on chain, and a record without truth wastes a dial.
//!
//! Invariants: sequences of a subject only rise, also where its record is closed and opened again; who paid the rent gets it back, from those who may write
//! the record at any time, by anyone's call once it is old or its pool is retired.

use bytemuck::{Pod, Zeroable};

use crate::{Address, Error, Header, Result, account, ground::layout::layout, training::closing::Rest};

/// Most bytes of a base URL.
pub const MAX_URL: usize = 96;
/// Direct addresses of a record.
pub const ADDRESSES: usize = 2;
/// The peer answers requests of others; without it, it only fetches.
pub const SERVES: u8 = 1;
/// It has all that the job computes with, and does its part in a round that is opened now; without it, it is still getting ready.
pub const READY: u8 = 2;

layout! {
    /// A direct address: all zeros for none.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct SocketAddress {
        /// IPv6, or IPv4 mapped into it.
        pub ip: [u8; 16],
        /// UDP or TCP port, by the transport that dials.
        pub port: u16,
        /// Always 0.
        pub reserved: [u8; 6],
    }
}

layout! {
    /// How a peer is reached, and what it speaks.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Contact {
        /// Key that it is dialled by; zero for none.
        pub endpoint: [u8; 32],
        /// Direct addresses; those that exist come first.
        pub addresses: [SocketAddress; ADDRESSES],
        /// The least [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION) that it speaks, from 1 on.
        pub least_protocol: u32,
        /// The greatest.
        pub most_protocol: u32,
        /// [`SERVES`] and [`READY`], as far as they are so.
        pub flags: u8,
        /// Bytes of `url` that it has.
        pub url_bytes: u8,
        /// Always 0.
        pub reserved: [u8; 6],
        /// Base URL where it serves over HTTP, printable ASCII without blanks; zeros after it.
        pub url: [u8; MAX_URL],
    }
}

layout! {
    /// Where a subject's people are reached.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Peer {
        /// Kind, version, bump.
        pub header: Header,
        /// The pool whose operator, or the job whose creator is there.
        pub subject: Address,
        /// Who paid the rent, and gets it back.
        pub payer: Address,
        /// Of a job, a key that may rewrite the record beside the creator; zero for none. A pool has its session key.
        pub writer: Address,
        /// Who signed the last write: the operator, the creator, or a key of theirs.
        pub signer: Address,
        /// Drawn by the process that wrote it, so that it knows its own.
        pub process: u64,
        /// Number of the write: the slot, or one more than the last where that is more.
        pub sequence: u64,
        /// When it was written.
        pub announced_slot: u64,
        /// Where.
        pub contact: Contact,
    }
}

account!(Peer, Peer, 352);

impl Contact {
    /// A peer that speaks this version and is reached nowhere: it only fetches.
    pub const NOWHERE: Contact = Contact {
        endpoint: [0; 32],
        addresses: [SocketAddress { ip: [0; 16], port: 0, reserved: [0; 6] }; ADDRESSES],
        least_protocol: crate::PROTOCOL_VERSION,
        most_protocol: crate::PROTOCOL_VERSION,
        flags: 0,
        url_bytes: 0,
        reserved: [0; 6],
        url: [0; MAX_URL],
    };

    /// The same peer, serving at a base URL.
    ///
    /// # Errors
    /// Where the URL is longer than [`MAX_URL`], or none that a record takes.
    pub fn serving_at(mut self, url: &str) -> Result<Contact> {
        self.url.get_mut(..url.len()).ok_or(Error::WrongContact)?.copy_from_slice(url.as_bytes());
        (self.url_bytes, self.flags) = (url.len() as u8, self.flags | SERVES);
        self.check()?;
        Ok(self)
    }

    /// The same peer, once it does its part in a round that is opened.
    #[must_use]
    pub const fn once_ready(mut self) -> Contact {
        self.flags |= READY;
        self
    }

    /// Whether it has all that it does its part with.
    pub const fn is_ready(&self) -> bool {
        self.flags & READY != 0
    }

    /// Whether it answers requests.
    pub const fn serves(&self) -> bool {
        self.flags & SERVES != 0
    }

    /// The base URL; empty for none.
    pub fn url(&self) -> &str {
        let bytes = self.url.get(..self.url_bytes as usize).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The direct addresses that exist.
    pub fn sockets(&self) -> impl Iterator<Item = &SocketAddress> {
        self.addresses.iter().filter(|address| address.port != 0)
    }

    /// Whether a program that speaks these versions can speak with it.
    pub const fn speaks(&self, least: u32, most: u32) -> bool {
        self.least_protocol <= most && least <= self.most_protocol
    }

    /// Checks its form. Who is at an address or behind a URL, and whether it is wise to ask there, is for those who dial.
    pub fn check(&self) -> Result<()> {
        let (url, rest) = self.url.split_at_checked(self.url_bytes as usize).ok_or(Error::WrongContact)?;
        let is_web = url.is_empty() || url.starts_with(b"http://") || url.starts_with(b"https://");
        let is_printable = url.iter().all(|byte| (0x21..=0x7E).contains(byte)) && rest.iter().all(|byte| *byte == 0);
        let [first, second] = &self.addresses;
        let is_none = |address: &SocketAddress| *address == SocketAddress::default();
        let is_one = |address: &SocketAddress| address.port != 0 && address.reserved == [0; 6];
        let is_listed = (is_one(first) && (is_one(second) || is_none(second))) || (is_none(first) && is_none(second));
        let is_spoken = self.least_protocol != 0 && self.least_protocol <= self.most_protocol;
        let is_reached = !url.is_empty() || !is_none(first) || self.endpoint != [0; 32];
        let is_flagged =
            self.flags & !(SERVES | READY) == 0 && (is_reached || !self.serves()) && self.reserved == [0; 6];
        if is_web && is_printable && is_listed && is_spoken && is_flagged { Ok(()) } else { Err(Error::WrongContact) }
    }
}

/// A write of a record.
pub struct Writing<'a> {
    /// The sequence of the write that it follows; 0 where there is none.
    pub after: u64,
    /// Who signs it.
    pub signer: &'a Address,
    /// Drawn by the process.
    pub process: u64,
    /// Where it is reached.
    pub contact: &'a Contact,
    /// The present slot.
    pub slot: u64,
}

impl Peer {
    /// Writes it, after the write that the writer has seen: refused if another came between.
    pub fn write(&mut self, writing: &Writing<'_>) -> Result<()> {
        let Writing { after, signer, process, contact, slot } = *writing;
        if self.sequence != after {
            return Err(Error::StalePeer);
        }
        contact.check()?;
        self.sequence = slot.max(after.checked_add(1).ok_or(Error::Overflow)?);
        self.announced_slot = slot;
        self.signer = *signer;
        self.process = process;
        self.contact = *contact;
        Ok(())
    }

    /// Checks that it may be closed, its rent going to who paid it: what is written at its address later has a greater sequence.
    pub fn require_closable(&self, payer: &Address, slot: u64) -> Result<()> {
        if self.payer != *payer {
            return Err(Error::WrongAccount);
        }
        if slot > self.sequence { Ok(()) } else { Err(Error::PeerTooFresh) }
    }

    /// Checks that anyone may close it, its rent going to who paid it: what it is of is over, or nobody has written it for an unbonding time.
    pub fn require_old(&self, payer: &Address, is_over: bool, rest: &Rest) -> Result<()> {
        self.require_closable(payer, rest.slot)?;
        if is_over { Ok(()) } else { rest.require_since(self.announced_slot) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_follows_the_last_one_and_sequences_only_rise() {
        let mut peer = Peer::zeroed();
        let writing = Writing { after: 0, signer: &[9; 32], process: 3, contact: &Contact::NOWHERE, slot: 0 };
        let write = |peer: &mut Peer, after, slot| peer.write(&Writing { after, slot, ..writing });
        write(&mut peer, 0, 50).unwrap();
        assert_eq!((peer.sequence, peer.announced_slot, peer.process, peer.signer), (50, 50, 3, [9; 32]));
        assert_eq!(write(&mut peer, 0, 60), Err(Error::StalePeer));
        write(&mut peer, 50, 50).unwrap();
        assert_eq!(peer.sequence, 51);
        // Closed, it begins anew with a greater one.
        assert_eq!(peer.require_closable(&[0; 32], 51), Err(Error::PeerTooFresh));
        peer.require_closable(&[0; 32], 52).unwrap();
        // Anyone closes it once it is old, or what it is of is over.
        let old = |slot, is_over| peer.require_old(&[0; 32], is_over, &Rest { unbonding_slots: 100, slot });
        assert_eq!([old(149, false), old(150, false), old(52, true)], [Err(Error::StillResting), Ok(()), Ok(())]);
        assert_eq!(old(51, true), Err(Error::PeerTooFresh));
        let mut again = Peer::zeroed();
        write(&mut again, 0, 52).unwrap();
        assert!(again.sequence > peer.sequence);
    }

    #[test]
    fn a_contact_has_one_form() {
        let good = Contact::NOWHERE.serving_at("http://127.0.0.1:8000").unwrap();
        assert_eq!((good.url(), good.serves(), good.sockets().count()), ("http://127.0.0.1:8000", true, 0));
        assert!(good.speaks(1, 1) && !good.speaks(2, 3));
        let ready = Contact::NOWHERE.once_ready().serving_at("http://127.0.0.1:8000").unwrap();
        assert!(
            ready.is_ready() && ready.serves() && !good.is_ready() && Contact::NOWHERE.once_ready().check().is_ok()
        );
        let socket = SocketAddress { ip: [1; 16], port: 80, reserved: [0; 6] };
        let direct = Contact { addresses: [socket, SocketAddress::default()], flags: SERVES, ..Contact::NOWHERE };
        direct.check().unwrap();
        let mut tail = good;
        tail.url[95] = b'x';
        let wrong = [
            Contact { url_bytes: 97, ..good },
            Contact { url_bytes: 6, ..good },
            Contact { flags: 4, ..good },
            Contact { flags: SERVES, ..Contact::NOWHERE },
            Contact { least_protocol: 0, ..good },
            Contact { least_protocol: 2, ..good },
            Contact { reserved: [0, 0, 0, 0, 0, 1], ..good },
            Contact { addresses: [SocketAddress::default(), socket], ..good },
            Contact { addresses: [SocketAddress { port: 0, ..socket }, SocketAddress::default()], ..good },
            tail,
        ];
        assert!(wrong.iter().all(|contact| contact.check() == Err(Error::WrongContact)));
        for url in ["ftp://peer", "http://a b", "http://\u{e9}", "127.0.0.1:80"] {
            assert!(Contact::NOWHERE.serving_at(url).is_err(), "{url}");
        }
    }
}

//! Says where a pool's operator or a job's creator is reached.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    ground::account::seed,
    instructions::AnnouncePeer,
    network::peer::{Peer, Writing},
};

use super::Announcer;
use crate::guard::{self, Creation};

/// Implements [`AnnouncePeer`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: AnnouncePeer = guard::args(data)?;
    let [announcer, subject, record, _system, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(announcer)?;
    let slot = guard::slot()?;
    let subject_address = *guard::key(subject);
    let is_new = record.owned_by(&pinocchio_system::ID);
    let (mut record, by) = if is_new {
        let by = super::announcer(program, announcer, subject, None, slot)?;
        let seeds: [&[u8]; 2] = [seed::PEER, &subject_address];
        let mut record = Creation { program, payer: announcer }.create::<Peer>(record, &seeds)?;
        (record.subject, record.payer) = (subject_address, *guard::key(announcer));
        (record, by)
    } else {
        let record = guard::load_mut::<Peer>(program, record)?;
        guard::related(record.subject == subject_address)?;
        let by = super::announcer(program, announcer, subject, Some(&*record), slot)?;
        (record, by)
    };
    if by == Announcer::Creator {
        record.writer = args.writer;
    }
    guard::related(record.writer == args.writer)?;
    let signer = guard::key(announcer);
    record.write(&Writing { after: args.after, signer, process: args.process, contact: &args.contact, slot })
}

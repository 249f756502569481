//! Who is where. What each instruction checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{
    instructions::*,
    network::peer::{Contact, Peer},
};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::{Program, accounts};

/// Peers.
impl Program {
    /// [`AnnouncePeer`] of a pool or a job by who works for it, after the record that was read, if there is one. `process` is a number that the
    /// process drew at its start. A job's record keeps its writer.
    pub fn announce_peer(
        &self,
        announcer: &Address,
        subject: &Address,
        record: Option<&Peer>,
        process: u64,
        contact: &Contact,
    ) -> Instruction {
        let (after, writer) = record.map_or((0, [0; 32]), |record| (record.sequence, record.writer));
        let announcement = AnnouncePeer { after, process, writer, contact: *contact };
        self.announce_peer_with(announcer, subject, &announcement)
    }

    /// [`AnnouncePeer`] with all that it says.
    pub fn announce_peer_with(
        &self,
        announcer: &Address,
        subject: &Address,
        announcement: &AnnouncePeer,
    ) -> Instruction {
        self.instruction(announcement, &accounts::AnnouncePeer { announcer: *announcer, subject: *subject })
    }

    /// [`ClosePeer`] of a record whose rent `payer` has paid.
    pub fn close_peer(&self, announcer: &Address, subject: &Address, payer: &Address) -> Instruction {
        let accounts = accounts::ClosePeer { announcer: *announcer, subject: *subject, payer: *payer };
        self.instruction(&ClosePeer {}, &accounts)
    }

    /// [`ReclaimPeer`] of a record whose rent `payer` has paid.
    pub fn reclaim_peer(&self, subject: &Address, payer: &Address) -> Instruction {
        self.instruction(&ReclaimPeer {}, &accounts::ReclaimPeer { subject: *subject, payer: *payer })
    }
}

//! The instructions of peers. Tags 0xA0 to 0xBF. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::{
    Address,
    ground::declare::{arguments, specs},
    network::peer::Contact,
};

/// Hands the table to a reader.
#[macro_export]
macro_rules! network_instructions {
    ($($reader:tt)*) => { $($reader)*! {
        /// Says where a pool's operator or a job's creator is reached: see [`crate::network::peer`].
        ///
        /// - the signer works for the pool; of a job it created it, or is the record's writer
        /// - the write follows the one that it names, and no other came between; the contact has the form of one
        /// - the creator of a job alone names the record's writer; a pool's has none
        AnnouncePeer = 0xA0 {
            args {
                /// Sequence of the write that this one follows; 0 where there is no record.
                after: u64,
                /// Drawn at random by the process that writes.
                process: u64,
                /// Of a job, a key that may rewrite the record; zero for none.
                writer: Address,
                /// Where.
                contact: Contact,
            }
            accounts {
                announcer: paying_worker,
                /// What the record is of.
                subject: reads(Pool | Job),
                peer: ensures(Peer) at peer(subject),
                system_program: calls(SystemProgram),
            }
            budget { 1_500, 13_000 "first" }
        }

        /// Takes a record back. Its rent goes to who paid it.
        ///
        /// - as for `AnnouncePeer`; not in the slot of its last write
        ClosePeer = 0xA1 {
            args {}
            accounts {
                announcer: worker,
                /// What the record is of.
                subject: reads(Pool | Job),
                peer: closes(Peer) at peer(subject),
                /// Who paid the rent.
                payer: wallet,
            }
            budget { 600 }
        }

        /// Closes a record that nobody needs any more. Its rent goes to who paid it.
        ///
        /// - anyone may; an unbonding time has passed since its last write, or it is of a pool that is retired, with no claim and no dispute open
        /// - not in the slot of its last write
        ReclaimPeer = 0xA2 {
            args {}
            accounts {
                config: reads(Config),
                /// What the record is of.
                subject: reads(Pool | Job),
                peer: closes(Peer) at peer(subject),
                /// Who paid the rent.
                payer: wallet,
            }
            budget { 600 }
        }
    } };
}

network_instructions!(arguments);
network_instructions!(specs);

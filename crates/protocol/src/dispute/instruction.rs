//! The instructions of a dispute: tags 64 to 69. See [`crate::instruction`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::instruction::Args;

macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident = $tag:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
            #[repr(C)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

            impl Args for $name {
                const TAG: u8 = $tag;
                const NAME: &'static str = stringify!($name);
            }
        )*

        /// Name of the dispute instruction of a tag.
        pub const fn name(tag: u8) -> Option<&'static str> {
            match tag {
                $($tag => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

instructions! {
    /// Accuses a segment.
    ///
    /// Accounts: [signer, writable] challenger and payer · config · job · [writable] round · [writable] segment · [writable] trainer's
    /// pool · [writable] dispute · [writable] accusation · system program · the job's datasets in order.
    ///
    /// - the commits are closed and the challenge deadline is not reached; round, segment, pool and job belong together
    /// - the accusation is the signer's, of this segment, and was committed after the segment, one to 1 500 slots ago; it is closed
    /// - the segment is not convicted, or by somebody who committed later and has not got the bounty; the challenger is not its trainer
    ///   and has no other dispute on it; once its dispute is closed it may accuse anew, for another bond
    /// - every dataset is the job's
    /// - the bond moves from the accusation; the pool is frozen; both clocks are filled and the trainer's runs
    OpenDispute = 64 {
        /// The accusation's salt.
        salt: [u8; 32],
    }

    /// Writes a part of a large payload into the dispute's buffer: the bytes after the arguments.
    ///
    /// Accounts: [signer] party on move · [writable] dispute.
    ///
    /// - the signer is the party on move; the bytes end within the buffer
    Upload = 65 {
        /// Where the bytes go.
        offset: u32,
    }

    /// Plays a move. Its payload is what the buffer holds before `offset`, followed by the bytes after the arguments.
    ///
    /// Accounts: [signer] party on move · [writable] dispute.
    ///
    /// - the signer is the party on move and has time left; the move is one of the phase; see [`super::MoveKind`]
    PlayMove = 66 {
        /// A [`super::MoveKind`].
        kind: u32,
        /// Where the bytes go.
        offset: u32,
    }

    /// Ends a dispute against the party whose clock has run out.
    ///
    /// Accounts: [writable] dispute.
    ///
    /// - the dispute is not over; the clock of the party on move has run out
    TimeOut = 67 {}

    /// Applies the verdict.
    ///
    /// Accounts: [writable] config · [writable] job · [writable] segment · [writable] trainer's pool · [writable] dispute ·
    /// [writable] a token account of the challenger · [writable] vault · [writable] mint · token program · [writable] round.
    ///
    /// - the dispute is over and not resolved yet; all accounts are the dispute's
    /// - convicted: the segment counts no more, its trainer takes no further part, the pool is slashed; the challenger gets its bond
    ///   back, and a bounty out of the trainer's own bond waits for whoever accused first; the rest is insured; if the segment had
    ///   counted, the round is undone
    /// - acquitted: half of the challenger's bond is burned, half goes to the trainer's pool
    /// - either way the pool has one dispute less
    ResolveDispute = 68 {}

    /// Closes a resolved dispute and returns its rent.
    ///
    /// Accounts: [signer, writable] challenger · [writable] dispute.
    ///
    /// - the signer is its challenger; the dispute is resolved
    CloseDispute = 69 {}
}

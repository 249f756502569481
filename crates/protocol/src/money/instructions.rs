//! The instructions of emission, fees and settlement. Tags 0x80 to 0x9F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::ground::declare::{Args, instructions};

instructions! {
    /// Ends an epoch of the emission.
    ///
    /// Accounts: [writable] config · [writable] emission.
    ///
    /// - anyone may, once the epoch's slots are over; see [`crate::money::emission`]
    TurnEpoch = 0x80 {}

    /// Pays a pool its part of the staking yield, and counts its active stake from now on.
    ///
    /// Accounts: [writable] emission · [writable] pool.
    ///
    /// - anyone may at any time; see [`crate::money::epoch`]
    SettleYield = 0x81 {}

    /// Pays for a model's service.
    ///
    /// Accounts: [signer, writable] payer · [writable] config · [writable] emission · [writable] mint · [writable] payer's token account ·
    /// [writable] vault · token program · system program · job · the job's last round · [writable] fees (created if missing) · [writable]
    /// server's pool · [writable] model's pool · [writable] the pools of its ancestors in order, up to four.
    ///
    /// - the protocol is not paused; job, round, model and ancestors belong together; server and model are active
    /// - the amount is split by the parameters; the burned part is burned, and counts as demand
    PayFee = 0x82 {
        /// What the payment is for: the hash of a request or an invoice, for the server to find it.
        receipt: [u8; 32],
        /// Base units.
        amount: u64,
    }

    /// Pays a domain's data pool and attention pool the fees that are owed to them.
    ///
    /// Accounts: [writable] fees · job · dataset · [writable] data pool · [writable] attention pool.
    ///
    /// - anyone may; all belong to the job and the domain; something is owed
    SettleFees = 0x83 {
        /// The domain.
        domain: u8,
    }

    /// Burns what convictions have left to burn.
    ///
    /// Accounts: [writable] config · [writable] mint · [writable] vault · token program.
    ///
    /// - anyone may; there is something to burn; it counts as no demand
    BurnCondemned = 0x84 {}

    /// Settles a segment.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] segment · [writable] trainer's pool.
    ///
    /// - the round is final or void; segment, round, job and pool belong together; once
    SettleSegment = 0x85 {}

    /// Charges a trainer that the round awaited and that committed nothing.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] pool.
    ///
    /// - the round is final or void and beyond challenge, and of this job; the pool held the place when it was opened; once
    /// - it costs the row `missed_segment`, and no less than the seat's part of what the round could expect ([`crate::training::attendance`])
    SettleAbsent = 0x86 {
        /// The trainer's place.
        place: u8,
    }

    /// Settles an auditor's part in a round.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] auditor's pool.
    ///
    /// - the round is final or void; the pool holds the place of the round; once
    /// - no segment of the round can be convicted any more, and no dispute on a claim of the auditor is open
    SettleAudit = 0x87 {
        /// The auditor's place.
        place: u8,
    }

    /// Settles an evaluator's part in a round.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] evaluator's pool.
    ///
    /// - the round is final or void; the pool holds the place of the round; once
    SettleEvaluation = 0x88 {
        /// The evaluator's place.
        place: u8,
    }

    /// Settles a domain's data provider.
    ///
    /// Accounts: [writable] config · job · [writable] round · dataset · [writable] provider's pool.
    ///
    /// - the round is final or void; the dataset is the domain's and the pool is the dataset's; once
    SettleData = 0x89 {
        /// The domain.
        domain: u8,
    }

    /// Settles a domain's patrons.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] the domain's attention pool.
    ///
    /// - the round is final or void; the pool is the attention pool of this job and domain; once
    SettlePatrons = 0x8A {
        /// The domain.
        domain: u8,
    }
}

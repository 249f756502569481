//! The instructions of parameters, proposals, spending and migration. Tags 0x20 to 0x3F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::{
    admin::config::Parameters,
    ground::declare::{Args, instructions},
    ground::schedule::Schedule,
};

instructions! {
    /// Creates the configuration, the emission, the mint and the vault, and mints the cap into the vault.
    ///
    /// Accounts: [signer, writable] authority and payer · [writable] config · [writable] mint · [writable] vault · token program ·
    /// system program · [writable] emission · the program's data account.
    ///
    /// - the authority may upgrade the program: the data account, at the address that loader v3 derives from the program's, names it
    /// - once only; all four at their canonical addresses, even if someone sent lamports there first
    /// - parameters and schedule within their hard bounds
    /// - the token program is SPL Token or Token-2022; the mint has 9 decimals, the config account as authority, no freeze authority
    ///   and no extension
    /// - 10⁹ tokens are minted into the vault and split over the buckets
    Initialize = 0x20 {
        /// First parameters.
        parameters: Parameters,
        /// First schedule of emission.
        schedule: Schedule,
    }

    /// Proposes new parameters, which take effect a day after whoever asks to leave now has left, at the earliest.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority
    /// - parameters within their hard bounds; what was proposed before is withdrawn
    ProposeParameters = 0x21 {
        /// New parameters.
        parameters: Parameters,
    }

    /// Puts proposed parameters into effect.
    ///
    /// Accounts: [writable] config.
    ///
    /// - anyone may; the proposal is one of parameters, its slot is reached and not a week past
    ApplyParameters = 0x22 {}

    /// Proposes another schedule of emission, which takes effect a day after whoever asks to leave now has left, at the earliest.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority
    /// - within its hard bounds; what was proposed before is withdrawn
    ProposeSchedule = 0x23 {
        /// The schedule.
        schedule: Schedule,
    }

    /// Puts a proposed schedule into effect from the next epoch on; caps never rise again.
    ///
    /// Accounts: [writable] config · [writable] emission.
    ///
    /// - anyone may; the proposal is one of a schedule, its slot is reached and not a week past
    ApplySchedule = 0x24 {}

    /// Proposes to pay out of the treasury, the reserve or the insurance, a day after whoever asks to leave now has left, at the earliest.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority
    /// - the kind pays, the amount is not zero; what was proposed before is withdrawn
    ProposeSpending = 0x25 {
        /// Base units.
        amount: u64,
        /// The token account that is paid.
        destination: [u8; 32],
        /// A [`crate::admin::administration::ProposalKind`].
        kind: u8,
        /// Always 0.
        reserved: [u8; 7],
    }

    /// Pays what was proposed.
    ///
    /// Accounts: [writable] config · [writable] vault · [writable] the proposed token account · token program.
    ///
    /// - anyone may; the proposal is one of spending, its slot is reached and not a week past; the bucket holds the amount
    ApplySpending = 0x26 {}

    /// Withdraws the proposal.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority; there is a proposal
    CancelProposal = 0x27 {}

    /// Nominates the next authority.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority; nothing changes until the nominated wallet accepts
    NominateAuthority = 0x28 {
        /// The wallet, or zero to nominate nobody.
        wallet: [u8; 32],
    }

    /// Becomes the authority.
    ///
    /// Accounts: [signer] nominated wallet · [writable] config.
    ///
    /// - the signer is nominated; what is proposed is withdrawn
    AcceptAuthority = 0x29 {}

    /// Pauses for three days: no deposits, bonds, exits taken back or shares made tokens; no new pools, datasets, jobs, places or rounds;
    /// no fees and no distributions. Exits, claims, rounds that run, disputes and settlements go on.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority; the last pause ended a week ago
    Pause = 0x2A {}

    /// Ends a pause.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority; the protocol is paused
    Unpause = 0x2B {}

    /// Pays what has vested of the team's part: nothing for a year, then evenly over four.
    ///
    /// Accounts: [signer] authority · [writable] config · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer is the configuration's authority; something has vested that was not paid
    ClaimVested = 0x2C {}

    /// Pays out of the public bucket.
    ///
    /// Accounts: [signer] authority · [writable] config · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer is the configuration's authority
    /// - the amount is not zero and within the public bucket
    Distribute = 0x2D {
        /// Base units.
        amount: u64,
    }

    /// Lengthens an account of an older layout to the present one.
    ///
    /// Accounts: [signer, writable] payer · [writable] account · system program.
    ///
    /// - anyone may; the account is a configuration, pool or position of the layout before; new fields are zero
    MigrateAccount = 0x2E {}
}

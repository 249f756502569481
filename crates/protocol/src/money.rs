//! The instructions of stake and money beyond the first ones: tags 100 to 139 and 160 to 169. See [`crate::instruction`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::instruction::{Args, instructions};
use crate::schedule::Schedule;

instructions! {
    /// Turns pending stake of a position that is due into shares.
    ///
    /// Accounts: [writable] pool · [writable] position.
    ///
    /// - anyone may; the position is one in this pool; the pool is active and not frozen; at least one share is due
    Activate = 100 {}

    /// Turns everything that a position has pending into a ticket.
    ///
    /// Accounts: [signer, writable] owner and payer · config · [writable] pool · [writable] position · [writable] ticket (created) ·
    /// system program.
    ///
    /// - the position is the signer's in this pool and has pending stake
    /// - as for `RequestExit`; works while the pool is frozen or retired
    CancelDeposit = 101 {}

    /// Ends an epoch of the emission.
    ///
    /// Accounts: [writable] config · [writable] emission.
    ///
    /// - anyone may, once the epoch's slots are over; see [`crate::emission`]
    TurnEpoch = 102 {}

    /// Pays a pool its part of the staking yield, and counts its active stake from now on.
    ///
    /// Accounts: [writable] emission · [writable] pool.
    ///
    /// - anyone may at any time; see [`crate::epoch`]
    SettleYield = 103 {}

    /// Proposes another schedule of emission, which takes effect a day later at the earliest.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority
    /// - within its hard bounds; what was proposed before is withdrawn
    ProposeSchedule = 104 {
        /// The schedule.
        schedule: Schedule,
    }

    /// Puts a proposed schedule into effect from the next epoch on; caps never rise again.
    ///
    /// Accounts: [writable] config · [writable] emission.
    ///
    /// - anyone may; the proposal is one of a schedule, its slot is reached and not a week past
    ApplySchedule = 105 {}

    /// Creates the pool of a model.
    ///
    /// Accounts: [signer, writable] operator and payer · config · job · [writable] pool · [writable] operator's token account ·
    /// [writable] vault · token program · system program · the parent's pool, if it has one.
    ///
    /// - the signer created the job, which trains the model; one pool per operator and index
    /// - own bond and commission as for `CreatePool`; a royalty if and only if there is a parent, which is a model's pool
    /// - own bond and the seed of the shares move into the vault
    CreateModelPool = 106 {
        /// Own bond, base units.
        self_bond: u64,
        /// Third seed of the address.
        index: u32,
        /// The operator's part of what delegators earn.
        commission_bps: u16,
        /// The part of the model's fees that goes on to the parent; 0 without one.
        royalty_bps: u16,
        /// 1 if rewards compound, else 0.
        compounding: u8,
        /// Always 0.
        reserved: [u8; 7],
    }

    /// Pays for a model's service.
    ///
    /// Accounts: [signer, writable] payer · [writable] config · [writable] emission · [writable] mint · [writable] payer's token account ·
    /// [writable] vault · token program · system program · job · the job's last round · [writable] fees (created if missing) · [writable]
    /// server's pool · [writable] model's pool · [writable] the pools of its ancestors in order, up to four.
    ///
    /// - the protocol is not paused; job, round, model and ancestors belong together; server and model are active
    /// - the amount is split by the parameters; the burned part is burned, and counts as demand
    PayFee = 107 {
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
    SettleFees = 108 {
        /// The domain.
        domain: u8,
    }

    /// Turns active shares of a position into tokens.
    ///
    /// Accounts: [signer] owner · config · [writable] pool · [writable] position · [writable] the pool's share mint · [writable] destination
    /// token account · token program.
    ///
    /// - the protocol is not paused; the position is the signer's in this pool, which compounds, is active and not frozen
    /// - the shares are there, and neither locked nor steering
    TokenizeShares = 109 {
        /// Shares.
        shares: u64,
    }

    /// Turns tokens back into stake, which is pending like any other new stake.
    ///
    /// Accounts: [signer, writable] owner and payer · config · [writable] pool · [writable] position (created if missing) · [writable] the
    /// pool's share mint · [writable] source token account · token program · system program.
    ///
    /// - the pool is not frozen; a retired pool's stake can then only leave; works under a pause
    DetokenizeShares = 110 {
        /// Shares.
        shares: u64,
    }

    /// Locks shares of an attention pool for more steering weight.
    ///
    /// Accounts: [signer] owner · [writable] pool · [writable] position.
    ///
    /// - the position is the signer's in this attention pool and holds the shares
    /// - 1 to 48 periods of a twelfth of a year, from the end of the present one; a running lock is only made larger or longer
    LockShares = 111 {
        /// Shares that are locked in all.
        shares: u64,
        /// Periods.
        periods: u64,
    }

    /// Steers a domain with stake that is delegated elsewhere.
    ///
    /// Accounts: [signer, writable] owner and payer · [writable] pool · [writable] position · [writable] the domain's attention pool · [writable]
    /// vote (created if missing) · system program.
    ///
    /// - the position is the signer's in this pool, which is not one of attention, and votes for nothing else
    Steer = 112 {
        /// Shares that vote.
        shares: u64,
    }

    /// Withdraws a vote. Its account is closed to the owner.
    ///
    /// Accounts: [signer, writable] owner · [writable] position · [writable] the domain's attention pool · [writable] vote.
    ///
    /// - the position is the signer's; vote, position and domain belong together; works at any time
    Unsteer = 113 {}

    /// Counts a vote at the present price of its shares.
    ///
    /// Accounts: pool · [writable] the domain's attention pool · [writable] vote.
    ///
    /// - anyone may; the three belong together
    RefreshVote = 114 {}

    /// Lengthens an account of an older layout to the present one.
    ///
    /// Accounts: [signer, writable] payer · [writable] account · system program.
    ///
    /// - anyone may; the account is a configuration, pool or position of the layout before; new fields are zero
    MigrateAccount = 115 {}

    /// Creates the mint of a pool's liquid shares.
    ///
    /// Accounts: [signer, writable] payer · config · pool · [writable] the pool's share mint (created) · token program · system program ·
    /// the protocol's mint.
    ///
    /// - anyone may, once; the pool compounds; the token program is the one of the protocol's mint; the mint has 9 decimals, the config account as authority and no freeze authority
    OpenShareMint = 116 {}

    /// Burns what convictions have left to burn.
    ///
    /// Accounts: [writable] config · [writable] mint · [writable] vault · token program.
    ///
    /// - anyone may; there is something to burn; it counts as no demand
    BurnCondemned = 160 {}
}

//! The instructions of stake and positions in pools. Tags 0x00 to 0x1F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::ground::declare::{Args, instructions};

instructions! {
    /// Creates an operator's or a data provider's pool.
    ///
    /// Accounts: [signer, writable] operator and payer · config · [writable] pool · [writable] operator's token account ·
    /// [writable] vault · token program · system program.
    ///
    /// - kind is trainer, auditor, evaluator, data or server; one pool per kind, operator and index
    /// - own bond at least the minimum, commission at most the maximum
    /// - an auditor gives the tip of its hash chain, nobody else does
    /// - own bond and the seed of the shares move into the vault
    CreatePool = 0x00 {
        /// sha256 chain tip of an auditor, else zero.
        chain_tip: [u8; 32],
        /// Own bond, base units.
        self_bond: u64,
        /// Third seed of the address.
        index: u32,
        /// The operator's part of what delegators earn.
        commission_bps: u16,
        /// A [`crate::stake::pool::PoolKind`].
        kind: u8,
        /// 1 if rewards compound, so that shares can be tokens, else 0.
        compounding: u8,
    }

    /// Creates the attention pool of a job's domain, or of a side of one of its settings.
    ///
    /// Accounts: [signer, writable] payer · config · job · [writable] pool · [writable] payer's token account · [writable] vault ·
    /// token program · system program.
    ///
    /// - the domain or the setting exists; one pool per job and number
    /// - the seed of the shares moves into the vault
    CreateAttentionPool = 0x01 {
        /// The domain's number in the job, or [`attention_number`](crate::training::setting::attention_number) of a setting's side.
        domain: u32,
    }

    /// Creates the pool of a model.
    ///
    /// Accounts: [signer, writable] operator and payer · config · job · [writable] pool · [writable] operator's token account ·
    /// [writable] vault · token program · system program · the parent's pool, if it has one.
    ///
    /// - the signer created the job, which trains the model; one pool per operator and index
    /// - own bond and commission as for `CreatePool`; a royalty if and only if there is a parent, which is a model's pool
    /// - own bond and the seed of the shares move into the vault
    CreateModelPool = 0x02 {
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

    /// Adds to an operator's own bond.
    ///
    /// Accounts: [signer] operator · config · [writable] pool · [writable] operator's token account · [writable] vault · token program.
    ///
    /// - the signer operates the pool; the pool is active; the amount is not zero
    AddBond = 0x03 {
        /// Base units.
        amount: u64,
    }

    /// Stops a pool for good.
    ///
    /// Accounts: [signer] operator · config · [writable] pool.
    ///
    /// - the signer operates the pool; it was not stopped before
    /// - the bond stays first-loss and is released after the unbonding time
    RetirePool = 0x04 {}

    /// Pays a retired operator's remaining bond.
    ///
    /// Accounts: [signer] operator · config · [writable] pool · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer operates the pool; it is retired; the release slot is reached; no dispute is open; something is left
    WithdrawBond = 0x05 {}

    /// Stakes into a pool; into an attention pool this is stake attention.
    ///
    /// Accounts: [signer, writable] owner and payer · config · [writable] pool · [writable] position (created if missing) · [writable]
    /// owner's token account · [writable] vault · token program · system program.
    ///
    /// - the pool is active and not frozen; the position is the owner's in this pool
    /// - the amount buys at least one share and at least the minimum asked for, at the present price
    /// - the stake is pending and becomes active over the activation time; see [`crate::stake::position`]
    Deposit = 0x06 {
        /// Base units.
        amount: u64,
        /// Least number of shares to accept.
        minimum_shares: u64,
    }

    /// Turns pending stake of a position that is due into shares.
    ///
    /// Accounts: [writable] pool · [writable] position.
    ///
    /// - anyone may; the position is one in this pool; the pool is active and not frozen; at least one share is due
    Activate = 0x07 {}

    /// Turns everything that a position has pending into a ticket.
    ///
    /// Accounts: [signer, writable] owner and payer · config · [writable] pool · [writable] position · [writable] ticket (created) ·
    /// system program.
    ///
    /// - the position is the signer's in this pool and has pending stake
    /// - as for `RequestExit`; works while the pool is frozen or retired
    CancelDeposit = 0x08 {}

    /// Starts an exit: turns shares into a ticket.
    ///
    /// Accounts: [signer, writable] owner and payer · config · [writable] pool · [writable] position · [writable] ticket (created) ·
    /// system program.
    ///
    /// - the position is the signer's in this pool and holds the shares; they are worth at least one base unit
    /// - the ticket is slashed with the pool, earns nothing, and matures after the unbonding time; other tickets are untouched
    /// - works while the pool is frozen or retired
    RequestExit = 0x09 {
        /// Shares to sell.
        shares: u64,
    }

    /// Pays a mature ticket and closes it.
    ///
    /// Accounts: [signer, writable] owner · config · [writable] pool · [writable] ticket · [writable] vault · [writable] destination
    /// token account · token program.
    ///
    /// - the ticket is the signer's and of this pool; its slot is reached
    /// - the ticket's account is closed to the owner
    ClaimExit = 0x0A {}

    /// Takes an exit back: its base units, less the slashes since, are new stake.
    ///
    /// Accounts: [signer, writable] owner · config · [writable] pool · [writable] position · [writable] ticket.
    ///
    /// - ticket and position are the signer's and of this pool; the pool is active and not frozen; the protocol is not paused
    /// - at least the minimum of shares would be bought at the present price; the ticket's account is closed to the owner; other tickets are untouched
    Rebond = 0x0B {
        /// Least number of shares to accept.
        minimum_shares: u64,
    }

    /// Pays what a position has earned.
    ///
    /// Accounts: [signer] owner · config · [writable] pool · [writable] position · [writable] vault · [writable] destination token account ·
    /// token program.
    ///
    /// - the position is the signer's in this pool; something is claimable
    ClaimRewards = 0x0C {}

    /// Pays what an operator has earned.
    ///
    /// Accounts: [signer] operator · config · [writable] pool · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer operates the pool; something is owed
    ClaimCommission = 0x0D {}

    /// Moves attention from one domain of a job to another, where it is new stake.
    ///
    /// Accounts: [signer, writable] owner and payer · [writable] from pool · [writable] from position · [writable] to pool · [writable] to
    /// position (created if missing) · system program · config.
    ///
    /// - both pools are attention pools of one job, and differ; locked shares stay
    /// - the position is the signer's and holds the shares; they buy at least the minimum asked for
    MoveAttention = 0x0E {
        /// Shares to sell in the first pool.
        shares: u64,
        /// Least number of shares to accept in the second.
        minimum_shares: u64,
    }

    /// Locks shares of an attention pool for more steering weight.
    ///
    /// Accounts: [signer] owner · [writable] pool · [writable] position.
    ///
    /// - the position is the signer's in this attention pool and holds the shares
    /// - 1 to 48 periods of a twelfth of a year, from the end of the present one; a running lock is only made larger or longer
    LockShares = 0x0F {
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
    Steer = 0x10 {
        /// Shares that vote.
        shares: u64,
    }

    /// Withdraws a vote. Its account is closed to the owner.
    ///
    /// Accounts: [signer, writable] owner · [writable] position · [writable] the domain's attention pool · [writable] vote.
    ///
    /// - the position is the signer's; vote, position and domain belong together; works at any time
    Unsteer = 0x11 {}

    /// Counts a vote at the present price of its shares.
    ///
    /// Accounts: pool · [writable] the domain's attention pool · [writable] vote.
    ///
    /// - anyone may; the three belong together
    RefreshVote = 0x12 {}

    /// Creates the mint of a pool's liquid shares.
    ///
    /// Accounts: [signer, writable] payer · config · pool · [writable] the pool's share mint (created) · token program · system program ·
    /// the protocol's mint.
    ///
    /// - anyone may, once; the pool compounds; the token program is the one of the protocol's mint; the mint has 9 decimals, the config account as authority and no freeze authority
    OpenShareMint = 0x13 {}

    /// Turns active shares of a position into tokens.
    ///
    /// Accounts: [signer] owner · config · [writable] pool · [writable] position · [writable] the pool's share mint · [writable] destination
    /// token account · token program.
    ///
    /// - the protocol is not paused; the position is the signer's in this pool, which compounds, is active and not frozen
    /// - the shares are there, and neither locked nor steering
    TokenizeShares = 0x14 {
        /// Shares.
        shares: u64,
    }

    /// Turns tokens back into stake, which is pending like any other new stake.
    ///
    /// Accounts: [signer, writable] owner and payer · config · [writable] pool · [writable] position (created if missing) · [writable] the
    /// pool's share mint · [writable] source token account · token program · system program.
    ///
    /// - the pool is not frozen; a retired pool's stake can then only leave; works under a pause
    DetokenizeShares = 0x15 {
        /// Shares.
        shares: u64,
    }
}

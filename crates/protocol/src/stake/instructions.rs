//! The instructions of stake and positions in pools. Tags 0x00 to 0x1F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::{
    Address,
    ground::declare::{arguments, specs},
    stake::pool::PoolKind,
};

/// Hands the table to a reader.
#[macro_export]
macro_rules! stake_instructions {
    ($($reader:tt)*) => { $($reader)*! {
        /// Creates an operator's or a data provider's pool.
        ///
        /// - kind is trainer, auditor, evaluator, data or server; one pool per kind, operator and index
        /// - own bond at least the minimum, commission at most the maximum
        /// - an auditor gives the tip of its hash chain, nobody else does
        /// - own bond and the seed of the shares move into the vault
        CreatePool = 0x00 {
            args {
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
            accounts {
                operator: payer,
                config: reads(Config),
                pool: opens(Pool) at pool(args.kind, operator, args.index),
                source: writes(Tokens) of operator,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 12_000 }
        }

        /// Creates the attention pool of a job's domain, or of a side of one of its settings.
        ///
        /// - the domain or the setting exists; one pool per job and number
        /// - the seed of the shares moves into the vault
        CreateAttentionPool = 0x01 {
            args {
                /// The domain's number in the job, or [`attention_number`](crate::training::setting::attention_number) of a setting's side.
                domain: u32,
            }
            accounts {
                payer: payer,
                config: reads(Config),
                job: reads(Job),
                pool: opens(Pool) at pool(PoolKind::Attention, job, args.domain),
                source: writes(Tokens) of payer,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 11_000 }
        }

        /// Creates the pool of a model.
        ///
        /// - the signer created the job, which trains the model; one pool per operator and index
        /// - own bond and commission as for `CreatePool`; a royalty if and only if there is a parent, which is a model's pool
        /// - own bond and the seed of the shares move into the vault
        CreateModelPool = 0x02 {
            args {
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
            accounts {
                operator: payer,
                config: reads(Config),
                /// The job that trains the model.
                job: reads(Job),
                pool: opens(Pool) at pool(PoolKind::Model, operator, args.index),
                source: writes(Tokens) of operator,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
                /// The parent's pool, if it has one.
                parent: maybe reads(Pool),
            }
            budget { 13_500 }
        }

        /// Adds to an operator's own bond.
        ///
        /// - the signer operates the pool; the pool is active; the amount is not zero
        AddBond = 0x03 {
            args {
                /// Base units.
                amount: u64,
            }
            accounts {
                operator: signer,
                config: reads(Config),
                pool: writes(Pool),
                source: writes(Tokens) of operator,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
            }
            budget { 2_100 }
        }

        /// Stops a pool for good.
        ///
        /// - the signer operates the pool; it was not stopped before, and holds no place of a job
        /// - the bond stays first-loss and is released after the unbonding time; the pool counts for the yield no longer
        RetirePool = 0x04 {
            args {}
            accounts {
                operator: signer,
                config: reads(Config),
                emission: writes(Emission),
                pool: writes(Pool),
            }
            budget { 1_200 }
        }

        /// Pays a retired operator's remaining bond.
        ///
        /// - the signer operates the pool; it is retired; the release slot is reached; no dispute is open; something is left
        WithdrawBond = 0x05 {
            args {}
            accounts {
                operator: signer,
                config: reads(Config),
                pool: writes(Pool),
                vault: writes(Vault),
                destination: writes(Tokens) of operator,
                token_program: calls(TokenProgram),
            }
            budget { 2_100 }
        }

        /// Names the key that does a pool's work in its operator's place: see [`crate::stake::session`].
        ///
        /// - the signer operates the pool; the key is another one and has time left, or both are zero, which ends the present one at once
        SetSession = 0x16 {
            args {
                /// The key; zero for none.
                key: Address,
                /// The first slot in which it does nothing any more.
                until_slot: u64,
            }
            accounts {
                operator: signer,
                pool: writes(Pool),
            }
            budget { 500 }
        }

        /// Stakes into a pool; into an attention pool this is stake attention.
        ///
        /// - the pool is active and not frozen; the position is the owner's in this pool
        /// - the amount buys at least one share and at least the minimum asked for, at the present price
        /// - the stake is pending and becomes active over the activation time; see [`crate::stake::position`]
        Deposit = 0x06 {
            args {
                /// Base units.
                amount: u64,
                /// Least number of shares to accept.
                minimum_shares: u64,
            }
            accounts {
                owner: payer,
                config: reads(Config),
                pool: writes(Pool),
                position: ensures(Position) at position(pool, owner),
                source: writes(Tokens) of owner,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 3_700, 14_000 "first" }
        }

        /// Turns pending stake of a position that is due into shares.
        ///
        /// - anyone may; the position is one in this pool; the pool is active and not frozen; at least one share is due
        Activate = 0x07 {
            args {}
            accounts {
                pool: writes(Pool),
                position: writes(Position) from position(pool, position.owner),
            }
            budget { 1_400 }
        }

        /// Turns everything that a position has pending into a ticket.
        ///
        /// - the position is the signer's in this pool and has pending stake
        /// - as for `RequestExit`; works while the pool is frozen or retired
        CancelDeposit = 0x08 {
            args {}
            accounts {
                owner: payer,
                config: reads(Config),
                pool: writes(Pool),
                position: writes(Position) at position(pool, owner),
                ticket: opens(Ticket) from ticket(position, position.tickets),
                system_program: calls(SystemProgram),
            }
            budget { 9_000 }
        }

        /// Starts an exit: turns shares into a ticket.
        ///
        /// - the position is the signer's in this pool and holds the shares; they are worth at least one base unit
        /// - the ticket is slashed with the pool, earns nothing, and matures after the unbonding time; other tickets are untouched
        /// - what leaves counts for the yield no longer; works while the pool is frozen or retired
        RequestExit = 0x09 {
            args {
                /// Shares to sell.
                shares: u64,
            }
            accounts {
                owner: payer,
                config: reads(Config),
                emission: writes(Emission),
                pool: writes(Pool),
                position: writes(Position) at position(pool, owner),
                ticket: opens(Ticket) from ticket(position, position.tickets),
                system_program: calls(SystemProgram),
            }
            budget { 10_000 }
        }

        /// Pays a mature ticket and closes it.
        ///
        /// - the ticket is the signer's and of this pool; its slot is reached
        /// - the ticket's account is closed to the owner
        ClaimExit = 0x0A {
            args {}
            accounts {
                owner: payer,
                config: reads(Config),
                pool: writes(Pool),
                ticket: closes(Ticket),
                vault: writes(Vault),
                destination: writes(Tokens) of owner,
                token_program: calls(TokenProgram),
            }
            budget { 2_300 }
        }

        /// Takes an exit back: its base units, less the slashes since, are new stake.
        ///
        /// - ticket and position are the signer's and of this pool; the pool is active and not frozen; the protocol is not paused
        /// - at least the minimum of shares would be bought at the present price; the ticket's account is closed to the owner; other tickets are untouched
        Rebond = 0x0B {
            args {
                /// Least number of shares to accept.
                minimum_shares: u64,
            }
            accounts {
                owner: payer,
                config: reads(Config),
                pool: writes(Pool),
                position: writes(Position) at position(pool, owner),
                ticket: closes(Ticket),
            }
            budget { 2_300 }
        }

        /// Pays what a position has earned.
        ///
        /// - the position is the signer's in this pool; something is claimable
        ClaimRewards = 0x0C {
            args {}
            accounts {
                owner: signer,
                config: reads(Config),
                pool: writes(Pool),
                position: writes(Position) at position(pool, owner),
                vault: writes(Vault),
                destination: writes(Tokens) of owner,
                token_program: calls(TokenProgram),
            }
            budget { 2_300 }
        }

        /// Pays what an operator has earned.
        ///
        /// - the signer operates the pool; something is owed
        ClaimCommission = 0x0D {
            args {}
            accounts {
                operator: signer,
                config: reads(Config),
                pool: writes(Pool),
                vault: writes(Vault),
                destination: writes(Tokens) of operator,
                token_program: calls(TokenProgram),
            }
            budget { 2_100 }
        }

        /// Moves attention from one domain of a job to another, where it is new stake.
        ///
        /// - both pools are attention pools of one job, and differ; locked shares stay
        /// - the position is the signer's and holds the shares; they buy at least the minimum asked for
        /// - what leaves the first counts for the yield no longer; in the second it earns after the waiting time
        MoveAttention = 0x0E {
            args {
                /// Shares to sell in the first pool.
                shares: u64,
                /// Least number of shares to accept in the second.
                minimum_shares: u64,
            }
            accounts {
                owner: payer,
                config: reads(Config),
                emission: writes(Emission),
                from_pool: writes(Pool),
                from_position: writes(Position) at position(from_pool, owner),
                to_pool: writes(Pool),
                to_position: ensures(Position) at position(to_pool, owner),
                system_program: calls(SystemProgram),
            }
            budget { 4_200, 16_000 "first" }
        }

        /// Locks shares of an attention pool for more steering weight.
        ///
        /// - the position is the signer's in this attention pool and holds the shares
        /// - 1 to 48 periods of a twelfth of a year, from the end of the present one; a running lock is only made larger or longer
        LockShares = 0x0F {
            args {
                /// Shares that are locked in all.
                shares: u64,
                /// Periods.
                periods: u64,
            }
            accounts {
                owner: signer,
                pool: writes(Pool),
                position: writes(Position) at position(pool, owner),
            }
            budget { 900 }
        }

        /// Steers a domain with stake that is delegated elsewhere.
        ///
        /// - the position is the signer's in this pool, which is not one of attention, and votes for nothing else
        Steer = 0x10 {
            args {
                /// Shares that vote.
                shares: u64,
            }
            accounts {
                owner: payer,
                pool: writes(Pool),
                position: writes(Position) at position(pool, owner),
                /// The attention pool that is steered.
                target: writes(Pool),
                vote: opens(Vote) at vote(position),
                system_program: calls(SystemProgram),
            }
            budget { 13_000 }
        }

        /// Withdraws a vote. Its account is closed to the owner.
        ///
        /// - the position is the signer's; vote, position and domain belong together; works at any time
        Unsteer = 0x11 {
            args {}
            accounts {
                owner: payer,
                position: writes(Position) from position(vote.pool, owner),
                /// The attention pool that was steered.
                target: writes(Pool),
                vote: closes(Vote) at vote(position),
            }
            budget { 700 }
        }

        /// Counts a vote at the present price of its shares.
        ///
        /// - anyone may; the three belong together
        RefreshVote = 0x12 {
            args {}
            accounts {
                pool: reads(Pool),
                /// The attention pool that is steered.
                target: writes(Pool),
                vote: writes(Vote) from vote(vote.position),
            }
            budget { 900 }
        }

        /// Creates the mint of a pool's liquid shares.
        ///
        /// - anyone may, once; the pool compounds; the token program is the one of the protocol's mint; the mint has 9 decimals, the config account as authority and no freeze authority
        OpenShareMint = 0x13 {
            args {}
            accounts {
                payer: payer,
                config: reads(Config),
                mint: reads(Mint),
                pool: reads(Pool),
                share_mint: opens(ShareMint) at share_mint(pool),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 12_000 }
        }

        /// Turns active shares of a position into tokens.
        ///
        /// - the protocol is not paused; the position is the signer's in this pool, which compounds, is active and not frozen
        /// - the shares are there, and neither locked nor steering
        TokenizeShares = 0x14 {
            args {
                /// Shares.
                shares: u64,
            }
            accounts {
                owner: signer,
                config: reads(Config),
                pool: writes(Pool),
                position: writes(Position) at position(pool, owner),
                share_mint: writes(ShareMint) at share_mint(pool),
                destination: writes(Shares),
                token_program: calls(TokenProgram),
            }
            budget { 11_000 }
        }

        /// Turns tokens back into stake, which is pending like any other new stake.
        ///
        /// - the pool is not frozen; a retired pool's stake can then only leave; works under a pause
        /// - what is pending counts for the yield no longer
        DetokenizeShares = 0x15 {
            args {
                /// Shares.
                shares: u64,
            }
            accounts {
                owner: payer,
                config: reads(Config),
                emission: writes(Emission),
                pool: writes(Pool),
                position: ensures(Position) at position(pool, owner),
                share_mint: writes(ShareMint) at share_mint(pool),
                source: writes(Shares),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 11_000 }
        }
    } };
}

stake_instructions!(arguments);
stake_instructions!(specs);

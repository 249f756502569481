//! Pools, positions, exits, locks, steering and liquid shares. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{instructions::*, stake::pool::PoolKind};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::{Program, accounts};

/// What an operator gives for a new pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewPool {
    /// Which of the operator's pools of this kind.
    pub index: u32,
    /// Own bond, base units.
    pub self_bond: u64,
    /// The operator's part of what delegators earn.
    pub commission_bps: u16,
    /// An auditor's chain tip, else zero.
    pub chain_tip: [u8; 32],
}

/// What a model's creator gives for its pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewModel {
    /// Which of the creator's models.
    pub index: u32,
    /// Own bond, base units.
    pub self_bond: u64,
    /// The operator's part of what delegators earn.
    pub commission_bps: u16,
    /// The parent's pool, and the part of the fees that goes on to it.
    pub parent: Option<(Address, u16)>,
    /// Whether rewards compound.
    pub compounding: bool,
}

/// Stake.
impl Program {
    /// [`CreatePool`].
    pub fn create_pool(&self, operator: &Address, kind: PoolKind, new: &NewPool) -> Instruction {
        self.create_pool_with(operator, kind, new, false)
    }

    fn create_pool_with(&self, operator: &Address, kind: PoolKind, new: &NewPool, compounding: bool) -> Instruction {
        let args = CreatePool {
            chain_tip: new.chain_tip,
            self_bond: new.self_bond,
            index: new.index,
            commission_bps: new.commission_bps,
            kind: kind as u8,
            compounding: compounding as u8,
        };
        self.instruction(&args, &accounts::CreatePool { operator: *operator })
    }

    /// [`CreateAttentionPool`]; `domain` may be the number of a side of a setting.
    pub fn create_attention_pool(&self, payer_wallet: &Address, job: &Address, domain: u32) -> Instruction {
        self.instruction(
            &CreateAttentionPool { domain },
            &accounts::CreateAttentionPool { payer: *payer_wallet, job: *job },
        )
    }

    /// [`SetSession`]: `key` does the pool's work before `until_slot`; zeros end the present session.
    pub fn set_session(&self, operator: &Address, pool: &Address, key: &Address, until_slot: u64) -> Instruction {
        let accounts = accounts::SetSession { operator: *operator, pool: *pool };
        self.instruction(&SetSession { key: key.to_bytes(), until_slot }, &accounts)
    }

    /// [`AddBond`].
    pub fn add_bond(&self, operator: &Address, pool: &Address, amount: u64) -> Instruction {
        self.instruction(&AddBond { amount }, &accounts::AddBond { operator: *operator, pool: *pool })
    }

    /// [`RetirePool`].
    pub fn retire_pool(&self, operator: &Address, pool: &Address) -> Instruction {
        self.instruction(&RetirePool {}, &accounts::RetirePool { operator: *operator, pool: *pool })
    }

    /// [`WithdrawBond`].
    pub fn withdraw_bond(&self, operator: &Address, pool: &Address) -> Instruction {
        self.instruction(&WithdrawBond {}, &accounts::WithdrawBond { operator: *operator, pool: *pool })
    }

    /// [`Deposit`].
    pub fn deposit(&self, owner: &Address, pool: &Address, amount: u64, minimum_shares: u64) -> Instruction {
        let accounts = accounts::Deposit { owner: *owner, pool: *pool };
        self.instruction(&Deposit { amount, minimum_shares }, &accounts)
    }

    /// [`RequestExit`]; `nonce` is the position's number of tickets so far.
    pub fn request_exit(&self, owner: &Address, pool: &Address, nonce: u32, shares: u64) -> Instruction {
        let ticket = self.ticket(&self.position(pool, owner), nonce);
        self.instruction(&RequestExit { shares }, &accounts::RequestExit { owner: *owner, pool: *pool, ticket })
    }

    /// [`Rebond`].
    pub fn rebond(&self, owner: &Address, pool: &Address, nonce: u32, minimum_shares: u64) -> Instruction {
        let ticket = self.ticket(&self.position(pool, owner), nonce);
        self.instruction(&Rebond { minimum_shares }, &accounts::Rebond { owner: *owner, pool: *pool, ticket })
    }

    /// [`ClaimExit`].
    pub fn claim_exit(&self, owner: &Address, pool: &Address, nonce: u32) -> Instruction {
        let ticket = self.ticket(&self.position(pool, owner), nonce);
        self.instruction(&ClaimExit {}, &accounts::ClaimExit { owner: *owner, pool: *pool, ticket })
    }

    /// [`ClaimRewards`].
    pub fn claim_rewards(&self, owner: &Address, pool: &Address) -> Instruction {
        self.instruction(&ClaimRewards {}, &accounts::ClaimRewards { owner: *owner, pool: *pool })
    }

    /// [`ClaimCommission`].
    pub fn claim_commission(&self, operator: &Address, pool: &Address) -> Instruction {
        self.instruction(&ClaimCommission {}, &accounts::ClaimCommission { operator: *operator, pool: *pool })
    }

    /// [`MoveAttention`] between two pools.
    pub fn move_attention(
        &self,
        owner: &Address,
        from: &Address,
        to: &Address,
        shares: u64,
        minimum_shares: u64,
    ) -> Instruction {
        let accounts = accounts::MoveAttention { owner: *owner, from_pool: *from, to_pool: *to };
        self.instruction(&MoveAttention { shares, minimum_shares }, &accounts)
    }
}

/// Stake.
impl Program {
    /// [`Activate`] a position of an owner.
    pub fn activate(&self, pool: &Address, owner: &Address) -> Instruction {
        let position = self.position(pool, owner);
        self.instruction(&Activate {}, &accounts::Activate { pool: *pool, position })
    }

    /// [`CancelDeposit`]; `nonce` is the position's number of tickets so far.
    pub fn cancel_deposit(&self, owner: &Address, pool: &Address, nonce: u32) -> Instruction {
        let ticket = self.ticket(&self.position(pool, owner), nonce);
        self.instruction(&CancelDeposit {}, &accounts::CancelDeposit { owner: *owner, pool: *pool, ticket })
    }

    /// [`sip_protocol::instructions::CreatePool`] of a pool whose rewards compound.
    pub fn create_compounding_pool(&self, operator: &Address, kind: PoolKind, new: &NewPool) -> Instruction {
        self.create_pool_with(operator, kind, new, true)
    }

    /// [`CreateModelPool`].
    pub fn create_model_pool(&self, operator: &Address, job: &Address, new: &NewModel) -> Instruction {
        let args = CreateModelPool {
            self_bond: new.self_bond,
            index: new.index,
            commission_bps: new.commission_bps,
            royalty_bps: new.parent.map_or(0, |(_, royalty_bps)| royalty_bps),
            compounding: new.compounding as u8,
            reserved: [0; 7],
        };
        let parent = new.parent.map(|(parent, _)| parent);
        self.instruction(&args, &accounts::CreateModelPool { operator: *operator, job: *job, parent })
    }

    /// [`LockShares`].
    pub fn lock_shares(&self, owner: &Address, pool: &Address, shares: u64, periods: u64) -> Instruction {
        let accounts = accounts::LockShares { owner: *owner, pool: *pool };
        self.instruction(&LockShares { shares, periods }, &accounts)
    }

    /// [`Steer`] a domain with shares of another pool.
    pub fn steer(&self, owner: &Address, pool: &Address, target: &Address, shares: u64) -> Instruction {
        self.instruction(&Steer { shares }, &accounts::Steer { owner: *owner, pool: *pool, target: *target })
    }

    /// [`Unsteer`].
    pub fn unsteer(&self, owner: &Address, pool: &Address, target: &Address) -> Instruction {
        let position = self.position(pool, owner);
        self.instruction(&Unsteer {}, &accounts::Unsteer { owner: *owner, position, target: *target })
    }

    /// [`RefreshVote`] of an owner.
    pub fn refresh_vote(&self, owner: &Address, pool: &Address, target: &Address) -> Instruction {
        let vote = self.vote(&self.position(pool, owner));
        self.instruction(&RefreshVote {}, &accounts::RefreshVote { pool: *pool, target: *target, vote })
    }

    /// [`OpenShareMint`].
    pub fn open_share_mint(&self, payer_wallet: &Address, pool: &Address) -> Instruction {
        self.instruction(&OpenShareMint {}, &accounts::OpenShareMint { payer: *payer_wallet, pool: *pool })
    }

    /// [`TokenizeShares`] into a token account of the pool's share mint.
    pub fn tokenize_shares(&self, owner: &Address, pool: &Address, destination: &Address, shares: u64) -> Instruction {
        let accounts = accounts::TokenizeShares { owner: *owner, pool: *pool, destination: *destination };
        self.instruction(&TokenizeShares { shares }, &accounts)
    }

    /// [`DetokenizeShares`] out of a token account of the owner.
    pub fn detokenize_shares(&self, owner: &Address, pool: &Address, source: &Address, shares: u64) -> Instruction {
        let accounts = accounts::DetokenizeShares { owner: *owner, pool: *pool, source: *source };
        self.instruction(&DetokenizeShares { shares }, &accounts)
    }
}

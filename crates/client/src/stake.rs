//! Pools, positions, exits, locks, steering and liquid shares. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{instructions::*, stake::pool::PoolKind};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::build::{build, payer, readable, signer, writable};
use crate::{ASSOCIATED_TOKEN_PROGRAM, Program, SYSTEM_PROGRAM};

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
        let args = CreatePool {
            chain_tip: new.chain_tip,
            self_bond: new.self_bond,
            index: new.index,
            commission_bps: new.commission_bps,
            kind: kind as u8,
            compounding: 0,
        };
        build(
            self,
            &args,
            vec![
                payer(operator),
                readable(self.config()),
                writable(self.pool(kind, operator, new.index)),
                writable(self.token_account(operator)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`CreateAttentionPool`]; `domain` may be the number of a side of a setting.
    pub fn create_attention_pool(&self, payer_wallet: &Address, job: &Address, domain: u32) -> Instruction {
        build(
            self,
            &CreateAttentionPool { domain },
            vec![
                payer(payer_wallet),
                readable(self.config()),
                readable(*job),
                writable(self.attention_pool(job, domain)),
                writable(self.token_account(payer_wallet)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`AddBond`].
    pub fn add_bond(&self, operator: &Address, pool: &Address, amount: u64) -> Instruction {
        build(
            self,
            &AddBond { amount },
            vec![
                signer(operator),
                readable(self.config()),
                writable(*pool),
                writable(self.token_account(operator)),
                writable(self.vault()),
                readable(self.token_program),
            ],
        )
    }

    /// [`RetirePool`].
    pub fn retire_pool(&self, operator: &Address, pool: &Address) -> Instruction {
        build(self, &RetirePool {}, vec![signer(operator), readable(self.config()), writable(*pool)])
    }

    /// [`WithdrawBond`].
    pub fn withdraw_bond(&self, operator: &Address, pool: &Address) -> Instruction {
        build(self, &WithdrawBond {}, self.paid_from_pool(operator, pool))
    }

    /// [`Deposit`].
    pub fn deposit(&self, owner: &Address, pool: &Address, amount: u64, minimum_shares: u64) -> Instruction {
        build(
            self,
            &Deposit { amount, minimum_shares },
            vec![
                payer(owner),
                readable(self.config()),
                writable(*pool),
                writable(self.position(pool, owner)),
                writable(self.token_account(owner)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`RequestExit`]; `nonce` is the position's number of tickets so far.
    pub fn request_exit(&self, owner: &Address, pool: &Address, nonce: u32, shares: u64) -> Instruction {
        let position = self.position(pool, owner);
        build(
            self,
            &RequestExit { shares },
            vec![
                payer(owner),
                readable(self.config()),
                writable(*pool),
                writable(position),
                writable(self.ticket(&position, nonce)),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`Rebond`].
    pub fn rebond(&self, owner: &Address, pool: &Address, nonce: u32, minimum_shares: u64) -> Instruction {
        let position = self.position(pool, owner);
        build(
            self,
            &Rebond { minimum_shares },
            vec![
                payer(owner),
                readable(self.config()),
                writable(*pool),
                writable(position),
                writable(self.ticket(&position, nonce)),
            ],
        )
    }

    /// [`ClaimExit`].
    pub fn claim_exit(&self, owner: &Address, pool: &Address, nonce: u32) -> Instruction {
        build(
            self,
            &ClaimExit {},
            vec![
                payer(owner),
                readable(self.config()),
                writable(*pool),
                writable(self.ticket(&self.position(pool, owner), nonce)),
                writable(self.vault()),
                writable(self.token_account(owner)),
                readable(self.token_program),
            ],
        )
    }

    /// [`ClaimRewards`].
    pub fn claim_rewards(&self, owner: &Address, pool: &Address) -> Instruction {
        build(
            self,
            &ClaimRewards {},
            vec![
                signer(owner),
                readable(self.config()),
                writable(*pool),
                writable(self.position(pool, owner)),
                writable(self.vault()),
                writable(self.token_account(owner)),
                readable(self.token_program),
            ],
        )
    }

    /// [`ClaimCommission`].
    pub fn claim_commission(&self, operator: &Address, pool: &Address) -> Instruction {
        build(self, &ClaimCommission {}, self.paid_from_pool(operator, pool))
    }

    fn paid_from_pool(&self, operator: &Address, pool: &Address) -> Vec<AccountMeta> {
        vec![
            signer(operator),
            readable(self.config()),
            writable(*pool),
            writable(self.vault()),
            writable(self.token_account(operator)),
            readable(self.token_program),
        ]
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
        build(
            self,
            &MoveAttention { shares, minimum_shares },
            vec![
                payer(owner),
                writable(*from),
                writable(self.position(from, owner)),
                writable(*to),
                writable(self.position(to, owner)),
                readable(SYSTEM_PROGRAM),
                readable(self.config()),
            ],
        )
    }
}

/// Stake.
impl Program {
    /// [`Activate`] a position of an owner.
    pub fn activate(&self, pool: &Address, owner: &Address) -> Instruction {
        build(self, &Activate {}, vec![writable(*pool), writable(self.position(pool, owner))])
    }

    /// [`CancelDeposit`]; `nonce` is the position's number of tickets so far.
    pub fn cancel_deposit(&self, owner: &Address, pool: &Address, nonce: u32) -> Instruction {
        let position = self.position(pool, owner);
        let accounts = vec![
            payer(owner),
            readable(self.config()),
            writable(*pool),
            writable(position),
            writable(self.ticket(&position, nonce)),
            readable(SYSTEM_PROGRAM),
        ];
        build(self, &CancelDeposit {}, accounts)
    }

    /// [`sip_protocol::instructions::CreatePool`] of a pool whose rewards compound.
    pub fn create_compounding_pool(&self, operator: &Address, kind: PoolKind, new: &NewPool) -> Instruction {
        let mut instruction = self.create_pool(operator, kind, new);
        // The last byte of the arguments.
        if let Some(compounding) = instruction.data.last_mut() {
            *compounding = 1;
        }
        instruction
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
        let mut accounts = vec![
            payer(operator),
            readable(self.config()),
            readable(*job),
            writable(self.pool(PoolKind::Model, operator, new.index)),
            writable(self.token_account(operator)),
            writable(self.vault()),
            readable(self.token_program),
            readable(SYSTEM_PROGRAM),
        ];
        accounts.extend(new.parent.map(|(parent, _)| readable(parent)));
        build(self, &args, accounts)
    }

    /// [`LockShares`].
    pub fn lock_shares(&self, owner: &Address, pool: &Address, shares: u64, periods: u64) -> Instruction {
        let accounts = vec![signer(owner), writable(*pool), writable(self.position(pool, owner))];
        build(self, &LockShares { shares, periods }, accounts)
    }

    /// [`Steer`] a domain with shares of another pool.
    pub fn steer(&self, owner: &Address, pool: &Address, target: &Address, shares: u64) -> Instruction {
        let position = self.position(pool, owner);
        let accounts = vec![
            payer(owner),
            writable(*pool),
            writable(position),
            writable(*target),
            writable(self.vote(&position)),
            readable(SYSTEM_PROGRAM),
        ];
        build(self, &Steer { shares }, accounts)
    }

    /// [`Unsteer`].
    pub fn unsteer(&self, owner: &Address, pool: &Address, target: &Address) -> Instruction {
        let position = self.position(pool, owner);
        let accounts = vec![payer(owner), writable(position), writable(*target), writable(self.vote(&position))];
        build(self, &Unsteer {}, accounts)
    }

    /// [`RefreshVote`] of an owner.
    pub fn refresh_vote(&self, owner: &Address, pool: &Address, target: &Address) -> Instruction {
        let vote = self.vote(&self.position(pool, owner));
        build(self, &RefreshVote {}, vec![readable(*pool), writable(*target), writable(vote)])
    }

    /// Creates a wallet's account for a pool's liquid shares, if it is missing and the mint exists.
    pub fn create_share_account(&self, payer_wallet: &Address, wallet: &Address, pool: &Address) -> Instruction {
        Instruction {
            program_id: ASSOCIATED_TOKEN_PROGRAM,
            accounts: vec![
                payer(payer_wallet),
                writable(self.share_account(wallet, pool)),
                readable(*wallet),
                readable(self.share_mint(pool)),
                readable(SYSTEM_PROGRAM),
                readable(self.token_program),
            ],
            // Idempotent creation.
            data: vec![1],
        }
    }

    /// [`OpenShareMint`].
    pub fn open_share_mint(&self, payer_wallet: &Address, pool: &Address) -> Instruction {
        let accounts = vec![
            payer(payer_wallet),
            readable(self.config()),
            readable(*pool),
            writable(self.share_mint(pool)),
            readable(self.token_program),
            readable(SYSTEM_PROGRAM),
            readable(self.mint()),
        ];
        build(self, &OpenShareMint {}, accounts)
    }

    /// [`TokenizeShares`] into a token account of the pool's share mint.
    pub fn tokenize_shares(&self, owner: &Address, pool: &Address, destination: &Address, shares: u64) -> Instruction {
        build(self, &TokenizeShares { shares }, self.liquid(owner, pool, destination))
    }

    /// [`DetokenizeShares`] out of a token account of the owner.
    pub fn detokenize_shares(&self, owner: &Address, pool: &Address, source: &Address, shares: u64) -> Instruction {
        build(self, &DetokenizeShares { shares }, self.liquid(owner, pool, source))
    }

    fn liquid(&self, owner: &Address, pool: &Address, account: &Address) -> Vec<AccountMeta> {
        vec![
            payer(owner),
            readable(self.config()),
            writable(*pool),
            writable(self.position(pool, owner)),
            writable(self.share_mint(pool)),
            writable(*account),
            readable(self.token_program),
            readable(SYSTEM_PROGRAM),
        ]
    }
}

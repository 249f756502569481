//! Builders of the instructions of stake and money. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{ground::schedule::Schedule, instructions::*, stake::pool::PoolKind};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::{
    ASSOCIATED_TOKEN_PROGRAM, NewPool, Program, SYSTEM_PROGRAM,
    instructions::{build, payer, readable, signer, writable},
};

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

/// Who is paid for a model's service.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// The job that trains the model.
    pub job: &'a Address,
    /// Its last round.
    pub round: &'a Address,
    /// The server's pool.
    pub server: &'a Address,
    /// The model's pool and those of its ancestors, in order.
    pub models: &'a [Address],
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

/// Emission and fees.
impl Program {
    /// [`TurnEpoch`].
    pub fn turn_epoch(&self) -> Instruction {
        build(self, &TurnEpoch {}, vec![writable(self.config()), writable(self.emission())])
    }

    /// [`BurnCondemned`].
    pub fn burn_condemned(&self) -> Instruction {
        let accounts =
            vec![writable(self.config()), writable(self.mint()), writable(self.vault()), readable(self.token_program)];
        build(self, &BurnCondemned {}, accounts)
    }

    /// [`SettleYield`].
    pub fn settle_yield(&self, pool: &Address) -> Instruction {
        build(self, &SettleYield {}, vec![writable(self.emission()), writable(*pool)])
    }

    /// [`ProposeSchedule`].
    pub fn propose_schedule(&self, authority: &Address, schedule: &Schedule) -> Instruction {
        build(self, &ProposeSchedule { schedule: *schedule }, vec![signer(authority), writable(self.config())])
    }

    /// [`ApplySchedule`].
    pub fn apply_schedule(&self) -> Instruction {
        build(self, &ApplySchedule {}, vec![writable(self.config()), writable(self.emission())])
    }

    /// [`PayFee`].
    pub fn pay_fee(&self, wallet: &Address, service: &Service, receipt: &[u8; 32], amount: u64) -> Instruction {
        let mut accounts = vec![
            payer(wallet),
            writable(self.config()),
            writable(self.emission()),
            writable(self.mint()),
            writable(self.token_account(wallet)),
            writable(self.vault()),
            readable(self.token_program),
            readable(SYSTEM_PROGRAM),
            readable(*service.job),
            readable(*service.round),
            writable(self.fees(service.job)),
            writable(*service.server),
        ];
        accounts.extend(service.models.iter().copied().map(writable));
        build(self, &PayFee { receipt: *receipt, amount }, accounts)
    }

    /// [`SettleFees`] of a domain to the data pool of its dataset.
    pub fn settle_fees(&self, job: &Address, domain: u8, dataset: &Address, data_pool: &Address) -> Instruction {
        let accounts = vec![
            writable(self.fees(job)),
            readable(*job),
            readable(*dataset),
            writable(*data_pool),
            writable(self.attention_pool(job, domain as u32)),
        ];
        build(self, &SettleFees { domain }, accounts)
    }

    /// [`MigrateAccount`].
    pub fn migrate_account(&self, payer_wallet: &Address, account: &Address) -> Instruction {
        let accounts = vec![payer(payer_wallet), writable(*account), readable(SYSTEM_PROGRAM)];
        build(self, &MigrateAccount {}, accounts)
    }
}

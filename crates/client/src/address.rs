//! Where accounts are.

use sip_protocol::{admin::deployment::LOADER, ground::account::derivation, stake::pool::PoolKind};
use solana_address::Address;

use crate::Seed;

/// The program's address on the embedded ledger and, until a deployment says otherwise, everywhere.
pub const PROGRAM_ID: Address = Address::new_from_array(*b"StakedIntelligenceProtocol000001");
/// The system program.
pub const SYSTEM_PROGRAM: Address = Address::new_from_array([0; 32]);
/// Where the ledger keeps the hashes of its last slots.
pub const SLOT_HASHES: Address = Address::from_str_const("SysvarS1otHashes111111111111111111111111111");
/// The SPL token program.
pub const TOKEN_PROGRAM: Address = Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// Token-2022, under which a genesis may put the token.
pub const TOKEN_2022_PROGRAM: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// The program that makes a wallet's token account.
pub const ASSOCIATED_TOKEN_PROGRAM: Address = Address::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");

/// A deployment of the on-chain program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its address.
    pub id: Address,
    /// The token program that its token and its pools' share tokens live under: [`TOKEN_PROGRAM`] or [`TOKEN_2022_PROGRAM`]. Once the
    /// protocol has begun, it is the owner of the mint's account.
    pub token_program: Address,
}

impl Default for Program {
    fn default() -> Self {
        Program::new(PROGRAM_ID)
    }
}

impl Program {
    /// The deployment at an address, its token under the SPL token program.
    pub fn new(id: Address) -> Program {
        Program { id, token_program: TOKEN_PROGRAM }
    }

    /// The same deployment, its token under another token program.
    pub fn under(self, token_program: Address) -> Program {
        Program { token_program, ..self }
    }

    /// The address of a set of seeds, at its canonical bump.
    pub fn derive(&self, seeds: &[&[u8]]) -> Address {
        Address::find_program_address(seeds, &self.id).0
    }

    /// Where loader v3 keeps the program's code, and who may upgrade it.
    pub fn program_data(&self) -> Address {
        Address::find_program_address(&[self.id.as_array()], &Address::new_from_array(LOADER)).0
    }

    /// The configuration.
    pub fn config(&self) -> Address {
        self.derived(&derivation::config, &[])
    }

    /// The token's mint.
    pub fn mint(&self) -> Address {
        self.derived(&derivation::mint, &[])
    }

    /// The token account that holds everything.
    pub fn vault(&self) -> Address {
        self.derived(&derivation::vault, &[])
    }

    /// The emission.
    pub fn emission(&self) -> Address {
        self.derived(&derivation::emission, &[])
    }

    /// The fees of a job.
    pub fn fees(&self, job: &Address) -> Address {
        self.derived(&derivation::fees, &[job.into()])
    }

    /// The vote of a position.
    pub fn vote(&self, position: &Address) -> Address {
        self.derived(&derivation::vote, &[position.into()])
    }

    /// The mint of a pool's liquid shares.
    pub fn share_mint(&self, pool: &Address) -> Address {
        self.derived(&derivation::share_mint, &[pool.into()])
    }

    /// The pool of an operator's wallet.
    pub fn pool(&self, kind: PoolKind, operator: &Address, index: u32) -> Address {
        self.derived(&derivation::pool, &[kind.into(), operator.into(), index.into()])
    }

    /// The attention pool of a job's domain.
    pub fn attention_pool(&self, job: &Address, domain: u32) -> Address {
        self.pool(PoolKind::Attention, job, domain)
    }

    /// The position of an owner in a pool.
    pub fn position(&self, pool: &Address, owner: &Address) -> Address {
        self.derived(&derivation::position, &[pool.into(), owner.into()])
    }

    /// An exit of a position.
    pub fn ticket(&self, position: &Address, nonce: u32) -> Address {
        self.derived(&derivation::ticket, &[position.into(), nonce.into()])
    }

    /// A dataset of a provider's pool: the roots of the tokens to train on and of those held out.
    pub fn dataset(&self, pool: &Address, train_root: &[u8; 32], held_out_root: &[u8; 32]) -> Address {
        self.derived(&derivation::dataset, &[pool.into(), Seed::Key(*train_root), Seed::Key(*held_out_root)])
    }

    /// A job.
    pub fn job(&self, creator: &Address, nonce: u32) -> Address {
        self.derived(&derivation::job, &[creator.into(), nonce.into()])
    }

    /// A round of a job.
    pub fn round(&self, job: &Address, index: u32) -> Address {
        self.derived(&derivation::round, &[job.into(), index.into()])
    }

    /// A trainer's segment of a round.
    pub fn segment(&self, round: &Address, pool: &Address) -> Address {
        self.derived(&derivation::segment, &[round.into(), pool.into()])
    }

    /// An evaluator's scoring run of a round.
    pub fn run(&self, round: &Address, pool: &Address) -> Address {
        self.derived(&derivation::run, &[round.into(), pool.into()])
    }

    /// An accusation of a wallet by its hash.
    pub fn accusation(&self, challenger: &Address, hash: &[u8; 32]) -> Address {
        self.derived(&derivation::accusation, &[challenger.into(), Seed::Key(*hash)])
    }

    /// A demand for a chunk of a segment's state entry, or, with entry 0, of a dataset.
    pub fn demand(&self, subject: &Address, demander: &Address, entry: u32, chunk: u32) -> Address {
        let seeds = [subject.into(), demander.into(), entry.into(), chunk.into()];
        self.derived(&derivation::demand, &seeds)
    }

    /// Where the operator of a pool, or the creator of a job, is reached.
    pub fn peer(&self, subject: &Address) -> Address {
        self.derived(&derivation::peer, &[subject.into()])
    }

    /// The token account of a wallet.
    pub fn token_account(&self, wallet: &Address) -> Address {
        self.associated(wallet, &self.mint())
    }

    /// The account of a wallet for a pool's liquid shares.
    pub fn share_account(&self, wallet: &Address, pool: &Address) -> Address {
        self.associated(wallet, &self.share_mint(pool))
    }

    /// A wallet's token account of a mint.
    fn associated(&self, wallet: &Address, mint: &Address) -> Address {
        let seeds: [&[u8]; 3] = [wallet.as_ref(), self.token_program.as_ref(), mint.as_ref()];
        Address::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).0
    }
}

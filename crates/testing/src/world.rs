//! A ledger with the compiled program and its configuration, and operators on it.

use sip_client::{NewPool, Program, Seat, liabilities, refusal};
use sip_ledger::{Ledger, LedgerError, Receipt};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::{
    Account, Error,
    admin::config::{Config, Parameters},
    ground::{
        schedule::Schedule,
        units::{CAP, TOKEN},
    },
    stake::pool::PoolKind,
    training::job::Card,
};
use sip_svm::{Embedded, Genesis, PROGRAM_ELF};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::SCHEDULE;

/// Tokens that every wallet starts with.
pub const WALLET_TOKENS: u64 = 100_000;
/// Own bond of every operator, tokens.
pub const BOND_TOKENS: u64 = 2_000;
/// Length of every auditor's hash chain.
const CHAIN_LENGTH: usize = 2_400;

/// A hash of a name, for keys and roots that tests make up.
pub fn named(name: &str) -> [u8; 32] {
    HostSha256::hashv(&[name.as_bytes()])
}

/// The card of a manifest that a test makes up.
pub fn card(name: &str) -> Card {
    Card::new(named(name), 1_000)
}

/// A ledger with the program and its configuration.
pub struct World {
    /// The chain.
    pub ledger: Embedded,
    /// The program on it.
    pub program: Program,
    /// The configuration's authority.
    pub authority: Keypair,
}

impl World {
    /// A ledger with the compiled program, and nothing else but a funded authority, who deployed the program.
    pub fn uninitialised() -> Self {
        let program = Program::default();
        let authority = Keypair::new_from_array(named("authority"));
        let genesis = Genesis::new(program.id, PROGRAM_ELF).deployed_by(authority.pubkey());
        let mut ledger = Embedded::begin(&genesis).expect("the program loads");
        ledger.airdrop(&authority.pubkey(), 1_000_000_000_000).expect("lamports");
        World { ledger, program, authority }
    }

    /// A ledger with the initialised configuration.
    pub fn new() -> Self {
        Self::with_parameters(&Parameters::DEFAULT)
    }

    /// A ledger with a configuration of these parameters and [`SCHEDULE`].
    pub fn with_parameters(parameters: &Parameters) -> Self {
        Self::with(parameters, &SCHEDULE)
    }

    /// A ledger with a configuration of these parameters and this schedule of emission.
    pub fn with(parameters: &Parameters, schedule: &Schedule) -> Self {
        let mut world = Self::uninitialised();
        let authority = world.authority.insecure_clone();
        let program = world.program;
        world.send(
            &[
                program.initialize_with(&authority.pubkey(), parameters, schedule),
                program.create_token_account(&authority.pubkey(), &authority.pubkey()),
                program.distribute(&authority.pubkey(), &authority.pubkey(), WALLET_TOKENS * TOKEN),
            ],
            &[&authority],
        );
        world
    }

    /// A wallet of this name with lamports and [`WALLET_TOKENS`].
    pub fn wallet(&mut self, name: &str) -> Keypair {
        let key = Keypair::new_from_array(named(name));
        self.ledger.airdrop(&key.pubkey(), 100_000_000_000).expect("lamports");
        let authority = self.authority.insecure_clone();
        let program = self.program;
        self.send(
            &[
                program.create_token_account(&authority.pubkey(), &key.pubkey()),
                program.distribute(&authority.pubkey(), &key.pubkey(), WALLET_TOKENS * TOKEN),
            ],
            &[&authority],
        );
        key
    }

    /// Sends a transaction that must succeed; the first signer pays. Checks conservation.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Receipt {
        let receipt = match self.ledger.send(instructions, signers[0], signers) {
            Ok(receipt) => receipt,
            Err(error) => {
                let reason = error.custom_code().and_then(refusal).map(Error::message).unwrap_or_default();
                panic!("{error} ({reason}): {:#?}", error.failure())
            }
        };
        self.check_conservation();
        receipt
    }

    /// Sends a transaction that the program must refuse for this reason.
    pub fn refused(&mut self, instructions: &[Instruction], signers: &[&Keypair], expected: Error) {
        let result = self.ledger.send(instructions, signers[0], signers);
        match result {
            Ok(_) => panic!("the transaction succeeded; expected: {}", expected.message()),
            Err(error) => {
                let found = error.custom_code().and_then(refusal);
                assert_eq!(found, Some(expected), "{error}: {:#?}", error.failure());
            }
        }
        self.check_conservation();
    }

    /// Sends a transaction that must fail for whatever reason, and says which.
    pub fn fails(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> LedgerError {
        let error = self.ledger.send(instructions, signers[0], signers).expect_err("the transaction succeeded");
        self.check_conservation();
        error
    }

    /// Checks over all accounts that the vault holds what is owed, and that what is not burned exists.
    pub fn check_conservation(&self) {
        let Some(config) = self.ledger.account(&self.program.config()).filter(|config| !config.data.is_empty()) else {
            return;
        };
        let config = Config::decode(&config.data).expect("the configuration decodes");
        let accounts = self.ledger.program_accounts(&self.program.id);
        let owed = liabilities(accounts.iter().map(|(_, account)| account.data.as_slice())).expect("accounts decode");
        let vault = self.ledger.account(&self.program.vault()).expect("the vault exists");
        let held = u64::from_le_bytes(vault.data[64..72].try_into().expect("8 bytes"));
        assert_eq!(held, owed, "the vault holds what all accounts together say that it owes");
        let mint = self.ledger.account(&self.program.mint()).expect("the mint exists");
        let supply = u64::from_le_bytes(mint.data[36..44].try_into().expect("8 bytes"));
        assert_eq!(supply, CAP - config.burned, "what is not burned exists");
    }

    /// Decodes an account.
    pub fn state<T: Account>(&self, address: &Address) -> T {
        let account = self.ledger.account(address).expect("the account exists");
        T::decode(&account.data).expect("the account decodes")
    }

    /// Writes an account's state behind the program's back, for refusals that no path leads to.
    pub fn overwrite<T: Account>(&mut self, address: &Address, state: &T) {
        let mut account = self.ledger.account(address).expect("the account exists");
        account.data = bytemuck::bytes_of(state).to_vec();
        self.ledger.set_account(*address, account).expect("the account is the program's");
    }

    /// The configuration.
    pub fn config(&self) -> Config {
        self.state(&self.program.config())
    }

    /// Other parameters from now on, as if they had been proposed a day ago: deadlines of rounds do not pass.
    pub fn set_parameters(&mut self, parameters: &Parameters) {
        parameters.check().expect("the parameters are within their bounds");
        let changed = Config { parameters: *parameters, ..self.config() };
        self.overwrite(&self.program.config(), &changed);
    }

    /// Tokens in a wallet, base units.
    pub fn tokens(&self, wallet: &Address) -> u64 {
        self.ledger.token_balance(&self.program.token_account(wallet)).unwrap_or(0)
    }

    /// Lets slots pass.
    pub fn advance(&mut self, slots: u64) {
        self.ledger.advance_slots(slots).expect("slots pass");
    }

    /// An operator of this name with a pool of a kind, bonded with [`BOND_TOKENS`].
    pub fn operator(&mut self, name: &str, kind: PoolKind) -> Operator {
        let key = self.wallet(name);
        let mut chain = vec![named(name)];
        while chain.len() < CHAIN_LENGTH {
            chain.push(HostSha256::hashv(&[&chain[chain.len() - 1]]));
        }
        let chain_tip = if kind == PoolKind::Auditor { chain.pop().unwrap_or_default() } else { [0; 32] };
        let new = NewPool { index: 0, self_bond: BOND_TOKENS * TOKEN, commission_bps: 1_000, chain_tip };
        let instruction = self.program.create_pool(&key.pubkey(), kind, &new);
        self.send(&[instruction], &[&key]);
        let pool = self.program.pool(kind, &key.pubkey(), 0);
        Operator { seat: Seat { operator: key.pubkey(), pool, place: 0 }, key, chain }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// An operator with its pool and, after joining, its place.
pub struct Operator {
    /// The wallet.
    pub key: Keypair,
    /// Wallet, pool and place.
    pub seat: Seat,
    /// An auditor's hash chain from its secret on, without the tip that it began with.
    pub chain: Vec<[u8; 32]>,
}

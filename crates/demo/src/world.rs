//! The ledger with everyone on it: who they are, what they send, and what they own.

use anyhow::{Context, Result, anyhow};
use sip_client::Program;
use sip_ledger::{Ledger, LedgerError, MAX_TRANSACTION_BYTES, Receipt, compute_unit_limit, pack, transaction_bytes};
use sip_protocol::court::{accusation::Accusation, availability::Demand};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::evaluation::ScoringRun;
use sip_protocol::training::round::Round;
use sip_protocol::training::segment::Segment;
use sip_protocol::{Account, AccountKind};
use sip_protocol::{
    admin::config::Config,
    court::Dispute,
    stake::{
        pool::Pool,
        position::{Position, Ticket},
    },
    training::job::Job,
};
use sip_svm::{Embedded, Genesis, PROGRAM_ELF};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::BTreeMap;

/// Compute units that a transaction may take; the heaviest moves of a dispute need more than the default.
const COMPUTE_UNITS: u32 = 1_400_000;

/// Someone on the ledger.
pub struct Person {
    /// "trainer 1".
    pub name: String,
    /// What the person is.
    pub role: &'static str,
    /// The key of its wallet.
    pub keypair: Keypair,
    /// The pool that the person operates.
    pub pool: Option<(PoolKind, Address)>,
    /// The place in the job.
    pub place: u8,
}

impl Person {
    /// Its wallet.
    pub fn wallet(&self) -> Address {
        self.keypair.pubkey()
    }

    /// The pool's address; everyone who is asked for one has one.
    ///
    /// # Errors
    /// Where the person operates none.
    pub fn pool(&self) -> Result<Address> {
        self.pool.map(|(_, address)| address).with_context(|| format!("{} operates no pool", self.name))
    }

    /// The person's seat in a round.
    pub fn seat(&self) -> Result<sip_client::Seat> {
        Ok(sip_client::Seat { operator: self.wallet(), pool: self.pool()?, place: self.place })
    }
}

/// How often an instruction was sent, and what each transaction with it took.
pub type InstructionLog = BTreeMap<String, Vec<u64>>;

/// The ledger with everyone on it.
pub struct World {
    /// The ledger.
    pub ledger: Embedded,
    /// The deployment of the program on it.
    pub program: Program,
    /// Everyone.
    pub people: Vec<Person>,
    /// What was sent.
    pub log: InstructionLog,
}

/// What several transactions took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// How many.
    pub transactions: u32,
    /// Of all of them.
    pub compute_units: u64,
}

impl World {
    /// An empty ledger with the program, which the first person deployed.
    pub(crate) fn new(people: Vec<Person>) -> Result<World> {
        let program = Program::default();
        let genesis = Genesis::new(program.id, PROGRAM_ELF);
        let deployer = people.first().map(Person::wallet);
        let ledger = Embedded::begin(&Genesis { upgrade_authority: deployer, ..genesis })?;
        Ok(World { ledger, program, people, log: InstructionLog::new() })
    }

    /// A ledger as it was saved.
    pub(crate) fn restore(people: Vec<Person>, path: &std::path::Path) -> Result<World> {
        let program = Program::default();
        let ledger = Embedded::restore(path, program.id, PROGRAM_ELF)?;
        Ok(World { ledger, program, people, log: InstructionLog::new() })
    }

    /// Everyone of a role, by index.
    pub fn with_role(&self, role: &str) -> Vec<usize> {
        (0..self.people.len()).filter(|&p| self.people[p].role == role).collect()
    }

    /// Sends one instruction as one transaction, signed and paid by a person.
    ///
    /// # Errors
    /// The ledger's.
    pub fn send(&mut self, person: usize, instruction: Instruction) -> Result<Receipt> {
        let name = instruction_name(&self.program, &instruction);
        self.transact(person, &name, &[instruction]).map_err(|error| explain(error, &name, &self.people[person].name))
    }

    /// Sends instructions in as few transactions as they fit into, and says how many those are and what they take; nothing if the program
    /// refuses one of them, and the later ones are not sent then.
    pub fn attempt_all(&mut self, person: usize, instructions: Vec<Instruction>) -> Result<Option<Sent>> {
        let mut sent = Sent::default();
        for transaction in pack(&self.people[person].wallet(), instructions) {
            let names: Vec<String> =
                transaction.iter().map(|instruction| instruction_name(&self.program, instruction)).collect();
            let name = names.join(" + ");
            match self.transact(person, &name, &transaction) {
                Ok(receipt) => sent.compute_units += receipt.compute_units,
                Err(LedgerError::Custom { .. }) => return Ok(None),
                Err(error) => return Err(explain(error, &name, &self.people[person].name)),
            }
            sent.transactions += 1;
        }
        Ok(Some(sent))
    }

    fn transact(&mut self, person: usize, name: &str, instructions: &[Instruction]) -> Result<Receipt, LedgerError> {
        let signer = &self.people[person].keypair;
        let limited = [&[compute_unit_limit(COMPUTE_UNITS)], instructions].concat();
        // A part of a move may fill its transaction; it takes far less than what each instruction has without a limit.
        let fits = transaction_bytes(&limited, &signer.pubkey()) <= MAX_TRANSACTION_BYTES;
        let receipt = self.ledger.send(if fits { &limited } else { instructions }, signer, &[signer])?;
        self.log.entry(name.to_string()).or_default().push(receipt.compute_units);
        self.ledger.advance_slots(1)?;
        Ok(receipt)
    }

    /// The state of an account.
    ///
    /// # Errors
    /// Where there is no such account.
    pub fn read<T: Account>(&self, address: &Address) -> Result<T> {
        let account = self.ledger.account(address).ok_or_else(|| anyhow!("no account at {address}"))?;
        T::decode(&account.data).map_err(|error| anyhow!("account {address}: {error}"))
    }

    /// What everyone owns in base units: wallet, positions, exits, own bonds, rewards, genesis bonds, and bonds, fees and bounties at
    /// stake.
    pub(crate) fn wealth(&self) -> Result<Vec<u64>> {
        let wallets: BTreeMap<[u8; 32], usize> =
            self.people.iter().enumerate().map(|(index, person)| (person.wallet().to_bytes(), index)).collect();
        let mut wealth: Vec<u64> = self
            .people
            .iter()
            .map(|person| self.ledger.token_balance(&self.program.token_account(&person.wallet())).unwrap_or(0))
            .collect();
        let accounts = self.ledger.program_accounts(&self.program.id);
        let mut pools: BTreeMap<[u8; 32], Pool> = BTreeMap::new();
        for (address, account) in &accounts {
            if account.data.first() == Some(&(AccountKind::Pool as u8)) {
                pools.insert(address.to_bytes(), decode(&account.data)?);
            }
        }
        let mut add = |owner: &[u8; 32], amount: u64| {
            if let Some(&person) = wallets.get(owner) {
                wealth[person] = wealth[person].saturating_add(amount);
            }
        };
        for pool in pools.values() {
            add(&pool.scope, pool.self_bond.saturating_add(pool.commission_owed));
        }
        for (_, account) in &accounts {
            match account.data.first().copied() {
                Some(kind) if kind == AccountKind::Position as u8 => {
                    let mut position: Position = decode(&account.data)?;
                    if let Some(pool) = pools.get_mut(&position.pool) {
                        position.settle(pool).map_err(|error| anyhow!("{error}"))?;
                        let worth =
                            u128::from(position.shares) * u128::from(pool.assets) / u128::from(pool.shares.max(1));
                        let held = position.claimable.saturating_add(position.pending);
                        add(&position.owner, held.saturating_add(worth as u64));
                    }
                }
                Some(kind) if kind == AccountKind::Ticket as u8 => {
                    let ticket: Ticket = decode(&account.data)?;
                    add(&ticket.owner, ticket.assets);
                }
                Some(kind) if kind == AccountKind::Round as u8 => {
                    let round: Round = decode(&account.data)?;
                    for seat in &round.auditors {
                        add(&seat.vote_escrow.challenger, seat.vote_escrow.bounty);
                        add(&seat.attestation_escrow.challenger, seat.attestation_escrow.bounty);
                    }
                }
                Some(kind) if kind == AccountKind::Job as u8 => {
                    let job: Job = decode(&account.data)?;
                    add(&job.creator, job.genesis_bond);
                    add(&job.escrow.challenger, job.escrow.bounty);
                }
                Some(kind) if kind == AccountKind::Dispute as u8 => {
                    let dispute: Dispute = decode(&account.data)?;
                    add(&dispute.challenger, dispute.bond);
                }
                Some(kind) if kind == AccountKind::Accusation as u8 => {
                    let accusation: Accusation = decode(&account.data)?;
                    add(&accusation.challenger, accusation.bond);
                }
                Some(kind) if kind == AccountKind::Demand as u8 => {
                    let demand: Demand = decode(&account.data)?;
                    add(&demand.demander, demand.fee);
                }
                Some(kind) if kind == AccountKind::ScoringRun as u8 => {
                    let run: ScoringRun = decode(&account.data)?;
                    add(&run.escrow.challenger, run.escrow.bounty);
                }
                Some(kind) if kind == AccountKind::Segment as u8 => {
                    let segment: Segment = decode(&account.data)?;
                    add(&segment.escrow.challenger, segment.escrow.bounty);
                }
                _ => {}
            }
        }
        Ok(wealth)
    }

    /// Whether the vault holds exactly what the accounts say that it owes.
    pub fn is_conserved(&self) -> Result<bool> {
        let accounts = self.ledger.program_accounts(&self.program.id);
        let owed = sip_client::liabilities(accounts.iter().map(|(_, account)| account.data.as_slice()))
            .map_err(|error| anyhow!("{error}"))?;
        Ok(self.ledger.token_balance(&self.program.vault()) == Some(owed))
    }

    /// The configuration.
    pub fn config(&self) -> Result<Config> {
        self.read(&self.program.config())
    }
}

fn decode<T: Account>(data: &[u8]) -> Result<T> {
    T::decode(data).map_err(|error| anyhow!("{error}"))
}

/// Name of an instruction, as the report lists it.
fn instruction_name(program: &Program, instruction: &Instruction) -> String {
    if instruction.program_id != program.id {
        return "create token account".into();
    }
    let tag = instruction.data.first().copied().unwrap_or(u8::MAX);
    let name = sip_client::instruction_name(tag);
    // CommitSegment → commit segment
    let mut words = String::new();
    for c in name.unwrap_or("unknown").chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// A refusal in words.
fn explain(error: LedgerError, name: &str, person: &str) -> anyhow::Error {
    let reason = match &error {
        LedgerError::Custom { code, .. } => sip_client::refusal(*code).map(|reason| reason.to_string()),
        _ => None,
    };
    match reason {
        Some(reason) => anyhow!("the program refused \"{name}\" of {person}: {reason}"),
        None => anyhow::Error::new(error).context(format!("\"{name}\" of {person} failed")),
    }
}

//! A valid transaction of every instruction, each with the chain as it was before it, and ways to send it changed.

use sip_client::{Program, instruction_name, refusal};
use sip_protocol::{Error, ground::spec::InstructionSpec, instructions::spec};
use sip_svm::Embedded;
use sip_testing::World;
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_instruction::error::InstructionError;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_signer::Signer;
use solana_transaction::{TransactionError, versioned::VersionedTransaction};

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::{court_stories, guards, money_stories, network_stories, yes::yes_program};

/// Every part of the protocol's life that brings instructions into the table.
const STORIES: [fn(); 22] = [
    guards::settings_are_guarded,
    guards::the_configuration_is_guarded,
    guards::stake_is_guarded,
    guards::jobs_rounds_and_settlements_are_guarded,
    guards::second_draws_are_guarded,
    guards::thaws_are_guarded,
    guards::accusations_demands_and_undone_rounds_are_guarded,
    guards::a_round_without_a_majority_is_voided_under_guard,
    court_stories::a_segment_is_disputed,
    court_stories::auditors_are_disputed,
    court_stories::a_scoring_run_is_disputed,
    court_stories::a_genesis_state_is_disputed,
    court_stories::demands_are_answered,
    court_stories::an_old_demand_is_closed,
    court_stories::what_is_over_is_closed,
    money_stories::a_model_is_paid_for,
    money_stories::attention_is_locked_and_steered,
    money_stories::shares_become_tokens,
    money_stories::an_old_account_is_migrated,
    network_stories::peers_are_announced,
    network_stories::old_records_of_peers_are_closed_by_anyone,
    network_stories::a_session_is_set_and_a_seat_woken,
];

thread_local! {
    static CASES: RefCell<Vec<Case>> = const { RefCell::new(Vec::new()) };
}

/// What became of accounts, by address: in the order of the message.
pub(crate) type After = Vec<(Address, AccountSharedData)>;

/// Why a transaction failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The program's reason, if it was the program that refused.
    pub(crate) reason: Option<Error>,
    /// Whether a program came to no end of its own: it panicked, left its memory, or ran out of compute units.
    pub(crate) is_abort: bool,
}

/// A valid transaction of one instruction.
pub(crate) struct Case {
    /// The instruction's name.
    pub(crate) name: &'static str,
    /// The chain before it, with a rich stranger and two programs that are none of the protocol's.
    pub(crate) ledger: Embedded,
    /// The instruction.
    pub(crate) instruction: Instruction,
    /// Accounts the caller may choose freely among those of their kind; the reason stands beside the story.
    pub(crate) free: Vec<usize>,
    /// Places that are not looked at this time, because nothing is created, paid or burned.
    pub(crate) unread: Vec<usize>,
    /// The accounts that it may write, after it.
    pub(crate) after: After,
}

/// A wallet that pays for transactions and has no other part in them.
pub(crate) fn stranger() -> Keypair {
    Keypair::new_from_array(sip_testing::named("stranger"))
}

/// A program that says yes to everything and does nothing.
pub(crate) fn yes_man() -> Address {
    Address::new_from_array(sip_testing::named("yes"))
}

/// Brings a valid instruction into the table, then sends it.
pub(crate) fn send_guarded(world: &mut World, instruction: Instruction, signer: &Keypair, free: &[usize]) {
    send_unread(world, instruction, signer, free, &[]);
}

/// The same for an instruction that does not look at all its accounts this time.
pub(crate) fn send_unread(
    world: &mut World,
    instruction: Instruction,
    signer: &Keypair,
    free: &[usize],
    unread: &[usize],
) {
    record(&world.ledger, &instruction, free, unread);
    let authority = world.authority.insecure_clone();
    world.send(&[instruction], &[&authority, signer]);
}

/// Brings a valid instruction into the table.
pub(crate) fn record(before: &Embedded, instruction: &Instruction, free: &[usize], unread: &[usize]) {
    let mut ledger = before.clone();
    ledger.airdrop(&stranger().pubkey(), 1_000_000_000_000).expect("lamports");
    ledger.add_program(yes_man(), &yes_program()).expect("the program loads");
    let name = instruction_name(instruction.data[0]).expect("a known instruction");
    let after =
        simulate(&ledger, std::slice::from_ref(instruction)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let (instruction, free, unread) = (instruction.clone(), free.to_vec(), unread.to_vec());
    CASES.with_borrow_mut(|cases| cases.push(Case { name, ledger, instruction, free, unread, after }));
}

/// All valid transactions: made once, used by one test at a time.
///
/// # Panics
/// Where an instruction of the protocol has none.
pub(crate) fn table() -> MutexGuard<'static, Vec<Case>> {
    static TABLE: OnceLock<Mutex<Vec<Case>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        STORIES.iter().for_each(|story| story());
        Mutex::new(CASES.take())
    });
    // A test that failed has changed nothing: cases are only read, or copied.
    table.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What instructions in one transaction would do to the accounts that they may write. The stranger pays.
pub(crate) fn simulate(ledger: &Embedded, instructions: &[Instruction]) -> Result<After, Refusal> {
    let payer = stranger().pubkey();
    let message = VersionedMessage::Legacy(Message::new(instructions, Some(&payer)));
    let signatures = vec![Default::default(); message.header().num_required_signatures.into()];
    let simulation = ledger.simulate(VersionedTransaction { signatures, message }, false);
    match simulation.result {
        Ok(()) => Ok(simulation.after.into_iter().filter(|(address, _)| *address != payer).collect()),
        Err(TransactionError::InstructionError(_, InstructionError::Custom(code))) => {
            Err(Refusal { reason: refusal(code), is_abort: false })
        }
        Err(error) => {
            let ends = [InstructionError::ProgramFailedToComplete, InstructionError::ComputationalBudgetExceeded];
            let is_abort = matches!(error, TransactionError::InstructionError(_, error) if ends.contains(&error));
            Err(Refusal { reason: None, is_abort })
        }
    }
}

impl Case {
    /// What the instruction is.
    pub(crate) fn spec(&self) -> &'static InstructionSpec {
        spec(self.instruction.data[0]).expect("a known instruction")
    }

    /// The name of the account in a place.
    pub(crate) fn account_name(&self, place: usize) -> &'static str {
        self.spec().account(place).map_or("", |(_, account)| account.name)
    }

    /// The address of the account of this name.
    pub(crate) fn address(&self, name: &str) -> Address {
        let place = self.spec().accounts.iter().position(|account| account.name == name);
        self.instruction.accounts[place.expect("an account of the instruction")].pubkey
    }

    /// The deployment.
    pub(crate) fn program(&self) -> Program {
        Program::new(self.instruction.program_id)
    }

    /// What the instruction would do with a change.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Instruction)) -> Result<After, Refusal> {
        simulate(&self.ledger, &[self.changed(change)])
    }

    /// The instruction with a change.
    pub(crate) fn changed(&self, change: impl FnOnce(&mut Instruction)) -> Instruction {
        let mut instruction = self.instruction.clone();
        change(&mut instruction);
        instruction
    }

    /// What the instruction would do with another account in a place.
    pub(crate) fn replaced(&self, place: usize, address: Address) -> Result<After, Refusal> {
        self.with(|instruction| instruction.accounts[place].pubkey = address)
    }

    /// The places of accounts that are looked at, with what is there before the transaction.
    pub(crate) fn places(
        &self,
    ) -> impl Iterator<Item = (usize, &solana_instruction::AccountMeta, Option<AccountSharedData>)> {
        let accounts = self.instruction.accounts.iter().enumerate().filter(|(place, _)| !self.unread.contains(place));
        accounts.map(|(place, meta)| (place, meta, self.ledger.shared_account(&meta.pubkey)))
    }

    /// Whether a place's account is one of the protocol's own.
    pub(crate) fn is_state(&self, account: &AccountSharedData) -> bool {
        *account.owner() == self.instruction.program_id
    }

    /// Accounts with data that the instruction creates, and their places.
    pub(crate) fn created(&self) -> Vec<(usize, Address)> {
        self.places()
            .filter(|(.., before)| before.as_ref().is_none_or(|before| before.data().is_empty()))
            .map(|(place, meta, _)| (place, meta.pubkey))
            .filter(|(_, address)| self.after.iter().any(|(at, after)| at == address && !after.data().is_empty()))
            .collect()
    }

    /// State that the instruction closes, and its places.
    pub(crate) fn closed(&self) -> Vec<(usize, Address)> {
        self.places()
            .filter(|(.., before)| before.as_ref().is_some_and(|before| self.is_state(before)))
            .map(|(place, meta, _)| (place, meta.pubkey))
            .filter(|(_, address)| self.after.iter().any(|(at, after)| at == address && after.data().is_empty()))
            .collect()
    }

    /// A copy of the chain before the transaction in which some accounts are others.
    pub(crate) fn chain_with(&self, accounts: impl IntoIterator<Item = (Address, AccountSharedData)>) -> Embedded {
        let mut ledger = self.ledger.clone();
        for (address, account) in accounts {
            ledger.set_account(address, account.into()).expect("no account of the runtime");
        }
        ledger
    }
}

/// What attacks got through, for a message that shows all of them at once.
#[derive(Default)]
pub(crate) struct Findings {
    tried: usize,
    found: Vec<String>,
}

impl Findings {
    /// Notes an attack that must be refused.
    pub(crate) fn refused(&mut self, case: &Case, result: Result<After, Refusal>, what: impl FnOnce() -> String) {
        self.expect(case, result.is_err(), || format!("succeeded although {}", what()));
    }

    /// Notes an attack that must be refused for one of these reasons.
    pub(crate) fn refused_as(
        &mut self,
        case: &Case,
        result: Result<After, Refusal>,
        expected: &[Error],
        what: impl FnOnce() -> String,
    ) {
        let reason = result.as_ref().err().and_then(|refusal| refusal.reason);
        let is_expected = reason.is_some_and(|reason| expected.contains(&reason));
        let outcome = if result.is_ok() { "success".into() } else { format!("{reason:?}") };
        self.expect(case, is_expected, || format!("{outcome}, not {expected:?}, although {}", what()));
    }

    /// Notes a condition.
    pub(crate) fn expect(&mut self, case: &Case, holds: bool, what: impl FnOnce() -> String) {
        self.tried += 1;
        if !holds {
            self.found.push(format!("{}: {}", case.name, what()));
        }
    }

    /// Panics if anything got through, or if fewer attacks than this were tried.
    pub(crate) fn check(self, least: usize) {
        assert!(self.found.is_empty(), "{} of {}:\n{}", self.found.len(), self.tried, self.found.join("\n"));
        assert!(self.tried >= least, "only {} attacks were tried, at least {least} are possible", self.tried);
    }
}

//! The one ledger, as each of them reaches it: now and then it does not answer, or the one who asks is killed.

use sip_client::Program;
use sip_ledger::{Ledger, LedgerError, Receipt, RemoteError, Statistics};
use sip_svm::Embedded;
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer as _;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Of so many questions one is the last of those who may be killed; of transactions every third is, before it is sent or after that.
const KILLED_OF: u64 = 300;
/// Tags of what is done in a round: commitments, draws, attestations, votes, scores.
const ROUND_TAGS: std::ops::Range<u8> = 0x40..0x60;

/// What somebody signed: its wallet, the instruction's tag and its accounts.
type Signed = (Address, u8, Vec<Address>);

/// What goes wrong, and what was signed.
#[derive(Default)]
pub(super) struct Faults {
    /// Whether nobody gets an answer.
    pub is_away: Cell<bool>,
    /// Where it is not 0, of so many questions one is not answered.
    pub fails_every: Cell<u64>,
    /// Whether the one who asks now may be killed by it.
    pub kills: Cell<bool>,
    /// Whether the one who asked last was killed.
    pub has_killed: Cell<bool>,
    asked: Cell<u64>,
    chance: Cell<u64>,
    /// What was signed for each, in all that was sent.
    signed: RefCell<BTreeMap<Signed, BTreeSet<Vec<u8>>>>,
}

impl Faults {
    /// A number below another, by chance, the same in every run.
    fn draw(&self, below: u64) -> u64 {
        let state = self.chance.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.chance.set(state);
        (state >> 33) % below
    }

    fn is_killed(&self, of: u64) -> bool {
        let is_killed = self.kills.get() && self.draw(of) == 0;
        self.has_killed.set(self.has_killed.get() || is_killed);
        is_killed
    }

    fn note(&self, payer: &Address, instructions: &[Instruction]) {
        let own = instructions.iter().filter(|instruction| instruction.program_id == Program::default().id);
        for instruction in own.filter(|own| own.data.first().is_some_and(|tag| ROUND_TAGS.contains(tag))) {
            let accounts = instruction.accounts.iter().map(|meta| meta.pubkey).collect();
            let key = (*payer, instruction.data[0], accounts);
            self.signed.borrow_mut().entry(key).or_default().insert(instruction.data.clone());
        }
    }

    /// What somebody has signed in two ways.
    pub(super) fn contradictions(&self) -> Vec<Signed> {
        let signed = self.signed.borrow();
        signed.iter().filter(|(_, contents)| contents.len() > 1).map(|(key, _)| key.clone()).collect()
    }
}

/// The ledger; clones reach the same.
#[derive(Clone)]
pub(super) struct Shared {
    pub ledger: Rc<RefCell<Embedded>>,
    pub faults: Rc<Faults>,
    /// Transactions that went in through this one.
    pub sent: Rc<Cell<u32>>,
}

fn lost(reason: &str) -> LedgerError {
    RemoteError::Unreachable { url: "a chain".into(), attempts: 1, reason: reason.into() }.into()
}

impl Shared {
    pub(super) fn new(ledger: Embedded) -> Shared {
        Shared { ledger: Rc::new(RefCell::new(ledger)), faults: Rc::default(), sent: Rc::default() }
    }

    /// The same with a count of its own.
    pub(super) fn counted(&self) -> Shared {
        Shared { sent: Rc::default(), ..self.clone() }
    }

    /// The answer, or none.
    fn ask(&self) -> Result<std::cell::RefMut<'_, Embedded>, LedgerError> {
        let Faults { asked, fails_every, is_away, .. } = &*self.faults;
        asked.set(asked.get() + 1);
        let fails = fails_every.get() != 0 && asked.get().is_multiple_of(fails_every.get());
        if is_away.get() || fails {
            return Err(lost("it is away"));
        }
        if self.faults.is_killed(KILLED_OF) {
            return Err(lost("the one who asked was killed"));
        }
        Ok(self.ledger.borrow_mut())
    }
}

impl Ledger for Shared {
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError> {
        self.faults.note(&payer.pubkey(), instructions);
        if self.faults.is_killed(6) {
            return Err(lost("the one who wanted to send was killed"));
        }
        let mut ledger = self.ask()?;
        let receipt = ledger.send(instructions, payer, signers)?;
        self.sent.set(self.sent.get() + 1);
        ledger.advance_slots(1)?;
        if self.faults.is_killed(5) {
            return Err(lost("the one who has sent was killed"));
        }
        Ok(receipt)
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError> {
        Ok(self.ask()?.account(address))
    }

    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError> {
        Ok(self.ask()?.program_accounts(program_id))
    }

    fn slot(&self) -> Result<u64, LedgerError> {
        Ok(self.ask()?.slot())
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        self.ask()?.advance_slots(slots)
    }

    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError> {
        Ok(self.ask()?.minimum_balance(data_bytes))
    }

    fn statistics(&self) -> Statistics {
        self.ledger.borrow().statistics()
    }
}

//! The ledger of a run in its folder, which only moves when somebody moves it.

use anyhow::Result;
use sip_client::Program;
use sip_ledger::{Ledger, LedgerError, Receipt, Statistics};
use sip_svm::Embedded;
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use std::path::{Path, PathBuf};

use sip_manifest::folder::Store;
use sip_svm::PROGRAM_ELF;

/// The ledger of a run in its folder, saved after every transaction.
pub struct Folder {
    /// The ledger as it is now.
    pub ledger: Embedded,
    path: PathBuf,
}

impl Folder {
    /// The newest ledger of a folder.
    ///
    /// # Errors
    /// Where the folder holds no ledger.
    pub fn open(store: &Store) -> Result<Folder> {
        let path = store.ledger(store.latest()?);
        Ok(Folder { ledger: restore(&path)?, path })
    }

    fn save(&self) -> Result<(), LedgerError> {
        Ok(self.ledger.snapshot(&self.path)?)
    }
}

/// A ledger as it was saved.
///
/// # Errors
/// Where the file holds no ledger.
pub fn restore(path: &Path) -> Result<Embedded, LedgerError> {
    Embedded::restore(path, Program::default().id, PROGRAM_ELF)
}

impl Ledger for Folder {
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError> {
        let receipt = self.ledger.send(instructions, payer, signers)?;
        self.ledger.advance_slots(1)?;
        self.save()?;
        Ok(receipt)
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError> {
        Ok(self.ledger.account(address))
    }

    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError> {
        Ok(self.ledger.program_accounts(program_id))
    }

    fn slot(&self) -> Result<u64, LedgerError> {
        Ok(self.ledger.slot())
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        self.ledger.advance_slots(slots)?;
        self.save()
    }

    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError> {
        Ok(self.ledger.minimum_balance(data_bytes))
    }

    fn statistics(&self) -> Statistics {
        self.ledger.statistics()
    }
}

//! Where transactions go.
//!
//! [`Ledger`] is what the rest of the project knows of a Solana chain: transactions in, accounts out, slots that pass.
//! Slots pass only when the caller says so ([`Ledger::advance_slots`]). Here are the trait, its errors, the packing of
//! transactions and the loader of programs; who is a ledger is elsewhere: `sip-svm` a virtual machine in this process, `sip-rpc` a
//! chain at an address.

mod error;
mod key;
pub mod loader;
mod transaction;

pub use error::{Failure, LedgerError, RemoteError, SnapshotError};
pub use key::{KeyError, read_key};
pub use loader::{program_data, upgrade_authority};
pub use transaction::{MAX_TRANSACTION_BYTES, compute_unit_limit, compute_unit_price, pack, sign, transaction_bytes};

use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signature::Signature;

/// The SPL token program.
pub const TOKEN_PROGRAM: Address = Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

/// Token-2022.
pub const TOKEN_2022_PROGRAM: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");

/// Bytes of an SPL token account.
const TOKEN_ACCOUNT_BYTES: usize = 165;
/// Where the amount stands in an SPL token account, after the mint and the owner.
const TOKEN_AMOUNT_OFFSET: usize = 64;
/// What the byte after it says of a token account with extensions.
const TOKEN_ACCOUNT_KIND: u8 = 2;

/// A Solana chain.
pub trait Ledger {
    /// Signs the instructions as one transaction, sends it and waits until it has been executed.
    ///
    /// `payer` pays the fee and need not be repeated among `signers`; signers that no instruction asks for are
    /// left out. Instructions are executed in order, all or none.
    ///
    /// # Errors
    /// [`LedgerError::TooLarge`] and [`LedgerError::MissingSigner`] before anything is sent; [`LedgerError::Custom`]
    /// where a program refused with its own error code, [`LedgerError::Transaction`] for every other failure. A
    /// failed transaction changes nothing, except that the payer still pays for one that was executed.
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError>;

    /// Sends each instruction as a transaction of its own, in any order and perhaps at once. One that is lost on the way is no error: the
    /// sender of many looks afterwards at what is there.
    ///
    /// # Errors
    /// As [`Self::send`].
    fn send_each(&mut self, instructions: &[Instruction], payer: &Keypair) -> Result<(), LedgerError> {
        for instruction in instructions {
            self.send(std::slice::from_ref(instruction), payer, &[])?;
        }
        Ok(())
    }

    /// The account at an address, if there is one.
    ///
    /// # Errors
    /// [`LedgerError::Remote`] where the chain is elsewhere and does not answer. So have all that follow.
    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError>;

    /// The accounts at these addresses, in their order.
    ///
    /// # Errors
    /// As [`Self::account`].
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<Option<Account>>, LedgerError> {
        addresses.iter().map(|address| self.account(address)).collect()
    }

    /// The accounts that a program owns whose data have each of these bytes where it says, ordered by address.
    ///
    /// # Errors
    /// As [`Self::account`].
    fn program_accounts_with(
        &self,
        program_id: &Address,
        parts: &[(usize, &[u8])],
    ) -> Result<Vec<(Address, Account)>, LedgerError> {
        let mut accounts = self.program_accounts(program_id)?;
        let has = |data: &[u8], (start, bytes): &(usize, &[u8])| data.get(*start..start + bytes.len()) == Some(*bytes);
        accounts.retain(|(_, account)| parts.iter().all(|part| has(&account.data, part)));
        Ok(accounts)
    }

    /// All accounts that a program owns, ordered by address.
    ///
    /// # Errors
    /// As [`Self::account`].
    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError>;

    /// The current slot.
    ///
    /// # Errors
    /// As [`Self::account`].
    fn slot(&self) -> Result<u64, LedgerError>;

    /// Lets this many slots pass: at once where the ledger is ours to say, by waiting where it is not.
    ///
    /// # Errors
    /// [`LedgerError::EndOfTime`] where the slot would not fit 64 bits; as [`Self::account`].
    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError>;

    /// The same chain as far as nobody can drop it any more; nothing where all of it is so.
    fn finalized(&self) -> Option<Box<dyn Ledger>> {
        None
    }

    /// Compute units that these instructions would take as one transaction now; nothing where nobody can say.
    ///
    /// # Errors
    /// As [`Self::send`] would fail; nothing is sent and nothing is paid.
    fn simulated_units(&self, instructions: &[Instruction], payer: &Keypair) -> Result<Option<u64>, LedgerError> {
        let _ = (instructions, payer);
        Ok(None)
    }

    /// What others lately paid for a compute unit to write to these accounts, millionths of a lamport, one number for each of the last slots;
    /// empty where nobody knows.
    ///
    /// # Errors
    /// As [`Self::account`].
    fn recent_prices(&self, accounts: &[Address]) -> Result<Vec<u64>, LedgerError> {
        let _ = accounts;
        Ok(Vec::new())
    }

    /// Lamports that exempt an account of this many data bytes from rent.
    ///
    /// # Errors
    /// As [`Self::account`].
    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError>;

    /// What all transactions that were sent through this ledger took.
    fn statistics(&self) -> Statistics;

    /// The amount in an SPL token account, in the mint's smallest unit; `None` where no token account is.
    ///
    /// # Errors
    /// As [`Self::account`].
    fn token_balance(&self, address: &Address) -> Result<Option<u64>, LedgerError> {
        Ok(self.account(address)?.as_ref().and_then(token_amount))
    }
}

/// The amount in a token account, under the SPL token program or under Token-2022 with or without extensions; `None` where the account is
/// something else.
pub fn token_amount(account: &Account) -> Option<u64> {
    let is_extended =
        account.owner == TOKEN_2022_PROGRAM && account.data.get(TOKEN_ACCOUNT_BYTES) == Some(&TOKEN_ACCOUNT_KIND);
    let is_plain = account.data.len() == TOKEN_ACCOUNT_BYTES;
    if ![TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(&account.owner) || !(is_plain || is_extended) {
        return None;
    }
    let amount = account.data[TOKEN_AMOUNT_OFFSET..].first_chunk()?;
    Some(u64::from_le_bytes(*amount))
}

/// A transaction that was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The payer's signature: the transaction's name.
    pub signature: Signature,
    /// Compute units that its instructions took together.
    pub compute_units: u64,
    /// What the programs logged, and the virtual machine about them.
    pub logs: Vec<String>,
    /// What the payer paid for it, in lamports.
    pub fee_lamports: u64,
    /// Its serialized size, at most [`MAX_TRANSACTION_BYTES`].
    pub transaction_bytes: usize,
    /// The slot in which it was executed.
    pub slot: u64,
}

/// Sums over the transactions of a ledger. Transactions that were refused before execution do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions that succeeded.
    pub transactions: u64,
    /// Transactions that were executed and failed.
    pub failed_transactions: u64,
    /// Compute units of both.
    pub compute_units: u64,
    /// Serialized sizes of both.
    pub transaction_bytes: u64,
    /// Fees of both.
    pub fee_lamports: u64,
}

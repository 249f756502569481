//! What became of a transaction.

use sip_ledger::{Failure, LedgerError, Receipt};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_message::inner_instruction::InnerInstructionsList;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

/// A transaction that was handed in, with everything that it did.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The payer's signature; all zeros where the transaction was refused before its execution.
    pub signature: Signature,
    /// Success, or why it failed.
    pub result: Result<(), TransactionError>,
    /// Whether it was executed and has paid its fee. One that was not has left no trace.
    pub executed: bool,
    /// Compute units that its instructions took together.
    pub compute_units: u64,
    /// What the programs logged, and the virtual machine about them.
    pub logs: Vec<String>,
    /// What programs invoked, by instruction.
    pub inner_instructions: InnerInstructionsList,
    /// What the last program returned, and which.
    pub return_data: Option<(Address, Vec<u8>)>,
    /// What the payer paid.
    pub fee_lamports: u64,
    /// Its serialized size.
    pub transaction_bytes: usize,
    /// The slot in which it was executed.
    pub slot: u64,
    /// Every address that it names: in the message, then writable and read-only ones from lookup tables.
    pub addresses: Vec<Address>,
    /// How many of them lookup tables gave: writable, read-only.
    pub loaded: (usize, usize),
    /// The accounts at these addresses before it.
    pub before: Vec<Option<AccountSharedData>>,
    /// The accounts at these addresses after it.
    pub after: Vec<Option<AccountSharedData>>,
    /// Bytes that it loaded: of accounts, of programs, of lookup tables.
    pub loaded_bytes: u64,
}

impl Execution {
    pub(crate) fn refused(error: TransactionError, transaction_bytes: usize, slot: u64) -> Self {
        Self {
            signature: Signature::default(),
            result: Err(error),
            executed: false,
            compute_units: 0,
            logs: Vec::new(),
            inner_instructions: Vec::new(),
            return_data: None,
            fee_lamports: 0,
            transaction_bytes,
            slot,
            addresses: Vec::new(),
            loaded: (0, 0),
            before: Vec::new(),
            after: Vec::new(),
            loaded_bytes: 0,
        }
    }

    /// The accounts that it changed, created or removed, with what they are now.
    pub fn changes(&self) -> impl Iterator<Item = (&Address, Option<&AccountSharedData>)> {
        let (before, after) = (self.before.iter(), self.after.iter());
        (self.addresses.iter().zip(before.zip(after)))
            .filter(|(_, (before, after))| !same(before.as_ref(), after.as_ref()))
            .map(|(address, (_, after))| (address, after.as_ref()))
    }

    pub(crate) fn receipt(self) -> Result<Receipt, LedgerError> {
        let Self { signature, compute_units, logs, fee_lamports, transaction_bytes, slot, .. } = self;
        let error = match self.result {
            Ok(()) => {
                return Ok(Receipt { signature, compute_units, logs, fee_lamports, transaction_bytes, slot });
            }
            Err(error) => error,
        };
        Err(LedgerError::failed(error, Failure { signature, compute_units, logs, fee_lamports, transaction_bytes }))
    }
}

/// Data that nobody wrote to is shared, so most comparisons never look at it.
fn same(one: Option<&AccountSharedData>, other: Option<&AccountSharedData>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one.lamports() == other.lamports()
                && one.owner() == other.owner()
                && one.executable() == other.executable()
                && (std::ptr::eq(one.data(), other.data()) || one.data() == other.data())
        }
        (None, None) => true,
        _ => false,
    }
}

/// What a transaction would have done.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// Success, or why it would fail.
    pub result: Result<(), TransactionError>,
    /// Compute units that its instructions would take together.
    pub compute_units: u64,
    /// What the programs would log.
    pub logs: Vec<String>,
    /// What programs would invoke, by instruction.
    pub inner_instructions: InnerInstructionsList,
    /// What the last program would return, and which.
    pub return_data: Option<(Address, Vec<u8>)>,
    /// What the payer would pay.
    pub fee_lamports: u64,
    /// The writable accounts as they would be; empty where it would fail.
    pub after: Vec<(Address, AccountSharedData)>,
    /// Every address that it names, as in an [`Execution`].
    pub addresses: Vec<Address>,
    /// How many of them lookup tables gave: writable, read-only.
    pub loaded: (usize, usize),
    /// The accounts at these addresses as they are.
    pub before: Vec<Option<AccountSharedData>>,
    /// Bytes that it loads: of accounts, of programs, of lookup tables.
    pub loaded_bytes: u64,
}

impl Simulation {
    /// One that was not even begun.
    pub fn refused(error: TransactionError) -> Self {
        Self {
            result: Err(error),
            compute_units: 0,
            logs: Vec::new(),
            inner_instructions: Vec::new(),
            return_data: None,
            fee_lamports: 0,
            after: Vec::new(),
            addresses: Vec::new(),
            loaded: (0, 0),
            before: Vec::new(),
            loaded_bytes: 0,
        }
    }
}

/// Whether a transaction is well-formed and everyone has signed who must.
pub(crate) fn signatures(transaction: &VersionedTransaction) -> Result<(), TransactionError> {
    transaction.sanitize().map_err(|_| TransactionError::SanitizeFailure)?;
    if transaction.verify_with_results().contains(&false) {
        return Err(TransactionError::SignatureFailure);
    }
    Ok(())
}

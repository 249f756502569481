//! What can go wrong, and what the program said about it.

use crate::MAX_TRANSACTION_BYTES;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_instruction::error::InstructionError;
use solana_signature::Signature;
use solana_transaction_error::TransactionError;
use std::path::PathBuf;

/// Why a ledger did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The transaction does not fit a packet.
    #[error(
        "the transaction takes at least {transaction_bytes} bytes, and Solana carries {MAX_TRANSACTION_BYTES}; \
         split its instructions over several transactions"
    )]
    TooLarge {
        /// Its serialized size, or the part of it that alone is too large.
        transaction_bytes: usize,
    },
    /// An instruction asks for a signature that nobody can give.
    #[error("the transaction needs the signature of {address}, whose key is not among the signers")]
    MissingSigner {
        /// Who must sign.
        address: Address,
    },
    /// A program refused with an error code of its own.
    #[error("instruction {instruction_index} was refused with error {code:#x}")]
    Custom {
        /// The program's error code.
        code: u32,
        /// Which instruction of the transaction, from 0.
        instruction_index: u8,
        /// What the transaction took and logged.
        failure: Box<Failure>,
    },
    /// The transaction failed for a reason that is not a program's own code.
    #[error("the transaction failed: {source}")]
    Transaction {
        /// The chain's reason.
        source: TransactionError,
        /// What the transaction took and logged.
        failure: Box<Failure>,
    },
    /// The program's binary cannot be loaded.
    #[error("the program binary for {program_id} does not load: {reason}; build it again with programs/sip/build")]
    Program {
        /// Where it was to stand.
        program_id: Address,
        /// The loader's reason.
        reason: String,
    },
    /// Genesis may not write an account that the runtime owns.
    #[error("account {address} belongs to the runtime and cannot be written")]
    RuntimeAccount {
        /// The account.
        address: Address,
    },
    /// More lamports than 64 bits hold.
    #[error("{address} would hold more lamports than 64 bits count")]
    LamportOverflow {
        /// Who was to receive them.
        address: Address,
    },
    /// The slot would pass the last one.
    #[error("slot {slot} plus {slots} does not fit 64 bits")]
    EndOfTime {
        /// The current slot.
        slot: u64,
        /// How many were to pass.
        slots: u64,
    },
    /// A buffer for a program's code cannot be used.
    #[error(transparent)]
    Buffer(#[from] crate::loader::BufferError),
    /// A chain elsewhere did not do its part.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The accounts on disk could not be written or read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl LedgerError {
    /// The error of a transaction that was sent and failed.
    pub fn failed(error: TransactionError, failure: Failure) -> Self {
        let failure = Box::new(failure);
        match error {
            TransactionError::InstructionError(instruction_index, InstructionError::Custom(code)) => {
                Self::Custom { code, instruction_index, failure }
            }
            source => Self::Transaction { source, failure },
        }
    }

    /// The program's own error code, where it refused with one.
    pub fn custom_code(&self) -> Option<u32> {
        match self {
            Self::Custom { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The program whose own error code a [`LedgerError::Custom`] is: the innermost that failed, by the logs; where they are missing, that of
    /// the instruction among those that were sent.
    pub fn raised_by(&self, instructions: &[Instruction]) -> Option<Address> {
        let Self::Custom { instruction_index, .. } = self else { return None };
        // What a program says itself begins with "Program log: ", whose next word is no address.
        let failed = |line: &String| line.strip_prefix("Program ")?.split_once(" failed: ")?.0.parse().ok();
        let by_logs = self.logs().iter().find_map(failed);
        by_logs.or_else(|| instructions.get(usize::from(*instruction_index)).map(|instruction| instruction.program_id))
    }

    /// What the failed transaction took and logged, where one was sent.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Custom { failure, .. } | Self::Transaction { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// What the failed transaction logged; empty where none was sent.
    pub fn logs(&self) -> &[String] {
        self.failure().map_or(&[], |failure| &failure.logs)
    }
}

/// What a failed transaction took and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The payer's signature.
    pub signature: Signature,
    /// Compute units until it failed.
    pub compute_units: u64,
    /// What the programs logged, and the virtual machine about them.
    pub logs: Vec<String>,
    /// What the payer paid nevertheless; 0 where nothing was executed.
    pub fee_lamports: u64,
    /// Its serialized size.
    pub transaction_bytes: usize,
}

/// Why a chain elsewhere could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address of the endpoint is none.
    #[error(
        "\"{url}\" is no address of an RPC endpoint; give one like http://127.0.0.1:8899, or localhost, devnet, testnet or mainnet"
    )]
    Url {
        /// What was given.
        url: String,
    },
    /// Nobody answers.
    #[error("cannot reach {url} after {attempts} attempts: {reason}; check the address and that the chain runs")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// The last attempt's reason.
        reason: String,
    },
    /// The endpoint answers with an error.
    #[error("{url} refused {method} with error {code}: {message}")]
    Refused {
        /// The endpoint.
        url: String,
        /// What was asked.
        method: &'static str,
        /// The error code of JSON-RPC or of Solana.
        code: i64,
        /// The endpoint's words.
        message: String,
    },
    /// The answer is not what Solana's interface promises.
    #[error("{url} answered {method} with something else than was expected: {reason}")]
    Answer {
        /// The endpoint.
        url: String,
        /// What was asked.
        method: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The block hash ran out before the transaction was seen.
    #[error(
        "transaction {signature} was sent to {url}, and its block hash expired before it was confirmed; \
         it cannot be executed any more, send it again"
    )]
    Expired {
        /// The endpoint.
        url: String,
        /// The transaction.
        signature: Signature,
    },
    /// Nobody knows what became of a transaction.
    #[error(
        "transaction {signature} was sent, and {url} stopped answering before it was confirmed; \
         look it up before sending again: {reason}"
    )]
    Unknown {
        /// The endpoint.
        url: String,
        /// The transaction.
        signature: Signature,
        /// Why the endpoint could not be asked.
        reason: String,
    },
}

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system's error.
    #[error("cannot {action} the ledger snapshot {path}: {source}")]
    File {
        /// "read" or "write".
        action: &'static str,
        /// The snapshot.
        path: PathBuf,
        /// The file system's reason.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a ledger snapshot")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another version.
    #[error(
        "the ledger snapshot {path} has format {found}, and this build reads format {expected}; start a new ledger"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that this build reads.
        expected: u32,
    },
    /// The bytes do not match their checksum.
    #[error("the ledger snapshot {path} is damaged or cut short; restore the file or start a new ledger")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The accounts belong to a program at another address.
    #[error("the ledger snapshot {path} is of program {found}, not of {expected}")]
    OtherProgram {
        /// The file.
        path: PathBuf,
        /// The program that the snapshot was taken with.
        found: Address,
        /// The program that was asked for.
        expected: Address,
    },
    /// The accounts were written by another build of the program, whose layouts may differ.
    #[error(
        "the ledger snapshot {path} was taken with another build of the program; \
         go on with the build that wrote it or start a new ledger"
    )]
    OtherBuild {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_belongs_to_the_innermost_program_that_failed() {
        let [outer, inner] = [7, 8].map(|byte| Address::new_from_array([byte; 32]));
        let failed = |logs: &[String]| {
            let failure = Failure {
                signature: Signature::default(),
                compute_units: 0,
                logs: logs.to_vec(),
                fee_lamports: 0,
                transaction_bytes: 0,
            };
            LedgerError::failed(TransactionError::InstructionError(1, InstructionError::Custom(1)), failure)
        };
        let sent = [outer, outer].map(|program| Instruction::new_with_bytes(program, &[], Vec::new()));
        let logs = [
            format!("Program {outer} invoke [1]"),
            format!("Program log: Program {outer} failed: custom program error: 0x1"),
            format!("Program {inner} invoke [2]"),
            format!("Program {inner} failed: custom program error: 0x1"),
            format!("Program {outer} failed: custom program error: 0x1"),
        ];
        assert_eq!(failed(&logs).raised_by(&sent), Some(inner));
        assert_eq!(failed(&logs[..3]).raised_by(&sent), Some(outer));
        assert_eq!(failed(&[]).raised_by(&[]), None);
        let other = LedgerError::EndOfTime { slot: 0, slots: 0 };
        assert_eq!(other.raised_by(&sent), None);
    }
}

//! A Solana virtual machine in this process.

use crate::snapshot::State;
use crate::transaction::sign;
use crate::{Failure, Ledger, LedgerError, Receipt, SnapshotError, Statistics};
use litesvm::LiteSVM;
use sha2::{Digest, Sha256};
use solana_account::Account;
use solana_address::Address;
use solana_clock::Clock;
use solana_epoch_schedule::EpochSchedule;
use solana_hash::Hash;
use solana_instruction::{Instruction, error::InstructionError};
use solana_keypair::Keypair;
use solana_sdk_ids::{
    bpf_loader, bpf_loader_deprecated, bpf_loader_upgradeable, config, feature, loader_v4, native_loader,
    system_program, sysvar,
};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_slot_hashes::SlotHashes;
use solana_transaction_error::TransactionError;
use std::path::Path;

/// The slot of a new ledger. Before it lies one full window of slot hashes.
pub const FIRST_SLOT: u64 = SLOT_HASHES as u64;

/// Slot hashes that a program can look up.
const SLOT_HASHES: usize = 512;
/// Solana's targeted pace.
const SLOT_MILLISECONDS: u128 = 400;
/// What the clock says at slot 0: 2026-01-01 00:00 UTC.
const GENESIS_UNIX_SECONDS: i64 = 1_767_225_600;

/// Owners of the accounts that the virtual machine brings along: programs, system variables, features.
const RUNTIME_OWNERS: [Address; 8] = [
    native_loader::ID,
    bpf_loader_deprecated::ID,
    bpf_loader::ID,
    bpf_loader_upgradeable::ID,
    loader_v4::ID,
    sysvar::ID,
    feature::ID,
    config::ID,
];

/// One program on a Solana virtual machine in this process, beside the system and the SPL token program.
///
/// Each transaction gets a block hash of its own, from a chain over all signatures so far: a transaction sent twice is two
/// transactions, and equal histories give equal signatures. Slot hashes come from the same chain.
pub struct Embedded {
    vm: LiteSVM,
    program_id: Address,
    program_hash: [u8; 32],
    /// Hash over the signatures of all executed transactions.
    entropy: [u8; 32],
    slot: u64,
    /// Newest first, at most [`SLOT_HASHES`].
    slot_hashes: Vec<(u64, [u8; 32])>,
    /// Lamports that genesis and airdrops brought into being.
    issued_lamports: u64,
    statistics: Statistics,
}

impl Embedded {
    /// A new ledger at [`FIRST_SLOT`] with a program's binary at its address, and no other account that anyone could own.
    ///
    /// # Errors
    /// [`LedgerError::Program`] where the virtual machine's loader refuses the binary.
    pub fn new(program_id: Address, program_elf: &[u8]) -> Result<Self, LedgerError> {
        // `LiteSVM::new` would add a faucet with a random key. Block hashes are checked by no one but us.
        let mut vm = LiteSVM::default()
            .with_mainnet_features()
            .with_builtins()
            .with_sysvars()
            .with_feature_accounts()
            .with_sigverify(true)
            .with_blockhash_check(false)
            .with_transaction_history(0);
        // A program is usable from the slot that it is loaded in.
        vm.set_sysvar(&Clock::default());
        let mut vm = vm.with_default_programs();
        vm.add_program(program_id, program_elf)
            .map_err(|error| LedgerError::Program { program_id, reason: error.to_string() })?;
        let mut ledger = Self {
            vm,
            program_id,
            program_hash: Sha256::digest(program_elf).into(),
            entropy: chain(&[b"genesis", program_id.as_array()]),
            slot: 0,
            slot_hashes: Vec::new(),
            issued_lamports: 0,
            statistics: Statistics::default(),
        };
        ledger.advance_slots(FIRST_SLOT)?;
        Ok(ledger)
    }

    /// The address of the program that the ledger was made for.
    pub fn program_id(&self) -> Address {
        self.program_id
    }

    /// Brings new lamports into being at an address.
    ///
    /// # Errors
    /// [`LedgerError::LamportOverflow`] where the account or all accounts together would hold more than 64 bits count,
    /// [`LedgerError::RuntimeAccount`] where the address is the runtime's.
    pub fn airdrop(&mut self, address: &Address, lamports: u64) -> Result<(), LedgerError> {
        let mut account =
            self.account(address).unwrap_or_else(|| Account { owner: system_program::ID, ..Account::default() });
        account.lamports =
            account.lamports.checked_add(lamports).ok_or(LedgerError::LamportOverflow { address: *address })?;
        self.set_account(*address, account)
    }

    /// Writes an account as it is, without any transaction: for genesis, and for tests that need an account which no
    /// program would write. An account without lamports is removed.
    ///
    /// # Errors
    /// [`LedgerError::RuntimeAccount`] where the account is or would become the runtime's,
    /// [`LedgerError::LamportOverflow`] where all accounts together would hold more than 64 bits count.
    pub fn set_account(&mut self, address: Address, account: Account) -> Result<(), LedgerError> {
        let old = self.account(&address);
        let is_runtime = |account: &Account| account.executable || RUNTIME_OWNERS.contains(&account.owner);
        if is_runtime(&account) || old.as_ref().is_some_and(is_runtime) {
            return Err(LedgerError::RuntimeAccount { address });
        }
        let issued_lamports = (self.issued_lamports.checked_sub(old.map_or(0, |old| old.lamports)))
            .and_then(|others| others.checked_add(account.lamports))
            .ok_or(LedgerError::LamportOverflow { address })?;
        self.vm.set_account(address, account).map_err(|_| LedgerError::RuntimeAccount { address })?;
        self.issued_lamports = issued_lamports;
        Ok(())
    }

    /// All accounts but the runtime's own (programs, system variables, features), ordered by address.
    pub fn accounts(&self) -> Vec<(Address, Account)> {
        let mut accounts: Vec<(Address, Account)> = (self.vm.accounts_db().inner.iter())
            .map(|(address, account)| (*address, Account::from(account.clone())))
            .filter(|(_, account)| !RUNTIME_OWNERS.contains(&account.owner))
            .collect();
        accounts.sort_unstable_by_key(|(address, _)| *address);
        accounts
    }

    /// Lamports that genesis and airdrops brought into being. At any time it equals the lamports of
    /// [`Self::accounts`] and all fees together.
    pub fn issued_lamports(&self) -> u64 {
        self.issued_lamports
    }

    /// Writes the whole state to a file, which holds the old state or the new one whenever the process dies.
    ///
    /// # Errors
    /// [`SnapshotError::File`] of the file system.
    pub fn snapshot(&self, path: &Path) -> Result<(), SnapshotError> {
        let state = State {
            program_id: self.program_id,
            program_hash: self.program_hash,
            slot: self.slot,
            entropy: self.entropy,
            issued_lamports: self.issued_lamports,
            statistics: self.statistics,
            slot_hashes: self.slot_hashes.clone(),
            accounts: self.accounts(),
        };
        state.write(path)
    }

    /// The ledger that wrote a snapshot, for the same program: what follows is what would have followed there, bit for
    /// bit.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] where the file cannot be read, is damaged, or is of another program or another build of
    /// it; [`LedgerError::Program`] as in [`Self::new`].
    pub fn restore(path: &Path, program_id: Address, program_elf: &[u8]) -> Result<Self, LedgerError> {
        let state = State::read(path)?;
        if state.program_id != program_id {
            let path = path.into();
            return Err(SnapshotError::OtherProgram { path, found: state.program_id, expected: program_id }.into());
        }
        let mut ledger = Self::new(program_id, program_elf)?;
        if state.program_hash != ledger.program_hash {
            return Err(SnapshotError::OtherBuild { path: path.into() }.into());
        }
        for (address, account) in state.accounts {
            ledger.set_account(address, account)?;
        }
        ledger.slot = state.slot;
        ledger.entropy = state.entropy;
        ledger.slot_hashes = state.slot_hashes;
        ledger.issued_lamports = state.issued_lamports;
        ledger.statistics = state.statistics;
        ledger.publish_slot();
        Ok(ledger)
    }

    /// Shows programs the slot, its time and the hashes of the slots before it.
    fn publish_slot(&mut self) {
        let schedule: EpochSchedule = self.vm.get_sysvar();
        let epoch = schedule.get_epoch(self.slot);
        self.vm.set_sysvar(&Clock {
            slot: self.slot,
            epoch_start_timestamp: unix_seconds(schedule.get_first_slot_in_epoch(epoch)),
            epoch,
            leader_schedule_epoch: schedule.get_leader_schedule_epoch(self.slot),
            unix_timestamp: unix_seconds(self.slot),
        });
        let hashes: Vec<(u64, Hash)> =
            self.slot_hashes.iter().map(|(slot, hash)| (*slot, Hash::new_from_array(*hash))).collect();
        self.vm.set_sysvar(&SlotHashes::new(&hashes));
    }

    /// Counts an executed transaction, and lets it change all hashes to come.
    fn record(&mut self, signature: &Signature, compute_units: u64, transaction_bytes: usize, fee_lamports: u64) {
        self.entropy = chain(&[b"transaction", &self.entropy, signature.as_ref()]);
        self.statistics.compute_units += compute_units;
        self.statistics.transaction_bytes += transaction_bytes as u64;
        self.statistics.fee_lamports += fee_lamports;
    }
}

impl Ledger for Embedded {
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError> {
        let blockhash = Hash::new_from_array(chain(&[b"block", &self.entropy]));
        let (transaction, transaction_bytes) = sign(instructions, payer, signers, blockhash)?;
        let payer_address = payer.pubkey();
        let payer_lamports = self.vm.get_balance(&payer_address).unwrap_or(0);
        match self.vm.send_transaction(transaction) {
            Ok(meta) => {
                self.record(&meta.signature, meta.compute_units_consumed, transaction_bytes, meta.fee);
                self.statistics.transactions += 1;
                Ok(Receipt {
                    signature: meta.signature,
                    compute_units: meta.compute_units_consumed,
                    logs: meta.logs,
                    fee_lamports: meta.fee,
                    transaction_bytes,
                    slot: self.slot,
                })
            }
            Err(failed) => {
                // The fee is the only thing that a failed transaction can take; one refused before its
                // execution takes nothing and leaves no trace.
                let fee_lamports = payer_lamports.saturating_sub(self.vm.get_balance(&payer_address).unwrap_or(0));
                let failure = Box::new(Failure {
                    signature: failed.meta.signature,
                    compute_units: failed.meta.compute_units_consumed,
                    logs: failed.meta.logs,
                    fee_lamports,
                    transaction_bytes,
                });
                if fee_lamports > 0 {
                    self.record(&failure.signature, failure.compute_units, transaction_bytes, fee_lamports);
                    self.statistics.failed_transactions += 1;
                }
                Err(match failed.err {
                    TransactionError::InstructionError(instruction_index, InstructionError::Custom(code)) => {
                        LedgerError::Custom { code, instruction_index, failure }
                    }
                    source => LedgerError::Transaction { source, failure },
                })
            }
        }
    }

    fn account(&self, address: &Address) -> Option<Account> {
        self.vm.get_account(address)
    }

    fn program_accounts(&self, program_id: &Address) -> Vec<(Address, Account)> {
        let mut accounts = self.vm.get_program_accounts(program_id);
        accounts.sort_unstable_by_key(|(address, _)| *address);
        accounts
    }

    fn slot(&self) -> u64 {
        self.slot
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        let end = self.slot.checked_add(slots).ok_or(LedgerError::EndOfTime { slot: self.slot, slots })?;
        // No one sees the hashes of slots that have left the window.
        for slot in self.slot.max(end.saturating_sub(SLOT_HASHES as u64))..end {
            self.slot_hashes.insert(0, (slot, chain(&[b"slot", &self.entropy, &slot.to_le_bytes()])));
        }
        self.slot_hashes.truncate(SLOT_HASHES);
        self.slot = end;
        self.publish_slot();
        Ok(())
    }

    fn minimum_balance(&self, data_bytes: usize) -> u64 {
        self.vm.minimum_balance_for_rent_exemption(data_bytes)
    }

    fn statistics(&self) -> Statistics {
        self.statistics
    }
}

/// Sha256 over a purpose and its inputs. Every purpose has inputs of fixed lengths, so no two inputs share their bytes.
fn chain(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new_with_prefix(b"sip embedded ledger: ");
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The time of a slot, in seconds since 1970.
fn unix_seconds(slot: u64) -> i64 {
    let since_genesis = u128::from(slot) * SLOT_MILLISECONDS / 1000;
    i64::try_from(since_genesis).map_or(i64::MAX, |seconds| GENESIS_UNIX_SECONDS.saturating_add(seconds))
}

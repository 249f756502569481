//! A Solana virtual machine in this process.

use crate::Features;
use crate::execution::{Execution, Simulation, signatures};
use crate::snapshot::State;
use crate::{nonce, precompiles};
use litesvm::LiteSVM;
use litesvm::types::TransactionMetadata;
use sha2::{Digest, Sha256};
use sip_ledger::loader::{self, AUTHORITY_OFFSET, program_data};
use sip_ledger::{Ledger, LedgerError, Receipt, SnapshotError, Statistics, sign, token_amount};
use solana_account::{Account, AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_clock::Clock;
use solana_epoch_schedule::EpochSchedule;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{AddressLoader, VersionedMessage};
use solana_sdk_ids::{
    bpf_loader, bpf_loader_deprecated, bpf_loader_upgradeable, config, feature, loader_v4, native_loader,
    system_program, sysvar,
};
use solana_signature::Signature;
use solana_slot_hashes::SlotHashes;
use solana_transaction::versioned::VersionedTransaction;
use std::collections::BTreeMap;
use std::path::Path;

/// The slot of a new ledger. Before it lies one full window of slot hashes.
pub const FIRST_SLOT: u64 = SLOT_HASHES as u64;

/// Slot hashes that a program can look up.
const SLOT_HASHES: usize = 512;
/// Solana's targeted pace.
const SLOT_MILLISECONDS: u128 = 400;
/// What an account counts beside its data, and what a lookup table counts, where a transaction's loaded bytes are counted.
const ACCOUNT_BASE_BYTES: usize = 64;
const LOOKUP_TABLE_BYTES: usize = 8_248;
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

/// How a ledger begins.
#[derive(Debug, Clone, Copy)]
pub struct Genesis<'a> {
    /// The program's address.
    pub program_id: Address,
    /// Its binary.
    pub program_elf: &'a [u8],
    /// The wallet that deployed the program and may upgrade it, as its data account under loader v3 says.
    pub upgrade_authority: Option<Address>,
    /// Whose rules the virtual machine has.
    pub features: Features,
    /// Ledgers of different names share no block hash, so a transaction that was signed for one is worth nothing on another.
    pub name: &'a [u8],
}

impl<'a> Genesis<'a> {
    /// A program that nobody can upgrade, under mainnet's rules.
    pub fn new(program_id: Address, program_elf: &'a [u8]) -> Self {
        Self { program_id, program_elf, upgrade_authority: None, features: Features::default(), name: b"" }
    }

    /// The same program with an upgrade authority.
    #[must_use]
    pub fn deployed_by(self, authority: Address) -> Self {
        Self { upgrade_authority: Some(authority), ..self }
    }
}

/// One program on a Solana virtual machine in this process, beside the system and the SPL token program.
///
/// Each transaction gets a block hash of its own, from a chain over all signatures so far: a transaction sent twice is two
/// transactions, and equal histories give equal signatures. Slot hashes come from the same chain.
///
/// A clone is a ledger of its own with the same history, from which it goes its own way.
#[derive(Clone)]
pub struct Embedded {
    vm: LiteSVM,
    program_id: Address,
    program_hash: [u8; 32],
    /// As the ledger began; the program's data account says who it is now.
    upgrade_authority: Option<Address>,
    features: Features,
    /// Hash over the signatures of all executed transactions.
    entropy: [u8; 32],
    slot: u64,
    /// Newest first, at most [`SLOT_HASHES`].
    slot_hashes: Vec<(u64, [u8; 32])>,
    /// What programs see as the time of the slot, in seconds since 1970.
    unix_seconds: i64,
    /// Lamports that genesis and airdrops brought into being.
    issued_lamports: u64,
    statistics: Statistics,
    /// The runtime's accounts as they are before the first transaction. What comes later or differs was deployed, or paid to.
    builtin: BTreeMap<Address, AccountSharedData>,
}

impl Embedded {
    /// A new ledger with a program that nobody can upgrade, and no other account that anyone could own.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn new(program_id: Address, program_elf: &[u8]) -> Result<Self, LedgerError> {
        Self::begin(&Genesis::new(program_id, program_elf))
    }

    /// A new ledger at [`FIRST_SLOT`].
    ///
    /// # Errors
    /// [`LedgerError::Program`] where the virtual machine's loader refuses the binary.
    pub fn begin(genesis: &Genesis) -> Result<Self, LedgerError> {
        let &Genesis { program_id, program_elf, upgrade_authority, features, name } = genesis;
        let refused =
            |error: litesvm::error::LiteSVMError| LedgerError::Program { program_id, reason: error.to_string() };
        // `LiteSVM::new` would add a faucet with a random key. Signatures and block hashes are checked by no one but us.
        let mut vm = LiteSVM::default()
            .with_feature_set(features.set())
            .with_builtins()
            .with_sysvars()
            .with_feature_accounts()
            .with_sigverify(false)
            .with_blockhash_check(false)
            .with_transaction_history(0);
        // A program is usable from the slot that it is loaded in.
        vm.set_sysvar(&Clock::default());
        precompiles::add(&mut vm).map_err(refused)?;
        let mut vm = vm.with_default_programs();
        vm.add_program(program_id, program_elf).map_err(refused)?;
        if let (Some(authority), Some(mut code)) = (upgrade_authority, vm.get_account(&program_data(&program_id))) {
            code.data[AUTHORITY_OFFSET - 1] = 1;
            code.data[AUTHORITY_OFFSET..AUTHORITY_OFFSET + 32].copy_from_slice(authority.as_array());
            vm.set_account(program_data(&program_id), code).map_err(refused)?;
        }
        let mut ledger = Self {
            vm,
            program_id,
            program_hash: Sha256::digest(program_elf).into(),
            upgrade_authority,
            features,
            entropy: chain(&[b"genesis", program_id.as_array(), name]),
            slot: 0,
            slot_hashes: Vec::new(),
            unix_seconds: unix_seconds(0),
            issued_lamports: 0,
            statistics: Statistics::default(),
            builtin: BTreeMap::new(),
        };
        ledger.builtin = (ledger.vm.accounts_db().inner.iter())
            .filter(|(_, account)| RUNTIME_OWNERS.contains(account.owner()))
            .map(|(address, account)| (*address, account.clone()))
            .collect();
        ledger.advance_slots(FIRST_SLOT)?;
        Ok(ledger)
    }

    /// One more program beside that of [`Self::new`], which nobody can upgrade.
    ///
    /// # Errors
    /// [`LedgerError::Program`] where the loader refuses the binary, [`LedgerError::RuntimeAccount`] where something
    /// stands at the address already.
    pub fn add_program(&mut self, program_id: Address, program_elf: &[u8]) -> Result<(), LedgerError> {
        if self.account(&program_id).is_some() {
            return Err(LedgerError::RuntimeAccount { address: program_id });
        }
        self.vm
            .add_program(program_id, program_elf)
            .map_err(|error| LedgerError::Program { program_id, reason: error.to_string() })
    }

    /// Puts programs of another genesis in the place of those that the virtual machine brings along, each with the account of its code.
    ///
    /// # Errors
    /// [`LedgerError::Program`] where the loader refuses one.
    pub fn set_programs(&mut self, mut accounts: Vec<(Address, Account)>) -> Result<(), LedgerError> {
        // A program is loaded from its code, which has to be there.
        accounts.sort_by_key(|(_, account)| account.executable);
        for (program_id, account) in accounts {
            let set = self.vm.set_account(program_id, account);
            set.map_err(|error| LedgerError::Program { program_id, reason: error.to_string() })?;
        }
        Ok(())
    }

    /// Executes a transaction that someone has signed.
    ///
    /// Its signatures are verified. Its block hash is not: which block hashes are recent, and whether the transaction has been
    /// executed before, is for the caller to know. One that is refused before its execution leaves no trace.
    pub fn execute(&mut self, transaction: VersionedTransaction, transaction_bytes: usize) -> Execution {
        if let Err(error) = signatures(&transaction) {
            return Execution::refused(error, transaction_bytes, self.slot);
        }
        let (addresses, loaded) = self.addresses(&transaction.message);
        let shared = |vm: &LiteSVM| -> Vec<Option<AccountSharedData>> {
            addresses.iter().map(|address| vm.accounts_db().get_account(address)).collect()
        };
        let before = shared(&self.vm);
        let tables = transaction.message.address_table_lookups().map_or(0, <[_]>::len);
        let loaded_bytes = self.loaded_bytes(&before, tables);
        let nonce = nonce::used(&transaction.message, |address| self.shared_account(address));
        let (result, meta) = match self.vm.send_transaction(transaction) {
            Ok(meta) => (Ok(()), meta),
            Err(failed) => (Err(failed.err), failed.meta),
        };
        // Only what was executed carries its signature.
        if meta.signature == Signature::default() {
            let error = result.err().unwrap_or(solana_transaction_error::TransactionError::SanitizeFailure);
            return Execution { logs: meta.logs, ..Execution::refused(error, transaction_bytes, self.slot) };
        }
        // A nonce is used up by a transaction that fails, too.
        if let Some(used) = nonce.filter(|_| result.is_err()) {
            let account = self.shared_account(&used.address).and_then(|account| used.advanced(account));
            // No program's account: nothing to refuse.
            let _ = account.map(|account| self.vm.set_account(used.address, account.into()));
        }
        let TransactionMetadata { signature, mut logs, inner_instructions, compute_units_consumed, return_data, fee } =
            meta;
        let hushed = precompiles::hush(&mut logs);
        let execution = Execution {
            signature,
            result,
            executed: true,
            compute_units: compute_units_consumed.saturating_sub(hushed),
            logs,
            inner_instructions,
            return_data: (!return_data.data.is_empty()).then_some((return_data.program_id, return_data.data)),
            fee_lamports: fee,
            transaction_bytes,
            slot: self.slot,
            after: shared(&self.vm),
            before,
            addresses,
            loaded,
            loaded_bytes,
        };
        self.record(&execution);
        execution
    }

    /// What a transaction would do now, without doing it. Its block hash is not looked at, its signatures where
    /// `verify_signatures` says so.
    pub fn simulate(&self, transaction: VersionedTransaction, verify_signatures: bool) -> Simulation {
        if verify_signatures && let Err(error) = signatures(&transaction) {
            return Simulation::refused(error);
        }
        let (addresses, loaded) = self.addresses(&transaction.message);
        let before: Vec<_> = addresses.iter().map(|address| self.shared_account(address)).collect();
        let tables = transaction.message.address_table_lookups().map_or(0, <[_]>::len);
        let loaded_bytes = self.loaded_bytes(&before, tables);
        let (result, mut meta, after) = match self.vm.simulate_transaction(transaction) {
            Ok(info) => (Ok(()), info.meta, info.post_accounts),
            Err(failed) => (Err(failed.err), failed.meta, Vec::new()),
        };
        let hushed = precompiles::hush(&mut meta.logs);
        Simulation {
            result,
            compute_units: meta.compute_units_consumed.saturating_sub(hushed),
            logs: meta.logs,
            inner_instructions: meta.inner_instructions,
            return_data: (!meta.return_data.data.is_empty())
                .then_some((meta.return_data.program_id, meta.return_data.data)),
            fee_lamports: meta.fee,
            after,
            addresses,
            loaded,
            before,
            loaded_bytes,
        }
    }

    /// A simulation that does not begin for a reason that the caller knows, with the accounts that it names.
    pub fn unbegun(&self, message: &VersionedMessage, error: solana_transaction_error::TransactionError) -> Simulation {
        let (addresses, loaded) = self.addresses(message);
        let before = addresses.iter().map(|address| self.shared_account(address)).collect();
        Simulation { addresses, loaded, before, ..Simulation::refused(error) }
    }

    /// Bytes that a transaction loads: of each account, of the code of programs that can be upgraded, and of lookup tables.
    fn loaded_bytes(&self, accounts: &[Option<AccountSharedData>], tables: usize) -> u64 {
        let mut bytes = tables * LOOKUP_TABLE_BYTES;
        for account in accounts.iter().flatten() {
            bytes += ACCOUNT_BASE_BYTES + account.data().len();
            if let Some(code) =
                loader::code_of(account.owner(), account.data()).and_then(|code| self.shared_account(&code))
            {
                bytes += ACCOUNT_BASE_BYTES + code.data().len();
            }
        }
        bytes as u64
    }

    /// The nonce account whose value stands in the place of a message's block hash, if its authority has signed.
    pub fn durable_nonce(&self, message: &VersionedMessage) -> Option<Address> {
        nonce::used(message, |address| self.shared_account(address)).map(|used| used.address)
    }

    /// All addresses that a message names, in the order in which instructions count them, and how many of them come from
    /// lookup tables: writable, then read-only. A lookup that fails names none; execution then refuses.
    fn addresses(&self, message: &VersionedMessage) -> (Vec<Address>, (usize, usize)) {
        let mut addresses = message.static_account_keys().to_vec();
        let lookups = message.address_table_lookups().unwrap_or(&[]);
        let loaded = self.vm.accounts_db().load_addresses(lookups).unwrap_or_default();
        addresses.extend_from_slice(&loaded.writable);
        addresses.extend_from_slice(&loaded.readonly);
        (addresses, (loaded.writable.len(), loaded.readonly.len()))
    }

    /// The account at an address, if there is one.
    pub fn account(&self, address: &Address) -> Option<Account> {
        self.vm.get_account(address)
    }

    /// The account at an address without a copy of its data.
    pub fn shared_account(&self, address: &Address) -> Option<AccountSharedData> {
        self.vm.accounts_db().get_account(address)
    }

    /// All accounts that a program owns, ordered by address.
    pub fn program_accounts(&self, program_id: &Address) -> Vec<(Address, Account)> {
        let mut accounts = self.vm.get_program_accounts(program_id);
        accounts.sort_unstable_by_key(|(address, _)| *address);
        accounts
    }

    /// All accounts that a program owns, ordered by address, without copies of their data.
    pub fn shared_program_accounts(&self, program_id: &Address) -> Vec<(Address, AccountSharedData)> {
        let mut accounts: Vec<_> = (self.vm.accounts_db().inner.iter())
            .filter(|(_, account)| account.owner() == program_id)
            .map(|(address, account)| (*address, account.clone()))
            .collect();
        accounts.sort_unstable_by_key(|(address, _)| *address);
        accounts
    }

    /// The current slot.
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// What programs see as the time of the current slot, in seconds since 1970.
    pub fn unix_seconds(&self) -> i64 {
        self.unix_seconds
    }

    /// The hashes of the slots before this one, newest first, at most 512. They serve as block hashes too.
    pub fn slot_hashes(&self) -> &[(u64, [u8; 32])] {
        &self.slot_hashes
    }

    /// How slots are counted in epochs.
    pub fn epoch_schedule(&self) -> EpochSchedule {
        self.vm.get_sysvar()
    }

    /// Hash over everything that was executed: two ledgers with one history have one.
    pub fn entropy(&self) -> [u8; 32] {
        self.entropy
    }

    /// Lamports that exempt an account of this many data bytes from rent.
    pub fn minimum_balance(&self, data_bytes: usize) -> u64 {
        self.vm.minimum_balance_for_rent_exemption(data_bytes)
    }

    /// What all transactions so far took.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// The amount in an SPL token account, in the mint's smallest unit; `None` where no token account is.
    pub fn token_balance(&self, address: &Address) -> Option<u64> {
        token_amount(&self.account(address)?)
    }

    /// Goes to a slot that is not before the current one, and says what time it is there; time does not go backwards.
    ///
    /// # Errors
    /// [`LedgerError::EndOfTime`] where the slot has passed.
    pub fn advance_to(&mut self, slot: u64, unix_seconds: i64) -> Result<(), LedgerError> {
        let slots = slot
            .checked_sub(self.slot)
            .ok_or(LedgerError::EndOfTime { slot: self.slot, slots: slot.wrapping_sub(self.slot) })?;
        self.unix_seconds = self.unix_seconds.max(unix_seconds);
        self.pass(slot, slots);
        Ok(())
    }

    /// Lets slots pass until `end`, and publishes it.
    fn pass(&mut self, end: u64, slots: u64) {
        // No one sees the hashes of slots that have left the window.
        let first = end - slots.min(SLOT_HASHES as u64);
        let hashes = (first..end).rev().map(|slot| (slot, chain(&[b"slot", &self.entropy, &slot.to_le_bytes()])));
        self.slot_hashes.splice(0..0, hashes);
        self.slot_hashes.truncate(SLOT_HASHES);
        self.slot = end;
        self.publish_slot();
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
        self.state().write(path)
    }

    /// What [`Self::snapshot`] writes.
    pub fn snapshot_bytes(&self) -> Vec<u8> {
        self.state().to_bytes()
    }

    fn state(&self) -> State {
        State {
            program_id: self.program_id,
            program_hash: self.program_hash,
            upgrade_authority: self.upgrade_authority,
            features: self.features,
            slot: self.slot,
            entropy: self.entropy,
            unix_seconds: self.unix_seconds,
            issued_lamports: self.issued_lamports,
            statistics: self.statistics,
            slot_hashes: self.slot_hashes.clone(),
            accounts: self.accounts(),
            programs: self.deployed(),
        }
    }

    /// The runtime's accounts that transactions have made or changed: programs that were deployed, those with code before
    /// those that point to it, and programs that someone has sent lamports to. System variables follow from the slot.
    fn deployed(&self) -> Vec<(Address, Account)> {
        let mut accounts: Vec<(Address, Account)> = (self.vm.accounts_db().inner.iter())
            .filter(|(_, account)| RUNTIME_OWNERS.contains(account.owner()) && *account.owner() != sysvar::ID)
            .filter(|(address, account)| self.builtin.get(*address) != Some(*account))
            .map(|(address, account)| (*address, Account::from(account.clone())))
            .collect();
        accounts.sort_unstable_by_key(|(address, account)| (account.executable, *address));
        accounts
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
        let State { upgrade_authority, features, .. } = state;
        let mut ledger = Self::begin(&Genesis { program_id, program_elf, upgrade_authority, features, name: b"" })?;
        if state.program_hash != ledger.program_hash {
            return Err(SnapshotError::OtherBuild { path: path.into() }.into());
        }
        for (address, account) in state.accounts {
            ledger.set_account(address, account)?;
        }
        for (address, account) in state.programs {
            ledger.set_runtime_account(address, account)?;
        }
        // One that was upgraded points to new code without a change of its own.
        if let Some(program) = ledger.account(&program_id) {
            ledger.set_runtime_account(program_id, program)?;
        }
        ledger.slot = state.slot;
        ledger.entropy = state.entropy;
        ledger.unix_seconds = state.unix_seconds;
        ledger.slot_hashes = state.slot_hashes;
        ledger.issued_lamports = state.issued_lamports;
        ledger.statistics = state.statistics;
        ledger.publish_slot();
        Ok(ledger)
    }

    fn set_runtime_account(&mut self, address: Address, account: Account) -> Result<(), LedgerError> {
        let refused = |reason| LedgerError::Program { program_id: address, reason };
        self.vm.set_account(address, account).map_err(|error| refused(error.to_string()))
    }

    /// Shows programs the slot, its time and the hashes of the slots before it.
    fn publish_slot(&mut self) {
        let schedule: EpochSchedule = self.vm.get_sysvar();
        let epoch = schedule.get_epoch(self.slot);
        self.vm.set_sysvar(&Clock {
            slot: self.slot,
            epoch_start_timestamp: unix_seconds(schedule.get_first_slot_in_epoch(epoch))
                .saturating_add(self.unix_seconds.saturating_sub(unix_seconds(self.slot))),
            epoch,
            leader_schedule_epoch: schedule.get_leader_schedule_epoch(self.slot),
            unix_timestamp: self.unix_seconds,
        });
        let hashes: Vec<(u64, Hash)> =
            self.slot_hashes.iter().map(|(slot, hash)| (*slot, Hash::new_from_array(*hash))).collect();
        self.vm.set_sysvar(&SlotHashes::new(&hashes));
    }

    /// Counts an executed transaction, and lets it change all hashes to come.
    fn record(&mut self, execution: &Execution) {
        self.entropy = chain(&[b"transaction", &self.entropy, execution.signature.as_ref()]);
        match execution.result {
            Ok(()) => self.statistics.transactions += 1,
            Err(_) => self.statistics.failed_transactions += 1,
        }
        self.statistics.compute_units += execution.compute_units;
        self.statistics.transaction_bytes += execution.transaction_bytes as u64;
        self.statistics.fee_lamports += execution.fee_lamports;
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
        self.execute(transaction, transaction_bytes).receipt()
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError> {
        Ok(self.account(address))
    }

    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError> {
        Ok(self.program_accounts(program_id))
    }

    fn slot(&self) -> Result<u64, LedgerError> {
        Ok(self.slot)
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        let end = self.slot.checked_add(slots).ok_or(LedgerError::EndOfTime { slot: self.slot, slots })?;
        // From where the time of the last slot was set, at Solana's pace.
        let shift = self.unix_seconds.saturating_sub(unix_seconds(self.slot));
        self.unix_seconds = unix_seconds(end).saturating_add(shift);
        self.pass(end, slots);
        Ok(())
    }

    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError> {
        Ok(self.minimum_balance(data_bytes))
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

//! The chain: the virtual machine, the log under it, and what has become of every transaction.

use crate::genesis::{Genesis, names};
use crate::history::{Entry, History};
use crate::hub::{Event, Hub, Stage};
use crate::log::{self, Log, segment_number, segment_path};
use crate::record::{Record, check};
use crate::{Limits, LocalnetError, meta};
use serde_json::Value;
use sip_svm::{Embedded, Execution, Simulation};
use solana_address::Address;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_hash::Hash;
use solana_message::{Message, VersionedMessage};
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// For how many slots a block hash is recent.
pub(crate) const BLOCKHASH_SLOTS: u64 = 150;
/// A lease is renewed when fewer slots than this are left of it, and then for three times that number.
const LEASE_SLOTS: u64 = 16;
/// Transactions of the last slots stay known whatever the limit on history says: their block hashes are recent.
const KEPT_SLOTS: u64 = 2 * BLOCKHASH_SLOTS;

/// A file of the log.
struct Segment {
    first: u64,
    bytes: u64,
}

/// How sure someone wants to be of what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commitment {
    /// The open slot counts.
    Processed,
    /// Closed slots count: they have blocks, and stand among the slot hashes.
    Confirmed,
    /// The same: nobody votes here.
    Finalized,
}

/// The chain. It lives behind one lock.
pub(crate) struct Chain {
    pub(crate) ledger: Embedded,
    pub(crate) genesis: Genesis,
    pub(crate) history: History,
    pub(crate) hub: Hub,
    limits: Limits,
    log: Log,
    /// All that exist, oldest first, the one that is written to last.
    segments: VecDeque<Segment>,
    /// No slot beyond this one is shown before another lease is logged.
    lease: u64,
    /// Bytes that this process has logged, and how many of them are on the disk.
    appended: u64,
    pub(crate) durable: u64,
    /// Transactions since the last snapshot was begun.
    unsaved: u64,
    /// Transactions that the snapshot on the disk covers.
    saved: u64,
    /// What subscribers hear as soon as it is on the disk.
    events: VecDeque<Event>,
    /// What is on the disk, and is told as confirmed when its slot closes.
    closing: VecDeque<Event>,
    /// Slots pass by themselves, so that what is to be confirmed can wait until its slot closes.
    pub(crate) has_clock: bool,
    /// Why nothing is executed any more: the log could not be written.
    pub(crate) halted: Option<String>,
}

/// Why a transaction was not executed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It would fail, or may not enter a block.
    Simulation(Box<Simulation>),
    /// It is not signed as it must be.
    Signature,
    /// The chain cannot log it.
    NotWritable(String),
}

/// What must be on the disk before someone is told.
pub(crate) struct Unsynced {
    pub(crate) file: Arc<File>,
    segment: u64,
    end: u64,
    appended: u64,
}

/// A state to be written to the disk.
pub(crate) struct Snapshot {
    pub(crate) bytes: Vec<u8>,
    /// How many transactions it covers.
    pub(crate) saved: u64,
}

impl Chain {
    /// The chain in a data directory: its snapshot, and the log replayed onto it.
    pub(crate) fn open(genesis: Genesis, limits: Limits) -> Result<Self, LocalnetError> {
        let folder = genesis.folder.clone();
        let mut ledger = Embedded::restore(&genesis.snapshot_path(), genesis.program_id, &genesis.program_elf)?;
        let saved = executed(&ledger);
        let mut firsts: Vec<u64> = names(&folder)?.iter().filter_map(|name| segment_number(name)).collect();
        firsts.sort_unstable();
        let missing = |number| LocalnetError::MissingLog { folder: folder.clone(), number };
        let mut history = History::starting_at(*firsts.first().ok_or_else(|| missing(saved))?);
        let mut segments = VecDeque::new();
        let mut lease = ledger.slot();
        let mut log = None;
        for (index, &first) in firsts.iter().enumerate() {
            let path = segment_path(&folder, first);
            let is_last = index + 1 == firsts.len();
            let scan = log::scan(&path, &genesis.hash, is_last)?;
            if scan.first != history.next() {
                return Err(missing(history.next()));
            }
            for &span in &scan.records {
                let damaged = |reason| LocalnetError::Damaged { path: path.clone(), offset: span.offset, reason };
                let payload = &scan.bytes[span.offset as usize..][..span.bytes as usize];
                match Record::decode(payload).ok_or_else(|| damaged("the record says nothing known"))? {
                    // The last one counts: an orderly end takes back what it did not need.
                    Record::Lease { slot, .. } if first >= saved => lease = slot,
                    Record::Lease { .. } => {}
                    Record::Transaction { slot, unix_seconds, check, wire, meta } => {
                        let number = history.next();
                        let transaction: VersionedTransaction =
                            wincode::deserialize(wire).map_err(|_| damaged("the transaction cannot be read"))?;
                        if number >= saved {
                            replay(&mut ledger, slot, unix_seconds, &transaction, wire, &check)
                                .ok_or_else(|| LocalnetError::Diverged { path: path.clone(), number })?;
                        }
                        let meta: Value =
                            sip_json::fields_from_slice(meta).map_err(|_| damaged("the result cannot be read"))?;
                        let error = Some(&meta["err"]).filter(|error| !error.is_null());
                        let entry = Entry {
                            signature: transaction.signatures[0],
                            slot,
                            unix_seconds,
                            error: error.map(|error| error.to_string().into()),
                            memo: meta::memo(&transaction.message),
                            segment: first,
                            span,
                            position: 0,
                        };
                        let loaded = ["writable", "readonly"].map(|kind| loaded_addresses(&meta, kind));
                        let addresses = transaction.message.static_account_keys();
                        history.add(entry, addresses.iter().chain(loaded.iter().flatten()));
                    }
                }
            }
            segments.push_back(Segment { first, bytes: scan.end });
            if is_last {
                log = Some(Log::open(path, &scan)?);
            }
        }
        let log = log.ok_or_else(|| missing(saved))?;
        if history.next() < saved {
            return Err(missing(history.next()));
        }
        let unix_seconds = ledger.unix_seconds();
        ledger.advance_to(lease.max(ledger.slot()), unix_seconds)?;
        Ok(Self {
            lease,
            unsaved: history.next() - saved,
            saved,
            ledger,
            genesis,
            history,
            hub: Hub::new(limits),
            limits,
            log,
            segments,
            appended: 0,
            durable: 0,
            events: VecDeque::new(),
            closing: VecDeque::new(),
            has_clock: false,
            halted: None,
        })
    }

    /// The newest slot that counts: the open one, or the last one that has closed. Where slots pass only when asked, the open
    /// one is as good, since it may never close.
    pub(crate) fn slot_of(&self, commitment: Commitment) -> u64 {
        match commitment {
            Commitment::Confirmed | Commitment::Finalized if self.has_clock => self.ledger.slot().saturating_sub(1),
            _ => self.ledger.slot(),
        }
    }

    /// The newest block hash, and the last block height at which it is recent.
    pub(crate) fn latest_blockhash(&self) -> (Hash, u64) {
        // A ledger begins with a full window of hashes.
        let (slot, hash) = self.ledger.slot_hashes().first().copied().unwrap_or_default();
        (Hash::new_from_array(hash), slot.saturating_add(BLOCKHASH_SLOTS))
    }

    pub(crate) fn is_recent(&self, blockhash: &Hash) -> bool {
        let hashes = self.ledger.slot_hashes();
        hashes[..hashes.len().min(BLOCKHASH_SLOTS as usize)].iter().any(|(_, hash)| hash == blockhash.as_bytes())
    }

    /// Whether a transaction may enter a block as far as its block hash and its history say.
    pub(crate) fn admit(&self, transaction: &VersionedTransaction) -> Result<(), TransactionError> {
        let message = &transaction.message;
        if !self.is_recent(message.recent_blockhash()) && self.ledger.durable_nonce(message).is_none() {
            return Err(TransactionError::BlockhashNotFound);
        }
        match transaction.signatures.first() {
            Some(signature) if self.history.number(signature).is_some() => Err(TransactionError::AlreadyProcessed),
            _ => Ok(()),
        }
    }

    /// What a transaction would do. The virtual machine has `unwrap`s that no transaction should
    /// reach; should one do so, it does here, without harm. So this comes before every execution.
    pub(crate) fn simulate(&self, transaction: VersionedTransaction) -> Result<Simulation, Refusal> {
        let keys = transaction.message.static_account_keys();
        let is_program_missing = transaction.message.instructions().iter().any(|instruction| {
            let program = keys.get(usize::from(instruction.program_id_index));
            program.is_some_and(|program| self.ledger.shared_account(program).is_none())
        });
        let simulate = || self.ledger.simulate(transaction.clone(), false);
        let simulated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(simulate));
        let mut simulation = simulated.map_err(|_| {
            Refusal::NotWritable("the virtual machine failed on this transaction; nothing was executed".into())
        })?;
        // The virtual machine does not tell the two apart.
        if simulation.result == Err(TransactionError::InvalidProgramForExecution) && is_program_missing {
            simulation.result = Err(TransactionError::ProgramAccountNotFound);
        }
        Ok(simulation)
    }

    /// Executes and logs a transaction. It counts once as many bytes are durable as this returns.
    pub(crate) fn submit(
        &mut self,
        transaction: VersionedTransaction,
        wire: &[u8],
        skip_preflight: bool,
    ) -> Result<u64, Refusal> {
        if let Some(reason) = &self.halted {
            return Err(Refusal::NotWritable(reason.clone()));
        }
        let refused = |error| Refusal::Simulation(Box::new(Simulation::refused(error)));
        if transaction.sanitize().is_err() || transaction.verify_with_results().contains(&false) {
            return Err(if skip_preflight { Refusal::Signature } else { refused(TransactionError::SignatureFailure) });
        }
        self.admit(&transaction).map_err(refused)?;
        let simulation = self.simulate(transaction.clone())?;
        if !skip_preflight && simulation.result.is_err() {
            return Err(Refusal::Simulation(Box::new(simulation)));
        }
        // What cannot be logged is not executed.
        self.log.reserve().map_err(|error| {
            Refusal::NotWritable(format!(
                "the local chain cannot write its log ({error}); nothing was executed. Make room on the disk and send again"
            ))
        })?;
        let memo = meta::memo(&transaction.message);
        let written_units = meta::written_units(&transaction.message);
        let execution = self.ledger.execute(transaction, wire.len());
        if !execution.executed {
            let error = execution.result.err().unwrap_or(TransactionError::SanitizeFailure);
            return Err(Refusal::Simulation(Box::new(Simulation {
                logs: execution.logs,
                ..Simulation::refused(error)
            })));
        }
        self.record(execution, wire, memo, written_units).map_err(|error| {
            let reason =
                format!("the local chain's log failed ({error}); it executes nothing more until it is restarted");
            self.halted = Some(reason.clone());
            Refusal::NotWritable(reason)
        })
    }

    fn record(
        &mut self,
        execution: Execution,
        wire: &[u8],
        memo: Option<Box<str>>,
        written_units: u64,
    ) -> std::io::Result<u64> {
        let meta = meta::of(&self.ledger, &execution, written_units);
        let text = meta.to_string();
        let record = Record::Transaction {
            slot: self.ledger.slot(),
            unix_seconds: self.ledger.unix_seconds(),
            check: check(&self.ledger, &execution),
            wire,
            meta: text.as_bytes(),
        };
        let span = self.append(&record)?;
        let error = execution.result.as_ref().err().map(meta::error);
        let entry = Entry {
            signature: execution.signature,
            slot: self.ledger.slot(),
            unix_seconds: self.ledger.unix_seconds(),
            error: error.as_ref().map(|error| error.to_string().into()),
            memo,
            segment: self.log.first,
            span,
            position: self.appended,
        };
        self.history.add(entry, &execution.addresses);
        self.unsaved += 1;
        // Without subscribers only a signature can still be asked for: by one who comes before the transaction is on the disk or its slot
        // has closed.
        let is_heard = !self.hub.is_empty();
        let changes = execution.changes().filter(|_| is_heard);
        self.events.push_back(Event {
            position: self.appended,
            slot: self.ledger.slot(),
            signature: execution.signature,
            error: error.unwrap_or(Value::Null),
            changes: changes.map(|(address, now)| (*address, now.cloned().unwrap_or_default())).collect(),
            addresses: if is_heard { execution.addresses } else { Vec::new() },
            logs: if is_heard { execution.logs } else { Vec::new() },
        });
        Ok(self.appended)
    }

    fn append(&mut self, record: &Record<'_>) -> std::io::Result<log::Span> {
        let before = self.log.end;
        let span = self.log.append(&record.encode())?;
        self.appended += self.log.end - before;
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes = self.log.end;
        }
        Ok(span)
    }

    /// Takes the lease back to the current slot, at an orderly end and on the disk.
    pub(crate) fn return_lease(&mut self) -> std::io::Result<()> {
        let record = Record::Lease { slot: self.ledger.slot(), unix_seconds: self.ledger.unix_seconds() };
        self.append(&record)?;
        self.flush()
    }

    /// Waits for the disk, where nobody else does.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        if let Some(unsynced) = self.unsynced() {
            unsynced.file.sync_data()?;
            self.synced(&unsynced);
        }
        Ok(())
    }

    /// Bytes that this process has logged.
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }

    /// What has been logged and may not be on the disk yet.
    pub(crate) fn unsynced(&self) -> Option<Unsynced> {
        (self.durable < self.appended).then(|| Unsynced {
            file: self.log.file.clone(),
            segment: self.log.first,
            end: self.log.end,
            appended: self.appended,
        })
    }

    /// Notes that it is on the disk, and tells subscribers.
    pub(crate) fn synced(&mut self, unsynced: &Unsynced) {
        self.durable = self.durable.max(unsynced.appended);
        if self.log.first == unsynced.segment {
            self.log.durable = self.log.durable.max(unsynced.end);
        }
        while let Some(event) = self.events.pop_front_if(|event| event.position <= self.durable) {
            self.hub.publish(&self.ledger, &event, Stage::Executed);
            self.closing.push_back(event);
        }
        self.publish_closed();
    }

    /// Tells what is on the disk in slots that have closed.
    fn publish_closed(&mut self) {
        let closed = self.slot_of(Commitment::Confirmed);
        while let Some(event) = self.closing.pop_front_if(|event| event.slot <= closed) {
            self.hub.publish(&self.ledger, &event, Stage::Closed);
        }
    }

    /// Goes to a later slot. `None` as the time means that slots do not follow the clock.
    pub(crate) fn advance(&mut self, slots: u64, unix_seconds: Option<i64>) {
        let from = self.ledger.slot();
        let slot = from.saturating_add(slots);
        let advanced = match unix_seconds {
            Some(unix_seconds) => self.ledger.advance_to(slot, unix_seconds),
            None => sip_ledger::Ledger::advance_slots(&mut self.ledger, slot - from),
        };
        if advanced.is_err() {
            return;
        }
        if slot.saturating_add(LEASE_SLOTS) > self.lease {
            let lease = slot.saturating_add(3 * LEASE_SLOTS);
            let record = Record::Lease { slot: lease, unix_seconds: self.ledger.unix_seconds() };
            // A full disk stops transactions, not time. Only a crash would then take slots back.
            if self.halted.is_none() && self.append(&record).is_ok() {
                self.lease = lease;
            }
        }
        self.publish_closed();
        self.hub.slot(slot, from);
    }

    /// An airdrop as the transaction that it is, and its bytes.
    pub(crate) fn airdrop(
        &self,
        to: &Address,
        lamports: u64,
        blockhash: Option<Hash>,
    ) -> Option<(VersionedTransaction, Vec<u8>)> {
        let faucet = &self.genesis.faucet;
        // Two airdrops of one amount to one address in one slot differ in this, and so in their signatures.
        let limit = 1_000 + (self.history.next() % 100_000) as u32;
        let instructions = [
            ComputeBudgetInstruction::set_compute_unit_limit(limit),
            solana_system_interface::instruction::transfer(&faucet.pubkey(), to, lamports),
        ];
        let blockhash = blockhash.unwrap_or_else(|| self.latest_blockhash().0);
        let message = Message::new_with_blockhash(&instructions, Some(&faucet.pubkey()), &blockhash);
        let message = VersionedMessage::Legacy(message);
        let signatures = vec![faucet.sign_message(&message.serialize())];
        let transaction = VersionedTransaction { signatures, message };
        let wire = wincode::serialize(&transaction).ok()?;
        Some((transaction, wire))
    }

    /// The bytes and the result of a transaction as the log has them.
    pub(crate) fn logged(&self, entry: &Entry) -> std::io::Result<(VersionedTransaction, Vec<u8>, Value)> {
        let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let payload = log::read(&segment_path(&self.genesis.folder, entry.segment), entry.span)?;
        match Record::decode(&payload) {
            Some(Record::Transaction { wire, meta, .. }) => {
                let transaction = wincode::deserialize(wire).map_err(|_| invalid())?;
                Ok((transaction, wire.to_vec(), sip_json::fields_from_slice(meta)?))
            }
            _ => Err(invalid()),
        }
    }

    /// Whether a snapshot would shorten the next start.
    pub(crate) fn is_snapshot_due(&self) -> bool {
        self.unsaved >= self.limits.snapshot_transactions && self.halted.is_none()
    }

    /// The state to save, and a new segment for what follows it.
    pub(crate) fn rotate(&mut self) -> Result<Snapshot, LocalnetError> {
        if self.history.next() > self.log.first {
            let path = self.log.path.clone();
            self.flush().map_err(LocalnetError::file("write", &path))?;
            let next = Log::create(&self.genesis.folder, self.history.next(), &self.genesis.hash)?;
            let old = std::mem::replace(&mut self.log, next);
            // Zeros at the end do no harm where this fails.
            let _ = old.file.set_len(old.end).and_then(|()| old.file.sync_all());
            self.segments.push_back(Segment { first: self.log.first, bytes: self.log.end });
            // A later crash must not fall behind the lease that is in the old segment.
            let record = Record::Lease { slot: self.lease, unix_seconds: self.ledger.unix_seconds() };
            self.append(&record).map_err(LocalnetError::file("write", &path))?;
        }
        self.unsaved = 0;
        Ok(Snapshot { bytes: self.ledger.snapshot_bytes(), saved: self.history.next() })
    }

    /// Notes which transactions the snapshot on the disk covers, and removes the oldest of their history beyond the limit.
    pub(crate) fn prune(&mut self, saved: u64) {
        self.saved = self.saved.max(saved);
        let mut bytes: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        while self.segments.len() > 1 && bytes > self.limits.history_bytes {
            let end = self.segments[1].first;
            let last_slot = end.checked_sub(1).and_then(|last| Some(self.history.get(last)?.slot)).unwrap_or(0);
            if end > self.saved || last_slot.saturating_add(KEPT_SLOTS) > self.ledger.slot() {
                return;
            }
            let Some(segment) = self.segments.pop_front() else { return };
            // A file that stays is found, and removed, after the next snapshot that follows a restart.
            let _ = std::fs::remove_file(segment_path(&self.genesis.folder, segment.first));
            self.history.forget_before(end);
            bytes -= segment.bytes;
        }
    }
}

/// Transactions that a ledger has executed: the number of the next one.
fn executed(ledger: &Embedded) -> u64 {
    let statistics = ledger.statistics();
    statistics.transactions + statistics.failed_transactions
}

/// Executes a logged transaction again; `None` where it does something else than it did.
fn replay(
    ledger: &mut Embedded,
    slot: u64,
    unix_seconds: i64,
    transaction: &VersionedTransaction,
    wire: &[u8],
    expected: &[u8; 32],
) -> Option<()> {
    ledger.advance_to(slot, unix_seconds).ok()?;
    let execution = ledger.execute(transaction.clone(), wire.len());
    (execution.executed && check(ledger, &execution) == *expected).then_some(())
}

fn loaded_addresses(meta: &Value, kind: &str) -> Vec<Address> {
    let list = meta["loadedAddresses"][kind].as_array();
    list.into_iter().flatten().filter_map(|address| address.as_str()?.parse().ok()).collect()
}

/// The time of day, which becomes the chain's time when a slot begins.
pub(crate) fn now_unix_seconds() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// The status of a transaction as JSON: "confirmed" and "finalized" from the moment when it is on the disk and its slot has closed.
pub(crate) fn confirmation(chain: &Chain, entry: &Entry) -> &'static str {
    if entry.position <= chain.durable && entry.slot <= chain.slot_of(Commitment::Finalized) {
        "finalized"
    } else {
        "processed"
    }
}

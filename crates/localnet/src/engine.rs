//! The threads around the chain: one lets slots pass, one flushes the log, one writes snapshots, two listen.

use crate::chain::{Chain, Commitment, Refusal, Snapshot, now_unix_seconds};
use crate::connections::Connections;
pub(crate) use crate::connections::Place;
use crate::genesis::{Genesis, reset};
use crate::{Config, Limits, LocalnetError, http, websocket};
use sip_ledger::{program_data, upgrade_authority};
use sip_svm::Embedded;
use solana_account::ReadableAccount;
use solana_address::Address;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often two neighbouring free ports are looked for.
const PORT_ATTEMPTS: u32 = 100;

/// What all threads share.
pub(crate) struct Shared {
    chain: Mutex<Chain>,
    appended: Condvar,
    durable: Condvar,
    stopping: AtomicBool,
    snapshots: Mutex<Option<Sender<Snapshot>>>,
    pub(crate) slot: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) http: Connections,
    pub(crate) websocket: Connections,
    /// Where HTTP answers, for `getClusterNodes`.
    pub(crate) address: SocketAddr,
    /// Whether web pages from elsewhere may speak to the chain.
    pub(crate) allow_web_pages: bool,
}

/// A chain that is being served. Dropping it is a power cut; [`Localnet::shut_down`] is the orderly end.
pub struct Localnet {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    addresses: [SocketAddr; 2],
    program_id: Address,
    faucet: Address,
    /// Whether the chain runs another build of the program than was given.
    other_program: bool,
}

impl Localnet {
    /// Opens the chain in the data directory, or begins one, and serves it.
    ///
    /// # Errors
    /// [`LocalnetError`] where the folder, the files in it or the ports cannot be used.
    pub fn start(config: Config) -> Result<Self, LocalnetError> {
        let Config {
            data,
            host,
            port,
            slot,
            program,
            more_programs,
            faucet,
            authority,
            reset: is_reset,
            limits,
            allow_web_pages,
        } = config;
        // A program that does not load is found before anything is removed or written.
        if !more_programs.is_empty() {
            let mut trial = Embedded::new(program.0, &program.1)?;
            for (program_id, elf) in &more_programs {
                if trial.account(program_id).is_none() {
                    trial.add_program(*program_id, elf)?;
                }
            }
        }
        // Nor is a chain begun, or removed, for which there is no port.
        let (http_listener, websocket_listener) = listen(host, port)?;
        if is_reset {
            reset(&data)?;
        }
        let genesis = Genesis::open(&data, program.0, &program.1, faucet, authority)?;
        let other_program = (genesis.program_id, &genesis.program_elf) != (program.0, &program.1);
        let mut chain = Chain::open(genesis, limits)?;
        chain.has_clock = slot.is_some();
        let mut is_changed = false;
        for (program_id, elf) in more_programs {
            if chain.ledger.account(&program_id).is_none() {
                chain.ledger.add_program(program_id, &elf)?;
                is_changed = true;
            }
        }
        if is_changed {
            // No log says where they came from.
            save(&mut chain)?;
        }
        chain.advance(1, slot.map(|_| now_unix_seconds()));
        // Nothing is shown of a slot whose lease is not on the disk.
        chain.flush().map_err(LocalnetError::file("write the log in", &data))?;
        let addresses = [&http_listener, &websocket_listener].map(|listener| listener.local_addr());
        let [http_address, websocket_address] = addresses;
        let refused = |source| LocalnetError::Listen { address: SocketAddr::new(host, port), source };
        let addresses = [http_address.map_err(refused)?, websocket_address.map_err(refused)?];
        let (program_id, faucet) = (chain.genesis.program_id, chain.genesis.faucet.pubkey());
        let (sender, receiver) = channel();
        let shared = Arc::new(Shared {
            chain: Mutex::new(chain),
            appended: Condvar::new(),
            durable: Condvar::new(),
            stopping: AtomicBool::new(false),
            snapshots: Mutex::new(Some(sender)),
            slot,
            limits,
            http: Connections::new(limits.connections, limits.connections_per_peer),
            websocket: Connections::new(limits.connections, limits.connections_per_peer),
            address: addresses[0],
            allow_web_pages,
        });
        let mut threads = Vec::new();
        let mut spawn = |name: &str, body: Box<dyn FnOnce(Arc<Shared>) + Send>| {
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name(name.into()).spawn(move || body(shared));
            thread.map(|thread| threads.push(thread)).map_err(LocalnetError::file("start a thread for", &data))
        };
        spawn("flush", Box::new(|shared| shared.flush()))?;
        spawn("snapshots", Box::new(move |shared| shared.write_snapshots(&receiver)))?;
        if let Some(slot) = slot {
            spawn("slots", Box::new(move |shared| shared.pass_slots(slot)))?;
        }
        spawn("http", Box::new(move |shared| http::serve(&http_listener, &shared)))?;
        spawn("websocket", Box::new(move |shared| websocket::serve(&websocket_listener, &shared)))?;
        Ok(Self { shared, threads, addresses, program_id, faucet, other_program })
    }

    /// Where the chain answers to HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses[0])
    }

    /// Where the chain answers to WebSocket: the next port.
    pub fn websocket_url(&self) -> String {
        format!("ws://{}", self.addresses[1])
    }

    /// The program that the chain began with.
    pub fn program_id(&self) -> Address {
        self.program_id
    }

    /// Whether the chain began with another build of the program than was given, or at another address. It goes on with its own.
    pub fn runs_other_program(&self) -> bool {
        self.other_program
    }

    /// Where airdrops come from.
    pub fn faucet(&self) -> Address {
        self.faucet
    }

    /// The wallet that may upgrade the program, and begin the protocol; `None` once it is immutable.
    pub fn authority(&self) -> Option<Address> {
        let chain = self.shared.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let data = chain.ledger.shared_account(&program_data(&self.program_id))?;
        upgrade_authority(data.data())
    }

    /// The current slot, and how many transactions the chain has executed.
    pub fn progress(&self) -> (u64, u64) {
        let chain = self.shared.chain.lock().unwrap_or_else(PoisonError::into_inner);
        (chain.ledger.slot(), chain.history.next())
    }

    /// Stops serving and saves a snapshot, so that the next start is quick and goes on at the very slot.
    ///
    /// # Errors
    /// [`LocalnetError::File`] where the snapshot cannot be written. Nothing is lost then: the log has everything.
    pub fn shut_down(mut self) -> Result<(), LocalnetError> {
        self.stop();
        let mut chain = self.shared.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = if chain.halted.is_none() { close(&mut chain) } else { Ok(()) };
        chain.halted = Some("the local chain has been shut down".into());
        chain.genesis.release();
        saved
    }

    fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.snapshots.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Behind the lock, where the flushing thread either waits already or has yet to see that it is over.
        let mut chain = self.shared.chain.lock().unwrap_or_else(PoisonError::into_inner);
        chain.hub.close();
        self.shared.appended.notify_all();
        drop(chain);
        self.shared.http.close();
        self.shared.websocket.close();
        for address in self.addresses {
            // Wakes the listener, which then sees that it is over.
            let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

impl Drop for Localnet {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.stop();
            let mut chain = self.shared.chain.lock().unwrap_or_else(PoisonError::into_inner);
            chain.halted = Some("the local chain has been shut down".into());
            chain.genesis.release();
        }
    }
}

fn save(chain: &mut Chain) -> Result<(), LocalnetError> {
    let Snapshot { bytes, saved } = chain.rotate()?;
    let path = chain.genesis.snapshot_path();
    sip_data::files::write_atomically(&path, |temporary| std::fs::write(temporary, &bytes))
        .map_err(LocalnetError::file("write", &path))?;
    chain.prune(saved);
    Ok(())
}

/// Saves, and notes that no slot beyond the current one was shown.
fn close(chain: &mut Chain) -> Result<(), LocalnetError> {
    save(chain)?;
    let folder = chain.genesis.folder.clone();
    chain.return_lease().map_err(LocalnetError::file("write the log in", &folder))
}

/// Two listeners on neighbouring ports.
fn listen(host: std::net::IpAddr, port: u16) -> Result<(TcpListener, TcpListener), LocalnetError> {
    let bind = |port| {
        let address = SocketAddr::new(host, port);
        TcpListener::bind(address).map_err(|source| LocalnetError::Listen { address, source })
    };
    let mut attempt = 1;
    loop {
        let http = bind(port)?;
        let taken = http.local_addr().map_or(port, |address| address.port());
        let next = taken.checked_add(1).ok_or(LocalnetError::NoNextPort { port: taken });
        match next.and_then(bind) {
            Ok(websocket) => return Ok((http, websocket)),
            Err(_) if port == 0 && attempt < PORT_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Shared {
    /// The chain; `Err` where a thread died while it held the lock. Then nobody knows what state it left, and only a
    /// restart, which replays the log, does.
    pub(crate) fn chain(&self) -> Result<MutexGuard<'_, Chain>, Refusal> {
        let fault =
            |_| Refusal::NotWritable("the local chain failed inside; restart it, the log has everything".into());
        self.chain.lock().map_err(fault)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Executes a transaction and waits until it is on the disk.
    pub(crate) fn send(
        &self,
        transaction: VersionedTransaction,
        wire: &[u8],
        skip_preflight: bool,
    ) -> Result<Signature, Refusal> {
        let mut chain = self.chain()?;
        let signature = transaction.signatures.first().copied().unwrap_or_default();
        let position = match chain.submit(transaction, wire, skip_preflight) {
            Ok(position) => position,
            // Who sends a transaction again and again without looking gets the answer of the first time.
            Err(Refusal::Simulation(simulation))
                if skip_preflight && simulation.result == Err(TransactionError::AlreadyProcessed) =>
            {
                chain.history.find(&signature).map_or(0, |entry| entry.position)
            }
            Err(refusal) => return Err(refusal),
        };
        if chain.is_snapshot_due() {
            self.hand_over_snapshot(&mut chain);
        }
        self.wait(chain, position)?;
        Ok(signature)
    }

    /// Lets slots pass at a client's wish, and waits until no crash can take them back.
    pub(crate) fn advance_to(&self, slot: u64) -> Result<u64, Refusal> {
        let mut chain = self.chain()?;
        let slots = slot.saturating_sub(chain.slot_of(Commitment::Finalized));
        if slots > 0 {
            let time = self.slot.map(|_| now_unix_seconds());
            chain.advance(slots, time);
        }
        let (position, slot) = (chain.appended(), chain.slot_of(Commitment::Finalized));
        self.wait(chain, position)?;
        Ok(slot)
    }

    fn wait(&self, mut chain: MutexGuard<'_, Chain>, position: u64) -> Result<(), Refusal> {
        self.appended.notify_one();
        while chain.durable < position {
            if let Some(reason) = &chain.halted {
                return Err(Refusal::NotWritable(reason.clone()));
            }
            let fault = |_| Refusal::NotWritable("the local chain failed inside; restart it".into());
            chain = self.durable.wait(chain).map_err(fault)?;
        }
        Ok(())
    }

    fn hand_over_snapshot(&self, chain: &mut Chain) {
        // A snapshot only shortens the next start: where there is no room for one, the log is replayed.
        if let Ok(snapshot) = chain.rotate()
            && let Some(sender) = &*self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let _ = sender.send(snapshot);
        }
    }

    /// One flush for all that was logged while the last one ran.
    fn flush(&self) {
        let Ok(mut chain) = self.chain() else { return };
        loop {
            let Some(unsynced) = chain.unsynced() else {
                if self.is_stopping() {
                    return;
                }
                let Ok(next) = self.appended.wait(chain) else { return };
                chain = next;
                continue;
            };
            drop(chain);
            let flushed = unsynced.file.sync_data();
            let Ok(next) = self.chain() else { return };
            chain = next;
            match flushed {
                Ok(()) => chain.synced(&unsynced),
                // After a failed flush nobody knows what is on the disk, and another flush would not tell.
                Err(error) => {
                    let reason = format!(
                        "the local chain's log failed ({error}); it executes nothing more until it is restarted"
                    );
                    chain.halted = Some(reason);
                    self.durable.notify_all();
                    return;
                }
            }
            self.durable.notify_all();
        }
    }

    fn write_snapshots(&self, snapshots: &Receiver<Snapshot>) {
        while let Ok(Snapshot { bytes, saved }) = snapshots.recv() {
            let Ok(path) = self.chain().map(|chain| chain.genesis.snapshot_path()) else { return };
            let written = sip_data::files::write_atomically(&path, |temporary| std::fs::write(temporary, &bytes));
            if written.is_ok()
                && let Ok(mut chain) = self.chain()
            {
                chain.prune(saved);
            }
        }
    }

    fn pass_slots(&self, slot: Duration) {
        let mut next = Instant::now() + slot;
        while !self.is_stopping() {
            std::thread::sleep(next.saturating_duration_since(Instant::now()).min(Duration::from_millis(500)));
            let now = Instant::now();
            if now < next {
                continue;
            }
            let Ok(mut chain) = self.chain() else { return };
            chain.advance(1, Some(now_unix_seconds()));
            drop(chain);
            self.appended.notify_one();
            // A machine that slept does not make up for it.
            next = if now > next + 10 * slot { now + slot } else { next + slot };
        }
    }
}

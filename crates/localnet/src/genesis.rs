//! The data directory, and how a chain begins.
//!
//! `faucet.json` (the key that airdrops come from), `program.so` (the program as the chain runs it), `snapshot`, `log-…`, `lock`,
//! and `genesis.json`, which is written last: a folder without it is no chain yet.

use crate::LocalnetError;
use crate::log::segment_number;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sip_ledger::read_key;
use sip_svm::Embedded;
use solana_account::{Account, ReadableAccount};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_rent::Rent;
use solana_signer::Signer;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Programs that the virtual machine does not bring along: that for configurations, that for features.
const MORE_PROGRAMS: [Address; 2] = [
    Address::from_str_const("Config1111111111111111111111111111111111111"),
    Address::from_str_const("Feature111111111111111111111111111111111111"),
];
/// Bytes before the code in a program's data account of loader v3.
const CODE_OFFSET: usize = 45;
/// What the faucet has in the beginning: 500 million SOL.
const FAUCET_LAMPORTS: u64 = 500_000_000_000_000_000;
/// The mints of wrapped SOL, and the token program of each: every cluster has them from its first slot.
const NATIVE_MINTS: [(Address, Address); 2] = [
    (Address::from_str_const("So11111111111111111111111111111111111111112"), sip_ledger::TOKEN_PROGRAM),
    (
        Address::from_str_const("9pan9bMn5HatX4EJdBwg9VgCa7Uz5HL8N1m5D3NdXejP"),
        Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"),
    ),
];
const NATIVE_MINT_LAMPORTS: u64 = 1_000_000_000;
const MINT_BYTES: usize = 82;
/// After the authority (4 + 32) and the supply (8); whether the mint is initialised follows it.
const MINT_DECIMALS_OFFSET: usize = 44;
const FORMAT: u32 = 2;
/// A genesis file has some hundred bytes.
const JSON_LIMIT_BYTES: usize = 64 << 10;

const FAUCET: &str = "faucet.json";
const PROGRAM: &str = "program.so";
pub(crate) const SNAPSHOT: &str = "snapshot";
const GENESIS: &str = "genesis.json";
const LOCK: &str = "lock";

/// How a chain began, and its folder, which no other process uses.
pub(crate) struct Genesis {
    pub(crate) folder: PathBuf,
    /// The chain's name.
    pub(crate) hash: [u8; 32],
    pub(crate) faucet: Keypair,
    pub(crate) program_id: Address,
    pub(crate) program_elf: Vec<u8>,
    /// Held as long as the chain is open.
    lock: File,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenesisFile {
    format: u32,
    genesis_hash: String,
    program_id: String,
    faucet: String,
    /// The wallet that deployed the program.
    authority: String,
}

impl Genesis {
    /// The chain in a folder, which begins now where the folder is empty.
    pub(crate) fn open(
        folder: &Path,
        program_id: Address,
        program_elf: &[u8],
        faucet: Option<Keypair>,
        authority: Option<Address>,
    ) -> Result<Self, LocalnetError> {
        std::fs::create_dir_all(folder).map_err(LocalnetError::file("create", folder))?;
        refuse_foreign(folder)?;
        let lock = lock(folder)?;
        let path = folder.join(GENESIS);
        if !path.exists() {
            begin(folder, (program_id, program_elf), faucet, authority)?;
        }
        let text = read_json(&path)?;
        let damaged = |reason| LocalnetError::Damaged { path: path.clone(), offset: 0, reason };
        let file: GenesisFile = sip_json::from_slice(&text).map_err(|_| damaged("it is no genesis file"))?;
        if file.format != FORMAT {
            return Err(damaged("it has the format of another version"));
        }
        let program_id = file.program_id.parse().map_err(|_| damaged("the program's address is none"))?;
        let faucet = read_key(&folder.join(FAUCET))?;
        let program_elf = read(&folder.join(PROGRAM))?;
        let authority = file.authority.parse().map_err(|_| damaged("the upgrade authority's address is none"))?;
        let hash = genesis_hash(&faucet.pubkey(), &authority, &program_id, &program_elf);
        if file.genesis_hash != bs58::encode(hash).into_string() {
            return Err(damaged("its hash does not fit the program and the faucet beside it"));
        }
        Ok(Self { folder: folder.into(), hash, faucet, program_id, program_elf, lock })
    }

    /// Lets another process open the folder.
    pub(crate) fn release(&self) {
        // Closing the file releases it too; an error here changes nothing.
        let _ = self.lock.unlock();
    }

    pub(crate) fn snapshot_path(&self) -> PathBuf {
        self.folder.join(SNAPSHOT)
    }
}

/// Removes the chain in a folder, but not its faucet's key.
pub(crate) fn reset(folder: &Path) -> Result<(), LocalnetError> {
    if !folder.exists() {
        return Ok(());
    }
    refuse_foreign(folder)?;
    let _lock = lock(folder)?;
    // The mark of a chain goes first.
    let mut files = vec![folder.join(GENESIS), folder.join(SNAPSHOT), folder.join(PROGRAM)];
    for name in names(folder)? {
        if segment_number(&name).is_some() {
            files.push(folder.join(name));
        }
    }
    for file in files {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LocalnetError::file("remove", &file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn begin(
    folder: &Path,
    (program_id, program_elf): (Address, &[u8]),
    faucet: Option<Keypair>,
    authority: Option<Address>,
) -> Result<(), LocalnetError> {
    let faucet_path = folder.join(FAUCET);
    let faucet = match faucet {
        Some(faucet) => faucet,
        None if faucet_path.exists() => read_key(&faucet_path)?,
        None => Keypair::new(),
    };
    let authority = authority.unwrap_or_else(|| faucet.pubkey());
    let hash = genesis_hash(&faucet.pubkey(), &authority, &program_id, program_elf);
    let program = sip_svm::Genesis::new(program_id, program_elf).deployed_by(authority);
    let mut ledger = Embedded::begin(&sip_svm::Genesis { name: &hash, ..program })?;
    ledger.airdrop(&faucet.pubkey(), FAUCET_LAMPORTS)?;
    for (mint, program) in NATIVE_MINTS {
        ledger.set_account(mint, native_mint(program))?;
    }
    // The programs for tokens and memos, as a test validator has them.
    let programs = solana_program_binaries::spl_programs(&Rent::default()).into_iter();
    ledger.set_programs(programs.map(|(address, account)| (address, account.into())).collect())?;
    for program_id in MORE_PROGRAMS {
        let accounts = solana_program_binaries::by_id(&program_id, &Rent::default()).unwrap_or_default();
        // The program, and the account of its code.
        if let Some(elf) = accounts.get(1).and_then(|(_, code)| code.data().get(CODE_OFFSET..)) {
            ledger.add_program(program_id, elf)?;
        }
    }
    // Leftovers of a beginning that was cut short.
    for name in names(folder)?.into_iter().filter(|name| segment_number(name).is_some()) {
        let path = folder.join(name);
        std::fs::remove_file(&path).map_err(LocalnetError::file("remove", &path))?;
    }
    let file = GenesisFile {
        format: FORMAT,
        genesis_hash: bs58::encode(hash).into_string(),
        program_id: program_id.to_string(),
        faucet: faucet.pubkey().to_string(),
        authority: authority.to_string(),
    };
    let key = serde_json::to_vec(&faucet.to_bytes().to_vec()).map_err(std::io::Error::from);
    let genesis = serde_json::to_vec_pretty(&file).map_err(std::io::Error::from);
    write(&faucet_path, &key.map_err(LocalnetError::file("write", &faucet_path))?)?;
    write(&folder.join(PROGRAM), program_elf)?;
    write(&folder.join(SNAPSHOT), &ledger.snapshot_bytes())?;
    crate::log::Log::create(folder, 0, &hash)?;
    write(&folder.join(GENESIS), &genesis.map_err(LocalnetError::file("write", folder))?)
}

/// The mint that wraps SOL: nine decimals, nobody's, and no supply of its own.
fn native_mint(program: Address) -> Account {
    let mut data = vec![0; MINT_BYTES];
    data[MINT_DECIMALS_OFFSET] = 9;
    data[MINT_DECIMALS_OFFSET + 1] = 1;
    Account { lamports: NATIVE_MINT_LAMPORTS, data, owner: program, executable: false, rent_epoch: u64::MAX }
}

fn genesis_hash(faucet: &Address, authority: &Address, program_id: &Address, program_elf: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(b"sip localnet genesis: ")
        .chain_update(faucet.as_array())
        .chain_update(authority.as_array())
        .chain_update(program_id.as_array())
        .chain_update(program_elf)
        .finalize()
        .into()
}

/// Files in the folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, LocalnetError> {
    let list = || -> std::io::Result<Vec<String>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut names = list().map_err(LocalnetError::file("read", folder))?;
    names.sort_unstable();
    Ok(names)
}

/// Nothing is written beside files of someone else.
fn refuse_foreign(folder: &Path) -> Result<(), LocalnetError> {
    for name in names(folder)? {
        let known = [FAUCET, PROGRAM, SNAPSHOT, GENESIS, LOCK].contains(&&*name);
        // Temporary files are what a crash leaves of writes that were not finished.
        if !known && segment_number(&name).is_none() && !(name.starts_with('.') && name.ends_with(".tmp")) {
            return Err(LocalnetError::Foreign { folder: folder.into(), found: name.into() });
        }
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File, LocalnetError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(LocalnetError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(LocalnetError::InUse { folder: folder.into() }),
        Err(std::fs::TryLockError::Error(error)) => Err(LocalnetError::file("lock", &path)(error)),
    }
}

/// A genesis file.
fn read_json(path: &Path) -> Result<Vec<u8>, LocalnetError> {
    sip_json::read_file(path, JSON_LIMIT_BYTES).map_err(LocalnetError::file("read", path))
}

fn read(path: &Path) -> Result<Vec<u8>, LocalnetError> {
    std::fs::read(path).map_err(LocalnetError::file("read", path))
}

/// Keys included, so nobody else may read it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), LocalnetError> {
    let write = |temporary: &Path| {
        let mut options = File::options();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        std::io::Write::write_all(&mut options.open(temporary)?, bytes)
    };
    sip_data::files::write_atomically(path, write).map_err(LocalnetError::file("write", path))
}

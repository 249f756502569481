//! Loader v3, which deploys programs, upgrades them and makes them immutable: a buffer is written piece by piece, verified and becomes
//! the program. An upload that was cut off goes on in its buffer.

use crate::{Ledger, LedgerError};
use solana_account::Account;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_sdk_ids::{bpf_loader_upgradeable::ID, system_program, sysvar};
use solana_signer::Signer;

/// Bytes of a buffer before the code: the state's number (4), whether there is an authority (1), the authority (32).
const BUFFER_HEADER_BYTES: usize = 37;
/// Bytes of a program's account: the state's number (4), where its data is (32).
const PROGRAM_BYTES: usize = 36;
/// Bytes of a program's data before the code: the state's number (4), the slot (8), whether there is an authority (1), the authority (32).
const DATA_HEADER_BYTES: usize = 45;
/// Code that one transaction carries beside its signatures, addresses and lengths.
pub const PIECE_BYTES: usize = 1_000;
/// Pieces that are sent before it is looked which have arrived.
const PIECES_AT_ONCE: usize = 64;
/// What Solana takes for each signature.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
/// The state's number of a buffer.
const BUFFER: u8 = 1;

/// Where the upgrade authority stands in a program's data account of loader v3, after the state's number (4), the slot (8) and
/// whether there is one (1).
pub const AUTHORITY_OFFSET: usize = 13;

/// Where loader v3 keeps a program's code and its upgrade authority.
pub fn program_data(program_id: &Address) -> Address {
    Address::find_program_address(&[program_id.as_array()], &ID).0
}

/// Where the code of a program is, by the owner and the data of its account; `None` where it is not a program of loader v3.
pub fn code_of(owner: &Address, data: &[u8]) -> Option<Address> {
    let is_program = *owner == ID && data.len() == PROGRAM_BYTES && data.first() == Some(&2);
    is_program.then(|| data.get(4..)?.first_chunk().copied().map(Address::new_from_array)).flatten()
}

/// Who may upgrade a program, by the bytes of its data account; `None` where nobody may.
pub fn upgrade_authority(data: &[u8]) -> Option<Address> {
    let is_held = data.first() == Some(&3) && data.get(AUTHORITY_OFFSET - 1) == Some(&1);
    is_held.then(|| data.get(AUTHORITY_OFFSET..)?.first_chunk().copied().map(Address::new_from_array)).flatten()
}

/// Why a buffer cannot become the program.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BufferError {
    /// It is no buffer of loader v3, or of somebody else's.
    #[error("{address} is no buffer that {authority} may write; name another, or the wallet that began it")]
    NotOurs {
        /// The buffer.
        address: Address,
        /// Who would write it.
        authority: Address,
    },
    /// It was made for code of another length.
    #[error("the buffer {address} is for {found} bytes of code, expected {expected}; give it up, or name another")]
    OtherLength {
        /// The buffer.
        address: Address,
        /// Bytes that it holds.
        found: usize,
        /// Bytes of the code.
        expected: usize,
    },
    /// It holds other code.
    #[error("the buffer {address} holds other code from byte {offset} on; give it up, or name another")]
    OtherContent {
        /// The buffer.
        address: Address,
        /// The first byte that differs and is not empty.
        offset: usize,
    },
}

/// What is in an upgradeable program's data account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Who may upgrade it; nobody where it is immutable.
    pub authority: Option<Address>,
    /// The code, and zeros up to the room that there is.
    pub code: Vec<u8>,
}

impl Deployed {
    /// The program at an address; `None` where there is none that loader v3 keeps.
    ///
    /// # Errors
    /// As [`Ledger::account`].
    pub fn read(ledger: &impl Ledger, program_id: &Address) -> Result<Option<Deployed>, LedgerError> {
        let Some(account) = ledger.account(&program_data(program_id))? else { return Ok(None) };
        let code = account.data.get(DATA_HEADER_BYTES..).filter(|_| account.data.first() == Some(&3));
        Ok(code.map(|code| Deployed { authority: upgrade_authority(&account.data), code: code.to_vec() }))
    }

    /// Whether it is this code.
    pub fn is(&self, program_elf: &[u8]) -> bool {
        self.code.strip_prefix(program_elf).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
    }
}

/// An upload of code into a buffer, from where it stands.
pub struct Upload<'a> {
    /// The code.
    pub program_elf: &'a [u8],
    /// Who pays, and may write the buffer.
    pub authority: &'a Keypair,
    /// Address of the buffer; its key signs where it is made.
    pub buffer: &'a Keypair,
}

/// What an upload still takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Whether the buffer has to be made.
    pub is_new: bool,
    /// Offsets of the pieces that are not there.
    pub pieces: Vec<usize>,
}

impl Missing {
    /// Transactions that it takes, and their fees in lamports.
    pub fn cost(&self) -> (usize, u64) {
        let creation = usize::from(self.is_new);
        let transactions = creation + self.pieces.len();
        (transactions, (transactions + creation) as u64 * LAMPORTS_PER_SIGNATURE)
    }
}

impl Upload<'_> {
    /// What is missing in the buffer.
    ///
    /// # Errors
    /// [`BufferError`] where the buffer is not ours or for other code; as [`Ledger::account`].
    pub fn missing(&self, ledger: &impl Ledger) -> Result<Missing, LedgerError> {
        let offsets = (0..self.program_elf.len()).step_by(PIECE_BYTES);
        match ledger.account(&self.buffer.pubkey())? {
            None => Ok(Missing { is_new: true, pieces: offsets.collect() }),
            Some(account) => Ok(Missing { is_new: false, pieces: self.missing_of(&account)? }),
        }
    }

    fn missing_of(&self, account: &Account) -> Result<Vec<usize>, BufferError> {
        let (address, authority) = (self.buffer.pubkey(), self.authority.pubkey());
        let state = [&[BUFFER, 0, 0, 0, 1][..], authority.as_array()].concat();
        let Some(code) = account.data.strip_prefix(&*state).filter(|_| account.owner == ID) else {
            return Err(BufferError::NotOurs { address, authority });
        };
        let (found, expected) = (code.len(), self.program_elf.len());
        if found != expected {
            return Err(BufferError::OtherLength { address, found, expected });
        }
        let mut missing = Vec::new();
        let pieces = code.chunks(PIECE_BYTES).zip(self.program_elf.chunks(PIECE_BYTES)).enumerate();
        for (offset, (there, wanted)) in pieces.map(|(index, pieces)| (index * PIECE_BYTES, pieces)) {
            if there == wanted {
                continue;
            }
            // What is not written yet is zero.
            if let Some(place) = there.iter().position(|byte| *byte != 0) {
                return Err(BufferError::OtherContent { address, offset: offset + place });
            }
            missing.push(offset);
        }
        Ok(missing)
    }

    /// Makes the buffer where it is missing and writes what is not there, until all of it is; `progress` is told how many pieces are
    /// missing, and stops the upload with `false`. Says whether it is whole.
    ///
    /// # Errors
    /// As [`Upload::missing`] and [`Ledger::send`].
    pub fn write(
        &self,
        ledger: &mut impl Ledger,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<bool, LedgerError> {
        let (payer, buffer) = (self.authority.pubkey(), self.buffer.pubkey());
        let mut missing = self.missing(ledger)?;
        if missing.is_new {
            let create = create(ledger, &payer, &buffer, BUFFER_HEADER_BYTES + self.program_elf.len())?;
            let accounts = vec![AccountMeta::new(buffer, false), AccountMeta::new_readonly(payer, false)];
            let initialize = Instruction { program_id: ID, accounts, data: vec![0; 4] };
            ledger.send(&[create, initialize], self.authority, &[self.buffer])?;
        }
        // Pieces that were missing when all had been sent.
        let mut last = usize::MAX;
        while !missing.pieces.is_empty() {
            if !progress(missing.pieces.len()) {
                return Ok(false);
            }
            let rest = missing.pieces.split_off(missing.pieces.len().min(PIECES_AT_ONCE));
            let pieces: Vec<Instruction> = missing.pieces.iter().map(|offset| self.piece(*offset)).collect();
            ledger.send_each(&pieces, self.authority)?;
            missing.pieces = rest;
            // Some may have been lost on the way: what is there at the end says so.
            if missing.pieces.is_empty() {
                missing.pieces = self.missing(ledger)?.pieces;
                if missing.pieces.len() >= last {
                    return Ok(false);
                }
                last = missing.pieces.len();
            }
        }
        progress(0);
        Ok(true)
    }

    fn piece(&self, offset: usize) -> Instruction {
        let end = self.program_elf.len().min(offset + PIECE_BYTES);
        let piece = &self.program_elf[offset..end];
        let place = u32::try_from(offset).unwrap_or(u32::MAX);
        let (number, place, length) = (1u32.to_le_bytes(), place.to_le_bytes(), (piece.len() as u64).to_le_bytes());
        let data = [&number[..], &place, &length, piece].concat();
        let (buffer, authority) = (self.buffer.pubkey(), self.authority.pubkey());
        let accounts = vec![AccountMeta::new(buffer, false), AccountMeta::new_readonly(authority, true)];
        Instruction { program_id: ID, accounts, data }
    }

    /// Lamports that lie in the buffer while it is there; they come back when it becomes a program, which takes the same number, or an upgrade.
    ///
    /// # Errors
    /// As [`Ledger::minimum_balance`].
    pub fn buffer_rent(&self, ledger: &impl Ledger) -> Result<u64, LedgerError> {
        ledger.minimum_balance(BUFFER_HEADER_BYTES + self.program_elf.len())
    }

    /// Lamports that a program of this code keeps, in its two accounts.
    ///
    /// # Errors
    /// As [`Ledger::minimum_balance`].
    pub fn program_rent(&self, ledger: &impl Ledger) -> Result<u64, LedgerError> {
        Ok(ledger.minimum_balance(DATA_HEADER_BYTES + self.program_elf.len())?
            + ledger.minimum_balance(PROGRAM_BYTES)?)
    }

    /// The instruction that makes the whole buffer a program at a new address, whose key signs.
    ///
    /// # Errors
    /// As [`Ledger::minimum_balance`].
    pub fn deploy(&self, ledger: &impl Ledger, program_id: &Address) -> Result<[Instruction; 2], LedgerError> {
        let payer = self.authority.pubkey();
        let create = create(ledger, &payer, program_id, PROGRAM_BYTES)?;
        let data = [&2u32.to_le_bytes()[..], &(self.program_elf.len() as u64).to_le_bytes()].concat();
        let accounts = vec![
            AccountMeta::new(payer, true),
            AccountMeta::new(program_data(program_id), false),
            AccountMeta::new(*program_id, false),
            AccountMeta::new(self.buffer.pubkey(), false),
            AccountMeta::new_readonly(sysvar::rent::ID, false),
            AccountMeta::new_readonly(sysvar::clock::ID, false),
            AccountMeta::new_readonly(system_program::ID, false),
            AccountMeta::new_readonly(payer, true),
        ];
        Ok([create, Instruction { program_id: ID, accounts, data }])
    }

    /// The instruction that makes the whole buffer the code of a program, which has room for it.
    pub fn upgrade(&self, program_id: &Address) -> Instruction {
        let payer = self.authority.pubkey();
        let accounts = vec![
            AccountMeta::new(program_data(program_id), false),
            AccountMeta::new(*program_id, false),
            AccountMeta::new(self.buffer.pubkey(), false),
            AccountMeta::new(payer, false),
            AccountMeta::new_readonly(sysvar::rent::ID, false),
            AccountMeta::new_readonly(sysvar::clock::ID, false),
            AccountMeta::new_readonly(payer, true),
        ];
        Instruction { program_id: ID, accounts, data: vec![3, 0, 0, 0] }
    }

    /// The instruction that gives the buffer up; its rent goes to the authority.
    pub fn close(&self) -> Instruction {
        let authority = self.authority.pubkey();
        let accounts = vec![
            AccountMeta::new(self.buffer.pubkey(), false),
            AccountMeta::new(authority, false),
            AccountMeta::new_readonly(authority, true),
        ];
        Instruction { program_id: ID, accounts, data: vec![5, 0, 0, 0] }
    }
}

/// More room for a program's code: as loaders with all features take it (`is_checked`, signed by the authority), or those before.
pub fn extend(program_id: &Address, authority: &Address, bytes: u32, is_checked: bool) -> Instruction {
    let mut accounts = vec![AccountMeta::new(program_data(program_id), false), AccountMeta::new(*program_id, false)];
    if is_checked {
        accounts.push(AccountMeta::new_readonly(*authority, true));
    }
    accounts.extend([AccountMeta::new_readonly(system_program::ID, false), AccountMeta::new(*authority, true)]);
    let number: u32 = if is_checked { 9 } else { 6 };
    Instruction { program_id: ID, accounts, data: [number.to_le_bytes(), bytes.to_le_bytes()].concat() }
}

/// Deploys a binary at a new address; the authority pays, and may upgrade it.
///
/// # Errors
/// As [`Ledger::send`]: the loader refuses a binary that does not verify, or whose version of the bytecode it does not deploy. As
/// [`Upload::write`].
pub fn deploy(
    ledger: &mut impl Ledger,
    program_elf: &[u8],
    authority: &Keypair,
    program: &Keypair,
    buffer: &Keypair,
) -> Result<(), LedgerError> {
    let upload = Upload { program_elf, authority, buffer };
    upload.write(ledger, |_| true)?;
    let deploy = upload.deploy(ledger, &program.pubkey())?;
    ledger.send(&deploy, authority, &[program])?;
    // A program is usable from the slot after its deployment.
    ledger.advance_slots(1)
}

/// New code for a program, which is given more room where it needs that.
///
/// # Errors
/// As [`deploy`]; also where the authority is not the program's, or the program is immutable.
pub fn upgrade(
    ledger: &mut impl Ledger,
    program_elf: &[u8],
    authority: &Keypair,
    program_id: &Address,
    buffer: &Keypair,
) -> Result<(), LedgerError> {
    let upload = Upload { program_elf, authority, buffer };
    upload.write(ledger, |_| true)?;
    make_room(ledger, program_elf, authority, program_id)?;
    ledger.send(&[upload.upgrade(program_id)], authority, &[])?;
    ledger.advance_slots(1)
}

/// Gives a program room for more code, where it needs that.
///
/// # Errors
/// As [`Ledger::send`].
pub fn make_room(
    ledger: &mut impl Ledger,
    program_elf: &[u8],
    authority: &Keypair,
    program_id: &Address,
) -> Result<(), LedgerError> {
    let room = Deployed::read(ledger, program_id)?.map_or(0, |deployed| deployed.code.len());
    let bytes = u32::try_from(program_elf.len().saturating_sub(room)).unwrap_or(u32::MAX);
    if bytes == 0 {
        return Ok(());
    }
    let extend = |is_checked| [extend(program_id, &authority.pubkey(), bytes, is_checked)];
    if ledger.send(&extend(true), authority, &[]).is_err() {
        ledger.send(&extend(false), authority, &[])?;
    }
    // In one slot a program is changed once.
    ledger.advance_slots(1)
}

/// Hands a program to another upgrade authority, or to nobody: then it is immutable.
pub fn set_authority(program_id: &Address, authority: &Address, next: Option<&Address>) -> Instruction {
    let mut accounts =
        vec![AccountMeta::new(program_data(program_id), false), AccountMeta::new_readonly(*authority, true)];
    accounts.extend(next.map(|next| AccountMeta::new_readonly(*next, false)));
    Instruction { program_id: ID, accounts, data: vec![4, 0, 0, 0] }
}

/// A new account of the loader's.
fn create(ledger: &impl Ledger, payer: &Address, account: &Address, bytes: usize) -> Result<Instruction, LedgerError> {
    let (number, lamports) = (0u32.to_le_bytes(), ledger.minimum_balance(bytes)?.to_le_bytes());
    let data = [&number[..], &lamports, &(bytes as u64).to_le_bytes(), ID.as_array()].concat();
    let accounts = vec![AccountMeta::new(*payer, true), AccountMeta::new(*account, true)];
    Ok(Instruction { program_id: system_program::ID, accounts, data })
}

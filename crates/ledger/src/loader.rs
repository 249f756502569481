//! Loader v3, which deploys programs, upgrades them and makes them immutable: a buffer is written piece by piece, verified and becomes
//! the program.

use crate::{Ledger, LedgerError};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_sdk_ids::{bpf_loader_upgradeable::ID, system_program, sysvar};
use solana_signer::Signer;

/// Bytes of a buffer before the code: the state's number (4), whether there is an authority (1), the authority (32).
const BUFFER_HEADER_BYTES: usize = 37;
/// Bytes of a program's account: the state's number (4), where its data is (32).
const PROGRAM_BYTES: usize = 36;
/// Code that one transaction carries beside its signatures, addresses and lengths.
const PIECE_BYTES: usize = 900;

/// Where the upgrade authority stands in a program's data account of loader v3, after the state's number (4), the slot (8) and
/// whether there is one (1).
pub const AUTHORITY_OFFSET: usize = 13;

/// Where loader v3 keeps a program's code and its upgrade authority.
pub fn program_data(program_id: &Address) -> Address {
    Address::find_program_address(&[program_id.as_array()], &ID).0
}

/// Who may upgrade a program, by the bytes of its data account; `None` where nobody may.
pub fn upgrade_authority(data: &[u8]) -> Option<Address> {
    let is_held = data.first() == Some(&3) && data.get(AUTHORITY_OFFSET - 1) == Some(&1);
    is_held.then(|| data.get(AUTHORITY_OFFSET..)?.first_chunk().copied().map(Address::new_from_array)).flatten()
}

/// Deploys a binary at a new address; the authority pays, and may upgrade it.
///
/// # Errors
/// As [`Ledger::send`]: the loader refuses a binary that does not verify, or whose version of the bytecode it does not deploy.
pub fn deploy(
    ledger: &mut impl Ledger,
    program_elf: &[u8],
    authority: &Keypair,
    program: &Keypair,
    buffer: &Keypair,
) -> Result<(), LedgerError> {
    write_buffer(ledger, program_elf, authority, buffer)?;
    let payer = authority.pubkey();
    let create = create(ledger, &payer, &program.pubkey(), PROGRAM_BYTES)?;
    let data = [&2u32.to_le_bytes()[..], &(program_elf.len() as u64).to_le_bytes()].concat();
    let accounts = vec![
        AccountMeta::new(payer, true),
        AccountMeta::new(program_data(&program.pubkey()), false),
        AccountMeta::new(program.pubkey(), false),
        AccountMeta::new(buffer.pubkey(), false),
        AccountMeta::new_readonly(sysvar::rent::ID, false),
        AccountMeta::new_readonly(sysvar::clock::ID, false),
        AccountMeta::new_readonly(system_program::ID, false),
        AccountMeta::new_readonly(payer, true),
    ];
    let deploy = Instruction { program_id: ID, accounts, data };
    ledger.send(&[create, deploy], authority, &[program])?;
    // A program is usable from the slot after its deployment.
    ledger.advance_slots(1)
}

/// New code for a program, of at most the old code's bytes.
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
    write_buffer(ledger, program_elf, authority, buffer)?;
    let payer = authority.pubkey();
    let accounts = vec![
        AccountMeta::new(program_data(program_id), false),
        AccountMeta::new(*program_id, false),
        AccountMeta::new(buffer.pubkey(), false),
        AccountMeta::new(payer, false),
        AccountMeta::new_readonly(sysvar::rent::ID, false),
        AccountMeta::new_readonly(sysvar::clock::ID, false),
        AccountMeta::new_readonly(payer, true),
    ];
    ledger.send(&[Instruction { program_id: ID, accounts, data: vec![3, 0, 0, 0] }], authority, &[])?;
    ledger.advance_slots(1)
}

/// Hands a program to another upgrade authority, or to nobody: then it is immutable.
pub fn set_authority(program_id: &Address, authority: &Address, next: Option<&Address>) -> Instruction {
    let mut accounts =
        vec![AccountMeta::new(program_data(program_id), false), AccountMeta::new_readonly(*authority, true)];
    accounts.extend(next.map(|next| AccountMeta::new_readonly(*next, false)));
    Instruction { program_id: ID, accounts, data: vec![4, 0, 0, 0] }
}

/// A buffer of the authority's with a binary in it.
fn write_buffer(
    ledger: &mut impl Ledger,
    program_elf: &[u8],
    authority: &Keypair,
    buffer: &Keypair,
) -> Result<(), LedgerError> {
    let payer = authority.pubkey();
    let create = create(ledger, &payer, &buffer.pubkey(), BUFFER_HEADER_BYTES + program_elf.len())?;
    let accounts = vec![AccountMeta::new(buffer.pubkey(), false), AccountMeta::new_readonly(payer, false)];
    let initialize = Instruction { program_id: ID, accounts, data: vec![0; 4] };
    ledger.send(&[create, initialize], authority, &[buffer])?;
    for (index, piece) in program_elf.chunks(PIECE_BYTES).enumerate() {
        let offset = u32::try_from(index * PIECE_BYTES).unwrap_or(u32::MAX);
        let (number, offset, length) = (1u32.to_le_bytes(), offset.to_le_bytes(), (piece.len() as u64).to_le_bytes());
        let data = [&number[..], &offset, &length, piece].concat();
        let accounts = vec![AccountMeta::new(buffer.pubkey(), false), AccountMeta::new_readonly(payer, true)];
        ledger.send(&[Instruction { program_id: ID, accounts, data }], authority, &[])?;
    }
    Ok(())
}

/// A new account of the loader's.
fn create(ledger: &impl Ledger, payer: &Address, account: &Address, bytes: usize) -> Result<Instruction, LedgerError> {
    let (number, lamports) = (0u32.to_le_bytes(), ledger.minimum_balance(bytes)?.to_le_bytes());
    let data = [&number[..], &lamports, &(bytes as u64).to_le_bytes(), ID.as_array()].concat();
    let accounts = vec![AccountMeta::new(*payer, true), AccountMeta::new(*account, true)];
    Ok(Instruction { program_id: system_program::ID, accounts, data })
}

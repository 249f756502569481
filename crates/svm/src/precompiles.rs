//! The programs that check signatures of others: ed25519, secp256k1 and secp256r1. Agave has them compiled in, and they log nothing and
//! take no compute units. Its own need OpenSSL from its source; these are the same rules over crates in Rust.

use litesvm::LiteSVM;
use sha2::{Digest, Sha256};
use solana_account::Account;
use solana_address::Address;
use solana_instruction::error::InstructionError;
use solana_program_runtime::declare_process_instruction;
use solana_program_runtime::invoke_context::{BuiltinFunctionRegisterer, InvokeContext};
use solana_program_runtime::solana_sbpf::program::BuiltinFunctionDefinition;
use solana_sdk_ids::{ed25519_program, native_loader, secp256k1_program, secp256r1_program};

/// What names the instruction that something stands in where it is the checking one itself.
const THIS_INSTRUCTION: u16 = u16::MAX;
const SIGNATURE_BYTES: usize = 64;
/// Signatures in one instruction of secp256r1.
const MAX_SECP256R1_SIGNATURES: usize = 8;

/// Why signatures do not hold, with Agave's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    PublicKey = 0,
    RecoveryId = 1,
    Signature = 2,
    Offsets = 3,
    DataSize = 4,
}

/// The virtual machine wants every program that is compiled in to take something. What they took is left out of what is told.
const UNITS: u64 = 1;

type Check = fn(&[u8], &[&[u8]]) -> Result<(), Wrong>;

declare_process_instruction!(Ed25519, UNITS, |context| { run(context, ed25519) });
declare_process_instruction!(Secp256k1, UNITS, |context| { run(context, secp256k1) });
declare_process_instruction!(Secp256r1, UNITS, |context| { run(context, secp256r1) });

const PROGRAMS: [(Address, BuiltinFunctionRegisterer); 3] = [
    (ed25519_program::ID, Ed25519::register),
    (secp256k1_program::ID, Secp256k1::register),
    (secp256r1_program::ID, Secp256r1::register),
];

/// Adds the three programs, with the accounts that they have on every cluster.
pub(crate) fn add(vm: &mut LiteSVM) -> Result<(), litesvm::error::LiteSVMError> {
    for (program_id, register) in PROGRAMS {
        vm.add_builtin(program_id, register);
        let account = Account { lamports: 1, owner: native_loader::ID, executable: true, ..Account::default() };
        vm.set_account(program_id, account)?;
    }
    Ok(())
}

/// Takes out of logs what the virtual machine says of these programs, since on a cluster they say nothing, and gives back the compute units that
/// they took.
pub(crate) fn hush(logs: &mut Vec<String>) -> u64 {
    let names = PROGRAMS.map(|(program_id, _)| format!("Program {program_id} "));
    let mut units = 0;
    logs.retain(|line| {
        let said = names.iter().find_map(|name| line.strip_prefix(name.as_str()));
        if said == Some("invoke [1]") {
            units += UNITS;
        }
        said.is_none()
    });
    units
}

fn run(context: &InvokeContext<'_, '_>, check: Check) -> Result<(), InstructionError> {
    let transaction = &context.transaction_context;
    // Nobody but a transaction itself invokes them.
    if transaction.get_instruction_stack_height() > 1 {
        return Err(InstructionError::UnsupportedProgramId);
    }
    let mut all = Vec::new();
    for index in 0..transaction.get_instruction_trace_length() {
        let instruction = transaction.get_instruction_context_at_index_in_trace(index)?;
        // What programs invoked stands behind what the transaction says.
        if instruction.get_index_of_caller() == usize::from(u16::MAX) {
            all.push(instruction);
        }
    }
    let data: Vec<&[u8]> = all.iter().map(|instruction| instruction.get_instruction_data()).collect();
    let current = transaction.get_current_instruction_context()?;
    check(current.get_instruction_data(), &data).map_err(|wrong| InstructionError::Custom(wrong as u32))
}

/// Reads little-endian numbers of two bytes one after the other.
fn numbers<const COUNT: usize>(data: &[u8]) -> Option<[u16; COUNT]> {
    let bytes = data.get(..2 * COUNT)?;
    Some(std::array::from_fn(|index| u16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]])))
}

/// Bytes of an instruction of the transaction.
fn slice<'a>(this: &'a [u8], all: &[&'a [u8]], place: (u16, u16), size: usize) -> Result<&'a [u8], Wrong> {
    let (instruction, offset) = place;
    let data = match instruction {
        THIS_INSTRUCTION => this,
        index => all.get(usize::from(index)).ok_or(Wrong::Offsets)?,
    };
    data.get(usize::from(offset)..).and_then(|rest| rest.get(..size)).ok_or(Wrong::Offsets)
}

/// Where a signature, its key and its message stand, of the programs for ed25519 and secp256r1.
fn places(data: &[u8], count: usize) -> Result<Vec<[u16; 7]>, Wrong> {
    let place = |index: usize| numbers(data.get(2 + 14 * index..)?);
    (0..count).map(|index| place(index).ok_or(Wrong::DataSize)).collect()
}

fn ed25519(data: &[u8], all: &[&[u8]]) -> Result<(), Wrong> {
    let [count, _, ..] = *data else { return Err(Wrong::DataSize) };
    if count == 0 && data.len() > 2 {
        return Err(Wrong::DataSize);
    }
    for [signature, signature_in, key, key_in, message, message_bytes, message_in] in places(data, count.into())? {
        let signature = slice(data, all, (signature_in, signature), SIGNATURE_BYTES)?;
        let signature: [u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| Wrong::Signature)?;
        // No scalar has any of these bits.
        if signature[SIGNATURE_BYTES - 1] & 0b1110_0000 != 0 {
            return Err(Wrong::Signature);
        }
        let key = slice(data, all, (key_in, key), 32)?;
        let key = key.try_into().map_err(|_| Wrong::PublicKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| Wrong::PublicKey)?;
        let message = slice(data, all, (message_in, message), message_bytes.into())?;
        key.verify_strict(message, &signature.into()).map_err(|_| Wrong::Signature)?;
    }
    Ok(())
}

fn secp256r1(data: &[u8], all: &[&[u8]]) -> Result<(), Wrong> {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;
    let [count, _, ..] = *data else { return Err(Wrong::DataSize) };
    let count = usize::from(count);
    if count == 0 || count > MAX_SECP256R1_SIGNATURES {
        return Err(Wrong::DataSize);
    }
    for [signature, signature_in, key, key_in, message, message_bytes, message_in] in places(data, count)? {
        let signature = slice(data, all, (signature_in, signature), SIGNATURE_BYTES)?;
        let key = slice(data, all, (key_in, key), 33)?;
        let message = slice(data, all, (message_in, message), message_bytes.into())?;
        let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| Wrong::Signature)?;
        // Of a signature and its mirror image only the lower one counts.
        if signature.normalize_s() != signature {
            return Err(Wrong::Signature);
        }
        // The crate reads one more form than OpenSSL does.
        let key = Some(key).filter(|key| [2, 3].contains(&key[0])).ok_or(Wrong::PublicKey)?;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| Wrong::PublicKey)?;
        key.verify_prehash(&Sha256::digest(message), &signature).map_err(|_| Wrong::Signature)?;
    }
    Ok(())
}

fn secp256k1(data: &[u8], all: &[&[u8]]) -> Result<(), Wrong> {
    const OFFSETS_BYTES: usize = 11;
    let count = usize::from(*data.first().ok_or(Wrong::DataSize)?);
    if (count == 0 && data.len() > 1) || data.len() < 1 + OFFSETS_BYTES * count {
        return Err(Wrong::DataSize);
    }
    for offsets in data[1..].chunks_exact(OFFSETS_BYTES).take(count) {
        let number = |at: usize| usize::from(u16::from_le_bytes([offsets[at], offsets[at + 1]]));
        let of = |instruction: u8| all.get(usize::from(instruction)).copied();
        let part = |at: usize, instruction: u8, bytes: usize| {
            let data = of(instruction).ok_or(Wrong::Offsets)?;
            data.get(number(at)..).and_then(|rest| rest.get(..bytes)).ok_or(Wrong::Signature)
        };
        let signed = of(offsets[2]).ok_or(Wrong::DataSize)?;
        let signature = signed.get(number(0)..).and_then(|rest| rest.split_at_checked(SIGNATURE_BYTES));
        let (signature, rest) = signature.ok_or(Wrong::Signature)?;
        let recovery = *rest.first().ok_or(Wrong::Signature)?;
        let signature = libsecp256k1::Signature::parse_standard_slice(signature).map_err(|_| Wrong::Signature)?;
        let recovery = libsecp256k1::RecoveryId::parse(recovery).map_err(|_| Wrong::RecoveryId)?;
        let address = part(3, offsets[5], 20)?;
        let message = part(6, offsets[10], number(8))?;
        let hash = solana_keccak_hasher::hash(message).to_bytes();
        let key = libsecp256k1::recover(&libsecp256k1::Message::parse(&hash), &signature, &recovery);
        let key = key.map_err(|_| Wrong::Signature)?.serialize();
        // An address of Ethereum: the end of the hash over the key without its mark.
        if solana_keccak_hasher::hash(&key[1..]).to_bytes()[12..] != *address {
            return Err(Wrong::Signature);
        }
    }
    Ok(())
}

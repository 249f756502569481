//! Instructions to a signed transaction of known size.

use crate::LedgerError;
use solana_address::Address;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use std::collections::BTreeSet;

/// Bytes of a serialized transaction that the network carries: an IPv6 packet of the smallest maximum size, without its headers.
pub const MAX_TRANSACTION_BYTES: usize = 1280 - 40 - 8;

const ADDRESS_BYTES: usize = size_of::<Address>();
const SIGNATURE_BYTES: usize = size_of::<Signature>();

/// The instruction that lets its transaction take up to `compute_units`. Without it a transaction has 200,000 for each
/// instruction; the most is 1,400,000.
pub fn compute_unit_limit(compute_units: u32) -> Instruction {
    ComputeBudgetInstruction::set_compute_unit_limit(compute_units)
}

/// The instruction that pays this many millionths of a lamport for each compute unit of its transaction's limit, beside the fee.
pub fn compute_unit_price(micro_lamports: u64) -> Instruction {
    ComputeBudgetInstruction::set_compute_unit_price(micro_lamports)
}

/// Instructions in order, in as few transactions as the payer's signature alone and their size allow: each takes whatever still fits.
/// One that is too large for any transaction gets one of its own, which [`crate::Ledger::send`] refuses.
pub fn pack(payer: &Address, instructions: impl IntoIterator<Item = Instruction>) -> Vec<Vec<Instruction>> {
    let mut transactions: Vec<Vec<Instruction>> = Vec::new();
    let mut present = Vec::new();
    for instruction in instructions {
        present.push(instruction);
        if present.len() > 1 && transaction_bytes(&present, payer) > MAX_TRANSACTION_BYTES {
            let next = present.split_off(present.len() - 1);
            transactions.push(std::mem::replace(&mut present, next));
        }
    }
    if !present.is_empty() {
        transactions.push(present);
    }
    transactions
}

/// Bytes of the transaction that these instructions make, signed.
pub fn transaction_bytes(instructions: &[Instruction], payer: &Address) -> usize {
    // A message counts accounts in eight bits; far fewer are too many bytes already.
    let accounts: usize = instructions.iter().map(|instruction| instruction.accounts.len() + 1).sum();
    if accounts >= usize::from(u8::MAX) {
        return usize::MAX;
    }
    let message = Message::new(instructions, Some(payer));
    1 + usize::from(message.header.num_required_signatures) * SIGNATURE_BYTES + message.serialize().len()
}

/// The signed transaction and its serialized size in bytes.
pub fn sign(
    instructions: &[Instruction],
    payer: &Keypair,
    signers: &[&Keypair],
    blockhash: Hash,
) -> Result<(VersionedTransaction, usize), LedgerError> {
    let payer_address = payer.pubkey();
    let addresses: BTreeSet<&Address> = instructions
        .iter()
        .flat_map(|instruction| instruction.accounts.iter().map(|meta| &meta.pubkey).chain([&instruction.program_id]))
        .chain([&payer_address])
        .collect();
    // Compiling a message counts accounts in eight bits and panics beyond them, so this comes first.
    check_size(addresses.len() * ADDRESS_BYTES)?;

    let message = VersionedMessage::Legacy(Message::new_with_blockhash(instructions, Some(&payer_address), &blockhash));
    let message_bytes = message.serialize();
    let signature_count = usize::from(message.header().num_required_signatures);
    // Their number takes one byte before them: 128 would be too large on their own.
    let transaction_bytes = 1 + signature_count * SIGNATURE_BYTES + message_bytes.len();
    check_size(transaction_bytes)?;

    let signatures = message.static_account_keys()[..signature_count]
        .iter()
        .map(|address| {
            [payer]
                .iter()
                .chain(signers)
                .find(|keypair| keypair.pubkey() == *address)
                .map(|keypair| keypair.sign_message(&message_bytes))
                .ok_or(LedgerError::MissingSigner { address: *address })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((VersionedTransaction { signatures, message }, transaction_bytes))
}

fn check_size(transaction_bytes: usize) -> Result<(), LedgerError> {
    if transaction_bytes > MAX_TRANSACTION_BYTES {
        return Err(LedgerError::TooLarge { transaction_bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use solana_instruction::AccountMeta;

    fn instruction(data_bytes: usize, account_count: u8) -> Instruction {
        let accounts =
            (0..account_count).map(|index| AccountMeta::new(Address::new_from_array([index + 1; 32]), false)).collect();
        Instruction { program_id: Address::new_from_array([0xEE; 32]), accounts, data: vec![7; data_bytes] }
    }

    #[test]
    fn the_size_is_that_of_the_network_serialization() {
        let payer = Keypair::new_from_array([1; 32]);
        for (data_bytes, account_count) in [(0, 0), (1, 3), (127, 1), (128, 1), (800, 5)] {
            let (transaction, transaction_bytes) =
                sign(&[instruction(data_bytes, account_count)], &payer, &[], Hash::default()).unwrap();
            assert_eq!(transaction_bytes as u64, wincode::serialized_size(&transaction).unwrap());
        }
    }

    #[test]
    fn a_transaction_that_fits_no_packet_is_too_large() {
        let payer = Keypair::new_from_array([1; 32]);
        let size = |data_bytes| sign(&[instruction(data_bytes, 1)], &payer, &[], Hash::default()).map(|(_, size)| size);
        let overhead = size(200).unwrap() - 200;
        assert_eq!(size(MAX_TRANSACTION_BYTES - overhead).unwrap(), MAX_TRANSACTION_BYTES);
        assert!(matches!(
            size(MAX_TRANSACTION_BYTES - overhead + 1),
            Err(LedgerError::TooLarge { transaction_bytes: 1233 })
        ));
    }

    #[test]
    fn hundreds_of_accounts_are_too_large_and_do_not_panic() {
        let payer = Keypair::new_from_array([1; 32]);
        let accounts = (0..300u16)
            .map(|index| {
                let mut address = [0xAB; 32];
                address[..2].copy_from_slice(&index.to_le_bytes());
                AccountMeta::new(Address::new_from_array(address), true)
            })
            .collect();
        let instruction = Instruction { accounts, ..instruction(0, 0) };
        assert!(matches!(sign(&[instruction], &payer, &[], Hash::default()), Err(LedgerError::TooLarge { .. })));
    }

    #[test]
    fn a_signature_that_nobody_can_give_is_missing() {
        let payer = Keypair::new_from_array([1; 32]);
        let other = Keypair::new_from_array([2; 32]);
        let mut instruction = instruction(0, 0);
        instruction.accounts.push(AccountMeta::new(other.pubkey(), true));
        let missing = sign(std::slice::from_ref(&instruction), &payer, &[], Hash::default()).unwrap_err();
        assert!(matches!(missing, LedgerError::MissingSigner { address } if address == other.pubkey()));
        let (transaction, _) = sign(&[instruction], &payer, &[&other, &payer], Hash::default()).unwrap();
        assert_eq!(transaction.verify_with_results(), [true, true]);
    }
}

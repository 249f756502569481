//! The programs that check signatures, through transactions.

use ed25519_dalek::Signer as _;
use sip_svm::{Embedded, PROGRAM_ELF};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_instruction::error::InstructionError;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_sdk_ids::{ed25519_program, native_loader, secp256k1_program, secp256r1_program, system_program};
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

const MESSAGE: &[u8] = b"the river took the mill";
/// What names the instruction that something stands in where it is the checking one itself.
const HERE: u16 = u16::MAX;

/// Agave's numbers for why signatures do not hold.
const PUBLIC_KEY: Result<(), u32> = Err(0);
const RECOVERY_ID: Result<(), u32> = Err(1);
const SIGNATURE: Result<(), u32> = Err(2);
const OFFSETS: Result<(), u32> = Err(3);
const DATA_SIZE: Result<(), u32> = Err(4);

struct Chain {
    ledger: Embedded,
    payer: Keypair,
}

impl Chain {
    fn new() -> Self {
        let mut ledger = Embedded::new(Address::new_from_array([9; 32]), PROGRAM_ELF).unwrap();
        let payer = Keypair::new();
        ledger.airdrop(&payer.pubkey(), 1_000_000_000).unwrap();
        Self { ledger, payer }
    }

    /// What becomes of instructions, of which the last one checks signatures. It says nothing, and takes nothing.
    fn run(&self, instructions: &[(Address, Vec<u8>)]) -> Result<(), u32> {
        let of = |(program_id, data): &(Address, Vec<u8>)| Instruction {
            program_id: *program_id,
            accounts: vec![],
            data: data.clone(),
        };
        let list: Vec<Instruction> = instructions.iter().map(of).collect();
        let message = VersionedMessage::Legacy(Message::new(&list, Some(&self.payer.pubkey())));
        let signatures = vec![self.payer.sign_message(&message.serialize())];
        let simulation = self.ledger.simulate(VersionedTransaction { signatures, message }, true);
        let own = format!("Program {}", instructions.last().unwrap().0);
        assert!(!simulation.logs.iter().any(|line| line.starts_with(&own)), "{:?}", simulation.logs);
        match simulation.result {
            Ok(()) => Ok(()),
            Err(TransactionError::InstructionError(at, InstructionError::Custom(number))) => {
                assert_eq!(usize::from(at), list.len() - 1);
                Err(number)
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn alone(&self, program_id: Address, data: Vec<u8>) -> Result<(), u32> {
        self.run(&[(program_id, data)])
    }
}

/// One signature with key and message behind the offsets, which name this instruction.
fn data(signature: &[u8], key: &[u8], message: &[u8]) -> Vec<u8> {
    let key_at = 16 + signature.len() as u16;
    let message_at = key_at + key.len() as u16;
    let offsets = [16, HERE, key_at, HERE, message_at, message.len() as u16, HERE];
    let offsets: Vec<u8> = offsets.iter().flat_map(|number| number.to_le_bytes()).collect();
    [&[1, 0][..], &offsets, signature, key, message].concat()
}

#[test]
fn the_accounts_are_those_of_every_cluster() {
    let chain = Chain::new();
    for program_id in [ed25519_program::ID, secp256k1_program::ID, secp256r1_program::ID] {
        let account = chain.ledger.account(&program_id).unwrap();
        assert_eq!((account.lamports, account.data.len(), account.executable), (1, 0, true));
        assert_eq!(account.owner, native_loader::ID);
    }
}

#[test]
fn ed25519_signatures_hold_with_their_key_and_message_alone() {
    let chain = Chain::new();
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let (signature, key) = (key.sign(MESSAGE).to_bytes(), key.verifying_key().to_bytes());
    let check = |data: Vec<u8>| chain.alone(ed25519_program::ID, data);
    assert_eq!(check(data(&signature, &key, MESSAGE)), Ok(()));
    assert_eq!(check(data(&signature, &key, b"another")), SIGNATURE);
    assert_eq!(check(data(&signature, &[2; 32], MESSAGE)), PUBLIC_KEY);
    let mut high = signature;
    high[63] |= 0x20;
    assert_eq!(check(data(&high, &[2; 32], MESSAGE)), SIGNATURE);
    // The key of no order, which would sign anything.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(check(data(&[&neutral[..], &[0; 32]].concat(), &neutral, MESSAGE)), SIGNATURE);
    assert_eq!(check(vec![0, 0]), Ok(()));
    assert_eq!(check(vec![0, 0, 0]), DATA_SIZE);
    assert_eq!(check(vec![1]), DATA_SIZE);
    assert_eq!(check(vec![1, 0, 5]), DATA_SIZE);
}

#[test]
fn parts_may_stand_in_another_instruction_and_never_beyond_its_end() {
    let chain = Chain::new();
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let mut apart = data(&key.sign(MESSAGE).to_bytes(), &key.verifying_key().to_bytes(), MESSAGE);
    let memo = Address::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
    // The message is what the memo before says.
    let at = 2 + 2 * 4;
    apart[at..at + 6].copy_from_slice(&[0, 0, MESSAGE.len() as u8, 0, 0, 0]);
    let with = |text: &[u8]| chain.run(&[(memo, text.to_vec()), (ed25519_program::ID, apart.clone())]);
    assert_eq!(with(MESSAGE), Ok(()));
    assert_eq!(with(b"the river took the mile"), SIGNATURE);
    assert_eq!(with(&MESSAGE[1..]), OFFSETS);
    apart[at + 4] = 5;
    assert_eq!(chain.run(&[(memo, MESSAGE.to_vec()), (ed25519_program::ID, apart)]), OFFSETS);
}

#[test]
fn secp256r1_signatures_hold_in_their_lower_form_alone() {
    use p256::ecdsa::signature::Signer as _;
    let chain = Chain::new();
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let signed: p256::ecdsa::Signature = key.sign(MESSAGE);
    let lower = signed.normalize_s();
    let upper = p256::ecdsa::Signature::from_scalars(lower.r(), -lower.s()).unwrap();
    let public = key.verifying_key().to_sec1_point(true);
    let check = |signature: &[u8], key: &[u8], message: &[u8]| {
        chain.alone(secp256r1_program::ID, data(signature, key, message))
    };
    assert_eq!(check(&lower.to_bytes(), public.as_bytes(), MESSAGE), Ok(()));
    assert_eq!(check(&upper.to_bytes(), public.as_bytes(), MESSAGE), SIGNATURE);
    assert_eq!(check(&lower.to_bytes(), public.as_bytes(), b"another"), SIGNATURE);
    assert_eq!(check(&lower.to_bytes(), &[5; 33], MESSAGE), PUBLIC_KEY);
    assert_eq!(check(&[0; 64], public.as_bytes(), MESSAGE), SIGNATURE);
    for count in [0, 9] {
        assert_eq!(chain.alone(secp256r1_program::ID, vec![count, 0]), DATA_SIZE);
    }
}

#[test]
fn secp256k1_signatures_recover_the_address_of_ethereum() {
    let chain = Chain::new();
    let secret = libsecp256k1::SecretKey::parse(&{
        let mut one = [0; 32];
        one[31] = 1;
        one
    });
    let secret = secret.unwrap();
    let public = libsecp256k1::PublicKey::from_secret_key(&secret).serialize();
    let address = solana_keccak_hasher::hash(&public[1..]).to_bytes()[12..].to_vec();
    // 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf is known as the address of the key 1.
    assert_eq!(address[..4], [0x7e, 0x5f, 0x45, 0x52]);
    let hash = solana_keccak_hasher::hash(MESSAGE).to_bytes();
    // The crate's own signing wants more features; a nonce that is used once is as good.
    let nonce = libsecp256k1::curve::Scalar::from_int(77);
    let message = libsecp256k1::Message::parse(&hash);
    let (r, s, recovery) = libsecp256k1::ECMULT_GEN_CONTEXT.sign_raw(&secret.into(), &message.0, &nonce).unwrap();
    let signature = libsecp256k1::Signature { r, s };
    let data = |recovery: u8, address: &[u8], message: &[u8], instruction: u8| {
        let place = |number: u16| number.to_le_bytes();
        let (message_bytes, here) = (message.len() as u16, [instruction]);
        let parts = [&[1][..], &place(12), &here, &place(77), &here, &place(97), &place(message_bytes), &here];
        [&parts.concat()[..], &signature.serialize(), &[recovery], address, message].concat()
    };
    let check = |data: Vec<u8>| chain.alone(secp256k1_program::ID, data);
    assert_eq!(check(data(recovery, &address, MESSAGE, 0)), Ok(()));
    assert_eq!(check(data(recovery ^ 1, &address, MESSAGE, 0)), SIGNATURE);
    assert_eq!(check(data(4, &address, MESSAGE, 0)), RECOVERY_ID);
    assert_eq!(check(data(recovery, &[0; 20], MESSAGE, 0)), SIGNATURE);
    assert_eq!(check(data(recovery, &address, MESSAGE, 1)), DATA_SIZE);
    assert_eq!(check(vec![0]), Ok(()));
    assert_eq!(check(vec![0, 1]), DATA_SIZE);
    assert_eq!(check(vec![]), DATA_SIZE);
}

#[test]
fn executed_transactions_say_no_more_than_simulated_ones() {
    let Chain { mut ledger, payer } = Chain::new();
    let system = solana_system_interface::instruction::transfer(&payer.pubkey(), &payer.pubkey(), 1);
    let check = Instruction { program_id: ed25519_program::ID, accounts: vec![], data: vec![0, 0] };
    let message = VersionedMessage::Legacy(Message::new(&[check, system], Some(&payer.pubkey())));
    let signatures = vec![payer.sign_message(&message.serialize())];
    let execution = ledger.execute(VersionedTransaction { signatures, message }, 200);
    assert_eq!(execution.result, Ok(()));
    let system = system_program::ID;
    assert_eq!(execution.logs, [format!("Program {system} invoke [1]"), format!("Program {system} success")]);
    assert_eq!(execution.compute_units, 150);
}

//! The embedded ledger through its public face.

use crate::common::echo_elf;
use sip_ledger::{Ledger, LedgerError, SnapshotError, TOKEN_PROGRAM, compute_unit_limit, loader};
use sip_svm::{Embedded, FIRST_SLOT};
use solana_account::Account;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;
use solana_system_interface::{instruction as system, program as system_program};
use solana_transaction_error::TransactionError;

const PROGRAM: Address = Address::new_from_array([0x51; 32]);
const SOL: u64 = 1_000_000_000;
const SIGNATURE_FEE_LAMPORTS: u64 = 5_000;

fn ledger() -> Embedded {
    Embedded::new(PROGRAM, &echo_elf()).unwrap()
}

fn key(seed: u8) -> Keypair {
    Keypair::new_from_array([seed; 32])
}

fn funded() -> (Embedded, Keypair) {
    let (mut ledger, payer) = (ledger(), key(1));
    ledger.airdrop(&payer.pubkey(), 100 * SOL).unwrap();
    (ledger, payer)
}

fn echo(code: u32) -> Instruction {
    Instruction { program_id: PROGRAM, accounts: vec![], data: code.to_le_bytes().to_vec() }
}

fn assert_lamports_are_conserved(ledger: &Embedded) {
    let held: u64 = ledger.accounts().iter().map(|(_, account)| account.lamports).sum();
    assert_eq!(held + ledger.statistics().fee_lamports, ledger.issued_lamports());
}

/// A mint with `amount` units in the first of two token accounts; returns the accounts.
fn create_tokens(ledger: &mut Embedded, payer: &Keypair, amount: u64) -> [Address; 2] {
    let token = |tag: u8, data: &[u8], accounts: Vec<AccountMeta>| Instruction {
        program_id: TOKEN_PROGRAM,
        accounts,
        data: [&[tag], data].concat(),
    };
    let create = |address: &Address, bytes: u64, ledger: &Embedded| {
        let lamports = ledger.minimum_balance(bytes as usize);
        system::create_account(&payer.pubkey(), address, lamports, bytes, &TOKEN_PROGRAM)
    };
    let (mint, holders) = (key(20), [key(21), key(22)]);
    let owner = payer.pubkey();
    let initialize_mint =
        token(20, &[&[6][..], owner.as_array(), &[0]].concat(), vec![AccountMeta::new(mint.pubkey(), false)]);
    let create_mint = create(&mint.pubkey(), 82, ledger);
    ledger.send(&[create_mint, initialize_mint], payer, &[&mint]).unwrap();
    for holder in &holders {
        let initialize = token(
            18,
            owner.as_array(),
            vec![AccountMeta::new(holder.pubkey(), false), AccountMeta::new_readonly(mint.pubkey(), false)],
        );
        let create_holder = create(&holder.pubkey(), 165, ledger);
        ledger.send(&[create_holder, initialize], payer, &[holder]).unwrap();
    }
    let accounts = holders.map(|holder| holder.pubkey());
    let mint_to = token(
        7,
        &amount.to_le_bytes(),
        vec![
            AccountMeta::new(mint.pubkey(), false),
            AccountMeta::new(accounts[0], false),
            AccountMeta::new_readonly(owner, true),
        ],
    );
    ledger.send(&[mint_to], payer, &[]).unwrap();
    accounts
}

fn token_transfer([from, to]: [Address; 2], owner: &Keypair, amount: u64) -> Instruction {
    Instruction {
        program_id: TOKEN_PROGRAM,
        accounts: vec![
            AccountMeta::new(from, false),
            AccountMeta::new(to, false),
            AccountMeta::new_readonly(owner.pubkey(), true),
        ],
        data: [&[3][..], &amount.to_le_bytes()].concat(),
    }
}

#[test]
fn a_new_ledger_has_no_accounts_and_a_full_window_of_slot_hashes() {
    let ledger = ledger();
    assert_eq!(ledger.accounts(), []);
    assert_eq!((ledger.slot(), ledger.issued_lamports()), (FIRST_SLOT, 0));
    let slot_hashes = ledger.account(&solana_sdk_ids::sysvar::slot_hashes::ID).unwrap();
    assert_eq!(slot_hashes.data[..16], [512u64, FIRST_SLOT - 1].map(u64::to_le_bytes).concat());
}

#[test]
fn a_transfer_moves_lamports_and_its_receipt_says_what_it_took() {
    let (mut ledger, payer) = funded();
    let to = key(2).pubkey();
    let receipt = ledger.send(&[system::transfer(&payer.pubkey(), &to, 3 * SOL)], &payer, &[]).unwrap();
    assert_eq!(ledger.account(&to).unwrap().lamports, 3 * SOL);
    assert_eq!(ledger.account(&payer.pubkey()).unwrap().lamports, 97 * SOL - SIGNATURE_FEE_LAMPORTS);
    assert_eq!((receipt.fee_lamports, receipt.compute_units), (SIGNATURE_FEE_LAMPORTS, 150));
    assert_eq!((receipt.transaction_bytes, receipt.slot), (215, FIRST_SLOT));
    assert!(!receipt.logs.is_empty());
    assert_lamports_are_conserved(&ledger);
}

#[test]
fn one_instruction_sent_twice_is_two_transactions() {
    let (mut ledger, payer) = funded();
    let first = ledger.send(&[echo(0)], &payer, &[]).unwrap();
    let second = ledger.send(&[echo(0)], &payer, &[]).unwrap();
    assert_ne!(first.signature, second.signature);
    assert_eq!(ledger.statistics().transactions, 2);
}

#[test]
fn a_refusal_carries_the_code_the_instruction_and_the_logs_and_costs_the_fee() {
    let (mut ledger, payer) = funded();
    let transfer = system::transfer(&payer.pubkey(), &key(2).pubkey(), SOL);
    let error = ledger.send(&[transfer, echo(0), echo(6007)], &payer, &[]).unwrap_err();
    assert!(matches!(error, LedgerError::Custom { code: 6007, instruction_index: 2, .. }));
    assert_eq!(error.to_string(), "instruction 2 was refused with error 0x1777");
    assert_eq!(error.custom_code(), Some(6007));
    assert!(error.logs().iter().any(|line| line.contains("custom program error: 0x1777")));
    assert_eq!(error.failure().unwrap().fee_lamports, SIGNATURE_FEE_LAMPORTS);
    assert_eq!(ledger.account(&key(2).pubkey()), None);
    let statistics = ledger.statistics();
    assert_eq!((statistics.transactions, statistics.failed_transactions), (0, 1));
    assert_lamports_are_conserved(&ledger);
}

#[test]
fn a_transaction_that_is_not_executed_leaves_no_trace() {
    let (mut ledger, payer) = funded();
    let pauper = key(9);
    let error = ledger.send(&[echo(0)], &pauper, &[]).unwrap_err();
    assert!(matches!(error, LedgerError::Transaction { source: TransactionError::AccountNotFound, .. }));
    assert_eq!(error.failure().unwrap().fee_lamports, 0);
    let unknown = Instruction { program_id: key(8).pubkey(), ..echo(0) };
    assert!(ledger.send(&[unknown], &payer, &[]).is_err());
    assert_eq!(ledger.statistics(), Default::default());
    assert_eq!(ledger.accounts().len(), 1);
}

#[test]
fn the_compute_unit_limit_is_kept() {
    let (mut ledger, payer) = funded();
    let enough = ledger.send(&[compute_unit_limit(152), echo(0)], &payer, &[]).unwrap();
    assert_eq!(enough.compute_units, 152);
    let error = ledger.send(&[compute_unit_limit(151), echo(0)], &payer, &[]).unwrap_err();
    assert!(matches!(error, LedgerError::Transaction { .. }), "{error}");
    assert_eq!(ledger.statistics().compute_units, 152 + 151);
}

#[test]
fn token_balances_follow_transfers() {
    let (mut ledger, payer) = funded();
    let holders = create_tokens(&mut ledger, &payer, 1_000);
    ledger.send(&[token_transfer(holders, &payer, 300)], &payer, &[]).unwrap();
    assert_eq!(holders.map(|holder| ledger.token_balance(&holder)), [Some(700), Some(300)]);
    assert_eq!(ledger.token_balance(&payer.pubkey()), None);
    assert_eq!(ledger.token_balance(&key(20).pubkey()), None, "a mint is not a token account");
    let owned: Vec<Address> = ledger.program_accounts(&TOKEN_PROGRAM).into_iter().map(|(address, _)| address).collect();
    assert_eq!(owned.len(), 3);
    assert!(owned.is_sorted());
    let error = ledger.send(&[token_transfer(holders, &payer, 701)], &payer, &[]).unwrap_err();
    assert_eq!(error.custom_code(), Some(1), "insufficient funds");
    assert_lamports_are_conserved(&ledger);
}

#[test]
fn slots_pass_only_when_asked_and_move_the_clock_and_the_slot_hashes() {
    let (mut ledger, payer) = funded();
    ledger.send(&[echo(0)], &payer, &[]).unwrap();
    assert_eq!(ledger.slot(), FIRST_SLOT);
    ledger.advance_slots(5).unwrap();
    assert_eq!(ledger.slot(), FIRST_SLOT + 5);
    let clock = ledger.account(&solana_sdk_ids::sysvar::clock::ID).unwrap().data;
    assert_eq!(clock[..8], (FIRST_SLOT + 5).to_le_bytes());
    assert_eq!(clock[32..40], (1_767_225_600 + (FIRST_SLOT as i64 + 5) * 2 / 5).to_le_bytes());
    let hashes = |ledger: &Embedded| ledger.account(&solana_sdk_ids::sysvar::slot_hashes::ID).unwrap().data;
    assert_eq!(hashes(&ledger)[8..16], (FIRST_SLOT + 4).to_le_bytes());

    let (mut stepped, _) = funded();
    stepped.send(&[echo(0)], &payer, &[]).unwrap();
    (0..2000).step_by(250).for_each(|_| stepped.advance_slots(250).unwrap());
    ledger.advance_slots(1995).unwrap();
    assert_eq!(hashes(&ledger), hashes(&stepped));
    ledger.advance_slots(1 << 40).unwrap();
    assert!(matches!(ledger.advance_slots(u64::MAX), Err(LedgerError::EndOfTime { .. })));
}

#[test]
fn equal_transactions_give_equal_states_and_others_give_other_slot_hashes() {
    let run = |code: u32| {
        let (mut ledger, payer) = funded();
        let holders = create_tokens(&mut ledger, &payer, 1_000);
        let _ = ledger.send(&[echo(code)], &payer, &[]);
        ledger.advance_slots(3).unwrap();
        let receipt = ledger.send(&[token_transfer(holders, &payer, 5)], &payer, &[]).unwrap();
        let slot_hashes = ledger.account(&solana_sdk_ids::sysvar::slot_hashes::ID).unwrap();
        (receipt, ledger.accounts(), ledger.statistics(), slot_hashes)
    };
    assert_eq!(run(0), run(0));
    assert_ne!(run(0).3, run(7).3);
}

#[test]
fn a_restored_ledger_goes_on_as_the_one_that_wrote_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.bin");
    let (mut ledger, payer) = funded();
    let holders = create_tokens(&mut ledger, &payer, 1_000);
    let _ = ledger.send(&[echo(7)], &payer, &[]);
    ledger.advance_slots(700).unwrap();
    ledger.snapshot(&path).unwrap();
    let mut restored = Embedded::restore(&path, PROGRAM, &echo_elf()).unwrap();

    let go_on = |ledger: &mut Embedded| {
        let transfer = ledger.send(&[token_transfer(holders, &payer, 11)], &payer, &[]).unwrap();
        ledger.advance_slots(2).unwrap();
        let new = system::create_account(&payer.pubkey(), &key(3).pubkey(), SOL, 10, &PROGRAM);
        let creation = ledger.send(&[new], &payer, &[&key(3)]).unwrap();
        let slot_hashes = ledger.account(&solana_sdk_ids::sysvar::slot_hashes::ID);
        let clock = ledger.account(&solana_sdk_ids::sysvar::clock::ID);
        (transfer, creation, slot_hashes, clock, ledger.accounts(), ledger.statistics(), ledger.issued_lamports())
    };
    assert_eq!(go_on(&mut ledger), go_on(&mut restored));
    assert_lamports_are_conserved(&restored);

    ledger.snapshot(&path).unwrap();
    restored.snapshot(&folder.path().join("other.bin")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(folder.path().join("other.bin")).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn snapshots_of_other_programs_other_builds_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.bin");
    let (ledger, payer) = funded();
    ledger.snapshot(&path).unwrap();
    let refusal = |program: Address, elf: &[u8]| match Embedded::restore(&path, program, elf) {
        Err(LedgerError::Snapshot(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("restored"),
    };
    assert!(matches!(refusal(payer.pubkey(), &echo_elf()), SnapshotError::OtherProgram { .. }));
    let mut other_build = echo_elf();
    other_build.push(0);
    assert!(matches!(refusal(PROGRAM, &other_build), SnapshotError::OtherBuild { .. }));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let damaged = refusal(PROGRAM, &echo_elf());
    assert!(damaged.to_string().ends_with("is damaged or cut short; restore the file or start a new ledger"));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(refusal(PROGRAM, &echo_elf()), SnapshotError::File { action: "read", .. }));
    assert!(ledger.snapshot(&folder.path().join("missing/ledger.bin")).is_err());
}

#[test]
fn what_is_no_program_does_not_load() {
    let Err(error) = Embedded::new(PROGRAM, b"not an elf") else { panic!("loaded") };
    assert!(matches!(error, LedgerError::Program { .. }));
}

#[test]
fn accounts_of_the_runtime_cannot_be_written() {
    let (mut ledger, payer) = funded();
    for address in [PROGRAM, TOKEN_PROGRAM, solana_sdk_ids::sysvar::clock::ID] {
        assert!(matches!(ledger.airdrop(&address, 1), Err(LedgerError::RuntimeAccount { .. })));
    }
    let executable = Account { lamports: 1, executable: true, ..Account::default() };
    assert!(ledger.set_account(key(5).pubkey(), executable).is_err());
    assert!(matches!(ledger.airdrop(&payer.pubkey(), u64::MAX), Err(LedgerError::LamportOverflow { .. })));
    assert!(matches!(ledger.airdrop(&key(6).pubkey(), u64::MAX), Err(LedgerError::LamportOverflow { .. })));
    let forged = Account { lamports: SOL, data: vec![1, 2, 3], owner: PROGRAM, ..Account::default() };
    ledger.set_account(key(5).pubkey(), forged.clone()).unwrap();
    assert_eq!(ledger.account(&key(5).pubkey()), Some(forged));
    ledger.set_account(key(5).pubkey(), Account { owner: system_program::ID, ..Account::default() }).unwrap();
    assert_eq!(ledger.account(&key(5).pubkey()), None);
    assert_lamports_are_conserved(&ledger);
}

#[test]
fn deployed_programs_and_what_programs_were_paid_survive_a_snapshot() {
    let (mut ledger, payer) = funded();
    loader::deploy(&mut ledger, &echo_elf(), &payer, &key(30), &key(31)).unwrap();
    let deployed = key(30).pubkey();
    ledger.send(&[system::transfer(&payer.pubkey(), &PROGRAM, SOL)], &payer, &[]).unwrap();
    ledger.advance_to(1_000, 1_900_000_000).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.bin");
    ledger.snapshot(&path).unwrap();

    let mut restored = Embedded::restore(&path, PROGRAM, &echo_elf()).unwrap();
    assert_eq!(restored.snapshot_bytes(), ledger.snapshot_bytes());
    assert_eq!((restored.slot(), restored.unix_seconds()), (1_000, 1_900_000_000));
    assert_eq!(restored.account(&PROGRAM), ledger.account(&PROGRAM));
    let call = Instruction { program_id: deployed, accounts: vec![], data: 7u32.to_le_bytes().to_vec() };
    for ledger in [&mut ledger, &mut restored] {
        let refused = ledger.send(std::slice::from_ref(&call), &payer, &[]).unwrap_err();
        assert_eq!(refused.custom_code(), Some(7), "{refused}");
    }
    assert_eq!(restored.snapshot_bytes(), ledger.snapshot_bytes());
}

#[test]
fn time_and_slots_do_not_run_backwards() {
    let mut ledger = ledger();
    ledger.advance_to(600, 1_900_000_000).unwrap();
    ledger.advance_to(601, 1_800_000_000).unwrap();
    assert_eq!(ledger.unix_seconds(), 1_900_000_000);
    assert!(matches!(ledger.advance_to(600, 2_000_000_000), Err(LedgerError::EndOfTime { slot: 601, .. })));
    ledger.advance_slots(5).unwrap();
    assert_eq!(ledger.unix_seconds(), 1_900_000_002);
}

#[test]
fn signed_transactions_are_verified_and_simulation_changes_nothing() {
    use solana_message::{Message, VersionedMessage};
    use solana_transaction::versioned::VersionedTransaction;
    let (mut ledger, payer) = funded();
    let to = key(40).pubkey();
    let message =
        VersionedMessage::Legacy(Message::new(&[system::transfer(&payer.pubkey(), &to, SOL)], Some(&payer.pubkey())));
    let good = VersionedTransaction { signatures: vec![payer.sign_message(&message.serialize())], message };
    let forged = VersionedTransaction { signatures: vec![key(2).sign_message(b"x")], message: good.message.clone() };
    let short = VersionedTransaction { signatures: vec![], message: good.message.clone() };
    let before = ledger.snapshot_bytes();
    for (bad, error) in [(&forged, TransactionError::SignatureFailure), (&short, TransactionError::SanitizeFailure)] {
        assert_eq!(ledger.execute(bad.clone(), 200).result, Err(error.clone()));
        assert_eq!(ledger.simulate(bad.clone(), true).result, Err(error));
    }
    let simulation = ledger.simulate(forged, false);
    assert_eq!((simulation.result, simulation.compute_units, simulation.fee_lamports), (Ok(()), 150, 5_000));
    assert_eq!(ledger.snapshot_bytes(), before);

    let execution = ledger.execute(good, 200);
    assert_eq!((execution.result.clone(), execution.executed), (Ok(()), true));
    assert_eq!(execution.changes().map(|(address, _)| *address).collect::<Vec<_>>(), [payer.pubkey(), to]);
    assert_lamports_are_conserved(&ledger);
}

//! The committed program goes through loader v3 as a deployment on a cluster does.

use crate::common::echo_elf;
use sip_ledger::loader::{BufferError, Deployed, Upload};
use sip_ledger::{Ledger, LedgerError, loader, program_data, upgrade_authority};
use sip_svm::{Embedded, Features, Genesis, PROGRAM_ELF};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

const SOL: u64 = 1_000_000_000;
/// What the program answers to an instruction without a byte.
const UNKNOWN_INSTRUCTION: u32 = 1;

fn key(seed: u8) -> Keypair {
    Keypair::new_from_array([seed; 32])
}

/// A ledger of these features on which SIP was never deployed, and the one who pays.
fn ledger(features: Features) -> (Embedded, Keypair) {
    let elf = echo_elf();
    let genesis = Genesis { features, ..Genesis::new(Address::new_from_array([0x51; 32]), &elf) };
    let (mut ledger, payer) = (Embedded::begin(&genesis).unwrap(), key(1));
    ledger.airdrop(&payer.pubkey(), 100 * SOL).unwrap();
    (ledger, payer)
}

/// The program's own refusal of an empty instruction: it is there, and runs.
fn answer(ledger: &mut Embedded, payer: &Keypair, program_id: Address) -> Option<u32> {
    let call = Instruction { program_id, accounts: vec![], data: vec![] };
    ledger.send(&[call], payer, &[]).expect_err("an empty instruction succeeded").custom_code()
}

/// When the code came, and who may upgrade it.
fn deployment(ledger: &Embedded, program_id: &Address) -> (u64, Option<Address>) {
    let data = ledger.account(&program_data(program_id)).unwrap().data;
    (u64::from_le_bytes(data[4..12].try_into().unwrap()), upgrade_authority(&data))
}

#[test]
fn the_program_is_deployed_upgraded_and_made_immutable_under_mainnets_features_and_under_all() {
    let elf = PROGRAM_ELF;
    for features in [Features::Mainnet, Features::All] {
        let (mut ledger, payer) = ledger(features);
        let (program, authority) = (key(30), payer.pubkey());
        loader::deploy(&mut ledger, elf, &payer, &program, &key(31)).unwrap();
        let program_id = program.pubkey();
        assert_eq!(answer(&mut ledger, &payer, program_id), Some(UNKNOWN_INSTRUCTION), "{features:?}");
        let first = deployment(&ledger, &program_id);
        assert_eq!(first.1, Some(authority));

        loader::upgrade(&mut ledger, elf, &payer, &program_id, &key(32)).unwrap();
        assert_eq!(answer(&mut ledger, &payer, program_id), Some(UNKNOWN_INSTRUCTION), "{features:?}");
        assert!(deployment(&ledger, &program_id).0 > first.0);

        ledger.send(&[loader::set_authority(&program_id, &authority, None)], &payer, &[]).unwrap();
        assert_eq!(deployment(&ledger, &program_id).1, None);
        let refused = loader::upgrade(&mut ledger, elf, &payer, &program_id, &key(33));
        assert!(matches!(refused, Err(LedgerError::Transaction { .. })), "{refused:?}");
        assert_eq!(answer(&mut ledger, &payer, program_id), Some(UNKNOWN_INSTRUCTION), "{features:?}");
    }
}

#[test]
fn old_bytecode_is_refused_by_a_loader_with_all_features() {
    let (mut mainnet, payer) = ledger(Features::Mainnet);
    loader::deploy(&mut mainnet, &echo_elf(), &payer, &key(30), &key(31)).unwrap();
    let (mut all, payer) = ledger(Features::All);
    let error = loader::deploy(&mut all, &echo_elf(), &payer, &key(30), &key(31)).unwrap_err();
    assert!(format!("{:?}", error.failure()).contains("sbpf_version"), "{error}: {:?}", error.failure());
}

#[test]
fn an_upgrade_of_the_ledgers_own_program_survives_a_snapshot() {
    let (program_id, payer) = (Address::new_from_array([0x51; 32]), key(1));
    let mut larger = echo_elf();
    larger.resize(PROGRAM_ELF.len(), 0);
    let mut ledger = Embedded::begin(&Genesis::new(program_id, &larger).deployed_by(payer.pubkey())).unwrap();
    ledger.airdrop(&payer.pubkey(), 100 * SOL).unwrap();
    ledger.advance_slots(1).unwrap();
    loader::upgrade(&mut ledger, PROGRAM_ELF, &payer, &program_id, &key(31)).unwrap();
    assert_eq!(answer(&mut ledger, &payer, program_id), Some(UNKNOWN_INSTRUCTION));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.bin");
    ledger.snapshot(&path).unwrap();
    let mut restored = Embedded::restore(&path, program_id, &larger).unwrap();
    assert_eq!(restored.snapshot_bytes(), ledger.snapshot_bytes());
    assert_eq!(answer(&mut restored, &payer, program_id), Some(UNKNOWN_INSTRUCTION));
    assert_eq!(deployment(&restored, &program_id).1, Some(payer.pubkey()));
}

#[test]
fn an_upload_goes_on_in_its_buffer_and_larger_code_gets_room() {
    let elf = PROGRAM_ELF;
    for features in [Features::Mainnet, Features::All] {
        let (mut ledger, payer) = ledger(features);
        let (program, buffer) = (key(30), key(31));
        let upload = Upload { program_elf: elf, authority: &payer, buffer: &buffer };
        let all = upload.missing(&ledger).unwrap();
        assert!(all.is_new && all.cost() == (all.pieces.len() + 1, (all.pieces.len() as u64 + 2) * 5_000));
        let mut calls = 0;
        let is_whole = upload.write(&mut ledger, |_| {
            calls += 1;
            calls < 3
        });
        assert!(!is_whole.unwrap(), "it was stopped");
        let rest = upload.missing(&ledger).unwrap();
        assert!(!rest.is_new && rest.pieces.len() == all.pieces.len() - 128, "{}", rest.pieces.len());
        // Neither another wallet nor other code goes on in it.
        let stranger = key(9);
        let other = Upload { authority: &stranger, ..upload };
        assert!(matches!(other.missing(&ledger), Err(LedgerError::Buffer(BufferError::NotOurs { .. }))));
        let mut changed = elf.to_vec();
        changed[1_001] ^= 1;
        let other = Upload { program_elf: &changed, ..upload };
        assert!(matches!(
            other.missing(&ledger),
            Err(LedgerError::Buffer(BufferError::OtherContent { offset: 1_000..2_000, .. }))
        ));
        let other = Upload { program_elf: &elf[1..], ..upload };
        assert!(matches!(other.missing(&ledger), Err(LedgerError::Buffer(BufferError::OtherLength { .. }))));
        loader::deploy(&mut ledger, elf, &payer, &program, &buffer).unwrap();
        let deployed = Deployed::read(&ledger, &program.pubkey()).unwrap().unwrap();
        assert!(deployed.is(elf) && !deployed.is(&changed) && deployed.authority == Some(payer.pubkey()));

        // Code that is longer than what was deployed first.
        let mut longer = elf.to_vec();
        longer.resize(elf.len() + 20_000, 0);
        loader::upgrade(&mut ledger, &longer, &payer, &program.pubkey(), &key(32)).unwrap();
        let deployed = Deployed::read(&ledger, &program.pubkey()).unwrap().unwrap();
        assert_eq!((deployed.code.len(), deployed.is(elf)), (longer.len(), true), "{features:?}");
    }
}

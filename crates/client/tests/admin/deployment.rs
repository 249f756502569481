//! Who begins the protocol: the key that may upgrade the program, and nobody who is faster.

use sip_client::{Program, refusal};
use sip_ledger::{Ledger, loader};
use sip_protocol::{Error, admin::config::Parameters};
use sip_svm::{Embedded, PROGRAM_ELF};
use sip_testing::World;
use solana_keypair::Keypair;
use solana_signer::Signer;

fn key(seed: u8) -> Keypair {
    Keypair::new_from_array([seed; 32])
}

/// The committed program, deployed by somebody through loader v3 at an address of its own.
fn deployed() -> (Embedded, Program, Keypair) {
    let World { mut ledger, .. } = World::uninitialised();
    let (deployer, program) = (key(1), key(2));
    ledger.airdrop(&deployer.pubkey(), 100_000_000_000).unwrap();
    loader::deploy(&mut ledger, PROGRAM_ELF, &deployer, &program, &key(3)).unwrap();
    (ledger, Program::new(program.pubkey()), deployer)
}

/// Why somebody does not become the authority.
fn begin(ledger: &mut Embedded, program: &Program, who: &Keypair) -> Result<(), Option<Error>> {
    let begin = program.initialize(&who.pubkey(), &Parameters::DEFAULT);
    ledger.send(&[begin], who, &[]).map(|_| ()).map_err(|error| error.custom_code().and_then(refusal))
}

#[test]
fn a_stranger_who_is_first_after_the_deployment_does_not_become_the_authority() {
    let (mut ledger, program, deployer) = deployed();
    let stranger = key(9);
    ledger.airdrop(&stranger.pubkey(), 100_000_000_000).unwrap();
    assert_eq!(begin(&mut ledger, &program, &stranger), Err(Some(Error::NotUpgradeAuthority)));
    // Nor by the data account of a program that the stranger did deploy.
    let own = Program::new(key(10).pubkey());
    loader::deploy(&mut ledger, PROGRAM_ELF, &stranger, &key(10), &key(11)).unwrap();
    let mut swapped = program.initialize(&stranger.pubkey(), &Parameters::DEFAULT);
    swapped.accounts[5].pubkey = own.program_data();
    let error = ledger.send(&[swapped], &stranger, &[]).unwrap_err();
    assert_eq!(error.custom_code().and_then(refusal), Some(Error::WrongAddress));
    // Nor with the deployer's key, which does not sign.
    let mut unsigned = program.initialize(&deployer.pubkey(), &Parameters::DEFAULT);
    unsigned.accounts[0].is_signer = false;
    let error = ledger.send(&[unsigned], &stranger, &[]).unwrap_err();
    assert_eq!(error.custom_code().and_then(refusal), Some(Error::MissingSigner));
    assert_eq!(begin(&mut ledger, &program, &deployer), Ok(()));
    assert_eq!(begin(&mut ledger, &program, &stranger), Err(Some(Error::NotUpgradeAuthority)));
}

#[test]
fn whoever_was_handed_the_program_begins_the_protocol_and_nobody_once_it_is_immutable() {
    let (mut ledger, program, deployer) = deployed();
    let next = key(9);
    ledger.airdrop(&next.pubkey(), 100_000_000_000).unwrap();
    let hand_over = loader::set_authority(&program.id, &deployer.pubkey(), Some(&next.pubkey()));
    ledger.send(&[hand_over], &deployer, &[]).unwrap();
    assert_eq!(begin(&mut ledger, &program, &deployer), Err(Some(Error::NotUpgradeAuthority)));
    let mut immutable = ledger.clone();
    immutable.send(&[loader::set_authority(&program.id, &next.pubkey(), None)], &next, &[]).unwrap();
    assert_eq!(begin(&mut immutable, &program, &next), Err(Some(Error::NotUpgradeAuthority)));
    assert_eq!(begin(&mut ledger, &program, &next), Ok(()));
}

//! The remote ledger of `sip-rpc` against a local chain.

use crate::common::*;
use sip_ledger::{Ledger, LedgerError, RemoteError};
use sip_rpc::Rpc;
use solana_keypair::Keypair;
use solana_signer::Signer;

#[test]
fn the_same_trait_works_over_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start(folder.path());
    let mut ledger = Rpc::connect(&chain.url()).unwrap();
    let (alice, bob) = (Keypair::new(), Keypair::new().pubkey());
    ledger.airdrop(&alice.pubkey(), 10 * SOL).unwrap();
    assert_eq!(ledger.account(&bob).unwrap(), None);

    let first = ledger.send(&[transfer(&alice, &bob, SOL)], &alice, &[]).unwrap();
    // The same instructions again are another transaction.
    let second = ledger.send(&[transfer(&alice, &bob, SOL)], &alice, &[]).unwrap();
    assert_ne!(first.signature, second.signature);
    assert_eq!((first.fee_lamports, first.compute_units), (5_000, 150));
    assert!(first.logs.iter().any(|log| log.contains("success")), "{:?}", first.logs);
    assert_eq!(ledger.account(&bob).unwrap().unwrap().lamports, 2 * SOL);
    assert_eq!(ledger.statistics().transactions, 2);
    assert_eq!(ledger.minimum_balance(0).unwrap(), 890_880);

    let programs = Ledger::program_accounts(&ledger, &solana_system_interface::program::ID).unwrap();
    assert!(programs.windows(2).all(|pair| pair[0].0 < pair[1].0) && programs.iter().any(|(key, _)| *key == bob));

    let error = ledger.send(&[transfer(&alice, &bob, 100 * SOL)], &alice, &[]).unwrap_err();
    assert_eq!(error.custom_code(), Some(1));
    assert!(error.logs().iter().any(|log| log.contains("insufficient lamports")));
    let stranger = Keypair::new();
    let error = ledger.send(&[transfer(&stranger, &bob, 1)], &stranger, &[]).unwrap_err();
    assert!(matches!(error, LedgerError::Transaction { .. }), "{error}");

    let slot = Ledger::slot(&ledger).unwrap();
    ledger.advance_slots(1_000).unwrap();
    assert!(Ledger::slot(&ledger).unwrap() >= slot + 1_000);
    ledger.send(&[transfer(&alice, &bob, SOL)], &alice, &[]).unwrap();
}

#[test]
fn a_lost_network_is_said_plainly_and_a_restart_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Rpc::connect("nowhere"), Err(LedgerError::Remote(RemoteError::Url { .. }))));
    let chain = start(folder.path());
    let url = chain.url();
    let mut ledger = Rpc::connect(&url).unwrap();
    let (alice, bob) = (Keypair::new(), Keypair::new().pubkey());
    ledger.airdrop(&alice.pubkey(), 10 * SOL).unwrap();
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    drop(chain);

    // Away for half a second, in which the question is asked several times.
    let path = folder.path().to_owned();
    let restart = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let mut config = config(&path);
        config.port = port;
        sip_localnet::Localnet::start(config).unwrap()
    });
    ledger.send(&[transfer(&alice, &bob, SOL)], &alice, &[]).unwrap();
    let chain = restart.join().unwrap();
    assert_eq!(ledger.account(&bob).unwrap().unwrap().lamports, SOL);

    drop(chain);
    let error = ledger.send(&[transfer(&alice, &bob, SOL)], &alice, &[]).unwrap_err();
    let LedgerError::Remote(RemoteError::Unreachable { attempts: 5, .. }) = error else { panic!("{error}") };
    assert!(error.to_string().contains(&url), "{error}");
}

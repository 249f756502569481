//! Session keys against every instruction: what its declaration calls work passes, and nothing else does.

use crate::table::{After, Case, Findings, Refusal, simulate, table};
use sip_client::kind_of;
use sip_protocol::{Account, AccountKind, court::Dispute, stake::pool::Pool};
use sip_testing::named;
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use std::collections::BTreeSet;

/// The hot key.
fn hot() -> Address {
    Address::new_from_array(named("hot"))
}

/// Pools of a wallet on a case's chain.
fn pools_of(case: &Case, operator: &Address) -> Vec<(Address, Pool)> {
    let accounts = case.ledger.shared_program_accounts(&case.instruction.program_id);
    let pools = accounts.iter().filter(|(_, account)| kind_of(account.data()) == Some(AccountKind::Pool));
    // A pool of an older layout is none yet.
    let decoded = pools.filter_map(|(address, account)| Some((*address, Pool::decode(account.data()).ok()?)));
    decoded.filter(|(_, pool)| !pool.is_attention() && pool.scope == operator.to_bytes()).collect()
}

/// What the instruction does where its signer in a place is the hot key instead, which is the session key of these pools until a slot.
fn by_hot_key(case: &Case, place: usize, pools: &[(Address, Pool)], until_slot: u64) -> Result<After, Refusal> {
    let mut changed = pools.to_vec();
    for (_, pool) in &mut changed {
        (pool.session_key, pool.session_until_slot) = (hot().to_bytes(), until_slot);
    }
    let with_key = |(address, pool): &(Address, Pool)| {
        let mut account = case.ledger.shared_account(address).expect("the pool is there");
        account.set_data_from_slice(bytemuck::bytes_of(pool));
        (*address, account)
    };
    // The key defends from half a clock after the opening on.
    let dispute = defended(case).map(|_| {
        let address = case.address("dispute");
        let mut account = case.ledger.shared_account(&address).expect("the dispute is there");
        let old = Dispute { opened_slot: 0, ..Dispute::decode(account.data()).expect("a dispute") };
        account.set_data_from_slice(bytemuck::bytes_of(&old));
        (address, account)
    });
    let rich = AccountSharedData::new(1_000_000_000_000, 0, &Address::default());
    let chain = case.chain_with(changed.iter().map(with_key).chain(dispute).chain([(hot(), rich)]));
    simulate(&chain, &[signed_by_hot_key(case, place)])
}

/// The instruction with the hot key in a place; in a dispute with the defendant's pool after it.
fn signed_by_hot_key(case: &Case, place: usize) -> Instruction {
    case.changed(|changed| {
        changed.accounts[place].pubkey = hot();
        if let Some(pool) = defended(case) {
            changed.accounts.push(AccountMeta::new_readonly(pool, false));
        }
    })
}

/// The pool that the dispute of a move is about.
fn defended(case: &Case) -> Option<Address> {
    let is_move = ["PlayMove", "Upload"].contains(&case.name);
    let dispute = || {
        let account = case.ledger.shared_account(&case.address("dispute")).expect("the dispute");
        Dispute::decode(account.data()).expect("a dispute")
    };
    is_move.then(|| Address::new_from_array(dispute().pool))
}

/// Attack: with a stolen session key, do what only the operator may: take stake, bonds or pay, leave or take places, end duties, name keys. And the other way round:
/// the key does all that is work.
#[test]
fn a_session_key_does_what_is_declared_as_work_and_nothing_else() {
    let mut findings = Findings::default();
    let (mut worked, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for case in table().iter() {
        for (place, meta, _) in case.places().filter(|(_, meta, _)| meta.is_signer) {
            let pools = pools_of(case, &meta.pubkey);
            let (_, account) = case.spec().account(place).expect("the account is declared");
            if pools.is_empty() || case.free.contains(&place) {
                continue;
            }
            let is_theirs = |address: Address| pools.iter().any(|(pool, _)| *pool == address);
            // A challenger moves for itself, and a job's creator is nobody's operator there.
            let is_pools = match case.name {
                "PlayMove" | "Upload" => defended(case).is_some_and(is_theirs) && is_defendant(case, &meta.pubkey),
                "AnnouncePeer" | "ClosePeer" => is_theirs(case.address("subject")),
                _ => true,
            };
            let result = by_hot_key(case, place, &pools, u64::MAX);
            if account.role.is_work() && is_pools {
                worked.insert(case.name);
                findings.expect(case, result.is_ok(), || format!("the session key is refused: {:?}", result.err()));
                let late = by_hot_key(case, place, &pools, case.ledger.slot());
                findings.refused(case, late, || "the session is over".into());
                let others: Vec<_> = case.instruction.accounts.iter().map(|meta| meta.pubkey).collect();
                let elsewhere: Vec<_> = pools.iter().filter(|(pool, _)| !others.contains(pool)).copied().collect();
                let is_other = defended(case).is_none_or(|pool| !elsewhere.iter().any(|(other, _)| *other == pool));
                if is_other {
                    let result = by_hot_key(case, place, &elsewhere, u64::MAX);
                    findings.refused(case, result, || "the key is that of other pools".into());
                }
            } else {
                refused.insert(case.name);
                findings.refused(case, result, || format!("the session key signs as account {place}"));
            }
        }
    }
    findings.check(60);
    let all = sip_protocol::instructions::all();
    let is_work = |spec: &&sip_protocol::ground::spec::InstructionSpec| {
        spec.accounts.iter().any(|account| account.role.is_work())
    };
    assert_eq!(worked, all.filter(is_work).map(|spec| spec.name).collect(), "a session key does all of these");
    for name in [
        "AddBond",
        "RetirePool",
        "WithdrawBond",
        "ClaimCommission",
        "SetSession",
        "JoinJob",
        "LeaveJob",
        "AllotStake",
        "AmendSegment",
        "RegisterDataset",
    ] {
        assert!(refused.contains(name) && !worked.contains(name), "{name} was not tried");
    }
}

/// Whether a wallet is the defendant of a move's dispute.
fn is_defendant(case: &Case, wallet: &Address) -> bool {
    let account = case.ledger.shared_account(&case.address("dispute")).expect("the dispute");
    Dispute::decode(account.data()).expect("a dispute").defendant == wallet.to_bytes()
}

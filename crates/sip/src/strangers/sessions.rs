//! Everybody with a seat runs by a hot key: the wallet that operates the pool has named it and is nowhere near. The job comes to the same.

use sip_client::{Seat, TOKEN_PROGRAM};
use sip_ledger::{Ledger as _, LedgerError};
use sip_manifest::roles::{AUDITOR, EVALUATOR, TRAINER};
use sip_manifest::settings::Exchange;
use sip_protocol::court::Dispute;
use sip_protocol::ground::clock::session_waits_slots;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::job::Job;
use sip_protocol::training::round;
use sip_roles::{Charge, Charged, Event, Me};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer as _;

use super::faults::{bonds, demand};
use super::network::{Network, chain_of};
use super::whole::check;

/// Later than the end of any job of these.
const UNTIL_SLOT: u64 = 100_000_000;

/// A pool whose operator is nowhere near.
struct Cooled {
    name: String,
    pool: Address,
    operator: Address,
    /// What the operator has once it has named the key, lamports.
    lamports: u64,
}

/// Tokens from one wallet to another.
fn lend(network: &Network, from: &Address, to: &Address) -> Instruction {
    let program = network.run.world.program;
    let [source, target] = [from, to].map(|wallet| AccountMeta::new(program.token_account(wallet), false));
    let data = [&[3][..], &(1_000 * TOKEN).to_le_bytes()].concat();
    let accounts = vec![source, target, AccountMeta::new_readonly(*from, true)];
    Instruction { program_id: TOKEN_PROGRAM, accounts, data }
}

fn lamports(network: &Network, wallet: &Address) -> u64 {
    network.ledger.ledger.borrow().account(wallet).map_or(0, |account| account.lamports)
}

/// Has a key of its own do the work of somebody's pool; the operator's key is on no machine from here on.
fn cool(network: &mut Network, name: &str) -> Cooled {
    let program = network.run.world.program;
    let person = network.run.world.people.iter().find(|person| person.name == name).expect("somebody has that name");
    let (pool, cold, chain) = (person.pool().unwrap(), person.keypair.insecure_clone(), chain_of(&network.run, person));
    let (hot, operator) = (Keypair::new(), cold.pubkey());
    let wallet = hot.pubkey();
    network.ledger.ledger.borrow_mut().airdrop(&wallet, 5_000_000_000).unwrap();
    let session = program.set_session(&operator, &pool, &wallet, UNTIL_SLOT);
    // It accuses in its own name, and lends its own tokens for that.
    let account = program.create_token_account(&operator, &wallet);
    let all = [session, account, lend(network, &operator, &wallet)];
    network.ledger.send(&all, &cold, &[&cold]).unwrap();
    let stranger = network.stranger(name);
    stranger.node.me = Me::new(hot.to_bytes()).with_chain(chain).serving([pool].into());
    stranger.key = hot;
    Cooled { name: name.to_owned(), pool, operator, lamports: lamports(network, &operator) }
}

/// The case of a patron against the first trainer's segment of the first round, which is true.
fn case<'a>(network: &'a Network, trainer: &Address) -> (Charge<'a>, Keypair) {
    let patron = network.run.world.people.iter().find(|person| person.name == "patron 1").expect("a patron");
    let (program, job) = (&network.run.world.program, network.read::<Job>(&network.job));
    let count = usize::from(job.spec.domain_count);
    let charge = Charge {
        program,
        challenger: patron.wallet(),
        job: network.job,
        datasets: job.datasets.iter().take(count).copied().map(Address::new_from_array).collect(),
        charged: Charged::Segment { round: program.round(&network.job, 0), pool: *trainer, part: None },
        salt: [7; 32],
    };
    (charge, patron.keypair.insecure_clone())
}

/// What a thief of the key tries: none of it is work.
fn steals_nothing(network: &mut Network, cooled: &Cooled) {
    let key = network.stranger(&cooled.name).key.insecure_clone();
    let (program, job, pool) = (network.run.world.program, network.job, &cooled.pool);
    let thief = key.pubkey();
    let seat = Seat { operator: thief, pool: *pool, place: 0 };
    let tries = [
        program.leave_job(&seat, &job),
        program.retire_pool(&thief, pool),
        program.withdraw_bond(&thief, pool),
        program.claim_commission(&thief, pool),
        program.set_session(&thief, pool, &Address::new_from_array([9; 32]), UNTIL_SLOT),
    ];
    let before = network.read::<Pool>(pool);
    for attempt in tries {
        let refused = network.ledger.send(&[attempt], &key, &[&key]).expect_err("a hot key moves what is not its own");
        assert!(matches!(refused, LedgerError::Custom { .. }), "{refused}");
    }
    let now = network.read::<Pool>(pool);
    assert_eq!(bytemuck::bytes_of(&before), bytemuck::bytes_of(&now));
}

#[test]
fn a_job_whose_people_all_run_by_session_keys_comes_to_the_same_and_no_operators_wallet_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    let people = network.run.world.people.iter();
    let seated = people.filter(|person| [TRAINER, AUDITOR, EVALUATOR].contains(&person.role));
    let names: Vec<String> = seated.map(|person| person.name.clone()).collect();
    let cooled: Vec<Cooled> = names.iter().map(|name| cool(&mut network, name)).collect();
    let before = bonds(&network);
    let honest = cooled.iter().find(|cooled| cooled.name == "trainer 1").expect("a trainer").pool;
    assert_eq!(network.read::<Pool>(&honest).kind, PoolKind::Trainer as u8);
    let (mut is_demanded, mut committed, mut opened, mut waited) = (false, None, None, 0);
    network.play_and(&mut |network| {
        let job: Job = network.read(&network.job);
        if job.next_round == 0 {
            return;
        }
        let (status, slot) = (network.round(0).status, network.ledger.ledger.borrow().slot());
        if !is_demanded && status == round::COMMITS_CLOSED {
            is_demanded = true;
            demand(network);
        }
        if committed.is_none() && status == round::AGGREGATED {
            let (charge, key) = case(network, &honest);
            let commit = charge.commit();
            network.ledger.clone().send(&[commit], &key, &[&key]).unwrap();
            committed = Some(slot);
        } else if opened.is_none() && committed.is_some_and(|before| slot > before + 1) {
            let (charge, key) = case(network, &honest);
            let (open, address) = (charge.open().expect("it names all that it needs"), charge.dispute());
            network.ledger.clone().send(&[open], &key, &[&key]).unwrap();
            opened = Some(address);
        }
        let account = opened.and_then(|address| network.ledger.ledger.borrow().account(&address));
        let Some(account) = account else { return };
        let dispute = <Dispute as sip_protocol::Account>::decode(&account.data).map(Box::new).unwrap();
        if slot < dispute.opened_slot + session_waits_slots(dispute.full_clock_slots) {
            assert_eq!(dispute.moves, 0, "a session key waits half a clock");
            waited += 1;
        }
    });
    let dispute = opened.expect("somebody accuses what is true").to_string();
    assert!(waited > 0, "the defence of what is true was never looked at while it waited");
    let waits = |event: &Event| matches!(event, Event::Defends { dispute: of, .. } if *of == dispute);
    let moves = |event: &Event| matches!(event, Event::Moved { side: "accused", dispute: of, .. } if *of == dispute);
    assert!(network.has_told("trainer 1", waits) && network.has_told("trainer 1", moves));
    let is_answered = |event: &Event| matches!(event, Event::Demanded { what: "a demand is answered", .. });
    assert!(network.has_told("trainer 1", is_answered), "what is demanded of the pool, its session key answers");
    for (now, was) in bonds(&network).iter().zip(&before) {
        assert!(now.1 >= was.1, "{now:?} lost something of {was:?}");
    }
    for cooled in &cooled {
        assert_eq!(lamports(&network, &cooled.operator), cooled.lamports, "{} was paid for", cooled.name);
        steals_nothing(&mut network, cooled);
    }
    check(network);
}

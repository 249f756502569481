//! Every pitfall of the blueprint, attacked on the compiled program: one test each, named after it.
//!
//! The attacks that work on any instruction take a valid transaction of each ([`table`]) and change it in every way that a caller can;
//! `docs/pitfalls.md` says what the program does against each, and names the test.

#[path = "../shared/accuser.rs"]
mod accuser;
#[path = "../shared/court/mod.rs"]
mod court;
mod court_stories;
mod extremes;
mod guards;
mod money_stories;
mod needed;
mod network_stories;
mod noise;
mod positions;
mod seeds;
mod sessions;
mod stake;
mod table;
mod tokens;
mod yes;

use seeds::{canonical_seeds, declared_seeds};
use sip_client::{SLOT_HASHES, SYSTEM_PROGRAM, TOKEN_PROGRAM, kind_of};
use sip_protocol::{
    Account, Error,
    admin::config::Config,
    ground::{
        account::{derivation, seed},
        spec::{Count, Role},
    },
    instructions::all,
};
use solana_account::{AccountSharedData, ReadableAccount, WritableAccount};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_signer::Signer;
use std::collections::{BTreeMap, BTreeSet};
use table::{After, Case, Findings, simulate, stranger, table, yes_man};

/// The other token program.
const TOKEN_2022: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// A program that has nothing to do with tokens.
const COMPUTE_BUDGET: Address = Address::from_str_const("ComputeBudget111111111111111111111111111111");
/// The blueprint's list.
const PITFALLS: [&str; 24] = [
    "missing signer",
    "missing owner",
    "wrong discriminator",
    "right type of the wrong pool",
    "non-canonical bump",
    "seed collision",
    "arbitrary CPI target",
    "stale data after CPI",
    "duplicate mutable accounts",
    "re-initialisation",
    "close and revive",
    "pre-funded PDA",
    "truncating casts",
    "rounding to the user's favour",
    "donation inflation",
    "unchecked remaining accounts or sysvars",
    "Token-2022 extensions and transfer fees",
    "missing slippage bound",
    "unbounded loops",
    "exits bricked under pause",
    "self-conviction",
    "share-price overflow after repeated slashes",
    "liquid shares laundering the activation ramp",
    "late depositors absorbing known fraud",
];
/// Accounts of other stories that a caller may choose, by instruction and name: what is its own, or what anybody may do.
const CHOICES: [(&str, &str); 14] = [
    // The creator's datasets, if they differ.
    ("CreateJob", "datasets"),
    // The signer's other pools, exits, disputes, jobs.
    ("AddBond", "pool"),
    ("RetirePool", "pool"),
    ("SetSession", "pool"),
    ("ClaimExit", "ticket"),
    ("CloseDispute", "dispute"),
    ("ReclaimGenesisBond", "job"),
    // Which job is accused in: the accusation opens for no claim of another.
    ("CommitAccusation", "job"),
    // Anybody settles any final round of the job in which the pool held the place.
    ("SettleAudit", "round"),
    ("SettleEvaluation", "round"),
    ("SettleData", "round"),
    ("SettlePatrons", "round"),
    // Anybody makes a model of any job, and pays any server.
    ("CreateModelPool", "job"),
    ("PayFee", "server"),
];
/// What a pause stops: whatever brings something new.
const STOPPED_BY_A_PAUSE: [&str; 13] = [
    "Distribute",
    "CreatePool",
    "CreateAttentionPool",
    "CreateModelPool",
    "Deposit",
    "Rebond",
    "RegisterDataset",
    "CreateJob",
    "JoinJob",
    "WakeSeat",
    "OpenRound",
    "PayFee",
    "TokenizeShares",
];

#[test]
fn every_instruction_has_a_valid_transaction_in_the_table() {
    let table = table();
    let found: BTreeSet<&str> = table.iter().map(|case| case.name).collect();
    let missing: Vec<&str> = all().map(|spec| spec.name).filter(|name| !found.contains(name)).collect();
    assert!(missing.is_empty(), "bring a valid transaction of {missing:?} into a story of tests/pitfalls");
}

/// What a declaration says is what happens: where an account is, whether it signs, is written, created or closed.
#[test]
fn every_account_is_what_its_declaration_says() {
    let mut findings = Findings::default();
    for case in table().iter() {
        let created: Vec<usize> = case.created().into_iter().map(|(place, _)| place).collect();
        let closed: Vec<usize> = case.closed().into_iter().map(|(place, _)| place).collect();
        for (place, meta, _) in case.places() {
            let Some((_, account)) = case.spec().account(place) else { continue };
            let what = |says: &str| format!("account {place}, {}, {says}", account.name);
            if let Some(seeds) = declared_seeds(case, account) {
                let slices: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
                let (address, _) = Address::find_program_address(&slices, &case.instruction.program_id);
                findings.expect(case, address == meta.pubkey, || what("is elsewhere"));
            }
            let signs = meta.is_signer == account.role.is_signer() || account.role == Role::Closer;
            findings.expect(case, signs, || what("signs, or not"));
            findings.expect(case, meta.is_writable == account.role.is_writable(), || what("is written, or not"));
            let opens =
                matches!(account.role, Role::Opens) == created.contains(&place) || account.role == Role::Ensures;
            findings.expect(case, opens, || what("is created, or not"));
            let closes = (account.role == Role::Closes) == closed.contains(&place);
            findings.expect(case, closes, || what("is closed, or not"));
        }
        let least = case.spec().accounts.iter().filter(|account| account.count == Count::One).count();
        findings.expect(case, case.instruction.accounts.len() >= least, || "has fewer accounts".into());
    }
    findings.check(2_000);
}

#[test]
fn every_pitfall_has_a_row_and_every_row_a_test() {
    let rows: Vec<Vec<&str>> = include_str!("../../../../docs/pitfalls.md")
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| pitfall"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let sources =
        [include_str!("main.rs"), include_str!("stake.rs"), include_str!("tokens.rs"), include_str!("positions.rs")];
    for pitfall in PITFALLS {
        assert!(rows.iter().any(|row| row[0] == pitfall), "{pitfall} has no row");
    }
    assert_eq!(rows.len(), PITFALLS.len());
    for row in rows {
        let test = format!("#[test]\nfn {}() {{", row[2].trim_matches('`'));
        assert!(sources.iter().any(|source| source.contains(&test)), "{}: there is no test {}", row[0], row[2]);
    }
}

/// Attack: spend, steer or decide in the name of somebody who has not signed.
#[test]
fn missing_signer() {
    let mut findings = Findings::default();
    for case in table().iter() {
        for (place, meta, _) in case.places().filter(|(_, meta, _)| meta.is_signer) {
            let unsigned = case.with(|changed| changed.accounts[place].is_signer = false);
            findings.refused_as(case, unsigned, &[Error::MissingSigner], || format!("account {place} does not sign"));
            let other = case.replaced(place, stranger().pubkey());
            if !case.free.contains(&place) {
                findings.refused(case, other, || format!("a stranger signs for {} as account {place}", meta.pubkey));
            }
        }
    }
    findings.check(80);
}

/// Attack: an account that looks right byte for byte and belongs to another program, which may write into it what it likes.
#[test]
fn missing_owner() {
    let mut findings = Findings::default();
    let (thief, elsewhere) = (Address::new_from_array([7; 32]), Address::new_from_array([8; 32]));
    for case in table().iter() {
        for (place, meta, account) in case.places().filter(|(_, meta, _)| !meta.is_signer) {
            let Some(mut copy) = account.filter(|account| !account.executable() && !account.data().is_empty()) else {
                continue;
            };
            let is_state = case.is_state(&copy);
            copy.set_owner(thief);
            let moved = case.changed(|changed| changed.accounts[place].pubkey = elsewhere);
            let result = simulate(&case.chain_with([(elsewhere, copy.clone())]), &[moved]);
            findings.refused(case, result, || format!("account {place} is a copy of another owner"));
            // What the runtime itself keeps at an address has no other owner there.
            if [SLOT_HASHES, case.program().program_data()].contains(&meta.pubkey) {
                continue;
            }
            let result = simulate(&case.chain_with([(meta.pubkey, copy)]), std::slice::from_ref(&case.instruction));
            if is_state {
                findings
                    .refused_as(case, result, &[Error::WrongOwner], || format!("account {place} has another owner"));
            } else {
                findings.refused(case, result, || format!("account {place} has another owner"));
            }
        }
    }
    findings.check(500);
}

/// Attack: an account of the program's own of another kind, layout or size, whose bytes would mean something else.
#[test]
fn wrong_discriminator() {
    let mut findings = Findings::default();
    for case in table().iter() {
        let all = case.ledger.shared_program_accounts(&case.instruction.program_id);
        for (place, meta, account) in case.places() {
            let Some(account) = account.filter(|account| case.is_state(account)) else { continue };
            let mut attempt = |data: Vec<u8>, expected: &[Error]| {
                let mut changed = account.clone();
                changed.set_data_from_slice(&data);
                let chain = case.chain_with([(meta.pubkey, changed)]);
                let result = simulate(&chain, std::slice::from_ref(&case.instruction));
                let what = || format!("account {place} begins {:?} and has {} bytes", &data[..2], data.len());
                findings.refused_as(case, result, expected, what);
            };
            let data = account.data();
            let with = |offset: usize, value: u8| {
                let mut data = data.to_vec();
                data[offset] = value;
                data
            };
            attempt(with(0, 0), &[Error::NotInitialised]);
            // A layout before may be of another size, which is noticed first where accounts are migrated.
            let wrong = [Error::WrongKind, Error::WrongSize, Error::WrongVersion];
            let others = (1..=255).filter(|kind| *kind != data[0] && (kind_of(&[*kind]).is_some() || *kind == 255));
            others.for_each(|kind| attempt(with(0, kind), &wrong[..]));
            [0, data[1] + 1, 255].into_iter().for_each(|version| attempt(with(1, version), &[Error::WrongVersion]));
            attempt([data, &[0]].concat(), &[Error::WrongSize]);
            attempt(data[..data.len() - 1].to_vec(), &[Error::WrongSize]);
            // Real accounts, one of each other kind.
            let mut kinds = vec![data[0]];
            for (other, state) in &all {
                if !kinds.contains(&state.data()[0]) {
                    kinds.push(state.data()[0]);
                    findings.refused(case, case.replaced(place, *other), || {
                        format!("account {place} is a {:?}", kind_of(state.data()))
                    });
                }
            }
        }
    }
    findings.check(5_000);
}

/// Attack: an account of the right kind that belongs to another pool, job, round or person.
#[test]
fn right_type_of_the_wrong_pool() {
    let mut findings = Findings::default();
    for case in table().iter() {
        let all = case.ledger.shared_program_accounts(&case.instruction.program_id);
        for (place, meta, account) in case.places() {
            let Some(account) = account.filter(|account| case.is_state(account)) else { continue };
            for (other, state) in &all {
                let is_same_kind = state.data()[0] == account.data()[0];
                if is_same_kind && *other != meta.pubkey && !case.free.contains(&place) {
                    findings.refused(case, case.replaced(place, *other), || format!("account {place} is {other}"));
                }
            }
        }
    }
    findings.check(1_000);
}

/// Attack: the same with every account of that kind that any story made: jobs, rounds, pools, segments, runs, disputes and positions in
/// relations that no story's own chain contains. All stories are told under the same names, so that their accounts are of one world.
#[test]
fn right_type_of_another_story() {
    let mut findings = Findings::default();
    let table = table();
    let mut world: BTreeMap<Address, AccountSharedData> = BTreeMap::new();
    for case in table.iter() {
        world.extend(case.ledger.shared_program_accounts(&case.instruction.program_id));
        world.extend(case.after.iter().filter(|(_, after)| case.is_state(after)).cloned());
    }
    for kind in (1..=255u8).filter(|kind| kind_of(&[*kind]).is_some()) {
        assert!(world.values().any(|account| account.data().first() == Some(&kind)), "no story has kind {kind}");
    }
    for case in table.iter() {
        let is_foreign = |address: &Address| case.ledger.shared_account(address).is_none();
        let is_made = |address: &Address| case.instruction.accounts.iter().any(|meta| meta.pubkey == *address);
        let foreign: Vec<(Address, AccountSharedData)> = world
            .iter()
            .filter(|(address, _)| is_foreign(address) && !is_made(address))
            .map(|(address, account)| (*address, account.clone()))
            .collect();
        let chain = case.chain_with(foreign.iter().cloned());
        for (place, _, account) in case.places() {
            let Some(account) = account.filter(|account| case.is_state(account)) else { continue };
            for (other, state) in &foreign {
                let is_choice = case.free.contains(&place) || CHOICES.contains(&(case.name, case.account_name(place)));
                if state.data().first() == account.data().first() && !is_choice {
                    let changed = case.changed(|changed| changed.accounts[place].pubkey = *other);
                    let what = || format!("account {place} is {other} of another story");
                    findings.refused(case, simulate(&chain, &[changed]), what);
                }
            }
        }
    }
    findings.check(1_000);
}

/// Attack: an account at an address that the seeds give with another bump, so that one thing exists twice.
#[test]
fn non_canonical_bump() {
    let mut findings = Findings::default();
    for case in table().iter() {
        for (place, _) in case.created() {
            let (seeds, bump) = canonical_seeds(case, place);
            let others = (0..bump).rev().filter_map(|bump| {
                let with_bump: Vec<&[u8]> =
                    seeds.iter().map(Vec::as_slice).chain([std::slice::from_ref(&bump)]).collect();
                Address::create_program_address(&with_bump, &case.instruction.program_id).ok()
            });
            for other in others.take(3) {
                let result = case.replaced(place, other);
                findings
                    .refused_as(case, result, &[Error::WrongAddress], || format!("account {place} has another bump"));
            }
        }
    }
    findings.check(60);
}

/// Attack: two things whose seeds run together to the same bytes, so that one stands in the place of the other.
#[test]
fn seed_collision() {
    // Seeds are joined without marks between them. All but the first have fixed lengths, so that two addresses can agree only if
    // one first seed begins with another.
    let mut first: Vec<&[u8]> = derivation::ALL.iter().map(|derivation| derivation.first.as_bytes()).collect();
    first.dedup();
    for (place, one) in first.iter().enumerate() {
        assert!(first[..place].iter().all(|other| !one.starts_with(other) && !other.starts_with(one)));
    }
    // On chain: whatever was created anywhere in the table has seeds of its own.
    let mut seen: Vec<(Vec<Vec<u8>>, Address)> = Vec::new();
    for case in table().iter() {
        for (place, address) in case.created() {
            let (seeds, _) = canonical_seeds(case, place);
            assert!(first.contains(&seeds[0].as_slice()), "a first seed is missing in the list above");
            let joined = seeds.concat();
            assert!(seen.iter().all(|(other, at)| (other.concat() == joined) == (*at == address)));
            assert!(
                seen.iter()
                    .all(|(other, _)| other[0] != seeds[0] || other.len() == seeds.len() || seeds[0] == seed::DISPUTE),
                "seeds of one kind differ in number"
            );
            seen.push((seeds, address));
        }
    }
    assert!(seen.len() > 20);
}

/// Attack: a program of the attacker's in the place of the token or system program: one that says yes to everything and does nothing, the
/// other token program, a program of the runtime, the protocol itself.
#[test]
fn arbitrary_cpi_target() {
    let mut findings = Findings::default();
    for case in table().iter() {
        for (place, meta, _) in case.places() {
            if ![TOKEN_PROGRAM, SYSTEM_PROGRAM].contains(&meta.pubkey) || case.free.contains(&place) {
                continue;
            }
            for target in [yes_man(), TOKEN_2022, TOKEN_PROGRAM, SYSTEM_PROGRAM, COMPUTE_BUDGET, case.program().id] {
                // The genesis names one of the two token programs.
                let is_choice = case.name == "Initialize" && target == TOKEN_2022;
                if target != meta.pubkey && !is_choice {
                    findings.refused(case, case.replaced(place, target), || format!("account {place} is {target}"));
                }
            }
        }
    }
    findings.check(150);
    // The program that says yes is one that can be called.
    let table = table();
    let call = Instruction { program_id: yes_man(), accounts: vec![], data: vec![3; 9] };
    assert!(simulate(&table[0].ledger, &[call]).is_ok());
}

/// Attack: one account in two places, so that what is written in one is overwritten from the other.
#[test]
fn duplicate_mutable_accounts() {
    let mut findings = Findings::default();
    for case in table().iter() {
        let accounts = &case.instruction.accounts;
        for (place, meta, account) in case.places() {
            if account.is_some_and(|account| account.executable()) {
                continue;
            }
            for (other, other_meta) in accounts.iter().enumerate() {
                let both = meta.is_writable || other_meta.is_writable;
                if meta.pubkey == other_meta.pubkey || !both || case.free.contains(&place) {
                    continue;
                }
                let result = case.replaced(place, other_meta.pubkey);
                findings.refused(case, result, || format!("account {place} is account {other} as well"));
            }
        }
    }
    findings.check(2_000);
    guards::one_account_in_two_places_is_refused();
}

/// Attack: create again what is there, to empty it.
#[test]
fn re_initialisation() {
    let mut findings = Findings::default();
    for case in table().iter() {
        for (place, address) in case.created() {
            let created = account_in(&case.after, &address).clone();
            let chain = case.chain_with([(address, created.clone())]);
            let result = simulate(&chain, std::slice::from_ref(&case.instruction));
            let what = || format!("account {place} was there");
            if case.spec().account(place).is_some_and(|(_, account)| account.role == Role::Ensures) {
                let twice = simulate(&case.ledger, &[case.instruction.clone(), case.instruction.clone()]);
                let is_kept = match twice {
                    Ok(after) => account_in(&after, &address).data() != created.data(),
                    // A peer's record says which write it follows.
                    Err(refusal) => refusal.reason == Some(Error::StalePeer),
                };
                findings.expect(case, is_kept, what);
            } else {
                findings.refused_as(case, result, &[Error::AlreadyInitialised], what);
            }
        }
    }
    findings.check(20);
    guards::nothing_is_initialised_twice();
}

/// Attack: close an account for its money and bring it back to life in the same transaction, by sending rent to it.
#[test]
fn close_and_revive() {
    let mut findings = Findings::default();
    let mut closing = BTreeSet::new();
    for case in table().iter() {
        for (place, address) in case.closed() {
            closing.insert(case.name);
            let revive = transfer_lamports(&address, 10_000_000_000);
            let revived =
                simulate(&case.ledger, &[case.instruction.clone(), revive.clone()]).expect("anyone may send lamports");
            let state = account_in(&revived, &address);
            let is_nothing = *state.owner() == SYSTEM_PROGRAM && state.data().is_empty();
            findings.expect(case, is_nothing, || format!("account {place} is still the program's"));
            for instructions in [
                vec![case.instruction.clone(), case.instruction.clone()],
                vec![case.instruction.clone(), revive, case.instruction.clone()],
            ] {
                findings.refused(case, simulate(&case.ledger, &instructions), || "its account was closed".into());
            }
        }
    }
    let declared = all().filter(|spec| spec.accounts.iter().any(|account| account.role == Role::Closes));
    assert_eq!(closing, declared.map(|spec| spec.name).collect(), "these close accounts");
    findings.check(3 * closing.len());
}

/// Attack: send lamports to an address before its account is created, so that its creation fails for ever.
#[test]
fn pre_funded_pda() {
    let mut findings = Findings::default();
    for case in table().iter() {
        for (place, address) in case.created() {
            for lamports in [1, 10_000_000_000] {
                let funded = AccountSharedData::new(lamports, 0, &SYSTEM_PROGRAM);
                let chain = case.chain_with([(address, funded)]);
                let result = simulate(&chain, std::slice::from_ref(&case.instruction));
                let is_same = result.is_ok_and(|after| same_data(&after, &case.after));
                findings.expect(case, is_same, || format!("account {place} had {lamports} lamports"));
            }
        }
    }
    findings.check(40);
    guards::lamports_sent_to_an_address_beforehand_do_no_harm();
}

/// Attack: a number that a cast would cut down to one that is allowed. More than that: no bit of an instruction is ignored.
#[test]
fn truncating_casts() {
    let mut findings = Findings::default();
    for case in table().iter() {
        for offset in 1..case.instruction.data.len() {
            for bit in [0, 7] {
                let result = case.with(|changed| changed.data[offset] ^= 1 << bit);
                let is_noticed = result.is_err() || result.is_ok_and(|after| after != case.after);
                let is_bound = is_lower_bound(case, offset);
                findings.expect(case, is_noticed || is_bound, || format!("bit {bit} of byte {offset} says nothing"));
            }
        }
        if case.instruction.data.len() > 1 {
            let short = case.with(|changed| changed.data.truncate(changed.data.len() - 1));
            let is_noticed = short.is_err() || short.is_ok_and(|after| after != case.after);
            findings.expect(case, is_noticed, || "the data is short".into());
        }
        let empty = case.with(|changed| changed.data.clear());
        findings.refused_as(case, empty, &[Error::UnknownInstruction], || "there is no data".into());
    }
    findings.check(5_000);
}

/// Attack: accounts after those that an instruction reads, or system variables that the caller has made up.
#[test]
fn unchecked_remaining_accounts_or_sysvars() {
    let mut findings = Findings::default();
    for case in table().iter() {
        let mut extras: Vec<Address> = vec![stranger().pubkey(), yes_man()];
        let mut kinds = Vec::new();
        for (address, state) in case.ledger.shared_program_accounts(&case.instruction.program_id) {
            if !kinds.contains(&state.data()[0]) {
                kinds.push(state.data()[0]);
                extras.push(address);
            }
        }
        for extra in extras {
            let result = case.with(|changed| changed.accounts.push(AccountMeta::new_readonly(extra, false)));
            let is_same = result.is_err() || result.is_ok_and(|after| same_data(&after, &case.after));
            findings.expect(case, is_same, || format!("{extra} stands after its accounts"));
        }
        for (place, meta, _) in case.places() {
            let mut fewer = case.instruction.clone();
            fewer.accounts.truncate(place);
            let result = simulate(&case.ledger, &[fewer]);
            let is_same = result.is_err() || result.is_ok_and(|after| same_data(&after, &case.after));
            let is_unused = case.free.contains(&place) || meta.pubkey == SYSTEM_PROGRAM;
            findings.expect(case, is_same || is_unused, || format!("account {place} and all after it are missing"));
        }
    }
    findings.check(1_000);
    sysvars_are_the_ledgers();
}

/// The hashes of slots are read at their one address, and nowhere else.
fn sysvars_are_the_ledgers() {
    let table = table();
    let mut tried = 0;
    for case in table.iter() {
        for (place, meta, account) in case.places().filter(|(_, meta, _)| meta.pubkey.to_string().starts_with("Sysvar"))
        {
            let forged = Address::new_from_array([9; 32]);
            let mut copy = account.expect("the system variable");
            copy.data_as_mut_slice().fill(1);
            copy.set_owner(case.program().id);
            let moved = case.changed(|changed| changed.accounts[place].pubkey = forged);
            assert!(
                simulate(&case.chain_with([(forged, copy)]), &[moved]).is_err(),
                "{} believes {}",
                case.name,
                meta.pubkey
            );
            for other in ["SysvarC1ock11111111111111111111111111111111", "SysvarRent111111111111111111111111111111111"]
            {
                assert!(
                    case.replaced(place, Address::from_str_const(other)).is_err(),
                    "{} believes {other}",
                    case.name
                );
            }
            tried += 1;
        }
    }
    assert!(tried > 0);
}

/// Attack: pause, and keep everyone's money in.
#[test]
fn exits_bricked_under_pause() {
    let mut findings = Findings::default();
    for case in table().iter() {
        let address = case.program().config();
        let Some(mut account) = case.ledger.shared_account(&address) else { continue };
        let mut config = Config::decode(account.data()).expect("the configuration");
        let was_paused = config.administration.paused_until > case.ledger.slot();
        config.administration.paused_until = case.ledger.slot() + 100;
        config.administration.pause_from = case.ledger.slot() + 200;
        account.set_data_from_slice(bytemuck::bytes_of(&config));
        let result = simulate(&case.chain_with([(address, account)]), std::slice::from_ref(&case.instruction));
        if STOPPED_BY_A_PAUSE.contains(&case.name) {
            findings.refused_as(case, result, &[Error::Paused], || "the protocol is paused".into());
        } else if case.name == "Pause" {
            findings.refused_as(case, result, &[Error::PauseTooSoon], || "the protocol is paused".into());
        } else {
            findings.expect(case, result.is_ok(), || format!("a pause stops it: {:?} {was_paused}", result.err()));
        }
    }
    findings.check(90);
}

/// The account at an address after a transaction that writes it.
fn account_in<'a>(after: &'a After, address: &Address) -> &'a AccountSharedData {
    &after.iter().find(|(at, _)| at == address).expect("the instruction writes it").1
}

/// Whether two outcomes have the same data and owners everywhere; who paid how much rent does not matter.
fn same_data(one: &After, other: &After) -> bool {
    let find = |address: &Address| other.iter().find(|(at, _)| at == address);
    one.iter().all(|(address, state)| {
        find(address).is_none_or(|(_, expected)| state.data() == expected.data() && state.owner() == expected.owner())
    })
}

/// Whether a byte of an instruction's data belongs to a bound that the caller sets, or to words that are only logged: other
/// values may do the same.
fn is_lower_bound(case: &Case, offset: usize) -> bool {
    match case.name {
        // The least number of shares, after the amount.
        "Deposit" | "MoveAttention" => offset > 8,
        "Rebond" => true,
        // What the payment is for.
        "PayFee" => offset <= 32,
        _ => false,
    }
}

/// A payment of lamports by the stranger.
fn transfer_lamports(to: &Address, lamports: u64) -> Instruction {
    let data = [2u32.to_le_bytes().as_slice(), &lamports.to_le_bytes()].concat();
    let accounts = vec![AccountMeta::new(stranger().pubkey(), true), AccountMeta::new(*to, false)];
    Instruction { program_id: SYSTEM_PROGRAM, accounts, data }
}

//! The seeds of what an instruction creates, found among the things that it names.

use crate::table::Case;
use sip_client::kind_of;
use sip_protocol::{AccountKind, ground::account::seed};
use solana_account::ReadableAccount;
use solana_address::Address;

/// What may stand in the place of a seed after the first.
#[derive(Clone, Copy)]
enum Part {
    /// An address or 32 bytes of the arguments.
    Key,
    /// A small number of so many bytes, or one of the arguments.
    Number(usize),
}

use Part::{Key, Number};

/// Which seeds an account has, by its kind; accounts of a token program have none.
fn forms(kind: Option<AccountKind>) -> Vec<(&'static [u8], Vec<Part>)> {
    match kind {
        None => vec![(seed::MINT, vec![]), (seed::VAULT, vec![]), (seed::LIQUID, vec![Key])],
        Some(AccountKind::Config) => vec![(seed::CONFIG, vec![])],
        Some(AccountKind::Emission) => vec![(seed::EMISSION, vec![])],
        Some(AccountKind::Pool) => vec![(seed::POOL, vec![Number(1), Key, Number(4)])],
        Some(AccountKind::Position) => vec![(seed::POSITION, vec![Key, Key])],
        Some(AccountKind::Ticket) => vec![(seed::TICKET, vec![Key, Number(4)])],
        Some(AccountKind::Dataset) => vec![(seed::DATASET, vec![Key])],
        Some(AccountKind::Job) => vec![(seed::JOB, vec![Key, Number(4)])],
        Some(AccountKind::Round) => vec![(seed::ROUND, vec![Key, Number(4)])],
        Some(AccountKind::Segment) => vec![(seed::SEGMENT, vec![Key, Key])],
        Some(AccountKind::ScoringRun) => vec![(seed::RUN, vec![Key, Key])],
        Some(AccountKind::Dispute) => {
            vec![(seed::DISPUTE, vec![Key, Key]), (seed::DISPUTE, vec![Key, Key, Number(1)])]
        }
        Some(AccountKind::Accusation) => vec![(seed::ACCUSATION, vec![Key, Key])],
        Some(AccountKind::Demand) => vec![(seed::DEMAND, vec![Key, Key, Number(8)])],
        Some(AccountKind::Fees) => vec![(seed::FEES, vec![Key])],
        Some(AccountKind::Vote) => vec![(seed::VOTE, vec![Key])],
    }
}

/// Seeds and canonical bump of an account that a valid transaction creates.
///
/// # Panics
/// Where none of the things that the instruction names give its address.
pub(crate) fn canonical_seeds(case: &Case, address: &Address) -> (Vec<Vec<u8>>, u8) {
    let (_, created) = case.after.iter().find(|(at, _)| at == address).expect("the instruction creates it");
    let is_state = case.is_state(created);
    let kind = is_state.then(|| kind_of(created.data()).expect("an account of the protocol"));
    let data = &case.instruction.data[1..];
    let mut keys: Vec<Vec<u8>> = case.instruction.accounts.iter().map(|meta| meta.pubkey.to_bytes().to_vec()).collect();
    keys.extend((0..data.len().saturating_sub(31)).step_by(8).map(|offset| data[offset..offset + 32].to_vec()));
    let words = data.chunks_exact(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().expect("4 bytes"))));
    let wide = data.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")));
    let numbers: Vec<u64> = (0..16).chain(words.flat_map(|word| [word, word << 32])).chain(wide).collect();

    for (first, parts) in forms(kind) {
        let mut candidates = vec![vec![first.to_vec()]];
        for part in parts {
            let choices: Vec<Vec<u8>> = match part {
                Key => keys.clone(),
                Number(bytes) => numbers.iter().map(|number| number.to_le_bytes()[..bytes].to_vec()).collect(),
            };
            candidates = candidates
                .iter()
                .flat_map(|start| {
                    choices.iter().map(|choice| [start.as_slice(), std::slice::from_ref(choice)].concat())
                })
                .collect();
        }
        for seeds in candidates {
            let slices: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
            // An account of the protocol says its bump, which saves the search for it.
            if is_state {
                let bump = [created.data()[2]];
                let with_bump = [slices.as_slice(), &[bump.as_slice()]].concat();
                if Address::create_program_address(&with_bump, &case.instruction.program_id) != Ok(*address) {
                    continue;
                }
            }
            let (found, bump) = Address::find_program_address(&slices, &case.instruction.program_id);
            if found == *address {
                return (seeds, bump);
            }
        }
    }
    panic!("{}: nothing that it names gives the address of the {kind:?} that it creates", case.name)
}

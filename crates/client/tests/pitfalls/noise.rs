//! Instructions of any bytes over any accounts: whatever comes, the program ends with a result of its own, and the books balance.

use crate::table::{Case, Findings, simulate, table};
use crate::tokens::is_balanced;
use sip_client::instruction_name;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

/// Numbers that follow from a seed.
struct Random(sip_testing::Random);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0.share(limit.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        match self.below(4) {
            0 => 0,
            1 => 255,
            _ => self.below(256) as u8,
        }
    }
}

/// A valid instruction with one to four changes of any kind.
fn noisy(case: &Case, addresses: &[Address], random: &mut Random) -> Instruction {
    let mut instruction = case.instruction.clone();
    for _ in 0..1 + random.below(4) {
        let (data, accounts) = (&mut instruction.data, &mut instruction.accounts);
        let places = [random.below(accounts.len()), random.below(accounts.len())];
        match random.below(10) {
            0 | 1 if !data.is_empty() => {
                let offset = random.below(data.len());
                data[offset] = random.byte();
            }
            2 => data.truncate(random.below(data.len() + 1)),
            3 => (0..random.below(40)).for_each(|_| data.push(random.byte())),
            // Another instruction over these accounts.
            4 if !data.is_empty() => data[0] = random.byte(),
            5 => accounts.swap(places[0], places[1]),
            6 => accounts.truncate(random.below(accounts.len() + 1)),
            7 if !accounts.is_empty() => accounts[places[0]].pubkey = addresses[random.below(addresses.len())],
            8 if !accounts.is_empty() => accounts[places[0]].pubkey = accounts[places[1]].pubkey,
            9 => accounts.push(AccountMeta::new(addresses[random.below(addresses.len())], false)),
            _ => {}
        }
        if instruction.accounts.is_empty() {
            break;
        }
    }
    instruction
}

fn make_noise(seed: u64, times: usize) {
    let mut findings = Findings::default();
    let mut random = Random(sip_testing::Random::new(seed));
    let mut accepted = 0;
    for case in table().iter() {
        let mut addresses: Vec<Address> = case.instruction.accounts.iter().map(|meta| meta.pubkey).collect();
        addresses
            .extend(case.ledger.shared_program_accounts(&case.instruction.program_id).into_iter().map(|found| found.0));
        for _ in 0..times {
            let instruction = noisy(case, &addresses, &mut random);
            let result = simulate(&case.ledger, std::slice::from_ref(&instruction));
            let is_fine = match &result {
                Ok(after) => is_balanced(case, after),
                Err(refusal) => !refusal.is_abort,
            };
            accepted += result.is_ok() as usize;
            let name = instruction.data.first().and_then(|tag| instruction_name(*tag));
            findings.expect(case, is_fine, || format!("as {name:?}: {:?} {instruction:?}", result.err()));
        }
    }
    assert!(accepted > times, "some noise is harmless");
    findings.check(80 * times);
}

#[test]
fn arbitrary_instructions_end_with_a_result_and_balanced_books() {
    make_noise(1, 100);
}

#[test]
#[ignore = "minutes"]
fn arbitrary_instructions_end_with_a_result_and_balanced_books_a_million_times() {
    make_noise(2, 10_000);
}

//! What every instruction must withstand, whatever it does.

use sip_client::{kind_of, refusal};
use sip_ledger::Ledger;
use sip_protocol::Error;
use sip_testing::{World, named};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Takes a valid instruction apart in every way that a caller can, and checks that each is refused; then sends it as it is.
///
/// - each signature missing, or somebody else's
/// - each writable account passed read-only
/// - each account replaced by an empty one, by a copy of itself under another owner, by every other account of the same kind, and by
///   an account of another kind
/// - accounts missing, data too short, too long or empty
///
/// `free` lists the accounts that the caller may choose, so that another one may be right.
pub(crate) fn send_guarded(world: &mut World, instruction: Instruction, signer: &Keypair, free: &[usize]) {
    let payer = world.authority.insecure_clone();
    let stranger = Keypair::new_from_array(named("stranger"));
    world.ledger.airdrop(&stranger.pubkey(), 10_000_000_000).expect("lamports");
    let keys = [&payer, signer, &stranger];

    for (index, account) in instruction.accounts.iter().enumerate() {
        if account.is_signer && account.pubkey != payer.pubkey() {
            let mut changed = instruction.clone();
            changed.accounts[index].is_signer = false;
            refused(world, &changed, &keys, Some(Error::MissingSigner), &format!("account {index} does not sign"));
        }
        if account.is_signer && !free.contains(&index) {
            let mut changed = instruction.clone();
            changed.accounts[index].pubkey = stranger.pubkey();
            refused(world, &changed, &keys, None, &format!("a stranger signs as account {index}"));
        }
        if account.is_writable && !account.is_signer {
            let mut changed = instruction.clone();
            changed.accounts[index].is_writable = false;
            refused(world, &changed, &keys, None, &format!("account {index} is read-only"));
        }
        if !account.is_signer {
            for substitute in substitutes(world, &account.pubkey, free.contains(&index)) {
                let mut changed = instruction.clone();
                changed.accounts[index].pubkey = substitute;
                refused(world, &changed, &keys, None, &format!("account {index} replaced by {substitute}"));
            }
        }
    }
    let mut changed = instruction.clone();
    changed.accounts.clear();
    refused(world, &changed, &keys, Some(Error::MissingAccount), "no accounts");
    let mut changed = instruction.clone();
    changed.data.push(0);
    refused(world, &changed, &keys, Some(Error::WrongArguments), "data too long");
    if instruction.data.len() > 1 {
        let mut changed = instruction.clone();
        changed.data.pop();
        refused(world, &changed, &keys, Some(Error::WrongArguments), "data too short");
    }
    let mut changed = instruction.clone();
    changed.data.clear();
    refused(world, &changed, &keys, Some(Error::UnknownInstruction), "no data");

    world.send(&[instruction], &keys[..2]);
}

fn refused(world: &mut World, instruction: &Instruction, keys: &[&Keypair], expected: Option<Error>, what: &str) {
    let tag = instruction.data.first().copied().unwrap_or_default();
    let name = sip_client::instruction_name(tag).unwrap_or("?");
    let Err(error) = world.ledger.send(std::slice::from_ref(instruction), keys[0], keys) else {
        panic!("{name} succeeded although {what}");
    };
    if let Some(expected) = expected {
        let found = error.custom_code().and_then(refusal);
        assert_eq!(found, Some(expected), "{name}, {what}: {error} {:#?}", error.failure());
    }
    world.check_conservation();
}

/// Accounts that a caller might pass instead of this one.
fn substitutes(world: &mut World, address: &Address, is_free: bool) -> Vec<Address> {
    let mut found = vec![Address::new_from_array(named("nobody"))];
    let Some(account) = world.ledger.account(address) else {
        return found;
    };
    if account.executable {
        if is_free {
            return Vec::new();
        }
        // Another program in the place of a program.
        return vec![Address::from_str_const("ComputeBudget111111111111111111111111111111"), world.program.id];
    }
    let copy = Address::new_from_array(named(&format!("copy of {address}")));
    let mut forged = account.clone();
    forged.owner = Address::new_from_array(named("another program"));
    world.ledger.set_account(copy, forged).expect("the copy is nobody's");
    found.push(copy);
    let kind = kind_of(&account.data);
    if account.owner != world.program.id {
        return found;
    }
    let mut other_kinds = Vec::new();
    for (other, state) in world.ledger.program_accounts(&world.program.id) {
        let other_kind = kind_of(&state.data);
        if other == *address {
            continue;
        }
        if other_kind == kind {
            if !is_free {
                found.push(other);
            }
        } else if !other_kinds.contains(&other_kind) {
            other_kinds.push(other_kind);
            found.push(other);
        }
    }
    found
}

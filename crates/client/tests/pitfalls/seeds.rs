//! The seeds of addresses, by the declarations of the instructions and what accounts hold.

use crate::table::Case;
use sip_protocol::{
    accounts,
    ground::{
        account::Derivation,
        layout::{Layout, Type},
        spec::{AccountSpec, Part, Place},
    },
};
use solana_account::ReadableAccount;
use solana_address::Address;

/// Seeds and canonical bump of an account that a valid transaction creates.
///
/// # Panics
/// Where the declaration gives another address.
pub(crate) fn canonical_seeds(case: &Case, place: usize) -> (Vec<Vec<u8>>, u8) {
    let (_, account) = case.spec().account(place).expect("the account is declared");
    let seeds = declared_seeds(case, account).unwrap_or_else(|| panic!("{}: {} has no seeds", case.name, account.name));
    let slices: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    let (found, bump) = Address::find_program_address(&slices, &case.instruction.program_id);
    assert_eq!(found, case.instruction.accounts[place].pubkey, "{}: {} is elsewhere", case.name, account.name);
    (seeds, bump)
}

/// The seeds of an account by its declaration, if it has any.
pub(crate) fn declared_seeds(case: &Case, account: &AccountSpec) -> Option<Vec<Vec<u8>>> {
    let (derivation, parts): (&Derivation, &[Part]) = match (&account.place, account.objects) {
        (Place::At(derivation, parts) | Place::From(derivation, parts), _) => (derivation, parts),
        (Place::Single, [object]) => (object.single()?, &[]),
        _ => return None,
    };
    let further = parts.iter().zip(derivation.seeds).map(|(part, (.., kind))| seed(case, part, kind.bytes()));
    Some([derivation.first.as_bytes().to_vec()].into_iter().chain(further).collect())
}

/// The bytes of a seed, numbers with as many as they have among the seeds.
fn seed(case: &Case, part: &Part, bytes: usize) -> Vec<u8> {
    let mut seed = match part {
        Part::Account(name) => case.address(name).to_bytes().to_vec(),
        Part::Argument(name) => field(case.spec().arguments, name, &case.instruction.data[1..]),
        Part::Number(number) => number.to_le_bytes().to_vec(),
        Part::Field(name, of) => {
            let account = case.ledger.shared_account(&case.address(name)).expect("the account is there");
            let kind = sip_client::kind_of(account.data()).expect("an account of the protocol");
            field(accounts::account(kind).layout, of, account.data())
        }
    };
    seed.resize(bytes, 0);
    seed
}

/// The bytes of a struct's field.
fn field(layout: &Layout, name: &str, data: &[u8]) -> Vec<u8> {
    let field = layout.fields.iter().find(|field| field.name == name).expect("a field of the struct");
    assert!(!matches!(field.kind, Type::Struct(_)), "a seed is a number or a key");
    data[field.offset..][..field.kind.bytes()].to_vec()
}

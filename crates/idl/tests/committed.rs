//! What is committed is what the declarations say.

use std::collections::BTreeSet;
use std::path::Path;

use sip_idl::{Made, made, silent_changes};
use sip_protocol::{accounts, ground::layout::Type, instructions};

fn committed() -> Vec<Made> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |file: Made| Made { text: std::fs::read_to_string(root.join(&file.path)).unwrap_or_default(), ..file };
    made().into_iter().map(read).collect()
}

#[test]
fn files_that_are_made_from_declarations_are_committed_as_they_are_made() {
    let differ: Vec<String> =
        made().into_iter().zip(committed()).filter(|(now, then)| now != then).map(|(now, _)| now.path).collect();
    assert!(differ.is_empty(), "{differ:?} differ from the declarations: run `cargo run -p sip-idl -- --write`");
}

#[test]
fn no_layout_changes_without_a_new_version() {
    assert_eq!(
        silent_changes(&committed()),
        [""; 0],
        "raise the version of these accounts, or run `cargo run -p sip-idl -- --write --break-layouts`"
    );
}

/// In other languages all structs are of one module, and accounts and arguments of an instruction of one object.
#[test]
fn names_are_unique_where_other_languages_need_it() {
    let mut structs: BTreeSet<(&str, usize)> = BTreeSet::new();
    fn inside(kind: &Type, structs: &mut BTreeSet<(&'static str, usize)>) {
        match kind {
            Type::Integer(_) => {}
            Type::Array(item, _) => inside(item, structs),
            Type::Struct(layout) => {
                structs.insert((layout.name, layout.bytes));
                layout.fields.iter().for_each(|field| inside(&field.kind, structs));
            }
        }
    }
    for account in accounts::all() {
        account.layout.fields.iter().for_each(|field| inside(&field.kind, &mut structs));
    }
    let mut names: BTreeSet<&str> = structs.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), structs.len(), "two structs of one name");
    for account in accounts::all() {
        assert!(names.insert(account.layout.name), "{} is an account and a struct", account.layout.name);
    }
    for spec in instructions::all() {
        let inputs = spec
            .accounts
            .iter()
            .map(|account| account.name)
            .chain(spec.arguments.fields.iter().map(|field| field.name));
        let mut seen = BTreeSet::new();
        inputs.for_each(|name| assert!(seen.insert(name), "{}: {name} is an account and an argument", spec.name));
    }
}

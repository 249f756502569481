//! The structs inside of accounts and arguments, each once.

use sip_protocol::{
    accounts,
    ground::layout::{Layout, Type},
    instructions,
};

/// All of them, in the order in which they are met.
pub(crate) fn structs() -> Vec<&'static Layout> {
    let mut found: Vec<&'static Layout> = Vec::new();
    let layouts = accounts::all().map(|account| account.layout).chain(instructions::all().map(|spec| spec.arguments));
    layouts.for_each(|layout| inside(layout, &mut found));
    found
}

fn inside(layout: &'static Layout, found: &mut Vec<&'static Layout>) {
    for field in layout.fields {
        let mut kind = &field.kind;
        while let Type::Array(item, _) = kind {
            kind = item;
        }
        if let Type::Struct(inner) = kind
            && !found.iter().any(|other| other.name == inner.name)
        {
            found.push(inner);
            inside(inner, found);
        }
    }
}

//! Pages of reference: for each room its accounts, its instructions and its errors.

use std::fmt::Write;

use sip_protocol::{
    Error,
    accounts::{self, AccountLayout},
    ground::{
        account::Derivation,
        layout::{Field, Layout, Type},
        spec::{AccountSpec, Count, InstructionSpec, Object, Part, Place, Role},
    },
    instructions::{ROOMS, Room},
};

use crate::meaning::{ENUMERATIONS, choice};
use crate::structs::structs;
use crate::words::{prose, sentence};

/// What the first line of every page says.
const WRITTEN: &str =
    "<!-- Written by `cargo run -p sip-idl -- --write` from the declarations in crates/protocol; do not edit. -->";

/// The page over all rooms, with what they share.
pub(crate) fn index() -> String {
    let mut page = format!("{WRITTEN}\n\n# Reference\n\n");
    page.push_str(
        "Every account, instruction and error of the program, from the declarations that program, client and tests are made from. The same is in\n\
         [idl/sip.json](../../idl/sip.json) for Codama's tools, which make [clients in other languages](../clients.md) of it, and every layout in\n\
         [idl/layouts.lock](../../idl/layouts.lock).\n\n\
         An instruction's data is its tag, then its arguments without padding; integers are little endian. An account of the program begins with\n\
         a header of 8 bytes: kind, version, the bump of its address, five zeros.\n\n",
    );
    page.push_str("| room | instructions | accounts | about |\n|---|---|---|---|\n");
    for room in &ROOMS {
        let accounts = accounts_of(room).count();
        let _ = writeln!(
            page,
            "| [{name}]({name}.md) | {} | {accounts} | {} |",
            room.instructions.len(),
            room.subject,
            name = room.name
        );
    }
    page.push_str(
        "\n## Accounts\n\n| kind | account | version | bytes | room | address |\n|---|---|---|---|---|---|\n",
    );
    for account in accounts::all() {
        let _ = writeln!(
            page,
            "| {} | [{name}]({room}.md#{}) | {} | {} | {room} | {} |",
            account.kind as u8,
            account.layout.name.to_lowercase(),
            account.kind.version(),
            thousands(account.layout.bytes as u64),
            derivations(account.derivations),
            name = account.layout.name,
            room = account.room,
        );
    }
    page.push_str("\n## Structs inside of accounts and arguments\n");
    for layout in structs() {
        let _ = writeln!(page, "\n### {}\n\n{} bytes.{}\n", layout.name, thousands(layout.bytes as u64), about(layout));
        fields(&mut page, layout);
    }
    page.push_str("\n## Numbers with names\n");
    for of in ENUMERATIONS {
        let _ = writeln!(page, "\n### {}\n\n{} u{}.\n", of.name, of.docs, 8 * of.bytes);
        let named: Vec<String> = of.named.iter().map(|(number, name)| format!("{number} {name}")).collect();
        let _ = writeln!(page, "{}", named.join(" · "));
    }
    page.push_str("\n## Errors that every room has\n\n");
    errors(&mut page, 1..100);
    page
}

/// The page of a room.
pub(crate) fn room(room: &Room) -> String {
    let title = format!("{}{}", room.name[..1].to_uppercase(), &room.name[1..]);
    let mut page = format!("{WRITTEN}\n\n# {title}: {}\n\n", room.subject);
    let last = room.first_tag + 31;
    let _ = writeln!(
        page,
        "Tags 0x{:02X} to 0x{last:02X}, errors {} to {}. [All rooms](README.md).\n",
        room.first_tag,
        room.first_error,
        room.first_error + 99
    );
    page.push_str(
        "| tag | instruction | data bytes | accounts | compute units | what it does |\n|---|---|---|---|---|---|\n",
    );
    for spec in room.instructions {
        let what = prose(spec.docs).into_iter().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            page,
            "| 0x{:02X} | [{}](#{}) | {} | {} | {} | {what} |",
            spec.tag,
            spec.name,
            spec.name.to_lowercase(),
            data_bytes(spec),
            count(spec),
            thousands(spec.budgets[0].compute_units.into()),
        );
    }
    let mut accounts = accounts_of(room).peekable();
    if accounts.peek().is_some() {
        page.push_str("\n## Accounts\n");
    }
    for account in accounts {
        let layout = account.layout;
        let _ = writeln!(
            page,
            "\n### {}\n\nKind {}, version {}, {} bytes. Address: {}.{}\n",
            layout.name,
            account.kind as u8,
            account.kind.version(),
            thousands(layout.bytes as u64),
            derivations(account.derivations),
            about(layout)
        );
        fields(&mut page, layout);
    }
    page.push_str("\n## Instructions\n");
    room.instructions.iter().for_each(|spec| instruction(&mut page, spec));
    page.push_str("\n## Errors\n\n");
    errors(&mut page, room.first_error..room.first_error + 100);
    page
}

fn accounts_of(room: &Room) -> impl Iterator<Item = AccountLayout> {
    accounts::all().filter(|account| account.room == room.name)
}

fn about(layout: &Layout) -> String {
    let about = sentence(layout.docs);
    if about.is_empty() { about } else { format!(" {about}") }
}

fn data_bytes(spec: &InstructionSpec) -> String {
    format!("{}{}", 1 + spec.arguments.bytes, if spec.tail.is_some() { " or more" } else { "" })
}

fn count(spec: &InstructionSpec) -> String {
    let one = spec.accounts.iter().filter(|account| account.count == Count::One).count();
    let maybe = spec.accounts.iter().filter(|account| account.count == Count::Optional).count();
    match spec.accounts.last().map(|account| account.count) {
        Some(Count::Many) => format!("{one} or more"),
        _ if maybe != 0 => format!("{one} to {}", one + maybe),
        _ => one.to_string(),
    }
}

fn instruction(page: &mut String, spec: &InstructionSpec) {
    let _ = writeln!(page, "\n### {}\n\nTag 0x{:02X}.", spec.name, spec.tag);
    prose(spec.docs).iter().for_each(|line| {
        let _ = writeln!(page, "{line}");
    });
    if spec.arguments.bytes != 0 || spec.tail.is_some() {
        page.push_str("\n| offset | type | argument | |\n|---|---|---|---|\n");
        for field in spec.arguments.fields {
            let _ = writeln!(
                page,
                "| {} | {} | `{}` | {} |",
                1 + field.offset,
                of_field(spec.name, field),
                field.name,
                cell(field.docs)
            );
        }
        if let Some(tail) = spec.tail {
            let _ = writeln!(page, "| {} | bytes | `{tail}` | To the end of the data. |", 1 + spec.arguments.bytes);
        }
    }
    page.push_str("\n| | account | | what | address |\n|---|---|---|---|---|\n");
    for (place, account) in spec.accounts.iter().enumerate() {
        let _ = writeln!(
            page,
            "| {place} | `{}` | {} | {}{} | {} |",
            account.name,
            flags(account),
            what(account, &object),
            if account.docs.is_empty() { String::new() } else { format!(". {}", cell(account.docs)) },
            address(account)
        );
    }
    let budget = |(case, units): (&str, u32)| {
        let units = thousands(units.into());
        if case.is_empty() { units } else { format!("{units} ({case})") }
    };
    let budgets: Vec<String> = spec.budgets.iter().map(|of| budget((of.case, of.compute_units))).collect();
    let _ = writeln!(page, "\nCompute units at most: {}.", budgets.join(", "));
}

fn flags(account: &AccountSpec) -> &'static str {
    match (account.role, account.role.is_signer(), account.role.is_writable()) {
        (Role::Closer, ..) => "may sign, writable",
        (_, true, true) => "signs, writable",
        (_, true, false) => "signs",
        (_, false, true) => "writable",
        _ => "",
    }
}

/// What an instruction does with an account; `named` says what it may be.
pub(crate) fn what(account: &AccountSpec, named: &dyn Fn(&Object) -> String) -> String {
    let objects: Vec<String> = account.objects.iter().map(named).collect();
    let objects = objects.join(" or ");
    let text = match account.role {
        Role::Payer => "pays, or gets rent back".to_owned(),
        Role::Signer => "acts".to_owned(),
        Role::Worker => "works: the pool's operator, or its session key".to_owned(),
        Role::PayingWorker => "works, and pays: the pool's operator, or its session key".to_owned(),
        Role::Wallet => "gets rent back".to_owned(),
        Role::Closer => "gets rent back; signs, or leaves it to anyone later".to_owned(),
        Role::Reads | Role::Writes | Role::Calls => objects,
        Role::Opens => format!("{objects}, created"),
        Role::Ensures => format!("{objects}, created if missing"),
        Role::Closes => format!("{objects}, closed"),
    };
    match account.count {
        Count::One => text,
        Count::Optional => format!("{text}; may be missing"),
        Count::Many => format!("{text}; any number"),
    }
}

fn object(object: &Object) -> String {
    match object {
        Object::State(kind) => {
            let account = accounts::account(*kind);
            let name = account.layout.name;
            format!("[{name}]({}.md#{})", account.room, name.to_lowercase())
        }
        other => object_in_words(other).to_owned(),
    }
}

/// An account that is none of the protocol's kinds.
pub(crate) fn object_in_words(object: &Object) -> &'static str {
    match object {
        Object::State(_) => "an account of the protocol",
        Object::Mint => "the mint",
        Object::Vault => "the vault",
        Object::ShareMint => "the mint of the pool's shares",
        Object::Tokens => "tokens",
        Object::Shares => "liquid shares",
        Object::TokenProgram => "the mint's token program",
        Object::SystemProgram => "the system program",
        Object::SlotHashes => "the ledger's slot hashes",
        Object::ProgramData => "the program's data account",
    }
}

fn address(account: &AccountSpec) -> String {
    let part = |part: &Part| match part {
        Part::Account(name) => (*name).to_owned(),
        Part::Argument(name) => format!("args.{name}"),
        Part::Field(account, field) => format!("{account}.{field}"),
        Part::Number(number) => number.to_string(),
    };
    let seeds = |derivation: &Derivation, parts: &[Part]| {
        let all: Vec<String> =
            [format!("\"{}\"", derivation.first)].into_iter().chain(parts.iter().map(part)).collect();
        format!("`{}`", all.join(", "))
    };
    match &account.place {
        Place::Named => String::new(),
        Place::Single => "the only one".into(),
        Place::At(derivation, parts) | Place::From(derivation, parts) => seeds(derivation, parts),
        Place::Of(owner) => format!("of `{}`", part(owner)),
    }
}

fn derivations(derivations: &[Derivation]) -> String {
    let one = |derivation: &Derivation| {
        let seeds = derivation.seeds.iter().map(|(name, spelled, _)| format!(", {name}: {}", plain(spelled)));
        format!("`\"{}\"{}`", derivation.first, seeds.collect::<String>())
    };
    derivations.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn fields(page: &mut String, layout: &Layout) {
    page.push_str("| offset | bytes | type | field | |\n|---|---|---|---|---|\n");
    for field in layout.fields {
        let _ = writeln!(
            page,
            "| {} | {} | {} | `{}` | {} |",
            field.offset,
            field.kind.bytes(),
            of_field(layout.name, field),
            field.name,
            cell(field.docs)
        );
    }
}

/// A field's type as the page shows it: a number with names as its link.
fn of_field(owner: &str, field: &Field) -> String {
    match choice(owner, field.name) {
        Some(of) => format!("[{}](README.md#{})", of.name, of.name.to_lowercase()),
        None => of_kind(&field.kind, field.spelled),
    }
}

/// A type as the page shows it: counts as numbers, structs as links.
fn of_kind(kind: &Type, spelled_as: &str) -> String {
    match kind {
        Type::Integer(bytes) => format!("u{}", 8 * bytes),
        Type::Struct(layout) => format!("[{}](README.md#{})", layout.name, layout.name.to_lowercase()),
        Type::Array(Type::Integer(1), 32) if spelled_as.contains("Address") => "address".into(),
        Type::Array(Type::Integer(1), count) => format!("{count} bytes"),
        Type::Array(item, count) => format!("{count} × {}", of_kind(item, spelled_as)),
    }
}

fn plain(spelled: &str) -> String {
    if spelled == "Address" { "address".into() } else { spelled.to_owned() }
}

fn cell(docs: &[&str]) -> String {
    sentence(docs).replace('|', "\\|")
}

fn errors(page: &mut String, numbers: core::ops::Range<u32>) {
    page.push_str("| number | error | |\n|---|---|---|\n");
    for error in Error::ALL.iter().filter(|error| numbers.contains(&error.code())) {
        let _ = writeln!(page, "| {} | {error:?} | {} |", error.code(), error.message());
    }
}

fn thousands(number: u64) -> String {
    if number < 1_000 {
        return number.to_string();
    }
    format!("{},{:03}", thousands(number / 1_000), number % 1_000)
}

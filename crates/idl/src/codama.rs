//! The interface as a Codama root node, from which its renderers make clients in other languages.
//!
//! Node by node: <https://github.com/codama-idl/codama/tree/main/packages/nodes>.

use sip_client::{ASSOCIATED_TOKEN_PROGRAM, Program, SLOT_HASHES, SYSTEM_PROGRAM, TOKEN_PROGRAM};
use sip_protocol::{
    Error,
    accounts::{self, AccountLayout},
    ground::{
        account::{Derivation, derivation},
        layout::{Field, Layout, Type},
        spec::{AccountSpec, Count, InstructionSpec, Object, Part, Place, Role},
        units::DECIMALS,
    },
    instructions,
};

use solana_address::Address;

use crate::json::{Json, node};
use crate::meaning::{ENUMERATIONS, Enumeration, Meaning, choice, meaning};
use crate::pages::{object_in_words, what};
use crate::structs::structs;
use crate::words::{camel, capital, prose};

/// The version of Codama's nodes that this is written in.
const STANDARD_VERSION: &str = "1.0.0";
/// The name of a wallet's token account among the derivations.
const TOKENS: &str = "tokenAccount";

/// The root node.
pub(crate) fn root(program: &Program) -> Json {
    let pdas = derivation::ALL.iter().map(pda).chain([token_account(program)]).collect::<Vec<_>>();
    let types = structs().into_iter().map(defined_type).chain(ENUMERATIONS.iter().map(enumeration)).collect::<Vec<_>>();
    let program = node(
        "programNode",
        [
            ("name", "sip".into()),
            ("publicKey", program.id.to_string().into()),
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("docs", vec![Json::from("Staked Intelligence Protocol.")].into()),
            ("accounts", accounts::all().map(account).collect::<Vec<_>>().into()),
            ("instructions", instructions::all().map(|spec| instruction(program, spec)).collect::<Vec<_>>().into()),
            ("definedTypes", types.into()),
            ("pdas", pdas.into()),
            ("errors", Error::ALL.iter().map(error).collect::<Vec<_>>().into()),
        ],
    );
    node(
        "rootNode",
        [
            ("standard", "codama".into()),
            ("version", STANDARD_VERSION.into()),
            ("program", program),
            ("additionalPrograms", Vec::new().into()),
        ],
    )
}

fn docs(lines: &[&str]) -> Json {
    prose(lines).into_iter().map(Json::from).collect::<Vec<_>>().into()
}

fn integer(bytes: usize) -> Json {
    node("numberTypeNode", [("format", format!("u{}", 8 * bytes).into()), ("endian", "le".into())])
}

fn bytes(size: usize) -> Json {
    node("fixedSizeTypeNode", [("size", size.into()), ("type", node("bytesTypeNode", []))])
}

fn number(value: u64) -> Json {
    node("numberValueNode", [("number", value.into())])
}

/// A struct's name. TypeScript has `Parameters` of its own.
fn type_name(layout: &Layout) -> String {
    let name = camel(layout.name);
    if name == "parameters" { "protocolParameters".into() } else { name }
}

fn link(kind: &'static str, name: &str) -> Json {
    node(kind, [("name", camel(name).into())])
}

/// A type; 32 bytes are an address where the source spells them so.
fn type_node(kind: &Type, spelled: &str) -> Json {
    match kind {
        Type::Integer(size) => integer(*size),
        Type::Struct(layout) => link("definedTypeLinkNode", &type_name(layout)),
        Type::Array(Type::Integer(1), 32) if spelled.contains("Address") => node("publicKeyTypeNode", []),
        Type::Array(Type::Integer(1), count) => bytes(*count),
        Type::Array(item, count) => {
            let count = node("fixedCountNode", [("value", (*count).into())]);
            node("arrayTypeNode", [("item", type_node(item, spelled)), ("count", count)])
        }
    }
}

/// The type of a field of a struct or an instruction, with what its numbers mean.
fn field_type(owner: &str, field: &Field) -> Json {
    match meaning(owner, field) {
        Meaning::Choice(of) => link("definedTypeLinkNode", of.name),
        Meaning::Flag => node("booleanTypeNode", [("size", integer(1))]),
        Meaning::Amount => amount(&field.kind),
        Meaning::Text => {
            let text = node("stringTypeNode", [("encoding", "utf8".into())]);
            node("fixedSizeTypeNode", [("size", field.kind.bytes().into()), ("type", text)])
        }
        Meaning::Plain => type_node(&field.kind, field.spelled),
    }
}

/// Base units of the token, or several of them.
fn amount(kind: &Type) -> Json {
    if let Type::Array(item, count) = kind {
        let count = node("fixedCountNode", [("value", (*count).into())]);
        return node("arrayTypeNode", [("item", amount(item)), ("count", count)]);
    }
    node(
        "amountTypeNode",
        [("decimals", usize::from(DECIMALS).into()), ("unit", "SIP".into()), ("number", integer(kind.bytes()))],
    )
}

fn struct_type(layout: &Layout) -> Json {
    let field = |field: &Field| {
        node(
            "structFieldTypeNode",
            [("name", camel(field.name).into()), ("docs", docs(field.docs)), ("type", field_type(layout.name, field))],
        )
    };
    node("structTypeNode", [("fields", layout.fields.iter().map(field).collect::<Vec<_>>().into())])
}

fn defined_type(layout: &'static Layout) -> Json {
    node(
        "definedTypeNode",
        [("name", type_name(layout).into()), ("docs", docs(layout.docs)), ("type", struct_type(layout))],
    )
}

fn enumeration(of: &Enumeration) -> Json {
    let variant = |name: String| node("enumEmptyVariantTypeNode", [("name", camel(&name).into())]);
    let variants = of.all().into_iter().map(variant).collect::<Vec<_>>();
    let kind = node("enumTypeNode", [("variants", variants.into()), ("size", integer(of.bytes))]);
    node(
        "definedTypeNode",
        [("name", camel(of.name).into()), ("docs", vec![Json::from(of.docs)].into()), ("type", kind)],
    )
}

fn account(account: AccountLayout) -> Json {
    let at = |offset: usize, byte: u8| {
        let constant = node("constantValueNode", [("type", integer(1)), ("value", number(byte.into()))]);
        node("constantDiscriminatorNode", [("offset", offset.into()), ("constant", constant)])
    };
    let size = node("sizeDiscriminatorNode", [("size", account.layout.bytes.into())]);
    node(
        "accountNode",
        [
            ("name", camel(account.layout.name).into()),
            ("size", account.layout.bytes.into()),
            ("docs", docs(account.layout.docs)),
            ("data", struct_type(account.layout)),
            ("pda", link("pdaLinkNode", account.derivations[0].name)),
            ("discriminators", vec![at(0, account.kind as u8), at(1, account.kind.version()), size].into()),
        ],
    )
}

fn pda(derivation: &Derivation) -> Json {
    let first = node(
        "constantPdaSeedNode",
        [
            ("type", node("stringTypeNode", [("encoding", "utf8".into())])),
            ("value", node("stringValueNode", [("string", derivation.first.into())])),
        ],
    );
    let further = derivation.seeds.iter().map(|(name, spelled, kind)| match choice(derivation.name, name) {
        Some(of) => variable(name, link("definedTypeLinkNode", of.name)),
        None => variable(name, type_node(kind, spelled)),
    });
    node(
        "pdaNode",
        [
            ("name", camel(derivation.name).into()),
            ("docs", docs(derivation.docs)),
            ("seeds", [first].into_iter().chain(further).collect::<Vec<_>>().into()),
        ],
    )
}

fn variable(name: &str, kind: Json) -> Json {
    node("variablePdaSeedNode", [("name", camel(name).into()), ("docs", Vec::new().into()), ("type", kind)])
}

fn public_key(address: &Address) -> Json {
    node("publicKeyValueNode", [("publicKey", address.to_string().into())])
}

/// The associated account of a wallet for the protocol's token.
fn token_account(program: &Program) -> Json {
    let key = || node("publicKeyTypeNode", []);
    let mint = node("constantPdaSeedNode", [("type", key()), ("value", public_key(&program.mint()))]);
    node(
        "pdaNode",
        [
            ("name", TOKENS.into()),
            ("docs", vec![Json::from("A wallet's associated account for the protocol's token.")].into()),
            ("programId", ASSOCIATED_TOKEN_PROGRAM.to_string().into()),
            ("seeds", vec![variable("owner", key()), variable("token_program", key()), mint].into()),
        ],
    )
}

fn instruction(program: &Program, spec: &InstructionSpec) -> Json {
    let (many, others): (Vec<_>, Vec<_>) = spec.accounts.iter().partition(|account| account.count == Count::Many);
    let accounts = others.into_iter().map(|account| instruction_account(program, spec, account)).collect::<Vec<_>>();
    let tag = node(
        "instructionArgumentNode",
        [
            ("name", "discriminator".into()),
            ("defaultValueStrategy", "omitted".into()),
            ("docs", Vec::new().into()),
            ("type", integer(1)),
            ("defaultValue", number(spec.tag.into())),
        ],
    );
    let tail = spec.tail.map(|name| {
        node(
            "instructionArgumentNode",
            [("name", camel(name).into()), ("docs", Vec::new().into()), ("type", node("bytesTypeNode", []))],
        )
    });
    let arguments = [tag]
        .into_iter()
        .chain(spec.arguments.fields.iter().map(|field| argument(spec.name, field)))
        .chain(tail)
        .collect::<Vec<_>>();
    let discriminator = node("fieldDiscriminatorNode", [("name", "discriminator".into()), ("offset", 0usize.into())]);
    node(
        "instructionNode",
        [
            ("name", camel(spec.name).into()),
            ("docs", docs(spec.docs)),
            ("optionalAccountStrategy", "omitted".into()),
            ("accounts", accounts.into()),
            ("arguments", arguments.into()),
        ],
    )
    .with("remainingAccounts", many.first().map(|account| vec![remaining(account)].into()))
    .with("discriminators", Some(vec![discriminator].into()))
}

/// An argument; what is always 0 need not be given.
fn argument(instruction: &str, field: &Field) -> Json {
    let is_zero = field.name == "reserved";
    let zero = match &field.kind {
        Type::Array(_, count) => {
            node("bytesValueNode", [("data", "00".repeat(*count).into()), ("encoding", "base16".into())])
        }
        _ => number(0),
    };
    node("instructionArgumentNode", [("name", camel(field.name).into())])
        .with("defaultValueStrategy", is_zero.then(|| "omitted".into()))
        .with("docs", Some(docs(field.docs)))
        .with("type", Some(field_type(instruction, field)))
        .with("defaultValue", is_zero.then_some(zero))
}

fn remaining(account: &AccountSpec) -> Json {
    node(
        "instructionRemainingAccountsNode",
        [
            ("isSigner", account.role.is_signer().into()),
            ("isWritable", account.role.is_writable().into()),
            ("docs", about(account)),
            ("value", link("argumentValueNode", account.name)),
        ],
    )
}

fn instruction_account(program: &Program, spec: &InstructionSpec, account: &AccountSpec) -> Json {
    let signer = if account.role == Role::Closer { "either".into() } else { account.role.is_signer().into() };
    node(
        "instructionAccountNode",
        [
            ("name", camel(account.name).into()),
            ("isWritable", account.role.is_writable().into()),
            ("isSigner", signer),
            ("isOptional", (account.count == Count::Optional).into()),
            ("docs", about(account)),
        ],
    )
    .with("defaultValue", default_value(program, spec, account))
}

/// What an account is, and what an address follows from that only those know who have read other accounts.
fn about(account: &AccountSpec) -> Json {
    let of = |part: &Part| match part {
        Part::Account(name) => camel(name),
        Part::Argument(name) => format!("the argument {}", camel(name)),
        Part::Field(account, field) => format!("{}.{}", camel(account), camel(field)),
        Part::Number(number) => number.to_string(),
    };
    let named = |object: &Object| match object {
        Object::State(kind) => {
            let name = camel(accounts::account(*kind).layout.name);
            format!("{} `{name}`", if name.starts_with(['a', 'e']) { "an" } else { "a" })
        }
        other => object_in_words(other).to_owned(),
    };
    let mut lines = vec![capital(&what(account, &named))];
    lines.extend(prose(account.docs));
    match &account.place {
        Place::From(derivation, parts) => {
            let parts = parts.iter().map(of).collect::<Vec<_>>().join(", ");
            lines.push(format!("Its address is the PDA `{}` of {parts}.", camel(derivation.name)));
        }
        Place::Of(owner @ Part::Account(_)) => {
            lines.push(format!("Its owner is {}; by default the associated account.", of(owner)));
        }
        Place::Of(owner) => lines.push(format!("Its owner is {}.", of(owner))),
        _ => {}
    }
    lines.into_iter().map(Json::from).collect::<Vec<_>>().into()
}

/// How an account that the caller does not give is found.
fn default_value(program: &Program, spec: &InstructionSpec, account: &AccountSpec) -> Option<Json> {
    let derived = |name: &str, seeds: Vec<Json>| {
        node("pdaValueNode", [("pda", link("pdaLinkNode", name)), ("seeds", seeds.into())])
    };
    let seed = |name: &str, value: Json| node("pdaSeedValueNode", [("name", camel(name).into()), ("value", value)]);
    match (&account.place, account.objects) {
        _ if account.count != Count::One => None,
        (Place::Single, [object]) if object.single().is_some() => object.single().map(|of| derived(of.name, vec![])),
        (Place::Single, [Object::TokenProgram]) => Some(public_key(&TOKEN_PROGRAM)),
        (Place::Single, [Object::SystemProgram]) => Some(public_key(&SYSTEM_PROGRAM)),
        (Place::Single, [Object::SlotHashes]) => Some(public_key(&SLOT_HASHES)),
        (Place::Single, [Object::ProgramData]) => Some(public_key(&program.program_data())),
        (Place::At(derivation, parts), _) => {
            let value = |name: &str, part: &Part| match part {
                Part::Account(name) => Some(link("accountValueNode", name)),
                Part::Argument(name) => Some(link("argumentValueNode", name)),
                Part::Number(value) => Some(match choice(derivation.name, name) {
                    Some(of) => variant_value(of, of.name_of(*value)?),
                    None => number(*value),
                }),
                Part::Field(..) => None,
            };
            let seeds =
                derivation.seeds.iter().zip(*parts).map(|((name, ..), part)| Some(seed(name, value(name, part)?)));
            Some(derived(derivation.name, seeds.collect::<Option<Vec<_>>>()?))
        }
        (Place::Of(Part::Account(owner)), _) => {
            let program = spec.accounts.iter().find(|account| account.objects == [Object::TokenProgram])?;
            let seeds = vec![
                seed("owner", link("accountValueNode", owner)),
                seed("token_program", link("accountValueNode", program.name)),
            ];
            Some(derived(TOKENS, seeds))
        }
        _ => None,
    }
}

fn variant_value(of: &Enumeration, variant: &str) -> Json {
    node("enumValueNode", [("enum", link("definedTypeLinkNode", of.name)), ("variant", camel(variant).into())])
}

fn error(error: &Error) -> Json {
    node(
        "errorNode",
        [
            ("name", camel(&format!("{error:?}")).into()),
            ("code", u64::from(error.code()).into()),
            ("message", error.message().into()),
            ("docs", Vec::new().into()),
        ],
    )
}

//! Decodes accounts with the structs of the rules themselves, and prints all their fields as JSON: what clients in other languages,
//! which know the IDL alone, are compared with. The fields are those of the compiler's own `Debug`, not of the recorded layouts.
//!
//! Reads lines of an address and the account's bytes in hexadecimal digits, and prints `{"address": ["Kind", {…}], …}`.

use std::fmt::Debug;
use std::io::{Read, Write};

use sip_protocol::{
    Account, AccountKind,
    admin::config::Config,
    court::{Dispute, accusation::Accusation, availability::Demand},
    money::{epoch::EmissionAccount, fees::Fees},
    network::peer::Peer,
    stake::{
        pool::Pool,
        position::{Position, Ticket},
        steering::Vote,
    },
    training::{data::Dataset, evaluation::ScoringRun, job::Job, round::Round, segment::Segment},
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let mut decoded = Vec::new();
    for line in text.lines() {
        let (address, digits) = line.split_once(' ').ok_or("a line is an address and bytes")?;
        let bytes = bytes(digits).ok_or("the bytes are not hexadecimal digits")?;
        let shown = shown(&bytes).map_err(|error| format!("{address}: {error}"))?;
        decoded.push(format!("\"{address}\": {}", json(&shown)));
    }
    writeln!(std::io::stdout(), "{{{}}}", decoded.join(",\n"))?;
    Ok(())
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// An account as `Debug` shows it.
fn shown(data: &[u8]) -> Result<String, Failure> {
    let kind = AccountKind::ALL.iter().find(|kind| data.first() == Some(&(**kind as u8))).ok_or("it is of no kind")?;
    match kind {
        AccountKind::Config => of::<Config>(data),
        AccountKind::Pool => of::<Pool>(data),
        AccountKind::Position => of::<Position>(data),
        AccountKind::Ticket => of::<Ticket>(data),
        AccountKind::Dataset => of::<Dataset>(data),
        AccountKind::Job => of::<Job>(data),
        AccountKind::Round => of::<Round>(data),
        AccountKind::Segment => of::<Segment>(data),
        AccountKind::Dispute => of::<Dispute>(data),
        AccountKind::ScoringRun => of::<ScoringRun>(data),
        AccountKind::Accusation => of::<Accusation>(data),
        AccountKind::Demand => of::<Demand>(data),
        AccountKind::Emission => of::<EmissionAccount>(data),
        AccountKind::Fees => of::<Fees>(data),
        AccountKind::Vote => of::<Vote>(data),
        AccountKind::Peer => of::<Peer>(data),
    }
}

fn of<T: Account + Debug>(data: &[u8]) -> Result<String, Failure> {
    Ok(format!("{:?}", T::decode(data)?))
}

/// `Name { field: 1, list: [2, 3] }` as `["Name", {"field": 1, "list": [2, 3]}]`; the names of inner structs are left out.
fn json(shown: &str) -> String {
    let (name, fields) = shown.split_once(' ').unwrap_or((shown, "{}"));
    let mut text = String::new();
    let mut word = String::new();
    for character in fields.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => word.push(character),
            // Before a brace stands a struct's name, before a colon a field's; everything else is numbers.
            ' ' => continue,
            '{' => word.clear(),
            ':' => text.push_str(&format!("\"{}\"", std::mem::take(&mut word))),
            _ => text.push_str(&std::mem::take(&mut word)),
        }
        if !(character.is_alphanumeric() || character == '_') {
            text.push(character);
        }
    }
    format!("[\"{name}\", {text}]")
}

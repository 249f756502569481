//! Disputes: who accuses whom of what, whose move it is, and where the two have come to.

use sip_console::table::{Cell, Row};
use sip_protocol::court::{Dispute, Game, Side};
use sip_protocol::ground::case::CaseKind;
use sip_report::dispute::Level;
use solana_address::Address;

use crate::path::awaits;
pub use crate::path::path;

/// The row of a dispute in a list.
pub fn row(address: &Address, dispute: &Dispute, slot: u64) -> Row {
    let (side, what) = awaits(&dispute.game);
    let left = side.map(|side| clock_slots(dispute, side, Some(slot)));
    let on_move = side.map_or("nobody", |side| if side == Side::Trainer { "accused" } else { "challenger" });
    vec![
        ("dispute", Cell::text(address)),
        ("of", Cell::text(accused(&dispute.game).trim_start_matches("the "))),
        ("subject", Cell::text(Address::new_from_array(dispute.subject))),
        ("challenger", Cell::text(Address::new_from_array(dispute.challenger))),
        ("moves", Cell::Number(dispute.moves.into())),
        ("on move", Cell::text(on_move)),
        ("awaits", Cell::text(what)),
        ("left", left.map_or(Cell::Nothing, Cell::Slots)),
    ]
}

/// Who disputes what, whose move it is, and the clocks.
pub fn head(dispute: &Dispute, slot: Option<u64>) -> Vec<String> {
    let game = &dispute.game;
    let address = |bytes: &[u8; 32]| Address::new_from_array(*bytes);
    let (side, what) = awaits(game);
    let state = match side {
        Some(Side::Trainer) => format!("The accused is on move: {what}"),
        Some(Side::Challenger) => format!("The challenger is on move: {what}"),
        None => format!("Decided: {what}"),
    };
    let clock = |side: Side| {
        let left = clock_slots(dispute, side, slot);
        if left == 0 { "no time left".into() } else { format!("{left} slots left") }
    };
    vec![
        format!("{} accuses {} {}", address(&dispute.challenger), accused(game), address(&dispute.subject)),
        format!("{state}, after {} moves", dispute.moves),
        format!("Clocks: accused {}, challenger {}", clock(Side::Trainer), clock(Side::Challenger)),
    ]
}

/// What the accusation is about, which has the address of the dispute's subject.
fn accused(game: &Game) -> &'static str {
    match game.ground.case() {
        Ok(CaseKind::Segment) => "the segment",
        Ok(CaseKind::Score) => "the scoring run",
        Ok(CaseKind::Start) => "the start state of the segment",
        Ok(CaseKind::Update) => "the update of the segment",
        Ok(CaseKind::Aggregate) => "the aggregate of the round",
        Ok(CaseKind::Genesis) => "the genesis state of the job",
        Ok(CaseKind::Attestation) => "the attestation of the segment",
        Err(_) => "an unknown claim on",
    }
}

/// What is left on a clock; it runs while its side is on move.
pub fn clock_slots(dispute: &Dispute, side: Side, slot: Option<u64>) -> u64 {
    let game = &dispute.game;
    let elapsed = match slot {
        Some(slot) if awaits(game).0 == Some(side) => slot.saturating_sub(game.moved_slot),
        _ => 0,
    };
    game.clock_slots[side as usize].saturating_sub(elapsed)
}

/// The levels as a tree of one branch.
pub fn lines(levels: &[Level]) -> Vec<String> {
    let mut lines = Vec::new();
    for (depth, level) in levels.iter().enumerate() {
        let indent = "   ".repeat(depth.saturating_sub(1));
        let branch = if depth == 0 { "" } else { "└─ " };
        let of = level.place.map(|(_, count)| format!(" (of {count})")).unwrap_or_default();
        lines.push(format!("{indent}{branch}{} {}{of}", level.name, level.what));
        let below = "   ".repeat(depth);
        for (name, value) in [("claimed", &level.claimed), ("recomputed", &level.recomputed)] {
            if let Some(value) = value {
                lines.push(format!("{below}   {name}: {value}"));
            }
        }
    }
    lines
}

/// For programs.
pub fn json(dispute: &Dispute, slot: Option<u64>, levels: &[Level]) -> serde_json::Value {
    let (side, what) = awaits(&dispute.game);
    let name = |side: Side| if side == Side::Trainer { "accused" } else { "challenger" };
    let levels: Vec<serde_json::Value> = levels
        .iter()
        .map(|level| {
            serde_json::json!({
                "level": level.name,
                "what": level.what,
                "index": level.place.map(|place| place.0),
                "count": level.place.map(|place| place.1),
                "claimed": level.claimed,
                "recomputed": level.recomputed,
            })
        })
        .collect();
    serde_json::json!({
        "case": accused(&dispute.game),
        "subject": Address::new_from_array(dispute.subject).to_string(),
        "challenger": Address::new_from_array(dispute.challenger).to_string(),
        "moves": dispute.moves,
        "on_move": side.map(name),
        "awaits": what,
        "clock_slots": {
            "accused": clock_slots(dispute, Side::Trainer, slot),
            "challenger": clock_slots(dispute, Side::Challenger, slot),
        },
        "levels": levels,
    })
}

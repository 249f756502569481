//! A dispute as it is written down: every move, whether it is taken, and the position after it.

use super::hex;
use serde_json::{Value, json};
use sip_arith::Soft;
use sip_node::dispute::{Challenger, Defender, Evidence, Move};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::court::{Game, Ground, MoveKind, Outcome, Side, Turn};
use std::fmt::Debug;

const CLOCK_SLOTS: u64 = 1_000;
const OPENED_SLOT: u64 = 5;

fn ground(ground: &Ground) -> Value {
    json!({
        "nodes_root": hex(&ground.nodes_root), "outputs_root": hex(&ground.outputs_root),
        "tables_root": hex(&ground.tables_root), "round_seed": hex(&ground.round_seed),
        "start_root": hex(&ground.start_root), "end_root": hex(&ground.end_root),
        "accumulator_root": hex(&ground.accumulator_root),
        "dataset_roots": ground.dataset_roots.iter().map(|root| hex(root)).collect::<Vec<_>>(),
        "token_counts": ground.token_counts, "mixture_bps": ground.mixture_bps,
        "node_count": ground.node_count, "state_count": ground.state_count, "table_count": ground.table_count,
        "inner_steps": ground.inner_steps, "leaf_interval": ground.steps_per_leaf, "first_step": ground.first_step,
        "place": ground.trainer, "rows": ground.batch_rows, "row_tokens": ground.row_tokens, "case": ground.case,
        "carried": ground.carried, "base_entries": ground.base_entries, "windows": ground.windows,
        "bases": ground.bases[..ground.base_count as usize].iter().map(|root| hex(root)).collect::<Vec<_>>(),
        "settings": ground.settings,
    })
}

/// A dispute under way.
pub(crate) struct Transcript {
    /// The position.
    pub(crate) game: Game,
    opening: Value,
    slot: u64,
    moves: Vec<Value>,
}

impl Transcript {
    /// Opens a dispute; an attestation's names the leaf that was drawn and the trace root that was shown.
    pub(crate) fn open(facts: Ground, attested: Option<(u32, [u8; 32])>) -> Transcript {
        let mut game: Game = bytemuck::Zeroable::zeroed();
        game.ground = facts;
        let mut opening = json!({ "ground": ground(&facts), "clock_slots": CLOCK_SLOTS, "slot": OPENED_SLOT });
        if let Some((leaf, trace_root)) = attested {
            (game.leaf, game.trace_root) = (leaf, trace_root);
            opening["leaf"] = leaf.into();
            opening["trace_root"] = hex(&trace_root).into();
        }
        game.open(CLOCK_SLOTS, OPENED_SLOT).expect("facts of a job");
        Transcript { game, opening, slot: OPENED_SLOT, moves: Vec::new() }
    }

    fn note(&mut self, mut entry: Value) {
        entry["slot"] = self.slot.into();
        entry["phase"] = self.game.phase.into();
        entry["position"] = hex(&HostSha256::hashv(&[bytemuck::bytes_of(&self.game)])).into();
        self.moves.push(entry);
    }

    /// Plays a move, which may be refused.
    pub(crate) fn attempt(&mut self, side: Side, next: &Move) -> bool {
        let before = self.game;
        let turn = Turn { side, kind: next.kind, payload: &next.payload, slot: self.slot };
        let is_taken = self.game.play::<HostSha256, Soft>(&turn).is_ok();
        if !is_taken {
            self.game = before;
        }
        self.note(json!({
            "side": side as u32, "kind": next.kind as u32, "is_taken": is_taken, "payload": hex(&next.payload),
        }));
        is_taken
    }

    /// Lets slots pass.
    pub(crate) fn wait(&mut self, slots: u64) {
        self.slot += slots;
    }

    /// The next move is at this slot.
    pub(crate) fn at(&mut self, slot: u64) {
        self.slot = slot;
    }

    /// Calls for the end by the clock, now, too early.
    pub(crate) fn refuse_time_out(&mut self) {
        assert!(self.game.timeout(self.slot).is_err());
        self.note(json!({ "time_out": true, "is_taken": false }));
    }

    /// Calls for the end by the clock: too early, then when the side on move has been silent for long enough.
    pub(crate) fn time_out(&mut self) {
        let side = self.game.on_move().expect("the game is on");
        self.slot = self.game.moved_slot + self.game.clock_slots[side as usize];
        for is_taken in [false, true] {
            assert_eq!(self.game.timeout(self.slot).is_ok(), is_taken);
            self.note(json!({ "time_out": true, "is_taken": is_taken }));
            self.slot += 1;
        }
    }

    /// Both brains play to the end. A side without a move, or whose move is refused, is silent from then on. `change` may spoil what a
    /// side plays; where the slot is a multiple of `spoil`, moves that must be refused are tried first.
    pub(crate) fn play<D: Evidence, C: Evidence>(
        mut self,
        mut defender: Defender<D>,
        mut challenger: Challenger<C>,
        spoil: u64,
        mut change: impl FnMut(&Game, &mut Move),
    ) -> Transcript
    where
        D::Error: Debug,
        C::Error: Debug,
    {
        while self.game.outcome().expect("an outcome") == Outcome::Open {
            let side = self.game.on_move().expect("the game is on");
            let next = match side {
                Side::Trainer => defender.next(&self.game).ok().flatten(),
                Side::Challenger => challenger.next(&self.game).ok().flatten(),
            };
            self.slot += 3;
            let Some(mut next) = next else {
                self.time_out();
                continue;
            };
            if self.slot.is_multiple_of(spoil) {
                self.spoil(side, &next);
            }
            change(&self.game, &mut next);
            if !self.attempt(side, &next) {
                self.time_out();
            }
        }
        self
    }

    /// What is refused: out of turn, of another kind, too long, spoilt in one bit.
    fn spoil(&mut self, side: Side, next: &Move) {
        let other = if side == Side::Trainer { Side::Challenger } else { Side::Trainer };
        assert!(!self.attempt(other, next));
        let kind = if next.kind == MoveKind::PostTrace { MoveKind::OpenEntry } else { MoveKind::PostTrace };
        assert!(!self.attempt(side, &Move { kind, ..next.clone() }));
        assert!(!self.attempt(side, &Move { payload: [&next.payload[..], &[0]].concat(), ..next.clone() }));
        if matches!(next.kind, MoveKind::Reveal | MoveKind::OpenNode | MoveKind::PostChunk | MoveKind::ProveOperand) {
            let mut spoilt = next.clone();
            let at = spoilt.payload.len() / 2;
            spoilt.payload[at] ^= 16;
            assert!(!self.attempt(side, &spoilt));
        }
    }

    /// The vector, of a dispute that must have ended so.
    pub(crate) fn end(self, name: &str, expected: Outcome) -> Value {
        assert_eq!(self.game.outcome(), Ok(expected), "{name}");
        let mut vector = self.opening;
        vector["name"] = name.into();
        vector["moves"] = self.moves.into();
        vector["outcome"] = self.game.outcome.into();
        vector
    }
}

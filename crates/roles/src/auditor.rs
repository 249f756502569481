//! The auditor of a job: its draws, attestations, votes and pay.
//!
//! Nothing is signed twice with different contents: a draw is the one that the chain's tip asks for, a salt follows from the key and
//! the segment, a trace root and a base from a replay that is on disk before anything about it is sent.

use sip_client::Seat;
use sip_proof::{HostSha256, Sha256};
use sip_protocol::admin::config::Config;
use sip_protocol::money::settlement::Settlement;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::attestation::{Shown, attested_leaf};
use sip_protocol::training::job::bit;
use sip_protocol::training::round::{self, AuditorSeat, Round};
use sip_protocol::training::segment;
use solana_address::Address;

use crate::judge::is_drawn;
use crate::node::Step;
use crate::view::{Seen, Stands};
use crate::{Action, Claim, Event};

/// A hash chain is searched this far for the draw that is due.
const DRAWS_MAX: u32 = 1 << 20;

/// The secret that the hash chain of a key's auditor pool of a number begins with.
pub fn draw_secret(key: &[u8; 64], pool_index: u32) -> [u8; 32] {
    HostSha256::hashv(&[b"sip.draws.1", key, &pool_index.to_le_bytes()])
}

/// An auditor's hash chain: a draw hashes to the one revealed before it, the first one to the tip. A round takes two: one for the audit,
/// one with the vote.
pub struct HashChain {
    /// From the secret end on.
    links: Vec<[u8; 32]>,
}

impl HashChain {
    /// A chain of `length` links, at least one, of which the first is a secret.
    pub fn from_secret(first: [u8; 32], length: usize) -> HashChain {
        let following = |link: &[u8; 32]| Some(HostSha256::hashv(&[link]));
        HashChain { links: std::iter::successors(Some(first), following).take(length.max(1)).collect() }
    }

    /// What everyone knows before the first draw.
    pub fn tip(&self) -> [u8; 32] {
        self.links[self.links.len() - 1]
    }

    /// The draw of a number.
    pub fn draw(&self, number: u32) -> Option<[u8; 32]> {
        self.links.len().checked_sub(2 + number as usize).map(|at| self.links[at])
    }
}

/// What an auditor attests a segment with.
pub fn commitment(pool: &Address, segment: &Address, salt: &[u8; 32], trace_root: &[u8; 32]) -> [u8; 32] {
    Shown { salt, trace_root }.commitment::<HostSha256>(pool.as_array(), segment.as_array())
}

/// The link of a hash chain whose hash is a tip.
fn link(secret: [u8; 32], tip: &[u8; 32]) -> Option<[u8; 32]> {
    let mut link = secret;
    for _ in 0..DRAWS_MAX {
        let next = HostSha256::hashv(&[&link]);
        if next == *tip {
            return Some(link);
        }
        link = next;
    }
    None
}

/// An auditor's part in a round.
pub(crate) fn part(seen: &Seen, place: u8) -> &AuditorSeat {
    &seen.round.auditors[usize::from(place)]
}

/// Whether a seat was not settled for a round yet, or a slice of its bond waits there, as after a conviction of another claim.
pub(crate) fn is_owed(seen: &Seen, seat: &Seat) -> bool {
    let part = part(seen, seat.place);
    part.pool == seat.pool.to_bytes() && (part.settled == 0 || (part.vote_slice | part.attestation_slice) != 0)
}

impl Step<'_> {
    /// Whether a seat is one of a round.
    fn sits(&self, seat: &Seat, seen: &Seen) -> bool {
        let holds = seen.round.require_holder(PoolKind::Auditor, seat.place, &seat.pool.to_bytes()).is_ok();
        holds && seen.round.excluded_auditors(&self.view.job) & bit(seat.place) == 0
    }

    /// Whether a draw of ours selects a segment.
    pub(crate) fn draws(&self, seen: &Seen, stands: &Stands) -> bool {
        self.auditor_seat().is_some_and(|seat| self.sits(&seat, seen) && is_drawn(seen, stands, seat.place))
    }

    /// What an auditor owes its rounds.
    pub(crate) fn auditor(&self) {
        let Some(seat) = self.auditor_seat() else { return };
        for seen in self.view.rounds.iter().filter(|seen| self.sits(&seat, seen)) {
            if self.may_sign(&seat) {
                self.audit(&seat, seen);
            }
            self.settle_audit(&seat, seen);
            self.hand_out_base(seen);
        }
    }

    /// What an auditor signs in a round.
    fn audit(&self, seat: &Seat, seen: &Seen) {
        self.reveal_draw(seat, seen);
        self.attest(seat, seen);
        self.show(seat, seen);
        self.vote(seat, seen);
        self.attest_again(seat, seen);
    }

    /// The draw whose hash is the pool's tip; that there is none is said.
    fn draw(&self, seat: &Seat, what: &str) -> Option<[u8; 32]> {
        let pool = self.view.pools.get(&seat.pool)?;
        let draw = link(self.me().chain_secret(pool.index), &pool.chain_tip);
        if draw.is_none() {
            let reason = "the hash chain does not lead to the pool's tip; give its secret with --chain".to_owned();
            self.tell(Event::Refused { what: what.to_owned(), reason });
        }
        draw
    }

    fn reveal_draw(&self, seat: &Seat, seen: &Seen) {
        let round = &seen.round;
        let is_due = round.status == round::COMMITS_CLOSED && self.view.slot < round.audit_deadline_slot;
        if !is_due || part(seen, seat.place).revealed != 0 {
            return;
        }
        let Some(draw) = self.draw(seat, "reveal a draw") else { return };
        let reveal = self.program().reveal_draw(seat, &self.view.address, &seen.address, &draw);
        self.reveal_by(round.audit_deadline_slot, "reveal a draw", reveal, acted(seen, "draw revealed", None));
    }

    /// The salt of the attestation of a segment: nobody else knows it, and after a restart we still do.
    fn salt(&self, segment: &Address) -> [u8; 32] {
        self.me().derived(b"sip.attestation.salt.1", &[segment.as_array()])
    }

    /// The trace root that our attestation of a segment shows, if the segment was replayed and is true.
    fn trace_root(&self, seen: &Seen, stands: &Stands, auditor: u8) -> Option<[u8; 32]> {
        let found = self.found(Claim::Segment { round: seen.index(), place: stands.place })?;
        if found.is_true { found.trace(self.view.leaf(seen, stands, auditor)) } else { None }
    }

    /// The leaf that our attestation of a segment will show, once a draw is revealed that selects it: a draw waits until what it answers is final, and
    /// a replay does not.
    pub(crate) fn coming_leaf(&self, seen: &Seen, stands: &Stands) -> Option<u32> {
        let seat = self.auditor_seat().filter(|seat| self.sits(seat, seen))?;
        let part = part(seen, seat.place);
        if seen.round.status != round::COMMITS_CLOSED || part.revealed != 0 {
            return None;
        }
        let pool = self.view.pools.get(&seat.pool)?;
        let preimage = link(self.me().chain_secret(pool.index), &pool.chain_tip)?;
        let revealed = AuditorSeat { preimage, revealed: 1, ..*part };
        let address = stands.address.as_array();
        let is_drawn = stands.state.is_drawn::<HostSha256>(address, &revealed, seen.round.audit_rate);
        let (root, leaves) = (&stands.state.claim.accumulator_root, self.view.job.spec.leaf_count());
        is_drawn.then(|| attested_leaf::<HostSha256>(&preimage, root, leaves))
    }

    /// Attests what was drawn, replayed and found true. What was replayed before the draw was known is replayed once more for its leaf.
    fn attest(&self, seat: &Seat, seen: &Seen) {
        let round = &seen.round;
        if round.status != round::COMMITS_CLOSED || self.view.slot >= round.audit_deadline_slot {
            return;
        }
        for stands in &seen.segments {
            let is_open = stands.state.status == segment::COMMITTED && stands.state.attested & bit(seat.place) == 0;
            if !is_open || !self.draws(seen, stands) {
                continue;
            }
            let Some(trace_root) = self.trace_root(seen, stands, seat.place) else {
                let claim = Claim::Segment { round: seen.index(), place: stands.place };
                if self.found(claim).is_some_and(|finding| finding.is_true) {
                    self.replay(seen, stands, vec![self.view.leaf(seen, stands, seat.place)]);
                }
                continue;
            };
            let digest = commitment(&seat.pool, &stands.address, &self.salt(&stands.address), &trace_root);
            let attest = self.program().attest(seat, &self.view.address, &seen.address, &stands.address, &digest);
            let event = acted(seen, "attested", Some(stands.place));
            self.send_by(round.audit_deadline_slot, "attest a segment", attest, event);
        }
    }

    /// Shows what was attested.
    fn show(&self, seat: &Seat, seen: &Seen) {
        if self.view.slot >= seen.round.vote_deadline_slot {
            return;
        }
        for stands in &seen.segments {
            let segment = &stands.state;
            let is_due = segment.attested & bit(seat.place) != 0 && segment.shown & bit(seat.place) == 0;
            if segment.status != segment::ACCEPTED || !is_due {
                continue;
            }
            let Some(trace_root) = self.trace_root(seen, stands, seat.place) else { continue };
            let salt = self.salt(&stands.address);
            let ours = commitment(&seat.pool, &stands.address, &salt, &trace_root);
            if ours != segment.attestations[usize::from(seat.place)] {
                let what = "show an attestation".to_owned();
                let reason =
                    "it was made with another salt or another trace, by another program of this key".to_owned();
                self.tell(Event::Refused { what, reason });
                continue;
            }
            let shown = Shown { salt: &salt, trace_root: &trace_root };
            let (job, address) = (&self.view.address, &seen.address);
            let reveal = self.program().reveal_attestation(seat, job, address, &stands.address, &shown);
            let event = acted(seen, "attestation shown", Some(stands.place));
            self.reveal_by(seen.round.vote_deadline_slot, "show an attestation", reveal, event);
        }
    }

    /// Votes for the base that it computed itself, if no segment in it is false.
    fn vote(&self, seat: &Seat, seen: &Seen) {
        let (round, part) = (&seen.round, part(seen, seat.place));
        // Once a base was made, who has not voted yet still owes its second draw.
        let may_vote = match round.status {
            round::CLOSED => true,
            round::AGGREGATED | round::SCORED => part.vote == [0; 32],
            _ => false,
        };
        let is_due = may_vote && self.view.slot < round.vote_deadline_slot && part.revealed != 0;
        if !is_due || round.require_on_chain(&self.view.job).is_err() {
            return;
        }
        for stands in seen.segments.iter().filter(|stands| round.accepted & bit(stands.place) != 0) {
            let found = self.found(Claim::Segment { round: seen.index(), place: stands.place });
            // What others replay is taken on trust in them, and in the base's own challengers.
            if !found.map_or(self.is_left_to_others(seen, stands), |finding| finding.is_true) {
                return;
            }
        }
        let Some(base) = self.known.base(seen.index(), round.accepted) else { return };
        if part.vote == base || base == [0; 32] {
            return;
        }
        let is_first = part.vote == [0; 32];
        let draw = if is_first { self.draw(seat, "vote for the next base") } else { Some(part.second_preimage) };
        let Some(draw) = draw else { return };
        let vote = self.program().vote_base(seat, &self.view.address, &seen.address, &base, &draw);
        let event = acted(seen, "voted for the next base", None);
        self.reveal_by(round.vote_deadline_slot, "vote for the next base", vote, event);
    }

    /// Attests openly what its second draw selects, once it was replayed and found true. What was replayed before the draw was known is
    /// replayed once more for the leaf that is to be shown.
    fn attest_again(&self, seat: &Seat, seen: &Seen) {
        let (round, part) = (&seen.round, part(seen, seat.place));
        if round.status == round::VOID || self.view.slot >= round.second_deadline_slot {
            return;
        }
        for stands in &seen.segments {
            let is_open = stands.state.status == segment::ACCEPTED && stands.state.attested & bit(seat.place) == 0;
            if !is_open || part.drawn_again & bit(stands.place) == 0 {
                continue;
            }
            let found = self.found(Claim::Segment { round: seen.index(), place: stands.place });
            if !found.is_some_and(|finding| finding.is_true) {
                continue;
            }
            let Some(trace_root) = self.trace_root(seen, stands, seat.place) else {
                self.replay(seen, stands, vec![self.view.leaf(seen, stands, seat.place)]);
                continue;
            };
            let (job, address) = (&self.view.address, &seen.address);
            let attest = self.program().attest_second(seat, job, address, &stands.address, &trace_root);
            let event = acted(seen, "attested by the second draw", Some(stands.place));
            self.send_by(round.second_deadline_slot, "attest a segment of the second draw", attest, event);
        }
    }

    /// Takes its pay for a round.
    fn settle_audit(&self, seat: &Seat, seen: &Seen) {
        if !seen.is_over() || !is_owed(seen, seat) {
            return;
        }
        let is_due = self.would_settle(seen, &seat.pool, |mut trial| trial.audit(seat.place).is_ok());
        if is_due {
            let settle = self.program().settle_audit(&self.view.address, &seen.address, &seat.pool, seat.place);
            self.send("settle an audit", vec![settle], vec![acted(seen, "settled", None)]);
        }
    }

    /// Whether a settlement with a pool would be accepted: by the program's own rules, on copies.
    pub(crate) fn would_settle(
        &self,
        seen: &Seen,
        pool: &Address,
        settle: impl FnOnce(Settlement<'_>) -> bool,
    ) -> bool {
        let Some(pool) = self.view.pools.get(pool) else { return false };
        let (mut config, mut round): (Box<Config>, Box<Round>) = (self.view.config.clone(), seen.round.clone());
        let (mut pool, slot): (Box<Pool>, u64) = (pool.clone(), self.view.slot);
        let job = &self.view.job;
        settle(Settlement { config: &mut config, job, round: &mut round, pool: &mut pool, slot })
    }

    /// Hands the next base out that it voted for: evaluators score it, and the next round's trainers start from it.
    fn hand_out_base(&self, seen: &Seen) {
        let is_base = matches!(seen.round.status, round::CLOSED | round::AGGREGATED | round::SCORED | round::FINAL);
        let base = self.known.base(seen.index(), seen.round.accepted).filter(|base| is_base && *base != [0; 32]);
        if let Some(root) = base {
            self.push(Action::Publish { root });
        }
    }
}

/// What somebody did in a round.
pub(crate) fn acted(seen: &Seen, what: &'static str, place: Option<u8>) -> Event {
    Event::Acted { round: seen.index(), what, place }
}

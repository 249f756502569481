//! The auditor of a job: its draws, attestations, votes and pay.
//!
//! Nothing is signed twice with different contents: a draw is the one that the chain's tip asks for, a salt follows from the key and
//! the segment, a trace root and a base from a replay that is on disk before anything about it is sent.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use sip_client::{Program, Seat};
use sip_ledger::Ledger;
use sip_proof::{HostSha256, Sha256 as _};
use sip_protocol::admin::config::Config;
use sip_protocol::money::settlement::Settlement;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::attestation::Shown;
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::seats;
use sip_protocol::training::segment;
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

use super::claim::Claim;
use super::event::Event;
use super::here::{Here, Seen, Stands, commitment};
use super::judge::is_drawn;
use super::watch::Watch;
use sip_data::unhex;

/// A hash chain is searched this far for the draw that is due.
const DRAWS_MAX: u32 = 1 << 20;

/// The auditor that a wallet is in a job.
pub(super) struct Operator {
    pub seat: Seat,
    /// The secret that its hash chain begins with.
    chain: [u8; 32],
}

impl Operator {
    /// The place that one of the wallet's pools holds among the auditors of a job. `chain` is the secret of its hash chain; unless
    /// given, the one that `sip pool create` makes.
    pub(super) fn of<L: Ledger>(
        ledger: &L,
        program: &Program,
        job_address: &Address,
        key: &Keypair,
        chain: Option<[u8; 32]>,
    ) -> Result<Operator> {
        let read = |address: &Address| -> Result<Vec<u8>> {
            let account = ledger.account(address)?.filter(|account| account.owner == program.id);
            Ok(account.with_context(|| format!("the program has no account at {address}"))?.data)
        };
        let job: Box<Job> = decode(&read(job_address)?)?;
        let operator = key.pubkey();
        for (place, seat) in (0..).zip(&job.auditors).filter(|(_, seat)| seat.state != seats::FREE) {
            let address = Address::new_from_array(seat.pool);
            let pool: Box<Pool> = decode(&read(&address)?)?;
            if pool.scope == operator.to_bytes() {
                let chain = chain.unwrap_or_else(|| crate::chain::pool::draw_secret(key, pool.index));
                return Ok(Operator { seat: Seat { operator, pool: address, place }, chain });
            }
        }
        anyhow::bail!(
            "no pool of the wallet {operator} is an auditor of the job {job_address}; \"sip job join\" takes a place, and \
             without --operator the watchtower only accuses"
        )
    }

    /// The draw whose hash is the pool's tip.
    fn draw(&self, tip: &[u8; 32]) -> Option<[u8; 32]> {
        let mut link = self.chain;
        for _ in 0..DRAWS_MAX {
            let next: [u8; 32] = Sha256::digest(link).into();
            if next == *tip {
                return Some(link);
            }
            link = next;
        }
        None
    }

    /// Whether it has a seat in a round.
    fn sits(&self, here: &Here, seen: &Seen) -> bool {
        let (kind, place) = (PoolKind::Auditor, self.seat.place);
        let holds = seen.round.require_holder(kind, place, &self.seat.pool.to_bytes()).is_ok();
        holds && seen.round.excluded_auditors(&here.job) & bit(place) == 0
    }

    /// Whether it was not settled for a round yet, or a slice of its bond waits there, as after a conviction of another claim.
    pub(super) fn is_owed(&self, seen: &Seen) -> bool {
        let seat = &seen.round.auditors[usize::from(self.seat.place)];
        let is_its_own = seat.pool == self.seat.pool.to_bytes();
        is_its_own && (seat.settled == 0 || (seat.vote_slice | seat.attestation_slice) != 0)
    }

    /// Whether it has revealed its draw of a round.
    pub(super) fn has_revealed(&self, seen: &Seen) -> bool {
        seen.has_revealed(self.seat.place)
    }

    /// Whether a draw of it selects a segment.
    pub(super) fn draws(&self, here: &Here, seen: &Seen, stands: &Stands) -> bool {
        self.sits(here, seen) && is_drawn(seen, stands, self.seat.place)
    }
}

fn decode<T: sip_protocol::Account>(data: &[u8]) -> Result<Box<T>> {
    T::decode(data).map(Box::new).map_err(|error| anyhow::anyhow!("{error}"))
}

impl<L: Ledger> Watch<'_, L> {
    /// The next thing that the operator owes a round.
    pub(super) fn duties(&mut self, here: &Here) -> Result<bool> {
        let Some(operator) = self.operator else { return Ok(false) };
        for seen in here.rounds.iter().filter(|seen| operator.sits(here, seen)) {
            let is_done = self.reveal_draw(operator, here, seen)?
                || self.attest(operator, here, seen)?
                || self.show(operator, here, seen)?
                || self.vote(operator, here, seen)?
                || self.attest_again(operator, here, seen)?
                || self.settle(operator, here, seen)?;
            if is_done {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn acted(&mut self, seen: &Seen, what: &'static str, place: Option<u8>) -> Result<bool> {
        (self.report)(&Event::Acted { round: seen.index(), what, place });
        Ok(true)
    }

    fn reveal_draw(&mut self, operator: &Operator, here: &Here, seen: &Seen) -> Result<bool> {
        let round = &seen.round;
        let seat = &round.auditors[usize::from(operator.seat.place)];
        let is_due = round.status == round::COMMITS_CLOSED && here.slot < round.audit_deadline_slot;
        if !is_due || seat.revealed != 0 {
            return Ok(false);
        }
        let pool: Box<Pool> = self.read(&operator.seat.pool)?;
        let Some(draw) = operator.draw(&pool.chain_tip) else {
            return Ok(self.say_that_the_chain_is_lost("reveal a draw"));
        };
        let reveal = self.program.reveal_draw(&operator.seat, &self.job, &seen.address, &draw);
        Ok(self.send("reveal a draw", reveal)? && self.acted(seen, "draw revealed", None)?)
    }

    fn say_that_the_chain_is_lost(&mut self, what: &str) -> bool {
        let what = what.to_owned();
        let reason = "the hash chain does not lead to the pool's tip; give its secret with --chain".to_owned();
        self.say_once(&Event::Refused { what, reason });
        false
    }

    /// The salt of the attestation of a segment: nobody else knows it, and after a restart we still do.
    fn salt(&self, segment: &Address) -> [u8; 32] {
        HostSha256::hashv(&[b"sip.attestation.salt.1", &self.key.to_bytes(), segment.as_array()])
    }

    /// The trace root that our attestation of a segment shows, if the segment was replayed and is true.
    fn trace_root(&self, here: &Here, seen: &Seen, stands: &Stands, auditor: u8) -> Result<Option<[u8; 32]>> {
        let found = self.found(here, Claim::Segment { round: seen.index(), place: stands.place })?;
        let finding = found.filter(|finding| finding.is_true);
        Ok(finding
            .and_then(|finding| finding.traces.get(&here.leaf(seen, stands, auditor)).and_then(|root| unhex(root))))
    }

    /// Attests what was drawn, replayed and found true.
    fn attest(&mut self, operator: &Operator, here: &Here, seen: &Seen) -> Result<bool> {
        let auditor = operator.seat.place;
        let round = &seen.round;
        if round.status != round::COMMITS_CLOSED || here.slot >= round.audit_deadline_slot {
            return Ok(false);
        }
        for stands in &seen.segments {
            let is_open = stands.state.status == segment::COMMITTED && stands.state.attested & bit(auditor) == 0;
            if !is_open || !operator.draws(here, seen, stands) {
                continue;
            }
            let Some(trace_root) = self.trace_root(here, seen, stands, auditor)? else { continue };
            let digest = commitment(&operator.seat.pool, &stands.address, &self.salt(&stands.address), &trace_root);
            let attest = self.program.attest(&operator.seat, &self.job, &seen.address, &stands.address, &digest);
            if self.send("attest a segment", attest)? {
                return self.acted(seen, "attested", Some(stands.place));
            }
        }
        Ok(false)
    }

    /// Shows what was attested.
    fn show(&mut self, operator: &Operator, here: &Here, seen: &Seen) -> Result<bool> {
        let auditor = operator.seat.place;
        if here.slot >= seen.round.vote_deadline_slot {
            return Ok(false);
        }
        for stands in &seen.segments {
            let segment = &stands.state;
            let is_due = segment.attested & bit(auditor) != 0 && segment.shown & bit(auditor) == 0;
            if segment.status != segment::ACCEPTED || !is_due {
                continue;
            }
            let Some(trace_root) = self.trace_root(here, seen, stands, auditor)? else { continue };
            let salt = self.salt(&stands.address);
            let ours = commitment(&operator.seat.pool, &stands.address, &salt, &trace_root);
            if ours != segment.attestations[usize::from(auditor)] {
                let what = "show an attestation".to_owned();
                let reason =
                    "it was made with another salt or another trace, by another program of this key".to_owned();
                self.say_once(&Event::Refused { what, reason });
                continue;
            }
            let shown = Shown { salt: &salt, trace_root: &trace_root };
            let reveal =
                self.program.reveal_attestation(&operator.seat, &self.job, &seen.address, &stands.address, &shown);
            if self.send("show an attestation", reveal)? {
                return self.acted(seen, "attestation shown", Some(stands.place));
            }
        }
        Ok(false)
    }

    /// Votes for the base that it computed itself, if no segment in it is false.
    fn vote(&mut self, operator: &Operator, here: &Here, seen: &Seen) -> Result<bool> {
        let round = &seen.round;
        let seat = &round.auditors[usize::from(operator.seat.place)];
        // Once a base was made, who has not voted yet still owes its second draw.
        let may_vote = match round.status {
            round::CLOSED => true,
            round::AGGREGATED | round::SCORED => seat.vote == [0; 32],
            _ => false,
        };
        let is_due = may_vote && here.slot < round.vote_deadline_slot && seat.revealed != 0;
        if !is_due || round.require_on_chain(&here.job).is_err() {
            return Ok(false);
        }
        for stands in seen.segments.iter().filter(|stands| round.accepted & bit(stands.place) != 0) {
            let found = self.found(here, Claim::Segment { round: seen.index(), place: stands.place })?;
            // What others replay is taken on trust in them, and in the base's own challengers.
            if !found.map_or(self.is_left_to_others(here, seen, stands), |finding| finding.is_true) {
                return Ok(false);
            }
        }
        let Some(base) = self.record.base(seen.index(), round.accepted)? else { return Ok(false) };
        if seat.vote == base || base == [0; 32] {
            return Ok(false);
        }
        let pool: Box<Pool> = self.read(&operator.seat.pool)?;
        let draw = if seat.vote == [0; 32] { operator.draw(&pool.chain_tip) } else { Some(seat.second_preimage) };
        let Some(draw) = draw else { return Ok(self.say_that_the_chain_is_lost("vote for the next base")) };
        let vote = self.program.vote_base(&operator.seat, &self.job, &seen.address, &base, &draw);
        Ok(self.send("vote for the next base", vote)? && self.acted(seen, "voted for the next base", None)?)
    }

    /// Attests openly what its second draw selects, once it was replayed and found true. What was replayed before the draw was known is
    /// replayed once more for the leaf that is to be shown.
    fn attest_again(&mut self, operator: &Operator, here: &Here, seen: &Seen) -> Result<bool> {
        let auditor = operator.seat.place;
        let (round, seat) = (&seen.round, &seen.round.auditors[usize::from(auditor)]);
        if round.status == round::VOID || here.slot >= round.second_deadline_slot {
            return Ok(false);
        }
        for stands in &seen.segments {
            let is_open = stands.state.status == segment::ACCEPTED && stands.state.attested & bit(auditor) == 0;
            if !is_open || seat.drawn_again & bit(stands.place) == 0 {
                continue;
            }
            let found = self.found(here, Claim::Segment { round: seen.index(), place: stands.place })?;
            if !found.is_some_and(|finding| finding.is_true) {
                continue;
            }
            let Some(trace_root) = self.trace_root(here, seen, stands, auditor)? else {
                self.replay(here, seen, stands, vec![here.leaf(seen, stands, auditor)])?;
                return Ok(true);
            };
            let attest =
                self.program.attest_second(&operator.seat, &self.job, &seen.address, &stands.address, &trace_root);
            if self.send("attest a segment of the second draw", attest)? {
                return self.acted(seen, "attested by the second draw", Some(stands.place));
            }
        }
        Ok(false)
    }

    /// Takes its pay for a round.
    fn settle(&mut self, operator: &Operator, here: &Here, seen: &Seen) -> Result<bool> {
        let place = operator.seat.place;
        if !seen.is_over() || !operator.is_owed(seen) {
            return Ok(false);
        }
        let (mut config, mut round): (Box<Config>, Box<Round>) = (here.config.clone(), seen.round.clone());
        let mut pool: Box<Pool> = self.read(&operator.seat.pool)?;
        let slot = here.slot;
        let mut trial = Settlement { config: &mut config, job: &here.job, round: &mut round, pool: &mut pool, slot };
        if trial.audit(place).is_err() {
            return Ok(false);
        }
        let settle = self.program.settle_audit(&self.job, &seen.address, &operator.seat.pool, place);
        Ok(self.send("settle an audit", settle)? && self.acted(seen, "settled", None)?)
    }
}

/// The secret of a hash chain in a file: 64 hexadecimal digits.
pub(super) fn read_chain(path: &std::path::Path) -> Result<[u8; 32]> {
    let text = sip_json::read_text(path, 1024)
        .with_context(|| format!("cannot read {}; expected 64 hexadecimal digits", path.display()))?;
    unhex(text.trim()).with_context(|| format!("{} does not hold 64 hexadecimal digits", path.display()))
}

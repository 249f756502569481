//! Who is paid for a round, once it is final: reward_i = (S_i / S_total) · R_role · Q_i − P_i, rounded down. Of a round that a conviction
//! undid, honest work is paid the same way, out of what is left of the liar's own slice ([`Round::compensate`]), and out of nothing else; of one that came to nothing by itself,
//! nobody is paid, and what was missed is charged.
//!
//! Invariants: everything is settled once; what a round pays never exceeds its reward nor the bucket; S_i counts only stake
//! behind accepted work; a convicted segment earns nothing and is charged nothing here (its dispute has slashed it).

use sip_arith::int::{self, Rounding, mul_div};

use crate::{
    Error, Result,
    admin::{config::Config, penalties::Convicted},
    ground::offence::Offence,
    stake::pool::{Pool, Stakes},
    training::{
        data::Dataset,
        evaluation,
        job::{Job, bit},
        round::{self, QUALITY_ONE, Round},
        segment::{self, Segment},
    },
};

/// What a settlement did to a pool, base units. At most one of the two is not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Paid into the pool.
    pub paid: u64,
    /// Taken from the pool's stake into the insurance.
    pub charged: u64,
}

/// One claim on a role's reward.
struct Claim {
    role_bps: u16,
    part: u64,
    whole: u64,
    quality: u64,
    penalty: u64,
    /// Whose the pay is.
    stakes: Stakes,
    /// When the work was done.
    made_slot: u64,
}

/// What a settlement works on. The caller has checked that the accounts belong together.
pub struct Settlement<'a> {
    /// The configuration with the operators' bucket and the insurance.
    pub config: &'a mut Config,
    /// The job, whose parameters say what its work earns and what it costs.
    pub job: &'a Job,
    /// The final or void round.
    pub round: &'a mut Round,
    /// The pool that is paid or charged.
    pub pool: &'a mut Pool,
    /// Present slot.
    pub slot: u64,
}

impl Settlement<'_> {
    /// Checks that the round's parts may be settled, and notes when the last one was.
    fn begin(&mut self) -> Result<()> {
        self.round.require_settleable(self.job, self.slot)?;
        self.round.settled_slot = self.slot;
        Ok(())
    }

    /// Pays or charges the pool what one claim comes to.
    fn apply(&mut self, claim: &Claim) -> Result<Settled> {
        let is_void = self.round.status == round::VOID;
        let whole = if is_void { self.round.compensation } else { self.round.drawn };
        let role = int::bps(whole, claim.role_bps, Rounding::Down)?;
        let share = if claim.whole == 0 { 0 } else { mul_div(role, claim.part, claim.whole, Rounding::Down)? };
        let earned = mul_div(share, claim.quality, QUALITY_ONE, Rounding::Down)?;
        if earned < claim.penalty {
            let charged = self.pool.charge(claim.penalty - earned, self.slot)?;
            let charged = self.config.insure_penalty(&charged)?;
            return Ok(Settled { paid: 0, charged });
        }
        let left = int::sub(whole, self.round.paid)?;
        // Rounds of several jobs share the bucket: what is gone is not paid.
        let bucket = if is_void { left } else { self.config.buckets.operator_rewards };
        let paid = (earned - claim.penalty).min(bucket).min(left);
        self.pool.credit_by(paid, &claim.stakes, claim.made_slot)?;
        // What nobody holds stays where it was, or goes back there if the pool held it from before.
        let unowned = self.pool.take_unowned()?;
        if is_void {
            self.config.insure(unowned.saturating_sub(paid))?;
        } else {
            let bucket = &mut self.config.buckets.operator_rewards;
            *bucket = int::add(int::sub(*bucket, paid)?, unowned)?;
        }
        let paid = paid.saturating_sub(unowned);
        self.round.paid = int::add(self.round.paid, paid)?;
        Ok(Settled { paid, charged: 0 })
    }

    /// Settles a trainer's segment: its part of the accepted stake times the round's quality, less the penalty for
    /// lateness.
    pub fn segment(&mut self, segment: &mut Segment) -> Result<Settled> {
        self.begin()?;
        if segment.settled != 0 {
            return Err(Error::AlreadySettled);
        }
        // Also of a round that came to nothing a segment can be challenged, and its slice answers for it.
        let is_void = self.round.status == round::VOID;
        if !self.round.is_beyond_challenge(self.slot)
            || (is_void && self.slot <= self.round.segment_disputable_until(segment))
        {
            return Err(Error::ChallengeOpen);
        }
        segment.settled = 1;
        let backing = segment.backing();
        self.pool.release(&mut segment.slice, backing);
        self.config.collect(self.pool, self.slot)?;
        // What a slash paid for goes to nobody who was slashed.
        let is_liars = self.round.status == round::VOID && self.pool.segments_convicted > 0;
        if segment.status != segment::ACCEPTED || is_liars {
            return Ok(Settled::default());
        }
        if self.round.status == round::FINAL {
            self.pool.segments_accepted = self.pool.segments_accepted.saturating_add(1);
        }
        let claim = Claim {
            role_bps: self.job.parameters.trainers_bps,
            part: segment.stake,
            whole: self.round.accepted_stake,
            quality: self.round.quality,
            penalty: self.job.parameters.penalties.charge(Offence::LateSegment, segment.late as u64)?,
            stakes: Stakes { whole: segment.stake, own: segment.own_stake },
            made_slot: segment.committed_slot,
        };
        self.apply(&claim)
    }

    /// Settles an auditor: Q is the part of the segments of its first and its second draw that it attested and showed and that stand (1 if
    /// it drew none); P is what
    /// a draw that it never revealed, every missing attestation and every attested segment that was convicted cost. Who was convicted of a claim of
    /// the round earns nothing and owes what it owed. What the second draw
    /// asks for is missing in a final round only: one that came to nothing may have ended before its time. Not before no
    /// segment of the round can be convicted any more, and not while a claim of its own is disputed, so that nobody is settled ahead of
    /// a verdict.
    pub fn audit(&mut self, place: u8) -> Result<Settled> {
        self.begin()?;
        if place >= self.round.auditor_count {
            return Err(Error::WrongPlace);
        }
        let (ended_unclosed, is_excused) = (self.round.ended_unclosed(), self.round.is_excused());
        let is_final = self.round.status == round::FINAL;
        let is_struck = self.round.is_struck(place);
        // A verdict excuses nobody: it may have cost less than the absence.
        let missed_audit = self.round.missed_audit(self.job, place)?;
        let misattested = self.job.misattested_segment(self.round.awaited_auditors)?;
        // No more than the convictions really took, whatever slices stood behind other claims as well.
        let most_misattested = self.round.misattesting_most / self.round.awaited_auditors.count_ones().max(1) as u64;
        let is_beyond_challenge = self.round.is_beyond_challenge(self.slot);
        let seat = self.round.auditors.get_mut(place as usize).ok_or(Error::WrongPlace)?;
        let is_settled = seat.settled != 0;
        // Who was convicted of one claim still has the other's slice to free.
        if is_settled && seat.vote_slice == 0 && seat.attestation_slice == 0 {
            return Err(Error::AlreadySettled);
        }
        if !is_beyond_challenge {
            return Err(Error::ChallengeOpen);
        }
        if seat.shown < seat.attested && self.slot < self.round.vote_deadline_slot {
            return Err(Error::TooEarly);
        }
        seat.settled = 1;
        let backing = seat.backing();
        self.pool.release(&mut seat.vote_slice, backing);
        self.pool.release(&mut seat.attestation_slice, backing);
        self.config.collect(self.pool, self.slot)?;
        if is_settled {
            return Ok(Settled::default());
        }
        let is_revealed = seat.revealed != 0;
        let done_again = seat.attested_again as u32;
        // Who was convicted could do no more.
        let is_due = is_final && !is_struck;
        let due_again = if is_due { seat.due_again(self.job.spec.second_audit_rate) } else { done_again };
        let drawn = due_again.saturating_add(seat.drawn as u32);
        let (missed_draws, missed_attestations) = match (ended_unclosed, is_revealed) {
            (true, _) => (0, 0),
            (false, false) => (1, 0),
            (false, true) if is_excused => (0, 0),
            (false, true) => (0, drawn.saturating_sub(seat.shown as u32).saturating_sub(seat.refuted as u32) as u64),
        };
        let quality = match (is_revealed && !ended_unclosed, drawn) {
            (false, _) => 0,
            (_, 0) => QUALITY_ONE,
            (_, drawn) => mul_div(QUALITY_ONE, seat.shown as u64, drawn as u64, Rounding::Down)?,
        };
        self.pool.audits_attested = self.pool.audits_attested.saturating_add(seat.shown as u32);
        let missed = missed_draws + missed_attestations;
        self.pool.audits_missed = self.pool.audits_missed.saturating_add(missed as u32);
        let penalties = &self.job.parameters.penalties;
        let mut penalty = int::add(missed_audit, penalties.charge(Offence::MissedAttestation, missed_attestations)?)?;
        penalty = int::add(penalty, int::mul(misattested, seat.refuted as u64)?.min(most_misattested))?;
        let claim = Claim {
            role_bps: self.job.parameters.auditors_bps,
            part: if is_struck { 0 } else { seat.stake },
            whole: self.round.auditor_stake,
            quality,
            penalty,
            stakes: Stakes { whole: seat.stake, own: seat.own_stake },
            // It revealed its draw after the closing of the commitments.
            made_slot: self.round.audit_deadline_slot.saturating_sub(self.round.audit_slots as u64),
        };
        self.apply(&claim)
    }

    /// Settles a trainer that was awaited and committed nothing, whatever it was convicted of since.
    pub fn absent(&mut self, place: u8) -> Result<Settled> {
        self.begin()?;
        let here = bit(place);
        if self.round.eligible & !self.round.committed & here == 0 {
            return Err(Error::WrongPlace);
        }
        if self.round.settled_absent & here != 0 {
            return Err(Error::AlreadySettled);
        }
        self.round.settled_absent |= here;
        self.charge(self.round.missed_segment(self.job, place)?)
    }

    fn charge(&mut self, amount: u64) -> Result<Settled> {
        let taken = self.pool.charge(amount, self.slot)?;
        Ok(Settled { paid: 0, charged: self.config.insure_penalty(&taken)? })
    }

    /// Settles an evaluator: Q is 1 within the tolerance; an evaluator that was off or did not reveal what it committed
    /// is slashed into the insurance; one that never committed is charged for its absence, and where no score stands so is one that hid it.
    pub fn evaluation(&mut self, place: u8) -> Result<Settled> {
        self.begin()?;
        if place >= self.round.evaluator_count {
            return Err(Error::WrongPlace);
        }
        // Before the tally nobody can be said to have hidden a score.
        let is_beyond_challenge = self.round.is_beyond_challenge(self.slot);
        let is_scoreless = self.round.is_scoreless();
        let is_tallied = is_scoreless || self.round.status == round::FINAL || self.round.void_from == round::SCORED;
        let status = self.round.evaluators.get(place as usize).ok_or(Error::WrongPlace)?.status;
        let missed_score = if is_tallied { self.round.missed_score(self.job, status)? } else { 0 };
        let seat = self.round.evaluators.get_mut(place as usize).ok_or(Error::WrongPlace)?;
        if seat.settled != 0 {
            return Err(Error::AlreadySettled);
        }
        if !is_beyond_challenge {
            return Err(Error::ChallengeOpen);
        }
        seat.settled = 1;
        let mut slice = core::mem::take(&mut seat.slice);
        if is_tallied && matches!(seat.status, evaluation::COMMITTED | evaluation::OFF) {
            self.pool.evaluations_rejected = self.pool.evaluations_rejected.saturating_add(1);
            let claim = Convicted {
                slice: &mut slice,
                backing: seat.backing(),
                made_slot: seat.committed_slot,
                slot: self.slot,
            };
            let taken = self.pool.fine(&self.job.parameters.penalties, Offence::FalseScore, claim)?;
            let charged = self.config.insure_penalty(&taken)?;
            self.config.collect(self.pool, self.slot)?;
            let missed = self.charge(missed_score)?;
            return Ok(Settled { paid: 0, charged: int::add(charged, missed.charged)? });
        }
        self.pool.release(&mut slice, seat.backing());
        self.config.collect(self.pool, self.slot)?;
        match seat.status {
            _ if !is_tallied => Ok(Settled::default()),
            evaluation::ABSENT => {
                self.pool.evaluations_rejected = self.pool.evaluations_rejected.saturating_add(1);
                self.charge(missed_score)
            }
            evaluation::CONVICTED => {
                // Its dispute has slashed it.
                self.pool.evaluations_rejected = self.pool.evaluations_rejected.saturating_add(1);
                Ok(Settled::default())
            }
            evaluation::WITHIN => {
                self.pool.evaluations_accepted = self.pool.evaluations_accepted.saturating_add(1);
                let claim = Claim {
                    role_bps: self.job.parameters.evaluators_bps,
                    part: seat.stake,
                    whole: self.round.evaluator_stake,
                    quality: QUALITY_ONE,
                    penalty: 0,
                    stakes: Stakes { whole: seat.stake, own: seat.own_stake },
                    made_slot: seat.committed_slot,
                };
                self.apply(&claim)
            }
            _ => Ok(Settled::default()),
        }
    }

    /// Settles a domain's data provider: its part is the domain's part of the mixture, nothing if nobody answered for the dataset any
    /// more when the round was opened.
    pub fn data(&mut self, domain: u8, dataset: &Dataset) -> Result<Settled> {
        let mut claim = self.domain_claim(domain, self.job.parameters.data_bps)?;
        // From its first pay on it is a pool of the job's: new stake waits until what was done before is paid. A job that pays nothing,
        // which anyone creates with any dataset, keeps nobody waiting.
        if self.job.rewarded != 0 {
            self.pool.expose(self.job.exposure_slots, self.slot);
        }
        if !dataset.is_answered_for(self.pool, self.round.opened_slot) {
            claim.part = 0;
        }
        if self.round.settled_data & (1 << domain) != 0 {
            return Err(Error::AlreadySettled);
        }
        self.round.settled_data |= 1 << domain;
        self.apply(&claim)
    }

    /// Settles a domain's patrons: their part is the domain's part of the mixture, nothing if nobody had stake there that earned when the round
    /// was opened.
    pub fn patrons(&mut self, domain: u8) -> Result<Settled> {
        let mut claim = self.domain_claim(domain, self.job.parameters.patrons_bps)?;
        if self.round.patron_domains & (1 << domain) == 0 {
            claim.part = 0;
        }
        if self.round.settled_patrons & (1 << domain) != 0 {
            return Err(Error::AlreadySettled);
        }
        self.round.settled_patrons |= 1 << domain;
        self.apply(&claim)
    }

    /// The claim of one domain on a role's reward: for being there when the round was opened.
    fn domain_claim(&mut self, domain: u8, role_bps: u16) -> Result<Claim> {
        self.begin()?;
        if domain >= self.round.domain_count {
            return Err(Error::WrongPlace);
        }
        let part = *self.round.mixture_bps.get(domain as usize).ok_or(Error::WrongPlace)? as u64;
        Ok(Claim {
            role_bps,
            part,
            whole: int::BPS_ONE as u64,
            quality: self.round.quality,
            penalty: 0,
            stakes: self.pool.seasoned(self.slot)?,
            made_slot: self.round.opened_slot,
        })
    }
}

//! The dispute's account: parties, bond, position, and the buffer in which the side on move collects a large payload.

use bytemuck::{Pod, Zeroable};
use sip_proof::{GraphRoots, Sha256, merkle};

use crate::court::claims::forfeit;
use crate::court::game::{Game, MAX_PAYLOAD, Turn, require};
use crate::court::{CaseKind, MoveKind, Outcome, Side};
use crate::ground::clock;
use crate::instructions::OpenDispute;
use crate::{
    Address, Error, Header, Result, account,
    admin::{config::Config, penalties::Convictor},
    court::accusation::Revealed,
    ground::layout::layout,
    ground::offence::Offence,
    stake::pool::{Pool, PoolKind, SlashOutcome},
    training::{
        closing::Rest,
        data::Dataset,
        job::{Job, MAX_DOMAINS},
        round::Round,
        segment::{self, Segment, SegmentClaim},
    },
};

layout! {
    /// A dispute on a claim and the state of its game: a wallet has one on a claim at a time, and opens none in another's name.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct Dispute {
        /// Kind, version, bump.
        pub header: Header,
        /// The segment that is accused or was attested; a scoring run; of a vote the round, of a genesis state the job.
        pub subject: Address,
        /// Its job.
        pub job: Address,
        /// The defendant's pool; zero if it has none, as a job's creator.
        pub pool: Address,
        /// Wallet that defends: the pool's operator, or the job's creator.
        pub defendant: Address,
        /// Wallet that accuses.
        pub challenger: Address,
        /// The challenger's bond, base units; 0 once resolved.
        pub bond: u64,
        /// When the dispute opened.
        pub opened_slot: u64,
        /// Moves played.
        pub moves: u32,
        /// 1 once resolved.
        pub resolved: u8,
        /// The defendant's place, if it is an auditor.
        pub place: u8,
        /// Always 0.
        pub reserved: [u8; 2],
        /// The position.
        pub game: Game,
        /// What the side on move has uploaded.
        pub buffer: [u8; MAX_PAYLOAD],
        /// The round of the claim; zero for a genesis state.
        pub round: Address,
        /// When its accusation was committed.
        pub committed_slot: u64,
        /// What both clocks began with, and hold at most.
        pub full_clock_slots: u64,
    }
}

account!(Dispute, Dispute, 240 + size_of::<Game>() + MAX_PAYLOAD, liabilities: |dispute| Ok(dispute.bond));

/// What an accusation is made from.
pub struct Case<'a> {
    /// The job.
    pub job: &'a Job,
    /// The round.
    pub round: &'a Round,
    /// The segment's address.
    pub segment_address: &'a Address,
    /// The wallet that accuses.
    pub challenger: &'a Address,
    /// Its accusation, opened.
    pub accusation: Revealed,
    /// Which of the segment's claims, and the graph of it.
    pub args: &'a OpenDispute,
    /// The present slot.
    pub slot: u64,
}

/// Where the money of a resolved dispute goes, base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payout {
    /// From the vault to the challenger: its bond. The bounty waits in its escrow.
    pub to_challenger: u64,
    /// From the vault into nothing.
    pub burned: u64,
}

impl Dispute {
    /// Opens a dispute on a segment that was accused in time. The bond comes out of the accusation; the caller counts the dispute in the
    /// round ([`Round::open_challenge`]); the datasets follow by [`Dispute::set_dataset`], all of them.
    pub fn open<H: Sha256>(&mut self, case: &Case<'_>, segment: &mut Segment, pool: &mut Pool) -> Result<()> {
        let Case { job, round, slot, .. } = *case;
        round.require_holder(PoolKind::Trainer, segment.claim.place, &segment.pool)?;
        round.require_disputable()?;
        require(segment.operator != *case.challenger, Error::OwnSegment)?;
        segment.open_dispute(pool)?;
        self.subject = *case.segment_address;
        self.round = segment.round;
        self.job = segment.job;
        self.pool = segment.pool;
        self.defendant = segment.operator;
        self.challenger = *case.challenger;
        self.bond = case.accusation.bond;
        self.committed_slot = case.accusation.committed_slot;
        self.opened_slot = slot;
        match CaseKind::from_number(case.args.case) {
            Some(CaseKind::Segment) => {
                require(case.args.names_no_graph(), Error::WrongCase)?;
                self.set_segment(job, round, segment)?;
            }
            Some(CaseKind::Start | CaseKind::Update) if job.spec.is_compressed() => {
                self.set_graph::<H>(case.args, job, round, &segment.claim)?;
            }
            _ => return Err(Error::WrongCase),
        }
        self.full_clock_slots = job.spec.clock_slots(&job.parameters);
        self.game.open(self.full_clock_slots, slot)
    }

    /// Notes a segment of a round as what the case is about, or as what was attested.
    pub(super) fn set_segment(&mut self, job: &Job, round: &Round, segment: &Segment) -> Result<()> {
        let ground = &mut self.game.ground;
        ground.nodes_root = job.spec.nodes_root;
        ground.outputs_root = job.spec.outputs_root;
        ground.tables_root = job.spec.tables_root;
        ground.node_count = job.spec.node_count;
        ground.state_count = job.spec.state_count;
        ground.table_count = job.spec.table_count;
        ground.inner_steps = job.spec.inner_steps;
        ground.steps_per_leaf = job.spec.leaf_interval;
        ground.batch_rows = job.spec.batch;
        ground.row_tokens = job.spec.sequence_length.checked_add(1).ok_or(Error::WrongJobShape)?;
        ground.round_seed = round.seed;
        ground.mixture_bps = round.mixture_bps;
        ground.settings = round.settings;
        ground.first_step = round.first_step(job.spec.inner_steps);
        ground.start_root = segment.claim.start_root;
        ground.end_root = segment.claim.end_root;
        ground.accumulator_root = segment.claim.accumulator_root;
        ground.trainer = segment.claim.place as u32;
        ground.carried = job.spec.state_count;
        Ok(())
    }

    /// Notes the graph that a segment's start state, or its update, is the outcome of: it opens in the job's tree of the two.
    fn set_graph<H: Sha256>(
        &mut self,
        args: &OpenDispute,
        job: &Job,
        round: &Round,
        claim: &SegmentClaim,
    ) -> Result<()> {
        let (spec, ground) = (&job.spec, &mut self.game.ground);
        let is_start = args.case == CaseKind::Start as u32;
        let leaf = GraphRoots::leaf_of_aggregate(&args.nodes_root, &args.outputs_root, args.node_count);
        let opening = merkle::Opening { leaf_count: 2, index: !is_start as u32, path: &args.sibling };
        require(opening.opens::<H>(&spec.update_graphs_root, &leaf), Error::HashMismatch)?;
        ground.case = args.case;
        ground.nodes_root = args.nodes_root;
        ground.outputs_root = args.outputs_root;
        ground.node_count = args.node_count;
        ground.inner_steps = 1;
        ground.steps_per_leaf = 1;
        let [first, second, ..] = &mut ground.bases;
        if is_start {
            ground.start_root = round.base_root;
            ground.carried = spec.base_entries;
            *first = claim.previous_root;
            ground.base_count = 1;
            ground.base_entries = spec.update_entries;
            ground.end_root = claim.start_root;
            ground.state_count = spec.state_count;
        } else {
            ground.start_root = claim.previous_root;
            ground.carried = spec.update_entries;
            (*first, *second) = (claim.start_root, claim.end_root);
            ground.base_count = 2;
            ground.base_entries = spec.state_count;
            ground.end_root = claim.update_root;
            ground.state_count = spec.update_entries;
        }
        Ok(())
    }

    /// Notes root and length of a domain's tokens: for training, or held out in a scoring run.
    pub fn set_dataset(&mut self, domain: usize, dataset: &Dataset) -> Result<()> {
        require(domain < MAX_DOMAINS, Error::TooManyDomains)?;
        let is_run = self.game.ground.case()? == CaseKind::Score;
        let (root, tokens) = if is_run {
            (dataset.held_out_root, dataset.held_out_tokens)
        } else {
            (dataset.train_root, dataset.train_tokens)
        };
        self.game.ground.dataset_roots[domain] = root;
        self.game.ground.token_counts[domain] = tokens;
        Ok(())
    }

    /// The side that a wallet moves for.
    pub fn side_of(&self, wallet: &Address) -> Result<Side> {
        if self.defendant == *wallet {
            Ok(Side::Trainer)
        } else if self.challenger == *wallet {
            Ok(Side::Challenger)
        } else {
            Err(Error::NotParty)
        }
    }

    /// The side that a wallet moves for, where it may be the session key of the defendant's pool: from half a clock after the opening on. A thief
    /// of the key and a friend lose a true claim by a few moves of one slot; so long the operator, who may move at once, can end the key.
    pub fn side_of_worker(&self, wallet: &Address, pool_address: &Address, pool: &Pool, slot: u64) -> Result<Side> {
        require(self.pool == *pool_address && pool.is_worker(wallet, slot), Error::NotParty)?;
        let session_slot = self.opened_slot.saturating_add(clock::session_waits_slots(self.full_clock_slots));
        require(slot >= session_slot, Error::SessionWaits)?;
        Ok(Side::Trainer)
    }

    /// Writes bytes into the buffer; only the side on move may.
    pub fn upload(&mut self, side: Side, offset: u32, bytes: &[u8]) -> Result<()> {
        require(self.game.on_move()? == side, Error::NotOnMove)?;
        self.write(offset, bytes)
    }

    #[inline(always)]
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<()> {
        let start = offset as usize;
        let end = start.checked_add(bytes.len()).ok_or(Error::PastBuffer)?;
        self.buffer.get_mut(start..end).ok_or(Error::PastBuffer)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Plays a move. Its payload is what the buffer holds before `offset`, followed by `bytes`.
    pub fn play<S: sip_proof::Sha256, A: sip_arith::Arith>(&mut self, play: &Play<'_>) -> Result<()> {
        // Checked before the write: only the side on move writes.
        require(self.game.on_move()? == play.side, Error::NotOnMove)?;
        self.write(play.offset, play.bytes)?;
        let end = play.offset as usize + play.bytes.len();
        let payload = self.buffer.get(..end).ok_or(Error::PastBuffer)?;
        let kind = MoveKind::from_number(play.kind).ok_or(Error::WrongMove)?;
        self.game.play::<S, A>(&Turn { side: play.side, kind, payload, slot: play.slot })?;
        let left = &mut self.game.clock_slots[play.side as usize];
        *left = clock::after_move(*left, self.full_clock_slots);
        self.moves = self.moves.wrapping_add(1);
        Ok(())
    }

    /// Checks that the account may be closed and its rent go back to `challenger`, who opened the dispute and signs: nothing is left to
    /// decide or to pay.
    pub fn require_closable(&self, challenger: &Address) -> Result<()> {
        require(self.challenger == *challenger, Error::NotParty)?;
        require(self.resolved == 1, Error::DisputeNotOver)
    }

    /// Checks likewise that anyone may close it: an unbonding time has passed since the longest game from its opening was over.
    pub fn require_old(&self, challenger: &Address, rest: &Rest) -> Result<()> {
        self.require_closable(challenger)?;
        let ended_slot = self.opened_slot.saturating_add(clock::longest_dispute_slots(self.full_clock_slots));
        rest.require_since(ended_slot).map_err(|_| Error::MissingSigner)
    }

    /// Ends a decided dispute: slashes or acquits the trainer and says where the money goes. The pool's operator cannot
    /// gain by accusing itself: the bounty comes from its own bond, what delegators lose is insured, and a part of a lost
    /// accusation's bond is burned.
    pub fn resolve(&mut self, parties: &mut Verdict<'_>) -> Result<Payout> {
        let case = self.game.ground.case()?;
        let is_segment = matches!(case, CaseKind::Segment | CaseKind::Start | CaseKind::Update);
        require(is_segment, Error::WrongCase)?;
        let (outcome, bond) = self.decide()?;
        parties.job.close_accusation()?;
        let payout = if outcome == Outcome::Convicted {
            parties.convict(&self.challenger, self.committed_slot, Offence::ConvictedSegment)?;
            Payout { to_challenger: bond, burned: 0 }
        } else {
            let (burned, kept) = forfeit(parties.config, &parties.job.parameters.penalties, bond)?;
            parties.pool.credit(kept)?;
            Payout { to_challenger: 0, burned }
        };
        parties.close()?;
        Ok(payout)
    }
}

/// A move with the place of its bytes in the buffer.
pub struct Play<'a> {
    /// Who moves.
    pub side: Side,
    /// A [`MoveKind`].
    pub kind: u32,
    /// Where `bytes` go in the buffer.
    pub offset: u32,
    /// The last bytes of the payload.
    pub bytes: &'a [u8],
    /// The present slot.
    pub slot: u64,
}

/// Everything that a verdict changes. The caller has checked that the accounts belong together.
pub struct Verdict<'a> {
    /// Insurance and burned supply.
    pub config: &'a mut Config,
    /// Loses a convicted trainer.
    pub job: &'a mut Job,
    /// Is convicted, or has one dispute less.
    pub segment: &'a mut Segment,
    /// Is slashed, or gets what is not burned of the challenger's bond.
    pub pool: &'a mut Pool,
    /// Is undone if the segment counted in it, and has one challenge less.
    pub round: &'a mut Round,
    /// The present slot.
    pub slot: u64,
}

impl Verdict<'_> {
    /// Convicts the segment: its pool is slashed, the bounty waits in the segment for the first accuser, the rest is shared
    /// ([`Config::share`]); who attested it answers for that; if the segment counted, its round is undone.
    pub fn convict(&mut self, challenger: &Address, committed_slot: u64, offence: Offence) -> Result<()> {
        let before = self.segment.status;
        let slashed = self.segment.convict(self.job, self.pool, offence, self.slot)?;
        self.refute(before, &slashed)?;
        self.award(challenger, committed_slot, &slashed)?;
        self.undo(before == segment::ACCEPTED, &slashed)
    }

    /// Convicts a segment whose state was withheld, likewise, but for no bounty: what would be one waits, nobody's, for an accusation.
    /// Returns what of the own bond's slash goes to who asked in vain, at most `most`: nothing if the segment was convicted before.
    pub fn convict_silence(&mut self, most: u64) -> Result<u64> {
        let before = self.segment.status;
        let mut slashed = self.segment.convict(self.job, self.pool, Offence::UnavailableState, self.slot)?;
        let compensated = most.min(slashed.from_bond / 2);
        slashed.from_bond -= compensated;
        self.refute(before, &slashed)?;
        self.segment.escrow.share_silence(self.config, &self.job.parameters.penalties, &slashed, self.slot)?;
        self.undo(before == segment::ACCEPTED, &slashed)?;
        Ok(compensated)
    }

    /// Charges who attested the segment, which had this status before, by what was taken of the slice behind it.
    fn refute(&mut self, before: u8, slashed: &SlashOutcome) -> Result<()> {
        let gone = self.job.parameters.penalties.gone(slashed.from_bond)?;
        self.round.refute(self.segment, before, gone)
    }

    /// Undoes the round of a segment that counted in it; what was taken of its slice is for the work that is undone.
    fn undo(&mut self, has_counted: bool, slashed: &SlashOutcome) -> Result<()> {
        if has_counted {
            self.round.undo_work(self.job, self.pool, slashed.is_short, self.slot);
        }
        self.round.compensate(self.config, &self.job.parameters.penalties, slashed.from_bond)
    }

    fn award(&mut self, challenger: &Address, committed_slot: u64, slashed: &SlashOutcome) -> Result<()> {
        let accuser = Convictor { challenger, committed_slot, penalties: &self.job.parameters.penalties };
        self.segment.escrow.share(self.config, &accuser, slashed)
    }

    /// Ends one dispute or demand on the segment.
    pub fn close(&mut self) -> Result<()> {
        self.round.close_challenge()?;
        self.segment.close_dispute(self.pool)
    }
}

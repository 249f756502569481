//! The chain as it stands: a job, its rounds that are not over, what was committed in them, and who quarrels about it.

use bytemuck::Zeroable as _;
use sip_client::Program;
use sip_data::hex;
use sip_proof::HostSha256;
use sip_protocol::admin::config::Config;
use sip_protocol::court::Dispute;
use sip_protocol::court::accusation::Accusation;
use sip_protocol::court::availability::Demand;
use sip_protocol::ground::case::CaseKind;
use sip_protocol::ground::escrow::REVEAL_SLOTS;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::audit::Closing;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::finality::NO_ROUND;
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::segment::{self, Segment};
use sip_protocol::training::setting::Snapshot;
use sip_protocol::training::{
    attestation,
    evaluation::{self, ScoringRun},
};
use sip_protocol::{Account as _, AccountKind};
use solana_address::Address;
use solana_instruction::Instruction;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::Claim;

/// A segment, or a scoring run, where it stands.
#[derive(Clone)]
pub struct Stands<T = Segment> {
    /// Where.
    pub address: Address,
    /// The place of its trainer, or evaluator.
    pub place: u8,
    /// What it says.
    pub state: Box<T>,
}

/// A round with what was committed in it.
#[derive(Clone)]
pub struct Seen {
    /// The round's address.
    pub address: Address,
    /// The round.
    pub round: Box<Round>,
    /// By place.
    pub segments: Vec<Stands<Segment>>,
    /// Scoring runs that were revealed, by place.
    pub runs: Vec<Stands<ScoringRun>>,
}

/// A job at one slot.
#[derive(Clone)]
pub struct View {
    /// The deployment.
    pub program: Program,
    /// The job's address.
    pub address: Address,
    /// The slot.
    pub slot: u64,
    /// The configuration.
    pub config: Box<Config>,
    /// The job.
    pub job: Box<Job>,
    /// The pools of those who hold places of the job, of all who held one in these rounds, and of the datasets.
    pub pools: BTreeMap<Address, Box<Pool>>,
    /// The datasets of the job's domains.
    pub datasets: BTreeMap<Address, Box<Dataset>>,
    /// The rounds before all others that were looked for and are closed.
    pub looked: Range<u32>,
    /// In order; those that nothing is left to do about are left out.
    pub rounds: Vec<Seen>,
    /// Disputes of the job that were read.
    pub disputes: BTreeMap<Address, Box<Dispute>>,
    /// Accusations that were read.
    pub accusations: BTreeMap<Address, Box<Accusation>>,
    /// Demands that were read.
    pub demands: BTreeMap<Address, Box<Demand>>,
    /// Pools of others for which the wallet that looks works by a session, as its owner has said.
    pub served: BTreeSet<Address>,
    /// Everything of the job that may be closed once it is old, where it was asked for.
    pub survey: Option<Vec<(Address, Vec<u8>)>>,
}

impl Seen {
    /// Its number, from 0.
    pub fn index(&self) -> u32 {
        self.round.index
    }

    /// The segment of a trainer.
    pub fn segment(&self, place: u8) -> Option<&Stands<Segment>> {
        self.segments.iter().find(|stands| stands.place == place)
    }

    /// The scoring run of an evaluator.
    pub fn run(&self, place: u8) -> Option<&Stands<ScoringRun>> {
        self.runs.iter().find(|stands| stands.place == place)
    }

    /// The addresses of the accepted segments in order of place.
    pub fn accepted(&self) -> Vec<Address> {
        let is_accepted = |stands: &&Stands<Segment>| self.round.accepted & bit(stands.place) != 0;
        self.segments.iter().filter(is_accepted).map(|stands| stands.address).collect()
    }

    /// Whether an accusation of its claims of a kind can be committed in this slot.
    pub fn is_accusable(&self, kind: CaseKind, slot: u64) -> bool {
        self.round.require_disputable().is_ok() && slot <= self.round.accusable_until(kind)
    }

    /// Whether an accusation of a segment of it can be committed in this slot. Where the round was undone while it was open, each segment has a
    /// window of its own.
    pub fn is_segment_open(&self, stands: &Stands, slot: u64) -> bool {
        self.round.require_disputable().is_ok() && slot <= self.round.segment_accusable_until(&stands.state)
    }

    /// Whether nothing more can come of it.
    pub fn is_over(&self) -> bool {
        self.round.status == round::FINAL || self.round.status == round::VOID
    }

    /// Whether an auditor has revealed its draw.
    pub fn has_revealed(&self, auditor: u8) -> bool {
        self.round.auditors.get(usize::from(auditor)).is_some_and(|seat| seat.revealed != 0)
    }
}

/// A bounty that nobody can take over any more.
pub struct DueBounty {
    /// The account in which it waits.
    pub holder: Address,
    /// Of a round: whose claim, and which.
    part: Option<(u8, CaseKind)>,
    /// Whose it is.
    pub whose: Address,
    /// How much, base units.
    pub base_units: u64,
}

impl DueBounty {
    /// The instruction that pays it.
    pub fn payment(&self, program: &Program) -> Instruction {
        match self.part {
            Some((place, case)) => program.claim_auditors_bounty(&self.holder, place, case, &self.whose),
            None => program.claim_bounty(&self.holder, &self.whose),
        }
    }
}

impl View {
    /// The job's datasets by domain.
    pub fn datasets(&self) -> Vec<Address> {
        let count = usize::from(self.job.spec.domain_count);
        self.job.datasets.iter().take(count).copied().map(Address::new_from_array).collect()
    }

    /// Whether the next round may be opened, by the program's own rule.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn next_opens(&self) -> sip_protocol::Result<()> {
        let (mut round, mut after) = (Box::new(Round::zeroed()), self.job.clone());
        // What attention says changes nothing about it.
        let snapshot = Snapshot { mixture_bps: [0; 8], settings: [0; 4], patron_domains: 0 };
        round.open(self.address.as_array(), &mut after, &snapshot, self.slot)
    }

    /// The newest base that nothing can undo any more, and the round that it came from; nothing before there is one.
    pub fn final_base(&self) -> Option<(u32, [u8; 32])> {
        let chain = &self.job.chain;
        let root = match chain.open_rounds().first() {
            None => self.job.base_root,
            // What is not final builds on it.
            Some(oldest) => self.round(*oldest)?.round.base_root,
        };
        (chain.last_final != NO_ROUND).then_some((chain.last_final, root))
    }

    /// Notes an account that was read beside the job and its rounds; what this version cannot read, or another job's, is left out.
    pub fn add(&mut self, address: Address, data: &[u8]) {
        let is_kind = |kind: AccountKind| data.first() == Some(&(kind as u8));
        if is_kind(AccountKind::Dispute) {
            let ours = Dispute::decode(data).ok().filter(|dispute| dispute.job == self.address.to_bytes());
            self.disputes.extend(ours.map(|dispute| (address, Box::new(dispute))));
        } else if is_kind(AccountKind::Accusation) {
            self.accusations.extend(Accusation::decode(data).ok().map(|state| (address, Box::new(state))));
        } else if is_kind(AccountKind::Demand) {
            self.demands.extend(Demand::decode(data).ok().map(|state| (address, Box::new(state))));
        }
    }

    /// A round by its number.
    pub fn round(&self, index: u32) -> Option<&Seen> {
        self.rounds.iter().find(|seen| seen.index() == index)
    }

    /// Whether somebody was convicted: of a segment of these rounds, or of anything, in another job as well, that a pool of these rounds or seats
    /// answers for.
    pub fn has_convicted(&self, operator: &[u8; 32]) -> bool {
        let mut segments = self.rounds.iter().flat_map(|seen| &seen.segments).map(|stands| &stands.state);
        segments.any(|segment| segment.status == segment::CONVICTED && segment.operator == *operator)
            || self.pools.values().any(|pool| pool.scope == *operator && pool.is_convicted())
    }

    /// The leaf of a segment that an auditor attests, if one of its draws selects it.
    pub fn leaf(&self, seen: &Seen, stands: &Stands, auditor: u8) -> u32 {
        attestation::leaf::<HostSha256>(&seen.round, &stands.state, auditor, self.job.spec.leaf_count())
    }

    /// The wallet that answers for a claim.
    pub fn maker(&self, claim: Claim) -> Option<[u8; 32]> {
        let seen = self.round_of(claim);
        let seat = |place: u8| Some(seen?.round.auditors.get(usize::from(place))?.operator);
        match claim {
            Claim::Genesis => Some(self.job.creator),
            Claim::Segment { place, .. } => Some(seen?.segment(place)?.state.operator),
            Claim::Run { place, .. } => Some(seen?.run(place)?.state.operator),
            Claim::Vote { place, .. } => seat(place),
            Claim::Attestation { auditor, .. } => seat(auditor),
        }
    }

    /// Whether a dispute of the job may be open.
    pub fn may_be_disputed(&self) -> bool {
        let is_disputed =
            |seen: &Seen| seen.round.open_challenges > 0 || seen.round.vote_disputes > 0 || seen.round.run_disputes > 0;
        // Until the last dispute on an attestation has ended, whatever its parties do.
        let lasting = REVEAL_SLOTS + self.job.spec.longest_dispute_slots(&self.config.parameters);
        let attested = self.rounds.iter().any(|seen| match seen.round.accusable_until(CaseKind::Attestation) {
            0 => false,
            last => self.slot <= last + lasting,
        });
        attested || self.job.genesis_disputes != 0 || self.rounds.iter().any(is_disputed)
    }

    /// The round of a claim.
    pub fn round_of(&self, claim: Claim) -> Option<&Seen> {
        match claim {
            Claim::Genesis => None,
            Claim::Segment { round, .. }
            | Claim::Run { round, .. }
            | Claim::Vote { round, .. }
            | Claim::Attestation { round, .. } => self.round(round),
        }
    }

    /// Every claim of a round that stands.
    pub fn claims(&self, seen: &Seen) -> Vec<Claim> {
        let round = seen.index();
        let mut claims: Vec<Claim> =
            seen.segments.iter().map(|stands| Claim::Segment { round, place: stands.place }).collect();
        for place in 0..seen.round.auditor_count {
            claims.push(Claim::Vote { round, place });
        }
        claims.extend(seen.runs.iter().map(|stands| Claim::Run { round, place: stands.place }));
        for stands in &seen.segments {
            let place = stands.place;
            let shown = (0..seen.round.auditor_count).filter(|auditor| stands.state.shown & bit(*auditor) != 0);
            claims.extend(shown.map(|auditor| Claim::Attestation { round, place, auditor }));
        }
        claims
    }

    /// What is claimed, as text; none where nothing is.
    pub fn claimed(&self, claim: Claim) -> Option<String> {
        let seen = self.round_of(claim);
        let root = match claim {
            Claim::Genesis => self.job.spec.genesis_root,
            Claim::Segment { place, .. } => {
                return seen?
                    .segment(place)
                    .map(|stands| (&stands.state.claim.end_root, &stands.state.claim.accumulator_root))
                    .map(digest);
            }
            Claim::Run { place, .. } => {
                return seen?
                    .run(place)
                    .map(|stands| (&stands.state.claim.end_root, &stands.state.claim.accumulator_root))
                    .map(digest);
            }
            Claim::Vote { place, .. } => seen?.round.auditors.get(usize::from(place))?.vote,
            Claim::Attestation { place, auditor, .. } => {
                *seen?.segment(place)?.state.attestations.get(usize::from(auditor))?
            }
        };
        (root != [0; 32]).then(|| hex(&root))
    }

    /// Whether the time to accuse a claim is not over.
    pub fn is_open(&self, claim: Claim) -> bool {
        let Some(seen) = self.round_of(claim) else {
            return claim == Claim::Genesis && (self.job.genesis_bond > 0 || self.job.escrow.bounty > 0);
        };
        match claim {
            Claim::Genesis => false,
            Claim::Segment { place, .. } => {
                seen.segment(place).is_some_and(|stands| seen.is_segment_open(stands, self.slot))
            }
            Claim::Run { .. } => seen.is_accusable(CaseKind::Score, self.slot),
            Claim::Vote { .. } => seen.is_accusable(CaseKind::Aggregate, self.slot) && self.claimed(claim).is_some(),
            Claim::Attestation { place, auditor, .. } => {
                seen.is_accusable(CaseKind::Attestation, self.slot)
                    && seen.segment(place).is_some_and(|stands| stands.state.shown & bit(auditor) != 0)
            }
        }
    }

    /// Whether an auditor has lost the slice that answers for the claim, and nothing else hangs on it. Each round has slices of its own, one for the
    /// vote and one for all attestations: a conviction of another claim takes none of them.
    pub fn is_spent(&self, claim: Claim) -> bool {
        let (Claim::Vote { place, .. } | Claim::Attestation { auditor: place, .. }) = claim else { return false };
        let Some(seen) = self.round_of(claim) else { return false };
        let Some(seat) = seen.round.auditors.get(usize::from(place)) else { return false };
        let is_gone = match claim {
            Claim::Vote { .. } => seat.vote_slice == 0 && seat.vote != seen.round.next_base,
            _ => seat.attestation_slice == 0,
        };
        is_gone && seen.round.excluded_auditors(&self.job) & bit(place) != 0
    }

    /// The bounties that nobody can take over any more.
    pub fn due_bounties(&self) -> Vec<DueBounty> {
        let mut due = Vec::new();
        let mut note = |holder: Address, part, claimed: sip_protocol::Result<([u8; 32], u64)>| {
            let due_bounty =
                |(whose, base_units)| DueBounty { holder, part, whose: Address::new_from_array(whose), base_units };
            due.extend(claimed.map(due_bounty));
        };
        for seen in &self.rounds {
            for stands in &seen.segments {
                note(stands.address, None, stands.state.clone().claim_bounty(self.slot));
            }
            for stands in &seen.runs {
                note(stands.address, None, stands.state.clone().claim_bounty(self.slot));
            }
        }
        for seen in &self.rounds {
            let mut round = seen.round.clone();
            for place in 0..round.auditors.len() as u8 {
                for case in [CaseKind::Aggregate, CaseKind::Attestation] {
                    note(seen.address, Some((place, case)), round.claim_bounty(place, case, self.slot));
                }
            }
        }
        note(self.address, None, self.job.clone().claim_bounty(self.slot));
        due
    }

    /// Whether a round can be closed: by the very rules of the program, on a copy.
    pub fn is_closable(&self, seen: &Seen) -> bool {
        let (mut round, mut job) = (seen.round.clone(), self.job.clone());
        let Ok(mut closing) = Closing::begin(seen.address.as_array(), &mut round, &mut job, self.slot) else {
            return false;
        };
        let all = seen.segments.iter().all(|stands| {
            let mut copy = stands.state.clone();
            closing.segment::<HostSha256>(stands.address.as_array(), &mut copy).is_ok()
        });
        all && closing.finish::<HostSha256>().is_ok()
    }

    /// Whether a round can be tallied, by the program's own rule.
    pub fn is_tallyable(&self, seen: &Seen) -> bool {
        let (mut round, mut job) = (seen.round.clone(), self.job.clone());
        evaluation::tally(&mut round, &mut job, self.slot).is_ok()
    }
}

/// Whether scores can still be committed in a round that waits for them: until half of its evaluation, or all have.
pub fn commits_scores(round: &Round, slot: u64) -> bool {
    slot < round.score_deadline_slot && round.awaited_evaluators & !round.committed_scores != 0
}

/// What a segment or a scoring run claims, as text.
fn digest((end_root, accumulator_root): (&[u8; 32], &[u8; 32])) -> String {
    hex(end_root) + &hex(accumulator_root)
}

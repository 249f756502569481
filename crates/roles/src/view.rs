//! The chain as it stands: a job, its rounds that are not over, and what was committed in them.

use sip_client::Program;
use sip_proof::HostSha256;
use sip_protocol::admin::config::Config;
use sip_protocol::ground::case::CaseKind;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::audit::Closing;
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::segment::{self, Segment};
use sip_protocol::training::{
    attestation,
    evaluation::{self, ScoringRun},
};
use solana_address::Address;
use solana_instruction::Instruction;

use super::claim::Claim;
use sip_data::hex;

/// A segment, or a scoring run, where it stands.
pub(super) struct Stands<T = Segment> {
    pub address: Address,
    pub place: u8,
    pub state: Box<T>,
}

/// A round with what was committed in it.
pub(super) struct Seen {
    pub address: Address,
    pub round: Box<Round>,
    /// By place.
    pub segments: Vec<Stands<Segment>>,
    /// Scoring runs that were revealed, by place.
    pub runs: Vec<Stands<ScoringRun>>,
}

/// A job and its rounds.
pub(super) struct Here {
    /// The job's.
    pub address: Address,
    pub slot: u64,
    pub config: Box<Config>,
    pub job: Box<Job>,
    /// The pools of the auditors of the job and of all these rounds.
    pub auditors: Vec<(Address, Box<Pool>)>,
    /// In order; those that nothing is left to do about are left out.
    pub rounds: Vec<Seen>,
}

impl Seen {
    pub(super) fn index(&self) -> u32 {
        self.round.index
    }

    pub(super) fn segment(&self, place: u8) -> Option<&Stands<Segment>> {
        self.segments.iter().find(|stands| stands.place == place)
    }

    pub(super) fn run(&self, place: u8) -> Option<&Stands<ScoringRun>> {
        self.runs.iter().find(|stands| stands.place == place)
    }

    /// The addresses of the accepted segments in order of place.
    pub(super) fn accepted(&self) -> Vec<Address> {
        let is_accepted = |stands: &&Stands<Segment>| self.round.accepted & bit(stands.place) != 0;
        self.segments.iter().filter(is_accepted).map(|stands| stands.address).collect()
    }

    /// Whether an accusation of its claims of a kind can be committed in this slot.
    pub(super) fn is_accusable(&self, kind: CaseKind, slot: u64) -> bool {
        self.round.require_disputable().is_ok() && slot <= self.round.accusable_until(kind)
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_over(&self) -> bool {
        self.round.status == round::FINAL || self.round.status == round::VOID
    }

    /// Whether an auditor has revealed its draw.
    pub(super) fn has_revealed(&self, auditor: u8) -> bool {
        self.round.auditors.get(usize::from(auditor)).is_some_and(|seat| seat.revealed != 0)
    }
}

/// A bounty that nobody can take over any more.
pub(super) struct DueBounty {
    /// The account in which it waits.
    pub(super) holder: Address,
    /// Of a round: whose claim, and which.
    part: Option<(u8, CaseKind)>,
    /// Whose it is.
    pub(super) whose: Address,
    /// How much, base units.
    pub(super) base_units: u64,
}

impl DueBounty {
    /// The instruction that pays it.
    pub(super) fn payment(&self, program: &Program) -> Instruction {
        match self.part {
            Some((place, case)) => program.claim_auditors_bounty(&self.holder, place, case, &self.whose),
            None => program.claim_bounty(&self.holder, &self.whose),
        }
    }
}

impl Here {
    /// The job's datasets by domain.
    pub(super) fn datasets(&self) -> Vec<Address> {
        let count = usize::from(self.job.spec.domain_count);
        self.job.datasets.iter().take(count).copied().map(Address::new_from_array).collect()
    }

    /// An auditor's pool.
    pub(super) fn auditor(&self, pool: &Address) -> Option<&(Address, Box<Pool>)> {
        self.auditors.iter().find(|(address, _)| address == pool)
    }

    pub(super) fn round(&self, index: u32) -> Option<&Seen> {
        self.rounds.iter().find(|seen| seen.index() == index)
    }

    /// Whether somebody was convicted of a segment, as far as the rounds tell that are not over.
    pub(super) fn has_convicted(&self, operator: &[u8; 32]) -> bool {
        let mut segments = self.rounds.iter().flat_map(|seen| &seen.segments).map(|stands| &stands.state);
        segments.any(|segment| segment.status == segment::CONVICTED && segment.operator == *operator)
    }

    /// The leaf of a segment that an auditor attests, if one of its draws selects it.
    pub(super) fn leaf(&self, seen: &Seen, stands: &Stands, auditor: u8) -> u32 {
        attestation::leaf::<HostSha256>(&seen.round, &stands.state, auditor, self.job.spec.leaf_count())
    }

    /// The round of a claim.
    pub(super) fn round_of(&self, claim: Claim) -> Option<&Seen> {
        match claim {
            Claim::Genesis => None,
            Claim::Segment { round, .. }
            | Claim::Run { round, .. }
            | Claim::Vote { round, .. }
            | Claim::Attestation { round, .. } => self.round(round),
        }
    }

    /// Every claim of a round that stands.
    pub(super) fn claims(&self, seen: &Seen) -> Vec<Claim> {
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
    pub(super) fn claimed(&self, claim: Claim) -> Option<String> {
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
    pub(super) fn is_open(&self, claim: Claim) -> bool {
        let Some(seen) = self.round_of(claim) else {
            return claim == Claim::Genesis && (self.job.genesis_bond > 0 || self.job.escrow.bounty > 0);
        };
        match claim {
            Claim::Genesis => false,
            Claim::Segment { .. } => seen.round.require_challengeable(self.slot).is_ok(),
            Claim::Run { .. } => seen.is_accusable(CaseKind::Score, self.slot),
            Claim::Vote { .. } => seen.is_accusable(CaseKind::Aggregate, self.slot) && self.claimed(claim).is_some(),
            Claim::Attestation { place, auditor, .. } => {
                seen.is_accusable(CaseKind::Attestation, self.slot)
                    && seen.segment(place).is_some_and(|stands| stands.state.shown & bit(auditor) != 0)
            }
        }
    }

    /// Whether the maker of the claim has lost all that it can lose in the job, and nothing else hangs on the claim.
    pub(super) fn is_spent(&self, claim: Claim) -> bool {
        match (claim, self.round_of(claim)) {
            (Claim::Vote { place, .. }, Some(seen)) => {
                let makes_base =
                    seen.round.auditors.get(usize::from(place)).is_some_and(|seat| seat.vote == seen.round.next_base);
                seen.round.excluded_auditors(&self.job) & bit(place) != 0 && !makes_base
            }
            (Claim::Attestation { auditor, .. }, Some(seen)) => {
                seen.round.excluded_auditors(&self.job) & bit(auditor) != 0
            }
            _ => false,
        }
    }

    /// The bounties that nobody can take over any more.
    pub(super) fn due_bounties(&self) -> Vec<DueBounty> {
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
    pub(super) fn is_closable(&self, seen: &Seen) -> bool {
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
    pub(super) fn is_tallyable(&self, seen: &Seen) -> bool {
        let (mut round, mut job) = (seen.round.clone(), self.job.clone());
        evaluation::tally(&mut round, &mut job, self.slot).is_ok()
    }
}

/// What a segment or a scoring run claims, as text.
fn digest((end_root, accumulator_root): (&[u8; 32], &[u8; 32])) -> String {
    hex(end_root) + &hex(accumulator_root)
}

/// What an auditor attests a segment with.
pub(super) fn commitment(pool: &Address, segment: &Address, salt: &[u8; 32], trace_root: &[u8; 32]) -> [u8; 32] {
    attestation::Shown { salt, trace_root }.commitment::<HostSha256>(pool.as_array(), segment.as_array())
}

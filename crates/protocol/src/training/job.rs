//! A training job: what is computed (by commitment), on which domains, by whom, and how far it is.
//!
//! Invariants: the round index grows by one with every round opened; `base_root` changes only when a round is aggregated, and goes back
//! when it is undone. Who holds its places: [`crate::training::seats`].

use bytemuck::{Pod, Zeroable};
use sip_arith::int::{self, Rounding};
use sip_proof::{MAX_STEPS_PER_LEAF, sampler::HeldOut};

use crate::{
    Address, Error, Header, Result, account,
    admin::{config::Parameters, penalties::most_for_vain_demand},
    ground::layout::layout,
    ground::{
        escrow::{Escrow, REVEAL_SLOTS},
        offence::Offence,
    },
    stake::pool::PoolKind,
    training::{
        data::Dataset,
        finality::{Chain, MAX_LOOKAHEAD},
        mixture,
        quality::Fit,
        seats::{PLACES, Seat},
        setting::{self, MAX_SETTINGS, Setting},
    },
};

/// Most trainers of a job.
pub const MAX_TRAINERS: usize = PLACES;
/// Most auditors of a job.
pub const MAX_AUDITORS: usize = PLACES;
/// Most evaluators of a job.
pub const MAX_EVALUATORS: usize = PLACES;
/// Most domains of a job.
pub const MAX_DOMAINS: usize = 8;

/// Most bytes of a manifest.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 27;

/// Most bonds that one accusation takes, however many are open in the job.
pub const MAX_BONDS: u64 = 16;

/// Others' unpaid work is at most so many times what it costs the one who has it undone: see [`JobSpec`].
pub const SABOTAGE_RATIO: u64 = 2;

layout! {
    /// What a creator fixes for good.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct JobSpec {
        /// sha256 Merkle root over the step graph's nodes.
        pub nodes_root: [u8; 32],
        /// sha256 Merkle root over which node gives which state entry.
        pub outputs_root: [u8; 32],
        /// sha256 Merkle root over the committed tables.
        pub tables_root: [u8; 32],
        /// State root of the model before the first round.
        pub genesis_root: [u8; 32],
        /// Seed of the first round.
        pub seed: [u8; 32],
        /// Nodes of the step graph.
        pub node_count: u32,
        /// State entries.
        pub state_count: u32,
        /// Tables.
        pub table_count: u32,
        /// Steps of one segment.
        pub inner_steps: u32,
        /// Steps from one leaf to the next.
        pub leaf_interval: u32,
        /// Sequences of one step.
        pub batch: u32,
        /// Tokens of one sequence.
        pub sequence_length: u32,
        /// Scored rounds after which the job is finished.
        pub rounds: u32,
        /// Chance of an auditor to draw a segment, of 2³².
        pub audit_rate: u32,
        /// Domains, 1 to [`MAX_DOMAINS`].
        pub domain_count: u8,
        /// Most rounds that hang on what is not final, those that came to nothing on it and the one that runs included: 1 to [`MAX_LOOKAHEAD`]. An
        /// operator's own bond covers that number of them.
        pub lookahead: u8,
        /// A [`mixture::Mode`]: how the mixture follows stake.
        pub mixture_mode: u8,
        /// Always 0.
        pub reserved: u8,
        /// Least part of a domain in the mixture.
        pub mixture_floor_bps: u16,
        /// Greatest part of a domain in the mixture.
        pub mixture_cap_bps: u16,
        /// Slots of each phase: commitments of segments.
        pub commit_slots: u32,
        /// Slots of the audit: draws, replays, attestations.
        pub audit_slots: u32,
        /// Slots of the vote on the aggregate.
        pub vote_slots: u32,
        /// Slots for committing scores, and again for revealing them.
        pub evaluation_slots: u32,
        /// Slots from the closing of a round in which its segments can be accused, if more than `audit_slots`.
        pub challenge_slots: u32,
        /// sha256 Merkle root over the nodes of the scoring run's step graph; its tables are the job's.
        pub score_nodes_root: [u8; 32],
        /// sha256 Merkle root over which node gives the one entry of the scoring run's state.
        pub score_outputs_root: [u8; 32],
        /// Nodes of the scoring run's step graph.
        pub score_node_count: u32,
        /// Held-out windows of each domain that a score is the mean of: a multiple of `score_rows`.
        pub score_windows: u32,
        /// Windows of one step of the scoring run.
        pub score_rows: u32,
        /// Steps of the scoring run from one leaf to the next.
        pub score_leaf_interval: u32,
        /// sha256 Merkle root over the graphs that average 1 to 16 states: see [`sip_proof::GraphRoots::aggregate_leaf`].
        pub aggregates_root: [u8; 32],
        /// sha256 Merkle root over the nodes of the graph whose outcome is the genesis state; zero if that is an import.
        pub init_nodes_root: [u8; 32],
        /// sha256 Merkle root over which of its nodes gives which state entry; zero if the genesis state is an import.
        pub init_outputs_root: [u8; 32],
        /// Its nodes; 0 if the genesis state is an import, which nobody can dispute.
        pub init_node_count: u32,
        /// Chance of an auditor to draw, before the round is final, a segment that its first draw passed by, of 2³²; 0 for no second draw.
        pub second_audit_rate: u32,
        // Compressed updates: all of these, or none. See [`JobSpec::is_compressed`].
        /// sha256 Merkle root over two graphs, leaves as of [`sip_proof::GraphRoots::aggregate_leaf`]: the start graph, which gives the state
        /// that a segment starts from and reads the round's base, then the trainer's previous update; the update graph, which gives a segment's
        /// update and reads the previous update, then the segment's start state, then its end state.
        pub update_graphs_root: [u8; 32],
        /// Root of the update that stands for the previous one of a trainer who has none that was applied.
        pub reset_update_root: [u8; 32],
        /// Entries of an update; 0 if segments hand over their end states.
        pub update_entries: u32,
        /// Entries of a round's base; 0 if that is a whole state.
        pub base_entries: u32,
        /// What patrons steer beside the mixture; those that exist come first.
        pub settings: [Setting; MAX_SETTINGS],
        /// Slice of an operator's own bond behind each segment, vote and scoring run, base units: what its conviction takes. At least the
        /// parameters' `minimum_self_bond`.
        pub slice: u64,
        /// Most that one round draws for all roles, base units; at most the parameters' `round_reward`, and no more than the slice bears.
        pub round_reward: u64,
    }
}

/// What a conviction does that undoes some rounds, base units.
struct Sabotage {
    /// Rounds that it undoes.
    undone: u64,
    /// What each of them has of the compensation.
    part: u64,
    /// What the convicted loses, a friend's bounty apart.
    lost: u64,
    /// What is charged for having attested what was convicted.
    charged: u64,
    /// Of the part of a round that runs, what reaches its auditors.
    to_auditors: u64,
}

impl Sabotage {
    /// Checks that, however many of the rounds a coalition worked alone, others' loss is at most [`SABOTAGE_RATIO`] times its own. Auditors of
    /// others may have attested what was convicted in any case: they draw in every round, its own too.
    fn check(&self, reward: u64) -> Result<()> {
        let others_loss = int::sub(reward, self.part)?;
        let (mut unpaid, mut most) = (int::mul(self.undone, others_loss)?, int::mul(self.lost, SABOTAGE_RATIO)?);
        let back = int::mul(self.part, SABOTAGE_RATIO)?;
        // The last round may be one that runs: it was not scored, and a compensation reaches its auditors only.
        let beside = int::add(int::sub(self.part, self.to_auditors)?, self.charged)?;
        for _ in 0..self.undone {
            if int::add(unpaid, beside)? > most {
                return Err(Error::WrongSlice);
            }
            // One more that it worked alone.
            (unpaid, most) = (int::sub(unpaid, others_loss)?, int::sub(most, back)?);
        }
        if self.charged > most { Err(Error::WrongSlice) } else { Ok(()) }
    }
}

impl JobSpec {
    /// Whether segments hand over updates: each starts from the round's base and its trainer's previous update, and ends with a new
    /// one, which is all that others read of it. Otherwise each starts from the base itself, and hands over its end state.
    pub const fn is_compressed(&self) -> bool {
        self.update_entries != 0
    }

    /// Entries of a round's base.
    pub const fn entries_of_base(&self) -> u32 {
        if self.is_compressed() { self.base_entries } else { self.state_count }
    }

    /// Entries of what a segment hands over: its update, or its end state.
    pub const fn entries_of_result(&self) -> u32 {
        if self.is_compressed() { self.update_entries } else { self.state_count }
    }

    /// Checks that what belongs to compressed updates is there, or none of it.
    fn check_updates(&self) -> Result<()> {
        let roots = [&self.update_graphs_root, &self.reset_update_root];
        let counts = [self.update_entries, self.base_entries];
        let is_compressed = self.is_compressed();
        let is_whole = roots.iter().all(|root| (**root != [0; 32]) == is_compressed)
            && counts.iter().all(|count| (*count != 0) == is_compressed && *count <= 1 << 24);
        if is_whole { Ok(()) } else { Err(Error::WrongJobShape) }
    }

    /// Slots from the closing of a round in which its segments can be accused: `challenge_slots`, and an audit's length at least.
    pub const fn window_slots(&self) -> u32 {
        if self.challenge_slots > self.audit_slots { self.challenge_slots } else { self.audit_slots }
    }

    /// How long a claim of the job can still cost its operator, in slots from when it was made: the phases until it cannot be accused any
    /// more, the time to open the last accusation, and the longest dispute. Unbonding takes longer.
    pub fn exposure_slots(&self, parameters: &Parameters) -> u64 {
        let [commit, audit, vote, evaluation, window] =
            [self.commit_slots, self.audit_slots, self.vote_slots, self.evaluation_slots, self.window_slots()]
                .map(u64::from);
        let segment = commit + audit + window.max(vote + audit);
        // An attestation is made when the audit begins, and can be accused as long as those of the second draw.
        let again = if self.second_audit_rate == 0 { 0 } else { audit };
        let attestation = audit + vote + audit + again;
        // Where scores differ, the tally is a third time later than the commitments and reveals.
        let run = evaluation + evaluation + evaluation + audit;
        segment.max(attestation).max(run) + REVEAL_SLOTS + self.longest_dispute_slots(parameters)
    }

    /// What a segment's conviction costs all together who attested it, at most: [`SABOTAGE_RATIO`] times what nobody gets back of the slice behind
    /// it, whether its trainer concedes it or withholds its state. A bounty and a part of the fee may be a friend's, and all of the compensation
    /// a coalition's that works the round alone.
    fn attesting_charges(&self, parameters: &Parameters) -> Result<u64> {
        let penalties = &parameters.penalties;
        let withheld = most_for_vain_demand(parameters.dispute_bond)?;
        let mut gone = u64::MAX;
        for (offence, to_asker) in [(Offence::ConvictedSegment, 0), (Offence::UnavailableState, withheld)] {
            let slashed = penalties.part_of_bond(offence, self.slice)?.saturating_sub(to_asker);
            gone = gone.min(penalties.gone(slashed)?);
        }
        Ok(int::mul(gone, SABOTAGE_RATIO)?)
    }

    /// Checks that nobody undoes others' work for little: what a conviction costs others, at most the rewards of all rounds that may be
    /// undone less their parts of the compensation, and what is charged for having attested a segment, is at most [`SABOTAGE_RATIO`] times what the one who
    /// lets itself be convicted loses, a friend's bounty, a friend's part of the fee for a withheld state, and the compensation of rounds that it worked alone with its
    /// friends being no loss.
    fn check_sabotage(&self, parameters: &Parameters) -> Result<()> {
        let penalties = &parameters.penalties;
        let row = penalties.of(Offence::MisattestedSegment).flat;
        let charges = int::mul(row, MAX_AUDITORS as u64)?.min(self.attesting_charges(parameters)?);
        let undoing = [
            (Offence::ConvictedSegment, 0, charges),
            (Offence::ConvictedVote, 0, 0),
            (Offence::ConvictedRun, 0, 0),
            (Offence::UnavailableState, most_for_vain_demand(parameters.dispute_bond)?, charges),
        ];
        let of_segment = penalties.part_of_bond(Offence::ConvictedSegment, self.slice)?;
        for (offence, to_asker, charged) in undoing {
            let slashed = penalties.part_of_bond(offence, self.slice)?.saturating_sub(to_asker);
            // The same, without charges, is no worse.
            if charged == 0 && charges != 0 && slashed == of_segment {
                continue;
            }
            let lost = int::sub(slashed, penalties.bounty(slashed)?)?;
            let kept = penalties.compensation(slashed)?;
            for undone in 1..=self.lookahead as u64 {
                let part = (kept / undone).min(self.round_reward);
                let to_auditors = int::bps(part, parameters.auditors_bps, Rounding::Down)?;
                let sabotage = Sabotage { undone, part, lost, charged, to_auditors };
                sabotage.check(self.round_reward)?;
            }
        }
        Ok(())
    }

    /// Checks all sizes.
    pub fn check(&self) -> Result<()> {
        if self.domain_count == 0 || self.domain_count as usize > MAX_DOMAINS {
            return Err(Error::TooManyDomains);
        }
        let positive = [
            self.node_count,
            self.state_count,
            self.inner_steps,
            self.leaf_interval,
            self.batch,
            self.sequence_length,
            self.rounds,
            self.commit_slots,
            self.audit_slots,
            self.vote_slots,
            self.evaluation_slots,
            self.challenge_slots,
            self.score_node_count,
            self.score_leaf_interval,
        ];
        let score_steps = self.held_out().steps(self.domain_count as u32).ok_or(Error::WrongJobShape)?;
        if positive.contains(&0)
            || self.leaf_interval > self.inner_steps
            || self.leaf_interval > MAX_STEPS_PER_LEAF
            || self.inner_steps > 1 << 20
            || self.node_count > 1 << 24
            || self.score_leaf_interval > score_steps
            || self.score_leaf_interval > MAX_STEPS_PER_LEAF
            || score_steps > 1 << 20
            || self.score_node_count > 1 << 24
            || self.init_node_count > 1 << 24
            || (self.init_node_count == 0 && (self.init_nodes_root != [0; 32] || self.init_outputs_root != [0; 32]))
            || self.lookahead == 0
            || self.lookahead as usize > MAX_LOOKAHEAD
            || self.reserved != 0
        {
            return Err(Error::WrongJobShape);
        }
        self.check_updates()?;
        setting::check(&self.settings)?;
        mixture::Mode::from_byte(self.mixture_mode)?;
        mixture::check_bounds(self.domain_count as usize, self.mixture_floor_bps, self.mixture_cap_bps)
    }

    /// The mixture of the domains' stake, base units.
    pub fn mixture(&self, weights: &[u64]) -> Result<[u16; MAX_DOMAINS]> {
        let mode = mixture::Mode::from_byte(self.mixture_mode)?;
        mixture::fill_by(mode, weights, [self.mixture_floor_bps, self.mixture_cap_bps])
    }

    /// The windows on which every base of the job is scored.
    pub const fn held_out(&self) -> HeldOut {
        HeldOut { windows: self.score_windows, rows: self.score_rows }
    }

    /// Steps of a scoring run; 0 for sizes that [`JobSpec::check`] refuses.
    pub const fn score_steps(&self) -> u32 {
        match self.held_out().steps(self.domain_count as u32) {
            Some(steps) => steps,
            None => 0,
        }
    }

    /// Step leaves of a scoring run.
    pub const fn score_leaf_count(&self) -> u32 {
        if self.score_leaf_interval == 0 { 0 } else { self.score_steps().div_ceil(self.score_leaf_interval) }
    }

    /// Step leaves of one segment: every `leaf_interval` steps, and the last step.
    pub const fn leaf_count(&self) -> u32 {
        self.inner_steps.div_ceil(self.leaf_interval)
    }
}

layout! {
    /// What a stranger needs to know of a job beside its account: which file holds all that it computes with, and which programs can follow it.
    ///
    /// The manifest proves itself, since the job's roots follow from it. So peers need not be trusted who serve it, nor the creator who names it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Card {
        /// BLAKE3 of the manifest's bytes.
        pub manifest_root: [u8; 32],
        /// Their number, 1 to [`MAX_MANIFEST_BYTES`].
        pub manifest_bytes: u64,
        /// The least [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION) with which a program follows the job.
        pub least_protocol: u32,
        /// Always 0.
        pub reserved: [u8; 4],
    }
}

impl Card {
    /// The card of a manifest that this version can follow.
    pub const fn new(manifest_root: [u8; 32], manifest_bytes: u64) -> Card {
        Card { manifest_root, manifest_bytes, least_protocol: crate::PROTOCOL_VERSION, reserved: [0; 4] }
    }

    /// Whether a program of this version can follow the job.
    pub const fn is_followed_by(&self, version: u32) -> bool {
        self.least_protocol <= version
    }

    /// Checks that it names a manifest.
    fn check(&self) -> Result<()> {
        let is_sized = self.manifest_bytes != 0 && self.manifest_bytes <= MAX_MANIFEST_BYTES;
        let is_whole = self.manifest_root != [0; 32] && self.least_protocol != 0 && self.reserved == [0; 4];
        if is_sized && is_whole { Ok(()) } else { Err(Error::WrongCard) }
    }
}

layout! {
    /// What is trained, by whom, and how far it is.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct Job {
        /// Kind, version, bump.
        pub header: Header,
        /// The wallet that created it.
        pub creator: Address,
        /// What the creator fixed.
        pub spec: JobSpec,
        /// Last seed of the address.
        pub nonce: u32,
        /// Rounds opened so far: the index of the next round.
        pub next_round: u32,
        /// Rounds scored so far, without those undone.
        pub rounds_scored: u32,
        /// Whether a round runs: 1, else 0.
        pub round_live: u8,
        /// Whether its rounds pay from the operators' bucket: 1 if the configuration's authority created it, else 0.
        pub rewarded: u8,
        /// Always 0.
        pub reserved: [u8; 4],
        /// Trainers by place of the round opened last that were convicted since.
        pub struck_trainers: u16,
        /// State root that the next round starts from.
        pub base_root: [u8; 32],
        /// Seed of the next round ([`Round::following_seed`](crate::training::round::Round::following_seed)), at first the job's seed.
        pub next_seed: [u8; 32],
        /// Score per domain of the last scored round, micro-nats per token.
        pub last_scores: [u32; MAX_DOMAINS],
        /// Mixture-weighted score of the last scored round, micro-nats per token.
        pub last_score: u32,
        /// What it remembers of its curve, against which the next improvement is judged.
        pub fit: Fit,
        /// Dataset accounts by domain.
        pub datasets: [Address; MAX_DOMAINS],
        /// What the creator put up for the genesis state, base units; 0 once it was taken or returned.
        pub genesis_bond: u64,
        /// When the job was created.
        pub created_slot: u64,
        /// Auditors by place of the round opened last that were convicted since.
        pub struck_auditors: u16,
        /// Disputes open on the genesis state.
        pub genesis_disputes: u16,
        /// Whether the genesis state was convicted, which closes the job for good: 1, else 0.
        pub closed: u8,
        /// Always 0.
        pub end_reserved: [u8; 3],
        /// The rounds that the next one builds on.
        pub chain: Chain,
        /// What the work of one trainer was worth in the last round that was worth anything, base units, whatever a round may draw at most: what
        /// the next round can expect of each that it awaits.
        pub trainer_worth: u64,
        /// The bounty of a convicted genesis state.
        pub escrow: Escrow,
        /// What came out of the final rounds, one after the other: see [`history`](crate::training::closing::history).
        pub history: [u8; 32],
        /// The same with the scored rounds after them, which may still be undone.
        pub head_history: [u8; 32],
        /// The configuration's parameters when the job was created: what they say of its claims holds until the last of them is final.
        pub parameters: Parameters,
        /// Trainers by place.
        pub trainers: [Seat; MAX_TRAINERS],
        /// Auditors by place.
        pub auditors: [Seat; MAX_AUDITORS],
        /// Evaluators by place.
        pub evaluators: [Seat; MAX_EVALUATORS],
        /// Accusations of claims of the job that are committed and neither taken back, ended nor decided.
        pub open_accusations: u64,
        /// How long who has a place answers with its bond: for a claim as long as it can be convicted ([`JobSpec::exposure_slots`]), and for an absence
        /// until the pay of the longest round, which may have been opened just before it left.
        pub exposure_slots: u64,
        /// Where what it computes with is found; all zeros until its creator has said so.
        pub card: Card,
    }
}

account!(Job, Job, 3992 + size_of::<Parameters>(), liabilities: |job| Ok(int::add(job.genesis_bond, job.escrow.bounty)?));

impl Job {
    /// A new job at its genesis. The caller has checked the datasets' accounts.
    ///
    /// Refuses a job whose segments could be convicted after stake that backed them has left.
    #[inline(always)]
    pub fn initialise(
        &mut self,
        creator: &Address,
        nonce: u32,
        spec: &JobSpec,
        rewarded: bool,
        parameters: &Parameters,
        slot: u64,
    ) -> Result<()> {
        spec.check()?;
        self.exposure_slots = spec.exposure_slots(parameters).max(spec.longest_round_slots(parameters));
        if self.exposure_slots >= parameters.unbonding_slots {
            return Err(Error::UnbondingTooShort);
        }
        if spec.slice < parameters.minimum_self_bond || spec.round_reward > parameters.round_reward {
            return Err(Error::WrongSlice);
        }
        if rewarded {
            spec.check_sabotage(parameters)?;
        }
        self.creator = *creator;
        self.nonce = nonce;
        self.spec = *spec;
        self.rewarded = rewarded as u8;
        self.genesis_bond = if spec.init_node_count > 0 { parameters.genesis_bond } else { 0 };
        self.created_slot = slot;
        self.parameters = *parameters;
        self.base_root = spec.genesis_root;
        self.next_seed = spec.seed;
        self.chain = Chain::GENESIS;
        Ok(())
    }

    /// Its creator says, once and for all, where what it computes with is found.
    pub fn describe(&mut self, creator: &Address, card: &Card) -> Result<()> {
        if self.creator != *creator {
            return Err(Error::NotAuthority);
        }
        if self.card != Card::default() {
            return Err(Error::AlreadyDescribed);
        }
        card.check()?;
        self.card = *card;
        Ok(())
    }

    /// Checks that it was described: nobody takes a place of a job that no stranger could compute.
    pub fn require_described(&self) -> Result<()> {
        if self.card.manifest_bytes == 0 { Err(Error::NotDescribed) } else { Ok(()) }
    }

    /// Sets the dataset of a domain; one text stands for one domain, with one provider, and holds at least one row of a batch, for training and
    /// held out: a row that there is not could be neither computed with nor disputed. `texts` gathers the roots by domain.
    pub fn set_dataset(
        &mut self,
        domain: usize,
        address: &Address,
        dataset: &Dataset,
        texts: &mut [[u8; 32]; MAX_DOMAINS],
    ) -> Result<()> {
        if domain >= self.spec.domain_count as usize {
            return Err(Error::TooManyDomains);
        }
        if texts[..domain].contains(&dataset.train_root) {
            return Err(Error::DuplicateDomain);
        }
        if dataset.train_tokens.min(dataset.held_out_tokens) <= self.spec.sequence_length as u64 {
            return Err(Error::DatasetTooShort);
        }
        texts[domain] = dataset.train_root;
        self.datasets[domain] = *address;
        Ok(())
    }

    /// Returns the genesis bond to its creator, an unbonding time after the job was created and as much later as an accusation may wait: a
    /// genesis state that nobody disputed until then stands.
    pub fn reclaim_genesis_bond(&mut self, slot: u64) -> Result<u64> {
        if self.genesis_disputes != 0 || slot <= self.genesis_disputable_until(self.parameters.unbonding_slots) {
            return Err(Error::BondLocked);
        }
        if self.genesis_bond == 0 {
            return Err(Error::NothingToClaim);
        }
        Ok(core::mem::take(&mut self.genesis_bond))
    }

    /// The bond of the next accusation in the job: one more `dispute_bond` for each that is open, [`MAX_BONDS`] at most. Who would delay
    /// verdicts by many accusations pays for it, and nobody can make one unaffordable.
    pub fn accusation_bond(&self, dispute_bond: u64) -> Result<u64> {
        Ok(int::mul(dispute_bond, self.open_accusations.saturating_add(1).min(MAX_BONDS))?)
    }

    /// One more accusation is open in the job.
    pub(crate) fn open_accusation(&mut self) -> Result<()> {
        self.open_accusations = int::add(self.open_accusations, 1)?;
        Ok(())
    }

    /// One accusation less is open in the job.
    pub(crate) fn close_accusation(&mut self) -> Result<()> {
        self.open_accusations = int::sub(self.open_accusations, 1)?;
        Ok(())
    }

    /// Takes the bounty of its genesis state: see [`Escrow::claim`].
    pub fn claim_bounty(&mut self, slot: u64) -> Result<(Address, u64)> {
        self.escrow.claim(self.genesis_disputes != 0, slot)
    }

    /// What an operator of a role puts up for one round: a slice, and an auditor the least own bond beside it for its attestations.
    pub fn round_bond(&self, kind: PoolKind) -> Result<u64> {
        let attestations = if kind as u8 == PoolKind::Auditor as u8 { self.parameters.minimum_self_bond } else { 0 };
        Ok(int::add(self.spec.slice, attestations)?)
    }

    /// What an auditor is charged for each segment that it attested and that was convicted, where so many auditors are awaited, base
    /// units: the row, and no more than twice what nobody gets back of the trainer's slice, divided by them all. So a coalition of a trainer that lets
    /// a true segment of its own be convicted costs its auditors at most twice what it loses itself with all its friends.
    pub fn misattested_segment(&self, awaited_auditors: u16) -> Result<u64> {
        let most = self.spec.attesting_charges(&self.parameters)? / awaited_auditors.count_ones().max(1) as u64;
        Ok(self.parameters.penalties.of(Offence::MisattestedSegment).flat.min(most))
    }

    /// Own bond that a place needs: what one round needs, for each round that the job builds ahead.
    pub fn place_bond(&self, kind: PoolKind) -> Result<u64> {
        Ok(int::mul(self.round_bond(kind)?, self.spec.lookahead as u64)?)
    }
}

/// The bit of a place in a bitmap; 0 for no place.
pub const fn bit(place: u8) -> u16 {
    if place < 16 { 1u16 << place } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::units::TOKEN;

    /// A job of the least sizes.
    fn plain() -> JobSpec {
        JobSpec {
            node_count: 1,
            state_count: 3,
            inner_steps: 1,
            leaf_interval: 1,
            batch: 1,
            sequence_length: 8,
            rounds: 1,
            domain_count: 1,
            lookahead: 1,
            mixture_cap_bps: 10_000,
            commit_slots: 1,
            audit_slots: 1,
            vote_slots: 1,
            evaluation_slots: 1,
            challenge_slots: 1,
            score_node_count: 1,
            score_windows: 1,
            score_rows: 1,
            score_leaf_interval: 1,
            ..JobSpec::default()
        }
    }

    /// What a round may draw at most for a slice of 1,000 tokens, by how far the job builds ahead, in tokens.
    #[test]
    fn nobody_undoes_others_work_worth_more_than_twice_what_it_costs_to_be_convicted() {
        let accepts = |slice: u64, lookahead: u8, tokens: u64| {
            let spec = JobSpec { slice: slice * TOKEN, lookahead, round_reward: tokens * TOKEN, ..plain() };
            spec.check_sabotage(&Parameters::DEFAULT).is_ok()
        };
        // A slice brings 500 to a friend and leaves 450 for the undone, of which silence costs five fees; auditors are charged 99.5.
        for (lookahead, most) in [(1, 962), (2, 481), (3, 320), (4, 240), (8, 120)] {
            assert!(accepts(1_000, lookahead, most), "{lookahead}");
            assert!(!accepts(1_000, lookahead, most + 1), "{lookahead}");
        }
        // The demonstration's job, whose bounty is capped.
        assert!(accepts(8_500, 2, 6_283) && !accepts(8_500, 2, 6_284));
        // The most that a round may draw by default needs more than the least own bond.
        let most = Parameters::DEFAULT.round_reward / TOKEN;
        for (lookahead, slice) in [(1, 7_173), (2, 11_941)] {
            assert!(accepts(slice, lookahead, most) && !accepts(slice - 1, lookahead, most), "{lookahead}");
        }
    }

    #[test]
    fn a_job_has_all_of_compressed_updates_or_none_of_it() {
        let set: [fn(&mut JobSpec, u32); 4] = [
            |spec, value| spec.update_graphs_root = [value as u8; 32],
            |spec, value| spec.reset_update_root = [value as u8; 32],
            |spec, value| spec.update_entries = value,
            |spec, value| spec.base_entries = value,
        ];
        let plain = plain();
        let mut compressed = plain;
        set.iter().for_each(|set| set(&mut compressed, 7));
        assert_eq!((plain.check(), compressed.check()), (Ok(()), Ok(())));
        assert_eq!((plain.entries_of_base(), plain.entries_of_result()), (3, 3));
        compressed.base_entries = 5;
        assert_eq!((compressed.entries_of_base(), compressed.entries_of_result()), (5, 7));
        for set in set {
            let (mut more, mut less) = (plain, compressed);
            set(&mut more, 1);
            set(&mut less, 0);
            assert_eq!((more.check(), less.check()), (Err(Error::WrongJobShape), Err(Error::WrongJobShape)));
        }
        for set in &set[2..] {
            let mut spec = compressed;
            set(&mut spec, 1 << 24);
            assert_eq!(spec.check(), Ok(()));
            set(&mut spec, (1 << 24) + 1);
            assert_eq!(spec.check(), Err(Error::WrongJobShape));
        }
    }
}

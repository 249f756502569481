//! Availability: a demand, on chain, for one chunk of what somebody committed; an opening answers it, silence loses.
//!
//! Of a segment, a chunk of an entry of its end state is demanded, from its trainer, or with compressed updates of its update or of the
//! previous one that it goes on from: a replay needs both, and the round of the previous one may be final by then; of a dataset, a chunk of its tokens, to train on
//! or held out, from its provider. The demand brings a fee, half of it for the answer, half for the insurance. It grows with the number of demands that are
//! open: so asking costs more than answering, and a trainer cannot keep others from asking by asking itself. A trainer that stays
//! silent is convicted, without a bounty: what would be one waits for an accuser ([`crate::ground::escrow::Escrow`]). A provider loses a
//! bounded part of its pool's stake, once for an absence, however many demands it leaves unanswered meanwhile.
//!
//! Invariants: at most [`MAX_OPEN_DEMANDS`] are open on a segment or dataset; only who must answer writes the buffer; a demand ends
//! once, answered or failed; its fee leaves it then.

use bytemuck::{Pod, Zeroable};
use sip_arith::int::{self, Rounding};
use sip_proof::blake3::{CHUNK_BYTES, ChunkOpening, chunk_count, path_len};
use sip_proof::{Sha256, merkle};

use crate::training::{closing::Rest, finality::require};
use crate::{
    Address, Error, Header, Result, account,
    admin::{
        config::{Config, Parameters},
        penalties::{FEE_BPS, most_for_vain_demand},
    },
    court::Verdict,
    ground::layout::layout,
    ground::offence::Slash,
    stake::pool::{Pool, PoolKind},
    training::{
        data::Dataset,
        job::Job,
        round::Round,
        segment::{CONVICTED, Segment},
    },
};

/// Most demands that are open on one segment or dataset: what one can answer within the clock.
pub const MAX_OPEN_DEMANDS: u16 = 64;
/// The part of its fee that a demand costs whose failure charged a provider; it is burned.
pub const FAILED_FEE_BURN_BPS: u16 = 5_000;
/// Most bytes of an answer: two numbers, an entry's root and path, a chunk and its path.
pub const MAX_ANSWER: usize = 8 + 32 + 32 * 32 + CHUNK_BYTES + 31 * 32;

/// The part of a dataset that is trained on, as a demand names it.
pub const TRAINING_TOKENS: u32 = 0;
/// The part that is held out.
pub const HELD_OUT_TOKENS: u32 = 1;

/// Nobody has answered yet.
pub const OPEN: u8 = 1;
/// The chunk lies in the buffer.
pub const ANSWERED: u8 = 2;
/// The clock ran out.
pub const FAILED: u8 = 3;

layout! {
    /// A chunk of a segment's state or of a dataset that somebody demands, and the answer.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct Demand {
        /// Kind, version, bump.
        pub header: Header,
        /// The segment or dataset.
        pub subject: Address,
        /// The pool that stands behind it.
        pub pool: Address,
        /// Wallet that must answer: the pool's operator.
        pub answerer: Address,
        /// Wallet that demands and paid the rent.
        pub demander: Address,
        /// Root of the state or update, or of the part of the dataset.
        pub root: [u8; 32],
        /// Fee for the answer, base units; 0 once it is over.
        pub fee: u64,
        /// When it was made.
        pub opened_slot: u64,
        /// Last slot for an answer.
        pub deadline_slot: u64,
        /// Bytes of the part of a dataset; 0 of a state's entry, whose length the graph knows.
        pub blob_bytes: u64,
        /// Entry of the state or update; of a dataset [`TRAINING_TOKENS`] or [`HELD_OUT_TOKENS`].
        pub entry: u32,
        /// Entries of the state or update; 0 of a dataset.
        pub entry_count: u32,
        /// Which chunk, from 0. Beyond the entry's last one, the last one answers.
        pub chunk: u32,
        /// Where the chunk begins in the buffer, once answered.
        pub chunk_start: u32,
        /// Its bytes, once answered.
        pub chunk_bytes: u32,
        /// Chunks of the blob, once answered.
        pub chunks: u32,
        /// [`OPEN`], [`ANSWERED`] or [`FAILED`].
        pub status: u8,
        /// Always 0.
        pub reserved: [u8; 3],
        /// What silence costs the pool behind a dataset, by the table of when it was demanded; 0 of a state, whose job says it.
        pub unavailable_data: Slash,
        /// The answer.
        pub buffer: [u8; MAX_ANSWER],
    }
}

account!(Demand, Demand, 232 + MAX_ANSWER, liabilities: |demand| Ok(demand.fee));

/// What every demand is made from.
pub struct Asking<'a> {
    /// Address of the segment or dataset.
    pub subject: &'a Address,
    /// Who demands.
    pub demander: &'a Address,
    /// Fee and clock.
    pub parameters: &'a Parameters,
    /// Entry of the state; the part of a dataset. See [`Demand::of_state`].
    pub entry: u32,
    /// Which chunk.
    pub chunk: u32,
    /// The present slot.
    pub slot: u64,
}

/// Bytes of an answer as they arrive.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Who sends them.
    pub sender: &'a Address,
    /// Where they go in the buffer.
    pub offset: u32,
    /// The bytes.
    pub bytes: &'a [u8],
    /// The present slot.
    pub slot: u64,
}

/// One more demand on something; returns how many are open with it.
fn count(open_demands: &mut u16) -> Result<u64> {
    require(*open_demands < MAX_OPEN_DEMANDS, Error::TooManyDemands)?;
    *open_demands += 1;
    Ok(*open_demands as u64)
}

impl Demand {
    fn open(&mut self, asking: &Asking<'_>, pool: &mut Pool, open_demands: u64) -> Result<()> {
        self.subject = *asking.subject;
        self.answerer = pool.scope;
        self.demander = *asking.demander;
        let fee = int::bps(asking.parameters.dispute_bond, FEE_BPS, Rounding::Up)?;
        self.fee = int::mul(fee, open_demands)?;
        self.opened_slot = asking.slot;
        self.deadline_slot = int::add(asking.slot, asking.parameters.clock_slots)?;
        self.entry = asking.entry;
        self.chunk = asking.chunk;
        self.status = OPEN;
        pool.freeze()
    }

    /// Demands a chunk of an entry of what a segment hands over, while the segment can be challenged. With compressed updates the entries
    /// of the previous update follow those of its own. The fee comes into the vault by the caller, who has checked that the accounts
    /// belong together.
    #[inline(always)]
    pub fn of_state(
        &mut self,
        asking: &Asking<'_>,
        job: &Job,
        round: &mut Round,
        segment: &mut Segment,
        pool: &mut Pool,
    ) -> Result<()> {
        round.require_holder(PoolKind::Trainer, segment.claim.place, &segment.pool)?;
        round.require_challengeable(asking.slot)?;
        let entry_count = job.spec.entries_of_result();
        let is_previous = job.spec.is_compressed() && asking.entry >= entry_count;
        let entry = if is_previous { asking.entry - entry_count } else { asking.entry };
        require(entry < entry_count, Error::NothingThere)?;
        require(segment.status != CONVICTED, Error::SegmentNotOpen)?;
        let open_demands = count(&mut segment.open_demands)?;
        segment.open_disputes = segment.open_disputes.checked_add(1).ok_or(Error::Overflow)?;
        round.open_challenge()?;
        self.entry_count = entry_count;
        self.root = if is_previous { segment.claim.previous_root } else { *segment.claim.result_root(&job.spec) };
        self.pool = segment.pool;
        self.open(asking, pool, open_demands)?;
        self.entry = entry;
        Ok(())
    }

    /// Demands a chunk of a dataset's tokens, of the part that `asking.entry` names, as long as its provider answers for it. The fee comes into the vault by the caller.
    #[inline(always)]
    pub fn of_data(&mut self, asking: &Asking<'_>, dataset: &mut Dataset, pool: &mut Pool) -> Result<()> {
        require(dataset.is_answered_for(pool, asking.slot), Error::DutyOver)?;
        let (root, tokens) = match asking.entry {
            TRAINING_TOKENS => (dataset.train_root, dataset.train_tokens),
            HELD_OUT_TOKENS => (dataset.held_out_root, dataset.held_out_tokens),
            _ => return Err(Error::NothingThere),
        };
        let bytes = int::mul(tokens, 4)?;
        let chunks = chunk_count(bytes).ok_or(Error::DatasetTooLarge)?;
        require(asking.chunk < chunks, Error::NothingThere)?;
        let open_demands = count(&mut dataset.open_demands)?;
        self.blob_bytes = bytes;
        self.root = root;
        self.pool = dataset.pool;
        self.unavailable_data = asking.parameters.penalties.unavailable_data;
        self.open(asking, pool, open_demands)
    }

    fn require_answerable(&self, part: &Part<'_>, pool: &Pool) -> Result<()> {
        require(self.status == OPEN, Error::DemandOver)?;
        require(pool.is_worker(part.sender, part.slot), Error::NotParty)?;
        require(part.slot <= self.deadline_slot, Error::ClockRunOut)
    }

    /// Writes a part of the answer; only who works for the demand's pool may.
    #[inline(always)]
    pub fn upload(&mut self, part: &Part<'_>, pool: &Pool) -> Result<()> {
        self.require_answerable(part, pool)?;
        let start = part.offset as usize;
        let end = start.checked_add(part.bytes.len()).ok_or(Error::PastBuffer)?;
        self.buffer.get_mut(start..end).ok_or(Error::PastBuffer)?.copy_from_slice(part.bytes);
        Ok(())
    }

    /// Takes what the buffer holds before `offset`, followed by `bytes`, as the answer: for a state `chunks u32 ‖ chunk's bytes u32 ‖
    /// entry's root ‖ its path ‖ chunk ‖ its path`, for a dataset `chunk ‖ its path`. A state's entry that has fewer chunks than the
    /// demand asks for is answered by its last chunk: a path with no sibling to the right shows that it is the last.
    #[inline(never)]
    fn check<H: Sha256>(&mut self, part: &Part<'_>, pool: &Pool) -> Result<()> {
        self.upload(part, pool)?;
        let end = part.offset as usize + part.bytes.len();
        let answer = self.buffer.get(..end).ok_or(Error::PastBuffer)?;
        let (chunks, length, blob_root, start) = if self.entry_count > 0 {
            let (head, rest) = answer.split_first_chunk::<40>().ok_or(Error::WrongPayload)?;
            let [c0, c1, c2, c3, l0, l1, l2, l3, ..] = *head;
            let (chunks, length) =
                (u32::from_le_bytes([c0, c1, c2, c3]), u32::from_le_bytes([l0, l1, l2, l3]) as usize);
            // A path's length is counted level by level: bound it before it is computed.
            require(chunks > 0 && chunks <= 1 << 31 && length <= CHUNK_BYTES, Error::WrongPayload)?;
            let path_bytes = merkle::depth(self.entry_count) as usize * 32;
            let path = rest.get(..path_bytes).ok_or(Error::WrongPayload)?;
            let root = head.last_chunk::<32>().ok_or(Error::WrongPayload)?;
            let opening = merkle::Opening { leaf_count: self.entry_count, index: self.entry, path };
            require(opening.opens::<H>(&self.root, root), Error::HashMismatch)?;
            (chunks, length, *root, 40 + path_bytes)
        } else {
            let chunks = chunk_count(self.blob_bytes).ok_or(Error::DatasetTooLarge)?;
            let rest = self.blob_bytes.saturating_sub((self.chunk as u64) << 10);
            (chunks, rest.min(CHUNK_BYTES as u64) as usize, self.root, 0)
        };
        let index = self.chunk.min(chunks - 1);
        let opened = answer.get(start..).ok_or(Error::WrongPayload)?;
        let (bytes, path) = opened.split_at_checked(length).ok_or(Error::WrongPayload)?;
        require(path.len() == path_len(chunks, index) as usize * 32, Error::WrongPayload)?;
        let found = ChunkOpening { chunks, index, bytes, path }.root().ok_or(Error::WrongPayload)?;
        require(found == blob_root, Error::HashMismatch)?;
        self.chunks = chunks;
        self.chunk_start = start as u32;
        self.chunk_bytes = length as u32;
        Ok(())
    }

    fn end(&mut self, status: u8) -> u64 {
        self.status = status;
        core::mem::take(&mut self.fee)
    }

    /// Ends an answered demand: half of the fee goes to the pool, which is unfrozen by the caller.
    fn pay(&mut self, config: &mut Config, pool: &mut Pool) -> Result<()> {
        let fee = self.end(ANSWERED);
        let insured = fee.div_ceil(2);
        config.insure(insured)?;
        pool.credit(fee - insured)
    }

    /// Answers a demand on a segment.
    #[inline(always)]
    pub fn answer_state<H: Sha256>(
        &mut self,
        part: &Part<'_>,
        config: &mut Config,
        round: &mut Round,
        segment: &mut Segment,
        pool: &mut Pool,
    ) -> Result<()> {
        self.check::<H>(part, pool)?;
        self.pay(config, pool)?;
        segment.close_demand()?;
        round.close_challenge()?;
        segment.close_dispute(pool)
    }

    /// Answers a demand on a dataset.
    #[inline(always)]
    pub fn answer_data<H: Sha256>(
        &mut self,
        part: &Part<'_>,
        config: &mut Config,
        dataset: &mut Dataset,
        pool: &mut Pool,
    ) -> Result<()> {
        self.check::<H>(part, pool)?;
        self.pay(config, pool)?;
        dataset.open_demands = dataset.open_demands.checked_sub(1).ok_or(Error::Underflow)?;
        pool.unfreeze()
    }

    fn require_silence(&self, slot: u64) -> Result<()> {
        require(self.status == OPEN, Error::DemandOver)?;
        require(slot > self.deadline_slot, Error::ClockRunning)
    }

    /// Convicts a trainer that stayed silent, for no bounty: a demand costs next to nothing, and finds nothing. Returns what goes to
    /// who asked: the fee, and if it was this that convicted a few fees out of the slash.
    pub fn fail_state(&mut self, verdict: &mut Verdict<'_>) -> Result<u64> {
        self.require_silence(verdict.slot)?;
        let most = most_for_vain_demand(verdict.job.parameters.dispute_bond)?;
        let compensated = verdict.convict_silence(most)?;
        verdict.segment.close_demand()?;
        verdict.close()?;
        Ok(int::add(self.end(FAILED), compensated)?)
    }

    /// Ends a demand that a provider left unanswered: its absence is charged once, by the row that the demand was made under, into the
    /// insurance, and then a part of the fee is burned. Returns what of the fee goes back.
    pub fn fail_data(&mut self, config: &mut Config, dataset: &mut Dataset, pool: &mut Pool, slot: u64) -> Result<u64> {
        self.require_silence(slot)?;
        let mut returned = self.end(FAILED);
        if pool.is_absence(self.opened_slot, self.deadline_slot) {
            let Slash { bond_bps, delegated_bps } = self.unavailable_data;
            let charged = pool.slash_bps(bond_bps, delegated_bps, slot)?;
            config.insure_penalty(&charged)?;
            let burned = int::bps(returned, FAILED_FEE_BURN_BPS, Rounding::Up)?;
            config.condemn(burned)?;
            returned -= burned;
        }
        dataset.open_demands = dataset.open_demands.checked_sub(1).ok_or(Error::Underflow)?;
        pool.unfreeze()?;
        Ok(returned)
    }

    /// Checks that the account may be closed and its rent go back to `demander`, who made the demand and signs: it is over.
    pub fn require_closable(&self, demander: &Address) -> Result<()> {
        require(self.demander == *demander, Error::NotParty)?;
        require(self.status != OPEN, Error::DemandRunning)
    }

    /// Checks likewise that anyone may close it: an unbonding time has passed since the end of its clock.
    pub fn require_old(&self, demander: &Address, rest: &Rest) -> Result<()> {
        self.require_closable(demander)?;
        rest.require_since(self.deadline_slot).map_err(|_| Error::MissingSigner)
    }

    /// The chunk, once answered.
    pub fn chunk_answered(&self) -> Option<&[u8]> {
        let start = self.chunk_start as usize;
        let bytes = self.buffer.get(start..start.checked_add(self.chunk_bytes as usize)?)?;
        (self.status == ANSWERED).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::offence::Offence;
    use crate::ground::units::TOKEN;
    use crate::stake::pool::PoolKind;
    use proptest::prelude::*;
    use sip_proof::merkle::MerkleTree;
    use sip_proof::{BlobTree, HostSha256};

    const ANSWERER: Address = [7; 32];

    /// A demand on entry 1 of a state of three, the entry having so many bytes.
    fn demand(blob: &[u8], chunk: u32) -> (Demand, MerkleTree) {
        let tree = MerkleTree::new([[1; 32], BlobTree::new(blob).root(), [3; 32]]);
        let mut demand = Demand::zeroed();
        (demand.answerer, demand.status, demand.deadline_slot) = (ANSWERER, OPEN, 100);
        (demand.entry, demand.entry_count, demand.chunk, demand.root) = (1, 3, chunk, tree.root());
        (demand, tree)
    }

    /// An answer that opens a chunk of a blob that is said to have so many.
    fn answer(state: &MerkleTree, root: &[u8; 32], blob: &[u8], (chunks, index): (u32, u32), path: &[u8]) -> Vec<u8> {
        let start = (index as usize * CHUNK_BYTES).min(blob.len());
        let bytes = &blob[start..(start + CHUNK_BYTES).min(blob.len())];
        let head = [chunks, bytes.len() as u32].map(u32::to_le_bytes).concat();
        [&head, root.as_slice(), &state.path(1), bytes, path].concat()
    }

    fn tries(demand: &Demand, answer: &[u8]) -> Result<Demand> {
        let mut demand = *demand;
        let mut pool = Pool::zeroed();
        pool.initialise(PoolKind::Trainer, &ANSWERER, 0, 0);
        demand.check::<HostSha256>(&Part { sender: &ANSWERER, offset: 0, bytes: answer, slot: 100 }, &pool)?;
        Ok(demand)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn only_the_chunk_or_the_true_end_of_the_blob_is_an_answer(
            len in 0usize..24_000, asked in 0u32..30, said in 1u32..32, opened in 0u32..32, seed in any::<u8>(),
        ) {
            let blob: Vec<u8> = (0..len).map(|index| (index as u8).wrapping_mul(31) ^ seed).collect();
            let tree = BlobTree::new(&blob);
            let (demand, state) = demand(&blob, asked);
            let truth = asked.min(tree.chunks() - 1);
            let honest = answer(&state, &tree.root(), &blob, (tree.chunks(), truth), &tree.path(truth));
            let answered = tries(&demand, &honest).unwrap();
            let start = truth as usize * CHUNK_BYTES;
            let found = &answered.buffer[answered.chunk_start as usize..][..answered.chunk_bytes as usize];
            prop_assert_eq!(found, &blob[start..(start + CHUNK_BYTES).min(len)]);

            // Any other number of chunks, with any chunk that there is: accepted only if it shows the chunk that was asked for.
            let opened = opened % tree.chunks();
            let lie = answer(&state, &tree.root(), &blob, (said, opened), &tree.path(opened));
            if let Ok(answered) = tries(&demand, &lie) {
                prop_assert_eq!(opened, truth);
                let found = &answered.buffer[answered.chunk_start as usize..][..answered.chunk_bytes as usize];
                prop_assert_eq!(found, &blob[start..(start + CHUNK_BYTES).min(len)]);
            }
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), chunk in any::<u32>()) {
            let (demand, _) = demand(&[5; 3000], chunk);
            prop_assert!(tries(&demand, &bytes).is_err());
            let data = Demand { entry_count: 0, entry: 0, blob_bytes: 3000, ..demand };
            prop_assert!(tries(&data, &bytes).is_err());
        }
    }

    #[test]
    fn demands_grow_dearer_and_are_bounded() {
        let (mut dataset, mut pool) = (Dataset::zeroed(), Pool::zeroed());
        pool.initialise(PoolKind::Data, &ANSWERER, 0, 0);
        dataset.train_tokens = 1000;
        let parameters = Parameters::DEFAULT;
        let asking =
            |chunk| Asking { subject: &[1; 32], demander: &[2; 32], parameters: &parameters, entry: 0, chunk, slot: 5 };
        for open in 1..=MAX_OPEN_DEMANDS as u64 {
            let mut demand = Demand::zeroed();
            demand.of_data(&asking(3), &mut dataset, &mut pool).unwrap();
            assert_eq!(demand.fee, parameters.dispute_bond / 100 * open);
            assert_eq!(demand.deadline_slot, 5 + parameters.clock_slots);
        }
        let refused = Demand::zeroed().of_data(&asking(3), &mut dataset, &mut pool);
        assert_eq!(refused, Err(Error::TooManyDemands));
        assert_eq!(Demand::zeroed().of_data(&asking(4), &mut dataset, &mut pool), Err(Error::NothingThere));
        assert_eq!(pool.open_disputes, MAX_OPEN_DEMANDS as u32);
    }

    /// Attack: a liar's friend demands a chunk which the liar never shows, so that silence convicts before, or after, somebody else does.
    #[test]
    fn attack_silence_takes_no_bounty_from_who_found_the_lie() {
        let (friend, honest) = ([2; 32], [3; 32]);
        let clock = Parameters::DEFAULT.clock_slots;
        for (accused, is_later) in [(500, false), (clock + 100, false), (500, true), (clock + 300, true)] {
            let mut config = Config::zeroed();
            config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
            let (mut job, mut round) = (Job::zeroed(), Round::zeroed());
            job.parameters = Parameters::DEFAULT;
            let (mut segment, mut pool) = (Segment::zeroed(), Pool::zeroed());
            pool.initialise(PoolKind::Trainer, &ANSWERER, 0, 0);
            pool.self_bond = 1_000 * TOKEN;
            segment.slice = pool.self_bond;
            (round.open_challenges, segment.open_disputes, segment.open_demands) = (1, 1, 1);
            pool.freeze().unwrap();
            let (mut demand, _) = demand(&[5; 10], 0);
            (demand.demander, demand.opened_slot, demand.deadline_slot) = (friend, 100, 100 + clock);
            let mut verdict = Verdict {
                config: &mut config,
                job: &mut job,
                segment: &mut segment,
                pool: &mut pool,
                round: &mut round,
                slot: 101 + clock,
            };
            let mut compensated = 0;
            for is_accusation in [!is_later, is_later] {
                if is_accusation {
                    verdict.convict(&honest, accused, Offence::ConvictedSegment).unwrap();
                } else {
                    compensated = demand.fail_state(&mut verdict).unwrap();
                }
            }
            // If it is the silence that convicts, it costs five fees, which are not part of what the bounty is a half of.
            let fees = if is_later { 5 * TOKEN } else { 0 };
            assert_eq!(compensated, fees);
            assert_eq!((segment.escrow.bounty, segment.escrow.challenger), ((1_000 * TOKEN - fees) / 2, honest));
        }
    }

    #[test]
    fn an_absence_is_charged_once_for_all_that_was_asked_while_it_lasted() {
        let mut config = Config::zeroed();
        config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
        let clock = Parameters::DEFAULT.clock_slots;
        let (mut dataset, mut pool) = (Dataset::zeroed(), Pool::zeroed());
        pool.initialise(PoolKind::Data, &ANSWERER, 0, 0);
        pool.self_bond = 1_000 * TOKEN;
        // Asked within one clock, in any order; then anew.
        for (opened, fee, returned, bond) in [
            (100, 8, 4, 900),
            (101, 8, 8, 900),
            (100, 8, 8, 900),
            (100 + clock, 8, 8, 900),
            (101 + clock, 7, 3, 810),
            (100 + clock, 8, 8, 810),
        ] {
            let mut demand = Demand { fee, opened_slot: opened, status: OPEN, ..Demand::zeroed() };
            demand.deadline_slot = opened + clock;
            demand.unavailable_data = Parameters::DEFAULT.penalties.unavailable_data;
            dataset.open_demands += 1;
            pool.freeze().unwrap();
            let slot = opened + clock + 1;
            assert_eq!(demand.fail_data(&mut config, &mut dataset, &mut pool, slot), Ok(returned), "{opened}");
            assert_eq!((pool.self_bond, demand.fee), (bond * TOKEN, 0), "{opened}");
        }
        assert_eq!(config.condemned, 4 + 4);
        assert_eq!((pool.open_disputes, dataset.open_demands), (0, 0));
    }

    #[test]
    fn a_provider_that_gave_notice_answers_until_it_runs_out_and_no_longer() {
        let (mut dataset, mut pool) = (Dataset::zeroed(), Pool::zeroed());
        pool.initialise(PoolKind::Data, &ANSWERER, 0, 0);
        dataset.train_tokens = 1000;
        let ask = |dataset: &Dataset, pool: &Pool, slot| {
            let asking = Asking {
                subject: &[1; 32],
                demander: &[2; 32],
                parameters: &Parameters::DEFAULT,
                entry: 0,
                chunk: 0,
                slot,
            };
            Demand::zeroed().of_data(&asking, &mut { *dataset }, &mut { *pool })
        };
        assert_eq!(dataset.retire(&pool, &[9; 32], 50, 100), Err(Error::NotAuthority));
        assert_eq!((dataset.require_offered(), ask(&dataset, &pool, u64::MAX / 2)), (Ok(()), Ok(())));
        dataset.retire(&pool, &ANSWERER, 50, 100).unwrap();
        assert_eq!(dataset.require_offered(), Err(Error::DatasetRetired));
        assert_eq!(dataset.retire(&pool, &ANSWERER, 50, 120), Err(Error::DatasetRetired));
        assert_eq!((ask(&dataset, &pool, 149), ask(&dataset, &pool, 150)), (Ok(()), Err(Error::DutyOver)));
        // A retired pool answers until its bond may leave; anyone gives notice then.
        let mut dataset = Dataset { duty_end_slot: 0, ..dataset };
        pool.retire(200, 70).unwrap();
        assert_eq!((ask(&dataset, &pool, 269), ask(&dataset, &pool, 270)), (Ok(()), Err(Error::DutyOver)));
        assert_eq!(dataset.retire(&pool, &[9; 32], 50, 210), Ok(()));
    }
}

//! Replaying a job from a chain and its people alone: the chain says what was committed, people hand over what it computes with, by its roots, and
//! nothing else is asked of anybody.

use anyhow::{Result, bail, ensure};
use sip_data::{Mixture, hex};
use sip_driver::false_reveals;
use sip_manifest::exchange::Applied;
use sip_manifest::machine::Machine;
use sip_manifest::prepare::Prepared;
use sip_node::{SegmentTask, State, Worker, scoring};
use sip_proof::HostSha256;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::evaluation;
use sip_protocol::training::finality::NO_ROUND;
use sip_protocol::training::job::{Job, MAX_TRAINERS, bit};
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::seed;
use sip_protocol::training::segment::{self, SegmentClaim};
use sip_report::{Progress, count};
use solana_address::Address;
use std::sync::Arc;

use crate::snapshot::Snapshot;
use crate::{Remote, Supply};

/// The first difference, in words; `None` while there is none.
type Difference = Option<String>;

/// What was replayed.
#[derive(Default)]
pub struct Replayed {
    /// Rounds.
    pub rounds: u32,
    /// Of them, those that stand.
    pub scored: u32,
    /// Segments.
    pub segments: u32,
    /// Of them, those that were convicted.
    pub convicted: u32,
    /// Steps of them.
    pub steps: u64,
    /// Bytes that came from people.
    pub bytes: u64,
    /// The state that the last round ended with.
    pub base: Option<[u8; 32]>,
    /// Whether no round can change any more.
    pub is_final: bool,
    /// Of a difference: its round, from 1, where that is not final, so that the court can still undo it.
    pub disputable_round: Option<u32>,
    /// What is worth knowing beside it.
    pub notes: Vec<String>,
}

/// Replays all rounds, and gives the first difference. The models of this round, from 1, and of the last final one are kept, where a folder was named.
pub fn verify(
    request: &Remote,
    kept_round: Option<u32>,
    progress: Progress,
    replayed: &mut Replayed,
) -> Result<Difference> {
    let machine = Machine::from_environment()?;
    let snapshot = Snapshot::take(&request.ledger, &request.program, &request.job)?;
    let job = &snapshot.job;
    sip_driver::require_version(job)?;
    progress.stage(&format!("Verifying {}", request.job));
    let datasets = job.datasets.iter().take(usize::from(job.spec.domain_count));
    let datasets: Vec<Box<Dataset>> =
        datasets.map(|address| request.read(&Address::new_from_array(*address))).collect::<Result<_>>()?;
    let mut supply = request.supply(job, progress)?;
    let manifest = request.manifest(job, &mut supply)?;
    let registered: Vec<Option<&Box<Dataset>>> = datasets.iter().map(Some).collect();
    if let Some(difference) = manifest.check(&job.spec, &registered)? {
        return Ok(Some(manifest.words(difference)));
    }
    supply.tokens(&manifest)?;
    replayed.bytes = supply.bytes;
    let prepared = match Prepared::from_manifest(manifest, &supply.store, &machine) {
        Ok(prepared) => prepared,
        Err(error) => return sip_console::failure::false_content(error).map(Some),
    };
    let keeps = |index: u32| kept_round == Some(index + 1) || index == job.chain.last_final;
    let difference = Replay::new(&snapshot, &prepared, &machine, progress).rounds(&supply, &keeps, replayed)?;
    if difference.is_some() {
        return Ok(difference);
    }
    replayed.is_final = job.chain.ahead() == 0 && job.rounds_scored >= job.spec.rounds;
    if replayed.base != Some(job.base_root) {
        return Ok(Some("the job's base on chain is not the last round's".into()));
    }
    Ok(None)
}

/// What the segments of a round come to, by place.
type ByPlace = Vec<(u8, Arc<State>)>;

/// The replay of a job under way.
struct Replay<'a> {
    snapshot: &'a Snapshot,
    job: &'a Job,
    prepared: &'a Prepared,
    machine: &'a Machine,
    progress: Progress,
    worker: Worker,
    scorer: Worker,
}

impl<'a> Replay<'a> {
    fn new(snapshot: &'a Snapshot, prepared: &'a Prepared, machine: &'a Machine, progress: Progress) -> Self {
        let worker = |task: &sip_node::Task| Worker::new(task.clone(), Arc::clone(&machine.threads), machine.simd);
        let (worker, scorer) = (worker(&prepared.task), worker(&prepared.scoring));
        Replay { snapshot, job: &snapshot.job, prepared, machine, progress, worker, scorer }
    }

    fn rounds(&mut self, supply: &Supply, keeps: &dyn Fn(u32) -> bool, replayed: &mut Replayed) -> Result<Difference> {
        let mut base = Arc::clone(&self.prepared.genesis);
        let mut applied = Applied::new();
        let (mut seed_now, mut head) = (self.job.spec.seed, NO_ROUND);
        replayed.base = Some(base.root());
        let rounds = &self.snapshot.rounds;
        for (index, round) in (0..).zip(rounds) {
            let number = index + 1;
            let Some(round) = round else {
                bail!(
                    "round {number} is closed on chain, an unbonding time after it was over; a copy of the accounts is needed to replay it, as \"sip audit\" keeps one"
                );
            };
            if round.seed != seed_now {
                return Ok(Some(format!("round {number} has another seed than the draws before it give")));
            }
            seed_now = round.following_seed::<HostSha256>();
            let is_newest = number == self.job.next_round;
            // The next seed waits for slots after the closing, and for somebody to bring them.
            if let Some(difference) = false_reveals(round)
                && !(is_newest && round.seed_status == seed::PENDING)
            {
                return Ok(Some(difference));
            }
            let stands = round.status != round::VOID;
            if round.parent != head || round.base_root != base.root() {
                if stands {
                    return Ok(Some(format!(
                        "round {number} starts from another base than the round before ended with"
                    )));
                }
                replayed.notes.push(format!(
                    "round {number} was undone with a round before it, whose base nobody keeps: not replayed"
                ));
                continue;
            }
            // What differs from here on is somebody's claim, and the court judges those until their round is final.
            let disputable_round = (round.status != round::FINAL).then_some(number);
            let accepted = match self.segments((&base, &applied), round, replayed)? {
                Ok(accepted) => accepted,
                Err(difference) => {
                    replayed.disputable_round = disputable_round;
                    return Ok(Some(difference));
                }
            };
            replayed.rounds += 1;
            if !stands {
                continue;
            }
            if ![round::AGGREGATED, round::SCORED, round::FINAL].contains(&round.status) {
                replayed.notes.push(format!("round {number} is under way: it has no next base yet"));
                continue;
            }
            let results: Vec<Arc<State>> = accepted.iter().map(|(_, result)| Arc::clone(result)).collect();
            let next = self.prepared.next_base(&base, &results, self.machine)?;
            if next.root() != round.next_base {
                replayed.disputable_round = disputable_round;
                return Ok(Some(format!(
                    "round {number}: the base that was voted is not what the accepted segments give"
                )));
            }
            if round.status == round::AGGREGATED {
                replayed.notes.push(format!("round {number} is under way: its base is voted, and is not scored yet"));
                // It is the job's base already, and stays so if it is scored.
                replayed.base = Some(next.root());
                continue;
            }
            if let Some(difference) = self.scores(&next, round)? {
                replayed.disputable_round = disputable_round;
                return Ok(Some(difference));
            }
            applied = self.prepared.applied(accepted.iter().map(|(place, result)| (*place, result)));
            self.progress.line(&format!(
                "round {number}: {} replayed, next base {}…",
                count(round.committed.count_ones(), "segment"),
                &hex(&next.root())[..8]
            ));
            base = next;
            if keeps(index) {
                supply.keep_if_named(&base)?;
            }
            head = index;
            replayed.base = Some(base.root());
            replayed.scored += 1;
        }
        Ok(None)
    }

    /// By place, what the accepted segments of a round hand over; or the first difference.
    fn segments(
        &mut self,
        from: (&Arc<State>, &Applied),
        round: &Round,
        replayed: &mut Replayed,
    ) -> Result<std::result::Result<ByPlace, String>> {
        let mut accepted = Vec::new();
        for place in (0..MAX_TRAINERS as u8).filter(|place| round.committed & bit(*place) != 0) {
            let pool = Address::new_from_array(round.trainers[usize::from(place)]);
            let where_ = format!("round {}, the trainer {pool}", round.index + 1);
            let Some(segment) = self.snapshot.segment(round.index, place) else {
                bail!("{where_}: its segment is closed on chain, and a copy of it is needed to replay it");
            };
            let (claim, result) = self.segment(from, round, place, &segment.claim)?;
            replayed.segments += 1;
            replayed.steps += u64::from(self.job.spec.inner_steps);
            // Nothing of an undone round stands.
            let counts = round.status != round::VOID && round.accepted & bit(place) != 0;
            let is_true = claim == segment.claim;
            if segment.status == segment::CONVICTED {
                replayed.convicted += 1;
                let what = if is_true {
                    "and is what the replay gives: it was silent to a demand, or conceded"
                } else {
                    "and is false by replay"
                };
                replayed.notes.push(format!("{where_}: its segment was convicted, {what}"));
            }
            if counts && !is_true {
                return Ok(Err(format!("{where_}: its segment counts, and is not what the replay gives")));
            }
            if !counts && !is_true && segment.status != segment::CONVICTED {
                replayed.notes.push(format!("{where_}: its segment is not what the replay gives, and does not count"));
            }
            if counts {
                accepted.push((place, result));
            }
        }
        Ok(Ok(accepted))
    }

    /// What a trainer should have claimed, and what it hands over.
    fn segment(
        &mut self,
        (base, applied): (&Arc<State>, &Applied),
        round: &Round,
        place: u8,
        claimed: &SegmentClaim,
    ) -> Result<(SegmentClaim, Arc<State>)> {
        let start = self.prepared.start(base, applied.get(&place), self.machine)?;
        let domains = self.prepared.task.domains.len();
        let task = SegmentTask {
            round: round.index,
            first_step: round.first_step(self.job.spec.inner_steps),
            seed: round.seed,
            mixture: Mixture::new(&round.mixture_bps[..domains])?,
            settings: round.settings,
            place,
            base: Arc::clone(&start.state),
            bases: Vec::new(),
        };
        let trained = self.worker.train(&task, None, &mut |_| true)?;
        let result = self.prepared.result(&start, &trained.end, self.machine)?;
        let plain = SegmentClaim {
            start_root: start.state.root(),
            end_root: trained.end.root(),
            accumulator_root: trained.accumulator_root(),
            leaf_count: trained.leaves.len() as u32,
            place,
            ..SegmentClaim::default()
        };
        ensure!(claimed.reserved == [0; 3], "a claim on chain has another layout than this version reads");
        Ok((self.prepared.claim(plain, &start, &result), result))
    }

    fn scores(&mut self, base: &Arc<State>, round: &Round) -> Result<Difference> {
        let run = self.scorer.train(&SegmentTask::scoring(base, &self.machine.threads)?, None, &mut |_| true)?;
        let scores =
            evaluation::scores(&self.job.spec, &scoring::sums(&run.end)).map_err(|error| anyhow::anyhow!("{error}"))?;
        for (domain, (score, on_chain)) in
            self.prepared.manifest.domains.iter().zip(scores.into_iter().zip(round.scores))
        {
            if score != on_chain {
                return Ok(Some(format!(
                    "round {}: the score on {} is {on_chain} micro-nats per token, but {score} by replay",
                    round.index + 1,
                    domain.name
                )));
            }
        }
        Ok(None)
    }
}

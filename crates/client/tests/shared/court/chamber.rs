//! A job with compressed updates, whose trainers and auditors claim what a test lets them, and disputes over it.

use super::hall::fight;
use super::{placed, stage};
use sip_client::{Accusation, UpdateGraph, VoteAccusation};
use sip_kernels::{Simd, Threads};
use sip_node::dispute::{Challenger, Defender, Evidence, FaultPlace, GraphEvidence, StepRoots};
use sip_node::{Computation, State, Updates};
use sip_proof::{Hash, Leaf, roots_tree};
use sip_protocol::training::segment::{Segment, SegmentClaim};
use sip_protocol::{
    court::{Dispute, MoveKind, Outcome},
    ground::case::CaseKind,
};
use sip_testing::compressed::{self, Work};
use sip_testing::synthetic::{self, Run};
use sip_testing::{Cast, Scene, named, scores};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::sync::Arc;

/// A round of two trainers and three auditors, and what is true in it.
pub(crate) struct Chamber {
    /// The chain.
    pub(crate) scene: Scene,
    /// The job's graphs.
    pub(crate) updates: Updates,
    /// The last round's base.
    pub(crate) base: Arc<State>,
    /// The honest work of the trainers in the last round.
    pub(crate) works: Vec<Work>,
    /// What the trainers go on from in the last round.
    pub(crate) previous: Vec<Arc<State>>,
    story: Arc<synthetic::Scene>,
    accusations: usize,
}

/// What a defendant holds: a computation, and perhaps one entry of its outcome that is another.
pub(crate) struct Claimed {
    computation: Computation,
    forged: Option<(usize, Hash)>,
}

impl From<Computation> for Claimed {
    fn from(computation: Computation) -> Claimed {
        Claimed { computation, forged: None }
    }
}

impl Claimed {
    /// A computation whose outcome has another entry than it gives.
    pub(crate) fn forging(computation: Computation, entry: usize) -> Claimed {
        Claimed { computation, forged: Some((entry, named("another entry"))) }
    }

    /// Root of the outcome that is claimed.
    pub(crate) fn root(&mut self) -> Hash {
        roots_tree(&self.state_roots(1).unwrap()).root()
    }
}

impl Evidence for Claimed {
    type Error = <Computation as Evidence>::Error;

    fn leaves(&mut self) -> Result<Vec<Leaf>, Self::Error> {
        self.computation.leaves()
    }

    fn steps(&mut self, leaf: u32) -> Result<Vec<StepRoots>, Self::Error> {
        self.computation.steps(leaf)
    }

    fn state_roots(&mut self, step: u32) -> Result<Vec<Hash>, Self::Error> {
        let mut roots = self.computation.state_roots(step)?;
        if let Some((entry, root)) = self.forged.filter(|_| step > 0) {
            roots[entry] = root;
        }
        Ok(roots)
    }

    fn trace_roots(&mut self, step: u32) -> Result<Vec<Hash>, Self::Error> {
        self.computation.trace_roots(step)
    }

    fn tensor(&mut self, step: u32, node: u32) -> Result<Vec<u32>, Self::Error> {
        self.computation.tensor(step, node)
    }

    fn tokens(&mut self, domain: u32) -> Result<Vec<u32>, Self::Error> {
        self.computation.tokens(domain)
    }

    fn base_roots(&mut self, base: u32) -> Result<Vec<Hash>, Self::Error> {
        self.computation.base_roots(base)
    }

    fn fault(&mut self) -> Result<Option<FaultPlace>, Self::Error> {
        self.computation.fault()
    }
}

impl Chamber {
    /// The first round, open, nothing committed.
    pub(crate) fn new() -> Chamber {
        let story = synthetic::Scene::new(2, 1);
        let updates = compressed::updates();
        let base = compressed::base_of(story.run(None).start_state());
        let mut cast = Cast { trainers: 2, auditors: 3, evaluators: 1, ..Cast::default() };
        updates.specify(&mut cast.spec);
        cast.spec.challenge_slots = 20_000;
        let scene = stage(&story.placed(|ground| ground.start_root = base.root()), cast);
        let previous = vec![Arc::clone(&updates.reset); 2];
        let mut chamber = Chamber { scene, updates, base, works: Vec::new(), previous, story, accusations: 0 };
        chamber.open_round();
        chamber
    }

    /// The first round, open, of a job with other graphs, whose trainers' segments end with these states. Their steps are nobody's
    /// business: the leaves are of another run.
    pub(crate) fn of(updates: Updates, base: Arc<State>, ends: [Arc<State>; 2]) -> Chamber {
        let story = synthetic::Scene::new(2, 1);
        let mut cast = Cast { trainers: 2, auditors: 3, evaluators: 1, ..Cast::default() };
        cast.spec.genesis_root = base.root();
        cast.spec.state_count = ends[0].entries().len() as u32;
        updates.specify(&mut cast.spec);
        (cast.spec.challenge_slots, cast.spec.vote_slots) = (20_000, 20_000);
        let mut scene = Scene::with(&cast);
        scene.open_round();
        let (run, reset) = (story.run(None), Arc::clone(&updates.reset));
        let (threads, simd) = (Arc::new(Threads::new(1)), Simd::detect());
        let work = |end: Arc<State>| {
            let start = Arc::new(updates.start_state(&base, &reset, &threads, simd).unwrap());
            let update = Arc::new(updates.update(&reset, [&start, &end], &threads, simd).unwrap());
            let (base, previous) = (Arc::clone(&base), Arc::clone(&reset));
            Work { base, previous, start, run: run.clone(), end, update }
        };
        let works = ends.into_iter().map(work).collect();
        Chamber { scene, updates, base, works, previous: vec![reset; 2], story, accusations: 0 }
    }

    /// The second round, open, after an honest first one.
    pub(crate) fn second() -> Chamber {
        let mut chamber = Chamber::new();
        chamber.commit_all();
        chamber.finish_round();
        chamber.open_round();
        chamber
    }

    /// The second round, whose honest segments are committed, and its commitments closed.
    pub(crate) fn committed() -> Chamber {
        let mut chamber = Chamber::second();
        chamber.commit_all();
        chamber.scene.close_commits();
        chamber
    }

    /// Opens the next round, and does the honest work of it.
    pub(crate) fn open_round(&mut self) {
        self.scene.open_round();
        let work = |trainer: usize| {
            let run = |start: &State| self.run(trainer, start);
            Work::honest(&self.updates, &self.base, &self.previous[trainer], run)
        };
        self.works = (0..self.previous.len()).map(work).collect();
    }

    /// A trainer's segment in the last round from a start state.
    pub(crate) fn run(&self, trainer: usize, start: &State) -> Run {
        placed(&self.story.starting(start), &self.scene, trainer).run(None)
    }

    /// What a trainer claims of its work.
    pub(crate) fn claim(&self, trainer: usize, work: &Work) -> SegmentClaim {
        SegmentClaim {
            start_root: work.start.root(),
            end_root: work.end.root(),
            accumulator_root: work.run.accumulator_root(),
            previous_root: work.previous.root(),
            update_root: work.update.root(),
            ..self.scene.claim(trainer)
        }
    }

    /// What a trainer should claim.
    pub(crate) fn honest(&self, trainer: usize) -> SegmentClaim {
        self.claim(trainer, &self.works[trainer])
    }

    /// Commits the honest work of everyone.
    pub(crate) fn commit_all(&mut self) {
        for trainer in 0..self.works.len() {
            let claim = self.honest(trainer);
            self.scene.commit_claim(trainer, &claim);
        }
    }

    /// Takes the round from its commitments to its end, honestly.
    pub(crate) fn finish_round(&mut self) {
        self.scene.close_commits();
        self.scene.to_closed();
        self.finish_closed();
    }

    /// Takes a closed round to its end, honestly.
    pub(crate) fn finish_closed(&mut self) {
        let next = compressed::next_base(&self.updates, &self.base, &self.accepted());
        (0..2).for_each(|auditor| self.scene.vote(auditor, &next.root()));
        self.scene.to_scored(&[scores(5_000_000)]);
        let accepted = self.scene.round_state().accepted;
        for (trainer, previous) in self.previous.iter_mut().enumerate() {
            let work = &self.works[trainer];
            *previous = Arc::clone(if accepted >> trainer & 1 == 1 { &work.update } else { &self.updates.reset });
        }
        self.base = next;
    }

    /// The updates of the accepted segments in order of place.
    pub(crate) fn accepted(&self) -> Vec<Arc<State>> {
        let accepted = self.scene.round_state().accepted;
        let works = self.works.iter().enumerate().filter(|(place, _)| accepted >> place & 1 == 1);
        works.map(|(_, work)| Arc::clone(&work.update)).collect()
    }

    /// Writes another claim into a committed segment, as if its trainer had committed that.
    pub(crate) fn forge(&mut self, trainer: usize, claim: &SegmentClaim) {
        let address = self.scene.segment(trainer);
        let state: Segment = self.scene.world.state(&address);
        self.scene.world.overwrite(&address, &Segment { claim: *claim, ..state });
    }

    /// A new wallet that accuses.
    pub(crate) fn challenger(&mut self) -> Keypair {
        self.accusations += 1;
        self.scene.world.wallet(&format!("challenger {}", self.accusations))
    }

    /// The graph of a start state or an update.
    pub(crate) fn graph(&self, case: CaseKind) -> Option<UpdateGraph> {
        self.updates.opening(case).map(|(roots, sibling)| UpdateGraph { case, roots, sibling })
    }

    /// Both halves of an accusation of a trainer's segment.
    pub(crate) fn accusation(&self, challenger: &Address, trainer: usize, case: CaseKind) -> [Instruction; 2] {
        let accusation = Accusation {
            challenger,
            job: &self.scene.job,
            round: &self.scene.round(),
            pool: &self.scene.trainers[trainer].seat.pool,
            datasets: &self.scene.datasets,
            salt: &named("salt"),
        };
        let program = self.scene.world.program;
        let open = match self.graph(case) {
            Some(graph) => program.open_update_dispute(&accusation, &graph),
            None => program.open_dispute(&accusation),
        };
        [program.commit_accusation(&accusation), open]
    }

    /// Accuses a trainer's segment; returns who did, and the dispute.
    pub(crate) fn accuse(&mut self, trainer: usize, case: CaseKind) -> (Keypair, Address) {
        let key = self.challenger();
        for instruction in self.accusation(&key.pubkey(), trainer, case) {
            self.scene.world.send(&[instruction], &[&key]);
            self.scene.world.advance(1);
        }
        let dispute = self.scene.world.program.dispute(&self.scene.segment(trainer), &key.pubkey());
        (key, dispute)
    }

    /// Accuses a trainer's segment and fights to the verdict, which is not applied yet.
    pub(crate) fn dispute<D: Evidence, C: Evidence>(
        &mut self,
        (trainer, case): (usize, CaseKind),
        graph: &GraphEvidence,
        claimed: D,
        truth: C,
    ) -> (Outcome, Vec<MoveKind>, Keypair) {
        let (key, dispute) = self.accuse(trainer, case);
        let keys = [self.scene.trainers[trainer].key.insecure_clone(), key.insecure_clone()];
        let graph = Arc::new(graph.clone());
        let (defender, challenger) = (Defender::new(graph.clone(), claimed), Challenger::new(graph, truth));
        let (outcome, moves) = fight(&mut self.scene, &dispute, &keys, defender, challenger);
        (outcome, moves, key)
    }

    /// The dispute over what one graph gives, from the claim in the account to the verdict.
    pub(crate) fn dispute_graph(
        &mut self,
        accused: (usize, CaseKind),
        claimed: Claimed,
        truth: Computation,
    ) -> (Outcome, Vec<MoveKind>, Keypair) {
        let graph = truth.graph_evidence();
        self.dispute(accused, &graph, claimed, truth)
    }

    /// Applies a verdict over a segment.
    pub(crate) fn resolve(&mut self, trainer: usize, challenger: &Keypair) {
        let (job, round, pool) = (self.scene.job, self.scene.round(), self.scene.trainers[trainer].seat.pool);
        let resolve = self.scene.world.program.resolve_dispute(&challenger.pubkey(), &job, &round, &pool);
        self.scene.crank(resolve);
    }

    /// The accusation of an auditor's vote for a next base of the accepted segments: its commitment, then its opening.
    pub(crate) fn vote_accusation(&self, challenger: &Address, auditor: usize) -> [Instruction; 2] {
        let (graph, path) = self.updates.aggregates.opening(self.accepted().len()).unwrap();
        let segments: Vec<Address> = (0..self.works.len()).map(|trainer| self.scene.segment(trainer)).collect();
        let program = self.scene.world.program;
        let accusation = VoteAccusation {
            challenger,
            job: &self.scene.job,
            round: &self.scene.round(),
            auditor: &self.scene.auditors[auditor].seat,
            graph: &graph,
            path: &path,
            segments: &segments,
            salt: &named("salt"),
        };
        [program.commit_hidden(&accusation.hidden()), program.open_vote_dispute(&accusation)]
    }

    /// Lets an auditor vote for the outcome of a computation, and fights about it to the verdict.
    pub(crate) fn dispute_vote(&mut self, auditor: usize, mut claimed: Claimed) -> (Outcome, Vec<MoveKind>) {
        let root = claimed.root();
        let (address, mut round) = (self.scene.round(), self.scene.round_state());
        if round.auditors[auditor].vote == [0; 32] {
            self.scene.vote(auditor, &root);
        } else {
            // A vote that is disputed stands: the next case writes another, as if that had been cast.
            round.auditors[auditor].vote = root;
            self.scene.world.overwrite(&address, &round);
        }
        let key = self.challenger();
        for instruction in self.vote_accusation(&key.pubkey(), auditor) {
            self.scene.world.send(&[instruction], &[&key]);
            self.scene.world.advance(1);
        }
        let dispute = self.scene.world.program.auditor_dispute(&self.scene.round(), &key.pubkey(), auditor as u8);
        let truth = compressed::base_evidence(&self.updates, &self.base, &self.accepted());
        let graph = Arc::new(truth.graph_evidence());
        let keys = [self.scene.auditors[auditor].key.insecure_clone(), key];
        let (defender, challenger) = (Defender::new(graph.clone(), claimed), Challenger::new(graph, truth));
        fight(&mut self.scene, &dispute, &keys, defender, challenger)
    }

    /// State of a dispute.
    pub(crate) fn state(&self, dispute: &Address) -> Dispute {
        self.scene.world.state(dispute)
    }
}

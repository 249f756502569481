//! What a job computes with, from its manifest and the folder of its run: tokens, graphs, and the states that were published there.

use anyhow::{Result, ensure};
use sip_node::State;
use sip_protocol::Account as _;
use sip_protocol::ground::case::CaseKind;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_protocol::training::segment::Segment;
use sip_roles::{Seen, Terms, View};
use solana_account::Account;
use solana_address::Address;
use std::path::PathBuf;
use std::sync::Arc;

use sip_client::Program;
use sip_ledger::Ledger;
use sip_manifest::commits::{Difference, difference, other_data};
use sip_manifest::folder::Store;
use sip_manifest::machine::Machine;
use sip_manifest::prepare::{self, Prepared};

use crate::states::shape;

/// The datasets of a job's domains, as they are registered; none of one that cannot be read.
pub fn registered(ledger: &dyn Ledger, program: &Program, job: &Job) -> Result<Vec<Option<Box<Dataset>>>> {
    let addresses = job.datasets.iter().take(usize::from(job.spec.domain_count));
    let addresses: Vec<Address> = addresses.copied().map(Address::new_from_array).collect();
    let read = |account: Option<Account>| {
        let account = account.filter(|account| account.owner == program.id)?;
        Dataset::decode(&account.data).ok().map(Box::new)
    };
    Ok(ledger.accounts(&addresses)?.into_iter().map(read).collect())
}

/// Checks that a program of this version can follow a job, as its card says.
///
/// # Errors
/// Where the job asks for a later one: what this one computes or signs may be convicted by rules that it does not know.
pub fn require_version(job: &Job) -> Result<()> {
    let least = job.card.least_protocol;
    ensure!(
        job.card.is_followed_by(sip_protocol::PROTOCOL_VERSION),
        "the job asks for version {least} of the protocol, and this program has {}; get a later one",
        sip_protocol::PROTOCOL_VERSION
    );
    Ok(())
}

/// Whether a job is the one that a folder describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It is.
    Yes,
    /// It is, but for its genesis state, which is not what the job's own graph gives.
    FalseGenesis,
    /// It is another.
    No,
}

/// The folder of a run.
pub struct Source {
    /// The folder.
    pub store: Store,
    /// What is computed with.
    pub prepared: Prepared,
    terms: Terms,
    /// With compressed updates, elements of the entries of the state that a segment starts from and ends with.
    step_lengths: Option<Vec<usize>>,
}

impl Source {
    /// Reads what a folder has of a job.
    ///
    /// # Errors
    /// Where something is missing or damaged.
    pub fn open(store: Store, machine: &Machine) -> Result<Source> {
        let prepared = prepare::open(&store, machine)?;
        let updates = prepared.updates.as_ref();
        let graphs = [CaseKind::Start, CaseKind::Update].into_iter();
        let opened = graphs.filter_map(|case| updates?.opening(case).map(|(roots, sibling)| (case, roots, sibling)));
        let given = std::iter::once(&prepared.genesis).chain(updates.map(|updates| &updates.reset));
        let result = updates.map_or(&prepared.genesis, |updates| &updates.reset);
        let counts = 1..=sip_proof::AGGREGATE_COUNTS as usize;
        let terms = Terms {
            is_genesis_true: false,
            given: given.map(|state| state.root()).collect(),
            result_lengths: result.entries().iter().map(|entry| entry.len()).collect(),
            aggregates: counts.map(|count| prepared.aggregates.opening(count)).collect::<Result<_, _>>()?,
            updates: opened.collect(),
        };
        let step_lengths = updates.map(|updates| {
            let (nodes, outputs) = (updates.start.nodes(), updates.start.state_outputs());
            outputs.iter().map(|node| nodes[*node as usize].len()).collect()
        });
        Ok(Source { store, prepared, terms, step_lengths })
    }

    /// What roles are told of a job that the folder describes.
    pub fn terms(&self, job: &Job) -> Terms {
        let is_genesis_true = difference(&self.prepared.commits, &job.spec).is_none();
        Terms { is_genesis_true, ..self.terms.clone() }
    }

    /// States that follow from the manifest alone: the genesis state, and with compressed updates the reset.
    pub fn given(&self) -> impl Iterator<Item = &Arc<State>> {
        let reset = self.prepared.updates.as_ref().map(|updates| &updates.reset);
        std::iter::once(&self.prepared.genesis).chain(reset)
    }

    /// Whether the folder has what a job computes with: by every commitment of the job, and by what is registered of the data of each domain.
    pub fn describes<D: AsRef<Dataset>>(&self, job: &Job, datasets: &[Option<D>]) -> Match {
        if other_data(&self.prepared.manifest.domains, datasets).is_some() {
            return Match::No;
        }
        match difference(&self.prepared.commits, &job.spec) {
            None => Match::Yes,
            Some(Difference::Genesis) => Match::FalseGenesis,
            Some(Difference::Other(_) | Difference::Data(_)) => Match::No,
        }
    }

    /// Folders of the run that may hold states which others published, under any name.
    pub fn published(&self) -> Vec<PathBuf> {
        vec![self.store.run(), self.store.states()]
    }

    /// Elements of the entries of all that may lie on a shelf: of a base, of what a segment ends with where that is something else, and of
    /// what it hands over.
    pub fn shapes(&self) -> Vec<Vec<usize>> {
        let mut shapes = vec![shape(&self.prepared.genesis)];
        shapes.extend(self.step_lengths.clone());
        shapes.push(self.handed().to_vec());
        shapes
    }

    /// Elements of the entries of what a segment hands over.
    pub fn handed(&self) -> &[usize] {
        &self.terms.result_lengths
    }

    /// Bytes of states that lie here at once at most: the newest final base, the bases of the rounds that something is left to do about, and what their
    /// segments hand over. Rounds that were undone are among these until nobody can accuse anything of them: so many are in view.
    pub fn disk_bytes(&self, job: &Job, in_view: u32) -> u64 {
        let bytes = |elements: &[usize]| elements.iter().map(|count| *count as u64 * 4).sum::<u64>();
        let rounds = (u64::from(job.spec.lookahead) + 2).max(u64::from(in_view) + 1);
        let trainers = u64::from(job.awake(PoolKind::Trainer).count_ones()).max(1);
        let (base, result) = (bytes(&shape(&self.prepared.genesis)), bytes(&self.terms.result_lengths));
        // Beside an update its maker keeps the end that it was made of.
        let own = self.step_lengths.as_deref().map_or(0, bytes);
        rounds * (base + own + (trainers + 1) * result)
    }

    /// Elements of the entries of a state of this root, by what it is in the job.
    pub fn elements(&self, view: &View, root: &[u8; 32]) -> Vec<usize> {
        let spec = &view.job.spec;
        let of_segment =
            |segment: &Segment| segment.claim.result_root(spec) == root || segment.claim.previous_root == *root;
        // What a segment says it hands over makes no other thing of a base.
        let of_round = |seen: &Seen| seen.round.base_root == *root || seen.round.next_base == *root;
        let is_base = view.job.base_root == *root || view.rounds.iter().any(of_round);
        let is_result = view.rounds.iter().flat_map(|seen| &seen.segments).any(|stands| of_segment(&stands.state));
        if is_result && !is_base { self.terms.result_lengths.clone() } else { shape(&self.prepared.genesis) }
    }
}

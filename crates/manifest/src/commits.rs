//! What a chain's job commits of a manifest, and whether it is that.

use anyhow::{Context, Result};
use sip_proof::merkle::MerkleTree;
use sip_proof::{GraphRoots, Hash};
use sip_protocol::instructions::RegisterDataset;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::JobSpec;

use crate::table::Table;
use crate::value::{Domain, Manifest, Part};

/// What of a job is another than its manifest gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The genesis state alone, which is not what the job's own graph gives.
    Genesis,
    /// This, in words.
    Other(&'static str),
    /// The data of the domain of this number, which are not what its provider registered, or of which the chain shows nothing.
    Data(usize),
}

impl Domain {
    /// What a provider registers of it.
    pub fn registration(&self) -> RegisterDataset {
        RegisterDataset {
            domain: padded(&self.name),
            train_root: self.train_root,
            held_out_root: self.heldout_root,
            train_tokens: self.train_tokens,
            held_out_tokens: self.heldout_tokens,
            licence: padded(&self.licence),
        }
    }

    /// Whether a provider registered these tokens: both roots, and both counts, from which the windows are drawn.
    fn is_registered_as(&self, dataset: &Dataset) -> bool {
        (self.train_root, self.heldout_root) == (dataset.train_root, dataset.held_out_root)
            && (self.train_tokens, self.heldout_tokens) == (dataset.train_tokens, dataset.held_out_tokens)
    }
}

/// The first domain whose data are others than the chain's datasets: what is computed with other tokens than these the court convicts. Nor is one
/// that cannot be read the manifest's: no instruction closes a dataset, so that it is there.
pub fn other_data<D: AsRef<Dataset>>(domains: &[Domain], datasets: &[Option<D>]) -> Option<Difference> {
    let is_other = |(domain, dataset): (&Domain, &Option<D>)| {
        dataset.as_ref().is_none_or(|dataset| !domain.is_registered_as(dataset.as_ref()))
    };
    domains.iter().zip(datasets).position(is_other).map(Difference::Data)
}

/// A name in an account: cut to fit, padded with zeros.
fn padded(text: &str) -> [u8; 32] {
    let end = text.floor_char_boundary(32);
    let mut bytes = [0; 32];
    bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
    bytes
}

impl Manifest {
    /// Roots of one of its graphs.
    ///
    /// # Errors
    /// As [`Manifest::graph`].
    pub fn roots(&self, part: Part) -> Result<GraphRoots> {
        let graph = self.graph(part)?;
        let nodes: Vec<Vec<u8>> = graph.nodes().iter().map(|node| node.encode()).collect();
        // Graphs of training and scoring read the tables; the others read none.
        let tables: Vec<Hash> = match part {
            Part::Step | Part::Scoring => self.tables.iter().map(|table: &Table| table.root).collect(),
            _ => Vec::new(),
        };
        Ok(GraphRoots::new(&nodes, graph.state_outputs(), &tables))
    }

    /// What a job on chain says that computes with it, and nothing else: roots, counts and sizes. Its terms, the phases, the money and what
    /// stake steers are the creator's, and stand in the job alone.
    ///
    /// # Errors
    /// As [`Manifest::graph`].
    pub fn commits(&self) -> Result<JobSpec> {
        let (step, scoring) = (self.roots(Part::Step)?, self.roots(Part::Scoring)?);
        let averages = Part::averages().map(|part| self.roots(part)).collect::<Result<Vec<GraphRoots>>>()?;
        let mut spec = JobSpec {
            nodes_root: step.nodes_root,
            outputs_root: step.outputs_root,
            tables_root: step.tables_root,
            genesis_root: self.genesis_root,
            node_count: step.node_count,
            state_count: step.state_count,
            table_count: step.table_count,
            inner_steps: self.sizes.inner_steps,
            leaf_interval: self.sizes.leaf_interval,
            batch: self.sizes.batch,
            sequence_length: self.sizes.sequence_length,
            rounds: self.sizes.rounds,
            domain_count: self.domains.len() as u8,
            score_nodes_root: scoring.nodes_root,
            score_outputs_root: scoring.outputs_root,
            score_node_count: scoring.node_count,
            score_windows: self.sizes.score_windows,
            score_rows: self.sizes.score_rows,
            score_leaf_interval: self.sizes.score_leaf_interval,
            aggregates_root: MerkleTree::new(averages.iter().map(GraphRoots::aggregate_leaf)).root(),
            ..JobSpec::default()
        };
        if self.graphs.contains_key(&Part::Genesis) {
            let init = self.roots(Part::Genesis)?;
            spec.init_nodes_root = init.nodes_root;
            spec.init_outputs_root = init.outputs_root;
            spec.init_node_count = init.node_count;
        }
        if self.is_compressed() {
            let graphs = [self.roots(Part::Start)?, self.roots(Part::Update)?];
            spec.update_graphs_root = MerkleTree::new(graphs.iter().map(GraphRoots::aggregate_leaf)).root();
            spec.reset_update_root = self.reset_root;
            spec.update_entries = graphs[1].state_count;
            spec.base_entries = averages.first().map_or(0, |graph| graph.state_count);
        }
        Ok(spec)
    }

    /// Whether a job on chain, over these datasets of its domains, computes with it: the first difference.
    ///
    /// # Errors
    /// As [`Manifest::graph`].
    pub fn check<D: AsRef<Dataset>>(&self, job: &JobSpec, datasets: &[Option<D>]) -> Result<Option<Difference>> {
        let difference = difference(&self.commits()?, job);
        let is_other = matches!(difference, Some(Difference::Other(_)));
        Ok(if is_other { difference } else { other_data(&self.domains, datasets).or(difference) })
    }

    /// What differs, in words.
    pub fn words(&self, difference: Difference) -> String {
        match difference {
            Difference::Genesis => "the genesis state: the job committed another root than its manifest gives".into(),
            Difference::Other(what) => format!("{what}: the job committed something else than its manifest gives"),
            Difference::Data(number) => {
                let name = self.domains.get(number).map_or("a domain", |domain| &domain.name);
                format!("the data of {name} are not what its provider registered, or the chain shows no such dataset")
            }
        }
    }

    /// The elements of its tables.
    ///
    /// # Errors
    /// A table whose rule gives another root than it names.
    pub fn elements(&self) -> Result<Vec<sip_graph::Buffer>> {
        let table = |(number, table): (usize, &Table)| {
            table
                .elements()
                .with_context(|| format!("table {number} of the manifest has another root than its rule gives"))
        };
        self.tables.iter().enumerate().map(table).collect()
    }
}

/// The first difference of a job from what a manifest commits ([`Manifest::commits`]).
pub fn difference(commits: &JobSpec, job: &JobSpec) -> Option<Difference> {
    let roots = [
        ("the graph's nodes", commits.nodes_root, job.nodes_root),
        ("the graph's outputs", commits.outputs_root, job.outputs_root),
        ("the tables", commits.tables_root, job.tables_root),
        ("the scoring graph's nodes", commits.score_nodes_root, job.score_nodes_root),
        ("the scoring graph's outputs", commits.score_outputs_root, job.score_outputs_root),
        ("the graphs of the next base", commits.aggregates_root, job.aggregates_root),
        ("the graphs of updates", commits.update_graphs_root, job.update_graphs_root),
        ("the update to begin with", commits.reset_update_root, job.reset_update_root),
    ];
    let counts = [
        ("the numbers of nodes, entries and tables", counts(commits), counts(job)),
        ("the entries of updates", updates(commits), updates(job)),
        ("the sizes of steps and rounds", sizes(commits), sizes(job)),
        ("the windows of scoring", windows(commits), windows(job)),
    ];
    let root = roots.iter().find(|(_, ours, theirs)| ours != theirs).map(|(what, ..)| *what);
    let count = || counts.iter().find(|(_, ours, theirs)| ours != theirs).map(|(what, ..)| *what);
    if let Some(what) = root.or_else(count) {
        return Some(Difference::Other(what));
    }
    match (commits.genesis_root == job.genesis_root, init(commits) == init(job)) {
        (true, true) => None,
        (false, true) => Some(Difference::Genesis),
        // An import is the same state without the graph that it came from.
        (true, false) if job.init_node_count == 0 => None,
        (_, false) => Some(Difference::Other("the graph of the genesis state")),
    }
}

fn counts(spec: &JobSpec) -> [u32; 5] {
    [spec.node_count, spec.state_count, spec.table_count, spec.score_node_count, spec.domain_count.into()]
}

fn updates(spec: &JobSpec) -> [u32; 5] {
    [spec.update_entries, spec.base_entries, 0, 0, 0]
}

fn sizes(spec: &JobSpec) -> [u32; 5] {
    [spec.inner_steps, spec.leaf_interval, spec.batch, spec.sequence_length, spec.rounds]
}

fn windows(spec: &JobSpec) -> [u32; 5] {
    [spec.score_windows, spec.score_rows, spec.score_leaf_interval, 0, 0]
}

fn init(spec: &JobSpec) -> (Hash, Hash, u32) {
    (spec.init_nodes_root, spec.init_outputs_root, spec.init_node_count)
}

//! The scoring run: exact sums, the same everywhere, equal to the mean loss computed apart.

use sip_data::{TokenBlob, heldout_batches};
use sip_graph::{AdamW, Buffer, Executor, ExecutorOptions, Inputs};
use sip_kernels::{Simd, Threads};
use sip_model::heldout::{DOMAINS, STEP_TOKENS_MAX};
use sip_model::{LlamaConfig, Schedule, Shape, eval_graph, held_out_graph, init, tables};
use sip_node::scoring::{self, ScoringError};
use sip_node::{SegmentTask, State, Task, Worker};
use sip_proof::HostSha256;
use sip_proof::sampler::HeldOut;
use sip_protocol::training::evaluation;
use sip_protocol::training::job::JobSpec;
use std::sync::Arc;

const LEN: u32 = 16;
const HELD_OUT: HeldOut = HeldOut { windows: 6, rows: 2 };

fn config() -> LlamaConfig {
    LlamaConfig { vocab_size: 300, num_kv_heads: 2, ..LlamaConfig::preset("tiny").unwrap() }
}

fn blob(salt: u32, count: u32) -> Arc<TokenBlob> {
    Arc::new(TokenBlob::new((0..count).map(|i| (i * 7 + i * i * salt) % 300).collect()))
}

fn job_tables(config: &LlamaConfig) -> Vec<Buffer> {
    let schedule =
        Schedule { peak_rate: 1e-3, warmup_steps: 4, total_steps: 64, final_share: 0.1, shape: Shape::Cosine };
    tables(config, LEN as usize, &AdamW::default(), &schedule)
}

fn domains() -> Vec<Arc<TokenBlob>> {
    vec![blob(3, 400), blob(5, 17), blob(11, 90)]
}

/// A base that is far from uniform, so that losses differ.
fn base(config: &LlamaConfig, threads: &Arc<Threads>) -> Arc<State> {
    let mut entries = init(config, 5, threads).unwrap();
    for (number, value) in entries[0].iter_mut().enumerate() {
        *value = (f32::from_bits(*value) * (1 + number % 40) as f32).to_bits();
    }
    Arc::new(State::new(entries, threads))
}

fn run(threads: usize, simd: Simd, held_out: HeldOut) -> (sip_node::Segment, Task) {
    let (config, threads) = (config(), Arc::new(Threads::new(threads)));
    let task = Task::scoring(&config, held_out, LEN, job_tables(&config), domains()).unwrap();
    let segment = SegmentTask::scoring(&base(&config, &threads), &threads).unwrap();
    let mut worker = Worker::new(task.clone(), threads, simd);
    (worker.train(&segment, None, &mut |_| true).unwrap(), task)
}

/// Mean loss of each domain in micro-nats per token: the losses of tokens as f64 from logits in f64 arithmetic.
fn apart() -> Vec<f64> {
    let (config, threads) = (config(), Arc::new(Threads::new(2)));
    let (base, tables) = (base(&config, &threads), job_tables(&config));
    let graph = Arc::new(sip_model::logits_graph(&config, LEN as usize).unwrap());
    let mut executor = Executor::new(graph, threads, ExecutorOptions::default());
    let mut means = Vec::new();
    for domain in domains() {
        let mut sum = 0.0;
        for window in heldout_batches(&domain, 1, LEN, HELD_OUT.windows).unwrap() {
            for position in 0..LEN {
                let inputs = Inputs {
                    state: base.entries(),
                    batch: &window[..LEN as usize],
                    step: position,
                    tables: &tables,
                    settings: &[],
                };
                executor.run(&inputs, &mut [], None).unwrap();
                let logits: Vec<f64> =
                    executor.result("logits").unwrap().iter().map(|&bits| f64::from(f32::from_bits(bits))).collect();
                let greatest = logits.iter().copied().fold(f64::MIN, f64::max);
                let sum_of_powers: f64 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
                sum += sum_of_powers.ln() + greatest - logits[window[position as usize + 1] as usize];
            }
        }
        means.push(sum * 1e6 / f64::from(HELD_OUT.windows * LEN));
    }
    means
}

#[test]
fn scores_lie_within_a_micro_nat_of_the_loss_computed_in_double_precision() {
    let (run, _) = run(2, Simd::detect(), HELD_OUT);
    let spec = JobSpec {
        domain_count: 3,
        score_windows: HELD_OUT.windows,
        score_rows: HELD_OUT.rows,
        sequence_length: LEN,
        ..JobSpec::default()
    };
    let sums = scoring::sums(&run.end);
    let scores = evaluation::scores(&spec, &sums).unwrap();
    let apart = apart();
    for ((score, sum), expected) in scores.iter().zip(sums).zip(&apart) {
        let mean = sum as f64 / f64::from(HELD_OUT.windows * LEN);
        assert!((mean - expected).abs() <= 1.0, "{mean} instead of {expected}");
        // A score is the mean rounded down.
        assert_eq!(*score, mean as u32);
    }
    assert!(apart[0] > 6e6 && (apart[0] - apart[2]).abs() > 1e4, "{apart:?} tells nothing apart");
    assert_eq!(scores[3..], [0; 5]);
}

#[test]
fn a_scoring_run_is_the_same_segment_on_every_machine() {
    let (first, task) = run(2, Simd::detect(), HELD_OUT);
    let (second, _) = run(1, Simd::Scalar, HELD_OUT);
    assert_eq!((&first.leaves, first.end.root()), (&second.leaves, second.end.root()));
    assert_eq!(first.leaves.len(), 1);
    assert_eq!((first.leaves[0].count, task.inner_steps), (9, 9));
    // Other rows a step are another commitment, but the same sums of the same windows: nothing is rounded between them.
    let (whole, _) = run(3, Simd::detect(), HeldOut { rows: 6, ..HELD_OUT });
    assert_eq!(scoring::sums(&whole.end), scoring::sums(&first.end));
    assert_ne!(whole.accumulator_root(), first.accumulator_root());
}

#[test]
fn what_an_evaluator_claims_is_the_state_of_the_run() {
    let (run, task) = run(2, Simd::detect(), HELD_OUT);
    let spec = JobSpec {
        domain_count: 3,
        score_windows: HELD_OUT.windows,
        score_rows: HELD_OUT.rows,
        score_leaf_interval: task.leaf_interval,
        ..JobSpec::default()
    };
    let claim = evaluation::claim::<HostSha256>(&spec, &scoring::sums(&run.end), &run.accumulator_root(), 0);
    assert_eq!((claim.start_root, claim.end_root), (run.leaves[0].start_root, run.end.root()));
    assert_eq!(claim.leaf_count as usize, run.leaves.len());
    // The graph's tables are the job's, and its state is one tensor.
    assert_eq!(task.roots.tables_root, Task::commit(&task.graph, &job_tables(&config())).tables_root);
    assert_eq!(task.roots.state_count, 1);
}

#[test]
fn sums_carry_into_their_upper_half_and_losses_are_bounded() {
    let (config, threads) = (config(), Arc::new(Threads::new(2)));
    // Logits so far apart that most tokens cost more than the bound.
    let mut entries = init(&config, 5, &threads).unwrap();
    entries[0].iter_mut().for_each(|value| *value = (f32::from_bits(*value) * 1e6).to_bits());
    let base = State::new(entries, &threads);
    let graph = Arc::new(held_out_graph(&config, 2, LEN as usize, 3).unwrap());
    let tables = job_tables(&config);
    let mut executor = Executor::new(graph, Arc::clone(&threads), ExecutorOptions::default());
    let window = &heldout_batches(&domains()[0], 2, LEN, 2).unwrap()[0];
    let losses = {
        let graph = Arc::new(eval_graph(&config, 2, LEN as usize).unwrap());
        let mut executor = Executor::new(graph, threads, ExecutorOptions::default());
        let inputs = Inputs { state: base.entries(), batch: window, step: 0, tables: &tables, settings: &[] };
        executor.run(&inputs, &mut [], None).unwrap();
        sip_model::heldout::micro_nats(executor.result("row_bytes").unwrap())
    };
    let bound = u64::from(2 * LEN) * 2_000_000_000;
    assert!(losses > 1 << 33 && losses <= bound, "{losses} of {bound}");
    // The fourth step is the first of domain 1; its sum starts just below a carry.
    let mut sums = Buffer::new(2 * DOMAINS);
    (sums[2], sums[3]) = (u32::MAX, 7);
    sums[0] = 42;
    let state: Vec<Buffer> = std::iter::once(sums).chain(base.entries().iter().cloned()).collect();
    let mut next = [Buffer::new(2 * DOMAINS)];
    let inputs = Inputs { state: &state, batch: window, step: 3, tables: &tables, settings: &[] };
    executor.run(&inputs, &mut next, None).unwrap();
    let after = u64::from(next[0][3]) << 32 | u64::from(next[0][2]);
    assert_eq!(after, (7 << 32 | u64::from(u32::MAX)) + losses);
    assert_eq!((next[0][0], &next[0][4..]), (42, &[0; 12][..]));
}

#[test]
fn runs_that_cannot_be_are_refused() {
    let config = config();
    let task = |held_out, domains| Task::scoring(&config, held_out, LEN, job_tables(&config), domains);
    let short = vec![blob(3, 400), blob(3, LEN)];
    assert!(matches!(task(HELD_OUT, short), Err(ScoringError::Data(_))));
    assert!(matches!(task(HELD_OUT, Vec::new()), Err(ScoringError::Windows { .. })));
    assert!(matches!(task(HELD_OUT, vec![blob(3, 90); 9]), Err(ScoringError::Windows { .. })));
    let uneven = HeldOut { windows: 7, rows: 2 };
    assert!(matches!(task(uneven, domains()), Err(ScoringError::Windows { .. })));
    let rows = STEP_TOKENS_MAX / LEN as usize + 1;
    assert!(held_out_graph(&config, rows, LEN as usize, 1).is_err());
    // What a job chooses by itself always fits.
    for (windows, batch, length) in [(1, 8, 128), (33, 8, 16), (16, 4096, 2048), (4, 1, 1 << 16)] {
        let chosen = scoring::held_out(windows, batch, length);
        assert!(chosen.windows >= windows && chosen.steps_per_domain().is_some());
        assert!((chosen.rows * length) as usize <= STEP_TOKENS_MAX);
    }
}

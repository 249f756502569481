//! Cross-entropies of rows of tokens and marks: what `sip finetune` measures on held-out data.

use anyhow::Result;
use sip_graph::{Buffer, Executor, ExecutorOptions, Inputs};
use sip_model::{LlamaConfig, Trained, score_graph};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::metrics::{PREFERENCE_LOSS, PREFERENCE_MARGIN, PREFERRED_SHARE};
use crate::session::Measure;
use sip_manifest::machine::Machine;
use sip_report::Progress;

/// A model that scores rows of tokens and marks.
pub(crate) struct Scorer {
    executor: Executor,
    tables: Rc<Vec<Buffer>>,
    row_elements: usize,
}

impl Scorer {
    /// Rows that are scored at once.
    const ROWS: usize = 4;

    pub(crate) fn new(
        config: &LlamaConfig,
        sequence: usize,
        trained: &Trained,
        tables: Rc<Vec<Buffer>>,
        machine: &Machine,
    ) -> Result<Scorer> {
        let graph = Arc::new(score_graph(config, Scorer::ROWS, sequence, trained)?);
        let options = ExecutorOptions { simd: machine.simd, ..ExecutorOptions::default() };
        let executor = Executor::new(graph, Arc::clone(&machine.threads), options);
        Ok(Scorer { executor, tables, row_elements: 2 * (sequence + 1) })
    }

    /// Sum of the cross-entropies of the marked tokens of every row.
    pub(crate) fn cross_entropies(&mut self, state: &[Buffer], rows: &[u32], progress: Progress) -> Result<Vec<f32>> {
        let bar = progress.bar((rows.len() / self.row_elements) as u64, "scoring");
        let mut found = Vec::new();
        for some in rows.chunks(Scorer::ROWS * self.row_elements) {
            let mut batch = some.to_vec();
            // Rows that are missing hold no mark.
            batch.resize(Scorer::ROWS * self.row_elements, 0);
            let inputs = Inputs { state, batch: &batch, step: 0, tables: &self.tables, settings: &[] };
            self.executor.run(&inputs, &mut [], None)?;
            let sums = self.executor.result("cross_entropy").unwrap_or(&[]);
            let count = some.len() / self.row_elements;
            found.extend(sums.iter().take(count).map(|&bits| f32::from_bits(bits)));
            bar.inc(count as u64);
        }
        drop(bar);
        Ok(found)
    }
}

/// On held-out rows: the loss in nats per token; of pairs, with (β, log-probabilities of the reference), the loss, the share
/// of pairs whose chosen answer gained more, and by how much, in nats.
pub(crate) fn measure(
    mut scorer: Scorer,
    held_out: Vec<(String, Vec<u32>)>,
    reference: Option<(f32, Vec<f32>)>,
) -> Measure {
    Box::new(move |state| {
        let mut found = BTreeMap::new();
        for (name, rows) in held_out.iter().filter(|(_, rows)| !rows.is_empty()) {
            let sums = scorer.cross_entropies(state, rows, Progress::new(true))?;
            let Some((beta, reference)) = &reference else {
                let half = scorer.row_elements / 2;
                let counted: u64 = rows.chunks(half).skip(1).step_by(2).flatten().map(|&mark| u64::from(mark)).sum();
                let total: f64 = sums.iter().map(|&sum| f64::from(sum)).sum();
                found.insert(name.clone(), total / counted.max(1) as f64);
                continue;
            };
            let margin = |(sums, reference): (&[f32], &[f32])| {
                let gain = |side: usize| -f64::from(sums[side]) - f64::from(reference[side]);
                gain(0) - gain(1)
            };
            let margins: Vec<f64> = sums.chunks_exact(2).zip(reference.chunks_exact(2)).map(margin).collect();
            let mean = |value: &dyn Fn(f64) -> f64| {
                margins.iter().map(|&margin| value(margin)).sum::<f64>() / margins.len().max(1) as f64
            };
            found.insert(PREFERENCE_LOSS.into(), mean(&|margin| softplus(-f64::from(*beta) * margin)));
            found.insert(PREFERRED_SHARE.into(), mean(&|margin| f64::from(u8::from(margin > 0.0))));
            found.insert(PREFERENCE_MARGIN.into(), mean(&|margin| margin));
        }
        Ok(found)
    })
}

/// ln(1 + exp(x)), also where exp(x) is beyond all numbers.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::softplus;

    #[test]
    fn the_loss_of_a_preference_is_finite_however_wrong_it_is() {
        for x in [-3.0, -0.5, 0.0, 1e-9, 2.0, 30.0] {
            assert!((softplus(x) - f64::exp(x).ln_1p()).abs() < 1e-12, "{x}");
        }
        assert_eq!((softplus(5000.0), softplus(-5000.0)), (5000.0, 0.0));
    }
}

//! Manifests.

use anyhow::Result;
use serde_json::{Value, json};
use sip_data::hex;
use sip_manifest::table::{Rotary, Rule, Table};
use sip_manifest::value::{Manifest, Part};
use sip_model::Outer;
use sip_proof::{GraphRoots, HostSha256};
use sip_report::count;

fn tables_of(manifest: &Manifest) -> Vec<Value> {
    let rotary =
        |rotary: &Rotary| json!({ "pairs": rotary.pairs, "positions": rotary.positions, "theta": rotary.theta });
    let parameters = |table: &Table| match &table.rule {
        Rule::Elements(elements) => json!({ "elements": elements.len() }),
        Rule::Steps { schedule, beta1, beta2 } => json!({
            "total_steps": schedule.total_steps, "warmup_steps": schedule.warmup_steps, "peak_rate": schedule.peak_rate,
            "final_share": schedule.final_share, "shape": format!("{:?}", schedule.shape), "beta1": beta1, "beta2": beta2,
        }),
        Rule::Cosines(angles) | Rule::Sines(angles) => rotary(angles),
    };
    let each =
        |table: &Table| json!({ "rule": table.rule.name(), "root": hex(&table.root), "parameters": parameters(table) });
    manifest.tables.iter().map(each).collect()
}

/// For programs.
///
/// # Errors
/// A graph that cannot be read.
pub fn as_json(manifest: &Manifest) -> Result<Value> {
    let sizes = &manifest.sizes;
    let graphs = manifest.graphs.iter().map(|(part, bytes)| {
        let GraphRoots { nodes_root, outputs_root, node_count, state_count, .. } = manifest.roots(*part)?;
        Ok(json!({
            "graph": part.name(), "bytes": bytes.len(), "nodes": node_count, "outputs": state_count,
            "nodes_root": hex(&nodes_root), "outputs_root": hex(&outputs_root),
        }))
    });
    let commits = manifest.commits()?;
    let domains = manifest.domains.iter().map(|domain| {
        json!({
            "name": domain.name, "licence": domain.licence, "train_root": hex(&domain.train_root),
            "train_tokens": domain.train_tokens, "heldout_root": hex(&domain.heldout_root), "heldout_tokens": domain.heldout_tokens,
        })
    });
    Ok(json!({
        "manifest": hex(&manifest.hash()),
        "bytes": manifest.to_bytes().len(),
        "updates": if manifest.is_compressed() { "compressed" } else { "whole" },
        "sizes": {
            "batch": sizes.batch, "sequence_length": sizes.sequence_length, "inner_steps": sizes.inner_steps,
            "leaf_interval": sizes.leaf_interval, "rounds": sizes.rounds, "score_windows": sizes.score_windows,
            "score_rows": sizes.score_rows, "score_leaf_interval": sizes.score_leaf_interval,
        },
        "model": manifest.model,
        "optimizer": manifest.optimizer.map(|optimizer| json!({
            "beta1": optimizer.beta1, "beta2": optimizer.beta2, "epsilon": optimizer.epsilon,
            "weight_decay": optimizer.weight_decay, "clip_norm": optimizer.clip_norm,
            "steered_learning_rate": optimizer.steered.learning_rate, "steered_weight_decay": optimizer.steered.weight_decay,
        })),
        "codec": manifest.codec.map(|codec| json!({
            "chunk": codec.chunk, "keep": codec.keep,
            "outer": match codec.outer {
                Outer::Mean => json!(null),
                Outer::Nesterov { rate, momentum } => json!({ "rate": rate, "momentum": momentum }),
            },
        })),
        "genesis_seed": manifest.genesis_seed.to_string(),
        "genesis_root": hex(&manifest.genesis_root),
        "reset_update_root": hex(&manifest.reset_root),
        "tokenizer": hex(&manifest.tokenizer.root),
        "tokenizer_bytes": manifest.tokenizer.bytes,
        "domains": domains.collect::<Vec<Value>>(),
        "tables": tables_of(manifest),
        "tables_root": hex(&commits.tables_root),
        "aggregates_root": hex(&commits.aggregates_root),
        "graphs": graphs.collect::<Result<Vec<Value>>>()?,
        "graph_root": hex(&manifest.roots(Part::Step)?.root::<HostSha256>()),
    }))
}

/// For people, in lines.
///
/// # Errors
/// A graph that cannot be read.
pub fn as_text(manifest: &Manifest) -> Result<Vec<String>> {
    let sizes = &manifest.sizes;
    let mut lines = vec![
        format!("Manifest {}", hex(&manifest.hash())),
        format!(
            "Training: {} of {}, {} a leaf, {} of {} tokens a step; segments hand over {}",
            count(sizes.rounds, "round"),
            count(sizes.inner_steps, "step"),
            count(sizes.leaf_interval, "step"),
            count(sizes.batch, "row"),
            sizes.sequence_length,
            if manifest.is_compressed() { "compressed updates" } else { "whole states" },
        ),
        format!(
            "Scoring: {} of each domain, {} a step, {} a leaf",
            count(sizes.score_windows, "window"),
            sizes.score_rows,
            count(sizes.score_leaf_interval, "step"),
        ),
    ];
    if let Some(model) = &manifest.model {
        lines.push(format!(
            "Model: {} of width {}, {}, vocabulary {}",
            count(model.num_layers as u32, "layer"),
            model.hidden_size,
            count(model.num_heads as u32, "head"),
            model.vocab_size,
        ));
    }
    lines.push(format!("Genesis state {}, seed {}", hex(&manifest.genesis_root), manifest.genesis_seed));
    lines.push(format!("Tokenizer {}, {}", hex(&manifest.tokenizer.root), count(manifest.tokenizer.bytes, "byte")));
    for domain in &manifest.domains {
        let licence = if domain.licence.is_empty() { "licence not known" } else { &domain.licence };
        lines.push(format!(
            "Domain {} ({licence}): {} tokens {}, held out {} tokens {}",
            domain.name,
            domain.train_tokens,
            hex(&domain.train_root),
            domain.heldout_tokens,
            hex(&domain.heldout_root),
        ));
    }
    for (number, table) in manifest.tables.iter().enumerate() {
        lines.push(format!(
            "Table {number} ({}): {} elements, root {}",
            table.rule.name(),
            table.rule.len(),
            hex(&table.root)
        ));
    }
    for (part, bytes) in &manifest.graphs {
        let roots = manifest.roots(*part)?;
        lines.push(format!(
            "Graph {}: {}, {} bytes, nodes root {}",
            part.name(),
            count(roots.node_count, "node"),
            bytes.len(),
            hex(&roots.nodes_root),
        ));
    }
    Ok(lines)
}

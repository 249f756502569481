//! Frauds of trainers that are played on purpose: which step, operator and element they touch.

use sip_graph::Graph;
use sip_node::Cheat;
use sip_ops::{Kind, NodeSpec};
use sip_proof::{HostSha256, Sha256};

use crate::settings::{Fraud, STEERED};

/// What a fraud does to a trainer's steps, with all its details, drawn from a seed: of the round with this number, at this attempt; nothing
/// where the work is honest.
pub fn cheat(fraud: Fraud, graph: &Graph, (seed, inner_steps): (u64, u32), at: (u32, u32)) -> Option<Cheat> {
    let (number, attempt) = at;
    let attempt = if attempt == 0 { Vec::new() } else { attempt.to_le_bytes().to_vec() };
    let hash = HostSha256::hashv(&[b"sip.fraud.1", &seed.to_le_bytes(), &number.to_le_bytes(), &attempt]);
    let draw = |at: usize, below: usize| {
        let word = u32::from_le_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]);
        (u64::from(word) % below.max(1) as u64) as u32
    };
    // A bit flipped just anywhere may be rounded away before it reaches the state. These are the places where it is not: the
    // gradients of weights (but for the embedding's, most of which are zero) and the new weights themselves.
    let (nodes, outputs) = (graph.nodes(), graph.state_outputs());
    let weights = outputs.len() / 3;
    let embedding = outputs.first().map_or(0, |output| nodes[*output as usize].len());
    let moments: Vec<u32> = outputs[weights..2 * weights].to_vec();
    let reads = |node: &NodeSpec, gradient: usize| node.operands.iter().any(|o| o.node as usize == gradient);
    let is_gradient = |n: &usize| {
        nodes[*n].kind == Kind::Contract
            && nodes[*n].len() != embedding
            && moments.iter().any(|moment| reads(&nodes[*moment as usize], *n))
    };
    let contracts: Vec<usize> = (0..nodes.len()).filter(is_gradient).collect();
    let maps: Vec<usize> =
        outputs[1..weights].iter().map(|o| *o as usize).filter(|o| nodes[*o].kind == Kind::Map).collect();
    match fraud {
        Fraud::Lazy => Some(Cheat::Lazy),
        Fraud::Poison => Some(Cheat::Poison { node: contracts.last().copied().unwrap_or(0) as u32 }),
        Fraud::WrongData => Some(Cheat::WrongData { domain: 0 }),
        Fraud::WrongSetting => Some(Cheat::WrongSetting { setting: 0, value: STEERED[0].upper }),
        Fraud::FlipBit | Fraud::Late => {
            let candidates = if hash[31] & 1 == 0 { contracts } else { maps };
            let node = candidates.get(draw(0, candidates.len()) as usize).copied().unwrap_or(0);
            Some(Cheat::FlipBit {
                step: draw(4, inner_steps as usize),
                node: node as u32,
                element: draw(8, nodes[node].len()),
                // The highest bit of the fraction: the value changes by up to half, and stays finite.
                bit: 22,
            })
        }
        // Their work is honest.
        _ => None,
    }
}

//! The operators at full speed: SIMD chosen at run time, threads across outputs only, bit for bit equal to `sip-ops`.
//!
//! ```text
//! let kernel = Kernel::new(&spec, Simd::from_environment()?);   // once: all pattern matching
//! kernel.run(&operands, &mut out, &threads)?;                   // often
//! ```
//! Every output element is one ascending chain, so neither the SIMD level nor the number of threads nor any block size
//! can change a bit of it.
// Loops over the index of fixed lanes are what the compiler vectorises best.
#![expect(clippy::needless_range_loop)]

mod address;
mod chain;
mod contract;
mod contract_i8;
mod index;
mod level;
mod map;
mod math;
mod matvec;
mod memory;
mod pack;
mod partial;
mod product;
mod reduce;
mod sides;
mod simd;
mod threads;
mod tile;

pub use memory::use_huge_pages;
pub use simd::{Simd, SimdError};
pub use threads::{MAX_THREADS, Threads, ThreadsError};

use chain::Chain;
use contract::Contract;
use contract_i8::ContractI8;
use index::{Gather, Scatter};
use map::Map;
use matvec::Matvec;
use reduce::Reduce;
use sip_arith::{NAN, Native, is_exact_here, is_fault};
use sip_ops::{Kind, MAX_LABELS, MAX_OPERANDS, MAX_OUT_LABELS, MAX_PROGRAM, MAX_REDUCE_LABELS, MAX_TERMS};
use sip_ops::{Node, NodeSpec, Type, evaluate_element};

/// Bytes per row, column, batch or term while tables are made.
const TABLE_BYTES: usize = 128;

/// Why a kernel did not give a tensor of finite values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An f32 output element is a NaN or an infinity. The whole output is written.
    #[error("output element {index} is not finite (bits {bits:#010x})")]
    NotFinite {
        /// The lowest index of such an element.
        index: u64,
        /// Its bits.
        bits: u32,
    },
    /// A gathered address lies outside its operand. The output is unspecified.
    #[error("output element {index} gathers from outside its operand")]
    OutOfRange {
        /// The lowest index of such an element.
        index: u64,
    },
    /// The node is no valid operator, the slices passed do not fit it, or the thread does not compute as IEEE-754 says. The output is
    /// untouched.
    #[error("kernel cannot run: {0}")]
    Misuse(String),
}

/// A node prepared to run: the pattern matching is done, the tables are built.
pub struct Kernel {
    simd: Simd,
    bytes: Vec<u8>,
    kind: Kind,
    dtype: Type,
    out_len: usize,
    /// Least length of each operand's tensor.
    lengths: Vec<usize>,
    plan: Result<Plan, String>,
}

/// The way to compute a node.
enum Plan {
    Contract(Box<Contract>),
    Matvec(Matvec),
    ContractI8(ContractI8),
    Reduce(Reduce),
    Map(Map),
    Gather(Gather),
    Scatter(Scatter),
    Chain(Chain),
}

impl Kernel {
    /// Prepares a node. A level that the processor lacks is lowered to one that it has. An invalid node is reported by
    /// [`Kernel::run`].
    pub fn new(spec: &NodeSpec, simd: Simd) -> Kernel {
        Kernel::prepare(spec, simd, false)
    }

    /// Prepares a contraction, a reduction or a scattered sum whose chains go on from what `out` holds when it runs (finite values),
    /// instead of starting at their identity. A long chain can thus run as kernels over ascending slices of its terms: the first by
    /// [`Kernel::new`], the others by this, give the bits of the whole. A node of another kind, or one that starts from an operand,
    /// is reported by [`Kernel::run`].
    pub fn new_accumulating(spec: &NodeSpec, simd: Simd) -> Kernel {
        Kernel::prepare(spec, simd, true)
    }

    fn prepare(spec: &NodeSpec, simd: Simd, accumulates: bool) -> Kernel {
        let checked = check(spec);
        let plan = checked.clone().and_then(|_| {
            if accumulates && (spec.starts_from_operand || matches!(spec.kind, Kind::Map | Kind::Gather)) {
                return Err("only a chain without a start operand can go on from its output".into());
            }
            Ok(match spec.kind {
                Kind::Input => return Err("an input has no kernel".into()),
                Kind::Contract => {
                    let product = Matvec::new(spec, accumulates).map(Plan::Matvec);
                    let product = product.or_else(|| {
                        Contract::new(spec, simd.or_slower(), accumulates)
                            .map(|product| Plan::Contract(Box::new(product)))
                    });
                    product.unwrap_or_else(|| Plan::Chain(Chain::new(spec, accumulates)))
                }
                Kind::ReduceAdd | Kind::ReduceMax => match Reduce::new(spec, accumulates) {
                    Some(reduce) => Plan::Reduce(reduce),
                    None => Plan::Chain(Chain::new(spec, accumulates)),
                },
                Kind::ContractI8 => match ContractI8::new(spec, accumulates) {
                    Some(product) => Plan::ContractI8(product),
                    None => Plan::Chain(Chain::new(spec, accumulates)),
                },
                Kind::Map => Plan::Map(Map::new(spec)?),
                Kind::Gather => Plan::Gather(Gather::new(spec)),
                Kind::ScatterAdd => match Scatter::new(spec, accumulates) {
                    Some(scatter) => Plan::Scatter(scatter),
                    None => Plan::Chain(Chain::new(spec, accumulates)),
                },
            })
        });
        Kernel {
            simd: simd.or_slower(),
            bytes: if plan.is_ok() { spec.encode() } else { Vec::new() },
            kind: spec.kind,
            dtype: spec.dtype,
            out_len: if plan.is_ok() { spec.len() } else { 0 },
            lengths: checked.unwrap_or_default(),
            plan,
        }
    }

    /// Why the node cannot run, if it is no valid operator.
    pub fn error(&self) -> Option<&str> {
        self.plan.as_ref().err().map(String::as_str)
    }

    /// Bytes of the tables that preparing this node takes, at most: products and chains keep addresses per row, column, batch and term.
    pub fn table_bytes(spec: &NodeSpec) -> usize {
        let mut groups = [1usize; 4];
        for (label, &size) in spec.out_sizes.iter().enumerate() {
            let moves = |operand: usize| spec.operands.get(operand).is_some_and(|o| o.strides.get(label) != Some(&0));
            let group = &mut groups[moves(0) as usize + 2 * moves(1) as usize];
            *group = group.saturating_mul(size as usize);
        }
        // Outputs that both or neither operand sees are one group.
        let shared = groups[0].saturating_mul(groups[3]);
        let lines = match spec.kind {
            Kind::Contract | Kind::ContractI8 => {
                [shared, groups[1], groups[2]].into_iter().fold(0, usize::saturating_add)
            }
            _ => 0,
        };
        lines.saturating_add(spec.terms()).saturating_mul(TABLE_BYTES)
    }

    /// The level in use.
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// Computes the whole output (from what it holds, where the kernel accumulates). `operands` are the tensors that the node's operands read, in the order of the operands, as bits;
    /// f32 values must be finite. `out` has one element per output element.
    pub fn run(&self, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> Result<(), Fault> {
        let plan = self.plan.as_ref().map_err(|text| Fault::Misuse(text.clone()))?;
        if !is_exact_here() {
            return Err(Fault::Misuse(
                "a library has set this thread's floating point unit to drop small numbers or to round otherwise; \
                 run in a process, or start from a thread, that it has not touched"
                    .into(),
            ));
        }
        if out.len() != self.out_len || operands.len() != self.lengths.len() {
            return Err(Fault::Misuse(format!(
                "expected {} operands and {} output elements, got {} and {}",
                self.lengths.len(),
                self.out_len,
                operands.len(),
                out.len()
            )));
        }
        for (number, (operand, &length)) in operands.iter().zip(&self.lengths).enumerate() {
            if operand.len() < length {
                return Err(Fault::Misuse(format!(
                    "expected at least {length} elements in operand {number}, got {}",
                    operand.len()
                )));
            }
        }
        let is_fault = match plan {
            Plan::Contract(contract) => contract.run(self.simd, operands, out, threads),
            Plan::Matvec(product) => product.run(self.simd, operands, out, threads),
            Plan::ContractI8(product) => {
                product.run(self.simd, operands, out, threads);
                false
            }
            Plan::Reduce(reduce) => reduce.run(self.simd, operands, out, threads),
            Plan::Map(map) => map.run(self.simd, operands, out, threads),
            Plan::Gather(gather) => gather.run(operands, out, threads).map_err(|index| Fault::OutOfRange { index })?,
            Plan::Scatter(scatter) => scatter.run(operands, out, threads),
            Plan::Chain(chain) => chain.run(self.simd, operands, out, threads),
        };
        if is_fault && self.dtype == Type::F32 { Err(self.report(operands, out)) } else { Ok(()) }
    }

    /// Gives NaNs the bits that the definition gives them, and finds the first element that is not finite.
    #[cold]
    fn report(&self, operands: &[&[u32]], out: &mut [u32]) -> Fault {
        let mut first = None;
        for (index, value) in out.iter_mut().enumerate().filter(|(_, value)| is_fault(**value)) {
            if f32::from_bits(*value).is_nan() {
                *value = match self.kind {
                    // The sign of a NaN depends on the program.
                    Kind::Map => Node::parse(&self.bytes)
                        .ok()
                        .and_then(|node| evaluate_element::<Native>(&node, index as u64, operands))
                        .unwrap_or(NAN),
                    Kind::Gather | Kind::ReduceMax => *value,
                    _ => NAN,
                };
            }
            first.get_or_insert((index, *value));
        }
        match first {
            Some((index, bits)) => Fault::NotFinite { index: index as u64, bits },
            None => Fault::Misuse("a fault was seen that is not there: an operand changed during the run".into()),
        }
    }
}

/// Checks all that the kernels rely on, and gives the least length of each operand's tensor.
fn check(spec: &NodeSpec) -> Result<Vec<usize>, String> {
    let (out, reduce) = (spec.out_sizes.len(), spec.reduce_sizes.len());
    if out > MAX_OUT_LABELS || reduce > MAX_REDUCE_LABELS || spec.operands.len() > MAX_OPERANDS {
        return Err(format!("a node has at most {MAX_LABELS} labels and {MAX_OPERANDS} operands"));
    }
    if spec.program.len() > MAX_PROGRAM {
        return Err(format!("a program has at most {MAX_PROGRAM} instructions"));
    }
    let sizes = || spec.out_sizes.iter().chain(&spec.reduce_sizes);
    let product = |sizes: &[u32]| sizes.iter().fold(1u128, |product, &size| product * size as u128);
    if sizes().any(|&size| size == 0) {
        return Err("a label has size 0".into());
    }
    if product(&spec.out_sizes) > 1 << 31 || product(&spec.reduce_sizes) > MAX_TERMS as u128 {
        return Err("an output has at most 2^31 elements, and a chain 2^16 terms".into());
    }
    if spec.operands.iter().any(|operand| operand.strides.len() != out + reduce) {
        return Err("an operand has not one stride per label".into());
    }
    Node::parse(&spec.encode()).map_err(|error| error.0.to_string())?;
    let mut lengths = Vec::new();
    for (number, operand) in spec.operands.iter().enumerate() {
        let (low, high) = spec.reach(operand);
        // What a gather selects depends on data and is checked at every access.
        if spec.kind == Kind::Gather && number == 1 {
            lengths.push(0);
            continue;
        }
        if low < 0 {
            return Err(format!("operand {number} is read at the negative address {low}"));
        }
        lengths.push(usize::try_from(high + 1).map_err(|_| format!("operand {number} is too long"))?);
    }
    Ok(lengths)
}

//! Where tensors lie: one arena, in which memory is used again when its tensor is no longer read.

use super::work::{Home, Item, Uses, Work};

/// Tensors start on cache lines of 16 elements.
const LINE: usize = 16;

/// Offsets of a work's computed tensors.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Per tensor; 0 for those that lie elsewhere.
    pub(crate) offsets: Vec<usize>,
    /// Per item, the offset and the layout of a loop whose slices run one after the other.
    pub(crate) loops: Vec<Option<(usize, Layout)>>,
    /// Elements in all.
    pub(crate) len: usize,
}

/// Something that needs memory from one item to another, both included.
struct Need {
    len: usize,
    from: usize,
    to: usize,
    offset: usize,
}

impl Layout {
    /// Gives the largest tensors their memory first, each the lowest that is free for as long as it is needed.
    pub(crate) fn of(work: &Work) -> Layout {
        let uses = Uses::of(work);
        let mut layout = Layout { offsets: vec![0; work.tensors.len()], ..Layout::default() };
        let mut needs: Vec<(Need, Target)> = Vec::new();
        for (number, tensor) in work.tensors.iter().enumerate() {
            let Some(from) = uses.writer[number].filter(|_| tensor.home == Home::Computed) else { continue };
            let last = if tensor.kept { work.items.len() } else { from };
            let to = uses.readers[number].iter().copied().fold(last, usize::max);
            let len = tensor.len.next_multiple_of(LINE);
            needs.push((Need { len, from, to, offset: 0 }, Target::Tensor(number)));
        }
        for (number, item) in work.items.iter().enumerate() {
            let inner = match item {
                Item::Loop(inner) if !inner.parallel => Some((0, Layout::of(&inner.work))),
                _ => None,
            };
            if let Some((_, inner)) = &inner {
                let need = Need { len: inner.len, from: number, to: number, offset: 0 };
                needs.push((need, Target::Loop(number)));
            }
            layout.loops.push(inner);
        }
        needs.sort_by_key(|(need, _)| std::cmp::Reverse(need.len));
        for place in 0..needs.len() {
            let (placed, rest) = needs.split_at_mut(place);
            let (need, target) = &mut rest[0];
            let meets = |other: &Need| other.from <= need.to && need.from <= other.to;
            let mut taken: Vec<(usize, usize)> = placed
                .iter()
                .filter(|(other, _)| meets(other))
                .map(|(other, _)| (other.offset, other.offset + other.len))
                .collect();
            taken.sort_unstable();
            let mut offset = 0;
            for (start, end) in taken {
                if offset + need.len <= start {
                    break;
                }
                offset = offset.max(end);
            }
            need.offset = offset;
            layout.len = layout.len.max(offset + need.len);
            match *target {
                Target::Tensor(number) => layout.offsets[number] = offset,
                Target::Loop(number) => layout.loops[number].iter_mut().for_each(|(place, _)| *place = offset),
            }
        }
        layout
    }
}

enum Target {
    Tensor(usize),
    Loop(usize),
}

//! A node from any bytes: nothing that it offers may panic, its bytes are the only ones for it, and the chain is the same
//! on integers as on the hardware.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use sip_arith::{Native, Soft};
use sip_fuzz::{node_bytes, take};
use sip_ops::{MAX_ELEMENTS, MAX_LABELS, MAX_TERMS, Node, NodeSpec, PIECE_TERMS};

/// Everything by number, with numbers that the node has and numbers that it does not have.
fn read_all(node: &Node<'_>, number: usize) {
    let _ = (node.kind(), node.is_u32(), node.source(), node.constraint(), node.initial(), node.is_empty());
    for label in (0..MAX_LABELS + 2).chain([number, usize::MAX]) {
        let size = node.size(label);
        assert_eq!(size == 0, label >= node.labels(), "label {label} has size {size}");
        for operand in (0..10).chain([number, usize::MAX]) {
            let stride = node.stride(operand, label);
            assert!(stride == 0 || (operand < node.operands() && label < node.labels()));
            let _ = (node.operand_node(operand), node.operand_offset(operand), node.operand_index_stride(operand));
        }
    }
    for index in (0..66).chain([number, usize::MAX]) {
        let _ = node.instruction(index);
    }
}

/// An element's piece: the slots lie where they should, and the chain is the same with both implementations.
fn check_piece(node: &Node<'_>, element: u64, piece: u32, number: u32) {
    let (terms, slots) = (node.piece_terms(piece), node.piece_slots(piece));
    assert!(terms <= PIECE_TERMS && (terms > 0) == (piece < node.pieces()), "piece {piece} has {terms} terms");
    for slot in (0..slots).step_by(1 + slots as usize / 64).chain([slots.saturating_sub(1), slots, number]) {
        let found = node.slot(piece, slot);
        if slot < slots {
            assert!((found.operand as usize) < node.operands() && found.term < node.terms(), "{found:?}");
        }
        let mut coordinates = [0; MAX_LABELS];
        node.coordinates(element, found.term, &mut coordinates);
        for (label, &coordinate) in coordinates.iter().enumerate().take(node.labels()) {
            assert!(coordinate < node.size(label));
        }
        let _ = node.is_present(&coordinates);
        node.address(found.operand as usize, &coordinates, number);
        node.address(number as usize, &[number; MAX_LABELS], number);
    }
    let value = |slot: u32| slot.wrapping_mul(number).rotate_left(number & 31) ^ number;
    let soft = node.piece::<Soft>(element, piece, number, &value);
    assert_eq!(soft, node.piece::<Native>(element, piece, number, &value), "piece {piece} of element {element}");
}

fn check(bytes: &[u8], input: &mut Unstructured<'_>) -> Result<()> {
    let Ok(node) = Node::parse(bytes) else {
        assert!(NodeSpec::decode(bytes).is_err());
        return Ok(());
    };
    let spec = NodeSpec::decode(bytes).expect("what parses is a node");
    assert_eq!(spec.encode(), bytes, "the bytes are the only ones for their node");
    assert_eq!((spec.len() as u64, spec.terms()), (node.len(), node.terms() as usize));
    assert!((1..=MAX_ELEMENTS as u64).contains(&node.len()) && (1..=MAX_TERMS).contains(&node.terms()));
    let number = u32::from_le_bytes(take(input));
    read_all(&node, number as usize);
    let last = node.pieces() - 1;
    for piece in [0, number % (last + 1), last, last + 1, number, u32::MAX] {
        for element in [0, number as u64 % node.len(), node.len() - 1, u64::MAX] {
            check_piece(&node, element, piece, number);
        }
    }
    // What a graph would say, with operands of one small size.
    let _ = spec.validate(&|operand| (operand < 8).then_some((sip_ops::Type::F32, 64)));
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    // The first byte says whether the rest is the node or describes one.
    let Some((&first, rest)) = bytes.split_first() else { return };
    if first & 1 == 0 {
        let _ = check(rest, &mut Unstructured::new(rest));
        return;
    }
    let mut input = Unstructured::new(rest);
    if let Ok(node) = node_bytes(&mut input) {
        let _ = check(&node, &mut input);
    }
});

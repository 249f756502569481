"""docs/spec/disputes.md: the game on chain, move by move."""

import struct

from . import require
from .arithmetic import INF, MASK
from .commitments import (chunk_value, chunks_of, depth, folded, held_out_window, leaf_preimage, merkle_leaf, merkle_root, opened_blob,
                          opened_merkle, padding, parent_value, u32, width, window)  # fmt: skip
from .operators import GATHER, INPUT, Node

(REVEAL_LEAVES, PICK_LEAF, OPEN_LEAF, POST_STEPS, PICK_STEP, POST_TRACE, PICK_TRACE, REVEAL_TRACE, REVEAL_STATE, PICK_STATE,
 OPEN_ENTRY, PROVE_OUTPUT, OPEN_NODE, PROVE_INPUT, REVEAL_TENSOR, PICK_TENSOR, POST_CHUNK, PICK_ELEMENT, PROVE_TOKEN,
 POST_PARTIALS, PICK_PIECE, POST_VALUES, PROVE_OPERAND, OVER, SHOW_LEAF) = range(25)  # fmt: skip
TRAINER, CHALLENGER = 0, 1
TRAINERS_PHASES = {REVEAL_LEAVES, OPEN_LEAF, POST_STEPS, POST_TRACE, REVEAL_TRACE, REVEAL_STATE, OPEN_ENTRY, OPEN_NODE,
                   REVEAL_TENSOR, POST_CHUNK, POST_PARTIALS, POST_VALUES}  # fmt: skip
CONVICTED, ACQUITTED = 1, 2


class Payload:
    """What a move brings, read from the front."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        require(len(self.data) >= count)
        head, self.data = self.data[:count], self.data[count:]
        return head

    def number(self):
        return int.from_bytes(self.take(4), "little")

    def end(self):
        require(self.data == b"")


class Game:
    def __init__(self, ground, clock_slots, slot, leaf=0, trace_root=bytes(32)):
        """`leaf` and `trace_root` are those of an attestation."""
        self.ground = ground
        self.start_root = self.batch_root = self.end_root = self.output_root = bytes(32)
        self.trace_root = trace_root
        self.value = ground["accumulator_root"]
        self.clocks, self.moved_slot, self.outcome = [clock_slots, clock_slots], slot, 0
        self.leaves = -(-ground["inner_steps"] // ground["leaf_interval"])
        self.height = depth(self.leaves)
        self.phase = REVEAL_LEAVES if self.height else OPEN_LEAF
        if ground["case"] in (1, 2, 5, 6):
            self.value, self.height, self.phase = bytes(32), 0, POST_TRACE
            self.start_root, self.end_root = ground["start_root"], ground["end_root"]
        elif ground["case"] == 3:
            self.value, self.height, self.phase = bytes(32), 0, SHOW_LEAF
        self.leaf = leaf
        self.index = self.step = self.node = self.element = self.piece = self.piece_start = self.claim = 0
        self.table_len = self.node_len = 0
        self.table, self.node_bytes, self.trace_path = bytearray(2056), bytearray(880), bytearray(768)

    def position(self):
        """The fields of the account from offset 192 to the buffer."""
        g = self.ground
        ground = b"".join(g[name] for name in ("nodes_root", "outputs_root", "tables_root", "round_seed", "start_root",
                                               "end_root", "accumulator_root"))  # fmt: skip
        ground += b"".join(g["dataset_roots"]) + struct.pack("<8Q8H", *g["token_counts"], *g["mixture_bps"])
        ground += struct.pack("<14I", g["node_count"], g["state_count"], g["table_count"], g["inner_steps"],
                              g["leaf_interval"], g["first_step"], g["place"], g["rows"], g["row_tokens"], g["case"],
                              g["carried"], g["base_entries"], len(g["bases"]), g["windows"])  # fmt: skip
        ground += b"".join(g["bases"]).ljust(16 * 32, b"\0") + struct.pack("<4I", *g["settings"])
        roots = self.start_root + self.batch_root + self.end_root + self.trace_root + self.value + self.output_root
        clocks = struct.pack("<3Q", *self.clocks, self.moved_slot)
        fields = struct.pack("<14I", self.phase, self.outcome, self.height, self.index, self.leaf, self.step, self.node,
                             self.element, self.piece, self.piece_start, self.claim, self.table_len, self.node_len, 0)  # fmt: skip
        return ground + roots + clocks + fields + bytes(self.table + self.node_bytes + self.trace_path)

    # -- shared parts

    def put(self, data):
        # What stood on the table beyond the new bytes stays in the account; it does not count.
        require(len(data) <= 2056)
        self.table[: len(data)] = data
        self.table_len = len(data)

    def on_table(self, index, size):
        require((index + 1) * size <= self.table_len)
        return bytes(self.table[index * size : (index + 1) * size])

    def word_on_table(self, index):
        return int.from_bytes(self.on_table(index, 4), "little")

    def graph_node(self):
        return Node(bytes(self.node_bytes[: self.node_len]))

    def leaf_steps(self, leaf):
        first = leaf * self.ground["leaf_interval"]
        return first, min(self.ground["inner_steps"] - first, self.ground["leaf_interval"])

    def finish(self, outcome):
        self.outcome, self.phase = outcome, OVER

    def convict_if(self, differs):
        require(differs, "nothing is contradicted")
        self.finish(CONVICTED)

    def tensor_place(self):
        """Chunks of the output in question, and (first index, level, number) of what a reveal shows."""
        chunks = chunks_of(4 * self.graph_node().len)
        down = min(5, self.height)
        level, first = self.height - down, self.index << down
        return chunks, level, first, min(1 << down, width(chunks, level) - first)

    def enter(self, chunks, level, index):
        while level > 0 and 2 * index + 1 >= width(chunks, level - 1):
            level, index = level - 1, 2 * index
        self.height, self.index = level, index
        self.phase = REVEAL_TENSOR if level else POST_CHUNK

    def opens(self, root, count, index, data, path):
        require(opened_merkle(count, index, merkle_leaf(data), path) == root, "the opening is false")

    def side(self):
        return TRAINER if self.phase in TRAINERS_PHASES else CHALLENGER

    def time_out(self, slot):
        require(self.phase != OVER and slot - self.moved_slot > self.clocks[self.side()], "the clock runs")
        side = self.side()
        self.clocks[side] = 0
        self.finish(CONVICTED if side == TRAINER else ACQUITTED)

    # -- the moves

    def play(self, side, kind, payload, slot):
        require(self.phase != OVER and side == self.side(), "not on move")
        # A slot before the last move's counts as no time.
        elapsed = max(0, slot - self.moved_slot)
        require(elapsed <= self.clocks[side], "the clock has run out")
        self.clocks[side] -= elapsed
        self.moved_slot = slot
        p = Payload(payload)
        if kind == 0:
            p.end()
            return self.finish(CONVICTED if side == TRAINER else ACQUITTED)
        moves = {
            1: ((REVEAL_LEAVES, REVEAL_TRACE, REVEAL_STATE, REVEAL_TENSOR), self.reveal),
            2: ((OPEN_LEAF,), self.open_leaf),
            3: ((POST_STEPS,), self.post_steps),
            4: ((POST_TRACE,), self.post_trace),
            5: ((OPEN_ENTRY,), self.open_entry),
            6: ((OPEN_NODE,), self.open_node),
            7: ((POST_CHUNK,), self.post_chunk),
            8: ((POST_PARTIALS,), self.post_partials),
            9: ((POST_VALUES,), self.post_values),
            10: ((PICK_LEAF, PICK_STEP, PICK_TRACE, PICK_STATE, PICK_TENSOR, PICK_ELEMENT, PICK_PIECE), self.pick),
            11: ((PICK_TRACE,), self.dispute_state),
            12: ((PROVE_OUTPUT,), self.prove_output),
            13: ((PROVE_INPUT,), self.prove_input),
            14: ((PROVE_TOKEN,), self.prove_token),
            15: ((PROVE_OPERAND,), self.prove_operand),
            16: ((SHOW_LEAF,), self.show_leaf),
            17: ((PROVE_OPERAND,), self.prove_beyond),
        }
        phases, move = moves[kind]
        require(self.phase in phases, "not a move of this phase")
        move(p)
        p.end()

    def reveal(self, p):
        if self.phase == REVEAL_TENSOR:
            chunks, level, _, count = self.tensor_place()
            data = p.take(32 * count)
            values = [data[at : at + 32] for at in range(0, len(data), 32)]
            for at in range(level, self.height):
                is_root = at + 1 == depth(chunks)
                values = [
                    parent_value(values[i], values[i + 1], is_root) if i + 1 < len(values) else values[i]
                    for i in range(0, len(values), 2)
                ]
            found = values[0]
        else:
            data = p.take(32 << min(6, self.height))
            found = folded(data)
        require(found == self.value, "the nodes do not hash to their place")
        self.put(data)
        self.phase = {REVEAL_LEAVES: PICK_LEAF, REVEAL_TRACE: PICK_TRACE, REVEAL_STATE: PICK_STATE, REVEAL_TENSOR: PICK_TENSOR}[self.phase]

    def open_leaf(self, p):
        g = self.ground
        start, batches, end = p.take(32), p.take(32), p.take(32)
        first, count = self.leaf_steps(self.index)
        require(merkle_leaf(leaf_preimage(first, count, start, batches, end)) == self.value)
        agreed = g["start_root"]
        if self.index > 0:
            before = self.index - 1
            roots = p.take(32), p.take(32), p.take(32)
            data = leaf_preimage(*self.leaf_steps(before), *roots)
            self.opens(g["accumulator_root"], self.leaves, before, data, p.take(32 * depth(self.leaves)))
            agreed = roots[2]
        require(start == agreed, "the leaf starts elsewhere")
        require(self.index + 1 < self.leaves or end == g["end_root"], "the last leaf ends elsewhere")
        self.leaf, self.step = self.index, first
        self.start_root, self.batch_root, self.end_root = start, batches, end
        self.table_len = 0
        self.phase = POST_STEPS if count > 1 else POST_TRACE

    def post_steps(self, p):
        count = self.leaf_steps(self.leaf)[1]
        data = p.take(64 * count)
        require(merkle_root([data[64 * i : 64 * i + 32] for i in range(count)]) == self.batch_root)
        require(data[-32:] == self.end_root)
        self.put(data)
        self.phase = PICK_STEP

    def post_trace(self, p):
        self.height, self.index = depth(self.ground["node_count"]), 0
        data = p.take(32 << min(6, self.height))
        self.trace_root = self.value = folded(data)
        self.put(data)
        self.phase = PICK_TRACE

    def open_entry(self, p):
        root = p.take(32)
        require(merkle_leaf(root) == self.value)
        self.value, self.node, self.table_len = root, self.index, 0
        self.phase = PROVE_OUTPUT

    def open_node(self, p):
        g, count = self.ground, self.ground["node_count"]
        root, trace_path, path = p.take(32), p.take(32 * depth(count)), p.take(32 * depth(count))
        data = p.take(len(p.data))
        self.opens(self.trace_root, count, self.index, root, trace_path)
        self.opens(g["nodes_root"], count, self.index, data, path)
        require(len(data) <= 880)
        node = Node(data)
        self.trace_path[: len(trace_path)] = trace_path
        self.node_bytes[: len(data)] = data
        self.node_len, self.node, self.table_len = len(data), self.index, 0
        self.output_root = self.value = root
        if node.kind == INPUT:
            if node.source in (0, 3):
                self.phase = PROVE_INPUT
                return
            if node.source == 2:
                step = u32((g["first_step"] + self.step) & MASK)
                return self.finish(ACQUITTED if root == chunk_value(step, 0, True) else CONVICTED)
            if node.source == 4:
                words = struct.pack("<4I", *g["settings"])
                return self.finish(ACQUITTED if root == chunk_value(words, 0, True) else CONVICTED)
            require(node.len == g["rows"] * g["row_tokens"])
            if root != self.batch_root:
                return self.finish(CONVICTED)
        chunks = chunks_of(4 * node.len)
        self.enter(chunks, depth(chunks), 0)

    def post_chunk(self, p):
        length = 4 * self.graph_node().len
        chunks = chunks_of(length)
        data = p.take(min(1024, length - 1024 * self.index))
        require(chunk_value(data, self.index, chunks == 1) == self.value)
        self.put(data)
        self.phase = PICK_ELEMENT

    def post_partials(self, p):
        self.put(p.take(4 * (self.graph_node().pieces - 1)))
        self.phase = PICK_PIECE

    def post_values(self, p):
        node = self.graph_node()
        data = p.take(4 * len(node.slots(self.piece)))
        p.end()
        values = struct.unpack(f"<{len(data) // 4}I", data)
        if node.run_piece(self.element, self.piece, self.piece_start, values) != self.claim:
            return self.finish(CONVICTED)
        self.put(data)
        self.phase = PROVE_OPERAND

    def pick(self, p):
        pick = p.number()
        g = self.ground
        if self.phase in (PICK_LEAF, PICK_TRACE, PICK_STATE):
            leaves, opened, revealed = {
                PICK_LEAF: (self.leaves, OPEN_LEAF, REVEAL_LEAVES),
                PICK_TRACE: (g["node_count"], OPEN_NODE, REVEAL_TRACE),
                PICK_STATE: (g["state_count"], OPEN_ENTRY, REVEAL_STATE),
            }[self.phase]
            value = self.on_table(pick, 32)
            levels = min(6, self.height)
            height, index = self.height - levels, (self.index << levels) + pick
            if index << height >= leaves:
                require(value != padding(height), "only padding is there")
                return self.finish(CONVICTED)
            self.value, self.height, self.index = value, height, index
            self.phase = opened if height == 0 else revealed
        elif self.phase == PICK_STEP:
            first, count = self.leaf_steps(self.leaf)
            require(pick < count)
            self.step = first + pick
            if pick > 0:
                self.start_root = self.on_table(2 * pick - 1, 32)
            self.batch_root, self.end_root = self.on_table(2 * pick, 32), self.on_table(2 * pick + 1, 32)
            self.phase = POST_TRACE
        elif self.phase == PICK_TENSOR:
            chunks, level, first, count = self.tensor_place()
            require(pick < count)
            self.value = self.on_table(pick, 32)
            self.enter(chunks, level, first + pick)
        elif self.phase == PICK_ELEMENT:
            self.claim = self.word_on_table(pick)
            self.element = 256 * self.index + pick
            self.piece = self.piece_start = 0
            node = self.graph_node()
            if node.dtype == 0 and self.claim & INF == INF:
                return self.finish(CONVICTED)
            self.phase = PROVE_TOKEN if node.kind == INPUT else POST_VALUES if node.pieces == 1 else POST_PARTIALS
        else:
            last = self.graph_node().pieces - 1
            require(pick <= last)
            self.piece = pick
            if pick > 0:
                self.piece_start = self.word_on_table(pick - 1)
            if pick < last:
                self.claim = self.word_on_table(pick)
            self.phase = POST_VALUES

    def dispute_state(self, p):
        require(self.ground["case"] != 3, "an attestation claims no state")
        require(self.height == depth(self.ground["node_count"]), "the trace is not whole any more")
        self.value, self.height, self.index, self.table_len = self.end_root, depth(self.ground["state_count"]), 0, 0
        self.phase = REVEAL_STATE if self.height else OPEN_ENTRY

    def show_leaf(self, p):
        g = self.ground
        start, batches, end = p.take(32), p.take(32), p.take(32)
        first, count = self.leaf_steps(self.leaf)
        data = leaf_preimage(first, count, start, batches, end)
        self.opens(g["accumulator_root"], self.leaves, self.leaf, data, p.take(32 * depth(self.leaves)))
        self.batch_root = batches
        if count > 1:
            self.batch_root = p.take(32)
            self.opens(batches, count, 0, self.batch_root, p.take(len(p.data)))
        self.step, self.start_root = first, start
        self.value, self.height, self.index = self.trace_root, depth(g["node_count"]), 0
        self.phase = REVEAL_TRACE

    def prove_beyond(self, p):
        node, count = self.graph_node(), self.ground["node_count"]
        require(node.kind == GATHER)
        coordinates = node.coordinates(self.element, 0)
        path, data = p.take(32 * depth(count)), p.take(len(p.data))
        self.opens(self.ground["nodes_root"], count, node.operands[1][0], data, path)
        self.convict_if(node.address(1, coordinates, self.word_on_table(0)) >= Node(data).len)

    def prove_output(self, p):
        g = self.ground
        node = p.number()
        self.opens(g["outputs_root"], g["state_count"], self.node, u32(node), p.take(32 * depth(g["state_count"])))
        root = p.take(32)
        self.opens(self.trace_root, g["node_count"], node, root, p.take(len(p.data)))
        self.convict_if(root != self.value)

    def prove_input(self, p):
        g, node = self.ground, self.graph_node()
        tree, count, index = g["tables_root"], g["table_count"], node.source_index
        if node.source == 0 and index < g["carried"]:
            tree, count = self.start_root, g["carried"]
        elif node.source == 0:
            require(g["base_entries"] > 0)
            base, index = divmod(index - g["carried"], g["base_entries"])
            require(base < len(g["bases"]), "there is no such base")
            tree, count = g["bases"][base], g["base_entries"]
        root = p.take(32)
        self.opens(tree, count, index, root, p.take(len(p.data)))
        self.convict_if(root != self.value)

    def prove_token(self, p):
        g = self.ground
        row = self.element // g["row_tokens"]
        if g["case"] == 4:
            domain, offset = held_out_window(self.step, row, g["windows"], g["rows"], g["token_counts"], g["row_tokens"])
        else:
            domain, offset = window(g["round_seed"], g["place"], self.step, row, g["mixture_bps"], g["token_counts"], g["row_tokens"])
        position = offset + self.element % g["row_tokens"]
        length = 4 * g["token_counts"][domain]
        index = position // 256
        data = p.take(min(1024, length - 1024 * index))
        found = opened_blob(chunks_of(length), index, data, p.take(len(p.data)))
        require(found == g["dataset_roots"][domain])
        self.convict_if(int.from_bytes(data[position % 256 * 4 :][:4], "little") != self.claim)

    def prove_operand(self, p):
        node, count = self.graph_node(), self.ground["node_count"]
        slot, chunks, length = p.number(), p.number(), p.number()
        posted = self.word_on_table(slot)
        slots = node.slots(self.piece)
        require(slot < len(slots))
        operand, term = slots[slot]
        coordinates = node.coordinates(self.element, term)
        is_term = slot < node.piece_terms(self.piece) * node.per_term
        require(not is_term or node.is_present(coordinates), "the term is absent")
        index = self.word_on_table(0) if node.kind == GATHER and operand == 1 else 0
        address = node.address(operand, coordinates, index)
        reads = node.operands[operand][0]
        require(reads < self.node)
        root = p.take(32)
        self.opens(self.trace_root, count, reads, root, p.take(32 * depth(count)))
        data = p.take(length)
        chunk = address // 256
        require(chunks <= 1 << 23 and chunk < chunks)
        require(opened_blob(chunks, chunk, data, p.take(len(p.data))) == root, "the opening is false")
        require(address % 256 * 4 + 4 <= len(data))
        self.convict_if(int.from_bytes(data[address % 256 * 4 :][:4], "little") != posted)

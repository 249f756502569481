"""docs/spec/manifest.md: all that a job computes with, out of its bytes, and what a job commits of it."""

import math
import struct

from . import Malformed, require
from .commitments import blob_levels, merkle_root, u32
from .graphs import Reader, checked
from .tables import single

MAGIC = b"sip.manifest.1\0\0"
BYTES_MAX = 1 << 27
STEP, SCORING, GENESIS, START, UPDATE = range(5)
AVERAGES = range(17, 33)


class Fields(Reader):
    def words(self, count):
        return list(struct.unpack(f"<{count}I", self.take(4 * count)))

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def within(self, least, most):
        value = self.u32()
        require(least <= value <= most)
        return value

    def f32(self):
        bits = self.u32()
        require(math.isfinite(single(bits)))
        return bits

    def f64(self):
        data = self.take(8)
        require(math.isfinite(struct.unpack("<d", data)[0]))
        return data

    def zeros(self, count):
        require(self.words(count) == [0] * count)

    def text(self):
        data = self.take(self.within(0, 64))
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise Malformed("a text is not UTF-8") from error
        require(not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text))
        return text


class Manifest:
    def __init__(self, data):
        require(len(data) <= BYTES_MAX)
        self.data = data
        fields = Fields(data)
        require(fields.take(16) == MAGIC)
        self.is_compressed = fields.within(0, 1) == 1
        has_model = fields.within(0, 1) == 1
        most = 1 << 24
        self.batch, self.sequence_length = fields.within(1, most), fields.within(1, most)
        self.inner_steps = fields.within(1, 10_000)
        self.leaf_interval = fields.within(1, self.inner_steps)
        self.rounds = fields.within(1, 1_000)
        self.score_windows = fields.within(1, most)
        self.score_rows = fields.within(1, self.score_windows)
        require(self.score_windows % self.score_rows == 0)
        self.score_leaf_interval = fields.within(1, most)
        self.genesis_seed = fields.u64()
        self.genesis_root, self.reset_root, self.tokenizer = fields.take(32), fields.take(32), fields.take(32)
        self.tokenizer_bytes = fields.u64()
        require(self.tokenizer_bytes <= 1 << 26)
        if has_model:
            read_model(fields)
        else:
            fields.zeros(10)
        read_optimizer(fields)
        has_codec = read_codec(fields)
        domains, tables, graphs = fields.within(1, 8), fields.within(0, 64), fields.u32()
        self.domains = [self.domain(fields) for _ in range(domains)]
        self.tables = [self.table(fields) for _ in range(tables)]
        self.graphs, last = {}, -1
        for _ in range(graphs):
            number = fields.u32()
            require(number > last and (number <= UPDATE or number in AVERAGES))
            self.graphs[number] = checked(fields.take(fields.u32()))
            last = number
        fields.end()
        require(all(number in self.graphs for number in (STEP, SCORING, *AVERAGES)))
        require((START in self.graphs) == (UPDATE in self.graphs) == self.is_compressed)
        require((UPDATE in self.graphs) == self.is_compressed)
        require((self.reset_root != bytes(32)) == self.is_compressed and (self.is_compressed or not has_codec))
        require(self.genesis_seed == 0 or GENESIS in self.graphs)

    @staticmethod
    def domain(fields):
        return fields.take(32), fields.take(32), fields.u64(), fields.u64(), fields.text(), fields.text()

    @staticmethod
    def table(fields):
        """Its root and the number of its elements."""
        rule, root = fields.within(0, 3), fields.take(32)
        if rule == 0:
            elements = fields.u32()
            fields.take(4 * elements)
        elif rule == 1:
            elements = 4 * fields.u32()
            fields.u32(), fields.f64(), fields.f64()
            shape, decay = fields.within(0, 3), fields.u32()
            require(shape == 3 or decay == 0)
            fields.f32(), fields.f32()
        else:
            elements = fields.u32() * fields.u32() * (rule - 1)
            fields.f32()
        require(elements <= 1 << 26)
        return root

    def hash(self):
        return blob_levels(self.data)[-1][0]

    def commits(self):
        """What a job's account has of it."""
        trees = {number: graph.roots() for number, graph in self.graphs.items()}
        counts = {number: len(graph.nodes) for number, graph in self.graphs.items()}
        outputs = {number: len(graph.outputs) for number, graph in self.graphs.items()}

        def leaf(number):
            return trees[number][0] + trees[number][1] + u32(counts[number])

        none = (bytes(32), bytes(32))
        is_compressed = self.is_compressed
        return {
            "nodes_root": trees[STEP][0], "node_count": counts[STEP],
            "outputs_root": trees[STEP][1], "state_count": outputs[STEP],
            "tables_root": merkle_root(self.tables), "table_count": len(self.tables),
            "score_nodes_root": trees[SCORING][0], "score_node_count": counts[SCORING],
            "score_outputs_root": trees[SCORING][1],
            "init_nodes_root": trees.get(GENESIS, none)[0], "init_node_count": counts.get(GENESIS, 0),
            "init_outputs_root": trees.get(GENESIS, none)[1],
            "aggregates_root": merkle_root([leaf(number) for number in AVERAGES]),
            "update_graphs_root": merkle_root([leaf(START), leaf(UPDATE)]) if is_compressed else bytes(32),
            "update_entries": outputs.get(UPDATE, 0), "reset_update_root": self.reset_root,
            "base_entries": outputs[AVERAGES[0]] if is_compressed else 0,
            "genesis_root": self.genesis_root, "batch": self.batch, "sequence_length": self.sequence_length,
            "inner_steps": self.inner_steps, "leaf_interval": self.leaf_interval, "rounds": self.rounds,
            "score_windows": self.score_windows, "score_rows": self.score_rows,
            "score_leaf_interval": self.score_leaf_interval, "domain_count": len(self.domains),
        }  # fmt: skip


def read_model(fields):
    vocabulary, hidden, inner, layers, heads, kv_heads, longest = fields.words(7)
    epsilon, theta = single(fields.f32()), single(fields.f32())
    fields.within(0, 1)
    require(all(1 <= size <= 1 << 20 for size in (vocabulary, hidden, inner, heads, kv_heads, longest)))
    require(1 <= layers <= 1 << 12)
    require(hidden % heads == 0 and hidden // heads % 2 == 0 and heads % kv_heads == 0)
    require(0 < epsilon < 1 and theta > 1)


def read_optimizer(fields):
    if fields.within(0, 1) == 0:
        return fields.zeros(7)
    for _ in range(5):
        fields.f32()
    require(all(setting < 4 or setting == 0xFFFFFFFF for setting in fields.words(2)))


def read_codec(fields):
    kind = fields.within(0, 2)
    if kind == 0:
        fields.zeros(4)
        return False
    chunk, keep = fields.u32(), fields.u32()
    require(8 <= chunk <= 256 and keep in (4, 8))
    rate, momentum = fields.f32(), fields.f32()
    if kind == 1:
        require(rate == momentum == 0)
    else:
        require(0 < single(rate) <= 16 and 0 <= single(momentum) < 1)
    return True

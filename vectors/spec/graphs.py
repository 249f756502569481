"""docs/spec/graphs.md: a graph in canonical bytes, the rules that it obeys, its roots, and what a step of it gives."""

import struct
from functools import lru_cache

from . import Malformed, require
from .arithmetic import is_inf, is_nan
from .commitments import merkle_root, tensor_root, u32
from .operators import CONTRACT, CONTRACT_I8, GATHER, INPUT, MAP, REDUCE_ADD, REDUCE_MAX, SCATTER_ADD, Node

MAX_NODES = 1 << 14
F, U = 0, 1
# Types of the operands of a kind; of a gather the second is its own.
OPERANDS = {CONTRACT: (F, F, F), REDUCE_ADD: (F,), REDUCE_MAX: (F,), SCATTER_ADD: (U, F), CONTRACT_I8: (U, U, U)}
# Types of the arguments of an instruction, and of its result.
PROGRAM = {0: ((), F), 1: ((), U), 2: ((), U), 7: ((F, F, F), F), 13: ((U,), F), 14: ((F, F), U), 26: ((U,), F), 27: ((F,), U)}
PROGRAM.update({opcode: ((F, F), F) for opcode in (3, 4, 5, 6)})
PROGRAM.update({opcode: ((F,), F) for opcode in (8, 9, 10, 11, 12)})
PROGRAM.update({opcode: ((U, U), U) for opcode in (15, 16, 18, 19, 20, 21, 22, 23, 24, 25)})


class Reader:
    """Bytes that are taken from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        require(count <= len(self.data) - self.at)
        self.at += count
        return self.data[self.at - count : self.at]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def end(self):
        require(self.at == len(self.data))


class Graph:
    def __init__(self, data):
        reader = Reader(data)
        count = reader.u32()
        require(count <= MAX_NODES)
        self.bytes = [reader.take(reader.u32()) for _ in range(count)]
        self.nodes = [Node(node) for node in self.bytes]
        self.outputs = [reader.u32() for _ in range(self.number(reader, 4))]
        self.results = []
        for _ in range(self.number(reader, 5)):
            name = reader.take(reader.take(1)[0])
            try:
                self.results.append((name.decode(), reader.u32()))
            except UnicodeDecodeError as error:
                raise Malformed("a name is not UTF-8") from error
        reader.end()
        self.check()

    @staticmethod
    def number(reader, least):
        """A number of things of at least so many bytes."""
        count = reader.u32()
        require(count * least <= len(reader.data) - reader.at)
        return count

    def check(self):
        inputs = {}
        for number, node in enumerate(self.nodes):
            self.check_node(number, node)
            if node.kind == INPUT:
                shape = (node.dtype, node.sizes)
                require(inputs.setdefault((node.source, node.source_index), shape) == shape)
        for entry, output in enumerate(self.outputs):
            require(output < len(self.nodes))
            if (0, entry) in inputs:
                dtype, sizes = inputs[0, entry]
                length = 1
                for size in sizes:
                    length *= size
                require((dtype, length) == (self.nodes[output].dtype, self.nodes[output].len))
        for _, output in self.results:
            require(output < len(self.nodes) and self.nodes[output].kind != INPUT)

    def check_node(self, number, node):
        types = []
        for operand, (reads, offset, index_stride, *strides) in enumerate(node.operands):
            require(reads < number)
            types.append(self.nodes[reads].dtype)
            require(index_stride == 0 or (node.kind == GATHER and operand == 1))
            spans = [(size - 1) * stride for size, stride in zip(node.sizes, strides)]
            low, high = offset + sum(min(0, span) for span in spans), offset + sum(max(0, span) for span in spans)
            require(low >= 0 and high < self.nodes[reads].len)
        if node.kind == MAP:
            return self.check_program(node, types)
        if node.kind == GATHER:
            require(tuple(types) == (U, node.dtype))
        elif node.kind != INPUT:
            require(tuple(types) == OPERANDS[node.kind][: len(types)])
            require(node.dtype == (U if node.kind == CONTRACT_I8 else F))

    @staticmethod
    def check_program(node, types):
        for opcode, a, b, c, _ in node.program:
            require(opcode < 28)
            if opcode == 17:
                require(b < len(types))
                arguments, result = (U, types[b], types[b]), types[b]
            else:
                arguments, result = PROGRAM[opcode]
            require(opcode != 2 or a < node.out)
            for value, expected in zip((a, b, c), arguments):
                require(value < len(types) and types[value] == expected)
            types.append(result)
        require(types[-1] == node.dtype)

    def roots(self):
        """nodes_root and outputs_root."""
        return merkle_root(self.bytes), merkle_root([u32(node) for node in self.outputs])

    def step(self, state, batch, number, settings, tables):
        """The outputs of all nodes; a value that is not finite, or an address outside, is refused."""
        outputs = []
        for node in self.nodes:
            if node.kind == INPUT:
                found = [state, [batch], [[number]], tables, [settings]][node.source]
                require(node.source_index < len(found) and len(found[node.source_index]) == node.len)
                outputs.append(found[node.source_index])
                continue
            output = node.evaluate([outputs[operand[0]] for operand in node.operands])
            require(output is not None and (node.dtype == U or not any(is_nan(bits) or is_inf(bits) for bits in output)))
            outputs.append(output)
        return outputs

    def next_state(self, outputs):
        return [outputs[node] for node in self.outputs]


@lru_cache(maxsize=4096)
def checked(data):
    """The graph of these bytes."""
    return Graph(data)


def state_root(entries):
    return merkle_root([tensor_root(entry) for entry in entries])

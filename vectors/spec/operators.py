"""docs/spec/operators.md: nodes, and what one output element of them is."""

import math
import struct

from . import require
from .arithmetic import (MASK, NEG_INF, SIGN, add, div, exp, fma, from_u32, less_than, log, max_total, mul, nearest_integer,
                         sqrt, sub)  # fmt: skip

INPUT, CONTRACT, REDUCE_ADD, REDUCE_MAX, MAP, GATHER, SCATTER_ADD, CONTRACT_I8 = range(8)
CHAINS = (CONTRACT, REDUCE_ADD, REDUCE_MAX, SCATTER_ADD, CONTRACT_I8)


class Node:
    def __init__(self, data):
        require(len(data) >= 16)
        (self.kind, self.dtype, self.out, reduce, count, small, large, program, flags, self.source) = data[:10]
        zero, self.source_index = struct.unpack_from("<HI", data, 10)
        require(self.kind <= 7 and self.dtype <= 1 and self.source <= 4)
        require(self.out <= 5 and reduce <= 2 and count <= 8 and program <= 64)
        labels = self.out + reduce
        require(len(data) == 16 + 4 * labels + count * (12 + 4 * labels) + 8 * program)
        self.sizes = struct.unpack_from(f"<{labels}I", data, 16)
        self.operands = []
        for operand in range(count):
            at = 16 + 4 * labels + operand * (12 + 4 * labels)
            self.operands.append(struct.unpack_from(f"<Iii{labels}i", data, at))
        at = 16 + 4 * labels + count * (12 + 4 * labels)
        self.program = [struct.unpack_from("<4BI", data, at + 8 * i) for i in range(program)]
        self.starts = flags & 1
        contracts = self.kind in (CONTRACT, CONTRACT_I8)
        require(flags <= contracts and zero == 0)
        needed = {INPUT: 0, CONTRACT: 2 + self.starts, CONTRACT_I8: 2 + self.starts, REDUCE_ADD: 1, REDUCE_MAX: 1}
        require(count == needed.get(self.kind, count if self.kind == MAP else 2))
        require((program > 0) == (self.kind == MAP))
        self.constraint = None if (small, large) == (255, 255) else (small, large)
        require(reduce == 0 or self.kind in CHAINS)
        require(self.constraint is None or (small < labels and large < labels and self.kind in CHAINS))
        require(self.kind != SCATTER_ADD or self.out > 0)
        require(self.source == 0 or self.kind == INPUT)
        require(self.source_index == 0 or (self.kind == INPUT and self.source in (0, 3)))
        self.len = math.prod(self.sizes[: self.out])
        self.terms = math.prod(self.sizes[self.out :])
        require(0 < self.len <= 1 << 31 and 0 < self.terms <= 1 << 16)
        self.pieces = -(-self.terms // 256)
        self.per_term = {REDUCE_ADD: 1, REDUCE_MAX: 1, MAP: count, INPUT: 0}.get(self.kind, 2)

    def coordinates(self, element, term):
        found = []
        for rest, sizes in ((element, self.sizes[: self.out]), (term, self.sizes[self.out :])):
            part = []
            for size in reversed(sizes):
                part.append(rest % size)
                rest //= size
            found += reversed(part)
        return found

    def address(self, operand, coordinates, index):
        _, offset, index_stride, *strides = self.operands[operand]
        address = offset + sum(c * s for c, s in zip(coordinates, strides))
        if self.kind == GATHER and operand == 1:
            address += index * index_stride
        return address % (1 << 64)

    def is_present(self, coordinates):
        return self.constraint is None or coordinates[self.constraint[0]] <= coordinates[self.constraint[1]]

    def piece_terms(self, piece):
        return max(0, min(256, self.terms - 256 * piece))

    def slots(self, piece):
        """(operand, term) of every slot."""
        terms = range(256 * piece, 256 * piece + self.piece_terms(piece))
        slots = [(operand, term) for term in terms for operand in range(self.per_term)]
        return slots + [(2, 0)] * (piece == 0 and self.starts)

    def run_piece(self, element, piece, start, values):
        """The accumulator after a piece whose slots hold these values."""
        if self.kind == INPUT:
            return 0
        if self.kind == GATHER:
            return values[1]
        first = self.coordinates(element, 256 * piece)
        if self.kind == MAP:
            return self.run_program(first, values)
        if piece == 0:
            start = values[-1] if self.starts else NEG_INF if self.kind == REDUCE_MAX else 0
        accumulator, w = start, self.per_term
        for number in range(self.piece_terms(piece)):
            if not self.is_present(self.coordinates(element, 256 * piece + number)):
                continue
            term = values[number * w : number * w + w]
            if self.kind == CONTRACT:
                accumulator = fma(term[0], term[1], accumulator)
            elif self.kind == REDUCE_ADD:
                accumulator = add(accumulator, term[0])
            elif self.kind == REDUCE_MAX:
                accumulator = max_total(accumulator, term[0])
            elif self.kind == SCATTER_ADD:
                if term[0] == first[0]:
                    accumulator = add(accumulator, term[1])
            else:
                pairs = zip(struct.unpack("<4b", struct.pack("<I", term[0])), struct.unpack("<4b", struct.pack("<I", term[1])))
                accumulator = (accumulator + sum(x * y for x, y in pairs)) & MASK
        return accumulator

    def run_program(self, coordinates, values):
        values = list(values)
        outputs = coordinates[: self.out]
        for opcode, a, b, c, immediate in self.program:
            x, y, z = (values[v] if v < len(values) else 0 for v in (a, b, c))
            if opcode in (0, 1):
                value = immediate
            elif opcode == 2:
                value = outputs[a] if a < len(outputs) else 0
            elif opcode == 26:
                value = from_u32((1 << 32) - x) | SIGN if x >> 31 else from_u32(x)
            elif opcode < 28:
                value = OPERATIONS[opcode](x, y, z)
            else:
                value = 0
            values.append(value & MASK)
        return values[-1]

    def evaluate(self, operands):
        """The whole output; None if an address lies outside its operand."""
        output = []
        for element in range(self.len):
            partials = self.partials(element, operands)
            if partials is None:
                return None
            output.append(partials[-1])
        return output

    def partials(self, element, operands):
        accumulator, partials = 0, []
        for piece in range(self.pieces):
            values = []
            for operand, term in self.slots(piece):
                index = values[0] if self.kind == GATHER and operand == 1 else 0
                address = self.address(operand, self.coordinates(element, term), index)
                if address >= len(operands[operand]):
                    return None
                values.append(operands[operand][address])
            accumulator = self.run_piece(element, piece, accumulator, values)
            partials.append(accumulator)
        return partials


OPERATIONS = {
    3: lambda x, y, z: add(x, y),
    4: lambda x, y, z: sub(x, y),
    5: lambda x, y, z: mul(x, y),
    6: lambda x, y, z: div(x, y),
    7: fma,
    8: lambda x, y, z: sqrt(x),
    9: lambda x, y, z: x ^ SIGN,
    10: lambda x, y, z: x & 0x7FFFFFFF,
    11: lambda x, y, z: exp(x),
    12: lambda x, y, z: log(x),
    13: lambda x, y, z: from_u32(x),
    14: lambda x, y, z: less_than(x, y),
    15: lambda x, y, z: x < y,
    16: lambda x, y, z: x == y,
    17: lambda x, y, z: y if x else z,
    18: lambda x, y, z: x + y,
    19: lambda x, y, z: x - y,
    20: lambda x, y, z: x * y,
    21: lambda x, y, z: x & y,
    22: lambda x, y, z: x | y,
    23: lambda x, y, z: x ^ y,
    24: lambda x, y, z: x << (y % 32),
    25: lambda x, y, z: x >> (y % 32),
    27: lambda x, y, z: nearest_integer(x),
}

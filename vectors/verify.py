#!/usr/bin/env python3
"""Checks the conformance vectors against docs/spec, with nothing but Python's standard library.

    python3 vectors/verify.py            # all files of vectors/proof
    python3 vectors/verify.py trees      # some of them

It shares no code with the workspace: arithmetic is done on exact integers and rounded once, BLAKE3 and the game of a dispute
are written from the specification. It ends with status 1 and the first difference if a vector is not what the specification gives.
"""

import hashlib
import json
import math
import struct
import sys
from pathlib import Path

# ---------------------------------------------------------------- docs/spec/arithmetic.md

NAN, INF, NEG_INF = 0x7FC00000, 0x7F800000, 0xFF800000
SIGN, MASK = 0x80000000, 0xFFFFFFFF


def is_nan(a):
    return a & 0x7FFFFFFF > INF


def is_inf(a):
    return a & 0x7FFFFFFF == INF


def sign(a):
    return a >> 31


def number(a):
    """A finite f32 as (integer, exponent of two)."""
    exponent, fraction = a >> 23 & 255, a & 0x7FFFFF
    magnitude, power = (fraction, -149) if exponent == 0 else (fraction | 0x800000, exponent - 150)
    return (-magnitude if sign(a) else magnitude), power


def rounded(value, power, zero=0):
    """value · 2**power to the nearest f32, ties to even; `zero` are the bits of an exact zero."""
    if value == 0:
        return zero
    bits = SIGN if value < 0 else 0
    value = abs(value)
    # The unit in the last place: 24 significant bits, but never below 2**-149.
    unit = max(value.bit_length() + power - 24, -149)
    shift = unit - power
    if shift > 0:
        whole, rest = value >> shift, value & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        whole += rest > half or (rest == half and whole & 1)
    else:
        whole = value << -shift
    if whole == 1 << 24:
        whole, unit = 1 << 23, unit + 1
    if whole < 1 << 23:
        return bits | whole  # Subnormal: the unit is 2**-149.
    if unit > 104:
        return bits | INF
    return bits | (unit + 150) << 23 | (whole & 0x7FFFFF)


def fma(a, b, c):
    if is_nan(a) or is_nan(b) or is_nan(c):
        return NAN
    product_sign = sign(a) ^ sign(b)
    if is_inf(a) or is_inf(b):
        if (a & 0x7FFFFFFF) == 0 or (b & 0x7FFFFFFF) == 0 or (is_inf(c) and sign(c) != product_sign):
            return NAN
        return product_sign << 31 | INF
    if is_inf(c):
        return c
    (x, p), (y, q), (z, r) = number(a), number(b), number(c)
    power = min(p + q, r)
    value = (x * y << (p + q - power)) + (z << (r - power))
    both_negative = product_sign and sign(c)
    return rounded(value, power, SIGN if both_negative else 0)


def add(a, b):
    # a · 1 is a, with its sign, so that a sum is one rounding.
    return fma(a, 0x3F800000, b)


def sub(a, b):
    return add(a, b ^ SIGN)


def mul(a, b):
    # Adding the zero of the product's sign changes nothing.
    return fma(a, b, (sign(a) ^ sign(b)) << 31)


def div(a, b):
    if is_nan(a) or is_nan(b) or (is_inf(a) and is_inf(b)):
        return NAN
    bits = (sign(a) ^ sign(b)) << 31
    if is_inf(a):
        return bits | INF
    if is_inf(b):
        return bits
    (x, p), (y, q) = number(a), number(b)
    if y == 0:
        return NAN if x == 0 else bits | INF
    # 80 more bits than the quotient needs, and one that says whether anything is left.
    quotient, rest = divmod(abs(x) << 80, abs(y))
    value = quotient << 1 | (rest != 0)
    return rounded(-value if bits else value, p - q - 81, bits)


def sqrt(a):
    if is_nan(a):
        return NAN
    if a & 0x7FFFFFFF == 0:
        return a
    if sign(a):
        return NAN
    if is_inf(a):
        return a
    x, p = number(a)
    shift = 80 + (p & 1)
    value = x << shift
    root = math.isqrt(value)
    return rounded(root << 1 | (root * root != value), (p - shift) // 2 - 1)


def from_u32(a):
    return rounded(a, 0)


def less_than(a, b):
    if is_nan(a) or is_nan(b):
        return 0
    (x, p), (y, q) = [((-1) ** sign(v), 200) if is_inf(v) else number(v) for v in (a, b)]
    return int(x << (p + 149) < y << (q + 149))


def max_total(a, b):
    def key(v):
        v = v ^ 0x7FFFFFFF if sign(v) else v
        return v - (1 << 32) if v >> 31 else v

    return b if key(a) < key(b) else a


def nearest_integer(a):
    if is_nan(a):
        return 0
    if is_inf(a):
        return 0x80000000 if sign(a) else 0x7FFFFFFF
    x, p = number(a)
    if p >= 0:
        whole = x << p
    else:
        shift = min(-p, 200)
        magnitude = abs(x)
        whole, rest, half = magnitude >> shift, magnitude & ((1 << shift) - 1), 1 << (shift - 1)
        whole += rest > half or (rest == half and whole & 1)
        whole = -whole if x < 0 else whole
    return max(-(1 << 31), min((1 << 31) - 1, whole)) & MASK


def exp(x):
    if is_nan(x):
        return NAN
    if less_than(0x42B17218, x):
        return INF
    if less_than(x, 0xC2CFF1B4):
        return 0
    shifted = fma(x, 0x3FB8AA3B, 0x4B400000)
    n = sub(shifted, 0x4B400000)
    r = fma(n, 0xBF317200, x)
    r = fma(n, 0xB5BFBE8E, r)
    p = 0x39500D01
    for c in (0x3AB60B61, 0x3C088889, 0x3D2AAAAB, 0x3E2AAAAB, 0x3F000000, 0x3F800000, 0x3F800000):
        p = fma(p, r, c)
    k = (shifted - 0x4B400000) & MASK
    k = k - (1 << 32) if k >> 31 else k
    h = k >> 1
    return mul(mul(p, (h + 127) << 23), (k - h + 127) << 23)


def log(x):
    if x & 0x7FFFFFFF == 0:
        return NEG_INF
    if x >= INF:
        return INF if x == INF else NAN
    s, bias = (mul(x, 0x4B000000), 23) if x < 0x00800000 else (x, 0)
    t = (s + 0x004AFB0D) & MASK
    i = (t >> 23) - 127 - bias
    m = (t & 0x007FFFFF) + 0x3F3504F3
    e = from_u32(abs(i)) ^ (SIGN if i < 0 else 0)
    f = sub(m, 0x3F800000)
    z = mul(f, f)
    p = 0x3D9021BB
    for c in (0xBDEBD1B8, 0x3DEF251A, 0xBDFE5D4F, 0x3E11E9BF, 0xBE2AAE50, 0x3E4CCEAC, 0xBE7FFFFC, 0x3EAAAAAA):
        p = fma(p, f, c)
    y = mul(mul(f, z), p)
    y = fma(e, 0xB95E8083, y)
    y = fma(0xBF000000, z, y)
    y = add(f, y)
    return fma(e, 0x3F318000, y)


# ---------------------------------------------------------------- docs/spec/operators.md

INPUT, CONTRACT, REDUCE_ADD, REDUCE_MAX, MAP, GATHER, SCATTER_ADD, CONTRACT_I8 = range(8)
CHAINS = (CONTRACT, REDUCE_ADD, REDUCE_MAX, SCATTER_ADD, CONTRACT_I8)


class Malformed(Exception):
    pass


def require(condition, what="the payload is wrong"):
    if not condition:
        raise Malformed(what)


class Node:
    def __init__(self, data):
        require(len(data) >= 16)
        (self.kind, self.dtype, self.out, reduce, count, small, large, program, flags, self.source) = data[:10]
        zero, self.source_index = struct.unpack_from("<HI", data, 10)
        require(self.kind <= 7 and self.dtype <= 1 and self.source <= 3)
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

# ---------------------------------------------------------------- BLAKE3, and docs/spec/commitments.md

IV = struct.unpack("<8I", bytes.fromhex("67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b"))
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8


def compress(chaining, words, counter, length, flags):
    v = list(chaining) + list(IV[:4]) + [counter & MASK, counter >> 32, length, flags]
    m = list(words)

    def mix(a, b, c, d, x, y):
        v[a] = (v[a] + v[b] + x) & MASK
        v[d] ^= v[a]
        v[d] = (v[d] >> 16 | v[d] << 16) & MASK
        v[c] = (v[c] + v[d]) & MASK
        v[b] ^= v[c]
        v[b] = (v[b] >> 12 | v[b] << 20) & MASK
        v[a] = (v[a] + v[b] + y) & MASK
        v[d] ^= v[a]
        v[d] = (v[d] >> 8 | v[d] << 24) & MASK
        v[c] = (v[c] + v[d]) & MASK
        v[b] ^= v[c]
        v[b] = (v[b] >> 7 | v[b] << 25) & MASK

    for number in range(7):
        mix(0, 4, 8, 12, m[0], m[1])
        mix(1, 5, 9, 13, m[2], m[3])
        mix(2, 6, 10, 14, m[4], m[5])
        mix(3, 7, 11, 15, m[6], m[7])
        mix(0, 5, 10, 15, m[8], m[9])
        mix(1, 6, 11, 12, m[10], m[11])
        mix(2, 7, 8, 13, m[12], m[13])
        mix(3, 4, 9, 14, m[14], m[15])
        m = [m[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def chunk_value(data, index, is_root):
    value = IV
    blocks = [data[at : at + 64] for at in range(0, len(data), 64)] or [b""]
    for number, block in enumerate(blocks):
        flags = CHUNK_START * (number == 0)
        if number + 1 == len(blocks):
            flags |= CHUNK_END | ROOT * is_root
        value = compress(value, struct.unpack("<16I", block.ljust(64, b"\0")), index, len(block), flags)
    return struct.pack("<8I", *value)


def parent_value(left, right, is_root):
    return struct.pack("<8I", *compress(IV, struct.unpack("<16I", left + right), 0, 64, PARENT | ROOT * is_root))


def depth(n):
    return 0 if n < 2 else (n - 1).bit_length()


def chunks_of(length):
    return max(1, -(-length // 1024))


def width(chunks, level):
    return ((chunks - 1) >> level) + 1


def blob_levels(data):
    """The values of all nodes of a blob's tree, level by level from the chunks."""
    chunks = chunks_of(len(data))
    levels = [[chunk_value(data[i * 1024 : i * 1024 + 1024], i, chunks == 1) for i in range(chunks)]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append(
            [
                parent_value(below[i], below[i + 1], len(below) == 2) if i + 1 < len(below) else below[i]
                for i in range(0, len(below), 2)
            ]
        )
    return levels


def tensor_root(elements):
    return blob_levels(struct.pack(f"<{len(elements)}I", *elements))[-1][0]


def opened_blob(chunks, index, data, path):
    """The root of the blob of so many chunks that has this chunk at this place."""
    require(index < chunks and (len(data) == 1024 or (index + 1 == chunks and len(data) < 1024)))
    top = depth(chunks)
    value = chunk_value(data, index, top == 0)
    for level in range(top):
        place = index >> level
        if place ^ 1 < width(chunks, level):
            require(len(path) >= 32)
            sibling, path = path[:32], path[32:]
            pair = (sibling, value) if place & 1 else (value, sibling)
            value = parent_value(*pair, level + 1 == top)
    require(path == b"")
    return value


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def merkle_leaf(data):
    return sha256(b"\0", data)


def merkle_node(left, right):
    return sha256(b"\1", left, right)


def padding(height):
    value = bytes(32)
    for _ in range(height):
        value = merkle_node(value, value)
    return value


def merkle_levels(leaves):
    level = [merkle_leaf(data) for data in leaves]
    level += [bytes(32)] * ((1 << depth(len(level))) - len(level))
    levels = [level]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([merkle_node(below[i], below[i + 1]) for i in range(0, len(below), 2)])
    return levels


def merkle_root(leaves):
    return merkle_levels(leaves)[-1][0]


def opened_merkle(count, index, leaf, path):
    """The root of the tree of so many leaves that has this leaf hash at this place."""
    require(index < count and len(path) == 32 * depth(count))
    for level in range(depth(count)):
        sibling = path[32 * level : 32 * level + 32]
        leaf = merkle_node(sibling, leaf) if index >> level & 1 else merkle_node(leaf, sibling)
    return leaf


def folded(nodes):
    nodes = [nodes[at : at + 32] for at in range(0, len(nodes), 32)]
    while len(nodes) > 1:
        nodes = [merkle_node(nodes[i], nodes[i + 1]) for i in range(0, len(nodes), 2)]
    return nodes[0]


def u32(n):
    return struct.pack("<I", n)


def window(seed, place, step, row, mixture_bps, tokens, window_tokens):
    h = sha256(b"sip.sample.1", seed, u32(place), u32(step), u32(row))
    pick = int.from_bytes(h[:4], "little") * 10_000 >> 32
    cumulative = 0
    for domain, share in enumerate(mixture_bps):
        cumulative += share
        if cumulative > pick:
            return domain, int.from_bytes(h[8:16], "little") % (tokens[domain] - window_tokens + 1)
    raise Malformed("the mixture has no such domain")


def f32(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def genesis(config):
    """The entries of the state before round 0."""
    hidden, layers, inner = config["hidden"], config["layers"], config["intermediate"]
    kv = hidden // config["heads"] * config["key_value_heads"]
    embedding = (config["vocabulary"], hidden, 0)
    # (out, in, whether it leads into the residual stream); None for a vector.
    layer = [None, (hidden, hidden, 0), (kv, hidden, 0), (kv, hidden, 0), (hidden, hidden, 1), None,
             (inner, hidden, 0), (inner, hidden, 0), (hidden, inner, 1)]  # fmt: skip
    shapes = [embedding] + layer * layers + [None] + ([] if config["tied"] else [embedding])
    mask = (1 << 64) - 1

    def mix(v):
        v ^= v >> 16
        v = v * 0x7FEB352D & MASK
        v ^= v >> 15
        v = v * 0x846CA68B & MASK
        return v ^ v >> 16

    weights = []
    for n, shape in enumerate(shapes):
        if shape is None:
            weights.append([0x3F800000] * hidden)
            continue
        z = ((config["seed"] ^ (n + 1) * 0x9E3779B97F4A7C15 & mask) + 0x9E3779B97F4A7C15) & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        key = z ^ z >> 31
        rows, columns, is_residual = shape
        sigma = 0.02 / math.sqrt(2 * layers) if is_residual else 0.02
        scale = f32(sigma * math.sqrt(3) / 2**23)
        low, high, middle = key & MASK, key >> 32, f32(8388607.5)
        weights.append(
            [mul(sub(from_u32(mix(mix(e + low & MASK) ^ high) >> 8), middle), scale) for e in range(rows * columns)]
        )
    return weights + [[0] * len(entry) for entry in weights] * 2


def median(values):
    """The least value such that the stake of all values up to it is at least half, rounded up, of all stake."""
    total = sum(stake for _, stake in values)
    for value in sorted(value for value, stake in values if stake):
        if sum(stake for other, stake in values if other <= value) >= (total + 1) // 2:
            return value
    return None


def leaf_preimage(first_step, count, start, batches, end):
    return b"sip.leaf.1" + u32(first_step) + u32(count) + start + batches + end


def batches_root(roots):
    return roots[0] if len(roots) == 1 else merkle_root(roots)


# ---------------------------------------------------------------- docs/spec/disputes.md

(REVEAL_LEAVES, PICK_LEAF, OPEN_LEAF, POST_STEPS, PICK_STEP, POST_TRACE, PICK_TRACE, REVEAL_TRACE, REVEAL_STATE, PICK_STATE,
 OPEN_ENTRY, PROVE_OUTPUT, OPEN_NODE, PROVE_INPUT, REVEAL_TENSOR, PICK_TENSOR, POST_CHUNK, PICK_ELEMENT, PROVE_TOKEN,
 POST_PARTIALS, PICK_PIECE, POST_VALUES, PROVE_OPERAND, OVER) = range(24)  # fmt: skip
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
    def __init__(self, ground, clock_slots, slot):
        self.ground = ground
        self.start_root = self.batch_root = self.end_root = self.trace_root = self.output_root = bytes(32)
        self.value = ground["accumulator_root"]
        self.clocks, self.moved_slot, self.outcome = [clock_slots, clock_slots], slot, 0
        self.leaves = -(-ground["inner_steps"] // ground["leaf_interval"])
        self.height = depth(self.leaves)
        self.phase = REVEAL_LEAVES if self.height else OPEN_LEAF
        self.index = self.leaf = self.step = self.node = self.element = self.piece = self.piece_start = self.claim = 0
        self.table_len = self.node_len = 0
        self.table, self.node_bytes, self.trace_path = bytearray(2056), bytearray(880), bytearray(768)

    def position(self):
        """The fields of the account from offset 192 to the buffer."""
        g = self.ground
        ground = b"".join(g[name] for name in ("nodes_root", "outputs_root", "tables_root", "round_seed", "start_root",
                                               "end_root", "accumulator_root"))  # fmt: skip
        ground += b"".join(g["dataset_roots"]) + struct.pack("<8Q8H", *g["token_counts"], *g["mixture_bps"])
        ground += struct.pack("<10I", g["node_count"], g["state_count"], g["table_count"], g["inner_steps"],
                              g["leaf_interval"], g["first_step"], g["place"], g["rows"], g["row_tokens"], 0)  # fmt: skip
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
        down = min(4, self.height)
        level, first = self.height - down, self.index << down
        return chunks, level, first, min(1 << down, width(chunks, level) - first)

    def enter(self, chunks, level, index):
        while level > 0 and 2 * index + 1 >= width(chunks, level - 1):
            level, index = level - 1, 2 * index
        self.height, self.index = level, index
        self.phase = REVEAL_TENSOR if level else POST_CHUNK

    def opens(self, root, count, index, data, path):
        require(opened_merkle(count, index, merkle_leaf(data), path) == root, "the opening is false")

    # -- the moves

    def play(self, side, kind, payload, slot):
        require(self.phase != OVER and side == (TRAINER if self.phase in TRAINERS_PHASES else CHALLENGER), "not on move")
        elapsed = slot - self.moved_slot
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
            data = p.take(32 << min(4, self.height))
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
        data = p.take(32 << min(4, self.height))
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
            levels = min(4, self.height)
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
        require(self.height == depth(self.ground["node_count"]), "the trace is not whole any more")
        self.value, self.height, self.index, self.table_len = self.end_root, depth(self.ground["state_count"]), 0, 0
        self.phase = REVEAL_STATE if self.height else OPEN_ENTRY

    def prove_output(self, p):
        g = self.ground
        node = p.number()
        self.opens(g["outputs_root"], g["state_count"], self.node, u32(node), p.take(32 * depth(g["state_count"])))
        root = p.take(32)
        self.opens(self.trace_root, g["node_count"], node, root, p.take(len(p.data)))
        self.convict_if(root != self.value)

    def prove_input(self, p):
        g, node = self.ground, self.graph_node()
        tree, count = (self.start_root, g["state_count"]) if node.source == 0 else (g["tables_root"], g["table_count"])
        root = p.take(32)
        self.opens(tree, count, node.source_index, root, p.take(len(p.data)))
        self.convict_if(root != self.value)

    def prove_token(self, p):
        g = self.ground
        row = self.element // g["row_tokens"]
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


# ---------------------------------------------------------------- the files


def expect(found, expected, where):
    if found != expected:
        raise SystemExit(f"{where}: the specification gives {found!r}, the vector says {expected!r}")


def words(text):
    data = bytes.fromhex(text)
    return list(struct.unpack(f"<{len(data) // 4}I", data))


def blob(length):
    """The bytes of the blob of a length."""
    return bytes((at * 31 + (at >> 8) * 17 + 7) & 255 for at in range(length))


def arithmetic(file):
    operations = {"add": add, "sub": sub, "mul": mul, "div": div, "fma": fma, "max_total": max_total, "less_than": less_than,
                  "sqrt": sqrt, "exp": exp, "log": log, "nearest_integer": nearest_integer, "from_u32": from_u32}  # fmt: skip
    expect(set(file), set(operations), "arithmetic")
    for name, rows in file.items():
        for *arguments, result in rows:
            expect(operations[name](*arguments), result, f"{name}({', '.join(f'{a:#010x}' for a in arguments)})")


def operators(file):
    for item in file.pop("bytes"):
        try:
            found = Node(bytes.fromhex(item["bytes"])) is not None
        except Malformed:
            found = False
        expect(found, item["is_node"], f"node {item['bytes']}")
    kinds = {"contract": 1, "reduce_add": 2, "reduce_max": 3, "map": 4, "gather": 5, "scatter_add": 6, "contract_i8": 7}
    expect(set(file), set(kinds), "operators")
    for name, items in file.items():
        for number, item in enumerate(items):
            node = Node(bytes.fromhex(item["node"]))
            expect(node.kind, kinds[name], f"{name} {number}")
            operands = [words(text) for text in item["operands"]]
            output = item["output"]
            expect(node.evaluate(operands), None if output is None else words(output), f"{name} {number}")
            if "partials" in item:
                expect(node.partials(node.len - 1, operands), item["partials"], f"{name} {number}, pieces")


def trees(file):
    for item in file["blake3"]:
        data, where = blob(item["bytes"]), f"a blob of {item['bytes']} bytes"
        expect(blob_levels(data)[-1][0].hex(), item["root"], where)
        for index, path in item["openings"]:
            part = data[1024 * index : 1024 * index + 1024]
            found = opened_blob(chunks_of(len(data)), index, part, bytes.fromhex(path))
            expect(found.hex(), item["root"], f"{where}, chunk {index}")
    for item in file["merkle"]:
        count = item["leaves"]
        expect(merkle_root([u32(i) for i in range(count)]).hex(), item["root"], f"a tree of {count} leaves")
        for index, path in item["openings"]:
            found = opened_merkle(count, index, merkle_leaf(u32(index)), bytes.fromhex(path))
            expect(found.hex(), item["root"], f"a tree of {count} leaves, leaf {index}")
    for height, value in file["padding"]:
        expect(padding(height).hex(), value, f"padding {height} levels up")


def commitments(file):
    unhex = bytes.fromhex
    for number, item in enumerate(file["graphs"]):
        nodes, tables = [[unhex(text) for text in item[name]] for name in ("nodes", "tables")]
        for node in nodes:
            Node(node)
        outputs = [u32(node) for node in item["outputs"]]
        roots = merkle_root(nodes), merkle_root(outputs), merkle_root(tables)
        for name, root in zip(("nodes_root", "outputs_root", "tables_root"), roots):
            expect(root.hex(), item[name], f"graph {number}, {name}")
        root = sha256(b"sip.graph.1", roots[0], u32(len(nodes)), roots[1], u32(len(outputs)), roots[2], u32(len(tables)))
        expect(root.hex(), item["root"], f"graph {number}")
    for number, item in enumerate(file["segments"]):
        preimages = []
        for index, leaf in enumerate(item["leaves"]):
            first = index * item["leaf_interval"]
            count = min(item["leaf_interval"], item["inner_steps"] - first)
            batches = batches_root([unhex(root) for root in leaf["batches"]])
            preimages.append(leaf_preimage(first, count, unhex(leaf["start"]), batches, unhex(leaf["end"])))
            expect(preimages[-1].hex(), leaf["preimage"], f"segment {number}, leaf {index}")
        expect(merkle_root(preimages).hex(), item["accumulator_root"], f"segment {number}")
    for step, root in file["steps"]:
        expect(tensor_root([step]).hex(), root, f"step {step}")
    for number, item in enumerate(file["windows"]):
        arguments = [item[name] for name in ("place", "step", "row", "mixture_bps", "tokens", "window_tokens")]
        found = window(unhex(item["seed"]), *arguments)
        expect(found, (item["domain"], item["offset"]), f"window {number}")
    for number, item in enumerate(file["draws"]):
        draw = unhex(item["draw"])
        expect(sha256(draw).hex(), item["tip"], f"draw {number}, tip")
        value = sha256(draw, unhex(item["segment"]), unhex(item["accumulator_root"]))[:4]
        expect(int.from_bytes(value, "little") < item["audit_rate"], item["is_drawn"], f"draw {number}")
    for number, item in enumerate(file["seeds"]):
        draws = [unhex(draw) for draw in item["draws"]]
        reveals = sha256(*draws, bytes(32 * (16 - len(draws))))
        expect(sha256(unhex(item["seed"]), reveals).hex(), item["next_seed"], f"seed {number}")
    for number, item in enumerate(file["scores"]):
        found = sha256(struct.pack("<8I", *item["scores"]), *(unhex(item[name]) for name in ("salt", "pool", "round")))
        expect(found.hex(), item["commitment"], f"score {number}")
    for number, item in enumerate(file["medians"]):
        expect(median(item["values"]), item["median"], f"median {number}")
    for number, item in enumerate(file["means"]):
        first, *others = item["states"]
        for other in others:
            first = [add(a, b) for a, b in zip(first, other)]
        count = from_u32(len(item["states"]))
        expect([div(a, count) for a in first], item["mean"], f"mean {number}")
    for number, item in enumerate(file["genesis"]):
        found = merkle_root([tensor_root(entry) for entry in genesis(item)])
        expect(found.hex(), item["genesis_root"], f"genesis {number}")


def disputes(file):
    for item in file["disputes"]:
        ground = item["ground"]
        for name, value in ground.items():
            if name.endswith("root") or name == "round_seed":
                ground[name] = bytes.fromhex(value)
        ground["dataset_roots"] = [bytes.fromhex(root) for root in ground["dataset_roots"]]
        game = Game(ground, item["clock_slots"], item["slot"])
        for number, move in enumerate(item["moves"]):
            where = f"{item['name']}, move {number}"
            before = {name: value[:] if isinstance(value, (bytearray, list)) else value for name, value in vars(game).items()}
            try:
                game.play(move["side"], move["kind"], bytes.fromhex(move["payload"]), move["slot"])
                is_taken = True
            except Malformed:
                is_taken = False
                vars(game).update(before)
            expect(is_taken, move["is_taken"], where)
            expect(game.phase, move["phase"], f"{where}, phase")
            expect(sha256(game.position()).hex(), move["position"], f"{where}, position")
        expect(game.outcome, item["outcome"], f"{item['name']}, outcome")


def main():
    checks = [arithmetic, operators, trees, commitments, disputes]
    for check in checks:
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]:
            continue
        path = Path(__file__).parent / "proof" / f"{check.__name__}.json"
        file = json.loads(path.read_text())
        count = sum(len(item.get("moves", "1")) if isinstance(item, dict) else 1 for items in file.values() for item in items)
        check(file)
        print(f"{check.__name__}: {count} vectors hold")


main()

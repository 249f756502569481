"""docs/spec/commitments.md, with a BLAKE3 of its own: trees, openings, leaves, batches, the genesis state."""

import hashlib
import math
import struct

from . import Malformed, require
from .arithmetic import MASK, from_u32, mul, sub

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


def history(before, final):
    """The history of a job after one more final round (docs/spec/finality.md)."""
    numbers = struct.pack("<II", final["index"], final["parent"])
    roots = [bytes.fromhex(final[name]) for name in ("seed", "base_root", "reveals", "next_base")]
    mixture, settings = struct.pack("<8H", *final["mixture_bps"]), struct.pack("<4I", *final["settings"])
    places = struct.pack("<HH", final["committed"], final["accepted"])
    scores, amounts = struct.pack("<8I", *final["scores"]), struct.pack("<QQ", final["quality"], final["reward"])
    return sha256(b"sip.history.1", before, numbers, *roots, mixture, settings, places, scores, amounts)


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


def held_out_window(step, row, windows, rows, tokens, window_tokens):
    """What a row of a scoring run's batch reads."""
    require(rows > 0 and row < rows and windows % rows == 0)
    steps = windows // rows
    domain = step // steps
    require(domain < len(tokens) and tokens[domain] >= window_tokens)
    number = step % steps * rows + row
    return domain, number * (tokens[domain] - window_tokens) // max(1, windows - 1)


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


P25519 = 2**255 - 19
D25519 = -121665 * pow(121666, -1, P25519) % P25519


def is_on_curve(data):
    """Whether 32 bytes are a point of edwards25519 (RFC 8032, 5.1.3): y, and the sign of x in the last bit."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y % (1 << 255) % P25519
    square = (y * y - 1) * pow(D25519 * y * y + 1, -1, P25519) % P25519
    return pow(square, (P25519 - 1) // 2, P25519) == 1 or (square == 0 and sign == 0)


def program_address(seeds, program):
    """The address of the seeds, and its bump."""
    for bump in range(255, -1, -1):
        address = sha256(*seeds, bytes([bump]), program, b"ProgramDerivedAddress")
        if not is_on_curve(address):
            return address, bump
    raise Malformed("no bump gives an address")


def batches_root(roots):
    return roots[0] if len(roots) == 1 else merkle_root(roots)

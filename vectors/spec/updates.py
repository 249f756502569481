"""docs/spec/updates.md: start state, update and next base of the update codec."""

import math
import struct

from . import require
from .arithmetic import SIGN, add, div, fma, from_u32, less_than, mul, nearest_integer, sqrt, sub

ONE, CODE_MAX, SCALE_MAX = 0x3F800000, 0x42FE0000, 0x4F800000


def signed(word):
    return struct.unpack("<4b", struct.pack("<I", word))


def places(word):
    return struct.pack("<I", word)


def words(values):
    """Four bytes to a word, the first lowest."""
    data = bytes(value & 255 for value in values)
    return list(struct.unpack(f"<{len(data) // 4}I", data))


def total(values, beside=1):
    """The sum of many values, of which `beside` are computed side by side."""
    n = len(values)
    few = beside < 16 and n > 1024
    if few or n > 1 << 16:
        least = -(-n >> 16)
        wanted = max(math.isqrt(n), least) if few else least
        columns = next((d for d in range(wanted, 4 * wanted + 1) if n % d == 0), None)
        columns = columns or next((d for d in range(wanted - 1, least - 1, -1) if n % d == 0), None)
        if columns is not None and 1 < columns < n:
            return total([total(values[c::columns], beside * columns) for c in range(columns)], beside)
    require(n <= 1 << 16, "no graph sums so many values")
    result = 0
    for value in values:
        result = add(result, value)
    return result


class Codec:
    def __init__(self, chunk, keep, outer, lengths):
        """`outer` is None for the mean, or rate and momentum of Nesterov's step."""
        self.chunk, self.keep, self.outer, self.lengths = chunk, keep, outer, lengths
        self.count = len(lengths)

    def start(self, base, previous):
        return base[: self.count] + previous[3 * self.count : 5 * self.count]

    def encoded(self, change):
        """Indices, codes and scales of a tensor, and what they leave of it."""
        indices, codes, scales, residual = [], [], [], list(change)
        for first in range(0, len(change), self.chunk):
            values = change[first : first + self.chunk]
            values += [0] * (self.chunk - len(values))
            # The bits of finite magnitudes are in the order of the magnitudes.
            chosen = sorted(range(self.chunk), key=lambda place: (-(values[place] & ~SIGN), place))[: self.keep]
            scale = div(values[chosen[0]] & ~SIGN, CODE_MAX)
            scale = scale if less_than(scale, SCALE_MAX) else SCALE_MAX
            scale = scale if less_than(0, scale) else ONE
            scales.append(scale)
            for place in chosen:
                steps = div(values[place] & ~SIGN, scale)
                code = nearest_integer(steps if less_than(steps, CODE_MAX) else CODE_MAX)
                code = -code if less_than(values[place], 0) else code
                indices.append(place)
                codes.append(code)
                if first + place < len(change):
                    residual[first + place] = sub(values[place], mul(self.number(code), scale))
        return words(indices), words(codes), scales, residual

    @staticmethod
    def number(code):
        return from_u32(abs(code)) | (SIGN if code < 0 else 0)

    def update(self, residuals, start, end):
        count, told = self.count, []
        for tensor, old in enumerate(residuals):
            change = [add(sub(e, s), r) for s, e, r in zip(start[tensor], end[tensor], old)]
            told.append(self.encoded(change))
        kinds = [[part[kind] for part in told] for kind in range(4)]
        return kinds[0] + kinds[1] + kinds[2] + end[count:] + kinds[3]

    def decoded(self, length, indices, codes):
        """The code of every element of a tensor."""
        dense, per_chunk = [0] * (-(-length // self.chunk) * self.chunk), self.keep // 4
        for at, (where, what) in enumerate(zip(indices, codes)):
            first = at // per_chunk * self.chunk
            for place, code in zip(places(where), signed(what)):
                if place < self.chunk:
                    dense[first + place] = code
        return dense[:length]

    def norm(self, told):
        sums, per_chunk = [], self.keep // 4
        for tensor in range(self.count):
            codes, scales = told[self.count + tensor], told[2 * self.count + tensor]
            squares = []
            for number, scale in enumerate(scales):
                of_chunk = codes[number * per_chunk : (number + 1) * per_chunk]
                square = from_u32(sum(code * code for word in of_chunk for code in signed(word)))
                squares.append(mul(mul(square, scale), scale))
            sums.append(total(squares))
        while len(sums) > 1:
            groups = [sums[at : at + 8] for at in range(0, len(sums), 8)]
            sums = []
            for first, *others in groups:
                for other in others:
                    first = add(first, other)
                sums.append(first)
        return sqrt(sums[0])

    def next_base(self, base, updates):
        norms = [self.norm(told) for told in updates]
        # Norms are not negative, so that their bits are in their order.
        median = sorted(norms)[(len(norms) - 1) // 2]
        minus_count = from_u32(len(norms)) | SIGN
        shares = [div(div(median, norm) if less_than(median, norm) else ONE, minus_count) for norm in norms]
        weights, momenta = [], []
        for tensor, length in enumerate(self.lengths):
            descent = None
            for told, share in zip(updates, shares):
                codes = self.decoded(length, told[tensor], told[self.count + tensor])
                scales = [mul(scale, share) for scale in told[2 * self.count + tensor]]
                terms = [(self.number(code), scales[at // self.chunk]) for at, code in enumerate(codes)]
                if descent is None:
                    descent = [mul(code, scale) for code, scale in terms]
                else:
                    descent = [fma(code, scale, g) for (code, scale), g in zip(terms, descent)]
            if self.outer is None:
                weights.append([sub(weight, g) for weight, g in zip(base[tensor], descent)])
                continue
            rate, momentum = self.outer
            new = [fma(momentum, old, g) for old, g in zip(base[self.count + tensor], descent)]
            momenta.append(new)
            steps = [fma(momentum, m, g) for m, g in zip(new, descent)]
            weights.append([fma(rate ^ SIGN, step, weight) for step, weight in zip(steps, base[tensor])])
        return weights + momenta

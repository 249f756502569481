"""docs/spec/tables.md: the elements of a table by its rule. cos, sin and powers are this platform's; the page says what may differ."""

import math
import struct

from .commitments import f32


def double(data):
    return struct.unpack("<d", data)[0]


def single(bits):
    """An f32, widened."""
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def learning_rate(k, rows, warmup, peak, share, shape, decay):
    if k < warmup:
        return peak * (k + 1) / warmup

    def progress(first):
        return min(1.0, max(0, k - first) / max(1, rows - first - 1))

    if shape == 0:
        return peak
    if shape == 1:
        above = 1 - progress(warmup)
    elif shape == 2:
        above = 0.5 * (1 + math.cos(math.pi * progress(warmup)))
    else:
        above = 1 - progress(max(warmup, max(0, rows - decay - 1)))
    return peak * (share + (1 - share) * above)


def steps(rows, warmup, peak, share, shape, decay, beta1, beta2):
    elements = []
    for t in range(1, rows + 1):
        elements.append(f32(learning_rate(t - 1, rows, warmup, peak, share, shape, decay)))
        elements += [f32(1 / (1 - single(beta) ** t)) for beta in (beta1, beta2)] + [0]
    return elements


def angles(pairs, positions, theta):
    width = 2 * pairs
    frequencies = [math.pow(single(theta), -2.0 * pair / width) for pair in range(pairs)]
    return [position * frequency for frequency in frequencies for position in range(positions)]


def cosines(pairs, positions, theta):
    return [f32(math.cos(angle)) for angle in angles(pairs, positions, theta)]


def sines(pairs, positions, theta):
    found = angles(pairs, positions, theta)
    return [f32(sign * math.sin(angle)) for sign in (-1.0, 1.0) for angle in found]

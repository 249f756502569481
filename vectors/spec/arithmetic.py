"""docs/spec/arithmetic.md: binary32 on exact integers, rounded once."""

import math

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

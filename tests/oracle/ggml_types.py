"""ggml's number formats in numpy, written from the formats' definitions and not from the converter's C++.

decode(type_name, data) gives float32 for every type that the converter reads; encode(type_name, values) writes F32, F16, BF16,
Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q6_K and IQ4_NL; random_blocks(type_name, count, seed) makes legal blocks of any type.

Run as a program it prints, for each type, the CRC-32C of fixed pseudo-random blocks and of their decoded values: those are the
constants of tests/unit/test_dequantize.cpp.
"""

import numpy as np

# name: (ggml's number, values in a block, bytes in a block, offsets of its half-precision numbers)
TYPES = {
    "F32": (0, 1, 4, ()),
    "F16": (1, 1, 2, (0,)),
    "BF16": (30, 1, 2, ()),
    "Q4_0": (2, 32, 18, (0,)),
    "Q4_1": (3, 32, 20, (0, 2)),
    "Q5_0": (6, 32, 22, (0,)),
    "Q5_1": (7, 32, 24, (0, 2)),
    "Q8_0": (8, 32, 34, (0,)),
    "Q2_K": (10, 256, 84, (80, 82)),
    "Q3_K": (11, 256, 110, (108,)),
    "Q4_K": (12, 256, 144, (0, 2)),
    "Q5_K": (13, 256, 176, (0, 2)),
    "Q6_K": (14, 256, 210, (208,)),
    "IQ2_XXS": (16, 256, 66, (0,)),
    "IQ4_NL": (20, 32, 18, (0,)),
}

IQ4_LEVELS = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.float32)

# IQ2_XXS's codebook in base three, one number an entry: digit j (from the lowest) is 0, 1, 2 for the magnitudes 8, 25, 43.
IQ2_GRID_BASE3 = [
    0, 2, 4, 6, 8, 10, 12, 18, 20, 24, 26, 28, 30, 36, 42, 46, 48, 54,
    56, 62, 74, 82, 84, 90, 94, 108, 138, 150, 162, 164, 182, 218, 244, 246, 252, 262,
    264, 270, 272, 276, 288, 298, 300, 306, 318, 324, 326, 330, 342, 356, 376, 378, 388, 412,
    414, 432, 462, 480, 486, 490, 492, 498, 510, 514, 516, 522, 524, 546, 570, 594, 650, 660,
    730, 732, 738, 748, 756, 774, 786, 792, 796, 810, 816, 828, 846, 854, 864, 912, 922, 972,
    978, 990, 994, 1006, 1026, 1068, 1100, 1134, 1148, 1216, 1218, 1224, 1242, 1270, 1296, 1300, 1368, 1414,
    1458, 1460, 1466, 1488, 1504, 1512, 1514, 1564, 1572, 1620, 1622, 1702, 1704, 1710, 1728, 1742, 1782, 1810,
    1830, 1926, 1950, 1962, 2010, 2136, 2188, 2190, 2196, 2202, 2206, 2208, 2214, 2220, 2228, 2232, 2242, 2244,
    2250, 2268, 2286, 2314, 2322, 2326, 2350, 2358, 2382, 2390, 2400, 2430, 2436, 2448, 2484, 2500, 2522, 2532,
    2592, 2674, 2676, 2682, 2700, 2704, 2754, 2796, 2800, 2810, 2866, 2898, 2916, 2922, 2926, 2932, 2934, 2970,
    2976, 3000, 3026, 3072, 3142, 3222, 3224, 3248, 3322, 3360, 3402, 3412, 3418, 3450, 3510, 3570, 3648, 3654,
    3672, 3696, 3726, 3766, 3822, 3852, 3888, 3892, 3978, 3980, 4026, 4160, 4374, 4376, 4382, 4402, 4430, 4458,
    4470, 4482, 4546, 4618, 4620, 4626, 4630, 4644, 4662, 4698, 4730, 4764, 4786, 4806, 4824, 4862, 4944, 5032,
    5106, 5112, 5124, 5130, 5176, 5198, 5238, 5296, 5346, 5366, 5376, 5464, 5644, 5688, 5834, 5868, 5890, 5920,
    5994, 6090, 6354, 6402,
]


def _iq2_grid():
    numbers = np.array(IQ2_GRID_BASE3, dtype=np.int64)[:, None]
    digits = numbers // 3 ** np.arange(8)[None, :] % 3
    return np.array([8, 25, 43], dtype=np.float32)[digits]


def _halves(blocks, offset):
    """The f16 at `offset` of every block, as float32, one column."""
    return np.ascontiguousarray(blocks[:, offset : offset + 2]).view(np.float16).astype(np.float32)


def _nibbles(packed):
    """[n, bytes] -> [n, 2 bytes]: all low nibbles, then all high ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _bits(packed):
    """[n, bytes] -> [n, 8 bytes], lowest bit of the first byte first."""
    return np.unpackbits(np.ascontiguousarray(packed), axis=1, bitorder="little")


def _k_scales(packed):
    """The 12 bytes of Q4_K and Q5_K -> eight scales and eight minima, as float32."""
    packed = packed.astype(np.int32)
    first, second, third = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([first & 63, (third & 15) + 16 * (first >> 6)], axis=1)
    minima = np.concatenate([second & 63, (third >> 4) + 16 * (second >> 6)], axis=1)
    return scales.astype(np.float32), minima.astype(np.float32)


def _two_bit_codes(packed):
    """64 bytes -> 256 codes: half h, bits 2k.. of its 32 bytes -> values 128 h + 32 k + 0..31."""
    halves = packed.reshape(-1, 2, 1, 32)
    shifts = np.array([0, 2, 4, 6], dtype=np.uint8).reshape(1, 1, 4, 1)
    return (halves >> shifts & 3).reshape(-1, 256)


def _q2_k(blocks):
    scale, minimum = _halves(blocks, 80), _halves(blocks, 82)
    groups = blocks[:, 0:16]
    codes = _two_bit_codes(blocks[:, 16:80]).reshape(-1, 16, 16).astype(np.float32)
    scales = scale * (groups & 15).astype(np.float32)
    minima = minimum * (groups >> 4).astype(np.float32)
    return scales[:, :, None] * codes - minima[:, :, None]


def _q3_k(blocks):
    scale = _halves(blocks, 108)
    packed = blocks[:, 96:108].astype(np.int32)
    low = np.concatenate([packed[:, 0:8] & 15, packed[:, 0:8] >> 4], axis=1)
    high = np.concatenate([packed[:, 8:12] >> shift & 3 for shift in (0, 2, 4, 6)], axis=1)
    scales = scale * (low + 16 * high - 32).astype(np.float32)
    # Bit b of the 32 high bytes belongs to the values 32 b + 0..31; a clear bit takes 4 off.
    high_bits = (blocks[:, None, 0:32] >> np.arange(8, dtype=np.uint8)[None, :, None] & 1).reshape(-1, 256)
    codes = _two_bit_codes(blocks[:, 32:96]).astype(np.int32) - 4 * (1 - high_bits.astype(np.int32))
    return scales[:, :, None] * codes.reshape(-1, 16, 16).astype(np.float32)


def _q4_k(blocks):
    scale, minimum = _halves(blocks, 0), _halves(blocks, 2)
    scales, minima = _k_scales(blocks[:, 4:16])
    codes = _nibbles(blocks[:, 16:144].reshape(-1, 32)).reshape(-1, 8, 32).astype(np.float32)
    return (scale * scales)[:, :, None] * codes - (minimum * minima)[:, :, None]


def _q5_k(blocks):
    scale, minimum = _halves(blocks, 0), _halves(blocks, 2)
    scales, minima = _k_scales(blocks[:, 4:16])
    low = _nibbles(blocks[:, 48:176].reshape(-1, 32)).reshape(-1, 8, 32)
    high = blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None] & 1
    codes = (low + 16 * high).astype(np.float32)
    return (scale * scales)[:, :, None] * codes - (minimum * minima)[:, :, None]


def _q6_k(blocks):
    scales = _halves(blocks, 208) * np.ascontiguousarray(blocks[:, 192:208]).view(np.int8).astype(np.float32)
    low = _nibbles(blocks[:, 0:128].reshape(-1, 64)).reshape(-1, 256)
    codes = low.astype(np.int32) + 16 * _two_bit_codes(blocks[:, 128:192]).astype(np.int32) - 32
    return scales[:, :, None] * codes.reshape(-1, 16, 16).astype(np.float32)


def _iq2_xxs(blocks):
    words = np.ascontiguousarray(blocks[:, 2:66]).view(np.uint32).reshape(-1, 8, 2)
    scale = _halves(blocks, 0) * (np.float32(0.5) + (words[:, :, 1] >> 28).astype(np.float32)) * np.float32(0.25)
    indices = np.ascontiguousarray(words[:, :, 0]).view(np.uint8).reshape(-1, 8, 4)
    signs = words[:, :, 1, None] >> np.array([0, 7, 14, 21], dtype=np.uint32) & 127
    seven = signs[..., None] >> np.arange(7, dtype=np.uint32) & 1
    eighth = seven.sum(axis=-1, keepdims=True) & 1
    negative = np.concatenate([seven, eighth], axis=-1)
    values = scale[:, :, None, None] * _iq2_grid()[indices]
    return np.where(negative != 0, -values, values)


def decode(type_name, data):
    """The values of `data` (bytes or a uint8 array), float32, flat."""
    number, values, size, _ = TYPES[type_name]
    raw = np.frombuffer(bytes(data), dtype=np.uint8)
    if type_name == "F32":
        return raw.view(np.float32).copy()
    if type_name == "F16":
        return raw.view(np.float16).astype(np.float32)
    if type_name == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    blocks = raw.reshape(-1, size)
    if type_name == "Q4_0":
        result = _halves(blocks, 0) * (_nibbles(blocks[:, 2:]).astype(np.float32) - np.float32(8))
    elif type_name == "Q4_1":
        result = _halves(blocks, 0) * _nibbles(blocks[:, 4:]).astype(np.float32) + _halves(blocks, 2)
    elif type_name == "Q5_0":
        codes = _nibbles(blocks[:, 6:]) + 16 * _bits(blocks[:, 2:6])
        result = _halves(blocks, 0) * (codes.astype(np.float32) - np.float32(16))
    elif type_name == "Q5_1":
        codes = _nibbles(blocks[:, 8:]) + 16 * _bits(blocks[:, 4:8])
        result = _halves(blocks, 0) * codes.astype(np.float32) + _halves(blocks, 2)
    elif type_name == "Q8_0":
        result = _halves(blocks, 0) * np.ascontiguousarray(blocks[:, 2:]).view(np.int8).astype(np.float32)
    elif type_name == "IQ4_NL":
        result = _halves(blocks, 0) * IQ4_LEVELS[_nibbles(blocks[:, 2:])]
    else:
        decoders = {"Q2_K": _q2_k, "Q3_K": _q3_k, "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k, "IQ2_XXS": _iq2_xxs}
        result = decoders[type_name](blocks)
    result = result.reshape(-1)
    assert result.dtype == np.float32
    return result


def _half_bytes(values):
    return values.astype(np.float16).reshape(-1, 1).view(np.uint8)


def _pack_nibbles(codes):
    half = codes.shape[1] // 2
    return (codes[:, :half] | codes[:, half:] << 4).astype(np.uint8)


def _inverse(scale):
    return np.where(scale == 0, 0, 1 / np.where(scale == 0, 1, scale))


def _encode_q4_k(x):
    """Plain: a minimum and a scale of each group of 32, both in 6 bits of the block's largest."""
    groups = x.reshape(-1, 8, 32)
    low = np.minimum(groups.min(axis=2), 0)
    step = (np.maximum(groups.max(axis=2), 0) - low) / 15
    scale = (step.max(axis=1) / 63).astype(np.float16).astype(np.float64)
    minimum = ((-low).max(axis=1) / 63).astype(np.float16).astype(np.float64)
    s = np.clip(np.rint(step * _inverse(scale)[:, None]), 0, 63).astype(np.int32)
    m = np.clip(np.rint(-low * _inverse(minimum)[:, None]), 0, 63).astype(np.int32)
    width = scale[:, None] * s
    codes = np.rint((groups + (minimum[:, None] * m)[:, :, None]) * _inverse(width)[:, :, None])
    codes = np.clip(codes, 0, 15).astype(np.uint8)
    packed = np.zeros((len(x), 12), dtype=np.uint8)
    packed[:, 0:4] = s[:, :4] | (s[:, 4:] >> 4) << 6
    packed[:, 4:8] = m[:, :4] | (m[:, 4:] >> 4) << 6
    packed[:, 8:12] = (s[:, 4:] & 15) | (m[:, 4:] & 15) << 4
    body = _pack_nibbles(codes.reshape(-1, 64)).reshape(-1, 128)
    return np.concatenate([_half_bytes(scale), _half_bytes(minimum), packed, body], axis=1)


def _encode_q6_k(x):
    groups = x.reshape(-1, 16, 16)
    step = np.abs(groups).max(axis=2) / 31
    scale = (step.max(axis=1) / 127).astype(np.float16).astype(np.float64)
    s = np.clip(np.rint(step * _inverse(scale)[:, None]), 0, 127)
    codes = np.rint(groups * _inverse(scale[:, None] * s)[:, :, None])
    codes = (np.clip(codes, -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = codes & 15
    ql = np.concatenate([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], axis=2).reshape(-1, 128)
    top = codes >> 4
    qh = (top[:, :, 0] | top[:, :, 1] << 2 | top[:, :, 2] << 4 | top[:, :, 3] << 6).reshape(-1, 64)
    return np.concatenate([ql, qh, s.astype(np.int8).view(np.uint8), _half_bytes(scale)], axis=1)


def encode(type_name, values):
    """Bytes of `values` (any shape, rows a multiple of the block). Plain rounding, enough for tests."""
    x = np.asarray(values, dtype=np.float32)
    if type_name == "F32":
        return x.tobytes()
    if type_name == "F16":
        return x.astype(np.float16).tobytes()
    if type_name == "BF16":
        bits = x.reshape(-1).view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes()
    size = TYPES[type_name][1]
    assert x.shape[-1] % size == 0, "a row is not a multiple of the block"
    x = x.reshape(-1, size).astype(np.float64)
    largest = x[np.arange(len(x)), np.abs(x).argmax(axis=1)]
    if type_name in ("Q4_0", "Q5_0"):
        levels = 8 if type_name == "Q4_0" else 16
        scale = largest / -levels
        codes = np.clip(np.trunc(x * _inverse(scale)[:, None] + levels + 0.5), 0, 2 * levels - 1).astype(np.uint8)
        high = [] if levels == 8 else [np.packbits(codes >> 4, axis=1, bitorder="little")]
        result = [_half_bytes(scale)] + high + [_pack_nibbles(codes & 15)]
    elif type_name in ("Q4_1", "Q5_1"):
        top = 15 if type_name == "Q4_1" else 31
        low = x.min(axis=1)
        scale = (x.max(axis=1) - low) / top
        codes = np.clip(np.trunc((x - low[:, None]) * _inverse(scale)[:, None] + 0.5), 0, top).astype(np.uint8)
        high = [] if top == 15 else [np.packbits(codes >> 4, axis=1, bitorder="little")]
        result = [_half_bytes(scale), _half_bytes(low)] + high + [_pack_nibbles(codes & 15)]
    elif type_name == "Q8_0":
        scale = np.abs(largest) / 127
        codes = np.rint(x * _inverse(scale)[:, None]).astype(np.int8)
        result = [_half_bytes(scale), codes.view(np.uint8)]
    elif type_name == "IQ4_NL":
        scale = np.abs(largest) / 127
        distance = np.abs((x * _inverse(scale)[:, None])[:, :, None] - IQ4_LEVELS[None, None, :])
        result = [_half_bytes(scale), _pack_nibbles(distance.argmin(axis=2).astype(np.uint8))]
    elif type_name == "Q4_K":
        return _encode_q4_k(x).tobytes()
    elif type_name == "Q6_K":
        return _encode_q6_k(x).tobytes()
    else:
        raise ValueError(f"no encoder for {type_name}: use random_blocks()")
    return np.concatenate(result, axis=1).tobytes()


def _splitmix64(count, seed):
    mask = (1 << 64) - 1
    state, words = seed, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        words.append(z ^ z >> 31)
    return np.array(words, dtype=np.uint64)


def random_blocks(type_name, count, seed, largest_scale=None):
    """`count` blocks of random bytes, with every half-precision number finite (subnormal and negative ones too).

    With `largest_scale` those numbers are drawn from [0.25, 1] times it instead, so that one can compute with the values.
    """
    _, values, size, halves = TYPES[type_name]
    raw = _splitmix64((count * size + 7) // 8, seed).view(np.uint8)[: count * size].reshape(count, size).copy()
    if type_name == "F32":
        raw[:, 3] &= 0xBF  # below 2
    if type_name == "BF16":
        raw[:, 1] &= 0xBF
    for offset in halves:
        high = raw[:, offset + 1]
        high[(high & 0x7C) == 0x7C] ^= 0x40  # no infinity, no NaN
        if largest_scale is not None:
            fraction = 0.25 + 0.75 * raw[:, offset].astype(np.float64) / 255
            raw[:, offset : offset + 2] = _half_bytes(largest_scale * fraction)
    return raw.tobytes()


def crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


if __name__ == "__main__":
    for name, (number, values, size, _) in TYPES.items():
        blocks = random_blocks(name, 8192 // values, 1000 + number)
        print(f'    {{SourceType::{name.lower()}, 0x{crc32c(blocks):08x}, 0x{crc32c(decode(name, blocks).tobytes()):08x}}},')

"""Ways to spoil a model file: cut it, flip its bits, and set the fields that a reader trusts to what hurts most.

Each generator yields (what was done, bytes). The field-aware ones know the formats only as far as it takes to find the
numbers in a file of ours.
"""
import json
import struct

import numpy

EDGES_32 = (0, 1, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
EDGES_64 = (0, 1, 31, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 32,
            (1 << 64) - 1)


def cuts(raw, random, count):
    """Short ends, ends near the whole length, and some between."""
    lengths = {0, 1, 4, 7, 8, 12, 16, 24, 27, 28, 64, 511, 512, 513, len(raw) - 1, len(raw) - 4, len(raw) - 33, len(raw) // 2}
    lengths |= {int(n) for n in random.integers(0, len(raw), max(0, count - len(lengths)))}
    for length in sorted(n for n in lengths if 0 <= n < len(raw)):
        yield f"cut to {length} of {len(raw)} bytes", raw[:length]


def flips(raw, random, count, first=0, last=None):
    """One to eight flipped bits in raw[first:last], most of them near its beginning, where the headers are."""
    last = len(raw) if last is None else min(last, len(raw))
    for _ in range(count):
        spoiled = bytearray(raw)
        places = first + (random.random(random.integers(1, 9)) ** 3 * (last - first)).astype(int)
        for place in places:
            spoiled[place] ^= 1 << int(random.integers(0, 8))
        yield f"bits flipped at {sorted(int(p) for p in places)}", bytes(spoiled)


def set_fields(raw, fields):
    """fields: (name, offset, width). Every field to every edge value, and to its neighbours."""
    for name, offset, width in fields:
        now = int.from_bytes(raw[offset:offset + width], "little")
        edges = EDGES_64 if width == 8 else EDGES_32 if width == 4 else (0, 1, 2, 0x7F, 0x80, 0xFF)
        for value in sorted({*edges, now + 1, max(0, now - 1), now * 2}):
            if value != now and value < 1 << 8 * width:
                yield f"{name} = {value}", raw[:offset] + value.to_bytes(width, "little") + raw[offset + width:]


# ---- GGUF -----------------------------------------------------------------------------------------------------------------

GGUF_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def gguf_fields(raw):
    """Where a (good) GGUF file's counts, lengths, types, values, shapes and offsets are."""
    fields = [("version", 4, 4), ("number of tensors", 8, 8), ("number of keys", 16, 8)]
    tensors, keys = struct.unpack_from("<QQ", raw, 8)
    at = 24

    def string(what):
        nonlocal at
        fields.append((what + " length", at, 8))
        length = struct.unpack_from("<Q", raw, at)[0]
        text = raw[at + 8:at + 8 + length].decode(errors="replace")
        at += 8 + length
        return text

    for _ in range(keys):
        name = string("key")
        fields.append((name + " type", at, 4))
        kind = struct.unpack_from("<I", raw, at)[0]
        at += 4
        if kind == 8:
            string(name)
        elif kind == 9:
            element, length = struct.unpack_from("<IQ", raw, at)
            fields += [(name + " element type", at, 4), (name + " elements", at + 4, 8)]
            at += 12
            if element == 8:
                for index in range(length):
                    before = len(fields)
                    string(f"{name}[{index}]")
                    if 2 < index < length - 1:
                        del fields[before:]
            else:
                fields.append((name + "[0]", at, GGUF_WIDTHS[element]))
                at += length * GGUF_WIDTHS[element]
        else:
            fields.append((name, at, GGUF_WIDTHS[kind]))
            at += GGUF_WIDTHS[kind]
    for index in range(tensors):
        name = string("tensor name")
        dimensions = struct.unpack_from("<I", raw, at)[0]
        if index > 4 and index < tensors - 1:
            at += 4 + 8 * dimensions + 12
            continue
        fields.append((name + " dimensions", at, 4))
        fields += [(f"{name} ne[{n}]", at + 4 + 8 * n, 8) for n in range(dimensions)]
        at += 4 + 8 * dimensions
        fields += [(name + " type", at, 4), (name + " offset", at + 4, 8)]
        at += 12
    return fields


def gguf_mutations(raw):
    yield from set_fields(raw, gguf_fields(raw))
    yield "wrong magic", b"GGUG" + raw[4:]
    yield "big-endian version", raw[:4] + struct.pack(">I", 3) + raw[8:]
    huge = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 1 << 20) + b"a" * (1 << 20)
    yield "a key of a megabyte", huge + struct.pack("<II", 4, 1)
    nested = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<I", 9)
    yield "arrays in arrays, 100000 deep", nested + struct.pack("<IQ", 9, 1) * 100000


# ---- JSON, safetensors ----------------------------------------------------------------------------------------------------

NONSENSE = (None, True, -1, 0, 1, 3, 2 ** 31, 2 ** 32, 2 ** 63, 2 ** 64, 10 ** 30, 0.5, -0.0, 1e-320, 1e308, "", "x",
            "1" * 1000, "\u0000", [], [[]], {}, [1] * 1000, {"a": {"b": []}})
NOT_JSON = (b"", b"{", b"}", b"[]", b"null", b"\xff\xfe{\x00}\x00", b"{\"a\":}", b"{\"a\":1e999}", b"{\"a\":NaN}", b"\x00" * 64,
            b"[" * 100000, b"{\"a\":" * 100000, b"{\"" + b"\\u0000" * 1000 + b"\":1}", b"{\"a\":\"\xc3\"}",
            b"{\"a\":\"\\ud800\"}")


def json_mutations(raw):
    """Every value in the text, two levels down, to nonsense; every key away; and what is no JSON at all."""
    for text in NOT_JSON:
        yield f"JSON is {text[:20]!r}", text
    whole = json.loads(raw)

    def spoiled(path, value, remove=False):
        copy = json.loads(raw)
        inner = copy
        for key in path[:-1]:
            inner = inner[key]
        if remove:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        return json.dumps(copy).encode()

    def walk(value, path):
        if path:
            yield f"{path} removed", spoiled(path, None, remove=True)
            for nonsense in NONSENSE:
                yield f"{path} = {str(nonsense)[:30]}", spoiled(path, nonsense)
        inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
        if len(path) < 3:
            for key, one in inner:
                yield from walk(one, path + [key])

    yield from walk(whole, [])


def with_json(raw, text, length=None):
    """A safetensors file with another header text."""
    old = struct.unpack_from("<Q", raw)[0]
    return struct.pack("<Q", len(text) if length is None else length) + text + raw[8 + old:]


def safetensors_mutations(raw):
    length = struct.unpack_from("<Q", raw)[0]
    yield from set_fields(raw, [("header length", 0, 8)])
    header = json.loads(raw[8:8 + length])
    names = [name for name in header if name != "__metadata__"]
    # A file has many tensors that are alike: the first of each kind is enough.
    few = {name: header[name] for name in (["__metadata__"] if "__metadata__" in header else []) + names[:3] + names[-1:]}
    rest = {name: value for name, value in header.items() if name not in few}
    for what, text in json_mutations(json.dumps(few).encode()):
        try:
            parsed = json.loads(text)
            merged = json.dumps({**rest, **parsed}).encode() if isinstance(parsed, dict) else text
        except (ValueError, RecursionError):
            merged = text
        yield "header: " + what, with_json(raw, merged)
    first, second = names[0], names[1]
    for offsets in ([-8, 0], [8, 4], [0, 2 ** 63], [2 ** 63, 2 ** 63 + 8], [2 ** 64 - 4, 2 ** 64],
                    header[second]["data_offsets"]):
        copy = json.loads(raw[8:8 + length])
        copy[first]["data_offsets"] = offsets
        yield f"data_offsets = {offsets}", with_json(raw, json.dumps(copy).encode())
    for shape in ([0, 0], [2 ** 32, 2 ** 32], [2 ** 63, 2], [1] * 5000, [-1, -1], header[first]["shape"][::-1]):
        copy = json.loads(raw[8:8 + length])
        copy[first]["shape"] = shape
        yield f"shape = {str(shape)[:40]}", with_json(raw, json.dumps(copy).encode())
    twice = raw[8:8 + length].rstrip()[:-1] + b"," + json.dumps({first: header[first]}).encode()[1:]
    yield "a name twice", with_json(raw, twice)


def special_floats(raw, random, start):
    """float32 data with NaN and infinities in it."""
    for bits in (0x7FC00000, 0x7F800000, 0xFF800000, 0x7F7FFFFF):
        spoiled = bytearray(raw)
        place = start + 4 * int(random.integers(0, (len(raw) - start) // 4))
        spoiled[place:place + 4] = bits.to_bytes(4, "little")
        yield f"float 0x{bits:08X} at {place}", bytes(spoiled)


# ---- llama2.c -------------------------------------------------------------------------------------------------------------

def llama2c_mutations(raw):
    names = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")
    yield from set_fields(raw, [(name, 4 * index, 4) for index, name in enumerate(names)])


# ---- .linnet --------------------------------------------------------------------------------------------------------------

def _crc32c_table():
    table = numpy.arange(256, dtype=numpy.uint32)
    for _ in range(8):
        table = numpy.where(table & 1, (table >> 1) ^ numpy.uint32(0x82F63B78), table >> 1).astype(numpy.uint32)
    return [int(x) for x in table]


_TABLE = _crc32c_table()


def crc32c(raw):
    crc = 0xFFFFFFFF
    for byte in raw:
        crc = _TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def sealed(raw):
    """With the header's and the metadata's checksums made right again, so that what was spoiled is looked at."""
    spoiled = bytearray(raw)
    weights = struct.unpack_from("<Q", raw, 72)[0]
    if 512 <= weights <= min(len(raw), 1 << 20):
        struct.pack_into("<I", spoiled, 108, crc32c(raw[512:weights]))
    struct.pack_into("<I", spoiled, 508, crc32c(spoiled[:508]))
    return bytes(spoiled)


def linnet_fields(raw):
    """Every field of the header, and of the first, a middle and the last record of the tensor table."""
    fields = [("version", 8, 4), ("header_bytes", 12, 4)]
    names = ("file_bytes", "name_offset", "rope_short_offset", "rope_long_offset", "tensors_offset", "tokenizer_offset",
             "tokenizer_bytes", "weights_offset", "weights_bytes", "checksums_offset")
    fields += [(name, 16 + 8 * index, 8) for index, name in enumerate(names)]
    fields += [(name, 96 + 4 * index, 4) for index, name in enumerate(("name_bytes", "tensor_count", "chunk_bytes"))]
    fields += [(f"config[{index}]", 112 + 4 * index, 4) for index in range(30)]
    table, (count,) = struct.unpack_from("<Q", raw, 48)[0], struct.unpack_from("<I", raw, 100)
    for index in sorted({0, 1, 2, count // 2, count - 1}):
        record = table + 40 * index
        fields += [(f"tensor {index} {name}", record + 4 * n, 4)
                   for n, name in enumerate(("role", "layer", "format", "group", "rows", "columns"))]
        fields += [(f"tensor {index} offset", record + 24, 8), (f"tensor {index} bytes", record + 32, 8)]
    return fields


def linnet_mutations(raw, random, count):
    for what, spoiled in set_fields(raw, linnet_fields(raw)):
        yield what + ", checksums made right", sealed(spoiled)
    weights = struct.unpack_from("<Q", raw, 72)[0]
    for what, spoiled in flips(raw, random, count, 8, min(weights, 1 << 16)):
        yield what + ", checksums made right", sealed(spoiled)
    for start, bits in ((160, 0x7FC00000), (160, 0xFF800000), (164, 0x7FC00000)):  # rms_epsilon, rope_attention_factor
        spoiled = raw[:start] + bits.to_bytes(4, "little") + raw[start + 4:]
        yield f"float 0x{bits:08X} at {start}, checksums made right", sealed(spoiled)
    for value in (float("nan"), float("inf"), -1.0, 0.0, 1e300):
        yield f"rope_theta = {value}, checksums made right", sealed(raw[:168] + struct.pack("<d", value) + raw[176:])

"""Writes GGUF v3 files (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): what the makers of this folder share.

A tensor is (name, type, rows, columns); a vector has one row. Standard library only.
"""
import struct

F32, Q4_0, Q8_0 = 0, 2, 8  # a tensor's types
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # a token's types
ALIGNMENT = 32
BLOCK = 32  # weights that share a scale
BLOCK_BYTES = {Q4_0: 18, Q8_0: 34}

_UINT32, _INT32, _FLOAT32, _STRING, _ARRAY = 4, 5, 6, 8, 9
_CODES = {_UINT32: "<I", _INT32: "<i", _FLOAT32: "<f"}


def _text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(kind, value):
    return _text(value) if kind == _STRING else struct.pack(_CODES[kind], value)


def _kind(value):
    return {str: _STRING, float: _FLOAT32, int: _UINT32}[type(value)]


def _field(name, value):
    if not isinstance(value, list):
        return _text(name) + struct.pack("<I", _kind(value)) + _value(_kind(value), value)
    kind = _INT32 if isinstance(value[0], int) else _kind(value[0])
    return _text(name) + struct.pack("<IIQ", _ARRAY, kind, len(value)) + b"".join(_value(kind, one) for one in value)


def size(kind, rows, columns):
    """A tensor's bytes."""
    return rows * columns * 4 if kind == F32 else rows * columns // BLOCK * BLOCK_BYTES[kind]


def vocabulary_fields(pieces):
    """pieces: (text, score, type) by token, the first three <unk>, <s>, </s>."""
    texts, scores, types = (list(column) for column in zip(*pieces))
    return {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": texts, "tokenizer.ggml.scores": scores,
            "tokenizer.ggml.token_type": types, "tokenizer.ggml.unknown_token_id": 0, "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2}


def write(path, fields, tensors, data):
    """fields: name -> str, float, int (unsigned) or a list of them (integers signed). data(tensor) gives a tensor's bytes,
    and is asked for one after the other, in their order."""
    header = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(fields))
    header += b"".join(_field(name, value) for name, value in fields.items())
    at = 0
    for name, kind, rows, columns in tensors:
        sizes = [columns] if rows == 1 else [columns, rows]
        header += _text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, at)
        at += -(-size(kind, rows, columns) // ALIGNMENT) * ALIGNMENT
    with open(path, "wb") as file:
        file.write(header + bytes(-len(header) % ALIGNMENT))
        for tensor in tensors:
            raw = data(tensor)
            assert len(raw) == size(*tensor[1:]), tensor
            file.write(raw)
            file.write(bytes(-len(raw) % ALIGNMENT))

"""Writes a Q4_0 file of a named shape with random weights: random_gguf.py SHAPE OUT.gguf

Shapes are phi-3's own (`phi-3-mini`, 3.8 billion weights) and smaller ones of its architecture (`medium`, `small`, `stories15m`). The matrices are
Q4_0, the output matrix Q8_0, so that Linnet's conversion of it keeps every weight: both runtimes read the same numbers. Random
weights cost what real ones cost. Standard library only.
"""
import random
import struct
import sys

SHAPES = {
    # hidden, layers, heads, kv_heads, feed_forward, vocabulary
    "phi-3-mini": (3072, 32, 32, 32, 8192, 32064),
    "medium": (1536, 16, 16, 4, 4096, 32064),
    "small": (512, 8, 8, 8, 2048, 32064),
    "stories15m": (288, 6, 6, 6, 768, 32000),
}
F32, Q4_0, Q8_0 = 0, 2, 8
UINT32, FLOAT32, STRING, ARRAY, INT32 = 4, 6, 8, 9, 5


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def field(name, kind, value):
    codes = {UINT32: "<I", FLOAT32: "<f"}
    return text(name) + struct.pack("<I", kind) + (text(value) if kind == STRING else struct.pack(codes[kind], value))


def array(name, kind, values):
    codes = {FLOAT32: "<f", INT32: "<i"}
    out = text(name) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return out + b"".join(text(one) if kind == STRING else struct.pack(codes[kind], one) for one in values)


def metadata(shape):
    hidden, layers, heads, kv_heads, feed_forward, vocabulary = shape
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [f"\u2581word{n}" for n in range(vocabulary - len(tokens))]
    types = [2, 3, 3] + [6] * 256 + [1] * (vocabulary - 259)
    fields = [field("general.architecture", STRING, "phi3"), field("general.name", STRING, "random"),
              field("general.file_type", UINT32, 2), field("phi3.context_length", UINT32, 4096),
              field("phi3.embedding_length", UINT32, hidden), field("phi3.block_count", UINT32, layers),
              field("phi3.feed_forward_length", UINT32, feed_forward), field("phi3.attention.head_count", UINT32, heads),
              field("phi3.attention.head_count_kv", UINT32, kv_heads),
              field("phi3.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
              field("phi3.rope.dimension_count", UINT32, hidden // heads), field("phi3.rope.freq_base", FLOAT32, 10000.0),
              field("tokenizer.ggml.model", STRING, "llama"), array("tokenizer.ggml.tokens", STRING, tokens),
              array("tokenizer.ggml.scores", FLOAT32, [-float(n) for n in range(vocabulary)]),
              array("tokenizer.ggml.token_type", INT32, types), field("tokenizer.ggml.bos_token_id", UINT32, 1),
              field("tokenizer.ggml.eos_token_id", UINT32, 2)]
    return fields


def tensors(shape):
    """(name, type, rows, columns); a vector has one row."""
    hidden, layers, heads, kv_heads, feed_forward, vocabulary = shape
    dim = hidden // heads
    yield "token_embd.weight", Q8_0, vocabulary, hidden
    for layer in range(layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", F32, 1, hidden
        yield block + "attn_qkv.weight", Q4_0, (heads + 2 * kv_heads) * dim, hidden
        yield block + "attn_output.weight", Q4_0, hidden, heads * dim
        yield block + "ffn_norm.weight", F32, 1, hidden
        yield block + "ffn_up.weight", Q4_0, 2 * feed_forward, hidden
        yield block + "ffn_down.weight", Q4_0, hidden, feed_forward
    yield "output_norm.weight", F32, 1, hidden
    yield "output.weight", Q8_0, vocabulary, hidden


def size(kind, rows, columns):
    return rows * columns * 4 if kind == F32 else rows * columns // 32 * {Q4_0: 18, Q8_0: 34}[kind]


def fill(kind, rows, columns, source):
    if kind == F32:
        return struct.pack("<f", 1.0) * (rows * columns)
    # An even spread over sixteen (or 256) levels; the scale makes the products of a row about as large as what comes in.
    width = size(kind, 1, 32)
    blocks = bytearray(source.randbytes(rows * columns // 32 * width))
    deviation = 4.6 if kind == Q4_0 else 74.0
    for at, byte in enumerate(struct.pack("<e", 1.0 / (deviation * columns ** 0.5))):
        blocks[at::width] = bytes([byte]) * (len(blocks) // width)
    return blocks


def main(name, path):
    shape = SHAPES[name]
    listed = list(tensors(shape))
    fields = metadata(shape)
    header = struct.pack("<IIQQ", 0x46554747, 3, len(listed), len(fields)) + b"".join(fields)
    at = 0
    for tensor, kind, rows, columns in listed:
        sizes = [columns] if rows == 1 else [columns, rows]
        header += text(tensor) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, at)
        at += -(-size(kind, rows, columns) // 32) * 32
    source = random.Random(1)
    with open(path, "wb") as file:
        file.write(header + b"\0" * (-len(header) % 32))
        for _, kind, rows, columns in listed:
            raw = fill(kind, rows, columns, source)
            file.write(raw)
            file.write(bytes(-len(raw) % 32))


if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
    sys.exit(f"Usage: random_gguf.py {'|'.join(SHAPES)} OUT.gguf")
main(*sys.argv[1:])

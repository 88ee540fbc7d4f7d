"""Writes a Q4_0 file of a named shape with random weights: random_gguf.py SHAPE OUT.gguf

Shapes are phi-3's own (`phi-3-mini`, 3.8 billion weights) and smaller ones of its architecture (`medium`, `small`,
`stories15m`). The matrices are Q4_0, embedding and output matrix Q8_0, so that Linnet's conversion keeps every weight: all
runtimes read the same numbers. Random weights cost what real ones cost. Every word of words.txt is one token. Standard
library only.
"""
import os
import random
import struct
import sys

import gguf_file
from gguf_file import BYTE, CONTROL, F32, NORMAL, Q4_0, Q8_0, UNKNOWN

SHAPES = {
    # hidden, layers, heads, kv_heads, feed_forward, vocabulary
    "phi-3-mini": (3072, 32, 32, 32, 8192, 32064),
    # The same with as many layers as fit into 2 GiB, more than which wllama 2 opens in no single file.
    "phi-3-mini-30-layers": (3072, 30, 32, 32, 8192, 32064),
    "medium": (1536, 16, 16, 4, 4096, 32064),
    "small": (512, 8, 8, 8, 2048, 32064),
    "stories15m": (288, 6, 6, 6, 768, 32000),
}
CONTEXT = 4096


def words():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "words.txt"), encoding="ascii") as file:
        return file.read().split()


def vocabulary(size):
    """The specials, the bytes, then what the words are merged from: their letters, and every beginning of a word, since
    SentencePiece merges two neighbours at a time. The rest cannot come out of a text."""
    pieces = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    texts = [part for word in words() for part in list(word) + ["\u2581" + word[:end] for end in range(len(word) + 1)]]
    texts = list(dict.fromkeys(texts))
    texts += [f"\u2581word{n}" for n in range(size - len(pieces) - len(texts))]
    return pieces + [(text, -float(rank), NORMAL) for rank, text in enumerate(texts)]


def metadata(shape):
    hidden, layers, heads, kv_heads, feed_forward, size = shape
    fields = {"general.architecture": "phi3", "general.name": "random", "general.file_type": 2,
              "general.quantization_version": 2, "phi3.context_length": CONTEXT,
              "phi3.rope.scaling.original_context_length": CONTEXT, "phi3.embedding_length": hidden,
              "phi3.block_count": layers, "phi3.feed_forward_length": feed_forward, "phi3.attention.head_count": heads,
              "phi3.attention.head_count_kv": kv_heads, "phi3.attention.layer_norm_rms_epsilon": 1e-5,
              "phi3.rope.dimension_count": hidden // heads, "phi3.rope.freq_base": 10000.0,
              # What phi-3-mini has. llama.cpp of early 2025, which is in wllama 2, knows it by itself for 32 and 40 layers, and
              # refuses a phi-3 of any other depth without this key.
              "phi3.attention.sliding_window": 2047}
    fields.update(gguf_file.vocabulary_fields(vocabulary(size)))
    return fields


def tensors(shape):
    hidden, layers, heads, kv_heads, feed_forward, size = shape
    dim = hidden // heads
    yield "token_embd.weight", Q8_0, size, hidden
    for layer in range(layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", F32, 1, hidden
        yield block + "attn_qkv.weight", Q4_0, (heads + 2 * kv_heads) * dim, hidden
        yield block + "attn_output.weight", Q4_0, hidden, heads * dim
        yield block + "ffn_norm.weight", F32, 1, hidden
        yield block + "ffn_up.weight", Q4_0, 2 * feed_forward, hidden
        yield block + "ffn_down.weight", Q4_0, hidden, feed_forward
    yield "output_norm.weight", F32, 1, hidden
    yield "output.weight", Q8_0, size, hidden


def fill(kind, rows, columns, source):
    if kind == F32:
        return struct.pack("<f", 1.0) * (rows * columns)
    # An even spread over sixteen (or 256) levels; the scale makes the products of a row about as large as what comes in.
    width = gguf_file.BLOCK_BYTES[kind]
    blocks = bytearray(source.randbytes(gguf_file.size(kind, rows, columns)))
    deviation = 4.6 if kind == Q4_0 else 74.0
    for at, byte in enumerate(struct.pack("<e", 1.0 / (deviation * columns ** 0.5))):
        blocks[at::width] = bytes([byte]) * (len(blocks) // width)
    return blocks


def main(name, path):
    shape = SHAPES[name]
    source = random.Random(1)
    gguf_file.write(path, metadata(shape), list(tensors(shape)), lambda tensor: fill(*tensor[1:], source))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(f"Usage: random_gguf.py {'|'.join(SHAPES)} OUT.gguf")
    main(*sys.argv[1:])

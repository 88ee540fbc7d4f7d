"""Writes a model of llama2.c as a Q4_0 file: llama2c_gguf.py MODEL.bin TOKENIZER.bin OUT.gguf

So that a small real model (stories15M) can be timed, and read, in every runtime with the same weights: the layers' matrices
in Q4_0, the embedding, which is the output matrix as well, in Q8_0. Both files are as llama2.c publishes them. Standard
library only.
"""
import array
import itertools
import struct
import sys

import gguf_file
from gguf_file import BLOCK, BYTE, CONTROL, F32, NORMAL, Q4_0, Q8_0, UNKNOWN


def read_pieces(path, count):
    """tokenizer.bin: the longest length, then (score, bytes, text) for each token, a blank where SentencePiece has U+2581."""
    with open(path, "rb") as file:
        file.read(4)
        for token in range(count):
            score, length = struct.unpack("<fi", file.read(8))
            text = file.read(length).decode()
            kind = UNKNOWN if token == 0 else CONTROL if token < 3 else BYTE if token < 259 else NORMAL
            # llama2.c writes line ends around <s> and </s>.
            yield (text.strip("\n") if kind == CONTROL else text.replace(" ", "\u2581")), score, kind


def q4_0(block):
    """16 levels from -8 to 7 steps: the weight that is farthest from 0 is -8 of them."""
    farthest = max(block, key=abs)
    step = farthest / -8
    inverse = 1 / step if step else 0.0
    levels = [min(15, int(x * inverse + 8.5)) for x in block]
    return struct.pack("<e", step) + bytes(low | high << 4 for low, high in zip(levels[:16], levels[16:]))


def q8_0(block):
    step = max(map(abs, block)) / 127
    inverse = 1 / step if step else 0.0
    return struct.pack("<e32b", step, *[round(x * inverse) for x in block])


def encode(kind, values):
    if kind == F32:
        return values.tobytes()
    block = q4_0 if kind == Q4_0 else q8_0
    return b"".join(block(values[at:at + BLOCK]) for at in range(0, len(values), BLOCK))


def main(model, tokenizer, path):
    with open(model, "rb") as file:
        hidden, feed_forward, layers, heads, kv_heads, size, context = struct.unpack("<7i", file.read(28))
        weights = array.array("f", file.read())
    if size < 0:
        sys.exit(f"{model} has an output matrix of its own, which this does not read.")
    keys = hidden // heads * kv_heads
    # (name, type, rows, columns), in the order of the file; those of a kind stand together there, layer after layer.
    kinds = [("attn_norm", F32, 1, hidden), ("attn_q", Q4_0, hidden, hidden), ("attn_k", Q4_0, keys, hidden),
             ("attn_v", Q4_0, keys, hidden), ("attn_output", Q4_0, hidden, hidden), ("ffn_norm", F32, 1, hidden),
             ("ffn_gate", Q4_0, feed_forward, hidden), ("ffn_down", Q4_0, hidden, feed_forward),
             ("ffn_up", Q4_0, feed_forward, hidden)]
    tensors = [("token_embd.weight", Q8_0, size, hidden)]
    tensors += [(f"blk.{layer}.{name}.weight", *rest) for name, *rest in kinds for layer in range(layers)]
    tensors += [("output_norm.weight", F32, 1, hidden)]
    ends = list(itertools.accumulate(rows * columns for _, _, rows, columns in tensors))
    parts = {tensor[0]: weights[end - tensor[2] * tensor[3]:end] for tensor, end in zip(tensors, ends)}

    fields = {"general.architecture": "llama", "general.name": "llama2.c", "general.file_type": 2,
              "general.quantization_version": 2, "llama.context_length": context, "llama.embedding_length": hidden,
              "llama.block_count": layers, "llama.feed_forward_length": feed_forward, "llama.attention.head_count": heads,
              "llama.attention.head_count_kv": kv_heads, "llama.attention.layer_norm_rms_epsilon": 1e-5,
              "llama.rope.dimension_count": hidden // heads, "llama.rope.freq_base": 10000.0, "llama.vocab_size": size}
    fields.update(gguf_file.vocabulary_fields(list(read_pieces(tokenizer, size))))
    gguf_file.write(path, fields, tensors, lambda tensor: encode(tensor[1], parts[tensor[0]]))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("Usage: llama2c_gguf.py MODEL.bin TOKENIZER.bin OUT.gguf")
    main(*sys.argv[1:])

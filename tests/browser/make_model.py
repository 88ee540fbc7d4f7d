"""Writes a GGUF file of random 4-bit weights with a tokenizer and a chat template: a model that chats nonsense, of any size.

    make_model.py OUT.gguf HIDDEN LAYERS [SEED]

What it says are pairs of letters, never the end of an answer, so that a test decides how long an answer is.
"""
import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import model_files
from reference import Config

VOCABULARY = 640
SILENT = 259  # rows of the output matrix that are zero: specials and bytes are never the most likely
TEMPLATE = "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + eos_token }}{% endfor %}{# <|user|> <|assistant|> #}"


def random_matrix(random, rows, columns, silent=0):
    """Q4_0 blocks of random nibbles whose values' spread is 1 / sqrt(columns)."""
    blocks = random.integers(0, 256, (rows, columns // 32, 18), dtype=numpy.uint8)
    scale = numpy.float16(1 / (4.6 * numpy.sqrt(columns)))
    blocks[:, :, 0:2] = numpy.frombuffer(scale.tobytes(), dtype=numpy.uint8)
    blocks[:silent, :, 0:2] = 0
    return "Q4_0", (rows, columns), blocks.tobytes()


def main(path, hidden, layers, seed=1):
    random = numpy.random.default_rng(seed)
    feed_forward = hidden * 11 // 4 // 32 * 32
    config = Config(hidden=hidden, layers=layers, heads=hidden // 64, kv_heads=hidden // 64, head_dim=64, feed_forward=feed_forward,
                    vocabulary=VOCABULARY, context=2048, family="llama")
    norm = ("F32", (hidden,), numpy.ones(hidden, dtype="<f4").tobytes())
    tensors = {"token_embd.weight": random_matrix(random, VOCABULARY, hidden)}
    for layer in range(layers):
        prefix = f"blk.{layer}."
        tensors[prefix + "attn_norm.weight"] = norm
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"{prefix}{name}.weight"] = random_matrix(random, hidden, hidden)
        tensors[prefix + "ffn_norm.weight"] = norm
        for name in ("ffn_gate", "ffn_up"):
            tensors[f"{prefix}{name}.weight"] = random_matrix(random, feed_forward, hidden)
        tensors[prefix + "ffn_down.weight"] = random_matrix(random, hidden, feed_forward)
    tensors["output_norm.weight"] = norm
    tensors["output.weight"] = random_matrix(random, VOCABULARY, hidden, SILENT)
    keys = model_files.gguf_keys(config, model_files.small_vocabulary(VOCABULARY), "Q4_0")
    keys["general.name"] = f"random {hidden}x{layers}"
    keys["tokenizer.chat_template"] = TEMPLATE
    with open(path, "wb") as file:
        file.write(model_files.gguf_file(keys, tensors))


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))

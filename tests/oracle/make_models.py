"""The cases: tiny random models, each there for one property, with the sequence lengths that show it.

    make_models.py FOLDER            writes them all, to look at or to try another program on
"""
import os
import sys
from dataclasses import dataclass, field

import numpy

import model_files
from reference import Config


@dataclass
class Case:
    name: str
    config: Config
    format: str                       # "safetensors", "gguf", "llama2c"
    lengths: tuple = (40,)            # sequences to evaluate, in tokens
    write: dict = field(default_factory=dict)  # further arguments of the writer
    pieces: bool = False              # with a tokenizer
    seed: int = 1


def random_weights(config, seed):
    """Weights for which everything matters: attention that is neither flat nor a single key, a residual stream that every
    layer changes, norms away from one."""
    random = numpy.random.default_rng(seed)

    def matrix(rows, columns, gain=1.0):
        return random.standard_normal((rows, columns)) * gain / numpy.sqrt(columns)

    def norm():
        return 1.0 + 0.2 * random.standard_normal(config.hidden)

    q_rows, kv_rows = config.heads * config.head_dim, config.kv_heads * config.head_dim
    weights = {"embedding": random.standard_normal((config.vocabulary, config.hidden)) * 0.7}
    for layer in range(config.layers):
        prefix = f"layers.{layer}."
        weights[prefix + "attention_norm"] = norm()
        q, k, v = matrix(q_rows, config.hidden, 1.5), matrix(kv_rows, config.hidden, 1.5), matrix(kv_rows, config.hidden)
        gate, up = matrix(config.feed_forward, config.hidden, 1.5), matrix(config.feed_forward, config.hidden)
        if config.family == "phi3":
            weights[prefix + "qkv"] = numpy.concatenate([q, k, v])
        else:
            weights.update({prefix + "q": q, prefix + "k": k, prefix + "v": v})
        weights[prefix + "o"] = matrix(config.hidden, q_rows, 1.5)
        weights[prefix + "feed_forward_norm"] = norm()
        if config.family == "phi3":
            weights[prefix + "gate_up"] = numpy.concatenate([gate, up])
        else:
            weights.update({prefix + "gate": gate, prefix + "up": up})
        weights[prefix + "down"] = matrix(config.hidden, config.feed_forward, 1.5)
    weights["norm"] = norm()
    if not config.tied:
        weights["head"] = matrix(config.vocabulary, config.hidden)
    return weights


def random_tokens(config, count, seed):
    return numpy.random.default_rng(1000 + seed).integers(0, config.vocabulary, count)


def longrope(dims, original, **more):
    """Factors of the published shape: short near one, long growing towards the slow pairs."""
    pairs = dims // 2
    short = 1.0 + 0.3 * numpy.arange(pairs) / pairs
    long = 1.05 * 1.6 ** numpy.arange(pairs)
    rounded = {"short": [float(x) for x in short.astype(numpy.float32)], "long": [float(x) for x in long.astype(numpy.float32)]}
    return {"kind": "longrope", "original": original, **rounded, **more}


def phi3(**changes):
    values = dict(hidden=64, layers=2, heads=2, kv_heads=2, head_dim=32, feed_forward=128, vocabulary=320, context=128,
                  family="phi3")
    return Config(**{**values, **changes})


def llama(**changes):
    values = dict(hidden=64, layers=2, heads=4, kv_heads=2, head_dim=16, feed_forward=160, vocabulary=320, context=128,
                  family="llama")
    return Config(**{**values, **changes})


LLAMA3 = {"kind": "llama3", "factor": 8.0, "low_factor": 1.0, "high_factor": 4.0, "original": 64}
BOUNDARY = (31, 32, 33, 50)


def cases():
    long32 = longrope(32, 32)
    head96 = dict(hidden=192, heads=2, kv_heads=2, head_dim=96, feed_forward=256)
    partial = dict(head_dim=32, rotary_dims=24, kv_heads=1, tied=True, rope=longrope(24, 32))
    odd = dict(hidden=48, heads=3, kv_heads=3, head_dim=16, feed_forward=100, vocabulary=77)
    tiny4096 = dict(hidden=32, layers=2, heads=1, kv_heads=1, head_dim=32, feed_forward=32, vocabulary=32, context=131072,
                    rope=longrope(32, 4096))
    return [
        Case("phi3", phi3(), "safetensors", pieces=True),
        Case("phi3-gguf", phi3(), "gguf", pieces=True),
        Case("phi3-bf16-shards", phi3(), "safetensors", write=dict(kind="BF16", shards=3)),
        Case("phi3-f16", phi3(), "safetensors", write=dict(kind="F16")),
        Case("phi3-gguf-f16", phi3(), "gguf", write=dict(kind="F16")),
        Case("phi3-gguf-bf16", phi3(), "gguf", write=dict(kind="BF16")),
        Case("phi3-gguf-split", phi3(), "gguf", write=dict(split=True), pieces=True),
        Case("phi3-gguf-aligned", phi3(), "gguf", write=dict(alignment=256, kind="F16")),
        Case("phi3-window", phi3(window=7), "safetensors", lengths=(8, 9, 60)),
        Case("phi3-window-gguf", phi3(window=7), "gguf", lengths=(9, 60)),
        Case("phi3-head-96", phi3(**head96), "safetensors"),
        Case("phi3-head-96-gguf", phi3(**head96), "gguf"),
        Case("phi3-gqa", phi3(heads=4, kv_heads=2, head_dim=16), "safetensors"),
        Case("phi3-gqa-gguf", phi3(heads=4, kv_heads=1, head_dim=16), "gguf"),
        Case("phi3-longrope", phi3(rope=long32), "safetensors", lengths=BOUNDARY),
        Case("phi3-longrope-su", phi3(rope={**long32, "name": "su"}), "safetensors", lengths=(20, 40)),
        Case("phi3-longrope-gguf", phi3(rope=long32), "gguf", lengths=BOUNDARY),
        Case("phi3-longrope-window", phi3(rope=long32, window=11), "safetensors", lengths=BOUNDARY),
        Case("phi3-longrope-4096", phi3(**tiny4096), "safetensors", lengths=(4095, 4096, 4097, 12288)),
        Case("phi3-partial-tied", phi3(**partial), "safetensors", lengths=BOUNDARY),
        Case("phi3-partial-tied-gguf", phi3(**partial), "gguf", lengths=BOUNDARY),
        Case("phi3-partial-tied-recent", phi3(**partial), "safetensors", lengths=(32, 33), write=dict(recent=True)),
        Case("phi3-recent-theta", phi3(theta=500000.0), "safetensors", write=dict(recent=True)),
        Case("phi3-odd", phi3(**odd), "safetensors"),
        Case("phi3-odd-gguf", phi3(**odd), "gguf"),
        Case("llama", llama(), "safetensors", pieces=True),
        Case("llama-gguf", llama(), "gguf", pieces=True),
        Case("llama-tied", llama(tied=True), "safetensors"),
        Case("llama-extra", llama(tied=True), "safetensors", write=dict(extra=True, kind="BF16")),
        Case("llama-tied-gguf", llama(tied=True), "gguf", write=dict(kind="F16")),
        Case("llama-head-dim", llama(head_dim=24, epsilon=1e-3), "safetensors"),
        Case("llama-head-dim-gguf", llama(head_dim=24, epsilon=1e-3), "gguf"),
        Case("llama-odd", llama(**odd), "safetensors"),
        Case("llama-linear", llama(rope={"kind": "linear", "factor": 4.0}), "safetensors"),
        Case("llama-linear-gguf", llama(rope={"kind": "linear", "factor": 4.0}), "gguf"),
        Case("llama-llama3", llama(head_dim=32, theta=500000.0, rope=LLAMA3), "safetensors", lengths=(100,)),
        Case("llama-llama3-gguf", llama(head_dim=32, theta=500000.0, rope=LLAMA3), "gguf", lengths=(100,)),
        Case("llama-recent", llama(theta=500000.0, head_dim=32, rope=LLAMA3), "safetensors", write=dict(recent=True)),
        Case("llama-mixed-gguf", llama(hidden=256, heads=4, head_dim=64, feed_forward=512), "gguf",
             write=dict(kind="Q4_K", kinds={"v": "Q6_K", "head": "Q6_K", "k": "Q8_0", "up": "Q5_0", "o": "Q4_0"})),
        Case("llama2c", llama(rope_pairs="interleaved", tied=True), "llama2c"),
        Case("llama2c-untied", llama(rope_pairs="interleaved"), "llama2c"),
    ]


def write_case(case, folder):
    """Returns the path that `linnet convert` takes, and the weights as the file holds them."""
    weights = random_weights(case.config, case.seed)
    pieces = model_files.small_vocabulary(case.config.vocabulary) if case.pieces else None
    if case.format == "safetensors":
        path = os.path.join(folder, case.name)
        return path, model_files.write_hugging_face(path, case.config, weights, pieces=pieces, **case.write)
    if case.format == "gguf":
        path = os.path.join(folder, case.name + ("-00001-of-00002.gguf" if case.write.get("split") else ".gguf"))
        return path, model_files.write_gguf(path, case.config, weights, pieces=pieces, **case.write)
    path = os.path.join(folder, case.name + ".bin")
    return path, model_files.write_llama2c(path, case.config, weights, **case.write)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for one in cases():
        print(write_case(one, sys.argv[1])[0])

"""Writes the GGUF files that tests/wasm/convert.mjs converts, by the makers of tests/oracle and the spoilers of tests/fault.

    make_ggufs.py FOLDER

    good/*.gguf            a model of every kind of tensor and of every shape that tests/oracle knows
    spoiled/*.gguf         two of them, cut, with bits flipped, with fields set to what hurts most
    split/*.gguf           the first part of a model in two
    slow.gguf              matrices large enough that converting them takes seconds (zeros: the file is sparse)
    vocabulary.{head,tail} what stands before and after a million tokens, more than the converter's memory may hold
"""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("oracle", "fault"):
    sys.path.insert(0, os.path.join(HERE, "..", folder))

import numpy

import ggml_types
import make_models
import model_files
import mutations

SPOILED = 80  # of each kind of spoiling, at most
TOKEN_BYTES, TOKENS = 600, 1 << 20  # the test makes them up while they are read


def write(path, *parts):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        for part in parts:
            file.write(part)


def matrices(config):
    """Name and shape of everything but the norms, as GGUF has them."""
    rows = (config.heads + 2 * config.kv_heads) * config.head_dim
    yield "token_embd.weight", (config.vocabulary, config.hidden)
    for layer in range(config.layers):
        yield f"blk.{layer}.attn_qkv.weight", (rows, config.hidden)
        yield f"blk.{layer}.attn_output.weight", (config.hidden, config.heads * config.head_dim)
        yield f"blk.{layer}.ffn_up.weight", (2 * config.feed_forward, config.hidden)
        yield f"blk.{layer}.ffn_down.weight", (config.hidden, config.feed_forward)
    yield "output.weight", (config.vocabulary, config.hidden)


def norms(config):
    norm = ("F32", (config.hidden,), numpy.linspace(0.5, 1.5, config.hidden, dtype="<f4").tobytes())
    names = ["output_norm.weight"]
    for layer in range(config.layers):
        names += [f"blk.{layer}.attn_norm.weight", f"blk.{layer}.ffn_norm.weight"]
    return {name: norm for name in names}


def of_type(kind):
    """A phi-3 whose matrices are random blocks of one type."""
    config = make_models.phi3(hidden=256, layers=2, heads=4, kv_heads=2, head_dim=64, feed_forward=512, vocabulary=400)
    tensors = norms(config)
    for seed, (name, shape) in enumerate(matrices(config)):
        blocks = shape[0] * shape[1] // ggml_types.TYPES[kind][1]
        tensors[name] = (kind, shape, ggml_types.random_blocks(kind, blocks, seed, 0.01))
    return model_files.gguf_file(model_files.gguf_keys(config, model_files.small_vocabulary(400), kind), tensors)


def write_slow(path):
    config = make_models.phi3(hidden=2048, layers=2, heads=16, kv_heads=16, head_dim=128, feed_forward=5632, vocabulary=16000)
    tensors = norms(config)
    for name, shape in matrices(config):
        tensors[name] = ("Q6_K", shape, bytes(shape[0] * shape[1] // 256 * 210))
    whole = model_files.gguf_file(model_files.gguf_keys(config, model_files.small_vocabulary(16000), "Q6_K"), tensors)
    write(path, whole.rstrip(b"\0"))
    os.truncate(path, len(whole))


def write_large_vocabulary(folder):
    config = make_models.phi3(hidden=32, layers=1, heads=1, kv_heads=1, feed_forward=64, vocabulary=300)
    keys = model_files.gguf_keys(config, None, "F32")
    tensors = {**norms(config), **{name: ("F32", shape, bytes(4 * shape[0] * shape[1])) for name, shape in matrices(config)}}
    plain = model_files.gguf_file(keys, tensors)
    table_bytes = sum(len(model_files.gguf_string(name)) + 4 + 8 * len(shape) + 12 for name, (_, shape, _) in tensors.items())
    table = plain.index(model_files.gguf_string(list(tensors)[0]))
    weights = sum(len(raw) + -len(raw) % 32 for _, _, raw in tensors.values())
    head = plain[:16] + struct.pack("<Q", len(keys) + 2) + plain[24:table]
    head += model_files.gguf_string("tokenizer.ggml.model") + struct.pack("<I", 8) + model_files.gguf_string("llama")
    head += model_files.gguf_string("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, TOKENS)
    header = len(head) + TOKENS * (8 + TOKEN_BYTES) + table_bytes
    write(os.path.join(folder, "vocabulary.head"), head)
    write(os.path.join(folder, "vocabulary.tail"), plain[table:table + table_bytes], bytes(-header % 32 + weights))


def spoil(folder):
    random = numpy.random.default_rng(1)
    pieces = model_files.small_vocabulary(320)
    llama = make_models.llama(hidden=32, layers=1, heads=2, kv_heads=1, head_dim=16, feed_forward=64)
    phi3 = make_models.phi3(hidden=32, layers=1, heads=1, kv_heads=1, feed_forward=64, rope=make_models.longrope(32, 32))
    for name, config, kind in (("llama-f32", llama, "F32"), ("phi3-q4_0", phi3, "Q4_0")):
        path = os.path.join(folder, name + ".gguf")
        os.makedirs(folder, exist_ok=True)
        model_files.write_gguf(path, config, make_models.random_weights(config, 1), kind=kind, pieces=pieces)
        with open(path, "rb") as file:
            raw = file.read()
        header = raw.rindex(b"output.weight") + 64
        fields = [bad for _, bad in mutations.gguf_mutations(raw)]
        kinds = {"cut": [bad for _, bad in mutations.cuts(raw, random, 30)],
                 "flip": [bad for _, bad in mutations.flips(raw, random, SPOILED, 0, header)],
                 "field": [fields[i] for i in sorted(random.permutation(len(fields))[:SPOILED])]}
        for how, files in kinds.items():
            for index, bad in enumerate(files):
                write(os.path.join(folder, f"{name}-{how}-{index}.gguf"), bad)


def main(folder):
    good, split = os.path.join(folder, "good"), os.path.join(folder, "split")
    for kind in model_files.GGML_TYPES:
        write(os.path.join(good, f"type-{kind.lower()}.gguf"), of_type(kind))
    os.makedirs(split)
    for case in make_models.cases():
        if case.format == "gguf":
            make_models.write_case(case, split if case.write.get("split") else good)
    spoil(os.path.join(folder, "spoiled"))
    write_slow(os.path.join(folder, "slow.gguf"))
    write_large_vocabulary(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

"""Sound little files for fuzz_source.cpp to start from: make_seeds.py FOLDER. The layout of an input is told there."""
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import make_models  # noqa: E402
import model_files  # noqa: E402

SMALL = dict(hidden=32, layers=1, heads=1, kv_heads=1, head_dim=32, feed_forward=32, vocabulary=300)
GGUF, LLAMA2C, FOLDER, SENTENCEPIECE, TOKENIZER_JSON, LLAMA2C_TOKENIZER = range(6)


def seed(kind, first, second=b""):
    """One input of the fuzzer; formats with one file hold it all in `first` and no length."""
    return struct.pack("<BH", kind, len(first) if second else 0) + first + second


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def seeds(folder):
    pieces = model_files.small_vocabulary(SMALL["vocabulary"])
    llama, phi3 = make_models.llama(**SMALL), make_models.phi3(**SMALL)
    for name, config, kind in (("llama", llama, "Q4_0"), ("phi3", phi3, "Q8_0"), ("phi3-f16", phi3, "F16")):
        path = os.path.join(folder, name)
        model_files.write_gguf(path, config, make_models.random_weights(config, 1), kind=kind, pieces=pieces)
        yield "gguf-" + name, seed(GGUF, read(path))
    for name, config in (("llama", llama), ("phi3", phi3)):
        path = os.path.join(folder, name + "-folder")
        model_files.write_hugging_face(path, config, make_models.random_weights(config, 1), kind="BF16", pieces=pieces)
        yield "folder-" + name, seed(FOLDER, read(path, "config.json"), read(path, "model.safetensors"))
    path, llama = os.path.join(folder, "model.bin"), make_models.llama(**SMALL, rope_pairs="interleaved")
    model_files.write_llama2c(path, llama, make_models.random_weights(llama, 1))
    tokenizer = model_files.llama2c_tokenizer(pieces)
    yield "llama2c", seed(LLAMA2C, tokenizer, read(path))
    yield "llama2c-tokenizer", seed(LLAMA2C_TOKENIZER, tokenizer)
    yield "sentencepiece", seed(SENTENCEPIECE, model_files.sentencepiece_model(pieces))
    yield "tokenizer-json", seed(TOKENIZER_JSON, as_bytes(model_files.tokenizer_json(pieces)),
                                 as_bytes(model_files.tokenizer_config_json(pieces)))


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def main(target):
    os.makedirs(target, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in seeds(folder):
            with open(os.path.join(target, name), "wb") as file:
                file.write(content)


main(sys.argv[1])

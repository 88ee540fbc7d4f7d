"""Sound little vocabularies for fuzz_vocabulary.cpp to start from: make_seeds.py FOLDER. The layout of an input is told there."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import model_files  # noqa: E402

SENTENCEPIECE, TOKENIZER_JSON, LLAMA2C_TOKENIZER = range(3)


def seed(kind, first, second=b""):
    """One input of the fuzzer; formats with one file hold it all in `first` and no length."""
    return struct.pack("<BH", kind, len(first) if second else 0) + first + second


def main(target):
    pieces = model_files.small_vocabulary(300)
    os.makedirs(target, exist_ok=True)
    for name, content in {
            "sentencepiece": seed(SENTENCEPIECE, model_files.sentencepiece_model(pieces)),
            "tokenizer-json": seed(TOKENIZER_JSON, model_files.tokenizer_json(pieces),
                                   model_files.tokenizer_config_json(pieces).encode()),
            "llama2c-tokenizer": seed(LLAMA2C_TOKENIZER, model_files.llama2c_tokenizer(pieces))}.items():
        with open(os.path.join(target, name), "wb") as file:
            file.write(content)


main(sys.argv[1])

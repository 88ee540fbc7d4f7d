"""The files that tools/peers/ makes to time runtimes with: what is in them reaches Linnet whole, and what other runtimes ask for
is there."""
import support  # first: it skips the test where numpy is missing

import json
import os
import subprocess
import sys
import unittest

import make_models
import model_files
import reference

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "peers")


def words():
    with open(os.path.join(PEERS, "words.txt"), encoding="ascii") as file:
        return file.read().strip()


def make(program, *arguments):
    subprocess.run([sys.executable, "-B", os.path.join(PEERS, program), *arguments], check=True, timeout=600)
    return arguments[-1]


class PeerFilesTest(unittest.TestCase):
    def convert(self, source, name):
        """Without a change to any weight: the error that it reports of each kind of matrix is 0."""
        model = support.linnet().temporary(name + ".linnet")
        report = json.loads(support.linnet().run("convert", source, model, "--json"))
        errors = [row["error"] for row in report["errors"]]
        self.assertTrue(errors)
        self.assertEqual(errors, [0.0] * len(errors))
        return model

    def tokens(self, model, text):
        return [int(token) for token in support.linnet().run("tokenize", model, input=text.encode()).split()]

    def test_random_shape(self):
        source = make("random_gguf.py", "stories15m", support.linnet().temporary("random.gguf"))
        with open(source, "rb") as file:
            header = file.read(4096)
        # wllama 2 refuses a phi-3 that has neither 32 nor 40 layers where this is missing.
        self.assertTrue(b"phi3.attention.sliding_window" in header)
        tokens = self.tokens(self.convert(source, "random"), words())
        self.assertEqual(len(tokens), len(words().split()), "each word is one token")
        self.assertEqual(len(set(tokens)), len(tokens))

    def test_llama2c(self):
        """The tokens of the model that it is made of, and the logits of its weights in Q4_0 and Q8_0."""
        config = make_models.llama(rope_pairs="interleaved", tied=True)
        weights = make_models.random_weights(config, 5)
        folder, pieces = support.linnet().folder, model_files.small_vocabulary(config.vocabulary)
        model, tokenizer = os.path.join(folder, "model.bin"), os.path.join(folder, "tokenizer.bin")
        model_files.write_llama2c(model, config, weights)
        with open(tokenizer, "wb") as file:
            file.write(model_files.llama2c_tokenizer(pieces))
        ours = self.convert(make("llama2c_gguf.py", model, tokenizer, support.linnet().temporary("ours.gguf")), "ours")

        text = "the other hand, at dawn\n\u00e9"
        self.assertEqual(self.tokens(ours, text), self.tokens(support.linnet().convert(model, "itself"), text))
        rounded = {name: model_files.encode("Q8_0" if name == "embedding" else "Q4_0", array)[1] if array.ndim == 2 else array
                   for name, array in weights.items()}
        tokens = make_models.random_tokens(config, 60, 5)
        error = reference.relative_error(support.linnet().logits(ours, tokens), reference.forward(config, rounded, tokens))
        noise = reference.relative_error(reference.forward(config, rounded, tokens), reference.forward(config, weights, tokens))
        print(f"llama2c_gguf.py: relative error {error:.4f}, of four bits alone {noise:.4f}")
        # int8 activations and keys, far below what rounding to four bits does.
        self.assertLess(error, 0.06)
        self.assertGreater(noise, 2 * error)


if __name__ == "__main__":
    support.main()

"""Real weights: stories15M and stories260K (A. Karpathy's tinyllamas), from the folder that LINNET_MODELS names."""
import support  # first: it skips the test where numpy is missing

import os
import unittest

import numpy

import model_files
import reference
import small_tokenizer
from others import Others

KNOWN_TEXT = ("Once upon a time, there was a little girl named Lily. She loved to play outside in the sunshine. One day, she "
              "saw a big, red ball in the sky. It was the sun!")
# What llama.cpp's formats cost this model on this text, cut in another way: perplexity over that of f32 (3.880).
OTHERS_Q8_0, OTHERS_Q4_0 = 3.893 / 3.880, 4.178 / 3.880


class RealModelsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = support.models_folder()
        if not folder or not os.path.exists(os.path.join(folder, "stories15M", "stories15M.bin")):
            raise unittest.SkipTest("LINNET_MODELS names no folder with stories15M")
        cls.folder = folder
        cls.source = os.path.join(folder, "stories15M", "stories15M.bin")
        cls.config, cls.weights = model_files.read_llama2c(cls.source)
        cls.pieces = small_tokenizer.read_pieces(os.path.join(folder, "stories15M", "tokenizer.bin"))
        cls.f32 = support.linnet().convert(cls.source, "stories15M-f32", "--weights", "f32")
        text = support.linnet().run("run", cls.f32, "--kv", "f32", "--prompt", "Once upon a time", "-n", "230",
                                     "--temperature", "0").decode()
        cls.own_text = text.strip()
        if not cls.own_text.startswith("Once upon a time"):  # the command prints what the model adds
            cls.own_text = "Once upon a time" + text.rstrip("\n")
        cls.own_tokens = small_tokenizer.encode(cls.pieces, cls.own_text)
        cls.own_logits = reference.forward(cls.config, cls.weights, cls.own_tokens[:200])

    def wanted(self, *path):
        path = os.path.join(self.folder, *path)
        if not os.path.exists(path):
            self.skipTest(f"LINNET_MODELS has no {os.path.relpath(path, self.folder)}")
        return path

    def test_logits(self):
        """Over 200 tokens of its own story."""
        tokens = self.own_tokens[:200]
        self.assertEqual(len(tokens), 200)
        got = support.linnet().logits(self.f32, tokens, "--kv", "f32")
        difference = reference.difference_in_spread(got, self.own_logits)
        print(f"stories15M, f32, 200 tokens: {difference:.2e} of the spread")
        self.assertLessEqual(difference, 1e-4)

    def test_greedy_text(self):
        print(f"stories15M, greedy: {self.own_text[:300]!r} ...")
        self.assertTrue(self.own_text.startswith(KNOWN_TEXT), self.own_text)
        # Each token after the prompt is the reference's own choice after those before it.
        choices = self.own_logits.argmax(axis=1)
        self.assertEqual(list(choices[4:-1]), self.own_tokens[5:200])

    def test_two_files_of_one_model(self):
        linnet = support.linnet()
        folder = self.wanted("stories260K")
        tokens = numpy.random.default_rng(1).integers(0, 512, 100)
        of_bin = linnet.convert(os.path.join(folder, "stories260K.bin"), "260K-bin", "--weights", "f32")
        of_gguf = linnet.convert(os.path.join(folder, "stories260K-f32.gguf"), "260K-gguf", "--weights", "f32")
        one, other = linnet.logits(of_bin, tokens, "--kv", "f32"), linnet.logits(of_gguf, tokens, "--kv", "f32")
        self.assertEqual(one.tobytes(), other.tobytes())
        config, weights = model_files.read_llama2c(os.path.join(folder, "stories260K.bin"))
        difference = reference.difference_in_spread(one, reference.forward(config, weights, tokens))
        print(f"stories260K, f32, 100 tokens: {difference:.2e} of the spread")
        self.assertLessEqual(difference, 1e-4)

    def perplexity(self, rows, stories):
        """Of all stories together, each from its own beginning."""
        total, count = 0.0, 0
        for logits, tokens in zip(rows, stories):
            total += numpy.log(reference.perplexity(logits, tokens)) * (len(tokens) - 1)
            count += len(tokens) - 1
        return float(numpy.exp(total / count))

    def test_perplexity(self):
        linnet = support.linnet()
        with open(self.wanted("corpora", "tinystories_sample.txt"), encoding="utf-8") as file:
            stories = [story.strip() for story in file.read().split("<|endoftext|>")]
        stories = [small_tokenizer.encode(self.pieces, story)[:self.config.context] for story in stories if story]
        expected = [reference.forward(self.config, self.weights, story) for story in stories]
        exact = self.perplexity(expected, stories)
        # Q4_0 as others make and run it: the tied matrix in Q8_0, int8 activations, keys and values in f16.
        rounded = {name: model_files.encode("Q8_0" if name == "embedding" else "Q4_0", array)[1] if array.ndim == 2 else array
                   for name, array in self.weights.items()}
        others = self.perplexity([reference.forward(self.config, rounded, story, Others("f16")) for story in stories], stories)
        print(f"stories15M, {len(stories)} stories: perplexity of the reference {exact:.4f}, of a simulated "
              f"Q4_0 {others:.4f} ({100 * (others / exact - 1):+.2f} %); llama.cpp's own figures on another cut of the text: "
              f"Q8_0 {100 * (OTHERS_Q8_0 - 1):+.2f} %, Q4_0 {100 * (OTHERS_Q4_0 - 1):+.2f} %", flush=True)
        ways = [  # arguments, KV format, largest perplexity over the reference's
            (("--weights", "f32"), "f32", 1.0001),
            (("--weights", "f32"), "int8", 1.005),
            (("--weights", "int8"), "int8", 1.01),
            # The same 4.5 bits a weight as Q4_0 has; then fewer scales for less: bounds that a worse choice of scales breaks.
            (("--weights", "int4", "--group", "32"), "int8", min(OTHERS_Q4_0, others / exact)),
            (("--weights", "int4", "--group", "64"), "int8", 1.12),
            (("--weights", "int4", "--group", "128"), "int8", 1.18),
        ]
        for arguments, kv, bound in ways:
            model = linnet.convert(self.source, "stories15M", *arguments)
            rows = [linnet.logits(model, story, "--kv", kv) for story in stories]
            ours = self.perplexity(rows, stories)
            spread = numpy.mean([reference.divergence(one[::4], other[::4]) for one, other in zip(rows, expected)])
            print(f"stories15M, {' '.join(arguments[1::2])}, kv {kv}: perplexity {ours:.4f} "
                  f"({100 * (ours / exact - 1):+.2f} %), divergence {spread:.5f}", flush=True)
            with self.subTest(weights=arguments, kv=kv):
                self.assertLessEqual(ours, bound * exact)


if __name__ == "__main__":
    support.main()

"""Real weights: stories15M and stories260K (A. Karpathy's tinyllamas), from the folder that LINNET_MODELS names."""
import support  # first: it skips the test where numpy is missing

import os
import unittest

import numpy

import model_files
import reference
import small_tokenizer

KNOWN_TEXT = ("Once upon a time, there was a little girl named Lily. She loved to play outside in the sunshine. One day, she saw a "
              "big, red ball in the sky. It was the sun!")
# What llama.cpp's formats cost the same model on the same text, cut in another way: perplexity over that of f32 (3.880).
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
        with open(os.path.join(folder, "corpora", "tinystories_sample.txt"), encoding="utf-8") as file:
            stories = [story.strip() for story in file.read().split("<|endoftext|>")]
        cls.stories = [small_tokenizer.encode(cls.pieces, story)[:cls.config.context] for story in stories if story]
        cls.expected = [reference.forward(cls.config, cls.weights, story) for story in cls.stories]

    def test_logits(self):
        tokens = max(self.stories, key=len)[:200]
        self.assertEqual(len(tokens), 200)
        expected = reference.forward(self.config, self.weights, tokens)
        got = support.linnet().logits(self.f32, tokens, "--kv", "f32")
        difference = reference.difference_in_spread(got, expected)
        print(f"stories15M, f32, 200 tokens: {difference:.2e} of the spread")
        self.assertLessEqual(difference, 1e-4)

    def test_greedy_text(self):
        text = support.linnet().run("run", self.f32, "--prompt", "Once upon a time", "-n", "60", "--temperature", "0").decode()
        print(f"stories15M, greedy: {text.strip()!r}")
        continuation = text.strip()
        if not continuation.startswith("Once upon a time"):  # the command prints what the model adds
            continuation = "Once upon a time" + text.rstrip("\n")
        self.assertTrue(continuation.startswith(KNOWN_TEXT), continuation)
        # Each token is the reference's own choice after those before it.
        tokens = small_tokenizer.encode(self.pieces, continuation)
        self.assertGreaterEqual(len(tokens), 60)
        choices = reference.forward(self.config, self.weights, tokens).argmax(axis=1)
        self.assertEqual(list(choices[4:-1]), tokens[5:])

    def test_two_files_of_one_model(self):
        linnet = support.linnet()
        folder = os.path.join(self.folder, "stories260K")
        tokens = numpy.random.default_rng(1).integers(0, 512, 100)
        of_bin = linnet.convert(os.path.join(folder, "stories260K.bin"), "260K-bin", "--weights", "f32")
        of_gguf = linnet.convert(os.path.join(folder, "stories260K-f32.gguf"), "260K-gguf", "--weights", "f32")
        one, other = linnet.logits(of_bin, tokens, "--kv", "f32"), linnet.logits(of_gguf, tokens, "--kv", "f32")
        self.assertEqual(one.tobytes(), other.tobytes())
        config, weights = model_files.read_llama2c(os.path.join(folder, "stories260K.bin"))
        difference = reference.difference_in_spread(one, reference.forward(config, weights, tokens))
        print(f"stories260K, f32, 100 tokens: {difference:.2e} of the spread")
        self.assertLessEqual(difference, 1e-4)

    def perplexity(self, rows):
        """Of all stories together, each from its own beginning."""
        total, count = 0.0, 0
        for logits, tokens in zip(rows, self.stories):
            total += numpy.log(reference.perplexity(logits, tokens)) * (len(tokens) - 1)
            count += len(tokens) - 1
        return float(numpy.exp(total / count))

    def test_perplexity(self):
        linnet = support.linnet()
        exact = self.perplexity(self.expected)
        print(f"stories15M, {len(self.stories)} stories: perplexity of the reference {exact:.4f}")
        ways = [  # arguments, KV format, largest perplexity over the reference's
            (("--weights", "f32"), "f32", 1.0001),
            (("--weights", "f32"), "int8", 1.005),
            (("--weights", "int8"), "int8", 1.01),
            (("--weights", "int4", "--group", "32"), "int8", OTHERS_Q4_0),
            (("--weights", "int4", "--group", "64"), "int8", 1.12),
            (("--weights", "int4", "--group", "128"), "int8", 1.16),
        ]
        for arguments, kv, bound in ways:
            model = linnet.convert(self.source, "stories15M", *arguments)
            rows = [linnet.logits(model, story, "--kv", kv) for story in self.stories]
            ours = self.perplexity(rows)
            spread = numpy.mean([reference.divergence(one, other) for one, other in zip(rows, self.expected)])
            print(f"stories15M, {' '.join(arguments[1::2])}, kv {kv}: perplexity {ours:.4f} ({100 * (ours / exact - 1):+.2f} %), "
                  f"divergence {spread:.5f}; others, on another cut of the text: Q8_0 {100 * (OTHERS_Q8_0 - 1):+.2f} %, "
                  f"Q4_0 {100 * (OTHERS_Q4_0 - 1):+.2f} %", flush=True)
            with self.subTest(weights=arguments, kv=kv):
                self.assertLessEqual(ours, bound * exact)


if __name__ == "__main__":
    support.main()

"""What the converter gathers from a text that a model reads, against the activations of the reference; and what it gains.

The reference sees the input of every matrix in float64, all tokens at once. The importance of a column is the mean of its squares
over the tokens of all windows, relative to the mean over the matrix's columns.
"""
import support  # first: it skips the test where numpy is missing

import os
import subprocess
import unittest

import numpy

import make_models
import model_files
import reference

LEAST = 1e-4  # Importance::least


class Watched(reference.Exact):
    """Keeps the sums of squares of what each matrix is multiplied by, in the order in which the matrices are used."""

    def __init__(self):
        self.sums, self.at = [], 0

    def activation(self, x):
        squares = (x ** 2).sum(axis=0)
        if self.at == len(self.sums):
            self.sums.append(squares)
        else:
            self.sums[self.at] = self.sums[self.at] + squares
        self.at += 1
        return x


def expected(config, weights, windows):
    watched = Watched()
    for window in windows:
        watched.at = 0
        reference.forward(config, weights, window, watched)
    assert len(watched.sums) == 4 * config.layers + 1
    return [numpy.maximum(sums / sums.mean(), LEAST) for sums in watched.sums]


def uneven(weights, seed):
    """The same weights behind norms that let some columns through and hold back others, as trained models' do."""
    random = numpy.random.default_rng(seed)
    return {key: value * numpy.exp(random.standard_normal(value.shape)) if "norm" in key else value
            for key, value in weights.items()}


class CalibrationTest(unittest.TestCase):
    def model(self, name, config, seed, **write):
        path = support.linnet().temporary(name + ".gguf")
        return path, model_files.write_gguf(path, config, uneven(make_models.random_weights(config, seed), seed), **write)

    def gathered(self, config, model, windows, memory=0, batch=64, threads=2):
        command = support.linnet()
        ids, out = command.temporary("windows.txt"), command.temporary("importance.f32")
        with open(ids, "w", encoding="ascii") as file:
            file.writelines(" ".join(str(token) for token in window) + "\n" for window in windows)
        program = os.path.join(os.path.dirname(command.path), "linnet_gather")
        done = subprocess.run([program, model, ids, out, str(memory), str(batch), str(threads)], capture_output=True, check=False,
                              timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        sizes = [config.hidden, config.heads * config.head_dim, config.hidden, config.feed_forward] * config.layers + [config.hidden]
        values = numpy.fromfile(out, "<f4")
        self.assertEqual(len(values), sum(sizes))
        return numpy.split(values, numpy.cumsum(sizes)[:-1]), int(done.stdout)

    def test_gathered(self):
        for name, config in {"phi3": make_models.phi3(layers=3, window=20), "llama": make_models.llama(layers=2, tied=True)}.items():
            path, weights = self.model("gather-" + name, config, 1)
            model = support.linnet().convert(path, "gather", "--weights", "f32")
            # Longer than a batch, shorter than one, and one token alone.
            windows = [make_models.random_tokens(config, count, count) for count in (100, 37, 1)]
            right = expected(config, weights, windows)
            got, _ = self.gathered(config, model, windows)
            for index, (one, other) in enumerate(zip(got, right)):
                with self.subTest(model=name, matrix=index):
                    # float32 activations; their squares are as far off twice.
                    self.assertLess(float(numpy.abs(one / other - 1).max()), 1e-3)
                    self.assertGreater(float(other.max() / other.min()), 3, "these columns show nothing")
            for batch, threads in [(1, 1), (7, 2), (64, 1)]:
                again, _ = self.gathered(config, model, windows, batch=batch, threads=threads)
                self.assertTrue(all(numpy.array_equal(one, other) for one, other in zip(got, again)))

    def test_streamed(self):
        config = make_models.phi3(layers=6, hidden=128, heads=4, kv_heads=4, feed_forward=512)
        path, _ = self.model("gather-streamed", config, 2)
        model = support.linnet().convert(path, "streamed", "--weights", "int8")
        windows = [make_models.random_tokens(config, 90, seed) for seed in range(2)]
        got, streamed = self.gathered(config, model, windows)
        self.assertEqual(streamed, 0)
        again, streamed = self.gathered(config, model, windows, memory=1_500_000)
        self.assertGreater(streamed, 0)
        self.assertTrue(all(numpy.array_equal(one, other) for one, other in zip(got, again)))

    def test_gain(self):
        """Calibrated, the logits on a text like the calibrating one are nearer to those of the weights as they came."""
        command = support.linnet()
        texts = [command.temporary(f"text{number}.txt") for number in range(2)]
        for number, path in enumerate(texts):
            random = numpy.random.default_rng(number)
            words = ["sun", "moon", "and", "the", "sea", "night", "a", "long", "day", "went"]
            with open(path, "w", encoding="ascii") as file:
                file.write(" ".join(random.choice(words) for _ in range(400)))
        config = make_models.phi3(hidden=128, heads=4, kv_heads=4, head_dim=32, feed_forward=256, vocabulary=512, layers=3)
        # In groups of 128 qkv's columns are weighed by their norm without a text too, and in a random model norms are all that a
        # text can tell: over twelve seeds the two differ by 0.01 with a standard error of 0.03. Both beat plain rounding.
        for group, better, worse in [(32, ["calibrated"], "searched"), (128, ["calibrated", "searched"], "rounded")]:
            ways = {"calibrated": ["--calibrate", texts[0]], "searched": [], "rounded": ["--rounding"]}
            divergences = {way: [] for way in ways}
            for seed in range(3):
                path, weights = self.model(f"gain-{seed}", config, seed, pieces=model_files.small_vocabulary(config.vocabulary))
                with open(texts[1], "rb") as file:
                    tokens = [int(token) for token in command.run("tokenize", path, input=file.read()).split()][:100]
                right = reference.forward(config, weights, tokens)
                for way, more in ways.items():
                    model = command.convert(path, "gain", "--group", group, *more)
                    divergences[way].append(reference.divergence(command.logits(model, tokens, "--kv", "f32"), right))
            mean = {way: numpy.mean(values) for way, values in divergences.items()}
            print(f"group {group}: divergence " + ", ".join(f"{value:.5f} {way}" for way, value in mean.items()))
            for way in better:
                with self.subTest(group=group, way=way):
                    self.assertLess(mean[way], 0.9 * mean[worse])

    def test_refused(self):
        """A model that cannot read, and one with nothing to choose."""
        command = support.linnet()
        text = command.temporary("text.txt")
        with open(text, "w", encoding="ascii") as file:
            file.write("The sun went down. " * 100)
        config = make_models.phi3(vocabulary=512)
        mute, _ = self.model("mute", config, 1)
        with self.assertRaisesRegex(support.Failed, "exit code 3: .*no tokenizer"):
            command.convert(mute, "refused", "--calibrate", text)
        exact, _ = self.model("exact", config, 1, kind="Q4_0", pieces=model_files.small_vocabulary(config.vocabulary))
        with self.assertRaisesRegex(support.Failed, "exit code 2: .*nothing to calibrate"):
            command.convert(exact, "refused", "--calibrate", text)
        command.convert(exact, "regrouped", "--group", 64, "--calibrate", text)


if __name__ == "__main__":
    support.main()

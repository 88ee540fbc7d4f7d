"""The reference checked against itself: a second way of computing, facts with known answers, and whether each case of
make_models.py would show the mistake that it is there for."""
import support  # first: it skips the test where numpy is missing

import dataclasses
import math
import os
import unittest

import numpy

import make_models
import model_files
import reference


def stepwise(config, weights, tokens):
    """The same model a token at a time, with a key-value cache and complex rotations: another road to the same numbers."""
    frequencies, factor = reference.inverse_frequencies(config, len(tokens))
    keys = [[] for _ in range(config.layers)]
    values = [[] for _ in range(config.layers)]
    rows = []

    def turn(vector, position):
        spin = factor * numpy.exp(1j * position * frequencies)
        half, out = config.rotary_dims // 2, vector.copy()
        for pair in range(half):
            i, j = (pair, pair + half) if config.rope_pairs == "half" else (2 * pair, 2 * pair + 1)
            turned = (vector[i] + 1j * vector[j]) * spin[pair]
            out[i], out[j] = turned.real, turned.imag
        return out

    for position, token in enumerate(tokens):
        x = weights["embedding"][token].copy()
        for layer in range(config.layers):
            prefix = f"layers.{layer}."
            normed = x / math.sqrt(float(x @ x) / len(x) + config.epsilon) * weights[prefix + "attention_norm"]
            fused = weights.get(prefix + "qkv")
            if fused is None:
                fused = numpy.concatenate([weights[prefix + part] for part in "qkv"])
            heads = (fused @ normed).reshape(-1, config.head_dim)
            q, k, v = heads[:config.heads], heads[config.heads:config.heads + config.kv_heads], heads[-config.kv_heads:]
            keys[layer].append([turn(one, position) for one in k])
            values[layer].append(v)
            first = max(0, position - config.window) if config.window else 0
            mixed = []
            for head in range(config.heads):
                kv = head * config.kv_heads // config.heads
                scores = [math.exp(float(turn(q[head], position) @ keys[layer][t][kv]) / math.sqrt(config.head_dim))
                          for t in range(first, position + 1)]
                mixed.append(sum(s * values[layer][first + n][kv] for n, s in enumerate(scores)) / sum(scores))
            x = x + weights[prefix + "o"] @ numpy.concatenate(mixed)
            normed = x / math.sqrt(float(x @ x) / len(x) + config.epsilon) * weights[prefix + "feed_forward_norm"]
            fused = weights.get(prefix + "gate_up")
            if fused is None:
                fused = numpy.concatenate([weights[prefix + "gate"], weights[prefix + "up"]])
            gate_up = fused @ normed
            gate, up = gate_up[:config.feed_forward], gate_up[config.feed_forward:]
            x = x + weights[prefix + "down"] @ (gate / (1 + numpy.exp(-gate)) * up)
        normed = x / math.sqrt(float(x @ x) / len(x) + config.epsilon) * weights["norm"]
        rows.append((weights["embedding"] if config.tied else weights["head"]) @ normed)
    return numpy.array(rows)


def swap_halves(array):
    """The other half of a fused matrix first."""
    return numpy.concatenate(numpy.split(array, 2)[::-1])


class ReferenceTest(unittest.TestCase):
    def test_two_roads(self):
        for case in make_models.cases():
            if case.config.context > 4096:
                continue
            weights = make_models.random_weights(case.config, case.seed)
            for length in case.lengths[-2:]:
                tokens = make_models.random_tokens(case.config, length, case.seed)
                one, other = reference.forward(case.config, weights, tokens), stepwise(case.config, weights, tokens)
                self.assertLess(numpy.abs(one - other).max(), 1e-9, case.name)  # float64 sums in another order

    def test_interleaved_rows_are_the_same_model(self):
        config = make_models.llama()
        weights = make_models.random_weights(config, 3)
        turned = dict(weights)
        for layer in range(config.layers):
            for part, heads in (("q", config.heads), ("k", config.kv_heads)):
                name = f"layers.{layer}.{part}"
                turned[name] = model_files.interleave_pairs(weights[name], heads, config.rotary_dims)
        tokens = make_models.random_tokens(config, 20, 3)
        other = reference.forward(dataclasses.replace(config, rope_pairs="interleaved"), turned, tokens)
        self.assertLess(numpy.abs(reference.forward(config, weights, tokens) - other).max(), 1e-9)

    def test_known_answers(self):
        config = make_models.phi3(context=131072, rope=make_models.longrope(32, 4096))
        self.assertAlmostEqual(reference.attention_factor(config), 1.1902380714238083, places=15)
        short, factor = reference.inverse_frequencies(config, 4096)
        long, also = reference.inverse_frequencies(config, 4097)
        self.assertEqual(factor, also)  # the factor applies to short passes too
        self.assertTrue(numpy.allclose(short * config.rope["short"], long * config.rope["long"]))
        self.assertGreater(abs(short - long).max(), 1e-3)
        raw, values = model_files.to_bf16(numpy.array([1.0, 1.00390625, 1.01171875, -3.14159]))  # ties go to even
        self.assertEqual(list(values[:3]), [1.0, 1.0, 1.015625])
        self.assertEqual(raw[:2], b"\x80\x3f")

    def test_two_files_of_one_model(self):
        """stories260K as .bin and as a GGUF made by others: the reader of one and the row order of both are right."""
        folder = os.environ.get("LINNET_MODELS", "")
        path = os.path.join(folder, "stories260K", "stories260K.bin")
        if not folder or not os.path.exists(path):
            self.skipTest("LINNET_MODELS names no folder with stories260K")
        config, weights = model_files.read_llama2c(path)
        tokens = [1, 403, 407, 261, 378]  # "Once upon a time"
        for _ in range(20):
            tokens.append(int(reference.forward(config, weights, tokens)[-1].argmax()))
        with open(os.path.join(folder, "stories260K", "tok512.bin"), "rb") as file:
            raw = file.read()
        pieces, at = [], 4
        while at < len(raw):
            length = int.from_bytes(raw[at + 4:at + 8], "little")
            pieces.append(raw[at + 8:at + 8 + length].decode(errors="replace"))
            at += 8 + length
        text = "".join(pieces[t] for t in tokens)
        self.assertIn("there was a little", text, f"stories260K writes English where the reference is right: {text!r}")

    def test_cases_show_their_mistakes(self):
        """Each mistake that a case is there for moves its logits by far more than the tolerance of the comparison."""
        by_name = {case.name: case for case in make_models.cases()}

        def moved(name, mistake, length=None):
            case = by_name[name]
            config, weights = dataclasses.replace(case.config, rope=dict(case.config.rope)), None
            weights = make_models.random_weights(config, case.seed)
            tokens = make_models.random_tokens(config, length or case.lengths[-1], case.seed)
            expected = reference.forward(config, weights, tokens)
            config = mistake(config, weights) or config
            return reference.difference_in_spread(reference.forward(config, weights, tokens), expected)

        def gate_last(config, weights):
            weights["layers.0.gate_up"] = swap_halves(weights["layers.0.gate_up"])

        def other_table(config, weights):
            config.rope["short"], config.rope["long"] = config.rope["long"], config.rope["short"]

        def no_attention_factor(config, weights):
            config.rope["attention_factor"] = 1.0

        def kv_then_q(config, weights):
            weights["layers.1.qkv"] = numpy.roll(weights["layers.1.qkv"], config.kv_heads * config.head_dim, axis=0)

        def changed(**changes):
            return lambda config, weights: dataclasses.replace(config, **changes)

        mistakes = [
            ("phi3", "gate and up exchanged", gate_last, None),
            ("phi3", "q, k, v in another order", kv_then_q, None),
            ("phi3", "pairs interleaved", changed(rope_pairs="interleaved"), None),
            ("phi3-window", "a key too few", changed(window=6), None),
            ("phi3-window", "a key too few, just past the window", changed(window=6), 8),
            ("phi3-window", "a key too many, just past the window", changed(window=8), 9),
            ("phi3-window", "no window", changed(window=0), 9),
            ("phi3-head-96", "64 rotary dimensions", changed(rotary_dims=64), None),
            ("phi3-longrope", "the other table at 32", other_table, 32),
            ("phi3-longrope", "the other table at 33", other_table, 33),
            ("phi3-longrope", "no attention factor in short passes", no_attention_factor, 31),
            ("phi3-longrope-4096", "the other table at 4096", other_table, 4096),
            ("phi3-longrope-4096", "the other table at 4097", other_table, 4097),
            ("phi3-partial-tied", "all dimensions turn", changed(rotary_dims=32, rope={}), 20),
            ("llama-linear", "no scaling", changed(rope={}), None),
            ("llama-llama3", "no scaling", changed(rope={}), None),
            ("llama-llama3", "linear scaling", changed(rope={"kind": "linear", "factor": 8.0}), None),
            ("llama-llama3", "theta 10000", changed(theta=10000.0), None),
            ("llama-head-dim", "epsilon 1e-5", changed(epsilon=1e-5), None),
        ]
        for name, what, mistake, length in mistakes:
            with self.subTest(case=name, mistake=what):
                difference = moved(name, mistake, length)
                print(f"{name}: {what}: {difference:.2e} of the spread")
                self.assertGreater(difference, 1e-2)  # the comparison's tolerance is 1e-4


if __name__ == "__main__":
    unittest.main(verbosity=1)

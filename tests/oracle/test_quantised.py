"""What quantisation costs: the logits' error with int8 activations, quantised weights and a quantised KV cache, beside a numpy
simulation of what other runtimes do with the same weights (Q4_0 times Q8_0: activations to int8 in blocks of 32 with a half
precision scale, keys and values in f16 or Q8_0).

Sources in Q4_0 keep every weight in int4 groups of 32, so there the weights' own error is nothing and what is measured is the
arithmetic's. The measure is the root mean square of the logits' error over that of the logits, and the Kullback-Leibler
divergence of the next token's distribution; both over all tokens of several models, because one model's is a noisy figure.
"""
import support  # first: it skips the test where numpy is missing

import unittest

import numpy

import make_models
import reference
from int4_cache import Int4Cache
from others import Others, in_blocks

SEEDS = (1, 2, 3)
TOKENS = 96
# Ours against the simulation: the same number of bits, in other places (one KV scale a head instead of one for 32 values).
ALLOWANCE = 1.25


def shapes():
    return {
        "phi3": make_models.phi3(hidden=128, heads=4, kv_heads=4, head_dim=32, feed_forward=256, vocabulary=512, layers=3),
        "phi3-head-96": make_models.phi3(hidden=192, heads=2, kv_heads=2, head_dim=96, feed_forward=256, vocabulary=512),
        "llama-gqa": make_models.llama(hidden=128, heads=4, kv_heads=2, head_dim=32, feed_forward=256, vocabulary=512,
                                       layers=3),
        "phi3-tied": make_models.phi3(hidden=128, heads=4, kv_heads=2, head_dim=32, rotary_dims=24, feed_forward=256,
                                      vocabulary=512, tied=True),
    }


class Pool:
    """Errors of one way of computing, over all seeds."""

    def __init__(self):
        self.squares, self.divergences = [], []

    def add(self, got, expected):
        self.squares.append(reference.relative_error(got, expected) ** 2)
        self.divergences.append(reference.divergence(got, expected))

    def error(self):
        return float(numpy.sqrt(numpy.mean(self.squares)))

    def line(self):
        return f"relative error {self.error():.5f}, divergence {numpy.mean(self.divergences):.6f}"


class QuantisedTest(unittest.TestCase):
    def source(self, name, config, seed, kind):
        case = make_models.Case(f"{name}-{kind}-{seed}", config, "gguf", write=dict(kind=kind), seed=seed)
        path, weights = make_models.write_case(case, support.linnet().folder)
        tokens = make_models.random_tokens(config, TOKENS, seed)
        return path, weights, tokens, reference.forward(config, weights, tokens)

    def ours(self, path, tokens, convert, logits):
        try:
            return support.linnet().logits(support.linnet().convert(path, "quantised", *convert), tokens, *logits)
        except support.Failed as failure:
            self.fail(str(failure))

    def test_arithmetic(self):
        """Weights exact: int8 activations and the KV cache are all that is left."""
        for name, config in shapes().items():
            pools = {}
            for seed in SEEDS:
                path, weights, tokens, expected = self.source(name, config, seed, "Q4_0")
                for kv in ("f32", "f16", "int8"):
                    got = self.ours(path, tokens, ("--weights", "int4", "--group", "32"), ("--kv", kv))
                    pools.setdefault(("ours", kv), Pool()).add(got, expected)
                    others = reference.forward(config, weights, tokens, Others(kv))
                    pools.setdefault(("others", kv), Pool()).add(others, expected)
            for kv in ("f32", "f16", "int8"):
                ours, others = pools["ours", kv], pools["others", kv]
                print(f"{name}, Q4_0 weights, kv {kv}: ours {ours.line()}; others {others.line()}", flush=True)
                with self.subTest(shape=name, kv=kv):
                    self.assertLessEqual(ours.error(), ALLOWANCE * others.error())

    def test_default_is_int8_kv(self):
        config = shapes()["phi3"]
        path, _, tokens, _ = self.source("default", config, 1, "Q4_0")
        plain = self.ours(path, tokens, (), ())
        named = self.ours(path, tokens, ("--weights", "int4", "--group", "32"), ("--kv", "int8"))
        self.assertTrue(numpy.array_equal(plain, named))

    def test_kv_alone(self):
        """f32 weights: the KV cache is all that is left."""
        for name in ("phi3", "phi3-head-96"):
            config = shapes()[name]
            for kv in ("f16", "int8"):
                ours, others = Pool(), Pool()
                for seed in SEEDS:
                    path, weights, tokens, expected = self.source(name, config, seed, "F32")
                    ours.add(self.ours(path, tokens, ("--weights", "f32"), ("--kv", kv)), expected)
                    others.add(reference.forward(config, weights, tokens, Others(kv, activations=False)), expected)
                print(f"{name}, f32 weights, kv {kv}: ours {ours.line()}; others {others.line()}", flush=True)
                with self.subTest(shape=name, kv=kv):
                    self.assertLessEqual(ours.error(), ALLOWANCE * others.error())

    def test_int4_kv(self):
        """f32 weights, keys and values in 4 bits: what the description of the cache gives, and less error than rounding to 4 bits
        with a scale for 32 values (Q4_0's size, 4% more than ours at 96 dimensions)."""
        for name in ("phi3", "phi3-head-96", "llama-gqa"):
            config = shapes()[name]
            ours, described, plain, apart = Pool(), Pool(), Pool(), Pool()
            for seed in SEEDS:
                path, weights, tokens, expected = self.source(name, config, seed, "F32")
                got = self.ours(path, tokens, ("--weights", "f32"), ("--kv", "int4"))
                same = reference.forward(config, weights, tokens, Int4Cache())
                ours.add(got, expected)
                described.add(same, expected)
                apart.add(got, same)
                plain.add(reference.forward(config, weights, tokens, Others("int4", activations=False)), expected)
            print(f"{name}, f32 weights, kv int4: ours {ours.line()}; as described {described.line()}, apart by "
                  f"{apart.error():.5f}; plain {plain.line()}", flush=True)
            with self.subTest(shape=name):
                # float32 takes another level than float64 where a number lies half way between two, which both are as far from:
                # one number in some thousands, and all later layers see it.
                self.assertLessEqual(apart.error(), 0.1 * described.error())
                self.assertLessEqual(ours.error(), plain.error())

    def test_weights(self):
        """Weights from F32: the scale that is searched for must beat the largest value's, in every size of group."""
        even = shapes()["phi3"]
        # Columns that fill no block: the last group of a row is shorter.
        odd = make_models.phi3(hidden=176, heads=11, kv_heads=11, head_dim=16, feed_forward=300, vocabulary=509)
        ways = [(even, "int4", 32, 7), (even, "int4", 64, 7), (even, "int4", 128, 7), (even, "int8", 32, 127),
                (odd, "int4", 32, 7), (odd, "int4", 128, 7), (odd, "int8", 64, 127)]
        for config, weight, group, levels in ways:
            ours, plain = Pool(), Pool()
            for seed in SEEDS:
                path, weights, tokens, expected = self.source("weights", config, seed, "F32")
                got = self.ours(path, tokens, ("--weights", weight, "--group", group), ())
                ours.add(got, expected)
                rounded = {key: in_blocks(value, group, levels) if value.ndim == 2 and key != "embedding" else value
                           for key, value in weights.items()}
                plain.add(reference.forward(config, rounded, tokens, Others("int8")), expected)
            print(f"hidden {config.hidden}, {weight} group {group}: ours {ours.line()}; plain rounding {plain.line()}",
                  flush=True)
            with self.subTest(hidden=config.hidden, weights=weight, group=group):
                self.assertLessEqual(ours.error(), (1.0 if weight == "int4" else ALLOWANCE) * plain.error())


if __name__ == "__main__":
    support.main()

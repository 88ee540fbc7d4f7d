"""The same bits whatever computes them: kernels, threads, and how a prompt is cut into batches. Compared with ==, by the
SHA-256 that `linnet logits --hash` prints."""
import support  # first: it skips the test where numpy is missing

import unittest

import make_models

KERNELS = ("scalar", "avx2", "avx512")
WEIGHTS = (("f32",), ("int8",), ("int4", "--group", "32"), ("int4", "--group", "64"), ("int4", "--group", "128"))


def shapes():
    return {
        "phi3-window": make_models.phi3(hidden=128, heads=4, kv_heads=4, head_dim=32, feed_forward=256, window=20),
        "phi3-longrope": make_models.phi3(hidden=128, heads=4, kv_heads=2, head_dim=32, rotary_dims=24, feed_forward=256,
                                          rope=make_models.longrope(24, 32)),
        "llama-gqa": make_models.llama(hidden=128, heads=8, kv_heads=2, head_dim=16, feed_forward=384, vocabulary=333),
    }


def available_kernels(model):
    """Those that this processor runs: the command refuses the others with a sentence."""
    found = []
    for name in KERNELS:
        try:
            support.linnet().hash(model, [1], "--kernels", name)
            found.append(name)
        except support.Failed as failure:
            print(f"kernels {name} left out: {str(failure).splitlines()[-1].strip()}")
    return found


class SameBitsTest(unittest.TestCase):
    def test_kernels_threads_batches(self):
        linnet = support.linnet()
        kernels = None
        for name, config in shapes().items():
            case = make_models.Case("bits-" + name, config, "gguf")
            path, _ = make_models.write_case(case, linnet.folder)
            tokens = make_models.random_tokens(config, 70, 5)
            for weights in WEIGHTS:
                model = linnet.convert(path, "bits", "--weights", *weights)
                if kernels is None:
                    kernels = available_kernels(model)
                    self.assertIn("scalar", kernels)
                expected = linnet.hash(model, tokens, "--kernels", "scalar", "--threads", "1", "--batch", "1")
                print(f"{name:14} {' '.join(weights):18} {expected}", flush=True)
                for kernel in kernels:
                    for threads, batch in ((1, 1), (1, 64), (2, 3), (4, 64), (4, 1)):
                        with self.subTest(shape=name, weights=weights, kernels=kernel, threads=threads, batch=batch):
                            got = linnet.hash(model, tokens, "--kernels", kernel, "--threads", threads, "--batch", batch)
                            self.assertEqual(got, expected)

    def test_kv_formats(self):
        linnet = support.linnet()
        config = shapes()["phi3-window"]
        path, _ = make_models.write_case(make_models.Case("bits-kv", config, "gguf"), linnet.folder)
        model = linnet.convert(path, "bits-kv")
        tokens = make_models.random_tokens(config, 70, 6)
        for kv in ("int8", "int4", "f16", "f32"):
            expected = linnet.hash(model, tokens, "--kv", kv, "--kernels", "scalar", "--threads", "1", "--batch", "1")
            for kernel in available_kernels(model):
                self.assertEqual(linnet.hash(model, tokens, "--kv", kv, "--kernels", kernel, "--threads", "2"), expected, kv)

    def test_a_row_does_not_see_what_follows(self):
        """The logits of a prefix are the first rows of the whole's, bit for bit, where no LongRoPE table changes between."""
        linnet = support.linnet()
        config = shapes()["phi3-window"]
        path, _ = make_models.write_case(make_models.Case("bits-prefix", config, "gguf"), linnet.folder)
        model = linnet.convert(path, "bits-prefix")
        tokens = make_models.random_tokens(config, 70, 7)
        whole = linnet.logits(model, tokens)
        for length in (1, 2, 33, 64, 65):
            self.assertEqual(linnet.logits(model, tokens[:length]).tobytes(), whole[:length].tobytes(), length)


if __name__ == "__main__":
    support.main()

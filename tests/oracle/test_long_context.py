"""A LongRoPE model at the very end of its context: 131,072 tokens, f32 weights, f32 keys and values, against the float64
reference. One layer of one head, which the reference computes for the last row alone: the command computes all of them, which
is 8.6 thousand million pairs of a query and a key. (Two layers, to 12,288 tokens and at both sides of the original context, are
phi3-longrope-4096 in test_logits.py.)"""
import support  # first: it skips the test where numpy is missing

import dataclasses
import unittest

import make_models
import reference

CONTEXT = 131072
# As in test_logits.py: the two sums of 131,072 terms, of the softmax and of the values, move it by no more than that.
TOLERANCE = 1e-4


class LongContextTest(unittest.TestCase):
    def test_end_of_the_context(self):
        linnet = support.linnet()
        config = make_models.phi3(hidden=32, layers=1, heads=1, kv_heads=1, head_dim=16, feed_forward=32, vocabulary=32,
                                  context=CONTEXT, rope=make_models.longrope(16, 4096))
        case = make_models.Case("longrope-131072", config, "safetensors", lengths=())
        path, weights = make_models.write_case(case, linnet.folder)
        tokens = make_models.random_tokens(config, CONTEXT, case.seed)
        rows = [CONTEXT - 1]
        expected = reference.forward(config, weights, tokens, rows=rows)
        # What would go unnoticed if attention were nearly even, or did not reach far.
        other_rope = {**config.rope, "long": config.rope["short"]}
        for what, changes in (("the short table", {"rope": other_rope}), ("the first half unseen", {"window": CONTEXT // 2})):
            got = reference.forward(dataclasses.replace(config, **changes), weights, tokens, rows=rows)
            difference = reference.difference_in_spread(got, expected)
            print(f"131072 tokens, {what}: {difference:.2e} of the spread")
            self.assertGreater(difference, 100 * TOLERANCE, what)
        try:
            model = linnet.convert(path, case.name, "--weights", "f32")
            got = linnet.last_logits(model, tokens, "--kv", "f32", "--batch", "512")
        except support.Failed as failure:
            self.fail(str(failure))
        difference = reference.difference_in_spread(got, expected)
        print(f"131072 tokens: {difference:.2e} of the spread", flush=True)
        self.assertLessEqual(difference, TOLERANCE)


if __name__ == "__main__":
    support.main()

"""f32 weights and f32 keys and values against the float64 reference, for every case of make_models.py."""
import support  # first: it skips the test where numpy is missing

import unittest

import make_models
import reference

# The figure. float32 sums of a few hundred terms differ from float64 by about 1e-6 of the spread; a real mistake
# moves a case's logits by 1e-2 or more (test_reference.py shows it).
TOLERANCE = 1e-4


class LogitsTest(unittest.TestCase):
    def test_cases(self):
        linnet = support.linnet()
        for case in make_models.cases():
            with self.subTest(case=case.name):
                path, weights = make_models.write_case(case, linnet.folder)
                try:
                    model = linnet.convert(path, case.name, "--weights", "f32")
                except support.Failed as failure:
                    self.fail(str(failure))
                for length in case.lengths:
                    tokens = make_models.random_tokens(case.config, length, case.seed)
                    expected = reference.forward(case.config, weights, tokens)
                    try:
                        got = linnet.logits(model, tokens, "--kv", "f32", "--context", max(64, length))
                    except support.Failed as failure:
                        self.fail(str(failure))
                    self.assertEqual(got.shape, expected.shape)
                    difference = reference.difference_in_spread(got, expected)
                    print(f"{case.name:28} {length:5} tokens: {difference:.2e} of the spread", flush=True)
                    self.assertLessEqual(difference, TOLERANCE, f"{case.name}, {length} tokens")


if __name__ == "__main__":
    support.main()

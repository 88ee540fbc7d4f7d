#!/usr/bin/env python3
"""What the formats of the KV cache cost a model in quality, on a text.

    tools/measure_kv.py MODEL.linnet TEXT [--linnet build/native/linnet] [--tokens 512] [--windows 4]

The text is cut into windows of --tokens tokens, each evaluated from an empty cache. For each format of keys and values: the
perplexity, and against f32 the mean Kullback-Leibler divergence of the next token's distribution, the share of positions whose
most likely token is the same, and the bytes that a token's keys and values take. Needs numpy.
"""
import argparse
import json
import os
import tempfile

import numpy

from lib.evaluation import compare, evaluate, log_softmax, run

FORMATS = ["f32", "f16", "int8", "int4"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--linnet", default="build/native/linnet")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--windows", type=int, default=4)
    options = parser.parse_args()

    with open(options.text, "rb") as file:
        tokens = run(options.linnet, "tokenize", options.model, text=file.read(options.tokens * options.windows * 8)).split()
    windows = [tokens[i * options.tokens:(i + 1) * options.tokens] for i in range(options.windows)]
    windows = [[int(token) for token in window] for window in windows if len(window) == options.tokens]
    if not windows:
        raise SystemExit(f"{options.text} has fewer than {options.tokens} tokens.")
    sums = {kv: numpy.zeros(3) for kv in FORMATS}
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "logits.f32")
        for window in windows:
            exact = None
            for kv in FORMATS:
                rows = log_softmax(evaluate(options.linnet, options.model, window, out, "--kv", kv))
                exact = rows if exact is None else exact
                sums[kv] += compare(rows, exact, window)
    positions = len(windows) * options.tokens
    print(f"{os.path.basename(options.model)}, {len(windows)} windows of {options.tokens} tokens of {os.path.basename(options.text)}")
    print("  KV     perplexity  mean KL to f32  same first choice  bytes a token")
    for kv in FORMATS:
        nll, kl, same = sums[kv]
        plan = json.loads(run(options.linnet, "plan", options.model, "--kv", kv, "--context", options.tokens, "--json", "--no-measure"))
        perplexity = numpy.exp(nll / (len(windows) * (options.tokens - 1)))
        print(f"  {kv:5} {perplexity:11.4f} {kl / positions:15.6f} {same / positions * 100:17.2f}% "
              f"{plan['kv_bytes_per_token'] // options.tokens:14,}")


if __name__ == "__main__":
    main()

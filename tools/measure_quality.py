#!/usr/bin/env python3
"""What int4 weights cost a model in quality, on a text: each size of group, each way of choosing the scales.

    tools/measure_quality.py SOURCE TEXT --calibrate OTHER_TEXT [--linnet build/native/linnet] [--tokens 512] [--windows 8]
        [--separator "<|endoftext|>"]

SOURCE is whatever `linnet convert` takes. It is converted with f32 weights, and then to int8 and to int4 in groups of 32, 64 and
128, with plain rounding, with searched scales (the default) and with scales calibrated on OTHER_TEXT, which should have nothing
of TEXT. TEXT is cut into windows that lie evenly in it, or into the texts that a separator stands between; each is evaluated from
an empty context, with BOS in front where the model wants it. For each file: the perplexity, and against the f32 weights the mean
Kullback-Leibler divergence of the next token's distribution (with its standard error over the windows) and the share of positions
whose most likely token is the same. Keys and values are f32 throughout. One converted file stands in --folder at a time, and the
f32 logits of all windows (TinyLlama: 66 MB a window). Needs numpy.
"""
import argparse
import json
import os
import tempfile

import numpy

from lib.evaluation import compare, evaluate, log_softmax, run

GROUPS = [32, 64, 128]


def cut(tokens, bos, size, most):
    """Windows of `size` tokens, BOS in front, evenly over the text; of a shorter text the one that there is."""
    body = size - len(bos)
    there = max(len(tokens) // body, 1)
    count = min(there, most)
    return [bos + tokens[i * there // count * body:][:body] for i in range(count)]


class Measure:
    def __init__(self, options, folder):
        self.options, self.folder, self.windows = options, folder, []

    def path(self, name):
        return os.path.join(self.folder, name)

    def take_windows(self, model):
        config = json.loads(run(self.options.linnet, "inspect", model, "--json", "--no-verify"))["config"]
        bos = [config["bos_token"]] if config["add_bos"] else []
        size = min(self.options.tokens, config["context"])
        with open(self.options.text, "rb") as file:
            texts = [file.read()]
        if self.options.separator:
            texts = [text.strip() for text in texts[0].split(self.options.separator.encode()) if text.strip()]
        for text in texts:
            tokens = [int(token) for token in run(self.options.linnet, "tokenize", model, text=text).split()]
            self.windows += cut(tokens, bos, size, 1 if self.options.separator else self.options.windows)

    def logits(self, model, number):
        return evaluate(self.options.linnet, model, self.windows[number], self.path("logits.f32"), "--kv", "f32", "--no-verify")

    def convert(self, *arguments):
        out = self.path("model.linnet")
        run(self.options.linnet, "convert", self.options.source, out, *arguments)
        return out

    def exact(self):
        model = self.convert("--weights", "f32")
        self.take_windows(model)
        for number in range(len(self.windows)):
            numpy.save(self.path(f"exact{number}.npy"), self.logits(model, number))
        return self.row("f32", model)

    def row(self, name, model):
        nll = positions = same = 0
        divergences = []
        for number, window in enumerate(self.windows):
            exact = log_softmax(numpy.load(self.path(f"exact{number}.npy")))
            rows = exact if name == "f32" else log_softmax(self.logits(model, number))
            window_nll, divergence, window_same = compare(rows, exact, window)
            nll += window_nll
            divergences.append(divergence / len(window))
            same += window_same
            positions += len(window)
        spread = numpy.std(divergences, ddof=1) / len(divergences) ** 0.5 if len(divergences) > 1 else 0
        print(f"| {name} | {os.path.getsize(model):,} | {numpy.exp(nll / (positions - len(self.windows))):.4f} | "
              f"{numpy.mean(divergences):.5f} ± {spread:.5f} | {same / positions * 100:.2f} % |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("text")
    parser.add_argument("--calibrate", metavar="TEXT", required=True)
    parser.add_argument("--linnet", default="build/native/linnet")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--separator", help="what stands between texts that have nothing to do with each other")
    parser.add_argument("--folder", help="where the files stand meanwhile (the system's temporary folder)")
    options = parser.parse_args()
    if os.path.exists(options.calibrate) and os.path.samefile(options.text, options.calibrate):
        raise SystemExit("The text that is measured on must not be the one that is calibrated on.")
    if options.folder:
        os.makedirs(options.folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure = Measure(options, folder)
        print("| weights | bytes | perplexity | mean KL to f32 | same first choice |\n|---|---|---|---|---|", flush=True)
        measure.exact()
        measure.row("int8, 32", measure.convert("--weights", "int8"))
        for group in GROUPS:
            for name, arguments in [("rounded", ["--rounding"]), ("searched", []), ("calibrated", ["--calibrate", options.calibrate])]:
                measure.row(f"int4, {group}, {name}", measure.convert("--group", group, *arguments))


if __name__ == "__main__":
    main()

"""What the tools that measure a model's quality share: running the command, and comparing rows of logits. Needs numpy."""
import subprocess

import numpy


def run(*arguments, text=None):
    """Standard output of a program."""
    return subprocess.run([str(one) for one in arguments], input=text, stdout=subprocess.PIPE, check=True).stdout


def evaluate(linnet, model, tokens, out, *options):
    """The logits after each of these tokens, from an empty cache: [tokens][vocabulary]. `out`: a file for them meanwhile."""
    run(linnet, "logits", model, "--tokens", ",".join(map(str, tokens)), "--out", out, "--context", len(tokens), *options)
    return numpy.fromfile(out, "<f4").reshape(len(tokens), -1)


def log_softmax(rows):
    rows = rows.astype(numpy.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - numpy.log(numpy.exp(rows).sum(axis=1, keepdims=True))


def compare(rows, exact, tokens):
    """Of log probabilities after `tokens`, against exact ones: the negative log likelihood of tokens[1:], the Kullback-Leibler
    divergence and the positions with the same most likely token, each summed up."""
    nll = -rows[numpy.arange(len(tokens) - 1), tokens[1:]].sum()
    return nll, (numpy.exp(exact) * (exact - rows)).sum(), (rows.argmax(axis=1) == exact.argmax(axis=1)).sum()

"""The arithmetic of other runtimes, simulated in numpy: what llama.cpp does with block formats, to compare our noise with."""
import numpy

import reference


def half(x):
    return x.astype(numpy.float16).astype(numpy.float64)


def in_blocks(x, width, levels, scale_type=half):
    """Symmetric rounding to -levels..levels with one scale for `width` values along the last axis (the last may be shorter)."""
    padding = -x.shape[-1] % width
    padded = numpy.concatenate([x, numpy.zeros(x.shape[:-1] + (padding,))], axis=-1)
    blocks = padded.reshape(*x.shape[:-1], -1, width)
    largest = numpy.abs(blocks).max(axis=-1, keepdims=True)
    scale = largest / levels
    codes = numpy.rint(numpy.divide(blocks, scale, out=numpy.zeros_like(blocks), where=scale > 0))
    return (codes * scale_type(scale)).reshape(padded.shape)[..., :x.shape[-1]]


def int8_block(x):
    return in_blocks(x, 32, 127)


def int4_block(x):
    return in_blocks(x, 32, 7)


class Others(reference.Exact):
    """What llama.cpp does: int8 activations in blocks of 32, and a KV cache of the given kind."""

    def __init__(self, kv, activations=True):
        self.kv, self.activations = kv, activations

    def activation(self, x):
        return int8_block(x) if self.activations else x

    def cached(self, x):
        return {"f32": lambda y: y, "f16": half, "int8": int8_block, "int4": int4_block}[self.kv](x)

"""The int4 cache of keys and values, written from its description in numpy: each head turned by a block Hadamard transform, each
half of it to sixteen levels with a scale of its own."""
import numpy

import reference

LEVELS = numpy.array([-122, -97, -77, -60, -45, -32, -19, -6, 6, 19, 32, 45, 60, 77, 97, 122], dtype=numpy.float64)


def hadamard(size):
    matrix = numpy.array([[1.0]])
    while len(matrix) < size:
        matrix = numpy.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / numpy.sqrt(size)


def rotation(dims):
    """Block diagonal: the largest powers of two that fit, one after the other."""
    matrix, at = numpy.zeros((dims, dims)), 0
    while at < dims:
        block = 1 << ((dims - at).bit_length() - 1)
        matrix[at:at + block, at:at + block] = hadamard(block)
        at += block
    return matrix


def to_levels(x):
    """Each row of the last axis, as it is read back."""
    exact = numpy.abs(x).max(axis=-1, keepdims=True) / 127.0
    mantissa, exponent = numpy.frexp(exact)
    scale = numpy.ldexp(numpy.rint(mantissa * 256), exponent - 8)  # 8 bits of significand
    scaled = x / numpy.where(scale > 0, scale, 1.0)
    return LEVELS[numpy.abs(scaled[..., None] - LEVELS).argmin(axis=-1)] * scale


class Int4Cache(reference.Exact):
    """`turned` False: the same without the rotation."""

    def __init__(self, turned=True):
        self.turned = turned

    def cached(self, x):
        matrix = rotation(x.shape[-1]) if self.turned else numpy.eye(x.shape[-1])
        # The query is turned by the same matrix and the output turned back: to turn the cached value back says the same.
        halves = numpy.split(x @ matrix, 2, axis=-1)
        return numpy.concatenate([to_levels(half) for half in halves], axis=-1) @ matrix.T

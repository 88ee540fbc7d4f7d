"""An independent forward pass in float64: the phi-3 graph and the Llama shape, written from the published description.

It shares nothing with core/: no code, no file format, no order of summation. It is meant to be read beside the papers, so
it keeps every tensor under its Hugging Face meaning and does one thing after another, the whole sequence at once.

    logits = forward(config, weights, tokens)          # float64 [tokens][vocabulary]

`weights` is a plain dict of float64 arrays, matrices as [output][input]:

    embedding                       [vocabulary][hidden]
    layers.N.attention_norm         [hidden]
    layers.N.qkv                    [(heads + 2 * kv_heads) * head_dim][hidden], rows q | k | v (phi-3)
    layers.N.q, .k, .v              the same three apart (Llama)
    layers.N.o                      [hidden][heads * head_dim]
    layers.N.feed_forward_norm      [hidden]
    layers.N.gate_up                [2 * feed_forward][hidden], rows gate | up (phi-3)
    layers.N.gate, .up              the same two apart (Llama)
    layers.N.down                   [hidden][feed_forward]
    norm                            [hidden]
    head                            [vocabulary][hidden]; absent: the embedding serves (tied)
"""
import math
from dataclasses import dataclass, field

import numpy


@dataclass
class Config:
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    vocabulary: int
    rotary_dims: int = 0          # leading dimensions of a head that turn; 0: all
    context: int = 512            # max_position_embeddings
    epsilon: float = 1e-5
    theta: float = 10000.0
    window: int = 0               # config.json's sliding_window w: a query sees itself and the w keys before it; 0: all keys
    rope: dict = field(default_factory=dict)  # {}, {"kind": "linear" | "llama3" | "longrope", ...}; see inverse_frequencies()
    rope_pairs: str = "half"      # "half": dimensions (i, i + rotary/2) turn together; "interleaved": (2i, 2i + 1)
    tied: bool = False
    family: str = "phi3"          # "phi3" or "llama": which tensors a file holds fused

    def __post_init__(self):
        if self.rotary_dims == 0:
            self.rotary_dims = self.head_dim


class Exact:
    """What the arithmetic does to activations and to cached keys and values: nothing."""

    def activation(self, x):
        return x

    def cached(self, x):
        return x


def rms_norm(x, weight, epsilon):
    return x / numpy.sqrt(numpy.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def silu(x):
    return x / (1.0 + numpy.exp(-x))


def inverse_frequencies(config, length):
    """Angle a position turns each pair by, and the factor of cos and sin, in a pass of `length` tokens."""
    exponents = numpy.arange(0, config.rotary_dims, 2, dtype=numpy.float64) / config.rotary_dims
    plain = config.theta ** -exponents
    rope = config.rope
    if not rope:
        return plain, 1.0
    if rope["kind"] == "linear":
        return plain / rope["factor"], 1.0
    if rope["kind"] == "llama3":
        # Long waves are stretched by the factor, short ones stay, those between are blended.
        wave = 2.0 * math.pi / plain
        original, low, high = rope["original"], rope["low_factor"], rope["high_factor"]
        blend = numpy.clip((original / wave - low) / (high - low), 0.0, 1.0)
        return (1.0 - blend) * plain / rope["factor"] + blend * plain, 1.0
    assert rope["kind"] == "longrope"
    # One table for the whole pass: short while it fits the original context, long as soon as it does not.
    factors = rope["long"] if length > rope["original"] else rope["short"]
    return plain / numpy.asarray(factors, dtype=numpy.float64), attention_factor(config)


def attention_factor(config):
    """LongRoPE's, which applies to short passes too."""
    if "attention_factor" in config.rope:
        return config.rope["attention_factor"]
    stretch = config.context / config.rope["original"]
    return 1.0 if stretch <= 1.0 else math.sqrt(1.0 + math.log(stretch) / math.log(config.rope["original"]))


def rotate(x, cosine, sine, config):
    """x: [tokens][heads][head_dim]; cosine, sine: [tokens][rotary/2]."""
    turning, rest = x[..., :config.rotary_dims], x[..., config.rotary_dims:]
    cosine, sine = cosine[:, None, :], sine[:, None, :]
    if config.rope_pairs == "half":
        first, second = numpy.split(turning, 2, axis=-1)
    else:
        first, second = turning[..., 0::2], turning[..., 1::2]
    turned_first, turned_second = first * cosine - second * sine, second * cosine + first * sine
    if config.rope_pairs == "half":
        turned = numpy.concatenate([turned_first, turned_second], axis=-1)
    else:
        turned = numpy.stack([turned_first, turned_second], axis=-1).reshape(turning.shape)
    return numpy.concatenate([turned, rest], axis=-1)


def attend(q, k, v, config, positions):
    """q, at these positions: [queries][heads][head_dim], k and v, at all: [tokens][kv_heads][head_dim]
    -> [queries][heads * head_dim]."""
    queries = q.shape[0]
    result = numpy.empty_like(q)
    queries_a_key = config.heads // config.kv_heads
    for start in range(0, queries, 512):  # in slices, so that 4097 tokens do not need a 4097 x 4097 matrix a head
        end = min(start + 512, queries)
        begin = max(0, positions[start] - config.window) if config.window else 0
        beyond = positions[end - 1] + 1
        position_q = positions[start:end, None]
        position_k = numpy.arange(begin, beyond)[None, :]
        visible = position_k <= position_q
        if config.window:
            visible &= position_q - position_k <= config.window  # itself and the window's w: w + 1 keys
        for head in range(config.heads):
            kv_head = head // queries_a_key
            scores = q[start:end, head] @ k[begin:beyond, kv_head].T / math.sqrt(config.head_dim)
            scores = numpy.where(visible, scores, -numpy.inf)
            scores = numpy.exp(scores - scores.max(axis=1, keepdims=True))
            scores /= scores.sum(axis=1, keepdims=True)
            result[start:end, head] = scores @ v[begin:beyond, kv_head]
    return result.reshape(queries, -1)


def project_qkv(config, weights, prefix, x):
    q_rows, kv_rows = config.heads * config.head_dim, config.kv_heads * config.head_dim
    if prefix + "qkv" in weights:
        q, k, v = numpy.split(x @ weights[prefix + "qkv"].T, [q_rows, q_rows + kv_rows], axis=-1)
    else:
        q, k, v = (x @ weights[prefix + name].T for name in "qkv")
    tokens = x.shape[0]
    return (q.reshape(tokens, config.heads, config.head_dim), k.reshape(tokens, config.kv_heads, config.head_dim),
            v.reshape(tokens, config.kv_heads, config.head_dim))


def project_gate_up(weights, prefix, x):
    if prefix + "gate_up" in weights:
        return numpy.split(x @ weights[prefix + "gate_up"].T, 2, axis=-1)
    return x @ weights[prefix + "gate"].T, x @ weights[prefix + "up"].T


def forward(config, weights, tokens, arithmetic=Exact(), rows=None):
    """`rows`: the ascending positions whose logits are wanted, all where it is None. The last layer then computes no others, so
    that with a single layer even a long context costs no square of its length."""
    tokens = numpy.asarray(tokens)
    positions = numpy.arange(len(tokens))
    x = weights["embedding"][tokens]
    frequencies, factor = inverse_frequencies(config, len(tokens))
    angles = numpy.arange(len(tokens), dtype=numpy.float64)[:, None] * frequencies[None, :]
    cosine, sine = numpy.cos(angles) * factor, numpy.sin(angles) * factor
    for layer in range(config.layers):
        prefix = f"layers.{layer}."
        normed = arithmetic.activation(rms_norm(x, weights[prefix + "attention_norm"], config.epsilon))
        q, k, v = project_qkv(config, weights, prefix, normed)
        q, k = rotate(q, cosine, sine, config), rotate(k, cosine, sine, config)
        if rows is not None and layer == config.layers - 1:
            positions = numpy.asarray(rows)
            x, q = x[positions], q[positions]
        mixed = attend(q, arithmetic.cached(k), arithmetic.cached(v), config, positions)
        x = x + arithmetic.activation(mixed) @ weights[prefix + "o"].T
        normed = arithmetic.activation(rms_norm(x, weights[prefix + "feed_forward_norm"], config.epsilon))
        gate, up = project_gate_up(weights, prefix, normed)
        x = x + arithmetic.activation(silu(gate) * up) @ weights[prefix + "down"].T
    head = weights.get("head", weights["embedding"])
    return arithmetic.activation(rms_norm(x, weights["norm"], config.epsilon)) @ head.T


# ---- comparing ------------------------------------------------------------------------------------------------------------

def difference_in_spread(got, expected):
    """Largest |difference| of a row over the spread of the row, which is here its standard deviation: the strictest reading."""
    spread = expected.std(axis=1)
    return float((numpy.abs(got - expected).max(axis=1) / spread).max())


def relative_error(got, expected):
    """Root mean square of the error over that of the logits, each row's mean taken out of both (softmax does not see it)."""
    got, expected = got - got.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True)
    return float(numpy.sqrt(((got - expected) ** 2).sum() / (expected ** 2).sum()))


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def divergence(got, expected):
    """Mean Kullback-Leibler divergence of the next token's distribution, in nats."""
    p, q = log_softmax(expected), log_softmax(got)
    return float((numpy.exp(p) * (p - q)).sum(axis=1).mean())


def perplexity(logits, tokens):
    """Of tokens[1:], each predicted from those before it."""
    rows = log_softmax(logits[:-1].astype(numpy.float64))
    return math.exp(-float(rows[numpy.arange(len(tokens) - 1), numpy.asarray(tokens)[1:]].mean()))

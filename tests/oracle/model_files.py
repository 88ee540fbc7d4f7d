"""Writers of small models in the formats that people have: Hugging Face folders, GGUF v3, llama2.c's .bin. Pure numpy.

Each takes a Config and a dict of float64 weights (reference.py has the names) and returns the weights as the file holds
them, that is after rounding to the file's number format, so that a comparison sees no difference of the file's making.
"""
import json
import os
import struct

import numpy

# ---- number formats -------------------------------------------------------------------------------------------------------


def to_bf16(x):
    """Bytes and values: the upper half of a float32, rounded to nearest, ties to even."""
    bits = x.astype(numpy.float32).view(numpy.uint32)
    upper = ((bits.astype(numpy.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)
    return upper.tobytes(), (upper.astype(numpy.uint32) << 16).view(numpy.float32).astype(numpy.float64)


def encode(kind, x):
    """(bytes, values as float64) of an array in the number format `kind`, by its ggml or safetensors name."""
    if kind == "F32":
        rounded = x.astype("<f4")
    elif kind == "F16":
        rounded = x.astype("<f2")
    elif kind == "BF16":
        raw, values = to_bf16(x)
        return raw, values.reshape(x.shape)
    else:
        import ggml_types  # block formats
        raw = ggml_types.encode(kind, x.astype(numpy.float32))
        values = ggml_types.decode(kind, raw)
        return bytes(raw), numpy.asarray(values, dtype=numpy.float64).reshape(x.shape)
    return rounded.tobytes(), rounded.astype(numpy.float64)


# ---- a tokenizer as small as one can be -----------------------------------------------------------------------------------

NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6


def small_vocabulary(size):
    """SentencePiece pieces (text, score, type): three specials, the 256 bytes, letters, then pairs of letters."""
    assert size >= 300
    pieces = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    letters = "\u2581etaoinshrdlucmfwypvbgkjqxz"
    wanted = [a + b for a in letters for b in letters[1:]]
    wanted = wanted[:size - len(pieces) - len(letters)]
    pieces += [(text, -float(rank), NORMAL) for rank, text in enumerate(wanted)]
    pieces += [(text, -1000.0 - rank, NORMAL) for rank, text in enumerate(letters)]
    return pieces + [(f"filler{n}", -5000.0 - n, NORMAL) for n in range(size - len(pieces))]


def sentencepiece_model(pieces):
    """The bytes of a tokenizer.model (protocol buffer sentencepiece.ModelProto)."""
    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    def message(number, body):
        return varint(number << 3 | 2) + varint(len(body)) + body

    def integer(number, n):
        return varint(number << 3) + varint(n)

    out = b""
    for text, score, kind in pieces:
        body = message(1, text.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score)
        out += message(1, body + (integer(3, kind) if kind != NORMAL else b""))
    trainer = integer(3, 2) + integer(4, len(pieces)) + integer(35, 1)  # BPE, vocabulary size, byte fallback
    normalizer = message(1, b"identity") + integer(3, 1) + integer(4, 0) + integer(5, 1)
    return out + message(2, trainer) + message(3, normalizer)


def tokenizer_json(pieces):
    """The same vocabulary as Hugging Face's tokenizer.json."""
    merges = [f"{text[0]} {text[1]}" for text, _, kind in pieces if kind == NORMAL and len(text) == 2]
    added = [{"id": index, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for index, (text, _, kind) in enumerate(pieces) if kind in (UNKNOWN, CONTROL)]
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
                  "vocab": {text: index for index, (text, _, _) in enumerate(pieces)}, "merges": merges}}).encode()


def tokenizer_config_json(pieces):
    return json.dumps({
        "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False, "legacy": False, "model_max_length": 512, "tokenizer_class": "LlamaTokenizer",
        "added_tokens_decoder": {str(index): {"content": text, "lstrip": False, "normalized": False, "rstrip": False,
                                              "single_word": False, "special": True}
                                 for index, (text, _, kind) in enumerate(pieces) if kind in (UNKNOWN, CONTROL)},
        "chat_template": "{% for message in messages %}{{'<|' + message['role'] + '|>\n' + message['content']}}{% endfor %}"})


# ---- Hugging Face ---------------------------------------------------------------------------------------------------------

def safetensors(tensors, metadata=True):
    """tensors: name -> (dtype, shape, bytes)."""
    header, at = {}, 0
    if metadata:
        header["__metadata__"] = {"format": "pt"}
    for name, (kind, shape, raw) in tensors.items():
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(raw for _, _, raw in tensors.values())


HUGGING_FACE_NAMES = {
    "attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm", "qkv": "self_attn.qkv_proj",
    "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
    "gate_up": "mlp.gate_up_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"}


def hugging_face_name(name):
    if name.startswith("layers."):
        _, layer, part = name.split(".")
        return f"model.layers.{layer}.{HUGGING_FACE_NAMES[part]}.weight"
    return {"embedding": "model.embed_tokens.weight", "norm": "model.norm.weight", "head": "lm_head.weight"}[name]


def rope_scaling_json(rope):
    if rope["kind"] == "linear":
        return {"type": "linear", "factor": rope["factor"]}
    if rope["kind"] == "llama3":
        return {"rope_type": "llama3", "factor": rope["factor"], "low_freq_factor": rope["low_factor"],
                "high_freq_factor": rope["high_factor"], "original_max_position_embeddings": rope["original"]}
    out = {"long_factor": list(rope["long"]), "short_factor": list(rope["short"]), "type": rope.get("name", "longrope")}
    if "attention_factor" in rope:
        out["attention_factor"] = rope["attention_factor"]
    return out


def config_json(config, kind, recent):
    """config.json with every field that the published ones have. recent: as transformers 5 writes it."""
    dtype = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[kind]
    phi3 = config.family == "phi3"
    out = {
        "architectures": ["Phi3ForCausalLM" if phi3 else "LlamaForCausalLM"], "attention_bias": False,
        "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": config.hidden,
        "initializer_range": 0.02, "intermediate_size": config.feed_forward, "max_position_embeddings": config.context,
        "model_type": "phi3" if phi3 else "llama", "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers, "num_key_value_heads": config.kv_heads, "rms_norm_eps": config.epsilon,
        "tie_word_embeddings": config.tied, "use_cache": True, "vocab_size": config.vocabulary}
    if config.head_dim * config.heads != config.hidden or (recent and not phi3):
        out["head_dim"] = config.head_dim
    partial = config.rotary_dims / config.head_dim
    if recent:
        out["dtype"] = dtype
        out["transformers_version"] = "5.0.0"
        out["rope_parameters"] = {"rope_theta": config.theta, "rope_type": config.rope.get("kind", "default")}
        if config.rope:
            out["rope_parameters"].update(rope_scaling_json(config.rope))
            out["rope_parameters"].pop("type", None)
            if config.rope["kind"] == "longrope":
                out["rope_parameters"]["original_max_position_embeddings"] = config.rope["original"]
        if partial != 1.0:
            out["rope_parameters"]["partial_rotary_factor"] = partial
    else:
        out["torch_dtype"] = dtype
        out["transformers_version"] = "4.46.0"
        out["rope_theta"] = config.theta
        out["rope_scaling"] = rope_scaling_json(config.rope) if config.rope else None
        if partial != 1.0:
            out["partial_rotary_factor"] = partial
    if phi3:
        out.update({"embd_pdrop": 0.0, "resid_pdrop": 0.0, "pad_token_id": 0,
                    "sliding_window": config.window or None,
                    "original_max_position_embeddings": config.rope.get("original", config.context)})
    else:
        out.update({"mlp_bias": False, "pretraining_tp": 1})
    return out


def write_hugging_face(folder, config, weights, kind="F32", shards=1, pieces=None, recent=False, extra=False):
    """recent: config.json as transformers 5 writes it. extra: with tensors that old files have and nobody reads."""
    assert config.rope_pairs == "half"
    os.makedirs(folder, exist_ok=True)
    stored, values = {}, {}
    for name, array in weights.items():
        raw, values[name] = encode(kind, array)
        stored[hugging_face_name(name)] = (kind, array.shape, raw)
    if extra:
        for layer in range(config.layers):
            raw, _ = encode("F32", numpy.ones(config.rotary_dims // 2))
            stored[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = ("F32", (config.rotary_dims // 2,), raw)
        if config.tied:
            stored["lm_head.weight"] = stored["model.embed_tokens.weight"]
    names = list(stored)
    if shards == 1:
        with open(os.path.join(folder, "model.safetensors"), "wb") as file:
            file.write(safetensors(stored))
    else:
        index = {"metadata": {"total_size": sum(len(raw) for _, _, raw in stored.values())}, "weight_map": {}}
        for shard in range(shards):
            file_name = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
            part = {name: stored[name] for name in names[shard::shards]}  # neighbours land in different files
            index["weight_map"].update({name: file_name for name in part})
            with open(os.path.join(folder, file_name), "wb") as file:
                file.write(safetensors(part, metadata=shard == 0))
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
            json.dump(index, file)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config_json(config, kind, recent), file, indent=2)
    if pieces:
        with open(os.path.join(folder, "tokenizer.model"), "wb") as file:
            file.write(sentencepiece_model(pieces))
    return values


# ---- GGUF -----------------------------------------------------------------------------------------------------------------

GGML_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11, "Q4_K": 12,
              "Q5_K": 13, "Q6_K": 14, "IQ2_XXS": 16, "IQ4_NL": 20, "BF16": 30}
BLOCK_VALUES = {"F32": 1, "F16": 1, "BF16": 1, "Q4_0": 32, "Q4_1": 32, "Q5_0": 32, "Q5_1": 32, "Q8_0": 32, "IQ4_NL": 32}
GGUF_NAMES = {"attention_norm": "attn_norm", "feed_forward_norm": "ffn_norm", "qkv": "attn_qkv", "q": "attn_q", "k": "attn_k",
              "v": "attn_v", "o": "attn_output", "gate_up": "ffn_up", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}


class Uint16(int):
    pass


class Uint32(int):
    pass


class Uint64(int):
    pass


def gguf_string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf_value(value):
    """Type number and bytes. int: i32; Uint16; Uint32; Uint64; float: f32; bool; str; list of one of these."""
    if isinstance(value, bool):
        return 7, struct.pack("<B", value)
    if isinstance(value, Uint16):
        return 2, struct.pack("<H", value)
    if isinstance(value, Uint32):
        return 4, struct.pack("<I", value)
    if isinstance(value, Uint64):
        return 10, struct.pack("<Q", value)
    if isinstance(value, int):
        return 5, struct.pack("<i", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, gguf_string(value)
    encoded = [gguf_value(item) for item in value]
    return 9, struct.pack("<IQ", encoded[0][0], len(encoded)) + b"".join(raw for _, raw in encoded)


def gguf_file(keys, tensors, alignment=32):
    """keys: name -> value; tensors: name -> (type name, shape as numpy has it, bytes)."""
    out = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(keys))]
    for key, value in keys.items():
        number, raw = gguf_value(value)
        out.append(gguf_string(key) + struct.pack("<I", number) + raw)
    at = 0
    for name, (kind, shape, raw) in tensors.items():
        out.append(gguf_string(name) + struct.pack("<I", len(shape)))
        out.append(b"".join(struct.pack("<Q", n) for n in reversed(shape)))  # the fastest dimension first
        out.append(struct.pack("<IQ", GGML_TYPES[kind], at))
        at += len(raw) + -len(raw) % alignment
    header = b"".join(out)
    parts = [header, bytes(-len(header) % alignment)]
    for _, _, raw in tensors.values():
        parts += [raw, bytes(-len(raw) % alignment)]
    return b"".join(parts)


def gguf_name(name):
    if name.startswith("layers."):
        _, layer, part = name.split(".")
        return f"blk.{layer}.{GGUF_NAMES[part]}.weight"
    return {"embedding": "token_embd.weight", "norm": "output_norm.weight", "head": "output.weight"}[name]


def interleave_pairs(array, heads, rotary):
    """Rows of each head from half-split to interleaved order, as llama.cpp's converter does for the llama architecture."""
    rows = array.reshape(heads, -1, array.shape[1]).copy()
    half = rotary // 2
    turned = rows.copy()
    turned[:, 0:rotary:2] = rows[:, :half]
    turned[:, 1:rotary:2] = rows[:, half:rotary]
    return turned.reshape(array.shape)


def gguf_keys(config, pieces, kind):
    arch = config.family
    keys = {"general.architecture": arch, "general.name": f"tiny {arch}", "general.file_type": Uint32(0)}
    if kind not in ("F32", "F16"):
        keys["general.quantization_version"] = Uint32(2)
    keys.update({
        f"{arch}.context_length": Uint32(config.context), f"{arch}.embedding_length": Uint32(config.hidden),
        f"{arch}.feed_forward_length": Uint32(config.feed_forward), f"{arch}.block_count": Uint32(config.layers),
        f"{arch}.attention.head_count": Uint32(config.heads), f"{arch}.attention.head_count_kv": Uint32(config.kv_heads),
        f"{arch}.attention.layer_norm_rms_epsilon": config.epsilon, f"{arch}.rope.dimension_count": Uint32(config.rotary_dims),
        f"{arch}.rope.freq_base": config.theta})
    if arch == "phi3":
        keys["phi3.rope.scaling.original_context_length"] = Uint32(config.rope.get("original", config.context))
        if config.window:
            keys["phi3.attention.sliding_window"] = Uint32(config.window)
    else:
        keys["llama.vocab_size"] = Uint32(config.vocabulary)
    if config.head_dim * config.heads != config.hidden:
        keys[f"{arch}.attention.key_length"] = Uint32(config.head_dim)
        keys[f"{arch}.attention.value_length"] = Uint32(config.head_dim)
    if config.rope.get("kind") == "linear":
        keys[f"{arch}.rope.scaling.type"] = "linear"
        keys[f"{arch}.rope.scaling.factor"] = float(config.rope["factor"])
    if pieces:
        keys.update({
            "tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default",
            "tokenizer.ggml.tokens": [text for text, _, _ in pieces],
            "tokenizer.ggml.scores": [score for _, score, _ in pieces],
            "tokenizer.ggml.token_type": [number for _, _, number in pieces],
            "tokenizer.ggml.bos_token_id": Uint32(1), "tokenizer.ggml.eos_token_id": Uint32(2),
            "tokenizer.ggml.unknown_token_id": Uint32(0), "tokenizer.ggml.add_bos_token": True,
            "tokenizer.ggml.add_eos_token": False})
    return keys


def write_gguf(path, config, weights, kind="F32", kinds=None, pieces=None, alignment=32, split=False):
    """kind: number format of the matrices, where their columns allow it; kinds: format of single tensors, by our names'
    last part (q, down, head, ...). split: into two files, of which `path` must name the first (...-00001-of-00002.gguf)."""
    from reference import attention_factor, inverse_frequencies
    keys, tensors, values = gguf_keys(config, pieces, kind), {}, {}
    rope = config.rope.get("kind")
    if rope == "longrope":
        keys["phi3.rope.scaling.attn_factor"] = float(attention_factor(config))
        for name in ("long", "short"):
            raw, _ = encode("F32", numpy.asarray(config.rope[name], dtype=numpy.float64))
            tensors[f"rope_factors_{name}.weight"] = ("F32", (len(config.rope[name]),), raw)
    if rope == "llama3":
        plain = config.theta ** -(numpy.arange(0, config.rotary_dims, 2) / config.rotary_dims)
        raw, _ = encode("F32", plain / inverse_frequencies(config, 1)[0])
        tensors["rope_freqs.weight"] = ("F32", (config.rotary_dims // 2,), raw)
    for name, array in weights.items():
        part = name.split(".")[-1]
        chosen = (kinds or {}).get(part, kind) if array.ndim == 2 else "F32"
        if array.shape[-1] % BLOCK_VALUES.get(chosen, 256) != 0:
            chosen = "F16"  # as llama.cpp does where the columns do not fill blocks
        _, values[name] = encode(chosen, array)
        in_file = array
        if config.family == "llama" and config.rope_pairs == "half" and part in ("q", "k"):
            in_file = interleave_pairs(array, config.heads if part == "q" else config.kv_heads, config.rotary_dims)
        raw, _ = encode(chosen, in_file)  # a row's blocks do not depend on where the row stands
        tensors[gguf_name(name)] = (chosen, array.shape, raw)
    if alignment != 32:
        keys["general.alignment"] = Uint32(alignment)
    files = [(path, keys, tensors)]
    if split:
        names = list(tensors)
        numbers = {"split.count": Uint16(2), "split.tensors.count": len(names)}
        halves = names[:len(names) // 2], names[len(names) // 2:]
        files = [(path.replace("00001-of", f"{index + 1:05}-of"),
                  {**(keys if index == 0 else {}), "split.no": Uint16(index), **numbers},
                  {name: tensors[name] for name in half}) for index, half in enumerate(halves)]
    for name, keys_of_file, tensors_of_file in files:
        with open(name, "wb") as file:
            file.write(gguf_file(keys_of_file, tensors_of_file, alignment))
    return values


# ---- llama2.c -------------------------------------------------------------------------------------------------------------

LLAMA2C_ORDER = ["attention_norm", "q", "k", "v", "o", "feed_forward_norm", "gate", "down", "up"]


def write_llama2c(path, config, weights):
    """Version 0: seven int32, then float32 tensors, all layers of one kind together. Pairs are interleaved in this format."""
    assert config.rope_pairs == "interleaved" and not config.rope and config.head_dim * config.heads == config.hidden
    sizes = (config.hidden, config.feed_forward, config.layers, config.heads, config.kv_heads,
             config.vocabulary if config.tied else -config.vocabulary, config.context)
    parts, values = [struct.pack("<7i", *sizes)], {}

    def put(name):
        raw, values[name] = encode("F32", weights[name])
        parts.append(raw)

    put("embedding")
    for part in LLAMA2C_ORDER:
        for layer in range(config.layers):
            put(f"layers.{layer}.{part}")
    put("norm")
    positions = numpy.arange(config.context)[:, None]
    angles = positions * config.theta ** -(numpy.arange(0, config.head_dim, 2) / config.head_dim)
    parts += [numpy.cos(angles).astype("<f4").tobytes(), numpy.sin(angles).astype("<f4").tobytes()]
    if not config.tied:
        put("head")
    with open(path, "wb") as file:
        file.write(b"".join(parts))
    return values


def read_llama2c(path):
    """Config and weights of a llama2.c .bin, for the real models."""
    from reference import Config
    with open(path, "rb") as file:
        raw = file.read()
    hidden, feed_forward, layers, heads, kv_heads, vocabulary, context = struct.unpack_from("<7i", raw)
    config = Config(hidden=hidden, layers=layers, heads=heads, kv_heads=kv_heads, head_dim=hidden // heads,
                    feed_forward=feed_forward, vocabulary=abs(vocabulary), context=context, rope_pairs="interleaved",
                    tied=vocabulary > 0, family="llama")
    data, at, weights = numpy.frombuffer(raw, "<f4", offset=28), 0, {}

    def take(name, *shape):
        nonlocal at
        count = int(numpy.prod(shape))
        weights[name] = data[at:at + count].reshape(shape).astype(numpy.float64)
        at += count

    shapes = {"attention_norm": (hidden,), "q": (hidden, hidden), "k": (kv_heads * config.head_dim, hidden),
              "v": (kv_heads * config.head_dim, hidden), "o": (hidden, hidden), "feed_forward_norm": (hidden,),
              "gate": (feed_forward, hidden), "down": (hidden, feed_forward), "up": (feed_forward, hidden)}
    take("embedding", config.vocabulary, hidden)
    for part in LLAMA2C_ORDER:
        for layer in range(layers):
            take(f"layers.{layer}.{part}", *shapes[part])
    take("norm", hidden)
    at += context * config.head_dim  # cos and sin tables, which nobody reads any more
    if not config.tied:
        take("head", config.vocabulary, hidden)
    assert at == len(data)
    return config, weights


def llama2c_tokenizer(pieces):
    """tokenizer.bin: the longest piece's length, then score, length and bytes of each."""
    texts = [text.replace("\u2581", " ").encode() for text, _, _ in pieces]
    out = struct.pack("<i", max(len(text) for text in texts))
    return out + b"".join(struct.pack("<fi", score, len(text)) + text for text, (_, score, _) in zip(texts, pieces))

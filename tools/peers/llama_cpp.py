"""Measures llama.cpp on a GGUF file: llama_cpp.py FILE.gguf [--prompt 128] [--decode 64] [--threads 1] [--rounds 3] [--variant NAME]

Prints one JSON object. The libraries come prebuilt from npm (@node-llama-cpp/linux-x64), and are called as its own benchmark does: one batch for
the prompt, one token after the other, threads that wait for the next token in a pool of their own, no sampling, nothing of
JavaScript. --variant names the build for a kind of processor (haswell: AVX2); without it llama.cpp chooses the best itself.
"""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import time

LIBRARIES = pathlib.Path(__file__).parent / "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64"


class Parameters(ctypes.Structure):
    """llama_model_params, llama_context_params: both start as the library's defaults, and are no larger than this."""
    _fields_ = [("numbers", ctypes.c_uint32 * 4), ("rest", ctypes.c_char * 496)]


class Batch(ctypes.Structure):
    _fields_ = [("tokens", ctypes.c_int32), ("pointers", ctypes.c_void_p * 6)]


class ThreadPoolParameters(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_char * 1024)]


def load(name):
    return ctypes.CDLL(str(LIBRARIES / name), mode=ctypes.RTLD_GLOBAL)


def loaded_variant():
    with open("/proc/self/maps", encoding="utf8") as maps:
        names = {os.path.basename(line.split()[-1]) for line in maps if "libggml-cpu-" in line}
    return names.pop()


def silence(library):
    callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    library.llama_log_set(callback, None)
    return callback  # has to outlive what calls it


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    for name, value in (("--prompt", 128), ("--decode", 64), ("--threads", 1), ("--rounds", 3)):
        parser.add_argument(name, type=int, default=value)
    parser.add_argument("--variant")
    options = parser.parse_args()

    base, ggml, llama = load("libggml-base.so"), load("libggml.v0.5.0.so"), load("libllama.v0.5.0.so")
    callback = silence(llama)
    if options.variant:
        ggml.ggml_backend_load.restype = ctypes.c_void_p
        if not ggml.ggml_backend_load(str(LIBRARIES / f"libggml-cpu-{options.variant}.so").encode()):
            raise SystemExit(f"llama.cpp's variant {options.variant} does not run here.")
    else:
        ggml.ggml_backend_load_all_from_path(str(LIBRARIES).encode())
    variant = loaded_variant()
    processor = load(variant)
    pointer = ctypes.c_void_p
    for name, result, arguments in (
            ("llama_model_default_params", Parameters, []), ("llama_context_default_params", Parameters, []),
            ("llama_model_load_from_file", pointer, [ctypes.c_char_p, Parameters]),
            ("llama_init_from_model", pointer, [pointer, Parameters]), ("llama_get_memory", pointer, [pointer]),
            ("llama_memory_clear", None, [pointer, ctypes.c_bool]),
            ("llama_set_n_threads", None, [pointer, ctypes.c_int32, ctypes.c_int32]),
            ("llama_attach_threadpool", None, [pointer, pointer, pointer]),
            ("llama_batch_get_one", Batch, [pointer, ctypes.c_int32]), ("llama_decode", ctypes.c_int32, [pointer, Batch])):
        function = getattr(llama, name)
        function.restype, function.argtypes = result, arguments
    processor.ggml_threadpool_new.restype = pointer
    processor.ggml_threadpool_new.argtypes = [ctypes.POINTER(ThreadPoolParameters)]

    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(options.file.encode(), llama.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama.cpp does not open {options.file}.")
    parameters = llama.llama_context_default_params()
    parameters.numbers[0] = options.prompt + options.decode + 64  # n_ctx
    parameters.numbers[1] = parameters.numbers[2] = max(options.prompt, 1)  # n_batch, n_ubatch
    context = llama.llama_init_from_model(model, parameters)
    if not context:
        raise SystemExit("llama.cpp makes no context.")
    pool_parameters = ThreadPoolParameters()
    base.ggml_threadpool_params_init(ctypes.byref(pool_parameters), options.threads)
    pool = processor.ggml_threadpool_new(ctypes.byref(pool_parameters))
    llama.llama_attach_threadpool(context, pool, pool)
    llama.llama_set_n_threads(context, options.threads, options.threads)

    # Any tokens will do: what is computed does not depend on which they are.
    tokens = (ctypes.c_int32 * (options.prompt + options.decode))(
        *(1000 + i * 7919 % 20000 for i in range(options.prompt + options.decode)))

    def evaluate(first, count):
        part = (ctypes.c_int32 * count).from_buffer(tokens, first * 4)
        if llama.llama_decode(context, llama.llama_batch_get_one(part, count)) != 0:
            raise SystemExit("llama.cpp cannot evaluate this.")

    prefill, decode = [], []
    for _ in range(options.rounds + 1):
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        start = time.perf_counter()
        if options.prompt:
            evaluate(0, options.prompt)
        middle = time.perf_counter()
        for i in range(options.decode):
            evaluate(options.prompt + i, 1)
        end = time.perf_counter()
        prefill.append(options.prompt / (middle - start))
        decode.append(options.decode / (end - middle))
    print(json.dumps({
        "runtime": "llama.cpp", "package": "@node-llama-cpp/linux-x64 3.22.1", "llama_cpp": "v0.5.0",
        "variant": variant.removeprefix("libggml-cpu-").removesuffix(".so"), "file": os.path.basename(options.file),
        "threads": options.threads, "prompt": options.prompt, "decode": options.decode,
        "prefill_tokens_per_second": statistics.median(prefill[1:]),  # the first round warms up
        "decode_tokens_per_second": statistics.median(decode[1:]), "rounds": options.rounds}))
    del callback


main()

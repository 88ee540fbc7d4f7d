"""Makes a Q4_0 file of a GGUF model with llama.cpp's own quantiser, out of its npm package: quantize.py IN.gguf OUT.gguf

So that llama.cpp and Linnet can be timed on weights of the same size: four bits with one scale for 32 of them. A source
that is quantised already is quantised again, which costs quality and does not matter to a clock.
"""
import ctypes
import pathlib
import sys

LIBRARIES = pathlib.Path(__file__).parent / "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64"
MOSTLY_Q4_0 = 2  # enum llama_ftype


class Parameters(ctypes.Structure):
    """The first fields of llama_model_quantize_params; the rest stays as the library's defaults have it."""
    _fields_ = [("threads", ctypes.c_int32), ("file_type", ctypes.c_int32), ("output_type", ctypes.c_int32),
                ("embedding_type", ctypes.c_int32), ("allow_requantize", ctypes.c_bool), ("rest", ctypes.c_char * 239)]


def main(source, target):
    for name in ("libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so"):
        library = ctypes.CDLL(str(LIBRARIES / name), mode=ctypes.RTLD_GLOBAL)
    library.llama_model_quantize_default_params.restype = Parameters
    library.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Parameters)]
    library.llama_model_quantize.restype = ctypes.c_uint32
    parameters = library.llama_model_quantize_default_params()
    parameters.file_type = MOSTLY_Q4_0
    parameters.allow_requantize = True
    return library.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))


sys.exit(main(*sys.argv[1:]))

"""Damaged and hostile model files: the command ends with exit code 0, 3 or 4 and one sentence, in bounded time and memory;
never by a signal, and never with something left behind.

    test_hostile.py --linnet PATH [--limit N] [--seed S] [--sanitized] [--only WORD]

--limit: at most so many files of each kind, drawn by the seed. --sanitized: the command is built with AddressSanitizer, which
wants address space and time.
"""
import argparse
import atexit
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import support  # first: it skips the test where numpy is missing

import numpy

import make_models
import model_files
import mutations

MEMORY = 4 << 30          # address space of the command
RESIDENT_LIMIT = 1 << 30  # what it may really use, for files of a few hundred kilobytes
# One line that a person can read: it ends as a sentence does, or with the command to type.
SENTENCE = re.compile(r"^linnet: [^\x00-\x1f\x7f]{10,600}([.!?]|: linnet [^\x00-\x1f\x7f]+)$")


class Kind:
    """One file of a model that is spoiled: the model's other files stay good."""

    def __init__(self, name, files, spoiled, main, makers):
        self.name, self.files, self.spoiled, self.main, self.makers = name, files, spoiled, main, makers

    def mutations(self, random):
        raw = self.files[self.spoiled]
        for maker in self.makers:
            yield from maker(raw, random)


def read_folder(folder):
    files = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            files[name] = file.read()
    return files


def cut_and_flip(cuts, flips, last=None):
    def make(raw, random):
        yield from mutations.cuts(raw, random, cuts)
        yield from mutations.flips(raw, random, flips, 0, last)
    return make


def without_random(maker):
    return lambda raw, random: maker(raw)


def build_kinds(linnet):
    """The good files, and how each is spoiled. Written by the makers of tests/oracle."""
    pieces = model_files.small_vocabulary(320)
    llama = make_models.llama(hidden=32, layers=1, heads=2, kv_heads=1, head_dim=16, feed_forward=64)
    phi3 = make_models.phi3(hidden=32, layers=1, heads=1, kv_heads=1, feed_forward=64, rope=make_models.longrope(32, 32))
    kinds = []

    def bytes_of(path):
        with open(path, "rb") as file:
            return file.read()

    def gguf(name, config, kind):
        path = linnet.temporary(name + ".gguf")
        model_files.write_gguf(path, config, make_models.random_weights(config, 1), kind=kind, pieces=pieces)
        raw = bytes_of(path)
        header = raw.rindex(b"output.weight") + 64

        def nan(good, random):
            if kind == "F32":
                yield from mutations.special_floats(good, random, len(good) - 4096)
        kinds.append(Kind(name, {"model.gguf": raw}, "model.gguf", "model.gguf",
                          [cut_and_flip(60, 150), cut_and_flip(20, 400, header),
                           without_random(mutations.gguf_mutations), nan]))
        return path

    llama_path = gguf("gguf-f32", llama, "F32")
    gguf("gguf-q4_0", phi3, "Q4_0")

    def folder(name, config, **write):
        path = linnet.temporary(name)
        model_files.write_hugging_face(path, config, make_models.random_weights(config, 2), **write)
        return read_folder(path)

    whole = folder("whole", phi3, kind="F32", pieces=pieces)
    start = 8 + struct.unpack_from("<Q", whole["model.safetensors"])[0]
    kinds.append(Kind("safetensors", whole, "model.safetensors", None,
                      [cut_and_flip(60, 100), cut_and_flip(20, 300, start), without_random(mutations.safetensors_mutations),
                       lambda raw, random: mutations.special_floats(raw, random, start)]))
    kinds.append(Kind("config.json", whole, "config.json", None,
                      [cut_and_flip(30, 100), without_random(mutations.json_mutations)]))
    kinds.append(Kind("tokenizer.model", whole, "tokenizer.model", None, [cut_and_flip(60, 300)]))
    sharded = folder("sharded", llama, kind="BF16", shards=2)
    kinds.append(Kind("index.json", sharded, "model.safetensors.index.json", None,
                      [cut_and_flip(20, 60), without_random(mutations.json_mutations)]))
    described = dict(sharded)
    described["tokenizer.json"] = model_files.tokenizer_json(pieces)
    described["tokenizer_config.json"] = model_files.tokenizer_config_json(pieces).encode()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        kinds.append(Kind(name, described, name, None, [cut_and_flip(30, 150), without_random(mutations.json_mutations)]))

    plain = make_models.llama(hidden=32, layers=1, heads=2, kv_heads=1, head_dim=16, feed_forward=64, rope_pairs="interleaved")
    path = linnet.temporary("plain.bin")
    model_files.write_llama2c(path, plain, make_models.random_weights(plain, 3))
    files = {"model.bin": bytes_of(path), "tokenizer.bin": model_files.llama2c_tokenizer(pieces)}
    kinds.append(Kind("llama2c", files, "model.bin", "model.bin",
                      [cut_and_flip(40, 60), cut_and_flip(10, 60, 28), without_random(mutations.llama2c_mutations),
                       lambda raw, random: mutations.special_floats(raw, random, 28)]))
    kinds.append(Kind("tokenizer.bin", files, "tokenizer.bin", "model.bin", [cut_and_flip(40, 200)]))

    for name, source, arguments in (("linnet-int4", linnet.temporary("gguf-q4_0.gguf"), ()),
                                    ("linnet-f32", llama_path, ("--weights", "f32"))):
        raw = bytes_of(linnet.convert(source, name, *arguments))
        kinds.append(Kind(name, {"model.linnet": raw}, "model.linnet", "model.linnet",
                          [cut_and_flip(60, 300), cut_and_flip(10, 100, 1024),
                           lambda good, random: mutations.linnet_mutations(good, random, 400)]))
    return kinds


class Runner:
    def __init__(self, linnet, options):
        self.linnet, self.options = linnet, options
        self.counts, self.failures = {}, []
        self.local, self.lock = threading.local(), threading.Lock()
        self.environment = dict(os.environ)
        if options.sanitized:
            self.environment["ASAN_OPTIONS"] = "abort_on_error=1:allocator_may_return_null=1:detect_leaks=0"
            self.environment["UBSAN_OPTIONS"] = "print_stacktrace=1"

    def folder(self):
        """A folder for this thread, empty."""
        if not hasattr(self.local, "folder"):
            self.local.folder = tempfile.mkdtemp(prefix="linnet-hostile-")
            atexit.register(shutil.rmtree, self.local.folder, ignore_errors=True)
        for name in os.listdir(self.local.folder):
            path = os.path.join(self.local.folder, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        return self.local.folder

    def command(self, *arguments):
        """Exit code, or a sentence about what is wrong with how it ended."""
        try:
            done = subprocess.run([self.linnet.path, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                                  env=self.environment, timeout=self.options.timeout, check=False)
        except subprocess.TimeoutExpired:
            return None, f"{arguments[0]} took longer than {self.options.timeout} s"
        text = done.stderr.decode(errors="replace").strip()
        with self.lock:
            self.counts[done.returncode] = self.counts.get(done.returncode, 0) + 1
        if done.returncode not in (0, 3, 4):
            return None, f"{arguments[0]} ended with {done.returncode}: {text[-1500:]}"
        last = text.splitlines()[-1] if text else ""
        if done.returncode != 0 and not SENTENCE.match(last):
            return None, f"{arguments[0]} ended with {done.returncode} and no sentence: {text[-600:]!r}"
        return done.returncode, text

    def examine(self, kind, what, spoiled):
        """What is wrong with how the command took the file; None: nothing."""
        folder = self.folder()
        source = os.path.join(folder, "source")
        os.mkdir(source)
        for name, raw in kind.files.items():
            with open(os.path.join(source, name), "wb") as file:
                file.write(spoiled if name == kind.spoiled else raw)
        path = os.path.join(source, kind.main) if kind.main else source
        model = path
        if kind.spoiled.endswith(".linnet"):
            code, text = self.command("inspect", path)
            if code is None:
                return text
        else:
            model = os.path.join(folder, "out.linnet")
            code, text = self.command("convert", path, model)
            if code is None:
                return text
            left = sorted(os.listdir(folder))
            if left != (["out.linnet", "source"] if code == 0 else ["source"]):
                return f"convert ended with {code} and left {left}"
        accepted = code == 0
        if accepted or model == path:  # a file that inspect refuses must not get further by another door
            code, text = self.command("logits", model, "--tokens", "0", "--hash")
            if code is None:
                return text
            if model != path and code == 3:
                return f"convert made a file that logits refuses: {text[-300:]}"
            if model == path and not accepted and code == 0:
                return "logits took what inspect refuses"
        return None

    def run_kind(self, kind):
        random = numpy.random.default_rng(self.options.seed)
        if self.examine(kind, "the good file", kind.files[kind.spoiled]) is not None or 0 not in self.counts:
            self.failures.append(f"{kind.name}: the good file: {self.examine(kind, '', kind.files[kind.spoiled])}")
            return
        every = list(kind.mutations(random))
        chosen = every
        if len(every) > self.options.limit:
            chosen = [every[index] for index in sorted(random.choice(len(every), self.options.limit, replace=False))]
        self.counts = {}

        def one(item):
            wrong = self.examine(kind, *item)
            if wrong is not None:
                with self.lock:
                    self.failures.append(f"{kind.name}: {item[0]}: {wrong}")
                    if self.options.keep:
                        name = f"{kind.name}-{len(self.failures)}"
                        with open(os.path.join(self.options.keep, name), "wb") as file:
                            file.write(item[1])
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, chosen))
        endings = ", ".join(f"{code}: {count}" for code, count in sorted(self.counts.items()))
        print(f"{kind.name:22} {len(chosen):5} of {len(every):5} files; exit codes {endings}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linnet", required=True)
    parser.add_argument("--limit", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", default="", help="folder for the files that were taken wrongly")
    options = parser.parse_args()
    options.timeout = 120 if options.sanitized else 60  # a command takes some milliseconds; a busy machine may stall it
    linnet = support.Linnet(os.path.abspath(options.linnet))
    kinds = [kind for kind in build_kinds(linnet) if options.only in kind.name]
    if not options.sanitized:  # the children inherit it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    runner = Runner(linnet, options)
    for kind in kinds:
        runner.run_kind(kind)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    # At most: a child counts this program's own pages until it becomes the command.
    print(f"largest resident memory of a command: at most {peak >> 20} MB")
    if peak > RESIDENT_LIMIT and not options.sanitized:
        runner.failures.append(f"a command used {peak >> 20} MB for a file of a few hundred kilobytes")
    for failure in runner.failures[:40]:
        print("FAILED " + failure)
    print(f"{len(runner.failures)} failures")
    return 1 if runner.failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the tests here have in common: the command under test, a temporary folder, and skipping with a reason.

Every test takes the command's path as --linnet PATH. Exit code 77 tells ctest that the test was skipped; the reason is on
standard output.
"""
import argparse
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
SKIPPED = 77


def skip(reason):
    print("skipped: " + reason)
    sys.exit(SKIPPED)


try:
    import numpy
except ImportError:
    skip("numpy is not installed (apt: python3-numpy)")


def models_folder():
    folder = os.environ.get("LINNET_MODELS", "")
    return folder if folder and os.path.isdir(folder) else ""


class Failed(Exception):
    """The command ended with an exit code other than 0."""


class Linnet:
    def __init__(self, path):
        self.path = path
        self.folder = tempfile.mkdtemp(prefix="linnet-test-")
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)

    def run(self, *arguments, **options):
        command = [self.path, *[str(one) for one in arguments]]
        done = subprocess.run(command, capture_output=True, timeout=600, check=False, **options)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)[:600]}\n  exit code {done.returncode}: "
                         f"{done.stderr.decode(errors='replace').strip()[-600:]}")
        return done.stdout

    def temporary(self, name):
        return os.path.join(self.folder, name)

    def convert(self, source, name, *arguments):
        target = self.temporary(name + ".linnet")
        self.run("convert", source, target, *arguments)
        return target

    def logits(self, model, tokens, *arguments):
        """float32 [tokens][vocabulary]."""
        out = self.temporary("logits.f32")
        if os.path.exists(out):
            os.remove(out)
        self.run("logits", model, "--tokens", ",".join(str(t) for t in tokens), "--out", out, *arguments)
        return numpy.fromfile(out, dtype="<f4").reshape(len(tokens), -1)

    def last_logits(self, model, tokens, *arguments):
        """float32 [1][vocabulary], after the last token; the tokens go through a file, since they can be many."""
        out, ids = self.temporary("last.f32"), self.temporary("tokens.txt")
        with open(ids, "w", encoding="ascii") as file:
            file.write(" ".join(str(t) for t in tokens))
        if os.path.exists(out):
            os.remove(out)
        self.run("logits", model, "--tokens", "@" + ids, "--last", "--out", out, *arguments)
        return numpy.fromfile(out, dtype="<f4").reshape(1, -1)

    def hash(self, model, tokens, *arguments):
        """SHA-256 of the logits, as the command prints it."""
        out = self.run("logits", model, "--tokens", ",".join(str(t) for t in tokens), "--hash", *arguments)
        words = [word for word in out.decode().split() if len(word) == 64]
        assert len(words) == 1, f"--hash printed {out!r}"
        return words[0]


_LINNET = None


def linnet():
    return _LINNET


def main():
    """unittest.main with the command's path, and the exit code that ctest takes for a skip where everything was skipped."""
    global _LINNET
    parser = argparse.ArgumentParser()
    parser.add_argument("--linnet", required=True, help="the linnet command under test")
    known, rest = parser.parse_known_args()
    module = sys.modules["__main__"]
    # `import support` elsewhere must see the same object, whichever name this file was loaded by.
    sys.modules["support"]._LINNET = Linnet(os.path.abspath(known.linnet))
    program = unittest.main(module=module, argv=[sys.argv[0], *rest], exit=False, verbosity=1)
    result = program.result
    for _, reason in result.skipped:
        print("skipped: " + reason)
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)

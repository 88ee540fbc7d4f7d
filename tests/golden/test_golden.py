"""Logits that must never change: SHA-256 of synthetic models' logits, on every target, kernel, thread count and batch.

    test_golden.py --linnet PATH             compares with golden.txt, with each kernel family of this processor
    test_golden.py --linnet PATH --update    writes golden.txt anew, for a change of the numbers that is meant
"""
import argparse
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "golden.txt")
HEAD = """# SHA-256 of the logits (float32, little-endian) of synthetic models: the bits that every target must give.
# shape seed group kv tokens sha256; the tokens are (31 i i + 7 i + 3) mod 250 for i = 0 .. tokens - 1.
# Written by tests/golden/test_golden.py --update.
"""
CASES = [  # shape, seed, group, kv, tokens
    ("micro", 1, 32, "int8", 12),
    ("tiny", 1, 32, "int8", 70),
    ("tiny", 1, 32, "f16", 70),
    ("tiny", 1, 32, "f32", 70),
    ("tiny", 2, 64, "int8", 33),
    ("tiny", 3, 128, "int8", 1),
    ("tiny-window", 1, 32, "int8", 70),
    ("tiny-longrope", 1, 32, "int8", 64),
    ("tiny-longrope", 1, 32, "int8", 65),
    ("tiny-llama", 1, 32, "int8", 70),
    ("tiny-llama", 2, 128, "f16", 70),
]


def run(command):
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace").strip()


class Models:
    def __init__(self, linnet, folder):
        self.linnet, self.folder, self.made = linnet, folder, {}

    def path(self, shape, seed, group):
        key = (shape, seed, group)
        if key not in self.made:
            path = os.path.join(self.folder, f"{shape}-{seed}-{group}.linnet")
            code, _, error = run([self.linnet, "synth", shape, path, "--seed", str(seed), "--group", str(group)])
            if code != 0:
                sys.exit(f"linnet synth {shape}: {error}")
            self.made[key] = path
        return self.made[key]

    def hash(self, case, *arguments):
        shape, seed, group, kv, count = case
        tokens = ",".join(str((31 * i * i + 7 * i + 3) % 250) for i in range(count))
        code, out, error = run([self.linnet, "logits", self.path(shape, seed, group), "--tokens", tokens, "--kv", kv, "--hash",
                                *arguments])
        if code != 0:
            return None, error
        return [word for word in out.split() if len(word) == 64][0], ""


def read_golden():
    with open(GOLDEN, encoding="utf-8") as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return {(shape, int(seed), int(group), kv, int(count)): digest for shape, seed, group, kv, count, digest in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linnet", required=True)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="linnet-golden-") as folder:
        models = Models(os.path.abspath(options.linnet), folder)
        if options.update:
            with open(GOLDEN, "w", encoding="utf-8") as file:
                file.write(HEAD)
                for case in CASES:
                    digest, error = models.hash(case, "--kernels", "scalar", "--threads", "1", "--batch", "1")
                    if digest is None:
                        sys.exit(error)
                    file.write(" ".join(str(one) for one in case) + f" {digest}\n")
            print(f"wrote {GOLDEN}")
            return 0
        golden, wrong = read_golden(), 0
        if sorted(golden) != sorted(CASES):
            print("golden.txt and the cases here are not the same: run with --update")
            return 1
        for case in CASES:
            for kernels in ("scalar", "avx2", "avx512", "neon"):
                for threads, batch in ((1, 1), (2, 64), (3, 7)):
                    digest, error = models.hash(case, "--kernels", kernels, "--threads", str(threads), "--batch", str(batch))
                    if digest is None and kernels != "scalar":
                        break  # not of this processor
                    if digest != golden[case]:
                        wrong += 1
                        print(f"FAILED {case}, {kernels}, {threads} threads, batch {batch}: {digest or error}, "
                              f"golden {golden[case]}")
                else:
                    print(f"{' '.join(str(one) for one in case):24} {kernels:7} {golden[case]}")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

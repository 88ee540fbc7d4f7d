"""AArch64 Linux under user-mode QEMU: the unit tests on processors with and without dot products (sdot) and matrix products (smmla),
which kernels each takes and refuses, and the logits of whole models with each, which are the desktop's.

    aarch64.py LINNET BUILD_FOLDER MODELS_FOLDER    BUILD_FOLDER is the preset aarch64's; prints "passed failed skipped"
"""
import hashlib
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from boards import Tests, say  # noqa: E402

# The processor, and the tables that it runs, best first.
PROCESSORS = [
    ("max", ["neon-i8mm", "neon-dotprod", "neon", "scalar"]),
    ("cortex-a76", ["neon-dotprod", "neon", "scalar"]),
    ("cortex-a57", ["neon", "scalar"]),
]
ALL = PROCESSORS[0][1]
# Tokens: of a story for stories15M; for the small model any that a vocabulary of 288 has. With a batch of 16 there are tiles of four
# tokens, and what is left over.
MODELS = {
    "small.linnet": "1,253,107,261,278,132,183,286,261,76,198,268,113,233,13,131,43,247,115,263,51",
    "stories15m.linnet": "1,9038,2501,263,931,29892,727,471,263,2217,7826,4257,365,2354,29889,2296,5131,304,1708",
}


def under_qemu(processor, *line, **more):
    return subprocess.run(["qemu-aarch64", "-cpu", processor, *line], capture_output=True, timeout=300, **more)


def unit_tests(tests, program, processor, best):
    # On the first processor all of them; on the others those of the kernels.
    choice = [] if processor == "max" else ["--source-file=*test_kernels_*"]
    done = under_qemu(processor, program, *choice)
    output = done.stdout.decode("utf-8", "replace")
    counts = re.search(r"test cases: *\d+ *\| *(\d+) passed *\| *(\d+) failed", output)
    if not tests.check(counts and int(counts.group(1)) > 0, f"{processor}: the unit tests ended with {done.returncode}: {output[-500:]}"):
        return
    say(f"  {processor}: {counts.group(1)} of the unit tests passed, {counts.group(2)} failed")
    tests.passed += int(counts.group(1))
    tests.failed += int(counts.group(2))
    if int(counts.group(2)) != 0:
        say(output[-4000:])
    tests.check(f"the best one here is {best}\n" in output, f"{processor}: it does not take {best}")


def logits(tests, program, processor, supported, command, model):
    tokens = MODELS[os.path.basename(model)]
    expected = subprocess.run([command, "logits", model, "--tokens", tokens, "--hash"], capture_output=True, check=True)
    expected = expected.stdout.decode().strip()
    for kernels in ALL + [""]:
        for batch in ("1", "16") if kernels else ("16",):
            done = under_qemu(processor, program, model, kernels, batch, tokens)
            problem = done.stderr.decode("utf-8", "replace").strip()
            if kernels and kernels not in supported:
                tests.check(done.returncode == 1 and not done.stdout and "this processor cannot run them" in problem,
                            f"{processor}: {kernels} is not refused: {done.returncode}, {problem}")
                continue
            digest = hashlib.sha256(done.stdout).hexdigest()
            tests.check(done.returncode == 0 and problem == (kernels or supported[0]) and digest == expected,
                        f"{processor}, {kernels or 'the best'}, batch {batch}, {os.path.basename(model)}: {done.returncode}, {problem}, {digest}")
    say(f"  {processor}: {', '.join(supported)}: {os.path.basename(model)}, logits {expected[:16]}…")


def main():
    command, build, models = (os.path.abspath(argument) for argument in sys.argv[1:])
    tests = Tests()
    for processor, supported in PROCESSORS:
        unit_tests(tests, os.path.join(build, "linnet_unit"), processor, supported[0])
        for name in MODELS:
            model = os.path.join(models, name)
            # The larger model takes a second a table: on the processor that has all of them.
            if not os.path.exists(model):
                tests.skipped += 1
                say(f"  skipped, there is no {name}")
            elif processor == "max" or name == "small.linnet":
                logits(tests, os.path.join(build, "linnet_logits"), processor, supported, command, model)
    print(tests.passed, tests.failed, tests.skipped)
    return 0 if tests.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

"""Builds and runs a firmware that is none of ours (firmware/): against the package installed for a Cortex-M55, and from the one pair of
files that tools/amalgamate.py writes. Both must print the desktop's text and a checksum of its logits. And a C program for AArch64 Linux
from that pair, with NEON kernels: the desktop's logits, byte for byte.

    firmware.py LINNET BUILD_FOLDER MODELS_FOLDER    BUILD_FOLDER is the preset mps3_an547's; prints "passed failed skipped"
"""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import boards  # noqa: E402
import image  # noqa: E402

PROMPT, COUNT = "Once upon a time", 12


def call(*line, **more):
    done = subprocess.run(line, capture_output=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(line[:4])} …:\n{(done.stdout + done.stderr)[-2000:].decode('utf-8', 'replace')}")
    return done.stdout


def desktop(command, model, work):
    text, tokens = boards.desktop_tokens(command, model, PROMPT, COUNT)
    out = os.path.join(work, "logits")
    call(command, "logits", model, "--tokens", tokens, "--out", out)
    checksum = 0xCBF29CE484222325
    with open(out, "rb") as logits:
        for byte in logits.read():
            checksum = (checksum ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{PROMPT}{text}\n{checksum:016x}\n"


def aarch64_program(command, model, work):
    """Whether tests/install's program, built for AArch64 from the pair of files, writes the logits that the desktop writes."""
    pair, program, tokens = os.path.join(work, "pair_aarch64"), os.path.join(work, "program"), "1,5,9,2,77,3"
    call(sys.executable, "-B", os.path.join(ROOT, "tools/amalgamate.py"), pair, "--kernels", "neon")
    call("aarch64-linux-gnu-g++", "-std=c++20", "-O1", "-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-Wall", "-Wextra", "-Werror",
         "-c", os.path.join(pair, "linnet.cpp"), "-o", program + ".o")
    call("aarch64-linux-gnu-gcc", "-std=c11", "-static", f"-I{pair}", os.path.join(ROOT, "tests/install/consumer/main.c"),
         program + ".o", "-o", program)
    call("qemu-aarch64", program, model, tokens, os.path.join(work, "theirs"))
    call(command, "logits", model, "--tokens", tokens, "--out", os.path.join(work, "ours"))
    with open(os.path.join(work, "theirs"), "rb") as theirs, open(os.path.join(work, "ours"), "rb") as ours:
        return theirs.read() == ours.read()


def main():
    command, build, models = (os.path.abspath(argument) for argument in sys.argv[1:])
    model = os.path.join(models, "small.linnet")
    toolchain = os.path.join(ROOT, "embedded/toolchain/cortex-m55.cmake")
    passed = failed = 0
    with tempfile.TemporaryDirectory() as work:
        expected = desktop(command, model, work)
        installed, pair = os.path.join(work, "installed"), os.path.join(work, "pair")
        call("cmake", "--install", build, "--prefix", installed)
        call(sys.executable, "-B", os.path.join(ROOT, "tools/amalgamate.py"), pair)
        ways = {
            "the installed package": [f"-DCMAKE_PREFIX_PATH={installed}", f"-DCMAKE_FIND_ROOT_PATH={installed}"],
            "the pair of files": [f"-DLINNET_PAIR={pair}", f"-DLINNET_FREESTANDING={os.path.join(ROOT, 'embedded/freestanding')}"],
        }
        for way, choices in ways.items():
            folder = os.path.join(work, way.replace(" ", "_"))
            try:
                call("cmake", "-S", os.path.join(HERE, "firmware"), "-B", folder, "-G", "Ninja", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", *choices)
                call("cmake", "--build", folder)
                elf = os.path.join(folder, "firmware.elf")
                said = call("qemu-system-arm", "-M", "mps3-an547", "-display", "none", "-monitor", "none", "-serial", "stdio",
                            "-semihosting-config", "enable=on,target=native", "-kernel", elf,
                            "-device", f"loader,file={model},addr=0x28000000,force-raw=on", timeout=120).decode("utf-8", "replace")
                found = image.findings(elf)
                code = image.Image(elf).bytes_of(".text")
            except (RuntimeError, subprocess.TimeoutExpired) as problem:
                said, found, code = str(problem), [], 0
            if said == expected and not found:
                passed += 1
                boards.report(f"  a firmware of its own, with {way}: {said.splitlines()[0]} … {said.splitlines()[1]}, code {code}")
            else:
                failed += 1
                print(f"  failed: a firmware with {way}: {found} {said}; the desktop: {expected}", file=sys.stderr)
        try:
            same, problem = aarch64_program(command, model, work), "other logits"
        except (RuntimeError, OSError) as failure:
            same, problem = False, str(failure)
        passed, failed = passed + same, failed + (not same)
        print(f"  a program for AArch64 from the pair of files: {'the same logits' if same else 'failed: ' + problem}", file=sys.stderr)
    print(passed, failed, 0)
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
